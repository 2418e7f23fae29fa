//! One drift: what a sight of the wire adds to it, and when it is over.
use super::action::{Action, Record, What};
use super::clock::Age;
use super::event::{Observed, Sight};
use super::policy::Policy;
use super::replaced;
use super::state::{Drift, Endpoint, Seen, State, Status, WorkerSeen};
use crate::diagnose::{self, Cause, Facts, Reason, Workers};
use certdrift_contract::{DriftClass, Evidence};

/// A worker whose wrong certificate was not seen again for so many milliseconds no longer stands against a proof: it
/// may have ended unseen. If it has not, the next handshake that meets it opens the drift anew.
pub(super) const WORKER_FORGOTTEN_AFTER: u64 = 600_000;

/// Takes in one observation. What is only declared, judged against an older ledger, not judged at all, or began before
/// the last remedy ended, changes nothing.
pub(super) fn observed(state: &mut State, seen: &Observed, out: &mut Vec<Action>) {
    let Some(began) = state.clock.age_of(seen.began) else { return };
    if !seen.evidence.proves() || seen.revision < state.revision || began <= state.round {
        return;
    }
    match seen.sight {
        Sight::Drift(class) => wrong(state, seen, class, began, out),
        Sight::Expected => right(state, seen, began, out),
        Sight::Tolerated | Sight::Unjudged => {}
    }
}

fn wrong(state: &mut State, seen: &Observed, class: DriftClass, began: Age, out: &mut Vec<Action>) {
    let (age, wall) = (state.clock.age(), state.clock.wall());
    let Some(endpoint) = state.endpoints.get_mut(&seen.endpoint) else { return };
    let proof = state.policy.proofs_for(endpoint.workers);
    let is_up = endpoint.status == Status::Up;
    let is_new = !endpoint.drifts.contains_key(&seen.host);
    endpoint.drifts.entry(seen.host.clone()).or_insert_with(|| {
        out.push(Action::Record(Record {
            at: wall,
            gateway: state.gateway.clone(),
            what: What::Drifted {
                endpoint: seen.endpoint.clone(),
                host: seen.host.clone(),
                class: class.as_str().to_owned(),
                served: seen.served,
                expected: seen.expected.clone(),
            },
        }));
        Drift {
            class,
            cause: Cause::Unexplained,
            lacks: Vec::new(),
            since: wall,
            first_seen: age,
            served: None,
            expected: Vec::new(),
            expected_since: None,
            given: seen.given,
            fellows: seen.fellows,
            seen: Seen::default(),
            tried: Vec::new(),
            treated: false,
            proving: None,
            alert: None,
            alert_cause: None,
            alert_from: age,
            next_probe: age,
        }
    });
    if is_new {
        replaced::inherit(state, &seen.endpoint, &seen.host);
    }
    let of = state.endpoints.get_mut(&seen.endpoint);
    let Some(drift) = of.and_then(|endpoint| endpoint.drifts.get_mut(&seen.host)) else { return };
    drift.class = class;
    drift.served = seen.served;
    drift.expected.clone_from(&seen.expected);
    drift.expected_since = seen.expected_since;
    (drift.given, drift.fellows) = (seen.given, seen.fellows);
    // What starts has nothing else yet.
    let still_settling = drift.proving.is_some_and(|proving| began < proving.settled || !is_up);
    if state.in_flight.is_some() {
        return;
    }
    if still_settling {
        // Not held against the remedy, but no older sight and none before it makes a proof.
        drift.seen = Seen { last: drift.seen.last.max(Some(began)), ..Seen::default() };
        return;
    }
    let by_handshake = seen.evidence == Evidence::Handshake;
    if by_handshake && drift.proving.take().is_some() {
        out.push(Action::Record(Record {
            at: wall,
            gateway: state.gateway.clone(),
            what: What::NotHelped {
                endpoint: seen.endpoint.clone(),
                host: seen.host.clone(),
                remedy: drift.tried.last().cloned().unwrap_or_default(),
                served: seen.served,
            },
        }));
    }
    let sights = &mut drift.seen;
    if sights.last.is_none_or(|last| last < began) {
        sights.times = (sights.times + 1).min(2);
        sights.last = Some(began);
    }
    if sights.last_right.is_none_or(|right| right <= began) {
        sights.right = 0;
        sights.wrong = (sights.wrong + u32::from(by_handshake)).min(proof);
        // A handshake that comes late does not outdo a newer one that was right, whatever filter and tap said since.
        if by_handshake {
            sights.by_handshake = sights.by_handshake.max(Some(began));
        }
    }
    remember_worker(sights, seen.worker.as_deref(), false, began);
}

