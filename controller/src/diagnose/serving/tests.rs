//! All facts there can be: what is not known makes no cause another; and each cause with what must not be taken for it.
use super::*;
use crate::diagnose::facts::Fellows;

const LOADINGS: [Loading; 6] = [
    Loading::Free,
    Loading::Starting,
    Loading::Refused,
    Loading::Fallback,
    Loading::Empty,
    Loading::HeldBack,
];
const BOTH: [bool; 2] = [false, true];

/// Everything is known.
fn all_known() -> Vec<Facts> {
    let mut all = Vec::new();
    let fellows = [(0, 0), (1, 0), (0, 1), (1, 1)];
    for stored_is_worse in BOTH {
        for edge in BOTH {
            for given in [Given::File, Given::Once, Given::Pushed] {
                for serves_default in BOTH {
                    for (right, wrong) in fellows {
                        for workers in [Workers::Alike, Workers::Differ] {
                            for after_start in BOTH {
                                for loading in LOADINGS {
                                    for behind in BOTH {
                                        for after_push in BOTH {
                                            all.push(Facts {
                                                stored_is_worse,
                                                edge,
                                                given,
                                                serves_default,
                                                fellows: Fellows { right, wrong, unseen: 0 },
                                                workers: Some(workers),
                                                stored_after_start: Some(after_start),
                                                loading: Some(loading),
                                                behind: Some(behind),
                                                stored_after_push: Some(after_push),
                                            });
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    all.retain(can_be);
    all
}

/// A pod without a configuration has none that its workers could differ in, nor one that it missed.
fn can_be(facts: &Facts) -> bool {
    let empty =
        facts.given == Given::Pushed && matches!(facts.loading, Some(Loading::Empty | Loading::Starting));
    !(empty && (facts.workers == Some(Workers::Differ) || facts.behind == Some(true)))
}

/// The same with less known, in every way.
fn with_less(full: &Facts) -> Vec<Facts> {
    let mut all = Vec::new();
    for mask in 0u32..128 {
        let without = |bit: u32| mask & (1 << bit) != 0;
        let mut less = *full;
        if without(0) {
            less.workers = None;
        }
        if without(1) {
            less.stored_after_start = None;
        }
        if without(2) {
            less.loading = None;
        }
        if without(3) {
            less.behind = None;
        }
        if without(4) {
            less.stored_after_push = None;
        }
        if without(5) {
            less.fellows.unseen += std::mem::take(&mut less.fellows.right);
        }
        if without(6) {
            less.fellows.unseen += std::mem::take(&mut less.fellows.wrong);
        }
        all.push(less);
    }
    all
}

#[test]
fn what_becomes_known_never_makes_one_cause_another() {
    let (mut told, mut open) = (0, 0);
    for full in all_known() {
        let truth = reason(&full).cause;
        for less in with_less(&full) {
            let said = reason(&less);
            assert!(
                said.cause == truth || said.cause == Cause::Unexplained,
                "{:?} by {less:?}, and {truth:?} by {full:?}",
                said.cause
            );
            *(if said.cause == Cause::Unexplained { &mut open } else { &mut told }) += 1;
        }
    }
    assert!(told > 10_000 && open > 10_000, "{told} told, {open} not");
    let figure = format!("{} sets of facts, each with every part of it missing", told + open);
    certdrift_guarantee::record("diagnosis", figure);
}

#[test]
fn what_cannot_be_told_says_why_and_what_is_told_lacks_nothing() {
    for less in all_known().iter().flat_map(with_less) {
        let said = reason(&less);
        assert_eq!(said.cause == Cause::Unexplained, !said.lacks.is_empty(), "{less:?}");
    }
}

#[test]
fn every_cause_of_a_drift_is_told_of_some_facts() {
    let told: std::collections::BTreeSet<Cause> = all_known().iter().map(|f| reason(f).cause).collect();
    let missing: Vec<&Cause> = Cause::ALL.iter().filter(|c| !told.contains(c)).collect();
    assert_eq!(
        missing,
        [&Cause::IssuanceStuck, &Cause::NotStored, &Cause::NotBound, &Cause::Shadowed],
        "those come before anything is served"
    );
}

/// A host that Kong is pushed, with everything known and nothing in the way.
fn pushed() -> Facts {
    Facts {
        given: Given::Pushed,
        workers: Some(Workers::Alike),
        loading: Some(Loading::Free),
        behind: Some(false),
        stored_after_push: Some(false),
        ..Facts::default()
    }
}

/// A host whose certificate is a file.
fn file(after_start: bool) -> Facts {
    Facts { workers: Some(Workers::Alike), stored_after_start: Some(after_start), ..Facts::default() }
}

fn fellows(right: u32, wrong: u32, unseen: u32) -> Fellows {
    Fellows { right, wrong, unseen }
}

/// Each row: the cause, facts that call for it, and facts that look like it and are another.
#[test]
fn each_cause_has_a_near_miss_that_is_another() {
    let bad = Facts { stored_is_worse: true, edge: true, workers: Some(Workers::Differ), ..Facts::default() };
    let edge = Facts { edge: true, fellows: fellows(2, 0, 0), ..Facts::default() };
    let refused = Facts { loading: Some(Loading::Refused), stored_after_push: Some(true), ..pushed() };
    let fallback = Facts { loading: Some(Loading::Fallback), serves_default: true, ..pushed() };
    let empty = Facts { loading: Some(Loading::Empty), serves_default: true, workers: None, ..pushed() };
    let held = Facts { loading: Some(Loading::HeldBack), fellows: fellows(1, 0, 0), ..pushed() };
    let behind = Facts { fellows: fellows(1, 0, 0), stored_after_push: Some(true), ..pushed() };
    let not_pushed = Facts { fellows: fellows(0, 1, 0), stored_after_push: Some(true), ..pushed() };
    let once = Facts { given: Given::Once, ..file(true) };
    let differ = |facts: Facts| Facts { workers: Some(Workers::Differ), ..facts };
    let rows = [
        (
            Cause::InvalidNew,
            bad,
            Facts { stored_is_worse: false, fellows: fellows(1, 0, 0), ..bad },
            Cause::Edge,
        ),
        (Cause::Edge, edge, Facts { fellows: fellows(1, 1, 0), ..edge }, Cause::BehindGateway),
        (Cause::Edge, edge, Facts { fellows: fellows(1, 0, 1), ..edge }, Cause::Unexplained),
        (Cause::StaleWorker, differ(file(true)), file(true), Cause::FileNotReloaded),
        (Cause::StaleWorker, differ(refused), refused, Cause::PushFailing),
        (Cause::PushFailing, refused, Facts { loading: Some(Loading::Free), ..refused }, Cause::NotPushed),
        (Cause::PushFailing, refused, Facts { loading: None, ..refused }, Cause::Unexplained),
        (Cause::Fallback, fallback, Facts { serves_default: false, ..fallback }, Cause::Unexplained),
        (Cause::PodEmpty, empty, Facts { serves_default: false, ..empty }, Cause::Unexplained),
        (Cause::PodEmpty, empty, Facts { loading: Some(Loading::Starting), ..empty }, Cause::Unexplained),
        (Cause::HeldBack, held, Facts { loading: Some(Loading::Free), ..held }, Cause::PodBehind),
        (Cause::PodBehind, behind, Facts { fellows: fellows(0, 1, 0), ..behind }, Cause::NotPushed),
        (Cause::PodBehind, behind, Facts { fellows: fellows(0, 0, 1), ..behind }, Cause::Unexplained),
        (Cause::PodBehind, Facts { behind: Some(true), ..pushed() }, pushed(), Cause::Unexplained),
        (
            Cause::NotPushed,
            not_pushed,
            Facts { stored_after_push: Some(false), ..not_pushed },
            Cause::Unexplained,
        ),
        (
            Cause::FileNotReloaded,
            file(true),
            Facts { fellows: fellows(1, 0, 0), ..file(false) },
            Cause::PodBehind,
        ),
        (Cause::NotReloadable, once, Facts { given: Given::File, ..once }, Cause::FileNotReloaded),
        (Cause::NotReloadable, once, Facts { stored_after_start: Some(false), ..once }, Cause::Unexplained),
    ];
    for (cause, facts, near_miss, other) in rows {
        assert_eq!(reason(&facts).cause, cause, "{facts:?}");
        assert_eq!(reason(&near_miss).cause, other, "{near_miss:?}");
    }
}

#[test]
fn what_is_missing_is_named_all_at_once() {
    let nothing = Facts { given: Given::Pushed, fellows: fellows(0, 0, 1), ..Facts::default() };
    assert_eq!(reason(&nothing).lacks, [Lack::Workers, Lack::Pushes]);
    let alike = Facts { workers: Some(Workers::Alike), ..nothing };
    assert_eq!(reason(&alike).lacks, [Lack::Pushes, Lack::Fellows, Lack::Configuration]);
    assert_eq!(reason(&Facts::default()).lacks, [Lack::Workers, Lack::Start]);
}
