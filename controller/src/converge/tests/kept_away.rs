//! Stories of changes that do not arrive, and of causes that take a few handshakes to be told.
use super::*;
use crate::converge::Mode;
use crate::diagnose::{Cause, Loading};

fn loads(run: &mut Run, loading: Option<Loading>) -> Vec<Action> {
    run.tell(&Event::Loading { endpoint: "a".into(), loading, runs_by: None })
}

/// A gateway that an ingress controller pushes to.
fn pushed(policy: Policy) -> Run {
    let mut run = Run::new(policy);
    run.given = Given::Pushed;
    run
}

fn mends(actions: &[Action]) -> Vec<String> {
    let mend = |a: &Action| match a {
        Action::Raise { finding, .. } => Some(finding.mend.clone()),
        _ => None,
    };
    actions.iter().filter_map(mend).collect()
}

#[test]
fn a_refused_push_has_no_remedy_and_the_alert_says_what_to_mend() {
    let mut run = pushed(healing());
    loads(&mut run, Some(Loading::Refused));
    run.old();
    run.pass(6);
    assert_eq!(
        raised(&run.actions),
        [""; 0],
        "two handshakes make a proof, and one of them may have missed a worker"
    );
    let actions = run.old();
    assert_eq!(raised(&actions), ["CD-404"]);
    assert!(mends(&actions)[0].contains("CD-322"), "{actions:?}");
    assert_eq!(remedies(&run.actions), []);
    // It arrives, on some other way than by a sight of what is expected.
    loads(&mut run, None);
    run.pass(1);
    run.old();
    assert_eq!(remedies(&run.actions).len(), 1);
}

#[test]
fn an_alert_that_stands_names_the_cause_once_it_is_another() {
    let mut run = pushed(Policy { mode: Mode::Observe, ..healing() });
    run.old();
    run.pass(6);
    assert_eq!(raised(&run.old()), ["CD-401"]);
    assert_eq!(raised(&run.pass(5)), [""; 0], "told once");
    let actions = loads(&mut run, Some(Loading::Refused));
    assert_eq!(raised(&actions), ["CD-401"]);
    assert!(!actions.iter().any(|a| matches!(a, Action::Clear { .. })), "it stands: {actions:?}");
    assert_eq!(run.state().drifts().map(|(.., d)| d.cause).collect::<Vec<_>>(), [Cause::PushFailing]);
    assert_eq!(raised(&run.pass(5)), [""; 0]);
}

#[test]
fn who_is_held_back_waits_and_nobody_is_alerted_before_the_time_for_it() {
    let mut run = pushed(healing());
    loads(&mut run, Some(Loading::HeldBack));
    run.old();
    run.pass(20);
    run.old();
    assert_eq!((raised(&run.actions), remedies(&run.actions)), (vec![], vec![]));
    // For ever is too long.
    run.pass(300);
    assert_eq!(raised(&run.actions), ["CD-403"]);
}
