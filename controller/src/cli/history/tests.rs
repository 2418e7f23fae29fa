//! What the history looks like.
use super::view::Shown;
use crate::cli::output::{Marks, View as _};
use crate::converge::{Intent, Millis, Record, What};
use crate::diagnose::Cause;
use certdrift_contract::Fingerprint;

const OLD: Fingerprint = Fingerprint::from_digest([0x11; 32]);
const NEW: Fingerprint = Fingerprint::from_digest([0xab; 32]);

fn intent(id: u64, at: i64) -> Intent {
    Intent {
        id,
        gateway: "kong".into(),
        remedy: "reload".into(),
        kind: "kube-exec".into(),
        endpoint: "kong/a".into(),
        host: "x.example".into(),
        cause: Cause::StaleWorker,
        covers: 2,
        served: Some(OLD),
        expected: vec![NEW],
        at: Millis(at),
        timeout_ms: 30_000,
        price: "a reload".into(),
    }
}

fn record(at: i64, what: What) -> Record {
    Record { at: Millis(at), gateway: "kong".into(), what }
}

fn story() -> Vec<Record> {
    let (endpoint, host) = ("kong/a".to_owned(), "x.example".to_owned());
    let drifted = What::Drifted {
        endpoint: endpoint.clone(),
        host: host.clone(),
        class: "previous".into(),
        served: Some(OLD),
        expected: vec![NEW],
    };
    let said = "kong reload in pod kong/a: done".to_owned();
    vec![
        record(0, drifted),
        record(1_000, What::Remedy { intent: intent(1, 1_000) }),
        record(1_100, What::NotStarted { id: 1, remedy: "reload".into(), why: "another leads".into() }),
        record(11_000, What::Remedy { intent: intent(2, 11_000) }),
        record(11_900, What::Ended { id: 2, remedy: "reload".into(), ok: true, said, took_ms: 900 }),
        record(
            14_200,
            What::Converged {
                endpoint,
                host,
                after: Some("reload".into()),
                took_ms: 14_200,
                handshakes: 5,
                workers: vec!["7".into(), "8".into()],
                served: Some(NEW),
            },
        ),
    ]
}

fn shown(shown: &Shown) -> String {
    let mut text = Vec::new();
    shown.human(&mut text, false, Marks::UNICODE).unwrap();
    anstream::adapter::strip_str(&String::from_utf8(text).unwrap()).to_string()
}

#[test]
fn an_act_is_shown_with_why_what_it_said_and_what_the_wire_shows() {
    assert_eq!(
        shown(&Shown::new(story(), &[])),
        "1970-01-01T00:00:00Z  kong  drift (previous) of x.example on kong/a: served 11111111, expected abababab
1970-01-01T00:00:01Z  kong  reload (kube-exec) for x.example on kong/a and 1 more
  why     stale-worker: served 11111111, expected abababab
  did     not-started: another leads
1970-01-01T00:00:11Z  kong  reload (kube-exec) for x.example on kong/a and 1 more
  why     stale-worker: served 11111111, expected abababab
  did     done (0.9 s): kong reload in pod kong/a: done
  wire    proven after 3.2 s: x.example on kong/a serves abababab, 5 handshakes, 2 workers by name
"
    );
}

#[test]
fn only_the_hosts_that_are_asked_for_are_shown() {
    assert_eq!(
        shown(&Shown::new(story(), &["y.example".into()])),
        "nothing was done, and no drift was seen\n"
    );
    assert!(shown(&Shown::new(story(), &["x.example".into()])).contains("proven after"));
}

#[test]
fn an_act_whose_end_is_not_known_says_so() {
    let begun = vec![record(1_000, What::Remedy { intent: intent(1, 1_000) })];
    let shown_now = Shown::new(begun, &[]);
    assert!(shown(&shown_now).contains("it has not ended, or its end was not recorded"));
    assert_eq!(shown_now.short(), ["1970-01-01T00:00:01Z kong reload x.example"]);
}
