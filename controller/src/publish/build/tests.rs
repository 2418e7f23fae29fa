use super::*;
use crate::source::{Certificate, KeyFamily};
use certdrift_contract::Fingerprint;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

fn policy() -> Policy {
    Policy { gateway: "kong".into(), rules: Rules::Kong, grace: GRACE }
}

/// As if nothing were known of what the ledger before was made of.
fn build(
    binding: &Binding,
    previous: Option<&Ledger>,
    policy: &Policy,
    now: UnixTime,
) -> (Ledger, Option<Finding>) {
    super::build(binding, previous, None, policy, now)
}

fn certificate(label: &str, family: KeyFamily) -> Certificate {
    Certificate {
        leaf: Fingerprint::of(label.as_bytes()),
        chain: vec![Fingerprint::of(b"ca")],
        not_before: NOW,
        not_after: NOW.plus(90 * 86_400),
        names: Vec::new(),
        family,
    }
}

fn bound(source: &str, hosts: &[&str], labels: &[&str]) -> Bound {
    let families = [KeyFamily::Ecdsa, KeyFamily::Rsa];
    Bound {
        source: source.into(),
        hosts: hosts.iter().map(|h| h.parse().unwrap()).collect(),
        incoming: Vec::new(),
        certificates: labels
            .iter()
            .zip(families)
            .map(|(label, family)| certificate(label, family).into())
            .collect(),
    }
}

fn binding(entries: Vec<Bound>) -> Binding {
    let entries = entries.into_iter().map(Arc::new).collect();
    Binding { entries, complete: true, ..Binding::default() }
}

fn one(label: &str) -> Binding {
    binding(vec![bound("file:a", &["a.example"], &[label])])
}

fn entries(ledger: &Ledger) -> &[Arc<Entry>] {
    match &ledger.content {
        Content::Entries(entries) => entries,
        Content::Parts(_) => panic!("an index"),
    }
}

fn retiring(ledger: &Ledger) -> Vec<Fingerprint> {
    entries(ledger)[0].retiring.iter().map(|r| r.sha256).collect()
}

#[test]
fn the_same_inventory_and_ledger_give_the_same_bytes() {
    let (first, _) = build(&one("a"), None, &policy(), NOW);
    let (again, _) = build(&one("a"), Some(&first), &policy(), NOW.plus(5_000));
    assert_eq!(first.to_bytes(), again.to_bytes());
}

#[test]
fn a_renewed_certificate_makes_the_old_one_retiring_until_its_grace_ends() {
    let (first, _) = build(&one("old"), None, &policy(), NOW);
    let later = NOW.plus(50);
    let (next, _) = build(&one("new"), Some(&first), &policy(), later);
    let entry = &entries(&next)[0];
    assert_eq!(entry.current[0].sha256, Fingerprint::of(b"new"));
    assert_eq!(entry.since, later);
    assert_eq!(entry.retiring, [Retiring { sha256: Fingerprint::of(b"old"), until: later.plus(GRACE) }]);
    assert!(next.revision > first.revision);
    let (kept, _) = build(&one("new"), Some(&next), &policy(), later.plus(GRACE * 10));
    assert_eq!(kept, next, "it stays as the memory of `previous`");
}

#[test]
fn a_certificate_that_comes_back_is_current_again() {
    let (a, _) = build(&one("a"), None, &policy(), NOW);
    let (b, _) = build(&one("b"), Some(&a), &policy(), NOW.plus(10));
    let (back, _) = build(&one("a"), Some(&b), &policy(), NOW.plus(20));
    assert_eq!(entries(&back)[0].current[0].sha256, Fingerprint::of(b"a"));
    assert_eq!(retiring(&back), [Fingerprint::of(b"b")]);
}

#[test]
fn many_reissues_leave_eight_predecessors_newest_first() {
    let mut ledger = None;
    for n in 0..20 {
        ledger = Some(build(&one(&format!("c{n}")), ledger.as_ref(), &policy(), NOW.plus(n)).0);
    }
    let expected: Vec<_> = (11..19).rev().map(|n| Fingerprint::of(format!("c{n}").as_bytes())).collect();
    assert_eq!(retiring(&ledger.unwrap()), expected);
}

