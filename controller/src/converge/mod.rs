//! The convergence state machine: pure; state, event and time give the next state and actions.
//!
//! One [`State`] a gateway. [`step`] takes in an [`Event`] and the wall clock, and gives the next state and the
//! [`Action`]s to do, in their order. It never awaits, reads a clock or touches the network; the same events at the
//! same times give the same actions, byte for byte. What must hold (design.md section 6):
//!
//! 1. No remedy towards an invalid certificate.
//! 2. At most one remedy in flight, a minimum interval, a budget per hour, a window for what restarts something.
//! 3. Only drift that outlived its grace, was seen twice, and by a fresh handshake, is healed.
//! 4. Unreachable, unknown, declared or starting is never healed.
//! 5. Every drift ends converged or alerting within [`Policy::alert_after`].
//! 6. After each remedy the wire is checked before the next.
//! 7. Mode `observe` acts on nothing.
//! 8. A replay of the same events gives the same actions.
//! 9. Nothing is restarted while another rollout runs, nor a single replica or against a disruption budget, unless told to.
//!
//! # How to drive it
//!
//! - `now` is the wall clock in milliseconds. Between restarts take it from a monotonic clock that was set by the wall
//!   clock once, so that it does not step; the machine survives it when it does ([`clock`]).
//! - Tell it [`Event::EndpointUp`] for each endpoint before anything that was observed there, and whenever it answers
//!   again; [`Event::Tick`] every second; [`Event::Published`] after each ledger; [`Event::Observed`] for all that was
//!   seen, by any evidence.
//! - Do the actions in their order. [`Action::Persist`] comes before [`Action::StartRemedy`]: write the state
//!   ([`crate::remedy::state_file`]), and when that fails do not start, but tell it `RemedyEnded { ok: false, … }`.
//! - At start read the state back, tell it [`Event::Restarted`] first, then [`Event::PolicyChanged`].
//!
//! ```
//! use certdrift::converge::{Action, Event, Millis, Observed, Policy, Sight, State, step};
//! use certdrift_contract::{DriftClass, Evidence};
//!
//! let policy: Policy = serde_json::from_str(
//!     r#"{"mode": "heal", "grace": "2s", "remedies": [{"name": "reload", "signal": {"pid_file": "/run/nginx.pid"}}]}"#,
//! )?;
//! let mut now = Millis::from_seconds(1_795_478_400);
//! let mut state = State::new("nginx", policy, now);
//! let mut started = Vec::new();
//! let up = Event::EndpointUp { endpoint: "a".into(), edge: false, workers: Some(1), started: None };
//! let old = |began| {
//!     Event::Observed(Observed {
//!         endpoint: "a".into(),
//!         host: "demo.example.com".into(),
//!         worker: None,
//!         evidence: Evidence::Handshake,
//!         sight: Sight::Drift(DriftClass::Previous),
//!         began,
//!         revision: 0,
//!         expected_since: None,
//!         served: None,
//!         expected: Vec::new(),
//!         given: certdrift::diagnose::Given::File,
//!         fellows: certdrift::diagnose::Fellows::default(),
//!     })
//! };
//! for event in [up, old(now), Event::Tick, old(Millis(now.0 + 2_000))] {
//!     let (next, actions) = step(state, &event, now);
//!     state = next;
//!     for action in actions {
//!         match action {
//!             Action::Persist => { /* write `state`, and only then go on */ }
//!             Action::StartRemedy(intent) => started.push(intent.remedy),
//!             _ => { /* probe, raise, clear, tell, record */ }
//!         }
//!     }
//!     now.0 += 1_000;
//! }
//! assert_eq!(started, ["reload"]);
//! # Ok::<(), serde_json::Error>(())
//! ```
mod action;
pub mod clock;
mod decide;
mod drift;
mod event;
pub mod findings;
pub mod period;
mod policy;
mod replaced;
mod state;
mod wait;
mod window;
mod zone;

#[cfg(test)]
mod tests;

pub use action::{Action, Intent, Record, What};
pub use clock::{LONGEST_GAP, Millis};
pub use decide::MARGIN;
pub use event::{Acknowledgement, Event, Observed, RunsBy, Sight, Workload};
pub use policy::{Mode, Policy};
pub use replaced::Replaced;
pub(crate) use state::SCHEMA;
pub use state::{Drift, Endpoint, InFlight, Proving, Seen, State, Status, WorkerSeen};
pub use wait::{FRESH, Wait, gateway_is_free, may_start};
pub use window::{Day, Offset, TimeOfDay, Window};
pub use zone::Zone;

use decide::End;

/// Two starts of remedies that are told by clocks are the same one when they are no further apart, in milliseconds: one
/// remedy is not started so soon after another.
const SAME_START: u64 = 500;

/// The next state, and what to do, in order.
#[must_use]
pub fn step(mut state: State, event: &Event, now: Millis) -> (State, Vec<Action>) {
    let mut out = Vec::new();
    state.clock.advance(now);
    decide::expire(&mut state, &mut out);
    take(&mut state, event, &mut out);
    match event {
        Event::Observed(seen) => decide::follow_sight(&mut state, &seen.endpoint, &seen.host, &mut out),
        _ => decide::follow(&mut state, &mut out),
    }
    (state, out)
}

