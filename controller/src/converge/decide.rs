//! What follows from the state: remedies started and ended, alerts, probes.
use super::action::{Action, Intent, Record, What};
use super::findings::{
    DRIFT_OBSERVED, DRIFT_UNSETTLED, NO_REMEDY, REMEDIES_EXHAUSTED, REMEDY_FAILED, REMEDY_INTERRUPTED,
};
use super::state::{Drift, InFlight, Proving, Seen, State};
use super::wait::{self, Wait, may_start};
use super::{Millis, drift};
use crate::finding::Kind;

/// Past its timeout, a remedy is given so many milliseconds to tell that it was ended.
pub const MARGIN: u64 = 5_000;
/// A drift that a remedy may be near for is looked at so often (milliseconds).
const PROBE_SOON: u64 = 1_000;
/// Any other drift.
const PROBE_OFTEN: u64 = 10_000;
/// One that a human knows of.
const PROBE_SELDOM: u64 = 60_000;

pub(super) fn record(state: &State, what: What) -> Action {
    Action::Record(Record { at: state.clock.wall(), gateway: state.gateway.clone(), what })
}

/// How a remedy ended.
pub(super) enum End<'a> {
    /// It told so.
    Told { ok: bool, said: &'a str },
    /// It had its time and told nothing.
    Silent,
    /// The process ended first.
    Interrupted,
}

/// The remedy in flight is over. Whatever it said, the wire decides: every drift is seen anew from here on.
pub(super) fn end_remedy(state: &mut State, end: &End<'_>, out: &mut Vec<Action>) {
    let Some(InFlight { intent, started }) = state.in_flight.take() else { return };
    let (age, policy) = (state.clock.age(), &state.policy);
    state.round = age;
    let proving = Proving {
        settled: age.plus(policy.settle.as_millis()),
        until: age.plus(policy.prove_within.as_millis()),
    };
    for drift in state.endpoints.values_mut().flat_map(|e| e.drifts.values_mut()) {
        drift.seen = Seen::default();
        drift.next_probe = age;
        if std::mem::take(&mut drift.treated) {
            drift.proving = Some(proving);
        }
    }
    let (ok, said) = match end {
        End::Told { ok, said } => (*ok, (*said).to_owned()),
        End::Silent => (false, "it told nothing in its time".to_owned()),
        End::Interrupted => (false, "certdrift ended first; what became of it is not known".to_owned()),
    };
    let object = format!("{} {}", state.gateway, intent.remedy);
    match end {
        End::Silent => out.push(Action::AbandonRemedy { id: intent.id }),
        End::Interrupted => out.push(Action::Tell {
            finding: REMEDY_INTERRUPTED.on(
                object.clone(),
                format!("intent {} of {} for {} at {}", intent.id, intent.at, intent.host, intent.endpoint),
            ),
        }),
        End::Told { .. } => {}
    }
    if !ok && !matches!(end, End::Interrupted) {
        out.push(Action::Tell { finding: REMEDY_FAILED.on(object, said.clone()) });
    }
    out.push(Action::Persist);
    let what = What::Ended { id: intent.id, remedy: intent.remedy, ok, said, took_ms: age.since(started) };
    out.push(record(state, what));
}

/// Ends what has had its time: the remedy in flight, proofs, acknowledgements.
pub(super) fn expire(state: &mut State, out: &mut Vec<Action>) {
    let age = state.clock.age();
    let overdue = |f: &InFlight| age.since(f.started) >= f.intent.timeout_ms.saturating_add(MARGIN);
    if state.in_flight.as_ref().is_some_and(overdue) {
        end_remedy(state, &End::Silent, out);
    }
    let mut unproven = Vec::new();
    for (name, endpoint) in &mut state.endpoints {
        for (host, drift) in &mut endpoint.drifts {
            if drift.proving.is_some_and(|p| p.until <= age) {
                drift.proving = None;
                let remedy = drift.tried.last().cloned().unwrap_or_default();
                unproven.push(What::NotProven { endpoint: name.clone(), host: host.clone(), remedy });
            }
        }
    }
    out.extend(unproven.into_iter().map(|what| record(state, what)));
    let wall = state.clock.wall();
    let ended: Vec<String> =
        state.acknowledged.values().filter(|a| a.until <= wall).map(|a| a.host.clone()).collect();
    for host in ended {
        end_acknowledgement(state, &host, out);
    }
}