fn right(state: &mut State, seen: &Observed, began: Age, out: &mut Vec<Action>) {
    if state.in_flight.is_some() {
        return;
    }
    let Some(endpoint) = state.endpoints.get_mut(&seen.endpoint) else { return };
    let Some(drift) = endpoint.drifts.get_mut(&seen.host) else {
        if seen.evidence == Evidence::Handshake {
            replaced::right(state, seen, out);
        }
        return;
    };
    let sights = &mut drift.seen;
    remember_worker(sights, seen.worker.as_deref(), true, began);
    // A sight that is older than the newest wrong one does not outdo it.
    let newer = sights.last.is_none_or(|wrong| wrong < began);
    if seen.evidence == Evidence::Handshake {
        sights.right = sights.right.saturating_add(u32::from(newer));
        sights.wrong = 0;
        sights.last_right = sights.last_right.max(Some(began));
        // The newest handshake decides: what an older one saw is not fresh any more.
        sights.by_handshake = sights.by_handshake.filter(|wrong| *wrong >= began);
    }
    let age = state.clock.age();
    sights.workers.retain(|_, w| w.right || age.since(w.began) < WORKER_FORGOTTEN_AFTER);
    if !is_over(&drift.seen, endpoint.workers, &state.policy) {
        return;
    }
    let Some(drift) = endpoint.drifts.remove(&seen.host) else { return };
    if let Some(code) = drift.alert {
        out.push(Action::Clear { endpoint: seen.endpoint.clone(), host: seen.host.clone(), code });
    }
    if !drift.tried.is_empty() {
        out.push(Action::Persist);
    }
    out.push(Action::Record(Record {
        at: state.clock.wall(),
        gateway: state.gateway.clone(),
        what: What::Converged {
            endpoint: seen.endpoint.clone(),
            host: seen.host.clone(),
            after: drift.tried.last().cloned(),
            took_ms: age.since(drift.first_seen),
            handshakes: drift.seen.right,
            workers: drift.seen.workers.into_keys().collect(),
            served: seen.served,
        },
    }));
}

fn remember_worker(seen: &mut Seen, worker: Option<&str>, right: bool, began: Age) {
    let Some(worker) = worker else { return };
    let now = WorkerSeen { right, began };
    let known = seen.workers.entry(worker.to_owned()).or_insert(now);
    // Of two sights in one millisecond the wrong one stands.
    if known.began < began || (known.began == began && !right) {
        *known = now;
    }
}

/// A drift is over when no worker is known to be wrong, and handshakes of ours were served what is expected: by every
/// worker by name, or so often that hardly one can have been missed.
fn is_over(seen: &Seen, workers: Option<u32>, policy: &Policy) -> bool {
    let named = u32::try_from(seen.workers.len()).unwrap_or(u32::MAX);
    let all_named = workers.is_some_and(|all| all > 0 && named >= all);
    seen.workers.values().all(|w| w.right)
        && seen.right > 0
        && (all_named || seen.right >= policy.proofs_for(workers))
}

/// The cause of a drift, by what is known now.
pub(super) fn reason(invalid: bool, endpoint: &Endpoint, drift: &Drift, policy: &Policy) -> Reason {
    diagnose::reason(&Facts {
        stored_is_worse: invalid,
        edge: endpoint.edge,
        given: drift.given,
        serves_default: drift.class == DriftClass::Default,
        fellows: drift.fellows,
        workers: workers(&drift.seen, endpoint.workers, policy),
        stored_after_start: drift
            .expected_since
            .zip(endpoint.started)
            .map(|(stored, started)| started < stored),
        loading: endpoint.loading,
        behind: endpoint.runs_by.map(|runs| runs.behind),
        stored_after_push: drift.expected_since.zip(endpoint.runs_by).and_then(|(stored, runs)| {
            let came_before = runs.since < stored;
            let came_after = runs.not_before.is_some_and(|at| at >= stored);
            (came_before || came_after).then_some(came_before)
        }),
    })
}

/// What its workers serve, each beside the others.
fn workers(seen: &Seen, all: Option<u32>, policy: &Policy) -> Option<Workers> {
    let wrong = seen.workers.values().filter(|w| !w.right).count();
    if wrong > 0 && wrong < seen.workers.len() {
        return Some(Workers::Differ);
    }
    let all_named = all.is_some_and(|all| all > 0 && u32::try_from(wrong).unwrap_or(u32::MAX) >= all);
    (all_named || seen.wrong >= policy.proofs_for(all)).then_some(Workers::Alike)
}