fn take(state: &mut State, event: &Event, out: &mut Vec<Action>) {
    let age = state.clock.age();
    match event {
        Event::Tick => {}
        Event::Restarted => restarted(state, out),
        Event::PolicyChanged { policy } => {
            if state.policy.remedies != policy.remedies {
                for drift in state.endpoints.values_mut().flat_map(|e| e.drifts.values_mut()) {
                    drift.tried.clear();
                }
            }
            // Who only looked on knows nothing of what others did meanwhile: the wire is looked at anew.
            if (state.policy.mode, policy.mode) == (Mode::Observe, Mode::Heal) {
                state.round = age;
                for drift in state.endpoints.values_mut().flat_map(|e| e.drifts.values_mut()) {
                    drift.seen = Seen::default();
                    drift.next_probe = age;
                }
            }
            state.policy = (**policy).clone();
            out.push(Action::Persist);
        }
        Event::Published { revision, changed, removed, invalid } => {
            state.revision = *revision;
            state.invalid = invalid.iter().cloned().collect();
            for host in changed.iter().chain(removed) {
                decide::forget_host(state, host, out);
            }
            for (name, endpoint) in state.endpoints.iter().filter(|_| !changed.is_empty()) {
                let handshakes = state.policy.proofs_for(endpoint.workers);
                out.push(Action::Probe { endpoint: name.clone(), hosts: changed.clone(), handshakes });
            }
        }
        Event::EndpointUp { endpoint, edge, workers, started } => {
            let known = state.heard_of(endpoint);
            if known.status != Status::Up {
                // What was seen before it went away is of another time; nothing older outdoes it all the same.
                for drift in known.drifts.values_mut() {
                    drift.seen = Seen { last: drift.seen.last, ..Seen::default() };
                    drift.next_probe = age;
                }
            }
            (known.status, known.edge, known.workers, known.started) =
                (Status::Up, *edge, *workers, *started);
        }
        Event::EndpointStarting { endpoint } => {
            state.heard_of(endpoint).status = Status::Starting;
        }
        Event::EndpointUnreachable { endpoint } => {
            state.heard_of(endpoint).status = Status::Unreachable;
        }
        Event::EndpointGone { endpoint } => {
            let gone = state.endpoints.remove(endpoint);
            for (host, drift) in gone.into_iter().flat_map(|e| e.drifts) {
                replaced::gone(state, endpoint, host.clone(), &drift);
                if let Some(code) = drift.alert {
                    out.push(Action::Clear { endpoint: endpoint.clone(), host, code });
                }
            }
        }
        Event::Loading { endpoint, loading, runs_by } => {
            if let Some(known) = state.endpoints.get_mut(endpoint) {
                (known.loading, known.runs_by) = (*loading, *runs_by);
            }
        }
        Event::Observed(seen) => drift::observed(state, seen, out),
        Event::RemedyEnded { id, ok, said } => {
            if state.in_flight.as_ref().is_some_and(|f| f.intent.id == *id) {
                decide::end_remedy(state, &End::Told { ok: *ok, said }, out);
            }
        }
        Event::RemedyNotStarted { id, why } => {
            if state.in_flight.as_ref().is_some_and(|f| f.intent.id == *id) {
                decide::not_started(state, why, out);
            }
        }
        Event::ActedBefore { at } => {
            let wall = state.clock.wall();
            for start in at.iter().filter_map(|at| state.clock.age_of((*at).min(wall))) {
                // The same one, told by another clock.
                if !state.starts.iter().any(|known| known.0.abs_diff(start.0) < SAME_START) {
                    state.starts.push(start);
                }
            }
            state.starts.sort();
            wait::forget_old_starts(state);
            out.push(Action::Persist);
        }
        Event::Acknowledged(ack) => acknowledged(state, ack, out),
        Event::AcknowledgementWithdrawn { host } => decide::end_acknowledgement(state, host, out),
        Event::Workload(workload) => state.workload = *workload,
    }
}

/// Nothing that ran before runs now, no alert stands, and what was seen before must be seen again.
fn restarted(state: &mut State, out: &mut Vec<Action>) {
    let age = state.clock.age();
    decide::end_remedy(state, &End::Interrupted, out);
    state.round = age;
    let until = age.plus(state.policy.prove_within.as_millis());
    replaced::restarted(state, until);
    for endpoint in state.endpoints.values_mut() {
        endpoint.status = Status::Unreachable;
        (endpoint.loading, endpoint.runs_by) = (None, None);
        for drift in endpoint.drifts.values_mut() {
            // What was seen before is forgotten, so the proof of a remedy has its whole time again.
            drift.proving =
                drift.proving.map(|proving| Proving { until: until.max(proving.until), ..proving });
            drift.seen = Seen::default();
            drift.alert = None;
            drift.next_probe = age;
        }
    }
}

fn acknowledged(state: &mut State, ack: &Acknowledgement, out: &mut Vec<Action>) {
    if ack.until <= state.clock.wall() {
        return;
    }
    state.acknowledged.insert(ack.host.clone(), ack.clone());
    for (name, endpoint) in &mut state.endpoints {
        if let Some(code) = endpoint.drifts.get_mut(&ack.host).and_then(|drift| drift.alert.take()) {
            out.push(Action::Clear { endpoint: name.clone(), host: ack.host.clone(), code });
        }
    }
    out.push(Action::Persist);
    let Acknowledgement { host, reason, until } = ack.clone();
    out.push(decide::record(state, What::Acknowledged { host, reason, until }));
}