/// Healing and alerting of this host begin anew.
pub(super) fn end_acknowledgement(state: &mut State, host: &str, out: &mut Vec<Action>) {
    if state.acknowledged.remove(host).is_none() {
        return;
    }
    let age = state.clock.age();
    for drift in state.endpoints.values_mut().filter_map(|e| e.drifts.get_mut(host)) {
        drift.alert_from = age;
    }
    out.push(Action::Persist);
    out.push(record(state, What::AcknowledgementEnded { host: host.to_owned() }));
}

/// Names the causes anew, then starts the first remedy that may be started, for all drifts it is the next remedy of.
/// Gives for each drift what it waits for.
pub(super) fn start_remedy(state: &mut State, out: &mut Vec<Action>) {
    name_causes(state);
    let allowed: Vec<(usize, String, String)> = state
        .drifts()
        .filter_map(|(name, endpoint, host, drift)| {
            let remedy = may_start(state, name, endpoint, host, drift).ok()?;
            Some((remedy, name.to_owned(), host.to_owned()))
        })
        .collect();
    let Some((first, reason_endpoint, reason_host)) = allowed.iter().min_by_key(|(remedy, ..)| *remedy)
    else {
        return;
    };
    let Some(remedy) = state.policy.remedies.get(*first).cloned() else { return };
    let mut intent = Intent {
        id: state.next_id,
        gateway: state.gateway.clone(),
        kind: remedy.act.kind().to_owned(),
        endpoint: reason_endpoint.clone(),
        host: reason_host.clone(),
        cause: crate::diagnose::Cause::Unexplained,
        covers: 0,
        served: None,
        expected: Vec::new(),
        at: state.clock.wall(),
        timeout_ms: remedy.timeout.as_millis(),
        price: remedy.price().to_owned(),
        remedy: remedy.name,
    };
    for (_, name, host) in allowed.iter().filter(|(remedy, ..)| remedy == first) {
        let Some(drift) = state.endpoints.get_mut(name).and_then(|e| e.drifts.get_mut(host)) else {
            continue;
        };
        drift.tried.push(intent.remedy.clone());
        drift.treated = true;
        intent.covers += 1;
        if name == reason_endpoint && host == reason_host {
            intent.cause = drift.cause;
            intent.served = drift.served;
            intent.expected.clone_from(&drift.expected);
        }
    }
    let started = state.clock.age();
    state.next_id = state.next_id.saturating_add(1);
    state.starts.push(started);
    wait::forget_old_starts(state);
    state.in_flight = Some(InFlight { intent: intent.clone(), started });
    out.push(Action::Persist);
    out.push(record(state, What::Remedy { intent: intent.clone() }));
    out.push(Action::StartRemedy(intent));
}

fn name_causes(state: &mut State) {
    let causes: Vec<_> = state
        .drifts()
        .map(|(name, endpoint, host, d)| drift::cause(state, name, endpoint, host, d))
        .collect();
    let drifts = state.endpoints.values_mut().flat_map(|e| e.drifts.values_mut());
    for (drift, cause) in drifts.zip(causes) {
        drift.cause = cause;
    }
}

/// Raises what must be known by now.
pub(super) fn alert(state: &mut State, out: &mut Vec<Action>) {
    let mut due = Vec::new();
    for (name, endpoint, host, drift) in state.drifts() {
        let wait = may_start(state, name, endpoint, host, drift).err();
        if let Some(kind) = alert_due(state, drift, wait) {
            due.push((name.to_owned(), host.to_owned(), kind, wait));
        }
    }
    for (endpoint, host, kind, wait) in due {
        let gateway = state.gateway.clone();
        let Some(drift) = state.endpoints.get_mut(&endpoint).and_then(|e| e.drifts.get_mut(&host)) else {
            continue;
        };
        if let Some(code) = drift.alert.replace(kind.code.to_owned()) {
            out.push(Action::Clear { endpoint: endpoint.clone(), host: host.clone(), code });
        }
        let tried = drift.tried.clone();
        let finding = kind.on(format!("{gateway}/{endpoint} {host}"), why(drift, wait));
        if kind.code == REMEDIES_EXHAUSTED.code {
            let (endpoint, host, cause) = (endpoint.clone(), host.clone(), drift.cause);
            out.push(Action::Persist);
            out.push(record(state, What::Exhausted { endpoint, host, cause, tried }));
        }
        out.push(Action::Raise { endpoint, host, finding });
    }
}

