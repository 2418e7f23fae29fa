//! Secrets without keys, what they hold over time, and what CertificateRequests tell where Secrets may not be read.
use super::inventory::{Memory, VANISH};
use super::requests::{self, Issued};
use super::secret::{Secret, Selection, reader};
use crate::binding::claims::{By, Weight, Won};
use crate::binding::cluster::{Groups, Incoming, join};
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::cluster::{Names, ObjectName};
use crate::publish::build::{Policy, build};
use crate::source::made::{Authority, Leaf, NOW};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certdrift_contract::ledger::Content;
use certdrift_contract::{Fingerprint, Ledger, Rules};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn secret_json(name: &str, certificate: &str, key: &str, more: &Value) -> Value {
    let mut object = json!({"kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": "demo", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "data": {"ca.crt": "AAAA", "tls.crt": STANDARD.encode(certificate), "tls.key": STANDARD.encode(key)}});
    for (key, value) in more.as_object().into_iter().flatten() {
        object["metadata"][key] = value.clone();
    }
    object
}

fn secret(name: &str, leaf: &Leaf) -> Secret {
    taken(&secret_json(name, &leaf.certificate, &leaf.key, &json!({})), &Selection::default()).unwrap()
}

fn taken(object: &Value, selection: &Selection) -> Option<Secret> {
    reader(selection.clone())(object.to_string().as_bytes()).unwrap().kept.unwrap()
}

fn fingerprint(leaf: &Leaf) -> Fingerprint {
    crate::source::reading::read(leaf.certificate.as_bytes(), None, None).certificate.unwrap().leaf
}

fn one(name: &str) -> Names {
    Names::from([ObjectName::new("demo", name)])
}

/// These are there.
fn there<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> BTreeMap<&'a ObjectName, &'a Secret> {
    secrets.into_iter().map(|secret| (&secret.name, secret)).collect()
}

#[test]
fn a_secret_is_read_without_its_key() {
    let leaf = Authority::new().leaf(&["x.example"], -1, 90);
    let kept = secret("s", &leaf);
    assert_eq!(kept.reading.certificate.as_ref().unwrap().leaf, fingerprint(&leaf));
    let all = format!("{kept:?}");
    let body: String = leaf.key.lines().filter(|l| !l.starts_with("-----")).collect();
    assert!(!all.contains(&body[..16]) && !all.contains(&STANDARD.encode(&leaf.key)[..16]));
}

#[test]
fn a_secret_that_cannot_be_read_tells_nothing_of_its_data() {
    let mut object = secret_json("s", "c", "SECRETKEY", &json!({}));
    object["data"]["tls.crt"] = json!(7);
    let read = reader(Selection::default())(object.to_string().as_bytes()).unwrap();
    let why = read.kept.unwrap_err();
    assert_eq!(read.name, ObjectName::new("demo", "s"));
    assert!(!why.contains(&STANDARD.encode("SECRETKEY")), "{why}");
    object["data"]["tls.crt"] = json!("not base64!");
    let read = taken(&object, &Selection::default()).unwrap();
    assert_eq!(read.reading.faults[0].kind.code, "CD-102");
}

#[test]
fn secrets_are_left_out_and_taken_in_by_annotation_or_label() {
    let leaf = Authority::new().leaf(&["x.example"], -1, 90);
    let takes = |more: Value, chosen_only| {
        let selection = Selection { chosen_only, ingest_label: None };
        taken(&secret_json("s", &leaf.certificate, "k", &more), &selection).is_some()
    };
    let says = |place: &str, word: &str| json!({place: {"certdrift.dev/secret": word}});
    for place in ["annotations", "labels"] {
        assert!(!takes(says(place, "ignore"), false) && !takes(says(place, "ignore"), true));
        assert!(takes(says(place, "watch"), true) && takes(says(place, "watch"), false));
    }
    assert!(takes(json!({}), false) && !takes(json!({}), true));
}

#[test]
fn only_the_label_that_is_asked_for_is_kept() {
    let leaf = Authority::new().leaf(&["x.example"], -1, 90);
    let selection = Selection { chosen_only: false, ingest_label: Some("konghq.com/secret".into()) };
    let read = |labels: Value| {
        taken(&secret_json("s", &leaf.certificate, "k", &json!({"labels": labels})), &selection).unwrap()
    };
    let labelled = read(json!({"konghq.com/secret": "true", "other": "x"}));
    assert!(selection.ingests(&labelled));
    assert_eq!(labelled.labels.len(), 1);
    assert!(!selection.ingests(&read(json!({"konghq.com/secret": "false"}))));
    assert!(!selection.ingests(&read(json!({}))));
}

