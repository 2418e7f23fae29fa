//! A recorded history replays to the same actions, byte for byte.
//!
//! `testdata/convergence/history.jsonl` holds a state and then a line per event: the time, the event, the actions it
//! gave when it was recorded. Where the machine is meant to change, `CERTDRIFT_BLESS=1` records anew, and the
//! difference is for the reviewer.
use super::*;
use crate::converge::{Acknowledgement, Workload};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Serialize, Deserialize)]
struct Line {
    now: Millis,
    event: Event,
    actions: Vec<Action>,
}

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/convergence").join(name)
}

pub(super) fn text(state: &State, told: &Told) -> String {
    let mut text = serde_json::to_string(state).expect("JSON") + "\n";
    for (now, event, actions) in told {
        let line = Line { now: *now, event: event.clone(), actions: actions.clone() };
        text += &(serde_json::to_string(&line).expect("JSON") + "\n");
    }
    text
}

/// Reads a recording and gives what the machine of today records for the same events.
pub(super) fn replayed(recording: &str) -> String {
    let mut lines = recording.lines();
    let first: State = serde_json::from_str(lines.next().expect("a state")).expect("a state");
    let mut state = first.clone();
    let mut told = Vec::new();
    for line in lines {
        let line: Line = serde_json::from_str(line).expect("a line");
        let (next, actions) = step(state, &line.event, line.now);
        told.push((line.now, line.event, actions));
        state = next;
    }
    text(&first, &told)
}

/// A bit of everything: a reload that helps, one that does not, a restart, a crash, an acknowledgement, a new ledger.
fn recorded() -> (State, Run) {
    let mut run = Run::new(healing());
    let first = State::new("nginx", healing(), START);
    run.tell(&Event::Workload(Workload { replicas: Some(2), ..Workload::default() }));
    let id = run.drift_until_remedy();
    run.now.0 += 40;
    run.end(id, true);
    run.new_one();
    run.new_one();
    run.see(Evidence::Tap, Some("7"), Sight::Drift(DriftClass::Previous));
    run.see(Evidence::Handshake, Some("8"), Sight::Expected);
    run.pass(60);
    for (id, _) in remedies(&run.old()) {
        run.end(id, false);
    }
    run.pass(11);
    run.old();
    run.pass(1);
    run.old();
    run.tell(&Event::Restarted);
    run.up("a");
    run.pass(51);
    run.old();
    run.old();
    let until = Millis(run.now.0 + 5_000);
    let host = "demo.example.com".to_owned();
    run.tell(&Event::Acknowledged(Acknowledgement { host: host.clone(), reason: "known".into(), until }));
    run.pass(6);
    run.old();
    run.tell(&Event::EndpointUnreachable { endpoint: "a".into() });
    run.pass(2);
    run.up("a");
    let (changed, invalid) = (vec![host], vec!["other.example.com".to_owned()]);
    run.tell(&Event::Published { revision: 2, changed, removed: vec![], invalid });
    run.old();
    run.pass(6);
    run.old();
    run.tell(&Event::Published { revision: 3, changed: vec![], removed: vec![], invalid: vec![] });
    run.old();
    (first, run)
}

#[test]
fn the_recorded_history_gives_the_same_actions_byte_for_byte() {
    let path = testdata("history.jsonl");
    if std::env::var_os("CERTDRIFT_BLESS").is_some() {
        let (first, run) = recorded();
        std::fs::write(&path, text(&first, &run.told)).expect("testdata");
        std::fs::write(testdata("state.json"), serde_json::to_vec(run.state()).expect("JSON"))
            .expect("testdata");
    }
    let recording = std::fs::read_to_string(&path).expect("testdata");
    let wanted = ["start-remedy", "CD-402", "CD-406", "not-helped", "acknowledged", "converged", "clear"];
    for part in wanted {
        assert!(recording.contains(part), "the recording shows {part}");
    }
    for (n, (old, new)) in recording.lines().zip(replayed(&recording).lines()).enumerate() {
        assert_eq!(old, new, "line {}", n + 1);
    }
    assert_eq!(recording, replayed(&recording));
}