/// Which alert must be raised now; none when it stands already, or a graver one does.
fn alert_due(state: &State, drift: &Drift, wait: Option<Wait>) -> Option<&'static Kind> {
    let late = state.clock.age().since(drift.alert_from) >= state.policy.alert_after.as_millis();
    let kind = match wait {
        Some(Wait::Acknowledged) => return None,
        Some(Wait::Observe) => &DRIFT_OBSERVED,
        Some(Wait::Exhausted) => &REMEDIES_EXHAUSTED,
        Some(Wait::NoRemedy) => &NO_REMEDY,
        _ if late && drift.alert.is_none() => &DRIFT_UNSETTLED,
        _ => return None,
    };
    (drift.alert.as_deref() != Some(kind.code)).then_some(kind)
}

fn why(drift: &Drift, wait: Option<Wait>) -> String {
    use std::fmt::Write as _;
    let short = |f: &certdrift_contract::Fingerprint| f.to_string().chars().take(16).collect::<String>();
    let mut text =
        format!("drift ({}) since {}, cause {}", drift.class.as_str(), drift.since, drift.cause.as_str());
    if let Some(served) = &drift.served {
        let expected: Vec<String> = drift.expected.iter().map(short).collect();
        let _ = write!(text, "; served {}, expected {}", short(served), expected.join(" or "));
    }
    if !drift.tried.is_empty() {
        let _ = write!(text, "; tried {}", drift.tried.join(", "));
    }
    if let Some(wait) = wait {
        let _ = write!(text, "; it waits for {}", wait.as_str());
    }
    text
}

/// Asks for handshakes where a drift is to be looked at again.
pub(super) fn probe(state: &mut State, out: &mut Vec<Action>) {
    if state.in_flight.is_some() {
        return;
    }
    let age = state.clock.age();
    let mut due: Vec<(String, String, u64)> = Vec::new();
    for (name, endpoint, host, drift) in state.drifts().filter(|(.., drift)| drift.next_probe <= age) {
        let every = match may_start(state, name, endpoint, host, drift) {
            Ok(_) | Err(Wait::Proving | Wait::SecondSight | Wait::FreshHandshake) => PROBE_SOON,
            Err(Wait::Acknowledged | Wait::Observe | Wait::NoRemedy | Wait::Exhausted) => PROBE_SELDOM,
            Err(_) => PROBE_OFTEN,
        };
        // An alert that stands is known of: its probes only wait for the end.
        let every = if drift.alert.is_some() { every.max(PROBE_OFTEN) } else { every };
        due.push((name.to_owned(), host.to_owned(), every));
    }
    let mut asked: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for (name, host, every) in due {
        if let Some(drift) = state.endpoints.get_mut(&name).and_then(|e| e.drifts.get_mut(&host)) {
            drift.next_probe = age.plus(every);
        }
        asked.entry(name).or_default().push(host);
    }
    for (endpoint, hosts) in asked {
        let workers = state.endpoints.get(&endpoint).and_then(|e| e.workers);
        out.push(Action::Probe { endpoint, hosts, handshakes: state.policy.proofs_for(workers) });
    }
}

/// Everything that follows from the state, in order.
pub(super) fn follow(state: &mut State, out: &mut Vec<Action>) {
    start_remedy(state, out);
    alert(state, out);
    probe(state, out);
}

/// Forgets the drifts of one host, everywhere: what is expected of it is another thing now.
pub(super) fn forget_host(state: &mut State, host: &str, out: &mut Vec<Action>) {
    for (name, endpoint) in &mut state.endpoints {
        if let Some(code) = endpoint.drifts.remove(host).and_then(|drift| drift.alert) {
            out.push(Action::Clear { endpoint: name.clone(), host: host.to_owned(), code });
        }
    }
}

/// Whether an acknowledgement that ends then has ended.
pub(super) const fn has_ended(until: Millis, now: Millis) -> bool {
    until.0 <= now.0
}
