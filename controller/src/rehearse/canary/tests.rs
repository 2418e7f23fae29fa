use super::*;
use crate::rehearse::way::tests::{PEM, endpoint_of, gateway_of};
use crate::run::state;
use serde_json::{Value, json};

const TERMS: Terms = Terms { every: 3_600_000, within: 300_000 };
/// 2026-11-25T00:00:00Z
const START: i64 = 1_795_564_800_000;

fn at(seconds: i64) -> Millis {
    Millis(START + seconds * 1_000)
}

fn written(seconds: i64) -> String {
    at(seconds).seconds().to_string()
}

/// What cert-manager has: the revision that is stored, since when it is being issued, and its requests: revision, when it
/// was made, whether it is signed.
struct Has {
    certificate: Certificate,
    requests: Vec<CertificateRequest>,
}

fn has(revision: u64, issuing: Option<i64>, requests: &[(u64, i64, bool)]) -> Has {
    let mut conditions = vec![json!({"type": "Ready", "status": "True"})];
    conditions.extend(
        issuing.map(|at| json!({"type": "Issuing", "status": "True", "lastTransitionTime": written(at)})),
    );
    let certificate = json!({"metadata": {"name": "canary", "namespace": "own", "uid": "u"},
        "spec": {"secretName": "canary-tls"}, "status": {"revision": revision, "conditions": conditions}});
    let request = |(revision, made, signed): &(u64, i64, bool)| {
        request(*revision, *made, if *signed { "True" } else { "False" }, "")
    };
    Has {
        certificate: serde_json::from_value(certificate).unwrap(),
        requests: requests.iter().map(request).collect(),
    }
}

fn request(revision: u64, made: i64, ready: &str, reason: &str) -> CertificateRequest {
    use base64::Engine as _;
    let pem = base64::engine::general_purpose::STANDARD.encode(PEM);
    let whole: Value = json!({"metadata": {"name": format!("canary-{revision}"), "namespace": "own",
            "creationTimestamp": written(made),
            "annotations": {"cert-manager.io/certificate-revision": revision.to_string()},
            "ownerReferences": [{"kind": "Certificate", "name": "canary", "uid": "u", "controller": true}]},
        "status": {"certificate": if ready == "True" { pem } else { String::new() }, "conditions": [
            {"type": "Ready", "status": ready, "reason": reason, "message": "by policy", "lastTransitionTime": written(made)}]}});
    serde_json::from_value(whole).unwrap()
}

impl Has {
    fn known(&self) -> Known<'_> {
        Known { certificate: Some(&self.certificate), requests: &self.requests }
    }

    /// `served`: whether both endpoints are proven to serve what was signed last.
    fn seen(&self, served: bool) -> Seen {
        let leaf =
            self.requests.iter().rev().find_map(|r| Some(r.signing()?.0.to_string())).unwrap_or_default();
        let other = "0".repeat(64);
        let what = if served { &leaf } else { &other };
        let gateway: state::Gateway =
            gateway_of("own/canary-tls", &leaf, &[endpoint_of("a", &leaf), endpoint_of("b", what)]);
        Seen {
            certificate: Some(self.certificate.clone()),
            requests: self.requests.clone(),
            gateways: Some(vec![gateway]),
        }
    }

    fn looked(&self, canary: &mut Canary, served: bool, now: Millis) -> Option<News> {
        canary.hears(self.known(), now);
        canary.looks(&self.seen(served), TERMS, now)
    }

    fn may(&self, canary: &Canary, now: Millis) -> Result<(), Wait> {
        canary.may_ask(self.known(), true, true, TERMS, now)
    }
}

/// One that has seen the first certificate proven.
fn settled() -> Canary {
    let mut canary = Canary::default();
    let worked = has(1, None, &[(1, 0, true)]).looked(&mut canary, true, at(10));
    assert_eq!(
        worked,
        Some(News::Worked(Success { at: at(0), took: None })),
        "this process did not see it begin"
    );
    canary
}

#[test]
fn one_is_asked_for_when_the_last_was_so_long_ago_and_not_before() {
    let canary = settled();
    let is = has(1, None, &[(1, 0, true)]);
    assert_eq!(is.may(&canary, at(3_599)), Err(Wait::NotDue(at(3_600))));
    assert_eq!(is.may(&canary, at(3_600)), Ok(()));
}

