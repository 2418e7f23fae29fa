//! Stories of remedies that act on pods, one or all, and of one that is refused again and again.
use super::*;
use crate::converge::{Record, RunsBy, Workload};
use crate::diagnose::{Cause, Loading};

fn evicting() -> Policy {
    policy(
        r#"{"mode": "heal", "grace": "5s", "min_interval": "10s", "settle": "2s", "prove_within": "20s", "alert_after": "5m",
            "proofs": 1, "remedies": [{"name": "replace", "evict": {}}]}"#,
    )
}

/// A pod that is pushed its configuration, which nothing keeps from it.
fn up(run: &mut Run, endpoint: &str) {
    run.up(endpoint);
    let runs_by = Some(RunsBy { since: run.now, not_before: None, behind: false });
    let (endpoint, loading) = (endpoint.into(), Some(Loading::Free));
    run.tell(&Event::Loading { endpoint, loading, runs_by });
}

/// Of three pods `a` and `b` serve what was before.
fn two_behind() -> Run {
    let mut run = Run::new(evicting());
    (run.given, run.fellows) = (Given::Pushed, Fellows { right: 1, wrong: 1, unseen: 0 });
    for endpoint in ["a", "b", "c"] {
        up(&mut run, endpoint);
    }
    run.tell(&Event::Workload(Workload { replicas: Some(3), ..Workload::default() }));
    run
}

fn old(run: &mut Run, endpoint: &str) {
    run.see_on(endpoint, Evidence::Handshake, None, Sight::Drift(DriftClass::Previous));
}

fn evicted(run: &Run) -> Vec<(String, u32)> {
    let started = |a: &Action| match a {
        Action::StartRemedy(intent) => Some((intent.endpoint.clone(), intent.covers)),
        _ => None,
    };
    run.actions.iter().filter_map(started).collect()
}

#[test]
fn two_pods_that_are_behind_are_evicted_one_after_the_other() {
    let mut run = two_behind();
    for endpoint in ["a", "b"] {
        old(&mut run, endpoint);
    }
    run.pass(6);
    for endpoint in ["a", "b"] {
        old(&mut run, endpoint);
    }
    run.pass(1);
    assert_eq!(evicted(&run), [("a".to_owned(), 1)]);
    let id = remedies(&run.actions)[0].0;
    run.end(id, true);
    run.tell(&Event::EndpointGone { endpoint: "a".into() });
    for _ in 0..12 {
        run.pass(1);
        old(&mut run, "b");
    }
    assert_eq!(evicted(&run).len(), 1, "what takes its place was not seen yet");
    up(&mut run, "d");
    let probed = run.pass(1);
    let asks = |a: &Action| matches!(a, Action::Probe { endpoint, .. } if endpoint == "d");
    assert!(probed.iter().any(asks), "{probed:?}");
    let proven = right_on(&mut run, "d");
    let over = proven.iter().find_map(|a| match a {
        Action::Record(Record { what: What::Converged { endpoint, after, .. }, .. }) => {
            Some((endpoint, after))
        }
        _ => None,
    });
    assert_eq!(over, Some((&"d".to_owned(), &Some("replace".to_owned()))));
    run.pass(1);
    old(&mut run, "b");
    run.pass(1);
    assert_eq!(evicted(&run), [("a".to_owned(), 1), ("b".to_owned(), 1)], "{:?}", raised(&run.actions));
}

fn right_on(run: &mut Run, endpoint: &str) -> Vec<Action> {
    run.see_on(endpoint, Evidence::Handshake, None, Sight::Expected)
}

/// `a` was evicted, and is gone.
fn evicted_and_gone() -> Run {
    let mut run = two_behind();
    run.tell(&Event::EndpointGone { endpoint: "b".into() });
    old(&mut run, "a");
    run.pass(6);
    old(&mut run, "a");
    run.pass(1);
    run.end(remedies(&run.actions)[0].0, true);
    run.tell(&Event::EndpointGone { endpoint: "a".into() });
    run
}

#[test]
fn a_successor_that_drifts_too_is_not_evicted_again() {
    let mut run = evicted_and_gone();
    up(&mut run, "d");
    run.pass(1);
    for _ in 0..30 {
        old(&mut run, "d");
        run.pass(1);
    }
    assert_eq!(evicted(&run).len(), 1, "{:?}", evicted(&run));
    assert_eq!(raised(&run.actions), ["CD-402"]);
    let not_helped = |a: &Action| matches!(a, Action::Record(r) if matches!(&r.what, What::NotHelped { endpoint, .. } if endpoint == "d"));
    assert!(run.actions.iter().any(not_helped));
}

