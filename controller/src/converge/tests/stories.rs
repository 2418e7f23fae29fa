//! The machine's rules, a story each.
use super::*;
use crate::converge::{Acknowledgement, Mode, Workload};
use crate::diagnose::Cause;

const DRIFT: Sight = Sight::Drift(DriftClass::Previous);

#[test]
fn a_simple_drift_is_healed_and_proven() {
    let mut run = Run::new(healing());
    assert_eq!(remedies(&run.old()), []);
    assert_eq!(remedies(&run.pass(6)), [], "seen once only");
    let actions = run.old();
    assert_eq!(remedies(&actions), [(1, "reload".to_owned())]);
    let place = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).expect("the action");
    assert!(
        place(|a| matches!(a, Action::Persist)) < place(|a| matches!(a, Action::StartRemedy(_))),
        "the intent is on disk before the act: {actions:?}"
    );
    run.now.0 += 50;
    let ended = run.end(1, true);
    assert_eq!(probes(&ended), 1, "the wire is looked at once the remedy has ended");
    assert!(!converged(&run.new_one()), "two proofs are asked for");
    assert!(converged(&run.new_one()));
    assert_eq!(run.state().drifts().count(), 0);
    assert_eq!(raised(&run.actions), [] as [&str; 0]);
    assert_eq!(remedies(&run.pass(600)), [], "and nothing more is done");
}

#[test]
fn drift_within_its_grace_is_let_be() {
    let mut run = Run::new(healing());
    for _ in 0..4 {
        run.old();
        run.pass(1);
    }
    run.new_one();
    assert!(converged(&run.new_one()));
    assert_eq!(remedies(&run.actions), []);
}

#[test]
fn filter_and_tap_alone_start_no_remedy() {
    let mut run = Run::new(healing());
    for _ in 0..20 {
        run.see(Evidence::Filter, Some("7"), DRIFT);
        run.see(Evidence::Tap, Some("7"), DRIFT);
        run.pass(1);
    }
    assert_eq!(remedies(&run.actions), []);
    assert!(probes(&run.actions) > 5, "but handshakes are asked for");
    assert_eq!(remedies(&run.old()), [], "one handshake tells nothing of the other workers");
    assert_eq!(remedies(&run.old()), [(1, "reload".to_owned())]);
}

#[test]
fn what_is_only_declared_is_no_drift() {
    let mut run = Run::new(healing());
    run.see(Evidence::Declared, None, DRIFT);
    assert_eq!(run.state().drifts().count(), 0);
}

#[test]
fn a_declared_match_proves_nothing() {
    let mut run = Run::new(healing());
    run.old();
    for _ in 0..10 {
        run.see(Evidence::Declared, None, Sight::Expected);
    }
    assert_eq!(run.state().drifts().count(), 1);
}

#[test]
fn a_handshake_that_is_no_longer_fresh_is_made_again_before_a_remedy() {
    let mut run = Run::new(healing());
    run.old();
    run.old();
    // No tick within the grace's end and the handshake's freshness: the process slept.
    run.now.0 += 31_000;
    assert_eq!(remedies(&run.tell(&Event::Tick)), []);
    assert_eq!(remedies(&run.old()), [(1, "reload".to_owned())]);
}

#[test]
fn an_endpoint_that_does_not_answer_or_starts_is_not_healed() {
    for away in [
        Event::EndpointUnreachable { endpoint: "a".into() },
        Event::EndpointStarting { endpoint: "a".into() },
    ] {
        let mut run = Run::new(healing());
        run.old();
        run.tell(&away);
        run.pass(6);
        run.old();
        run.old();
        assert_eq!(remedies(&run.actions), [], "{away:?}");
        run.up("a");
        run.old();
        run.now.0 += 1_000;
        assert_eq!(remedies(&run.old()), [(1, "reload".to_owned())]);
    }
}

