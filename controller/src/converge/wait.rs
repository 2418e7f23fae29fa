//! What a drift waits for: the one place where the rules about acting are written down.
use super::clock::Age;
use super::event::Workload;
use super::policy::{Mode, Policy};
use super::state::{Drift, Endpoint, State, Status};
use crate::diagnose::{Cause, Given, Lack, Loading};

/// A handshake that was served the wrong certificate is fresh for so many milliseconds.
pub const FRESH: u64 = 30_000;
/// What was refused before its act is not asked for again within so many milliseconds.
const AFTER_REFUSAL: u64 = 10_000;
/// The kubelet looks after mounts once a minute, and by a copy of the Secret that may be as old. Milliseconds.
const MOUNTED_WITHIN: i64 = 120_000;
/// As many handshakes as tell a cause are made within so many milliseconds, at the observer's pace; what is not told by then
/// may never be.
const TOLD_WITHIN: u64 = 30_000;
const HOUR: u64 = 3_600_000;

/// Why no remedy is started for a drift now; in the order in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Somebody knows of it and lets it be.
    Acknowledged,
    /// A remedy that should mend it is in flight.
    Treated,
    /// A remedy has ended and the wire has not been seen since.
    Proving,
    /// Nobody answers at the endpoint.
    Unreachable,
    /// The endpoint has no configuration yet.
    Starting,
    /// It has not lasted for its grace.
    Grace,
    /// It was seen once only (since the last remedy).
    SecondSight,
    /// No handshake of ours has seen it just now.
    FreshHandshake,
    /// A fellow that hangs holds up the push, for half a minute at most.
    HeldBack,
    /// The kubelet may not have brought the file yet: a reload would load the old one.
    Mount,
    /// Mode is `observe`.
    Observe,
    /// The gateway behind this edge drifts too and is mended first.
    BehindGateway,
    /// Its cause is to be told by a few handshakes more.
    Cause,
    /// There is no remedy for its cause.
    NoRemedy,
    /// Every remedy for its cause was tried.
    Exhausted,
    /// A stored certificate of this gateway is worse than the one served, and a remedy would load it.
    InvalidCertificate,
    /// Another remedy is in flight.
    InFlight,
    /// The wire has not been seen since the last remedy, for another drift.
    OtherProving,
    /// A remedy was refused before its act too short a while ago.
    Refused,
    /// The last remedy was started too short a while ago.
    Interval,
    /// As many remedies as may be were started within the hour.
    Budget,
    /// No maintenance window is open.
    Window,
    /// Another rollout runs.
    Rollout,
    /// There is no other replica (or none is known) to take over.
    SingleReplica,
    /// The disruption budget lets none go.
    DisruptionBudget,
}

impl Wait {
    /// In words, after "it waits for" or "because".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "the end of its acknowledgement",
            Self::Treated => "the remedy in flight to end",
            Self::Proving => "the wire to be seen after the last remedy",
            Self::Unreachable => "the endpoint to answer again",
            Self::Starting => "the endpoint to get its configuration",
            Self::Grace => "its grace to pass",
            Self::SecondSight => "a second sight of it",
            Self::FreshHandshake => "a fresh handshake to confirm it",
            Self::HeldBack => "a pod that hangs to be set aside by the ingress controller",
            Self::Mount => "the kubelet to bring the file to the pod",
            Self::Observe => "a human, because mode is observe",
            Self::BehindGateway => "the gateway behind this edge to be right",
            Self::Cause => "its cause to be told",
            Self::NoRemedy => "a human, because no remedy is for its cause",
            Self::Exhausted => "a human, because every remedy for its cause was tried",
            Self::InvalidCertificate => {
                "the stored certificates to be good, because a remedy would load a bad one"
            }
            Self::InFlight => "another remedy to end",
            Self::OtherProving => "the wire to be seen after the last remedy, for another drift",
            Self::Refused => "a pause, because it was refused just now",
            Self::Interval => "the minimum interval between remedies",
            Self::Budget => "the hourly budget of remedies",
            Self::Window => "a maintenance window",
            Self::Rollout => "another rollout to end",
            Self::SingleReplica => "a second replica, because the remedy would restart the only one",
            Self::DisruptionBudget => "the disruption budget to let one go",
        }
    }
}

/// The remedy (its place in the policy's list) that may be started for this drift now, or what it waits for. `free` is
/// [`gateway_is_free`], which all drifts of a gateway share.
///
/// # Errors
/// The first rule that holds it back.
pub fn may_start(
    state: &State,
    free: Result<(), Wait>,
    name: &str,
    endpoint: &Endpoint,
    host: &str,
    drift: &Drift,
) -> Result<usize, Wait> {
    if state.is_acknowledged(host) {
        return Err(Wait::Acknowledged);
    }
    confirmed(state, endpoint, drift)?;
    let remedy = next_remedy(state, name, endpoint, drift)?;
    is_mounted(state, drift)?;
    free?;
    if state.policy.remedies.get(remedy).is_some_and(|r| r.restarts) {
        may_restart(&state.policy, &state.workload, state.clock.wall())?;
    }
    Ok(remedy)
}

