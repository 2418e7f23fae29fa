//! An index answers for hosts as its ledger says, keeps states over changes, and changes whole or not at all.
use certdrift_contract::index::Index;
use certdrift_contract::ledger::{Content, Entry, Expectation, Expected, Ledger, Part, PartRef, Revision};
use certdrift_contract::verdict::Known;
use certdrift_contract::{Fingerprint, Rules, UnixTime};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn fingerprint(n: u8) -> Fingerprint {
    Fingerprint::from_digest([n; 32])
}

fn entry(source: &str, hosts: &[&str], current: u8) -> Entry {
    Entry {
        source: source.to_owned(),
        hosts: hosts.iter().map(|h| h.parse().expect("host")).collect(),
        since: UnixTime::from_seconds(0),
        current: vec![expected(current)],
        incoming: vec![],
        retiring: vec![],
    }
}

fn expected(n: u8) -> Expected {
    Expected { sha256: fingerprint(n), chain: vec![], not_after: UnixTime::from_seconds(9) }
}

fn ledger(content: Content, revision: u64) -> Ledger {
    Ledger {
        gateway: "kong".to_owned(),
        rules: Rules::Kong,
        revision: Revision(revision),
        published_at: UnixTime::from_seconds(0),
        content,
        default: Some(Expectation {
            source: "file:d".to_owned(),
            current: vec![expected(200)],
            incoming: vec![],
            retiring: vec![],
        }),
    }
}

fn part(name: &str, entries: Vec<Entry>) -> (PartRef, Part) {
    let part = Part {
        gateway: "kong".to_owned(),
        name: name.to_owned(),
        entries: entries.into_iter().map(Arc::new).collect(),
    };
    (PartRef { name: name.to_owned(), sha256: Fingerprint::of(&part.to_bytes()) }, part)
}

fn served(index: &mut Index<u32>, sni: &str) -> Option<(String, Fingerprint)> {
    index.find(sni.as_bytes()).map(|found| (found.listed.to_owned(), found.expecting.current[0].sha256))
}

#[test]
fn names_find_their_entry_by_kongs_rules_in_any_case() {
    let entries = vec![entry("a", &["a.example.com", "*.example.com"], 1), entry("b", &["shop.*"], 2)];
    let mut index = Index::<u32>::new(ledger(Content::of(entries), 1), vec![]).expect("index");
    assert_eq!(served(&mut index, "A.Example.COM."), Some(("a.example.com".to_owned(), fingerprint(1))));
    assert_eq!(served(&mut index, "x.example.com"), Some(("*.example.com".to_owned(), fingerprint(1))));
    assert_eq!(served(&mut index, "x.y.example.com"), None);
    assert_eq!(served(&mut index, "shop.de"), Some(("shop.*".to_owned(), fingerprint(2))));
    assert_eq!(served(&mut index, ""), None);
    assert_eq!(index.known(&fingerprint(200)), Known::Default);
    assert_eq!(index.known(&fingerprint(2)), Known::OtherEntry);
    assert_eq!(index.known(&fingerprint(99)), Known::No);
    assert_eq!(
        index.iter().map(|(name, ..)| name).collect::<Vec<_>>(),
        ["*.example.com", "a.example.com", "shop.*", "default"]
    );
}

#[test]
fn states_outlive_a_change_as_long_as_the_host_stays() {
    let (ref_1, part_1) = part("01", vec![entry("a", &["a.example.com", "b.example.com"], 1)]);
    let (ref_2, part_2) = part("02", vec![entry("c", &["c.example.com"], 3)]);
    let refs = vec![ref_1, ref_2.clone()];
    let mut index = Index::<u32>::new(ledger(Content::Parts(refs), 1), vec![part_1, part_2]).expect("index");
    for sni in ["a.example.com", "b.example.com", "c.example.com"] {
        *index.find(sni.as_bytes()).expect("listed").state = 7;
    }
    let (ref_1, part_1) = part("01", vec![entry("a", &["a.example.com", "new.example.com"], 2)]);
    index.update(ledger(Content::Parts(vec![ref_1, ref_2]), 2), vec![part_1]).expect("update");
    let states: Vec<(&str, u32)> = index.iter().map(|(name, _, state)| (name, *state)).collect();
    assert_eq!(states, [("a.example.com", 7), ("c.example.com", 7), ("new.example.com", 0), ("default", 0)]);
    assert_eq!(served(&mut index, "a.example.com").map(|s| s.1), Some(fingerprint(2)));
    assert_eq!(index.known(&fingerprint(1)), Known::No);
    // And on to a whole ledger, and back.
    let whole = Content::of([entry("a", &["a.example.com"], 2)]);
    index.update(ledger(whole, 3), vec![]).expect("update");
    assert_eq!(index.hosts(), 1);
    index.update(ledger(Content::Parts(vec![]), 4), vec![]).expect("update");
    assert_eq!(index.hosts(), 0);
    let (ref_1, part_1) = part("01", vec![entry("a", &["a.example.com"], 1)]);
    index.update(ledger(Content::Parts(vec![ref_1.clone()]), 5), vec![part_1]).expect("update");
    index.update(ledger(Content::Parts(vec![ref_1]), 6), vec![]).expect("update");
    assert_eq!(served(&mut index, "a.example.com").map(|s| s.1), Some(fingerprint(1)));
}

#[test]
fn a_change_is_taken_whole_or_not_at_all() {
    let (ref_1, part_1) = part("01", vec![entry("a", &["a.example.com"], 1)]);
    let (ref_2, part_2) = part("02", vec![entry("c", &["c.example.com"], 3)]);
    let refs = vec![ref_1.clone(), ref_2.clone()];
    let mut index = Index::<u32>::new(ledger(Content::Parts(refs), 1), vec![part_1, part_2]).expect("index");
    let (changed_ref, changed) = part("01", vec![entry("a", &["c.example.com"], 1)]);
    let refused = |index: &mut Index<u32>, refs: Vec<PartRef>, parts: Vec<Part>| {
        let error = index
            .update(ledger(Content::Parts(refs), 2), parts)
            .expect_err("refused")
            .what
            .clone()
            .into_owned();
        assert_eq!(index.revision(), Revision(1));
        assert_eq!(served(index, "a.example.com").map(|s| s.1), Some(fingerprint(1)));
        error
    };
    let error = refused(&mut index, vec![changed_ref.clone(), ref_2.clone()], vec![changed.clone()]);
    assert_eq!(error, "the host c.example.com stands twice: c and a");
    let error = refused(&mut index, vec![changed_ref.clone(), ref_2.clone()], vec![]);
    assert_eq!(error, "the part 01 is missing");
    let error = refused(&mut index, vec![ref_1.clone(), ref_2.clone()], vec![changed.clone()]);
    assert_eq!(error, "the part 01 is not needed");
    let error = refused(&mut index, vec![ref_1.clone(), ref_1], vec![]);
    assert_eq!(error, "the part 01 stands twice");
    let foreign = Part { gateway: "other".to_owned(), ..changed };
    let error = refused(&mut index, vec![changed_ref, ref_2], vec![foreign]);
    assert_eq!(error, "the part 01 is of the gateway other");
}