#[test]
fn remedies_escalate_and_end_in_an_alert() {
    let mut run = Run::new(healing());
    run.tell(&Event::Workload(Workload { replicas: Some(2), ..Workload::default() }));
    let first = run.drift_until_remedy();
    run.end(first, true);
    run.pass(11);
    run.old();
    run.pass(1);
    assert_eq!(remedies(&run.old()), [(2, "restart".to_owned())]);
    run.end(2, false);
    assert_eq!(raised(&run.actions), [] as [&str; 0]);
    run.pass(11);
    run.old();
    run.pass(1);
    assert_eq!(raised(&run.old()), ["CD-402"]);
    let quiet = run.pass(60);
    assert_eq!((remedies(&quiet), raised(&quiet)), (vec![], vec![]), "it is said once");
    run.new_one();
    assert_eq!(cleared(&run.new_one()), ["CD-402"]);
}

#[test]
fn a_remedy_refused_before_its_act_spends_nothing_and_is_tried_again_once_the_wire_was_seen_anew() {
    let mut run = Run::new(policy(
        r#"{"mode": "heal", "grace": "5s", "min_interval": "1h", "budget_per_hour": 1, "settle": "2s", "prove_within": "20s",
            "proofs": 2, "remedies": [{"name": "reload", "signal": {"pid_file": "/run/nginx.pid"}}]}"#,
    ));
    let first = run.drift_until_remedy();
    let told = run.tell(&Event::RemedyNotStarted { id: first, why: "another leads".into() });
    let says = |a: &Action| matches!(a, Action::Record(r) if matches!(&r.what, What::NotStarted { id, .. } if *id == first));
    assert!(told.contains(&Action::Persist) && told.iter().any(says), "{told:?}");
    assert_eq!(remedies(&told), [], "what refuses is not asked without a pause");
    run.pass(8);
    run.old();
    assert_eq!(remedies(&run.old()), []);
    assert_eq!(remedies(&run.pass(3)), [(2, "reload".to_owned())]);
    assert_eq!(raised(&run.actions), [] as [&str; 0], "nothing was tried in vain");
    // This one is done: from here on interval and budget hold.
    run.end(2, true);
    run.pass(30);
    run.old();
    assert_eq!(remedies(&run.old()), []);
}

#[test]
fn an_old_worker_that_still_drains_is_not_held_against_the_remedy() {
    let mut run = Run::new(healing());
    let id = run.drift_until_remedy();
    run.end(id, true);
    run.old();
    run.pass(1);
    run.old();
    assert!(run.state().drifts().all(|(.., d)| d.proving.is_some()), "within settle");
    run.new_one();
    assert!(converged(&run.new_one()));
}

#[test]
fn one_stale_worker_that_is_known_by_name_stands_against_any_number_of_good_handshakes() {
    let mut run = Run::new(healing());
    run.see(Evidence::Handshake, Some("7"), DRIFT);
    for _ in 0..50 {
        run.see(Evidence::Handshake, Some("8"), Sight::Expected);
    }
    run.tell(&Event::Tick);
    assert_eq!(run.state().drifts().map(|(.., d)| d.cause).collect::<Vec<_>>(), [Cause::StaleWorker]);
    assert!(converged(&run.see(Evidence::Tap, Some("7"), Sight::Expected)) || converged(&run.new_one()));
}

#[test]
fn two_named_workers_of_two_are_a_proof() {
    let mut run = Run::new(healing());
    run.tell(&Event::EndpointUp { endpoint: "a".into(), edge: false, workers: Some(2), started: None });
    run.old();
    assert!(!converged(&run.see(Evidence::Handshake, Some("7"), Sight::Expected)));
    assert!(!converged(&run.see(Evidence::Handshake, Some("7"), Sight::Expected)));
    assert!(converged(&run.see(Evidence::Handshake, Some("8"), Sight::Expected)));
}

#[test]
fn mode_observe_alerts_and_acts_on_nothing() {
    let mut run = Run::new(Policy { mode: Mode::Observe, ..healing() });
    run.old();
    run.pass(6);
    assert_eq!(raised(&run.old()), ["CD-401"]);
    run.pass(600);
    run.old();
    run.old();
    assert_eq!(remedies(&run.actions), []);
    run.tell(&Event::PolicyChanged { policy: Box::new(healing()) });
    assert_eq!(remedies(&run.old()), [], "others may have mended it while it was only looked on");
    assert_eq!(remedies(&run.old()), [(1, "reload".to_owned())], "until it is switched on");
}

