//! Stories of a remedy that acts on one pod only, and of one that is refused again and again.
use super::*;
use crate::converge::Workload;

fn evicting() -> Policy {
    policy(
        r#"{"mode": "heal", "grace": "5s", "min_interval": "10s", "settle": "2s", "prove_within": "20s", "alert_after": "5m",
            "proofs": 1, "remedies": [{"name": "replace", "evict": {}}]}"#,
    )
}

/// Of three pods `a` and `b` serve what was before.
fn two_behind() -> Run {
    let mut run = Run::new(evicting());
    run.up("b");
    run.up("c");
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
    assert_eq!(evicted(&run), [("a".to_owned(), 1), ("b".to_owned(), 1)], "{:?}", raised(&run.actions));
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