#[test]
fn a_restart_and_another_leader_ask_no_sooner() {
    // Nothing is remembered: what stands in the cluster decides.
    let is = has(7, None, &[(7, 0, true)]);
    let mut fresh = Canary::default();
    assert_eq!(is.looked(&mut fresh, true, at(1_800)), Some(News::Worked(Success { at: at(0), took: None })));
    assert_eq!(is.may(&fresh, at(1_800)), Err(Wait::NotDue(at(3_600))));
    assert_eq!(is.may(&fresh, at(3_600)), Ok(()));
    // Whoever asked last, by drill or by hand, the next is due so long after that.
    assert_eq!(
        has(8, None, &[(7, 0, true), (8, 1_000, true)]).may(&fresh, at(3_600)),
        Err(Wait::NotDue(at(4_600)))
    );
}

#[test]
fn who_follows_asks_for_nothing_and_sees_all_the_same_what_became_of_it() {
    let mut canary = settled();
    let is = has(1, None, &[(1, 0, true)]);
    assert_eq!(canary.may_ask(is.known(), false, true, TERMS, at(9_999)), Err(Wait::Following));
    has(1, Some(4_000), &[(1, 0, true)]).looked(&mut canary, false, at(4_000));
    let worked = has(2, None, &[(2, 4_001, true)]).looked(&mut canary, true, at(4_003));
    assert_eq!(worked, Some(News::Worked(Success { at: at(4_003), took: Some(3_000) })));
}

#[test]
fn what_could_not_be_proven_is_not_asked_for() {
    let canary = settled();
    let is = has(1, None, &[(1, 0, true)]);
    assert_eq!(canary.may_ask(is.known(), true, false, TERMS, at(9_999)), Err(Wait::NotBound));
    let none = Known { certificate: None, requests: &[] };
    assert_eq!(canary.may_ask(none, true, true, TERMS, at(9_999)), Err(Wait::NoCertificate));
}

#[test]
fn two_ways_never_overlap() {
    let mut canary = settled();
    canary.asks();
    let before = has(1, None, &[(1, 0, true)]);
    assert_eq!(before.may(&canary, at(3_600)), Err(Wait::UnderWay), "cert-manager is being asked");
    canary.was_asked(Ok(Millis(at(3_600).0 + 250)), at(3_600));
    // The watch may tell of it late.
    assert_eq!(before.may(&canary, at(3_601)), Err(Wait::NotDue(Millis(at(7_200).0 + 250))));
    let issuing = has(1, Some(3_600), &[(1, 0, true)]);
    assert_eq!(issuing.looked(&mut canary, false, at(3_601)), None);
    assert_eq!(issuing.may(&canary, at(9_000)), Err(Wait::UnderWay), "being issued");
    let stored = has(2, None, &[(2, 3_601, true)]);
    assert_eq!(stored.looked(&mut canary, false, at(3_602)), None);
    assert_eq!(stored.may(&canary, at(7_300)), Err(Wait::UnderWay), "not given up yet");
    let worked = stored.looked(&mut canary, true, Millis(at(3_603).0 + 250));
    assert_eq!(worked, Some(News::Worked(Success { at: Millis(at(3_603).0 + 250), took: Some(3_000) })));
}

#[test]
fn what_is_not_served_in_time_is_told_with_its_hop_once_and_the_next_is_asked_for_all_the_same() {
    let mut canary = settled();
    has(1, Some(3_600), &[(1, 0, true)]).looked(&mut canary, false, at(3_600));
    let stored = has(2, None, &[(2, 3_600, true)]);
    assert_eq!(stored.looked(&mut canary, false, at(3_900)), None);
    let Some(News::Failed(failure)) = stored.looked(&mut canary, false, at(3_901)) else {
        panic!("{canary:?}")
    };
    assert_eq!((failure.hop, failure.asked), (Hop::Loaded, at(3_600)));
    assert_eq!(stored.looked(&mut canary, false, at(3_902)), None, "once");
    assert_eq!(stored.may(&canary, at(7_199)), Err(Wait::NotDue(at(7_200))));
    assert_eq!(stored.may(&canary, at(7_200)), Ok(()));
    // The next one works, and nothing is failed any more.
    has(2, Some(7_200), &[(2, 3_600, true)]).looked(&mut canary, false, at(7_200));
    assert!(canary.failed().is_some());
    let worked = has(3, None, &[(3, 7_200, true)]).looked(&mut canary, true, at(7_204));
    assert_eq!(worked, Some(News::Worked(Success { at: at(7_204), took: Some(4_000) })));
    assert_eq!(canary.failed(), None);
}