#[test]
fn no_remedy_is_started_while_a_stored_certificate_is_worse() {
    let mut run = Run::new(healing());
    let invalid = vec!["other.example.com".to_owned()];
    run.tell(&Event::Published { revision: 1, changed: vec![], removed: vec![], invalid });
    run.old();
    run.pass(6);
    run.old();
    assert_eq!(remedies(&run.actions), []);
    run.tell(&Event::Published { revision: 2, changed: vec![], removed: vec![], invalid: vec![] });
    assert_eq!(remedies(&run.old()), []);
    assert_eq!(remedies(&run.actions), [(1, "reload".to_owned())]);
}

#[test]
fn the_budget_of_the_hour_is_kept_and_the_wait_is_told() {
    let text = r#"{"mode": "heal", "grace": "1s", "min_interval": "1s", "budget_per_hour": 2, "settle": "1s", "alert_after": "10m", "proofs": 1,
        "remedies": [{"name": "reload", "command": {"argv": ["true"]}}]}"#;
    let mut run = Run::new(policy(text));
    for _ in 0..3 {
        run.old();
        run.pass(2);
        for (id, _) in remedies(&run.old()) {
            run.end(id, true);
        }
        run.new_one();
        run.pass(60);
    }
    assert_eq!(remedies(&run.actions).len(), 2);
    run.old();
    run.pass(3_500);
    let alert = run.actions.iter().find_map(|a| match a {
        Action::Raise { finding, .. } => Some(finding),
        _ => None,
    });
    assert_eq!(alert.map(|f| f.code.as_str()), Some("CD-403"));
    run.old();
    run.old();
    assert_eq!(remedies(&run.actions).len(), 3, "the hour has passed");
}

#[test]
fn a_restart_waits_for_its_window_other_rollouts_a_replica_and_the_disruption_budget() {
    let text = r#"{"mode": "heal", "grace": "1s", "alert_after": "7d", "windows": [{"from": "02:00", "to": "03:00"}],
        "remedies": [{"name": "restart", "restarts": true, "command": {"argv": ["true"]}}]}"#;
    let free = Workload { replicas: Some(2), ..Workload::default() };
    for (minutes, workload, started) in [
        (119, free, false),
        (121, free, true),
        (121, Workload { rollout_running: true, ..free }, false),
        (121, Workload { replicas: Some(1), ..free }, false),
        (121, Workload { replicas: None, ..free }, false),
        (121, Workload { disruptions_allowed: Some(0), ..free }, false),
        (121, Workload { disruptions_allowed: Some(1), ..free }, true),
    ] {
        let mut run = Run::new(policy(text));
        run.tell(&Event::Workload(workload));
        run.pass(minutes * 60);
        run.old();
        run.pass(2);
        run.old();
        run.old();
        assert_eq!(!remedies(&run.actions).is_empty(), started, "{minutes} {workload:?}");
    }
}

#[test]
fn a_remedy_interrupted_by_a_crash_is_told_and_not_repeated_before_the_wire_is_seen() {
    let mut run = Run::new(healing());
    let id = run.drift_until_remedy();
    let kept = serde_json::to_vec(run.state()).expect("JSON");
    run.state = Some(serde_json::from_slice(&kept).expect("the state"));
    run.now.0 += 5_000;
    let told = run.tell(&Event::Restarted);
    assert!(
        told.iter().any(|a| matches!(a, Action::Tell { finding } if finding.code == "CD-406")),
        "{told:?}"
    );
    run.end(id, true);
    run.up("a");
    assert_eq!(remedies(&run.pass(30)), []);
    run.new_one();
    assert!(converged(&run.new_one()));
}

#[test]
fn after_a_restart_the_wire_has_its_whole_time_again_before_the_next_remedy() {
    let mut run = Run::new(healing());
    let id = run.drift_until_remedy();
    run.end(id, true);
    let whole = run.state().policy.prove_within.as_millis();
    let nearly = u32::try_from(whole / 1_000).expect("seconds") - 1;
    run.pass(nearly);
    run.tell(&Event::Restarted);
    run.up("a");
    let told = run.pass(nearly);
    assert!(
        run.state().drifts().all(|(.., drift)| drift.proving.is_some()),
        "it is still waited for: {told:?}"
    );
    run.pass(2);
    assert!(run.state().drifts().all(|(.., drift)| drift.proving.is_none()));
}

