//! The filter as it ships never traps and never refuses its configuration, whatever a host does to it: every host call
//! × every status, each single call of a scenario × every status, and random histories with faults.
//!
//! `CERTDRIFT_LONG=1` makes the random histories 1,000,000; `CERTDRIFT_SEED=n` runs the one of that number alone,
//! `CERTDRIFT_SEED=n..` all from that one on: where a long run was stopped, it goes on.
mod dice;
mod random;
mod scenario;

use certdrift_tests::host::{Fault, FaultPlan, HostCall, Profile, Wasm, Worker, status};
use scenario::{scenario, short};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A long run says where it is after so many histories.
const TOLD_EVERY: u64 = 10_000;
/// The histories under way when it does: those before are all over.
const MARGIN: u64 = 256;

/// What went wrong, if anything.
fn verdict(worker: &Worker) -> Option<String> {
    worker.off().map(str::to_owned).or_else(|| worker.traps().first().map(ToString::to_string))
}

fn under(profile: &'static Profile, wasm: &Wasm, plan: FaultPlan) -> Worker {
    let mut worker = Worker::new(profile, wasm).forgiving();
    worker.faults(plan);
    scenario(&mut worker);
    worker
}

#[test]
fn without_faults_the_scenario_uses_all_the_filter_can_do() {
    let wasm = Wasm::certdrift();
    for profile in Profile::ALL {
        let worker = under(profile, &wasm, FaultPlan::none());
        assert_eq!(verdict(&worker), None, "{}", profile.name);
        let cost = worker.cost();
        let used: Vec<&str> =
            HostCall::ALL.iter().filter(|c| cost.calls_of(**c) > 0).map(|c| c.name()).collect();
        for import in wasm.imports() {
            assert!(
                used.contains(&import.as_str()),
                "{}: the scenario never makes the filter call {import}",
                profile.name
            );
        }
    }
}

/// These tests can fail: a filter built on the SDK falls at the first status that the SDK does not expect.
#[test]
fn a_filter_on_the_sdk_would_not_pass() {
    let poll = |plan| {
        let mut worker = Worker::new(Profile::kong(), &Wasm::odd()).forgiving();
        worker.root("poll");
        worker.faults(plan).tick();
        verdict(&worker)
    };
    assert_eq!(poll(FaultPlan::none()), None);
    for call in
        [HostCall::Log, HostCall::HttpCall, HostCall::SetEffectiveContext, HostCall::GetHeaderMapValue]
    {
        let fault = Fault::Status(status::UNIMPLEMENTED);
        assert!(poll(FaultPlan::none().always(call, fault)).is_some(), "{call}");
    }
}

#[test]
fn every_host_call_may_answer_every_status() {
    let wasm = Wasm::certdrift();
    for profile in Profile::ALL {
        for call in HostCall::ALL {
            for status in status::ALL {
                let worker = under(profile, &wasm, FaultPlan::none().always(*call, Fault::Status(status)));
                assert_eq!(verdict(&worker), None, "{}: {call} always answers {status}", profile.name);
            }
        }
    }
    let (calls, statuses) = (HostCall::ALL.len(), status::ALL.len());
    let figure =
        format!("{} profiles × {calls} host calls × {statuses} statuses, 0 traps", Profile::ALL.len());
    certdrift_guarantee::record("traps-exhaustive", figure);
}

#[test]
fn any_single_call_may_answer_every_status() {
    let wasm = Wasm::certdrift();
    let run = |profile, plan| {
        let mut worker = Worker::new(profile, &wasm).forgiving();
        worker.faults(plan);
        short(&mut worker);
        worker
    };
    for profile in [Profile::kong(), Profile::envoy()] {
        let calls = run(profile, FaultPlan::none()).cost().calls();
        assert!(calls > 200, "the scenario is too short: {calls} host calls");
        for nth in 0..calls {
            for status in status::ALL {
                let worker = run(profile, FaultPlan::none().at(nth, Fault::Status(status)));
                assert_eq!(verdict(&worker), None, "{}: call {nth} answers {status}", profile.name);
            }
        }
    }
}

#[test]
fn every_host_call_may_give_nothing_or_nonsense() {
    let wasm = Wasm::certdrift();
    let odd = [
        Fault::Nothing,
        Fault::Bytes(Vec::new()),
        Fault::Bytes(vec![0]),
        Fault::Bytes(vec![0xff; 300]),
        Fault::Bytes(vec![b'{'; 100_000]),
        Fault::Bytes(vec![b' '; 5 << 20]),
        Fault::Bytes("ä".repeat(4097).into_bytes()),
        Fault::Number(0),
        Fault::Number(1),
        Fault::Number(u64::from(u32::MAX)),
        Fault::Number(1 << 63),
        Fault::Number(u64::MAX),
    ];
    for profile in Profile::ALL {
        for call in HostCall::ALL.iter().filter(|call| call.gives()) {
            for fault in &odd {
                let worker = under(profile, &wasm, FaultPlan::none().always(*call, fault.clone()));
                let shown = format!("{fault:?}");
                assert_eq!(verdict(&worker), None, "{}: {call} gives {shown:.80}", profile.name);
            }
        }
    }
}

#[test]
fn random_histories_with_faults() {
    let wasm = Wasm::certdrift();
    let named = std::env::var("CERTDRIFT_SEED").unwrap_or_default();
    if let Ok(seed) = named.parse() {
        assert_eq!(random::history(&wasm, seed), None);
        return;
    }
    let from = named.strip_suffix("..").map_or(0, |from| from.parse().expect("CERTDRIFT_SEED=n or n.."));
    let histories = if std::env::var_os("CERTDRIFT_LONG").is_some() { 1_000_000 } else { 20_000 };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, wrong) = (AtomicU64::new(from), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !wrong.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= histories {
                        return;
                    }
                    if seed % TOLD_EVERY == 0 && seed > from {
                        eprintln!(
                            "{seed} histories, no trap; CERTDRIFT_SEED={}.. goes on from here",
                            seed - MARGIN
                        );
                    }
                    let trap = random::history(&wasm, seed);
                    wrong.fetch_or(trap.is_some(), Ordering::Relaxed);
                    assert_eq!(trap, None, "CERTDRIFT_SEED={seed} shows it again");
                }
            });
        }
    });
    certdrift_guarantee::record("traps-random", format!("{histories} sequences, 0 traps"));
}