/// It outlived its grace, was seen twice, and by a fresh handshake, at an endpoint that answers.
fn confirmed(state: &State, endpoint: &Endpoint, drift: &Drift) -> Result<(), Wait> {
    let age = state.clock.age();
    if drift.treated {
        return Err(Wait::Treated);
    }
    if drift.proving.is_some() {
        return Err(Wait::Proving);
    }
    match endpoint.status {
        // A restarted pod is up and has nothing yet: what it serves then is nothing to be healed.
        Status::Up if drift.given == Given::Pushed && endpoint.loading == Some(Loading::Starting) => {
            return Err(Wait::Starting);
        }
        Status::Up => {}
        Status::Starting => return Err(Wait::Starting),
        Status::Unreachable => return Err(Wait::Unreachable),
    }
    if age.since(drift.first_seen) < state.policy.grace.as_millis() {
        return Err(Wait::Grace);
    }
    if drift.seen.times < 2 {
        return Err(Wait::SecondSight);
    }
    // Made after the drift was opened: healthy sights are not remembered, so one that is older and came late could
    // contradict them.
    let fresh = |at: Age| drift.first_seen < at && age.since(at) <= FRESH;
    let fresh = drift.seen.by_handshake.is_some_and(fresh);
    if fresh && drift.seen.right == 0 { Ok(()) } else { Err(Wait::FreshHandshake) }
}

/// The first remedy for the cause that was not tried yet.
fn next_remedy(state: &State, name: &str, endpoint: &Endpoint, drift: &Drift) -> Result<usize, Wait> {
    let policy = &state.policy;
    if drift.cause == Cause::HeldBack {
        return Err(Wait::HeldBack);
    }
    if policy.mode == Mode::Observe {
        return Err(Wait::Observe);
    }
    let is_open = drift.cause == Cause::Unexplained;
    // An edge is not ours to heal, whatever is the matter with it.
    if drift.cause == Cause::BehindGateway || (endpoint.edge && is_open) {
        return Err(Wait::BehindGateway);
    }
    // Nothing that a remedy could load arrives there; unless it has, at some of its workers.
    let is_kept_away = drift.given == Given::Pushed
        && matches!(endpoint.loading, Some(Loading::Refused | Loading::HeldBack));
    if is_kept_away && (is_open || drift.cause == Cause::PodBehind) {
        return Err(Wait::Cause);
    }
    // What fits the cause is better than what may mend any, where it is only a few seconds away.
    if is_open && is_to_be_told(state, drift) {
        return Err(Wait::Cause);
    }
    // A pod that is restarted has to be pushed its configuration anew: not as long as nobody knows whether it would be.
    let may = |restarts: bool| !(restarts && is_open && drift.given == Given::Pushed);
    let mut fitting = policy
        .remedies
        .iter()
        .enumerate()
        .filter(|(_, r)| r.is_for(name, drift.cause) && may(r.restarts))
        .peekable();
    if fitting.peek().is_none() {
        return Err(Wait::NoRemedy);
    }
    fitting.find(|(_, r)| !drift.tried.contains(&r.name)).map(|(n, _)| n).ok_or(Wait::Exhausted)
}

/// Whether a few handshakes more are likely to tell the cause.
pub(super) fn is_to_be_told(state: &State, drift: &Drift) -> bool {
    let comes = |lack: &Lack| matches!(lack, Lack::Workers | Lack::Fellows | Lack::Gateway);
    let from = drift.first_seen.max(state.round).plus(state.policy.grace.as_millis());
    let young = state.clock.age() < from.plus(TOLD_WITHIN);
    young && drift.lacks.iter().any(comes)
}

/// A file that a reload should load is there by now.
fn is_mounted(state: &State, drift: &Drift) -> Result<(), Wait> {
    let is_due = drift.cause == Cause::FileNotReloaded && state.workload.files_are_mounted;
    let since = drift.expected_since.map_or(0, |at| state.clock.wall().since(at));
    if is_due && since < MOUNTED_WITHIN { Err(Wait::Mount) } else { Ok(()) }
}

/// No remedy is in flight or unproven, and interval and budget allow one. It looks at every drift, so it is asked once
/// for all of them: ten thousand hosts drift when one reload is missed.
///
/// # Errors
/// The first rule that holds every remedy back.
pub fn gateway_is_free(state: &State) -> Result<(), Wait> {
    let age = state.clock.age();
    if !state.invalid.is_empty() {
        return Err(Wait::InvalidCertificate);
    }
    if state.in_flight.is_some() {
        return Err(Wait::InFlight);
    }
    if !state.replaced.is_empty() || state.drifts().any(|(_, _, _, drift)| drift.proving.is_some()) {
        return Err(Wait::OtherProving);
    }
    if state.refused.is_some_and(|at| age.since(at) < AFTER_REFUSAL) {
        return Err(Wait::Refused);
    }
    if state.starts.last().is_some_and(|last| age.since(*last) < state.policy.min_interval.as_millis()) {
        return Err(Wait::Interval);
    }
    let within_the_hour = state.starts.iter().filter(|at| age.since(**at) < HOUR).count();
    if within_the_hour >= usize::try_from(state.policy.budget_per_hour).unwrap_or(usize::MAX) {
        return Err(Wait::Budget);
    }
    Ok(())
}

fn may_restart(policy: &Policy, workload: &Workload, wall: super::Millis) -> Result<(), Wait> {
    if !policy.windows.is_empty() && !policy.windows.iter().any(|w| w.open_at(wall)) {
        return Err(Wait::Window);
    }
    if workload.rollout_running {
        return Err(Wait::Rollout);
    }
    if workload.replicas.is_none_or(|n| n < 2) && !policy.restart_single_replica {
        return Err(Wait::SingleReplica);
    }
    if workload.disruptions_allowed == Some(0) && !policy.restart_against_budget {
        return Err(Wait::DisruptionBudget);
    }
    Ok(())
}

/// Forgets starts that no longer count: all but the last (for the interval) once they are over an hour old.
pub(super) fn forget_old_starts(state: &mut State) {
    let age = state.clock.age();
    let last = state.starts.last().copied();
    state.starts.retain(|at| age.since(*at) < HOUR || Some(*at) == last);
}
