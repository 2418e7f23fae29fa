//! What is known of a gateway, as gauges and as state. Pure.
use super::gateway::Gateway;
use super::sights::Sight;
use super::state::{Endpoint, Host, LedgerState, Seen};
use super::{Hub, state};
use crate::converge::{Mode, gateway_is_free, may_start};
use crate::diagnose::Lack;
use crate::finding::Severity;
use crate::metrics::Gauges;
use crate::metrics::catalogue as metric;
use crate::publish::difference::entries;
use certdrift_contract::index::DEFAULT;
use certdrift_contract::{Expected, UnixTime, Verdict};
use std::collections::{BTreeMap, HashMap};

/// A certificate that ends within so many seconds is near its end.
const NEAR_END: i64 = 14 * 86_400;

#[allow(clippy::cast_precision_loss, reason = "a gauge is a double; exact below 2^53")]
const fn figure(n: i64) -> f64 {
    n as f64
}

fn count(n: usize) -> f64 {
    figure(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Sets the gauges of a gateway.
pub(super) fn gauges(gateway: &Gateway, hub: &Hub, now: UnixTime, to: &mut Gauges) {
    let name = gateway.config.name.clone();
    let name = name.as_str();
    to.set(&metric::READY, &[name], f64::from(u8::from(hub.is_ready(name))));
    to.set(&metric::HEALING, &[name], f64::from(u8::from(gateway.config.policy.mode == Mode::Heal)));
    if let Some(inventory) = &gateway.inventory {
        to.set(&metric::SOURCES, &[name], count(inventory.stored.len()));
    }
    for severity in metric::SEVERITIES {
        to.set(&metric::FINDINGS, &[name, severity], 0.0);
    }
    for finding in gateway.findings() {
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        to.add(&metric::FINDINGS, &[name, severity], 1.0);
        to.add(&metric::FINDING, &[name, &finding.code, severity], 1.0);
    }
    if let Some(ledger) = gateway.publisher.ledger().filter(|_| hub.is_ready(name)) {
        to.set(
            &metric::LEDGER_REVISION,
            &[name],
            figure(i64::try_from(ledger.revision.0).unwrap_or(i64::MAX)),
        );
        to.set(&metric::LEDGER_PUBLISHED, &[name], figure(ledger.published_at.seconds()));
        to.set(&metric::HOSTS, &[name], count(entries(ledger).iter().map(|e| e.hosts.len()).sum()));
        let (mut near, mut first) = (Vec::new(), None);
        for entry in entries(ledger) {
            for expected in &entry.current {
                let end = expected.not_after;
                first = Some(first.map_or(end, |first: UnixTime| first.min(end)));
                if end.since(now) < NEAR_END {
                    near.extend(entry.hosts.iter().map(|h| (end, h.as_str())));
                }
            }
        }
        if let Some(end) = first {
            to.lowest(&metric::NOT_AFTER_EXPECTED, &[name], figure(end.seconds()));
        }
        near.sort();
        near.dedup_by_key(|(_, host)| *host);
        for (end, host) in near.into_iter().take(metric::MOST_HOST_SERIES) {
            to.lowest(&metric::NEAR_END, &[name, host], figure(end.seconds()));
        }
    }
    endpoints(gateway, name, now, to);
    let machine = gateway.machine();
    let in_flight =
        machine.is_some_and(|m| m.in_flight.is_some() || m.drifts().any(|(.., d)| d.proving.is_some()));
    to.set(&metric::REMEDY_IN_FLIGHT, &[name], f64::from(u8::from(in_flight)));
    to.set(&metric::ALERTS, &[name], count(gateway.alerts.len()));
    if let Some(canary) = gateway.canary_state() {
        let seconds = |millis: i64| figure(millis) / 1_000.0;
        to.set(&metric::CANARY_INTERVAL, &[name], seconds(canary.every));
        if let Some(at) = canary.worked {
            to.set(&metric::CANARY_SUCCESS, &[name], figure(at.seconds().seconds()));
        }
        if let Some(took) = canary.took {
            to.set(&metric::CANARY_DURATION, &[name], seconds(took));
        }
    }
}

/// Of one endpoint.
#[derive(Default)]
struct Counted {
    /// Hosts by verdict.
    verdicts: BTreeMap<&'static str, usize>,
    /// The first end of what it serves.
    first: Option<UnixTime>,
    /// Workers that are known of one host, at most.
    workers: usize,
}

fn endpoints(gateway: &Gateway, name: &str, now: UnixTime, to: &mut Gauges) {
    for (endpoint, (answers, _)) in &gateway.answers {
        to.set(&metric::ENDPOINT_UP, &[name, endpoint], f64::from(u8::from(*answers)));
        for verdict in metric::VERDICTS {
            to.set(&metric::ENDPOINT_HOSTS, &[name, endpoint, verdict], 0.0);
        }
        if let Some(workers) = gateway.workers(endpoint) {
            to.set(&metric::ENDPOINT_WORKERS, &[name, endpoint], f64::from(workers));
        }
    }
    for class in metric::CLASSES {
        to.set(&metric::DRIFT_HOSTS, &[name, class], 0.0);
    }
    to.set(&metric::ACKNOWLEDGED, &[name], 0.0);
    for (endpoint, connections) in &gateway.connections {
        for (kind, so_many) in metric::CONNECTION_KINDS.iter().zip(connections) {
            let so_many = figure(i64::try_from(*so_many).unwrap_or(i64::MAX));
            to.set(&metric::CONNECTIONS, &[name, endpoint, kind], so_many);
        }
    }
    let mut drifts = Vec::new();
    // Counted here, and not series by series: there are as many sights as hosts times endpoints.
    let mut counted: BTreeMap<&str, Counted> = BTreeMap::new();
    for (host, sights) in gateway.sights.iter() {
        let mut worst: Option<Verdict> = None;
        for (endpoint, sight) in sights.iter() {
            let Counted { verdicts, first, workers } = counted.entry(endpoint).or_default();
            *workers = sight.workers.len().max(*workers);
            *verdicts.entry(sight.verdict.as_str()).or_default() += 1;
            if let Some(end) = sight.not_after {
                *first = Some(first.map_or(end, |first| first.min(end)));
            }
            if let Verdict::Drift(class) = sight.verdict {
                worst = worst.max(Some(sight.verdict));
                drifts.push((sight.since, &**endpoint, host, class.as_str()));
            }
        }
        if let Some(Verdict::Drift(class)) = worst {
            match gateway.acknowledges(host, now) {
                true => to.add(&metric::ACKNOWLEDGED, &[name], 1.0),
                false => to.add(&metric::DRIFT_HOSTS, &[name, class.as_str()], 1.0),
            }
        }
    }
    for (endpoint, Counted { verdicts, first, workers }) in counted {
        if workers > 0 {
            to.set(&metric::WORKERS_SEEN, &[name, endpoint], count(workers));
        }
        for (verdict, hosts) in verdicts {
            to.add(&metric::ENDPOINT_HOSTS, &[name, endpoint, verdict], count(hosts));
        }
        if let Some(end) = first {
            to.lowest(&metric::ENDPOINT_NOT_AFTER, &[name, endpoint], figure(end.seconds()));
        }
    }
    for (endpoint, end) in gateway.unlisted.ends() {
        to.lowest(&metric::ENDPOINT_NOT_AFTER, &[name, endpoint], figure(end.seconds()));
    }
    drifts.sort_unstable();
    for (since, endpoint, host, class) in drifts.into_iter().take(metric::MOST_HOST_SERIES) {
        to.set(&metric::DRIFT, &[name, endpoint, host, class], figure(since.seconds()));
    }
}

/// All that is known of a gateway.
pub(super) fn state(gateway: &Gateway, now: UnixTime) -> state::Gateway {
    let drifts = drifts(gateway, now);
    let mut expected: HashMap<&str, (&str, &[Expected])> = HashMap::new();
    if let Some(ledger) = gateway.publisher.ledger() {
        for entry in entries(ledger) {
            let is = (entry.source.as_str(), entry.current.as_slice());
            expected.extend(entry.hosts.iter().map(|h| (h.as_str(), is)));
        }
        if let Some(default) = &ledger.default {
            expected.insert(DEFAULT, (&default.source, &default.current));
        }
    }
    let hosts = gateway.sights.iter().map(|(host, sights)| {
        let (source, expected) = expected.get(host).copied().unwrap_or_default();
        let stands = gateway.issuance_of(source);
        Host {
            stored: !gateway.invalid.contains(host),
            not_stored: stands.not_stored,
            broken: stands.broken,
            issuance_watched: stands.watched,
            seen: sights
                .iter()
                .map(|(endpoint, sight)| seen(endpoint, sight, drifts.get(&(&**endpoint, host))))
                .collect(),
            ..listed(host, source, expected)
        }
    });
    let mut hosts: Vec<Host> = hosts.collect();
    hosts.sort_by_key(|h| h.host == DEFAULT);
    state::Gateway {
        hosts,
        findings: gateway.findings(),
        diagnoses: gateway.diagnoses(),
        renewals: gateway.renewals.ended().cloned().collect(),
        history: gateway.records.iter().cloned().collect(),
        canary: gateway.canary_state(),
        ..places(gateway, now)
    }
}

/// What is known of the hosts of one source, on the endpoints that are no edges; nothing else of the gateway.
pub(super) fn of_source(gateway: &Gateway, source: &str, now: UnixTime) -> state::Gateway {
    let all = gateway.publisher.ledger().map(|ledger| entries(ledger)).unwrap_or_default();
    let entry = all.binary_search_by(|entry| entry.source.as_str().cmp(source)).ok().and_then(|n| all.get(n));
    let hosts =
        entry.into_iter().flat_map(|entry| entry.hosts.iter().map(move |host| (entry, host.as_str())));
    let hosts = hosts.map(|(entry, host)| Host {
        seen: gateway
            .sights
            .of(host)
            .map(|sights| sights.iter().map(|(endpoint, sight)| seen(endpoint, sight, None)).collect())
            .unwrap_or_default(),
        ..listed(host, source, &entry.current)
    });
    let mut shown = state::Gateway { hosts: hosts.collect(), ..places(gateway, now) };
    shown.endpoints.retain(|endpoint| !endpoint.edge);
    shown
}

fn listed(host: &str, source: &str, expected: &[Expected]) -> Host {
    Host {
        host: host.to_owned(),
        source: source.to_owned(),
        expected: expected.iter().map(|e| e.sha256.to_string()).collect(),
        not_after: expected.iter().map(|e| e.not_after).min(),
        stored: true,
        not_stored: false,
        broken: None,
        issuance_watched: false,
        seen: Vec::new(),
    }
}

/// A gateway's endpoints and ledger, without its hosts.
fn places(gateway: &Gateway, now: UnixTime) -> state::Gateway {
    state::Gateway {
        name: gateway.config.name.clone(),
        mode: gateway.config.policy.mode,
        ledger: gateway.publisher.ledger().map(|ledger| LedgerState {
            revision: ledger.revision.0,
            published_at: ledger.published_at,
            hosts: entries(ledger).iter().map(|e| e.hosts.len()).sum(),
            file: gateway.ledger_place.clone(),
        }),
        endpoints: gateway
            .places
            .iter()
            .map(|place| {
                let endpoint = &place.endpoint;
                let answers = gateway.answers.get(&endpoint.name);
                Endpoint {
                    name: endpoint.name.clone(),
                    address: endpoint.address.clone(),
                    edge: endpoint.edge,
                    answers: answers.map(|(answers, _)| *answers),
                    why: answers.map(|(_, why)| why.clone()).unwrap_or_default(),
                    workers: gateway.workers(&endpoint.name),
                    loaded: gateway.loaded.of(&endpoint.name, now.into()),
                }
            })
            .collect(),
        hosts: Vec::new(),
        remedy: gateway.machine().and_then(|m| m.in_flight.as_ref()).map(|f| f.intent.remedy.clone()),
        findings: Vec::new(),
        diagnoses: Vec::new(),
        renewals: Vec::new(),
        history: Vec::new(),
        canary: None,
    }
}

fn seen(endpoint: &str, sight: &Sight, drift: Option<&Drift>) -> Seen {
    let drift = drift.cloned().unwrap_or_default();
    Seen {
        endpoint: endpoint.to_owned(),
        verdict: sight.verdict.as_str().to_owned(),
        class: match sight.verdict {
            Verdict::Drift(class) => Some(class.as_str().to_owned()),
            _ => None,
        },
        evidence: sight.evidence.as_str().to_owned(),
        served: sight.served.map(|f| f.to_string()),
        not_after: sight.not_after,
        possession: sight.possession.as_ref().map(|p| p.as_str().to_owned()),
        at: sight.at,
        since: sight.since,
        blind: sight.blind().map(str::to_owned),
        proof: sight.proof.map(|(proof, _)| proof.to_string()),
        proven: sight.proof.is_some_and(|(_, settled)| settled),
        workers: sight
            .workers
            .iter()
            .map(|(pid, verdict)| (pid.to_string(), verdict.as_str().to_owned()))
            .collect(),
        cause: drift.cause,
        lacks: drift.lacks,
        waits: drift.waits,
        acknowledged: drift.acknowledged,
    }
}

#[derive(Clone, Default)]
struct Drift {
    cause: Option<String>,
    lacks: Vec<Lack>,
    waits: Option<String>,
    acknowledged: Option<String>,
}

fn drifts(gateway: &Gateway, now: UnixTime) -> BTreeMap<(&str, &str), Drift> {
    let Some(machine) = gateway.machine() else { return BTreeMap::new() };
    let free = gateway_is_free(machine);
    let one = |(name, endpoint, host, drift): (_, _, _, &crate::converge::Drift)| {
        let known = machine.acknowledged.get(host).filter(|a| crate::converge::Millis::from(now) < a.until);
        let shown = Drift {
            cause: Some(drift.cause.as_str().to_owned()),
            lacks: drift.lacks.clone(),
            waits: may_start(machine, free, name, endpoint, host, drift)
                .err()
                .map(|wait| wait.as_str().to_owned()),
            acknowledged: known.map(|a| a.reason.clone()),
        };
        ((name, host), shown)
    };
    machine.drifts().map(one).collect()
}
