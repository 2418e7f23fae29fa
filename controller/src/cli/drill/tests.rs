//! How far a re-issue has come, and what the report says of it.
use super::report::{About, Report};
use crate::cli::Exit;
use crate::cli::output::{Marks, View as _};
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::Certificate;
use crate::converge::Millis;
use crate::rehearse::ask::Identity;
use crate::rehearse::way::{Hop, Seen, Way};
use crate::run::state::State;
use serde_json::{Value, json};

const PEM: &str = include_str!("../../../testdata/drill/leaf.pem");

fn certificate(revision: u64, issuing: bool) -> Certificate {
    let issuing = json!({"type": "Issuing", "status": if issuing { "True" } else { "False" }});
    let whole = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {"secretName": "web-tls"},
        "status": {"revision": revision, "conditions": [{"type": "Ready", "status": "True"}, issuing]}});
    serde_json::from_value(whole).unwrap()
}

fn requests(revision: u64, ready: &str) -> Vec<crate::cluster::cert_manager::CertificateRequest> {
    use base64::Engine as _;
    let pem = base64::engine::general_purpose::STANDARD.encode(PEM);
    let whole = json!([{"metadata": {"name": format!("web-{revision}"), "namespace": "shop",
            "creationTimestamp": "2026-11-25T00:00:00Z",
            "annotations": {"cert-manager.io/certificate-revision": revision.to_string()},
            "ownerReferences": [{"kind": "Certificate", "name": "web", "uid": "u", "controller": true}]},
        "status": {"certificate": pem, "conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-25T00:00:00Z"}]}}]);
    serde_json::from_value(whole).unwrap()
}

/// One host on one endpoint, as the controller knows it.
fn state(expected: &str, served: &str, proven: bool, loaded: &Value) -> State {
    let now = "2026-11-25T00:00:00Z";
    let seen = json!({"endpoint": "kong/a", "verdict": "match", "class": null, "evidence": "handshake", "served": served,
        "not_after": null, "possession": "proven", "at": now, "since": now, "blind": null, "proof": null, "proven": proven,
        "workers": [], "cause": null, "waits": null, "acknowledged": null});
    let host = json!({"host": "x.example", "source": "shop/web-tls", "expected": [expected], "not_after": null,
        "stored": true, "seen": [seen]});
    let endpoint = json!({"name": "kong/a", "address": "10.0.0.1:8443", "edge": false, "answers": true, "why": "",
        "workers": null, "loaded": loaded});
    serde_json::from_value(json!({"schema": "s", "version": "1", "started": now, "now": now, "gateways": [{"name": "kong",
        "mode": "observe", "ledger": null, "endpoints": [endpoint], "hosts": [host], "remedy": null, "findings": [],
        "renewals": [], "history": []}]}))
    .unwrap()
}

fn way() -> Way {
    Way::begin(&certificate(2, false), Millis(1_000))
}

fn leaf() -> String {
    let mut way = way();
    let seen =
        Seen { certificate: Some(certificate(2, true)), requests: requests(3, "True"), gateways: None };
    way.take(&seen, Millis(1_000));
    way.leaf.unwrap().to_string()
}

fn identity(serial: &str) -> Identity {
    let not_after = certdrift_contract::UnixTime::from_seconds(1_795_564_800);
    Identity { sha256: serial.repeat(32).to_lowercase(), serial: serial.to_owned(), not_after }
}

fn about() -> About {
    About {
        certificate: ObjectName::new("shop", "web"),
        secret: ObjectName::new("shop", "web-tls"),
        hosts: vec!["x.example".into()],
        endpoints: 1,
        begun: Millis(1_000),
        by: "ops".into(),
        before: Some(identity("0A")),
        after: Some(identity("0B")),
        findings: Vec::new(),
    }
}

#[test]
fn each_hop_is_timed_when_it_is_seen_to_be_done() {
    let (new, old) = (leaf(), "0".repeat(64));
    let mut way = way();
    let current = |changed: i64| json!({"state": "current", "changed": changed});
    let mut see = |at: i64, revision, issuing, request: (u64, &str), state: State| {
        let seen = Seen {
            certificate: Some(certificate(revision, issuing)),
            requests: requests(request.0, request.1),
            gateways: Some(state.gateways),
        };
        way.take(&seen, Millis(at));
        way.missing()
    };
    // The request before it, and one that is not signed yet, are none.
    assert_eq!(see(1_100, 2, true, (2, "True"), state(&old, &old, true, &current(0))), Some(Hop::Issued));
    assert_eq!(see(1_200, 2, true, (3, "False"), state(&old, &old, true, &current(0))), Some(Hop::Issued));
    assert_eq!(see(1_300, 2, true, (3, "True"), state(&old, &old, true, &current(0))), Some(Hop::Stored));
    assert_eq!(see(1_400, 3, false, (3, "True"), state(&old, &old, true, &current(0))), Some(Hop::Published));
    assert_eq!(see(1_500, 3, false, (3, "True"), state(&new, &old, true, &current(0))), Some(Hop::Loaded));
    assert_eq!(
        see(2_000, 3, false, (3, "True"), state(&new, &old, true, &current(1_900))),
        Some(Hop::Served)
    );
    assert_eq!(
        see(2_100, 3, false, (3, "True"), state(&new, &new, false, &current(1_900))),
        Some(Hop::Served)
    );
    assert_eq!(see(3_000, 3, false, (3, "True"), state(&new, &new, true, &current(1_900))), None);
    let took: Vec<Option<f64>> = Hop::ALL.into_iter().map(|hop| way.took(hop)).collect();
    assert_eq!(took, [Some(0.3), Some(0.4), Some(0.5), Some(1.0), Some(2.0)]);
    let report = Report::new(about(), &way);
    assert_eq!(report.exit(), Exit::Good);
    let mut text = Vec::new();
    report.human(&mut anstream::StripStream::new(&mut text), false, Marks::ASCII).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with(
            "WORKED shop/web: the whole way took 2.0 s\n  issued     0.30 s        request shop/web-3, leaf "
        ),
        "{text}"
    );
    assert!(text.ends_with("  served     2.00 s        1 endpoints, by handshakes\n"), "{text}");
    assert!(report.text().contains("| stored | done | 0.400 | Secret shop/web-tls |"), "{}", report.text());
}

