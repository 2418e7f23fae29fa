use super::*;
use crate::publish::findings as kinds;

fn on(name: &str) -> Regarding {
    Regarding {
        api_version: "networking.k8s.io/v1".into(),
        kind: "Ingress".into(),
        object: ObjectName::new("demo", name),
        uid: format!("uid-{name}"),
    }
}

fn finding(why: &str) -> Finding {
    kinds::PUT_RIGHT.on("ingress:demo/a", why)
}

fn name(act: &Act) -> String {
    match act {
        Act::Create(event) | Act::Repeat(event, _) => event.name.clone(),
    }
}

/// Plans, and has all of it done.
fn told(planner: &mut Planner, findings: &[(Regarding, Finding)], now: Millis) -> Vec<Act> {
    let acts = planner.plan(findings, now);
    for act in &acts {
        planner.hear(&name(act), Heard::Done, now);
    }
    acts
}

#[test]
fn a_finding_is_told_once_and_again_while_it_lasts() {
    let mut planner = Planner::new(Millis(0));
    let all = [(on("a"), finding("x")), (on("a"), finding("x"))];
    assert!(
        matches!(&told(&mut planner, &all, Millis(0))[..], [Act::Create(event)] if event.reason == "CD-202")
    );
    assert_eq!(told(&mut planner, &all, Millis(AGAIN - 1)), []);
    assert!(matches!(told(&mut planner, &all, Millis(AGAIN))[..], [Act::Repeat(_, 2)]));
    assert!(matches!(told(&mut planner, &all, Millis(2 * AGAIN))[..], [Act::Repeat(_, 3)]));
}

#[test]
fn another_text_is_another_event_since_the_server_lets_none_be_changed() {
    let mut planner = Planner::new(Millis(0));
    let first = told(&mut planner, &[(on("a"), finding("x"))], Millis(0));
    let second = told(&mut planner, &[(on("a"), finding("y"))], Millis(1));
    assert_ne!(name(&first[0]), name(&second[0]));
    assert!(matches!(second[0], Act::Create(_)));
}

#[test]
fn a_finding_that_comes_and_goes_is_no_new_event_each_time() {
    let mut planner = Planner::new(Millis(0));
    let all = [(on("a"), finding("x"))];
    told(&mut planner, &all, Millis(0));
    for second in 1..100 {
        assert_eq!(told(&mut planner, &[], Millis(second * 2_000)), []);
        assert_eq!(told(&mut planner, &all, Millis(second * 2_000 + 1_000)), []);
    }
}

#[test]
fn after_a_restart_or_under_another_leader_what_was_told_lately_is_not_told_again() {
    let all = [(on("a"), finding("x"))];
    let mut planner = Planner::new(Millis(1_000_000));
    let acts = planner.plan(&all, Millis(1_000_000));
    planner.hear(&name(&acts[0]), Heard::Exists(4, Millis(900_000)), Millis(1_000_000));
    assert_eq!(planner.plan(&all, Millis(1_100_000)), []);
    assert!(matches!(planner.plan(&all, Millis(900_000 + AGAIN))[..], [Act::Repeat(_, 5)]));
}

#[test]
fn an_event_that_the_server_forgot_is_written_anew_and_a_failure_is_tried_again() {
    let mut planner = Planner::new(Millis(0));
    let all = [(on("a"), finding("x"))];
    let first = told(&mut planner, &all, Millis(0));
    let _ = planner.plan(&all, Millis(AGAIN));
    planner.hear(&name(&first[0]), Heard::Gone, Millis(AGAIN));
    assert!(matches!(planner.plan(&all, Millis(AGAIN + REFILL))[..], [Act::Create(_)]));
    planner.hear(&name(&first[0]), Heard::Failed, Millis(AGAIN + REFILL));
    assert_eq!(planner.plan(&all, Millis(AGAIN + REFILL + 1)), []);
    assert!(matches!(planner.plan(&all, Millis(AGAIN + 2 * REFILL))[..], [Act::Create(_)]));
}

#[test]
fn many_findings_are_told_at_a_bounded_rate_errors_first_and_none_is_dropped() {
    let mut planner = Planner::new(Millis(0));
    let mut all: Vec<(Regarding, Finding)> = (0..100).map(|n| (on(&format!("a{n}")), finding("x"))).collect();
    all.push((on("worst"), kinds::NOT_WRITTEN.on("x", "y")));
    let first = told(&mut planner, &all, Millis(0));
    assert_eq!(first.len(), 25);
    assert!(name(&first[0]).starts_with("worst."), "{first:?}");
    let mut names: BTreeSet<String> = first.iter().map(name).collect();
    for step in 1..=76 {
        let acts = told(&mut planner, &all, Millis(step * REFILL));
        assert_eq!(acts.len(), 1);
        names.extend(acts.iter().map(name));
    }
    assert_eq!(names.len(), 101);
}

#[test]
fn a_note_fits_and_what_is_only_worth_knowing_is_not_told() {
    let mut planner = Planner::new(Millis(0));
    let acts = planner.plan(&[(on("a"), finding(&"ä".repeat(2_000)))], Millis(0));
    let Act::Create(event) = &acts[0] else { panic!("{acts:?}") };
    assert!(event.note.len() <= 1024 && event.note.ends_with('…'));
    let info = Finding { severity: Severity::Info, ..finding("x") };
    assert_eq!(planner.plan(&[(on("b"), info)], Millis(0)), []);
}
