//! The verdict, held against a second implementation: the table of design.md section 4, row by row, first that holds.
#![cfg(not(target_arch = "wasm32"))]

use certdrift_contract::ledger::{Expected, Retiring};
use certdrift_contract::verdict::{Expecting, Known, Served, Windows, judge};
use certdrift_contract::{DriftClass, Fingerprint, UnixTime, Verdict};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    served: u8,
    placeholder: bool,
    began: i64,
    first_seen: i64,
    now: i64,
    current: Vec<u8>,
    incoming: Vec<u8>,
    retiring: Vec<(u8, i64)>,
    default: bool,
    other: bool,
}

fn table(c: &Case) -> Verdict {
    let of_entry = c.current.contains(&c.served)
        || c.incoming.contains(&c.served)
        || c.retiring.iter().any(|(f, _)| *f == c.served);
    let until = c.retiring.iter().find(|(f, _)| *f == c.served).map(|(_, until)| *until);
    let in_ledger = of_entry || c.default || c.other;
    let rows: [(bool, Verdict); 9] = [
        (c.current.contains(&c.served), Verdict::Match),
        (c.incoming.contains(&c.served), Verdict::Incoming),
        (until.is_some_and(|u| c.began < u + 5 && c.now < u), Verdict::Retiring),
        (until.is_some_and(|u| c.began < u + 5 && c.now >= u), Verdict::Carried),
        (until.is_some(), Verdict::Drift(DriftClass::Previous)),
        (!in_ledger && !c.placeholder && c.now - c.first_seen < 180, Verdict::Ahead),
        (c.default || (c.placeholder && !in_ledger), Verdict::Drift(DriftClass::Default)),
        (c.other, Verdict::Drift(DriftClass::Other)),
        (true, Verdict::Drift(DriftClass::Unknown)),
    ];
    rows.into_iter().find(|(holds, _)| *holds).map(|(_, verdict)| verdict).expect("the last row holds")
}

fn case() -> impl Strategy<Value = Case> {
    let id = || 0u8..6;
    let when = || 990i64..1_300;
    (
        (id(), any::<bool>(), when(), when(), when()),
        prop::collection::vec(id(), 0..3),
        prop::collection::vec(id(), 0..2),
        prop::collection::vec((id(), when()), 0..4),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(
                (served, placeholder, began, first_seen, now),
                current,
                incoming,
                retiring,
                (default, other),
            )| {
                Case {
                    served,
                    placeholder,
                    began,
                    first_seen,
                    now,
                    current,
                    incoming,
                    retiring,
                    default,
                    other,
                }
            },
        )
}

fn fingerprint(n: u8) -> Fingerprint {
    Fingerprint::from_digest([n; 32])
}

fn expected(all: &[u8]) -> Vec<Expected> {
    let not_after = UnixTime::from_seconds(0);
    all.iter().map(|n| Expected { sha256: fingerprint(*n), chain: vec![], not_after }).collect()
}

const CASES: u32 = 8_000;

#[test]
fn the_verdict_is_the_first_row_that_holds() {
    both_judge_the_same();
    certdrift_guarantee::record("verdict", format_args!("{CASES} random cases"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    fn both_judge_the_same(case in case()) {
        let (current, incoming) = (expected(&case.current), expected(&case.incoming));
        let retiring: Vec<Retiring> = case.retiring.iter()
            .map(|(n, until)| Retiring { sha256: fingerprint(*n), until: UnixTime::from_seconds(*until) }).collect();
        let served = Served {
            fingerprint: fingerprint(case.served), placeholder: case.placeholder,
            began: UnixTime::from_seconds(case.began), first_seen: UnixTime::from_seconds(case.first_seen),
        };
        let known = |_: &Fingerprint| match (case.default, case.other) {
            (true, _) => Known::Default,
            (false, true) => Known::OtherEntry,
            (false, false) => Known::No,
        };
        let expecting = Expecting { current: &current, incoming: &incoming, retiring: &retiring };
        let now = UnixTime::from_seconds(case.now);
        prop_assert_eq!(judge(&served, &expecting, known, now, &Windows::default()), table(&case));
    }
}

#[test]
fn the_worst_verdict_is_the_maximum_and_only_drift_is_unhealthy() {
    let order = [
        Verdict::Unobserved,
        Verdict::Unlisted,
        Verdict::Match,
        Verdict::Incoming,
        Verdict::Retiring,
        Verdict::Carried,
        Verdict::Ahead,
        Verdict::Drift(DriftClass::Previous),
        Verdict::Drift(DriftClass::Unknown),
    ];
    assert!(order.is_sorted());
    assert_eq!(order.iter().filter(|v| !v.healthy()).count(), 2);
}