#[test]
fn the_report_tells_the_certificate_before_from_the_one_after_and_json_holds_to_its_schema() {
    let report = Report::new(about(), &way());
    let text = report.text();
    assert!(text.contains("- before: serial 0A, SHA-256 0a0a"), "{text}");
    assert!(text.contains("- after: serial 0B, SHA-256 0b0b"), "{text}");
    let schema = schemars::schema_for!(Report);
    let json = serde_json::to_value(&report).unwrap();
    let listed = schema.as_value()["properties"].as_object().unwrap();
    let known: Vec<&String> = listed.keys().filter(|key| *key != "schema").collect();
    assert_eq!(
        json.as_object().unwrap().keys().collect::<std::collections::BTreeSet<_>>(),
        known.into_iter().collect()
    );
    crate::config::tests::kept("deploy/schema/drill.schema.json", &format!("{:#}\n", schema.as_value()));
}

#[test]
fn what_nobody_can_see_is_never_good() {
    let mut way = way();
    let seen =
        |gateways| Seen { certificate: Some(certificate(3, false)), requests: requests(3, "True"), gateways };
    let mut elsewhere = state("", "", true, &Value::Null);
    elsewhere.gateways[0].hosts[0].source = "shop/other".into();
    way.take(&seen(Some(elsewhere.gateways)), Millis(1_500));
    assert!(way.is_over());
    let report = Report::new(about(), &way);
    assert_eq!(report.exit(), Exit::Unknown);
    assert!(report.text().contains("| served | not observed |"), "{}", report.text());
}

#[test]
fn a_gateway_that_tells_nothing_of_what_it_has_loaded_is_proven_all_the_same() {
    let (mut way, new) = (way(), leaf());
    let seen = Seen {
        certificate: Some(certificate(3, false)),
        requests: requests(3, "True"),
        gateways: Some(state(&new, &new, true, &Value::Null).gateways),
    };
    way.take(&seen, Millis(1_500));
    assert_eq!((way.missing(), way.blind.as_slice()), (None, &[Hop::Loaded][..]));
    assert_eq!(Report::new(about(), &way).exit(), Exit::Good);
}

#[test]
fn the_hop_that_was_not_done_in_time_is_named() {
    let mut way = way();
    let seen =
        Seen { certificate: Some(certificate(2, true)), requests: requests(3, "True"), gateways: None };
    way.take(&seen, Millis(1_100));
    let report = Report::new(about(), &way);
    assert_eq!((report.exit(), way.missing()), (Exit::Drift, Some(Hop::Stored)));
    let mut text = Vec::new();
    report.human(&mut anstream::StripStream::new(&mut text), false, Marks::ASCII).unwrap();
    assert!(String::from_utf8(text).unwrap().starts_with("FAILED shop/web: it is not stored in time"));
}

#[test]
fn a_request_that_is_denied_ends_the_drill_at_once() {
    let mut way = way();
    let mut requests = requests(3, "False");
    requests[0].status.conditions[0].reason = "Denied".into();
    requests[0].status.conditions[0].message = "by policy".into();
    let seen = Seen { certificate: Some(certificate(2, true)), requests, gateways: None };
    way.take(&seen, Millis(1_100));
    assert!(way.is_over());
    assert_eq!(way.failed.as_deref(), Some("CertificateRequest shop/web-3: Denied: by policy"));
    assert_eq!(Report::new(about(), &way).exit(), Exit::Drift);
}

#[test]
fn an_endpoint_that_went_silent_after_its_proof_serves_nothing() {
    let (mut way, new) = (way(), leaf());
    let mut silent = state(&new, &new, true, &Value::Null);
    silent.gateways[0].endpoints[0].answers = Some(false);
    let seen = Seen {
        certificate: Some(certificate(3, false)),
        requests: requests(3, "True"),
        gateways: Some(silent.gateways),
    };
    way.take(&seen, Millis(1_500));
    assert_eq!(way.missing(), Some(Hop::Served));
}