#[test]
fn one_of_a_pair_is_renewed_alone() {
    let pair = |ecdsa, rsa| binding(vec![bound("file:a", &["a.example"], &[ecdsa, rsa])]);
    let (first, _) = build(&pair("e1", "r1"), None, &policy(), NOW);
    let (next, _) = build(&pair("e2", "r1"), Some(&first), &policy(), NOW.plus(1));
    assert_eq!(entries(&next)[0].current.len(), 2);
    assert_eq!(retiring(&next), [Fingerprint::of(b"e1")]);
}

#[test]
fn a_host_that_moves_to_another_file_takes_its_predecessor_along() {
    let (first, _) = build(&one("old"), None, &policy(), NOW);
    let moved = binding(vec![bound("file:b", &["a.example"], &["new"])]);
    let (next, _) = build(&moved, Some(&first), &policy(), NOW.plus(1));
    assert_eq!(entries(&next).len(), 1);
    assert_eq!(retiring(&next), [Fingerprint::of(b"old")]);
}

#[test]
fn what_cannot_be_seen_stays_as_it_was() {
    let both =
        binding(vec![bound("file:a", &["a.example"], &["a"]), bound("file:b", &["b.example"], &["b"])]);
    let (first, _) = build(&both, None, &policy(), NOW);
    let held = Binding { held: ["file:b".to_owned()].into(), ..one("a") };
    assert_eq!(build(&held, Some(&first), &policy(), NOW.plus(9)).0, first, "a torn file after a restart");
    let unmounted = Binding { complete: false, ..Binding::default() };
    assert_eq!(build(&unmounted, Some(&first), &policy(), NOW.plus(9)).0, first, "an unmounted volume");
    let (gone, _) = build(&one("a"), Some(&first), &policy(), NOW.plus(9));
    assert_eq!(entries(&gone).len(), 1, "a file that is gone, and seen to be");
}

#[test]
fn half_a_pair_after_a_restart_retires_nothing() {
    let pair = binding(vec![bound("file:a", &["a.example"], &["e", "r"])]);
    let (first, _) = build(&pair, None, &policy(), NOW);
    let half = Binding { held: ["file:a".to_owned()].into(), ..one("e") };
    assert_eq!(build(&half, Some(&first), &policy(), NOW.plus(9)).0, first);
}

#[test]
fn the_revision_is_never_below_the_clock_also_when_the_ledger_is_lost() {
    let (first, _) = build(&one("a"), None, &policy(), NOW);
    assert_eq!(first.revision.0, 1_795_478_400);
    let (second, _) = build(&one("b"), Some(&first), &policy(), NOW);
    assert_eq!(second.revision.0, 1_795_478_401, "two changes in one second");
    let (lost, _) = build(&one("c"), None, &policy(), NOW.plus(2));
    assert!(lost.revision > second.revision);
    let (behind, _) = build(&one("c"), Some(&second), &policy(), NOW.plus(-3_600));
    assert!(behind.revision > second.revision, "a clock that was set back");
}

#[test]
fn a_revision_more_than_a_day_ahead_starts_again_and_says_so() {
    let (wrong, _) = build(&one("a"), None, &policy(), NOW.plus(400 * 86_400));
    let (right, told) = build(&one("a"), Some(&wrong), &policy(), NOW);
    assert_eq!(right.revision.0, 1_795_478_400);
    assert_eq!(told.unwrap().code, "CD-204");
}

#[test]
fn the_default_certificate_retires_like_any_other() {
    let with = |label: &str| Binding { default: Some(bound("file:d", &[], &[label])), ..one("a") };
    let (first, _) = build(&with("d1"), None, &policy(), NOW);
    let (next, _) = build(&with("d2"), Some(&first), &policy(), NOW.plus(1));
    let default = next.default.unwrap();
    assert_eq!(default.current[0].sha256, Fingerprint::of(b"d2"));
    assert_eq!(default.retiring[0].sha256, Fingerprint::of(b"d1"));
}