#[test]
fn a_bad_certificate_displaces_nothing_and_a_good_one_at_once() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&["x.example"], -10, 90), authority.leaf(&["x.example"], -1, 90));
    let expired = authority.leaf(&["x.example"], -10, -1);
    let mut memory = Memory::default();
    let mut feed = |secret: Option<&Secret>, now| memory.feed(&one("s"), &there(secret), true, now);
    let leaf = |i: &crate::source::inventory::Inventory| i.stored[0].certificates[0].leaf;
    let first = feed(Some(&secret("s", &old)), NOW);
    assert_eq!((leaf(&first), first.findings.len()), (fingerprint(&old), 0));
    let bad = feed(Some(&secret("s", &expired)), NOW.plus(1));
    assert_eq!((leaf(&bad), bad.findings[0].code.as_str()), (fingerprint(&old), "CD-105"));
    assert!(bad.findings[0].why.contains("stays expected") && bad.findings[0].object == "demo/s");
    assert_eq!(leaf(&feed(Some(&secret("s", &new)), NOW.plus(2))), fingerprint(&new));
    let late = feed(Some(&secret("s", &new)), NOW.plus(91 * 86_400));
    assert_eq!(leaf(&late), fingerprint(&new), "one that expires while it is expected stays");
}

#[test]
fn a_secret_of_which_nothing_good_was_seen_holds_what_the_ledger_has() {
    let expired = Authority::new().leaf(&["x.example"], -10, -1);
    let kept = secret("s", &expired);
    let inventory = Memory::default().feed(&one("s"), &there([&kept]), true, NOW);
    assert!(inventory.stored.is_empty() && inventory.held.contains("demo/s"));
}

#[test]
fn a_deleted_secret_stays_for_a_minute() {
    let leaf = Authority::new().leaf(&["x.example"], -1, 90);
    let (kept, name) = (secret("s", &leaf), ObjectName::new("demo", "s"));
    let mut memory = Memory::default();
    assert!(!memory.still(&name, NOW));
    memory.feed(&one("s"), &there([&kept]), true, NOW);
    let gone = memory.feed(&one("s"), &there([]), true, NOW.plus(5));
    assert_eq!((gone.stored.len(), gone.findings[0].code.as_str()), (1, "CD-133"));
    assert_eq!(gone.changes_at, Some(NOW.plus(5 + VANISH)));
    assert!(memory.still(&name, NOW.plus(4 + VANISH)) && !memory.still(&name, NOW.plus(5 + VANISH)));
    let over = memory.feed(&one("s"), &there([]), true, NOW.plus(5 + VANISH));
    assert!(over.stored.is_empty() && over.findings.is_empty());
}

#[test]
fn while_not_all_secrets_were_seen_none_is_gone() {
    let leaf = Authority::new().leaf(&["x.example"], -1, 90);
    let kept = secret("s", &leaf);
    let mut memory = Memory::default();
    memory.feed(&one("s"), &there([&kept]), true, NOW);
    let unseen = memory.feed(&one("s"), &there([]), false, NOW.plus(3_600));
    assert_eq!((unseen.stored.len(), unseen.findings.len(), unseen.complete), (1, 0, false));
}

// Keyless.

fn certificate(revision: Option<u64>) -> Certificate {
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "demo", "uid": "u-web"},
        "spec": {"secretName": "web-tls"}, "status": {"revision": revision}}))
    .unwrap()
}

fn request(revision: u64, leaf: Option<&Leaf>) -> CertificateRequest {
    let ready = if leaf.is_some() { "True" } else { "False" };
    serde_json::from_value(json!({"metadata": {"name": format!("web-{revision}"), "namespace": "demo",
            "annotations": {"cert-manager.io/certificate-revision": revision.to_string()},
            "ownerReferences": [{"kind": "Certificate", "name": "web", "uid": "u-web", "controller": true}]},
        "status": {"certificate": leaf.map(|l| STANDARD.encode(&l.certificate)),
            "conditions": [{"type": "Ready", "status": ready}]}}))
    .unwrap()
}

/// A controller without any permission on Secrets: its memory, and the ledger.
#[derive(Default)]
struct Keyless {
    memory: requests::Memory,
    ledger: Option<Ledger>,
}

impl Keyless {
    fn see(
        &mut self,
        certificate: &Certificate,
        requests: &[CertificateRequest],
        now: i64,
    ) -> (Vec<Fingerprint>, Vec<Fingerprint>, Vec<Fingerprint>) {
        let now = NOW.plus(now);
        let issued = Issued::new([certificate], requests);
        let inventory = self.memory.feed(&one("web-tls"), &issued, true, now);
        let by = By { kind: "Ingress", object: ObjectName::new("demo", "i") };
        let won = Won { secrets: vec![ObjectName::new("demo", "web-tls")], by, weight: Weight::Strong };
        let mut groups = Groups::of([("x.example".parse().unwrap(), won)].into());
        let binding = join(&mut groups, None, &inventory, &issued.incoming(now));
        let policy = Policy { gateway: "kong".into(), rules: Rules::Kong, grace: 120 };
        let (ledger, _) = build(&binding, self.ledger.as_ref(), None, &policy, now);
        let Content::Entries(entries) = &ledger.content else { panic!() };
        let out = entries.first().map(|e| {
            (
                e.current.iter().map(|e| e.sha256).collect(),
                e.incoming.iter().map(|e| e.sha256).collect(),
                e.retiring.iter().map(|r| r.sha256).collect(),
            )
        });
        self.ledger = Some(ledger);
        out.unwrap_or_default()
    }
}

