//! Endpoints that a remedy has taken away (an eviction, a rollout): their drifts go over to what takes their place. It is looked at
//! before the next remedy, and what it serves is the remedy's proof.
use super::action::{Action, What};
use super::clock::Age;
use super::decide::record;
use super::event::Observed;
use super::state::{Drift, Endpoint, Proving, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often successors are looked at, in milliseconds.
const PROBE: u64 = 1_000;

/// A host that drifted on endpoints which a remedy has taken away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// The one that went last.
    pub endpoint: String,
    /// So many went, and no successor was seen for yet.
    pub gone: u32,
    /// Who was heard of after the start of the remedy is a successor.
    pub after: Age,
    /// When the first of these drifts was first seen.
    pub first_seen: Age,
    /// Names of the remedies that were tried.
    pub tried: Vec<String>,
    /// The time in which successors must be seen; none as long as the remedy is in flight.
    pub proving: Option<Proving>,
    /// Handshakes of ours that were served what is expected, by successor; the proven ones stay.
    pub right: BTreeMap<String, u32>,
    /// When to look again.
    pub next_probe: Age,
}

/// An endpoint is gone with this drift; a remedy was to mend it.
pub(super) fn gone(state: &mut State, endpoint: &str, host: String, drift: &Drift) {
    let is_ours = drift.treated || drift.proving.is_some();
    let Some(after) = state.starts.last().copied().filter(|_| is_ours) else { return };
    let (age, proving) = (state.clock.age(), drift.proving.filter(|_| !drift.treated));
    let one = state.replaced.entry(host).or_insert_with(|| Replaced {
        endpoint: endpoint.to_owned(),
        gone: 0,
        after,
        first_seen: drift.first_seen,
        tried: drift.tried.clone(),
        proving,
        right: BTreeMap::new(),
        next_probe: age,
    });
    endpoint.clone_into(&mut one.endpoint);
    one.gone = one.gone.saturating_add(1);
    one.first_seen = one.first_seen.min(drift.first_seen);
}

/// The remedy in flight has ended: from here on its successors are looked at.
pub(super) fn ended(state: &mut State, proving: Proving) {
    let age = state.clock.age();
    for one in state.replaced.values_mut().filter(|one| one.proving.is_none()) {
        (one.proving, one.next_probe) = (Some(proving), age);
    }
}

/// The remedy in flight did nothing: whoever went did so by themselves.
pub(super) fn not_started(state: &mut State) {
    state.replaced.retain(|_, one| one.proving.is_some());
}

/// What has had its time is not waited for any longer.
pub(super) fn expire(state: &mut State, out: &mut Vec<Action>) {
    let age = state.clock.age();
    let is_over = |one: &Replaced| one.proving.is_some_and(|proving| proving.until <= age);
    let over: Vec<String> =
        state.replaced.iter().filter(|(_, one)| is_over(one)).map(|(host, _)| host.clone()).collect();
    for host in over {
        let Some(Replaced { endpoint, tried, .. }) = state.replaced.remove(&host) else { continue };
        let remedy = tried.last().cloned().unwrap_or_default();
        out.push(record(state, What::NotProven { endpoint, host, remedy }));
    }
}

/// A process that starts anew has seen nothing yet: what must be seen has its whole time again.
pub(super) fn restarted(state: &mut State, until: Age) {
    for one in state.replaced.values_mut() {
        one.right.clear();
        one.proving = one.proving.map(|proving| Proving { until: until.max(proving.until), ..proving });
    }
}

fn is_successor(one: &Replaced, endpoint: &Endpoint) -> bool {
    one.after < endpoint.born && !endpoint.edge
}

/// A successor that drifts itself has the drift that was to be mended: what was tried is not tried on it again. Its grace is
/// its own: what has just started may serve the old certificate for a moment.
pub(super) fn inherit(state: &mut State, endpoint: &str, host: &str) {
    let Some(one) = state.replaced.get_mut(host) else { return };
    let Some(known) = state.endpoints.get_mut(endpoint).filter(|known| is_successor(one, known)) else {
        return;
    };
    let Some(drift) = known.drifts.get_mut(host) else { return };
    drift.tried.clone_from(&one.tried);
    (drift.treated, drift.proving) = (one.proving.is_none(), one.proving);
    one.right.remove(endpoint);
    one.gone = one.gone.saturating_sub(1);
    if one.gone == 0 {
        state.replaced.remove(host);
    }
}

/// A successor was served what is expected by a handshake of ours.
pub(super) fn right(state: &mut State, seen: &Observed, out: &mut Vec<Action>) {
    let age = state.clock.age();
    let Some(one) = state.replaced.get_mut(&seen.host).filter(|one| one.proving.is_some()) else { return };
    let Some(endpoint) = state.endpoints.get(&seen.endpoint).filter(|e| is_successor(one, e)) else { return };
    let wanted = state.policy.proofs_for(endpoint.workers);
    let times = one.right.entry(seen.endpoint.clone()).or_default();
    *times = times.saturating_add(1);
    if *times != wanted {
        return;
    }
    let what = What::Converged {
        endpoint: seen.endpoint.clone(),
        host: seen.host.clone(),
        after: one.tried.last().cloned(),
        took_ms: age.since(one.first_seen),
        handshakes: wanted,
        workers: seen.worker.iter().cloned().collect(),
        served: seen.served,
    };
    one.gone = one.gone.saturating_sub(1);
    if one.gone == 0 {
        state.replaced.remove(&seen.host);
    }
    out.push(Action::Persist);
    out.push(record(state, what));
}

/// Successors that are to be looked at now, by endpoint.
pub(super) fn probes(state: &mut State, asked: &mut BTreeMap<String, Vec<String>>) {
    let age = state.clock.age();
    for (host, one) in &mut state.replaced {
        if one.proving.is_none() || one.next_probe > age {
            continue;
        }
        one.next_probe = age.plus(PROBE);
        for (name, endpoint) in &state.endpoints {
            let wanted = state.policy.proofs_for(endpoint.workers);
            let is_proven = one.right.get(name).is_some_and(|times| *times >= wanted);
            if is_successor(one, endpoint) && endpoint.is_up() && !is_proven {
                asked.entry(name.clone()).or_default().push(host.clone());
            }
        }
    }
}