#[test]
fn one_that_comes_late_takes_back_that_it_failed() {
    let mut canary = settled();
    has(1, Some(3_600), &[(1, 0, true)]).looked(&mut canary, false, at(3_600));
    let stored = has(2, None, &[(2, 3_600, true)]);
    assert!(matches!(stored.looked(&mut canary, false, at(4_000)), Some(News::Failed(_))));
    let worked = stored.looked(&mut canary, true, at(4_100));
    assert_eq!(worked, Some(News::Worked(Success { at: at(4_100), took: Some(500_000) })));
    assert_eq!(canary.failed(), None);
}

#[test]
fn a_request_that_is_denied_fails_at_once_and_an_old_one_does_not() {
    let mut canary = settled();
    let mut denied = has(1, Some(3_600), &[(1, 0, true)]);
    denied.requests.push(request(2, 3_601, "False", "Denied"));
    let Some(News::Failed(failure)) = denied.looked(&mut canary, false, at(3_602)) else {
        panic!("{canary:?}")
    };
    assert_eq!(failure.hop, Hop::Issued);
    assert!(failure.why.unwrap().contains("by policy"));
    // An hour later it is asked for again, and the request of before is there for a moment still.
    denied = has(1, Some(7_300), &[(1, 0, true)]);
    denied.requests.push(request(2, 3_601, "False", "Denied"));
    assert_eq!(denied.looked(&mut canary, false, at(7_300)), None);
}

#[test]
fn what_was_under_way_when_this_process_began_has_its_time_from_then_on() {
    let mut canary = Canary::default();
    let stored = has(2, None, &[(2, 0, true)]);
    assert_eq!(stored.looked(&mut canary, false, at(2_000)), None, "endpoints were not looked at yet");
    assert_eq!(stored.looked(&mut canary, false, at(2_300)), None);
    assert!(matches!(stored.looked(&mut canary, false, at(2_301)), Some(News::Failed(_))));
}

#[test]
fn what_is_refused_is_asked_for_again_a_minute_later() {
    let mut canary = settled();
    let is = has(1, None, &[(1, 0, true)]);
    canary.asks();
    canary.was_asked(Err(("an ACME authority issues it".into(), "another issuer".into())), at(3_600));
    assert!(matches!(is.may(&canary, at(3_659)), Err(Wait::Refused(why, _)) if why.contains("ACME")));
    assert_eq!(is.may(&canary, at(3_660)), Ok(()));
}

#[test]
fn a_certificate_that_was_made_anew_is_another() {
    let mut canary = settled();
    let mut anew = has(1, None, &[]);
    anew.certificate.metadata.uid = "v".into();
    anew.requests = vec![request(1, 5_000, "True", "")];
    anew.looked(&mut canary, false, at(5_001));
    assert!(canary.is_under_way(), "its first revision is not the first of the one before");
}

#[test]
fn where_no_endpoint_tells_what_it_has_loaded_the_hop_that_failed_is_the_next() {
    let mut canary = settled();
    has(1, Some(3_600), &[(1, 0, true)]).looked(&mut canary, false, at(3_600));
    let stored = has(2, None, &[(2, 3_600, true)]);
    let mut seen = stored.seen(false);
    for endpoint in seen.gateways.iter_mut().flatten().flat_map(|gateway| &mut gateway.endpoints) {
        endpoint.loaded = None;
    }
    canary.hears(stored.known(), at(3_901));
    let Some(News::Failed(failure)) = canary.looks(&seen, TERMS, at(3_901)) else { panic!("{canary:?}") };
    assert_eq!(failure.hop, Hop::Served);
    // A host that no ledger lists any more.
    let mut canary = settled();
    has(1, Some(3_600), &[(1, 0, true)]).looked(&mut canary, false, at(3_600));
    seen.gateways = Some(Vec::new());
    canary.hears(stored.known(), at(3_901));
    let Some(News::Failed(failure)) = canary.looks(&seen, TERMS, at(3_901)) else { panic!("{canary:?}") };
    assert_eq!(failure.hop, Hop::Published);
}
