//! A second, slow and obvious reading of the invariants: it watches events and actions only, and knows nothing of the
//! machine's state.
use super::histories::given;
use super::*;
use crate::converge::{FRESH, Intent, LONGEST_GAP, Mode, Workload};
use crate::diagnose::{Cause, Given, Loading};
use std::collections::{BTreeMap, BTreeSet};

/// Number of the invariant (0: acknowledged drift was healed; 10: the intent was not on disk first), and what happened.
pub(super) type Violation = (u8, String);

type Pair = (String, String);

#[derive(Clone, Hash, PartialEq, Eq)]
struct Seen {
    pair: Pair,
    drift: bool,
    evidence: Evidence,
    began: u64,
    arrived: u64,
}

#[derive(Clone, Hash, PartialEq, Eq)]
struct Open {
    from: u64,
    alerting: bool,
}

#[derive(Clone, Hash, PartialEq, Eq)]
pub(super) struct Checker {
    policy: Policy,
    wall: i64,
    age: u64,
    revision: u64,
    invalid: bool,
    /// Whether it answers.
    endpoints: BTreeMap<String, bool>,
    edges: BTreeSet<String>,
    loading: BTreeMap<String, Loading>,
    workload: Workload,
    acknowledged: BTreeMap<String, i64>,
    sights: Vec<Seen>,
    in_flight: Option<(u64, u64, u64)>,
    starts: Vec<u64>,
    last_end: Option<u64>,
    /// What began before tells nothing: since then a remedy has ended, or healing was switched on.
    round: Option<u64>,
    /// The reason of the last remedy, until the wire was seen there again or that need not be waited for any more.
    unproven: Option<Pair>,
    /// Its endpoint is gone: these were known then, and another is to be looked at.
    successor_of: Option<BTreeSet<String>>,
    known_at_start: BTreeSet<String>,
    open: BTreeMap<Pair, Open>,
    pub(super) violations: Vec<Violation>,
}

/// The machine's own time begins there; only differences count.
const BEGIN: u64 = 1_000_000_000;