#[test]
fn a_remedy_interrupted_by_a_crash_has_its_time_before_another_is_started() {
    let mut run = Run::new(healing());
    run.tell(&Event::Workload(Workload { replicas: Some(2), ..Workload::default() }));
    run.drift_until_remedy();
    run.now.0 += 5_000;
    run.tell(&Event::Restarted);
    run.up("a");
    // Its timeout is 30 s and began before the crash: nobody ended it, and it may be at work.
    for _ in 0..24 {
        run.pass(1);
        assert_eq!(remedies(&run.old()), []);
    }
    run.pass(4);
    run.old();
    run.pass(1);
    assert_eq!(remedies(&run.old()), [(2, "restart".to_owned())]);
}

#[test]
fn a_remedy_that_tells_nothing_is_abandoned_in_time() {
    let mut run = Run::new(healing());
    run.drift_until_remedy();
    let actions = run.pass(36);
    assert!(actions.iter().any(|a| matches!(a, Action::AbandonRemedy { id: 1 })));
    assert!(run.state().in_flight.is_none());
}

#[test]
fn an_acknowledged_drift_stays_visible_and_is_neither_alerted_nor_healed_until_its_end() {
    let mut run = Run::new(healing());
    let until = Millis(run.now.0 + 3_600_000);
    run.tell(&Event::Acknowledged(Acknowledgement {
        host: "demo.example.com".into(),
        reason: "known".into(),
        until,
    }));
    run.old();
    run.pass(3_000);
    run.old();
    assert_eq!((remedies(&run.actions), raised(&run.actions)), (vec![], vec![]));
    assert_eq!(run.state().drifts().count(), 1);
    run.pass(601);
    run.old();
    run.old();
    assert_eq!(remedies(&run.actions), [(1, "reload".to_owned())]);
}

#[test]
fn a_drift_that_cannot_be_seen_again_alerts_in_time() {
    let mut run = Run::new(healing());
    run.old();
    run.tell(&Event::EndpointUnreachable { endpoint: "a".into() });
    assert_eq!(raised(&run.pass(299)), [] as [&str; 0]);
    assert_eq!(raised(&run.pass(1)), ["CD-403"]);
}

#[test]
fn an_edge_is_never_healed() {
    let mut run = Run::new(healing());
    run.tell(&Event::EndpointUp { endpoint: "a".into(), edge: true, workers: None, started: None });
    run.up("b");
    run.old();
    run.pass(6);
    run.old();
    assert_eq!((raised(&run.actions), remedies(&run.actions)), (vec![], vec![]), "nobody has seen b yet");
    run.fellows.right = 1;
    assert_eq!(raised(&run.old()), ["CD-404"]);
    run.fellows = Fellows { right: 1, wrong: 1, unseen: 0 };
    run.old();
    run.pass(300);
    assert_eq!(remedies(&run.actions), []);
}

#[test]
fn a_new_expectation_begins_anew() {
    let mut run = Run::new(healing());
    run.old();
    run.pass(300);
    assert_eq!(raised(&run.actions), ["CD-403"]);
    let changed = vec!["demo.example.com".to_owned()];
    let actions = run.tell(&Event::Published { revision: 9, changed, removed: vec![], invalid: vec![] });
    assert_eq!((cleared(&actions), probes(&actions)), (vec!["CD-403".to_owned()], 1));
    assert_eq!(run.state().drifts().count(), 0);
}

#[test]
fn a_clock_that_jumps_lets_no_grace_and_no_hour_pass() {
    let mut run = Run::new(Policy { grace: "2m".parse().expect("a period"), ..healing() });
    run.old();
    run.now.0 += 3_600_000;
    run.tell(&Event::Tick);
    run.old();
    run.old();
    assert_eq!(remedies(&run.actions), [], "an hour by the clock, a minute by the machine");
    run.now.0 -= 7_200_000;
    run.tell(&Event::Tick);
    run.pass(61);
    run.old();
    run.old();
    assert_eq!(remedies(&run.actions).len(), 1, "and a clock set back freezes nothing");
}
