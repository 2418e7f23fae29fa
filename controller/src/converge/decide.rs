//! What follows from the state: remedies started and ended, alerts, probes.
use super::action::{Action, Intent, Record, What};
use super::drift;
use super::findings::{
    DRIFT_OBSERVED, DRIFT_UNSETTLED, NO_REMEDY, REMEDIES_EXHAUSTED, REMEDY_FAILED, REMEDY_INTERRUPTED,
};
use super::replaced;
use super::state::{Drift, Endpoint, InFlight, Proving, Seen, State};
use super::wait::{self, Wait, gateway_is_free, may_start};
use crate::diagnose::{Cause, cannot_tell};
use crate::finding::{Finding, Kind};
use std::collections::BTreeMap;

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
    // Nobody ended what was interrupted: it may be at work for as long as it was given.
    let works_until = match end {
        End::Interrupted => age.max(started.plus(intent.timeout_ms)),
        End::Told { .. } | End::Silent => age,
    };
    let proving = Proving {
        settled: works_until.plus(policy.settle.as_millis()),
        until: works_until.plus(policy.prove_within.as_millis()),
    };
    replaced::ended(state, proving);
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

/// The remedy in flight was refused before its act: neither budget nor interval is spent, and it may be tried again. But
/// not before a pause, and not before the drifts were seen anew.
pub(super) fn not_started(state: &mut State, why: &str, out: &mut Vec<Action>) {
    let Some(InFlight { intent, started }) = state.in_flight.take() else { return };
    let age = state.clock.age();
    state.round = age;
    state.refused = Some(age);
    replaced::not_started(state);
    if let Some(at) = state.starts.iter().rposition(|start| *start == started) {
        state.starts.remove(at);
    }
    for drift in state.endpoints.values_mut().flat_map(|e| e.drifts.values_mut()) {
        drift.seen = Seen::default();
        drift.next_probe = age;
        if std::mem::take(&mut drift.treated) {
            drift.tried.pop_if(|last| *last == intent.remedy);
        }
    }
    out.push(Action::Persist);
    let what = What::NotStarted { id: intent.id, remedy: intent.remedy, why: why.to_owned() };
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
    replaced::expire(state, out);
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

/// Starts the first remedy that may be started, for all drifts it is the next remedy of and can reach: what acts on one
/// endpoint leaves those of the others for later.
fn start_remedy(state: &mut State, out: &mut Vec<Action>) {
    let free = gateway_is_free(state);
    let allowed: Vec<(usize, String, String)> = state
        .drifts()
        .filter_map(|(name, endpoint, host, drift)| {
            let remedy = may_start(state, free, name, endpoint, host, drift).ok()?;
            Some((remedy, name.to_owned(), host.to_owned()))
        })
        .collect();
    let Some((first, reason_endpoint, reason_host)) = allowed.iter().min_by_key(|(remedy, ..)| *remedy)
    else {
        return;
    };
    let Some(remedy) = state.policy.remedies.get(*first).cloned() else { return };
    let acts_on_one = remedy.act.acts_on_one_endpoint(&state.workload);
    let mut intent = Intent {
        id: state.next_id,
        gateway: state.gateway.clone(),
        kind: remedy.act.kind().to_owned(),
        endpoint: reason_endpoint.clone(),
        host: reason_host.clone(),
        cause: Cause::Unexplained,
        covers: 0,
        served: None,
        expected: Vec::new(),
        at: state.clock.wall(),
        timeout_ms: remedy.timeout.as_millis(),
        price: remedy.price().to_owned(),
        remedy: remedy.name,
    };
    let covered = |(remedy, name, _): &&(usize, String, String)| {
        remedy == first && (!acts_on_one || name == reason_endpoint)
    };
    for (_, name, host) in allowed.iter().filter(covered) {
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
    for endpoint in state.endpoints.values_mut() {
        let mut drifts = std::mem::take(&mut endpoint.drifts);
        for (host, drift) in &mut drifts {
            let reason = drift::reason(state.invalid.contains(host), endpoint, drift, &state.policy);
            (drift.cause, drift.lacks) = (reason.cause, reason.lacks);
        }
        endpoint.drifts = drifts;
    }
}

/// Names the cause of one drift; gives whether a remedy may be started for it.
fn name_cause(state: &mut State, name: &str, host: &str) -> bool {
    let Some((endpoint, drift)) = state.endpoints.get(name).and_then(|e| Some((e, e.drifts.get(host)?)))
    else {
        return false;
    };
    let reason = drift::reason(state.invalid.contains(host), endpoint, drift, &state.policy);
    if let Some(drift) = state.endpoints.get_mut(name).and_then(|e| e.drifts.get_mut(host)) {
        (drift.cause, drift.lacks) = (reason.cause, reason.lacks);
    }
    let found = state.endpoints.get(name).and_then(|e| Some((e, e.drifts.get(host)?)));
    let free = gateway_is_free(state);
    found.is_some_and(|(endpoint, drift)| may_start(state, free, name, endpoint, host, drift).is_ok())
}

/// Raises what must be known by now, of one drift or of all.
fn alert(state: &mut State, one: Option<(&str, &str)>, out: &mut Vec<Action>) {
    let mut due = Vec::new();
    let free = gateway_is_free(state);
    let mut look = |name: &str, endpoint: &Endpoint, host: &str, drift: &Drift| {
        let wait = may_start(state, free, name, endpoint, host, drift).err();
        if let Some(kind) = alert_due(state, drift, wait) {
            due.push((name.to_owned(), host.to_owned(), kind, wait));
        }
    };
    match one {
        None => state.drifts().for_each(|(name, endpoint, host, drift)| look(name, endpoint, host, drift)),
        Some((name, host)) => {
            let found = state.endpoints.get(name).and_then(|e| Some((e, e.drifts.get(host)?)));
            if let Some((endpoint, drift)) = found {
                look(name, endpoint, host, drift);
            }
        }
    }
    for (endpoint, host, kind, wait) in due {
        raise(state, endpoint, host, kind, wait, out);
    }
}

fn raise(
    state: &mut State,
    endpoint: String,
    host: String,
    kind: &Kind,
    wait: Option<Wait>,
    out: &mut Vec<Action>,
) {
    let object = format!("{}/{endpoint} {host}", state.gateway);
    let Some(drift) = state.endpoints.get_mut(&endpoint).and_then(|e| e.drifts.get_mut(&host)) else {
        return;
    };
    drift.alert_cause = Some(drift.cause);
    let before = drift.alert.replace(kind.code.to_owned());
    let is_another = before.as_deref() != Some(kind.code);
    if let Some(code) = before.filter(|_| is_another) {
        out.push(Action::Clear { endpoint: endpoint.clone(), host: host.clone(), code });
    }
    let finding = Finding { mend: mend(kind, drift.cause), ..kind.on(object, why(drift, wait)) };
    if is_another && kind.code == REMEDIES_EXHAUSTED.code {
        let (cause, tried) = (drift.cause, drift.tried.clone());
        out.push(Action::Persist);
        let what = What::Exhausted { endpoint: endpoint.clone(), host: host.clone(), cause, tried };
        out.push(record(state, what));
    }
    out.push(Action::Raise { endpoint, host, finding });
}

/// What a person can do about it.
fn mend(kind: &Kind, cause: Cause) -> String {
    let or = match kind.code {
        code if code == DRIFT_OBSERVED.code => "list remedies and set mode: heal for it",
        code if code == NO_REMEDY.code => "list a remedy for it",
        _ => return kind.mend.to_owned(),
    };
    let by_hand = cause.by_hand();
    if cause.mendable() { format!("{by_hand}, or {or}") } else { by_hand.to_owned() }
}

/// Which alert must be raised now; none when it stands already and names the cause, or a graver one does.
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
    let stands = drift.alert.as_deref() == Some(kind.code) && drift.alert_cause == Some(drift.cause);
    (!stands).then_some(kind)
}

fn why(drift: &Drift, wait: Option<Wait>) -> String {
    use std::fmt::Write as _;
    let short = |f: &certdrift_contract::Fingerprint| f.to_string().chars().take(16).collect::<String>();
    let mut text =
        format!("drift ({}) since {}, cause {}", drift.class.as_str(), drift.since, drift.cause.as_str());
    if !drift.lacks.is_empty() {
        let _ = write!(text, " ({})", cannot_tell(&drift.lacks));
    }
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
fn probe(state: &mut State, out: &mut Vec<Action>) {
    if state.in_flight.is_some() {
        return;
    }
    let age = state.clock.age();
    let free = gateway_is_free(state);
    let mut due: Vec<(String, String, u64)> = Vec::new();
    for (name, endpoint, host, drift) in state.drifts().filter(|(.., drift)| drift.next_probe <= age) {
        let every = match may_start(state, free, name, endpoint, host, drift) {
            Ok(_) | Err(Wait::Proving | Wait::SecondSight | Wait::FreshHandshake | Wait::Cause) => PROBE_SOON,
            Err(Wait::Observe) if wait::is_to_be_told(state, drift) => PROBE_SOON,
            Err(Wait::Acknowledged | Wait::Observe | Wait::NoRemedy | Wait::Exhausted) => PROBE_SELDOM,
            Err(_) => PROBE_OFTEN,
        };
        // An alert that stands is known of: its probes only wait for the end.
        let is_known_of = drift.alert.is_some() && !wait::is_to_be_told(state, drift);
        let every = if is_known_of { every.max(PROBE_OFTEN) } else { every };
        due.push((name.to_owned(), host.to_owned(), every));
    }
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    replaced::probes(state, &mut asked);
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
    name_causes(state);
    start_remedy(state, out);
    alert(state, None, out);
    probe(state, out);
}

/// What follows from one sight: of its own drift only, so that a thousand sights of a thousand drifts are not a million
/// decisions. The next tick does the rest.
pub(super) fn follow_sight(state: &mut State, name: &str, host: &str, out: &mut Vec<Action>) {
    if name_cause(state, name, host) {
        start_remedy(state, out);
    }
    alert(state, Some((name, host)), out);
}

/// Forgets the drifts of one host, everywhere: what is expected of it is another thing now.
pub(super) fn forget_host(state: &mut State, host: &str, out: &mut Vec<Action>) {
    state.replaced.remove(host);
    for (name, endpoint) in &mut state.endpoints {
        if let Some(code) = endpoint.drifts.remove(host).and_then(|drift| drift.alert) {
            out.push(Action::Clear { endpoint: name.clone(), host: host.to_owned(), code });
        }
    }
}