impl Checker {
    pub(super) fn new(policy: Policy, now: Millis) -> Self {
        Self {
            policy,
            wall: now.0,
            age: BEGIN,
            revision: 0,
            invalid: false,
            endpoints: BTreeMap::new(),
            edges: BTreeSet::new(),
            loading: BTreeMap::new(),
            workload: Workload::default(),
            acknowledged: BTreeMap::new(),
            sights: Vec::new(),
            in_flight: None,
            starts: Vec::new(),
            last_end: None,
            round: None,
            unproven: None,
            successor_of: None,
            known_at_start: BTreeSet::new(),
            open: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    fn wrong(&mut self, invariant: u8, what: impl Into<String>) {
        self.violations.push((invariant, what.into()));
    }

    pub(super) fn watch(&mut self, event: &Event, now: Millis, actions: &[Action]) {
        self.age += u64::try_from(now.0 - self.wall).unwrap_or(0).min(LONGEST_GAP);
        self.wall = now.0;
        let ended: Vec<String> = self
            .acknowledged
            .iter()
            .filter(|(_, until)| **until <= now.0)
            .map(|(host, _)| host.clone())
            .collect();
        for host in ended {
            self.acknowledgement_ends(&host);
        }
        if self.last_end.is_some_and(|end| self.age - end >= self.policy.prove_within.as_millis()) {
            self.unproven = None;
        }
        // A remedy abandoned in this step was in flight when the event came.
        let late = actions.iter().any(|a| matches!(a, Action::AbandonRemedy { .. }));
        if late {
            self.abandoned();
        }
        self.happens(event);
        let mut persisted = false;
        for action in actions {
            match action {
                Action::Persist => persisted = true,
                Action::StartRemedy(intent) => {
                    if !persisted {
                        self.wrong(10, "a remedy was started before its intent was on disk");
                    }
                    self.started(intent);
                }
                Action::Raise { endpoint, host, .. } => self.alerting(endpoint, host, true),
                Action::Clear { endpoint, host, .. } => self.alerting(endpoint, host, false),
                Action::Record(record) => self.recorded(&record.what),
                Action::AbandonRemedy { .. } | Action::Probe { .. } | Action::Tell { .. } => {}
            }
        }
        // Alerts are for events that let time pass; one sight asks for one drift only.
        if !matches!(event, Event::Observed(_)) {
            let deadline = self.policy.alert_after.as_millis();
            let silent = self.open.iter().find(|((_, host), open)| {
                !open.alerting && !self.acknowledged.contains_key(host) && self.age - open.from >= deadline
            });
            if let Some((pair, open)) = silent {
                let what = format!("{pair:?} drifts for {} ms without alert", self.age - open.from);
                self.wrong(5, what);
            }
        }
    }

    fn ends(&mut self) {
        (self.last_end, self.round) = (Some(self.age), Some(self.age));
    }

    fn abandoned(&mut self) {
        let Some((id, started, timeout)) = self.in_flight.take() else { return };
        if self.age - started < timeout {
            self.wrong(2, format!("remedy {id} was abandoned before its time and may still run"));
        }
        self.ends();
    }

    fn alerting(&mut self, endpoint: &str, host: &str, alerting: bool) {
        if let Some(open) = self.open.get_mut(&(endpoint.to_owned(), host.to_owned())) {
            open.alerting = alerting;
        }
    }

    fn acknowledgement_ends(&mut self, host: &str) {
        if self.acknowledged.remove(host).is_some() {
            let age = self.age;
            self.open.iter_mut().filter(|((_, h), _)| h == host).for_each(|(_, open)| open.from = age);
        }
    }

    fn forget(&mut self, gone: impl Fn(&Pair) -> bool) {
        self.sights.retain(|seen| !gone(&seen.pair));
        self.open.retain(|pair, _| !gone(pair));
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Tick => {}
            Event::Restarted => {
                self.ends();
                self.in_flight = None;
                self.loading.clear();
                self.endpoints.values_mut().for_each(|up| *up = false);
                self.open.values_mut().for_each(|open| open.alerting = false);
            }
            Event::PolicyChanged { policy } => {
                if (self.policy.mode, policy.mode) == (Mode::Observe, Mode::Heal) {
                    self.round = Some(self.age);
                }
                self.policy = (**policy).clone();
            }
            Event::Published { revision, changed, removed, invalid } => {
                self.revision = *revision;
                self.invalid = !invalid.is_empty();
                self.forget(|(_, host)| changed.contains(host) || removed.contains(host));
                let is_same = |(_, host): &Pair| !changed.contains(host) && !removed.contains(host);
                self.unproven = self.unproven.take().filter(is_same);
            }
            Event::EndpointUp { endpoint, edge, .. } => {
                self.endpoints.insert(endpoint.clone(), true);
                if *edge {
                    self.edges.insert(endpoint.clone())
                } else {
                    self.edges.remove(endpoint)
                };
            }
            Event::EndpointStarting { endpoint } | Event::EndpointUnreachable { endpoint } => {
                self.endpoints.insert(endpoint.clone(), false);
            }
            Event::EndpointGone { endpoint } => {
                self.endpoints.remove(endpoint);
                self.edges.remove(endpoint);
                self.loading.remove(endpoint);
                if self.unproven.as_ref().is_some_and(|(name, _)| name == endpoint) {
                    self.successor_of = Some(self.known_at_start.clone());
                }
                self.forget(|(name, _)| name == endpoint);
            }
            Event::Loading { endpoint, loading, .. } => {
                self.loading.remove(endpoint);
                if let (Some(loading), true) = (loading, self.endpoints.contains_key(endpoint)) {
                    self.loading.insert(endpoint.clone(), *loading);
                }
            }
            Event::Observed(o) => self.observed(o),
            Event::RemedyEnded { id, .. } => {
                if self.in_flight.is_some_and(|(running, ..)| running == *id) {
                    self.in_flight = None;
                    self.ends();
                }
            }
            Event::RemedyNotStarted { id, .. } => {
                if let Some((_, start, _)) = self.in_flight.take_if(|(running, ..)| running == id) {
                    // As if it had never been; but the wire is looked at anew.
                    let at = self.starts.iter().rposition(|known| *known == start);
                    self.starts.remove(at.expect("its start"));
                    self.unproven = None;
                    self.ends();
                }
            }
            Event::ActedBefore { at } => {
                for ago in at.iter().map(|at| u64::try_from(self.wall - at.0).unwrap_or(0)) {
                    let start = self.age.saturating_sub(ago);
                    if !self.starts.iter().any(|known| known.abs_diff(start) < 500) {
                        self.starts.push(start);
                    }
                }
            }
            Event::Acknowledged(ack) => {
                if ack.until.0 > self.wall {
                    self.acknowledged.insert(ack.host.clone(), ack.until.0);
                }
            }
            Event::AcknowledgementWithdrawn { host } => self.acknowledgement_ends(host),
            Event::Workload(workload) => self.workload = *workload,
        }
    }

    fn observed(&mut self, o: &Observed) {
        let drift = match o.sight {
            Sight::Drift(_) => true,
            Sight::Expected => false,
            Sight::Tolerated | Sight::Unjudged => return,
        };
        if o.began.0 > self.wall || o.revision < self.revision || !self.endpoints.contains_key(&o.endpoint) {
            return;
        }
        let began = self.age.saturating_sub(u64::try_from(self.wall - o.began.0).unwrap_or(u64::MAX));
        let pair = (o.endpoint.clone(), o.host.clone());
        let in_this_round = self.round.is_none_or(|end| began > end);
        if drift && o.evidence != Evidence::Declared && in_this_round {
            let fresh = Open { from: self.age, alerting: false };
            self.open.entry(pair.clone()).or_insert(fresh);
        }
        if o.evidence == Evidence::Handshake && in_this_round && self.in_flight.is_none() {
            let is_successor = self.successor_of.as_ref().is_some_and(|known| !known.contains(&pair.0));
            let seen = |p: &Pair| *p == pair || (is_successor && p.1 == pair.1);
            self.unproven = self.unproven.take().filter(|p| !seen(p));
        }
        self.sights.push(Seen { pair, drift, evidence: o.evidence, began, arrived: self.age });
    }

    fn recorded(&mut self, what: &What) {
        let What::Converged { endpoint, host, .. } = what else { return };
        let pair = (endpoint.clone(), host.clone());
        let newest = self.newest_handshake(&pair);
        let proven = newest.is_some_and(|s| !s.drift && self.round.is_none_or(|end| s.began > end));
        if !proven {
            self.wrong(5, format!("{pair:?} was called converged without proof"));
        }
        self.forget(|p| *p == pair);
    }

    /// Of two in one millisecond the wrong one stands.
    fn newest_handshake(&self, pair: &Pair) -> Option<&Seen> {
        let of_pair = self.sights.iter().filter(|s| s.pair == *pair && s.evidence == Evidence::Handshake);
        of_pair.max_by_key(|s| (s.began, s.drift))
    }

    fn started(&mut self, intent: &Intent) {
        let pair = (intent.endpoint.clone(), intent.host.clone());
        if self.invalid {
            self.wrong(1, "a stored certificate is worse than the one served");
        }
        self.check_frequency(intent);
        self.check_sights(&pair);
        if self.endpoints.get(&pair.0) != Some(&true) || self.edges.contains(&pair.0) {
            self.wrong(4, format!("{} does not answer, starts, or is an edge", pair.0));
        }
        let kept_away = matches!(self.loading.get(&pair.0), Some(Loading::Refused | Loading::HeldBack));
        let is_pushed = given(&pair.0, &pair.1) == Given::Pushed;
        if is_pushed && self.loading.get(&pair.0) == Some(&Loading::Starting) {
            self.wrong(4, format!("{} has no configuration yet", pair.0));
        }
        if kept_away && is_pushed && intent.cause != Cause::StaleWorker {
            self.wrong(4, format!("{} is given no configuration: a remedy loads nothing", pair.0));
        }
        if let Some(unproven) = self.unproven.clone() {
            self.wrong(6, format!("{unproven:?} was not looked at since the last remedy"));
        }
        if self.policy.mode == Mode::Observe {
            self.wrong(7, "mode is observe");
        }
        if self.acknowledged.contains_key(&pair.1) {
            self.wrong(0, "the drift is acknowledged");
        }
        let restarts = self.policy.remedies.iter().any(|r| r.name == intent.remedy && r.restarts);
        if restarts {
            self.check_restart();
        }
        self.in_flight = Some((intent.id, self.age, intent.timeout_ms));
        self.starts.push(self.age);
        self.unproven = Some(pair);
        self.successor_of = None;
        self.known_at_start = self.endpoints.keys().cloned().collect();
    }

    fn check_frequency(&mut self, intent: &Intent) {
        if self.in_flight.is_some() {
            self.wrong(2, format!("remedy {} while another is in flight", intent.id));
        }
        let since = |start: &u64| self.age - start;
        if self.starts.iter().any(|s| since(s) < self.policy.min_interval.as_millis()) {
            self.wrong(2, "within the minimum interval");
        }
        let within = self.starts.iter().filter(|s| self.age - **s < 3_600_000).count();
        if within >= usize::try_from(self.policy.budget_per_hour).expect("a small number") {
            self.wrong(2, "over the budget of the hour");
        }
    }

    fn check_sights(&mut self, pair: &Pair) {
        let drifts: Vec<Seen> = self.sights.iter().filter(|s| s.pair == *pair && s.drift).cloned().collect();
        let times = |proves: bool| {
            // Since the last remedy: what was seen before it was of before it.
            let since = drifts.iter().filter(|s| self.round.is_none_or(|end| s.began > end));
            let began = since.filter(|s| !proves || s.evidence != Evidence::Declared).map(|s| s.began);
            began.collect::<BTreeSet<_>>().len()
        };
        let (proving, all) = (times(true), times(false));
        if proving < 2 {
            self.wrong(if all < 2 { 3 } else { 4 }, format!("{pair:?} was seen {proving} times"));
        }
        let proven = |s: &&Seen| s.evidence != Evidence::Declared;
        let first = drifts.iter().filter(proven).map(|s| s.arrived).min();
        if first.is_none_or(|first| self.age - first < self.policy.grace.as_millis()) {
            self.wrong(3, format!("{pair:?} did not outlive its grace"));
        }
        let newest = self.newest_handshake(pair).cloned();
        match newest {
            Some(s) if s.drift && self.age - s.began <= FRESH => {
                if self.round.is_some_and(|end| s.began <= end) {
                    self.wrong(6, format!("{pair:?} was not seen by a handshake since the last remedy"));
                }
            }
            _ => self.wrong(3, format!("{pair:?} was not just seen to drift by a handshake")),
        }
    }

    fn check_restart(&mut self) {
        // The policies of these tests have windows in UTC, every day, not over midnight.
        let minute = (self.wall / 60_000) % 1_440;
        let open = |text: &str| {
            text.split(':').fold(0i64, |sum, part| sum * 60 + part.parse::<i64>().expect("a number"))
        };
        let in_window = self
            .policy
            .windows
            .iter()
            .any(|w| (open(&String::from(w.from))..open(&String::from(w.to))).contains(&minute));
        if !self.policy.windows.is_empty() && !in_window {
            self.wrong(2, "a restart outside of its window");
        }
        if self.workload.rollout_running {
            self.wrong(9, "a restart while another rollout runs");
        }
        if self.workload.replicas.unwrap_or(0) < 2 && !self.policy.restart_single_replica {
            self.wrong(9, "a restart of a single replica");
        }
        if self.workload.disruptions_allowed == Some(0) && !self.policy.restart_against_budget {
            self.wrong(9, "a restart against the disruption budget");
        }
    }
}