#[derive(Clone, Debug)]
struct Step {
    passed: i64,
    complete: bool,
    sources: Vec<(u8, u8, Option<u8>)>,
    held: Vec<u8>,
}

fn step() -> impl Strategy<Value = Step> {
    (
        -300i64..5_000,
        prop::bool::weighted(0.9),
        prop::collection::vec((0u8..5, 0u8..6, prop::option::of(6u8..9)), 0..5),
        prop::collection::vec(0u8..5, 0..2),
    )
        .prop_map(|(passed, complete, sources, held)| Step { passed, complete, sources, held })
}

/// A binding as `bind` would make it: sources once, each host once.
fn bind_step(step: &Step) -> Binding {
    let mut hosts = BTreeSet::new();
    let mut all: BTreeMap<String, Bound> = BTreeMap::new();
    for (source, label, rsa) in &step.sources {
        // Hosts wander between sources, so that takeovers happen.
        let host = format!("h{}.example", label % 4);
        let name = format!("file:{source}");
        if all.contains_key(&name) || !hosts.insert(host.clone()) {
            continue;
        }
        let labels: Vec<String> = std::iter::once(label).chain(rsa).map(u8::to_string).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        all.insert(name.clone(), bound(&name, &[&host], &labels));
    }
    Binding {
        entries: all.into_values().map(Arc::new).collect(),
        held: step.held.iter().map(|n| format!("file:{n}")).collect(),
        complete: step.complete,
        ..Binding::default()
    }
}

proptest! {
    #[test]
    fn no_history_breaks_the_ledger(steps in prop::collection::vec(step(), 1..30)) {
        let mut now = NOW;
        let mut ledger: Option<Ledger> = None;
        let (mut made, mut kept): (Option<Made>, Vec<Arc<Bound>>) = (None, Vec::new());
        for step in &steps {
            now = now.plus(step.passed);
            let mut binding = bind_step(step);
            // What is bound as before is the very same.
            for bound in &mut binding.entries {
                let before = kept.iter().find(|before| *before == bound);
                *bound = before.unwrap_or(bound).clone();
            }
            let (next, _) = build(&binding, ledger.as_ref(), &policy(), now);
            let quick = super::build(&binding, ledger.as_ref(), made.as_ref(), &policy(), now).0;
            prop_assert_eq!(&next, &quick, "what is known to be unchanged is as it would be");
            kept.clone_from(&binding.entries);
            made = Some(Made::of(&binding));
            prop_assert_eq!(made.as_ref().map(|made| made.bound.len()), Some(kept.len()));
            prop_assert_eq!(&next, &build(&binding, ledger.as_ref(), &policy(), now).0, "the same twice");
            prop_assert_eq!(&next, &build(&binding, Some(&next), &policy(), now.plus(1)).0, "a restart is silent");
            if let Some(before) = &ledger {
                prop_assert!(next.revision >= before.revision);
                let same = next.content == before.content && next.default == before.default;
                prop_assert_eq!(next.revision == before.revision, same);
                if !same {
                    prop_assert!(next.revision.0 >= u64::try_from(now.seconds()).unwrap());
                }
            }
            let read = Ledger::parse(&next.to_bytes(), &certdrift_contract::json::Limits::default()).unwrap();
            prop_assert_eq!(&read, &next);
            let mut hosts = BTreeSet::new();
            for entry in entries(&next) {
                prop_assert!(entry.retiring.len() <= MAX_RETIRING);
                prop_assert!(!entry.current.is_empty() && !entry.hosts.is_empty());
                for host in &entry.hosts {
                    prop_assert!(hosts.insert(host.clone()), "{} twice", host);
                }
                for retired in &entry.retiring {
                    prop_assert!(!entry.current.iter().any(|c| c.sha256 == retired.sha256));
                }
            }
            ledger = Some(next);
        }
    }
}
