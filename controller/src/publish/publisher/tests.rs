use super::super::build::GRACE;
use super::super::file::FileLedger;
use super::*;
use crate::binding::files::{Rules, bind};
use crate::source::inventory::Inventory;
use crate::source::{Certificate, KeyFamily, Stored};
use certdrift_contract::{Fingerprint, Rules as Match};

const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

fn inventory(label: &str) -> Inventory {
    let certificate = Certificate {
        leaf: Fingerprint::of(label.as_bytes()),
        chain: Vec::new(),
        not_before: NOW.plus(-1),
        not_after: NOW.plus(86_400),
        names: vec!["a.example".parse().unwrap()],
        family: KeyFamily::Ecdsa,
    };
    let stored = vec![Stored { source: "file:/a.pem".into(), certificates: vec![Arc::new(certificate)] }];
    Inventory { stored, complete: true, ..Inventory::default() }
}

fn publisher(path: Option<&std::path::Path>, ledgers: &Ledgers) -> (Publisher, Vec<Finding>) {
    let policy = Policy { gateway: "kong".into(), rules: Match::Kong, grace: GRACE };
    let target = path.map(|path| Box::new(FileLedger::new(path)) as Box<dyn Target>);
    Publisher::new(policy, target.into_iter().collect(), ledgers.clone())
}

fn publish(publisher: &mut Publisher, inventory: &Inventory, now: UnixTime) -> Outcome {
    publisher.catch_up(now);
    let binding = bind(inventory, &Rules::default(), publisher.ledger().map(AsRef::as_ref), now);
    publisher.publish(binding, now)
}

#[test]
fn a_restart_changes_nothing_and_a_renewal_across_it_is_a_renewal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.json");
    let ledgers = Ledgers::default();
    let (mut first, findings) = publisher(Some(&path), &ledgers);
    assert!(findings.is_empty());
    assert_eq!(publish(&mut first, &inventory("old"), NOW), Outcome { changed: true, findings: Vec::new() });
    let etag = ledgers.document("kong", None).unwrap().1;
    let (mut second, _) = publisher(Some(&path), &ledgers);
    assert!(!publish(&mut second, &inventory("old"), NOW.plus(60)).changed);
    assert_eq!(ledgers.document("kong", None).unwrap().1, etag);
    let (mut third, _) = publisher(Some(&path), &ledgers);
    assert!(publish(&mut third, &inventory("new"), NOW.plus(70)).changed);
    let ledger = third.ledger().unwrap();
    assert!(String::from_utf8(ledger.to_bytes()).unwrap().contains(&Fingerprint::of(b"old").to_string()));
}

#[test]
fn a_ledger_that_cannot_be_written_is_served_and_written_once_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, b"").unwrap();
    let ledgers = Ledgers::default();
    let (mut publisher, _) = publisher(Some(&blocked.join("ledger.json")), &ledgers);
    let outcome = publish(&mut publisher, &inventory("a"), NOW);
    assert!(outcome.changed);
    assert_eq!(outcome.findings[0].code, "CD-201");
    assert!(ledgers.document("kong", None).is_some());
    assert_eq!(publisher.tend().unwrap().code, "CD-201");
    std::fs::remove_file(&blocked).unwrap();
    publisher.tend();
    assert!(blocked.join("ledger.json").exists());
    assert_eq!(publisher.tend(), None);
}

#[test]
fn an_unknown_gateway_or_part_has_no_document() {
    let ledgers = Ledgers::default();
    let (mut publisher, _) = publisher(None, &ledgers);
    publish(&mut publisher, &inventory("a"), NOW);
    assert!(ledgers.document("kong", Some("00")).is_none());
    assert!(ledgers.document("other", None).is_none());
    let (bytes, etag) = ledgers.document("kong", None).unwrap();
    assert_eq!(etag, format!("\"{}\"", Fingerprint::of(&bytes)));
}

#[derive(Debug, Default)]
struct Elsewhere(std::sync::Mutex<Option<Newer>>);

impl Target for std::sync::Arc<Elsewhere> {
    fn read(&self) -> Result<Option<(Ledger, usize)>, Finding> {
        Ok(None)
    }
    fn put(&self, _: &std::sync::Arc<Published>) -> Result<(), Finding> {
        Ok(())
    }
    fn tend(&self, _: &std::sync::Arc<Published>) -> Vec<Finding> {
        Vec::new()
    }
    fn newer(&self) -> Option<Newer> {
        self.0.lock().unwrap().take()
    }
    fn is_ahead(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

#[test]
fn another_replicas_ledger_is_gone_on_from_and_a_strangers_revision_stepped_over() {
    let policy = Policy { gateway: "kong".into(), rules: Match::Kong, grace: GRACE };
    let elsewhere = std::sync::Arc::new(Elsewhere::default());
    let targets: Vec<Box<dyn Target>> = vec![Box::new(std::sync::Arc::clone(&elsewhere))];
    let ledgers = Ledgers::default();
    let (mut leader, _) = publisher(None, &Ledgers::default());
    publish(&mut leader, &inventory("old"), NOW.plus(5));
    let (mut us, _) = Publisher::new(policy, targets, ledgers.clone());
    publish(&mut us, &inventory("new"), NOW);
    *elsewhere.0.lock().unwrap() = Some(Newer::Ledger(Box::new(Ledger::clone(leader.ledger().unwrap())), 0));
    assert!(us.is_behind());
    publish(&mut us, &inventory("new"), NOW.plus(6));
    let text = String::from_utf8(ledgers.document("kong", None).unwrap().0.to_vec()).unwrap();
    assert!(text.contains(&Fingerprint::of(b"old").to_string()), "what the other knew is retiring: {text}");
    let before = us.ledger().unwrap().revision;
    // The clock is set back, and a stranger wrote a higher revision.
    *elsewhere.0.lock().unwrap() = Some(Newer::Revision(Revision(before.0 + 100)));
    publish(&mut us, &inventory("new"), NOW.plus(-600));
    assert_eq!(us.ledger().unwrap().revision, Revision(before.0 + 101));
    publish(&mut us, &inventory("newer"), NOW.plus(-600));
    assert_eq!(us.ledger().unwrap().revision, Revision(before.0 + 102));
    *elsewhere.0.lock().unwrap() = Some(Newer::Revision(Revision(u64::MAX)));
    publish(&mut us, &inventory("newer"), NOW);
    assert_eq!(us.ledger().unwrap().revision, Revision(before.0 + 102), "no reader takes that one");
}