#[test]
fn what_a_successor_serves_while_it_starts_is_not_held_against_the_remedy() {
    let mut run = evicted_and_gone();
    run.pass(3);
    run.tell(&Event::EndpointStarting { endpoint: "d".into() });
    run.see_on("d", Evidence::Handshake, None, Sight::Drift(DriftClass::Default));
    run.pass(1);
    up(&mut run, "d");
    right_on(&mut run, "d");
    let held = |a: &Action| matches!(a, Action::Record(r) if matches!(r.what, What::NotHelped { .. }));
    assert!(!run.actions.iter().any(held));
    let proven = |a: &Action| matches!(a, Action::Record(r) if matches!(&r.what, What::Converged { endpoint, after: Some(_), .. } if endpoint == "d"));
    assert!(run.actions.iter().any(proven), "{:?}", run.state());
}

#[test]
fn who_was_there_before_proves_nothing_and_a_successor_that_never_comes_is_not_waited_for_for_ever() {
    let mut run = evicted_and_gone();
    for _ in 0..10 {
        right_on(&mut run, "c");
        run.pass(1);
    }
    assert_eq!(run.state().replaced.len(), 1);
    let over = run.pass(20);
    let not_proven = |a: &Action| matches!(a, Action::Record(r) if matches!(&r.what, What::NotProven { endpoint, .. } if endpoint == "a"));
    assert!(over.iter().any(not_proven), "{over:?}");
    assert_eq!(run.state().replaced.len(), 0);
}

#[test]
fn what_is_refused_is_asked_for_again_and_not_without_a_pause() {
    let mut run = two_behind();
    let mut refused = 0;
    for _ in 0..65 {
        run.pass(1);
        let actions = run.old();
        let all = remedies(&actions).into_iter().chain(remedies(&run.pass(1)));
        for (id, _) in all {
            refused += 1;
            run.tell(&Event::RemedyNotStarted { id, why: "a disruption budget lets none go".into() });
        }
    }
    // Two minutes and ten seconds, less the grace.
    assert!((8..=13).contains(&refused), "{refused} times");
}

/// A gateway of two pods that read files which the kubelet mounts; both are behind, by this long (seconds).
fn mounted(remedy: &str, template_is_owned: bool, since: i64) -> Run {
    let policy = policy(&format!(
        r#"{{"mode": "heal", "grace": "5s", "min_interval": "10s", "settle": "2s", "prove_within": "20s", "alert_after": "5m",
            "proofs": 1, "remedies": [{{"name": "mend", {remedy}}}]}}"#,
    ));
    let mut run = Run::new(policy);
    let started = Some(Millis(run.now.0 - 3_600_000));
    for endpoint in ["a", "b"] {
        run.tell(&Event::EndpointUp { endpoint: endpoint.into(), edge: false, workers: None, started });
    }
    run.tell(&Event::Workload(Workload {
        replicas: Some(2),
        template_is_owned,
        files_are_mounted: true,
        ..Workload::default()
    }));
    run.expected_since = Some(Millis(run.now.0 - 1_000 * since));
    run
}

/// Both pods are seen to serve what was before, for so many seconds.
fn both_old(run: &mut Run, seconds: u32) {
    for _ in 0..seconds {
        for endpoint in ["a", "b"] {
            old(run, endpoint);
        }
        run.pass(1);
    }
}

#[test]
fn a_reload_waits_for_the_kubelet_to_bring_the_file() {
    let mut run = mounted(r#""kube_exec": {}"#, false, 0);
    both_old(&mut run, 100);
    assert_eq!(evicted(&run), []);
    assert_eq!(run.state().drifts().map(|(.., d)| d.cause).collect::<Vec<_>>(), [Cause::FileNotReloaded; 2]);
    both_old(&mut run, 30);
    assert_eq!(evicted(&run), [("a".to_owned(), 1)]);
    // It is long there for who has waited already.
    let mut run = mounted(r#""kube_exec": {}"#, false, 120);
    both_old(&mut run, 10);
    assert_eq!(evicted(&run), [("a".to_owned(), 1)]);
}

#[test]
fn a_rollout_mends_all_pods_at_once_and_one_by_one_where_the_template_is_not_ours() {
    let mut run = mounted(r#""rollout": {}"#, false, 120);
    both_old(&mut run, 10);
    assert_eq!(evicted(&run), [("a".to_owned(), 2)]);
    let mut run = mounted(r#""rollout": {}"#, true, 120);
    both_old(&mut run, 10);
    assert_eq!(evicted(&run), [("a".to_owned(), 1)]);
    run.end(remedies(&run.actions)[0].0, true);
    run.tell(&Event::EndpointGone { endpoint: "a".into() });
    run.up("c");
    for _ in 0..12 {
        right_on(&mut run, "c");
        old(&mut run, "b");
        run.pass(1);
    }
    assert_eq!(evicted(&run), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
}
