//! Where an issuance stands, and what is said of it: every scenario of `tests/issuance/scenarios.yaml`.
use base64::Engine as _;
use certdrift::cluster::ObjectName;
use certdrift::cluster::cert_manager::{Certificate, CertificateRequest};
use certdrift::issuance::facts::{NextKey, Target};
use certdrift::issuance::not_stored::Suspects;
use certdrift::issuance::permission::{Review, ServiceAccount, Verb, missing};
use certdrift::issuance::{Facts, Judged, judge};
use certdrift::source::kubernetes::requests::Issued;
use certdrift::source::kubernetes::secret::{Secret, Selection, reader};
use certdrift_contract::UnixTime;
use rcgen::{CertificateParams, KeyPair};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    from: String,
    now: UnixTime,
    /// Which Certificate is meant, where there are several.
    #[serde(default)]
    of: Option<String>,
    #[serde(default)]
    lasted: i64,
    #[serde(default)]
    keyless: bool,
    #[serde(default)]
    next_key: Option<String>,
    objects: Vec<Value>,
    #[serde(default)]
    reviews: Option<BTreeMap<Verb, bool>>,
    state: String,
    #[serde(default)]
    finding: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    code: String,
    object: String,
    #[serde(default)]
    says: String,
    #[serde(default)]
    mend: String,
}

/// The base64 of a PEM certificate, as the API writes it.
fn made() -> String {
    let key = KeyPair::generate().unwrap();
    let pem = CertificateParams::new(vec!["x.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    base64::engine::general_purpose::STANDARD.encode(pem)
}

fn scenarios() -> Vec<Scenario> {
    let text = include_str!("issuance/scenarios.yaml");
    let text = text.replace("$old", &made()).replace("$new", &made());
    serde_saphyr::from_str(&text).unwrap()
}

fn of<T: for<'a> Deserialize<'a>>(objects: &[Value], kind: &str) -> Vec<T> {
    let of_kind = objects.iter().filter(|o| o["kind"] == kind);
    of_kind.map(|o| serde_json::from_str(&o.to_string()).unwrap_or_else(|e| panic!("{o}: {e}"))).collect()
}

fn run(scenario: &Scenario) -> Judged {
    let certificates: Vec<Certificate> = of(&scenario.objects, "Certificate");
    let requests: Vec<CertificateRequest> = of(&scenario.objects, "CertificateRequest");
    let certificate = match &scenario.of {
        Some(name) => certificates.iter().find(|c| c.metadata.object().to_string() == *name).unwrap(),
        None => &certificates[0],
    };
    let read = reader(Selection::default());
    let secrets = scenario.objects.iter().filter(|o| o["kind"] == "Secret");
    let secrets: Vec<Secret> =
        secrets.map(|o| read(o.to_string().as_bytes()).unwrap().kept.unwrap().unwrap()).collect();
    let target = match secrets.iter().find(|s| s.name == certificate.secret()) {
        _ if scenario.keyless => Target::Unknown,
        Some(secret) => Target::There {
            leaf: secret.reading.certificate.as_ref().map(|c| c.leaf),
            owner: secret.certificate.clone(),
            immutable: secret.immutable,
        },
        None => Target::Absent,
    };
    let next_key = match scenario.next_key.as_deref() {
        Some("absent") => NextKey::Absent,
        Some("foreign") => NextKey::Foreign,
        Some("there") => NextKey::There,
        _ => NextKey::Unknown,
    };
    let issued = Issued::new(&certificates, &requests);
    let rivals = certificates
        .iter()
        .filter(|c| c.secret() == certificate.secret() && c.metadata.uid != certificate.metadata.uid)
        .map(|c| c.metadata.object())
        .collect();
    let facts = Facts { certificate, requests: issued.requests(certificate), target, next_key, rivals };
    let account = ServiceAccount(ObjectName::new("cert-manager", "cert-manager"));
    let suspects = match &scenario.reviews {
        None => Suspects::Unknown,
        Some(allowed) => {
            let answer = |ok: &bool| serde_json::from_value(json!({"status": {"allowed": ok}})).unwrap();
            let reviews: Vec<(Verb, Review)> = allowed.iter().map(|(v, ok)| (*v, answer(ok))).collect();
            Suspects::Lacks { user: account.user(), verbs: missing(&reviews) }
        }
    };
    let mut before = None;
    judge(&facts, &mut before, &suspects, scenario.now.plus(-scenario.lasted));
    judge(&facts, &mut before, &suspects, scenario.now)
}

#[test]
fn every_scenario_has_its_state_and_its_finding() {
    let mut seen = BTreeSet::new();
    for scenario in scenarios() {
        let judged = run(&scenario);
        let at = format!("{} ({}): {judged:#?}", scenario.name, scenario.from);
        assert_eq!(judged.state.name(), scenario.state, "{at}");
        seen.insert(judged.state.name());
        match (&judged.finding, &scenario.finding) {
            (None, None) => {
                // What is not told yet says when it will be, and then it is.
                if let Some(next) = judged.changes_at.filter(|_| judged.state.name() != "done") {
                    assert!(next > scenario.now, "{at}");
                    let later = Scenario {
                        now: next,
                        lasted: next.since(scenario.now) + scenario.lasted,
                        ..scenario
                    };
                    assert!(run(&later).finding.is_some(), "{at}: at {next} it is told");
                }
            }
            (Some(finding), Some(expected)) => {
                assert_eq!(
                    (finding.code.as_str(), finding.object.as_str()),
                    (expected.code.as_str(), expected.object.as_str()),
                    "{at}"
                );
                assert!(finding.why.contains(&expected.says), "{at}");
                assert!(finding.mend.contains(&expected.mend), "{at}");
                // As all mends: after `do:` and inside log lines.
                assert!(
                    !finding.mend.starts_with(char::is_uppercase) && !finding.mend.ends_with('.'),
                    "{at}"
                );
            }
            _ => panic!("{at}"),
        }
    }
    assert_eq!(seen.len(), 21, "a state without a scenario: {seen:?}");
}

#[test]
fn the_review_is_the_one_that_was_measured() {
    let account = ServiceAccount(ObjectName::new("cert-manager", "cert-manager"));
    let review = account.review(Verb::Patch, &ObjectName::new("demo", "web-tls"));
    // cluster-notes 1, "Which permission".
    let measured = json!({"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{
        "user":"system:serviceaccount:cert-manager:cert-manager",
        "groups":["system:serviceaccounts","system:serviceaccounts:cert-manager","system:authenticated"],
        "resourceAttributes":{"namespace":"demo","verb":"patch","group":"","version":"v1","resource":"secrets","name":"web-tls"}}});
    assert_eq!(review, measured);
}

#[test]
fn a_review_that_could_not_be_evaluated_accuses_nobody() {
    let review: Review =
        serde_json::from_value(json!({"status": {"allowed": false, "evaluationError": "timeout"}})).unwrap();
    assert_eq!(missing(&[(Verb::Patch, review)]), []);
}