#[test]
fn without_secrets_the_request_of_the_stored_revision_is_current_and_a_signed_one_incoming() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&["x.example"], -10, 90), authority.leaf(&["x.example"], -1, 90));
    let (o, n) = (fingerprint(&old), fingerprint(&new));
    let mut keyless = Keyless::default();
    assert_eq!(keyless.see(&certificate(Some(1)), &[request(1, Some(&old))], 0), (vec![o], vec![], vec![]));
    // cluster-notes 1: the next request is made, the one before is deleted, and only then is the next one signed.
    assert_eq!(
        keyless.see(&certificate(Some(1)), &[request(1, Some(&old)), request(2, None)], 1),
        (vec![o], vec![], vec![])
    );
    assert_eq!(keyless.see(&certificate(Some(1)), &[request(2, None)], 2), (vec![o], vec![], vec![]));
    assert_eq!(keyless.see(&certificate(Some(1)), &[request(2, Some(&new))], 3), (vec![o], vec![n], vec![]));
    assert_eq!(keyless.see(&certificate(Some(2)), &[request(2, Some(&new))], 4), (vec![n], vec![], vec![o]));
}

#[test]
fn without_secrets_a_restart_in_the_middle_of_a_renewal_has_the_ledger_for_a_memory() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&["x.example"], -10, 90), authority.leaf(&["x.example"], -1, 90));
    let (o, n) = (fingerprint(&old), fingerprint(&new));
    let mut keyless = Keyless::default();
    keyless.see(&certificate(Some(1)), &[request(1, Some(&old))], 0);
    keyless.memory = requests::Memory::default();
    assert_eq!(keyless.see(&certificate(Some(1)), &[request(2, Some(&new))], 1).0, vec![o]);
    assert_eq!(keyless.see(&certificate(Some(2)), &[request(2, Some(&new))], 2), (vec![n], vec![], vec![o]));
}

#[test]
fn without_secrets_the_revision_may_be_seen_before_its_request() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&["x.example"], -10, 90), authority.leaf(&["x.example"], -1, 90));
    let mut keyless = Keyless::default();
    keyless.see(&certificate(Some(1)), &[request(1, Some(&old))], 0);
    // Two watches are in no order: nothing is expected of revision 2 yet, and what was stays.
    assert_eq!(keyless.see(&certificate(Some(2)), &[request(2, None)], 1).0, vec![fingerprint(&old)]);
    assert_eq!(keyless.see(&certificate(Some(2)), &[request(2, Some(&new))], 2).0, vec![fingerprint(&new)]);
}

#[test]
fn without_secrets_a_bound_secret_of_no_certificate_is_told_and_holds() {
    let mut memory = requests::Memory::default();
    let inventory = memory.feed(&one("by-hand"), &Issued::default(), true, NOW);
    assert_eq!(inventory.findings[0].code, "CD-134");
    assert!(inventory.held.contains("demo/by-hand"));
}

#[test]
fn a_certificate_that_names_no_bound_host_is_told_and_displaces_nothing() {
    let authority = Authority::new();
    let wrong = secret("s", &authority.leaf(&["y.example"], -1, 90));
    let inventory = Memory::default().feed(&one("s"), &there([&wrong]), true, NOW);
    let by = By { kind: "Ingress", object: ObjectName::new("demo", "i") };
    let won =
        |s: &str| Won { secrets: vec![ObjectName::new("demo", s)], by: by.clone(), weight: Weight::Strong };
    let mut hosts = BTreeMap::from([("x.example".parse().unwrap(), won("s"))]);
    let binding = join(&mut Groups::of(hosts.clone()), None, &inventory, &Incoming::new());
    assert!(binding.entries.is_empty() && binding.held.contains("demo/s"));
    assert_eq!(
        (binding.findings[0].code.as_str(), binding.findings[0].object.as_str()),
        ("CD-163", "Ingress demo/i")
    );
    hosts.insert("y.example".parse().unwrap(), won("s"));
    let binding = join(&mut Groups::of(hosts), None, &inventory, &Incoming::new());
    assert_eq!(binding.entries[0].hosts.iter().map(|h| h.as_str()).collect::<Vec<_>>(), ["y.example"]);
    assert_eq!(binding.findings.len(), 1);
}
