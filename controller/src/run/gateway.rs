//! One gateway: what is known of it, and what is to be done when something happens. Writes its state, history and
//! ledger; all that waits (handshakes, remedies) is left to the loop as an [`Effect`].
use super::renewals::Renewals;
use super::sights::Sights;
use super::{Hub, clock, stored_at};
use crate::config;
use crate::converge::{
    Acknowledgement, Action, Event, Intent, Millis, Observed, Record, Sight, State, What, step,
};
use crate::finding::{Finding, Severity};
use crate::metrics::catalogue as metric;
use crate::observe::Outcome;
use crate::observe::expectations::Expectations;
use crate::observe::judge::Judged;
use crate::observe::watch::Seen;
use crate::publish::build::Policy as Build;
use crate::publish::file::FileLedger;
use crate::publish::publisher::Publisher;
use crate::remedy::history::History;
use crate::remedy::state_file::StateFile;
use crate::source::KeyFamily;
use crate::source::inventory::Inventory;
use certdrift_contract::index::DEFAULT;
use certdrift_contract::ledger::{Content, Entry};
use certdrift_contract::{Expected, Fingerprint, Ledger, UnixTime};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// Of one renewal, so many hosts are followed to the wire; they share one certificate.
const FOLLOWED_HOSTS: usize = 20;
/// So many lines of the history are shown.
const SHOWN_RECORDS: usize = 50;

/// Something for the loop to do.
#[derive(Debug)]
pub enum Effect {
    /// Something else is expected from now on.
    Expect(Arc<Expectations>),
    /// Look at these hosts on an endpoint, until all its workers were seen.
    Look(String, Vec<String>),
    /// Do a remedy, and tell when it has ended.
    Start(Intent),
    /// End this remedy if it still runs.
    Abandon(u64),
}

/// One gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(super) config: config::Gateway,
    pub(super) ledger_file: PathBuf,
    pub(super) sights: Sights,
    pub(super) publisher: Publisher,
    pub(super) renewals: Renewals,
    pub(super) records: VecDeque<Record>,
    pub(super) alerts: BTreeMap<(String, String), Finding>,
    pub(super) answers: BTreeMap<String, (bool, String)>,
    pub(super) invalid: BTreeSet<String>,
    pub(super) inventory: Option<Inventory>,
    pub(super) beat: Millis,
    machine: Option<State>,
    state_file: StateFile,
    history: History,
    published: Vec<Finding>,
    own: BTreeMap<String, Finding>,
    expectations: Option<Arc<Expectations>>,
    since: HashMap<String, UnixTime>,
    families: HashMap<Fingerprint, KeyFamily>,
    workers: BTreeMap<String, u32>,
    told: BTreeSet<(String, String, String)>,
    hub: Arc<Hub>,
    tended: Millis,
}

impl Gateway {
    /// Takes up what the last run left.
    ///
    /// # Errors
    /// The directory of state cannot be had.
    pub fn open(
        all: &config::Config,
        config: config::Gateway,
        hub: Arc<Hub>,
    ) -> Result<(Self, Vec<Effect>), Finding> {
        let now = clock::now();
        let directory = all.state_of(&config);
        let state_file = StateFile::open(&directory)?;
        let history = History::new(&directory);
        let ledger_file = all.ledger_file(&config);
        let build = Build {
            gateway: config.name.clone(),
            rules: config.rules.into(),
            grace: i64::try_from(config.publish.grace.as_millis() / 1000).unwrap_or(i64::MAX),
        };
        let ledgers = if config.publish.serve {
            hub.ledgers.clone()
        } else {
            crate::publish::serve::Ledgers::default()
        };
        let rules = super::sources::rules(&config.sources);
        let (publisher, findings) =
            Publisher::new(build, rules, Some(FileLedger::new(&ledger_file)), ledgers);
        for finding in &findings {
            crate::log::finding(&config.name, finding);
        }
        let (kept, damaged) = state_file.read(&config.name);
        if let Some(finding) = &damaged {
            crate::log::finding(&config.name, finding);
        }
        let machine = kept.unwrap_or_else(|| State::new(&config.name, config.policy.clone(), now));
        let records = history.newest(SHOWN_RECORDS).map(|(records, _)| records.into()).unwrap_or_default();
        let gone: Vec<String> = machine
            .endpoints
            .keys()
            .filter(|e| !config.endpoints.iter().any(|c| c.name == **e))
            .cloned()
            .collect();
        let withdrawn: Vec<String> = machine
            .acknowledged
            .keys()
            .filter(|h| !config.acknowledged.iter().any(|a| a.host == **h))
            .cloned()
            .collect();
        let workers = config.endpoints.iter().filter_map(|e| Some((e.name.clone(), e.workers?))).collect();
        let mut gateway = Self {
            ledger_file,
            sights: Sights::default(),
            publisher,
            renewals: Renewals::default(),
            records,
            alerts: BTreeMap::new(),
            answers: BTreeMap::new(),
            invalid: BTreeSet::new(),
            inventory: None,
            beat: now,
            machine: Some(machine),
            state_file,
            history,
            published: Vec::new(),
            own: BTreeMap::new(),
            expectations: None,
            since: HashMap::new(),
            families: HashMap::new(),
            workers,
            told: BTreeSet::new(),
            hub,
            tended: now,
            config,
        };
        let mut effects = gateway.event(Event::Restarted, now);
        let policy = Box::new(gateway.config.policy.clone());
        effects.extend(gateway.event(Event::PolicyChanged { policy }, now));
        for endpoint in gone {
            effects.extend(gateway.event(Event::EndpointGone { endpoint }, now));
        }
        for host in withdrawn {
            effects.extend(gateway.event(Event::AcknowledgementWithdrawn { host }, now));
        }
        for known in gateway.config.acknowledged.clone() {
            let config::Acknowledged { host, reason, until } = known;
            let acknowledgement = Acknowledgement { host, reason, until: until.into() };
            effects.extend(gateway.event(Event::Acknowledged(acknowledgement), now));
        }
        Ok((gateway, effects))
    }

    /// What the machine remembers.
    pub(super) fn machine(&self) -> Option<&State> {
        self.machine.as_ref()
    }

    /// Tells the machine, and does what needs no waiting.
    pub fn event(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            let Some(machine) = self.machine.take() else { break };
            let (next, actions) = step(machine, &event, now);
            self.machine = Some(next);
            let mut on_disk = true;
            for action in actions {
                match action {
                    Action::Persist => on_disk = self.persist(),
                    Action::StartRemedy(intent) if on_disk => effects.push(Effect::Start(intent)),
                    Action::StartRemedy(intent) => queue.push_back(Event::RemedyEnded {
                        id: intent.id,
                        ok: false,
                        said: "it was not started, because the state could not be written".to_owned(),
                    }),
                    Action::AbandonRemedy { id } => effects.push(Effect::Abandon(id)),
                    Action::Probe { endpoint, hosts, .. } => effects.push(Effect::Look(endpoint, hosts)),
                    Action::Raise { endpoint, host, finding } => {
                        crate::log::finding(&self.config.name, &finding);
                        self.alerts.insert((endpoint, host), finding);
                    }
                    Action::Clear { endpoint, host, code } => {
                        tracing::info!(
                            gateway = self.config.name,
                            endpoint,
                            host,
                            code,
                            "the alert no longer stands"
                        );
                        self.alerts.remove(&(endpoint, host));
                    }
                    Action::Tell { finding } => crate::log::finding(&self.config.name, &finding),
                    Action::Record(record) => self.record(record),
                }
            }
        }
        effects
    }

    fn persist(&mut self) -> bool {
        let Some(machine) = &self.machine else { return false };
        match self.state_file.write(machine) {
            Ok(()) => {
                self.own.remove("state");
                true
            }
            Err(finding) => {
                self.hold("state", finding);
                false
            }
        }
    }

    /// Something of our own that is wrong until it is taken back; logged when it is new.
    fn hold(&mut self, what: &str, finding: Finding) {
        if self.own.get(what) != Some(&finding) {
            crate::log::finding(&self.config.name, &finding);
        }
        self.own.insert(what.to_owned(), finding);
    }

    fn record(&mut self, record: Record) {
        let gateway = self.config.name.as_str();
        let mut store = self.hub.store();
        match &record.what {
            What::Ended { remedy, ok, .. } => {
                let found = self.config.policy.remedies.iter().find(|r| r.name == *remedy);
                let kind = found.map_or("command", |r| r.act.kind());
                store.add(&metric::REMEDIES, &[gateway, kind, if *ok { "done" } else { "failed" }], 1);
            }
            What::Converged { after, took_ms, .. } => {
                let by = if after.is_some() { "remedy" } else { "itself" };
                #[allow(clippy::cast_precision_loss, reason = "milliseconds of a drift")]
                store.observe(&metric::DRIFT_TIME, &[gateway, by], *took_ms as f64 / 1000.0);
                if after.is_some() {
                    store.add(&metric::REMEDY_OUTCOMES, &[gateway, "proven"], 1);
                }
            }
            What::NotHelped { .. } => store.add(&metric::REMEDY_OUTCOMES, &[gateway, "not-helped"], 1),
            What::NotProven { .. } => store.add(&metric::REMEDY_OUTCOMES, &[gateway, "not-proven"], 1),
            _ => {}
        }
        drop(store);
        super::tell::record(&record);
        if let Err(finding) = self.history.append(&record) {
            self.hold("history", finding);
        } else {
            self.own.remove("history");
        }
        self.records.push_back(record);
        if self.records.len() > SHOWN_RECORDS {
            self.records.pop_front();
        }
    }

    /// What is stored is another; gives true when there is something to publish.
    pub fn stored(&mut self, inventory: Inventory) {
        self.families =
            inventory.stored.iter().flat_map(|s| s.certificates.iter().map(|c| (c.leaf, c.family))).collect();
        self.inventory = Some(inventory);
    }

    /// Publishes what is stored, and tells everybody what has changed.
    pub fn publish(&mut self, now: Millis) -> Vec<Effect> {
        let Some(inventory) = &self.inventory else { return Vec::new() };
        let before = self.publisher.ledger().cloned();
        let first = self.expectations.is_none();
        let complete = inventory.complete;
        let outcome = self.publisher.publish(inventory, clock::seconds(now));
        let failed = outcome.findings.iter().any(|f| f.code == crate::publish::findings::NOT_WRITTEN.code);
        let result = match (failed, outcome.changed) {
            (true, _) => "failed",
            (false, true) => "written",
            (false, false) => "unchanged",
        };
        self.hub.store().add(&metric::PUBLISHES, &[&self.config.name, result], 1);
        self.published = outcome.findings;
        self.tell_new_findings();
        let Some(ledger) = self.publisher.ledger().cloned() else { return Vec::new() };
        // A directory that is not mounted yet gives an empty ledger, which is not the first complete one.
        if complete || before.as_ref().is_some_and(|before| !entries(before).is_empty()) {
            self.hub.ready(&self.config.name);
        }
        let invalid = invalid_hosts(&ledger, &self.findings_of_storage());
        let mut effects = Vec::new();
        if outcome.changed || first {
            let (changed, removed) = difference(before.as_ref(), &ledger);
            let before_index = self.expectations.as_deref();
            match Expectations::new(ledger.clone(), Vec::new(), self.families.clone(), before_index) {
                Ok(new) => {
                    self.sights.hosts(new.hosts.iter().map(AsRef::as_ref), &changed);
                    let new = Arc::new(new);
                    self.expectations = Some(Arc::clone(&new));
                    effects.push(Effect::Expect(new));
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::error!(
                        gateway = self.config.name,
                        why,
                        "the ledger contradicts itself; this is a bug of certdrift"
                    );
                    return effects;
                }
            }
            let all = entries(&ledger)
                .iter()
                .flat_map(|e| e.hosts.iter().map(|h| (h.as_str().to_owned(), e.since)));
            self.since = all.collect();
            tracing::info!(
                gateway = self.config.name,
                revision = ledger.revision.0,
                hosts = entries(&ledger).iter().map(|e| e.hosts.len()).sum::<usize>(),
                changed = changed.len(),
                "ledger published"
            );
            if let Some(before) = &before {
                self.renewals_of(before, &ledger, now);
            }
            self.invalid = invalid.iter().cloned().collect();
            let revision = ledger.revision.0;
            effects.extend(self.event(Event::Published { revision, changed, removed, invalid }, now));
        } else if self.invalid != invalid.iter().cloned().collect() {
            self.invalid = invalid.iter().cloned().collect();
            let revision = ledger.revision.0;
            let event = Event::Published { revision, changed: Vec::new(), removed: Vec::new(), invalid };
            effects.extend(self.event(event, now));
        }
        effects
    }

    fn renewals_of(&mut self, before: &Ledger, after: &Ledger, now: Millis) {
        let old: HashMap<&str, &[Expected]> =
            entries(before).iter().map(|e| (e.source.as_str(), e.current.as_slice())).collect();
        let endpoints: Vec<&str> =
            self.config.endpoints.iter().filter(|e| !e.edge).map(|e| e.name.as_str()).collect();
        for entry in entries(after) {
            if old.get(entry.source.as_str()).is_some_and(|current| *current == entry.current.as_slice()) {
                continue;
            }
            let stored = stored_at::of(&entry.source, now);
            let took = seconds_between(stored, now);
            self.hub.store().observe(&metric::HOP, &[&self.config.name, "published"], took);
            let hosts = entry.hosts.iter().take(FOLLOWED_HOSTS);
            let places =
                hosts.flat_map(|h| endpoints.iter().map(move |e| ((*e).to_owned(), h.as_str().to_owned())));
            self.renewals.begin(&entry.source, stored, now, places.collect());
        }
        let sources: BTreeSet<&str> = entries(after).iter().map(|e| e.source.as_str()).collect();
        self.renewals.keep(|source| sources.contains(source), |_, _| true);
    }

    /// What the observer tells.
    pub fn told(&mut self, seen: Seen, now: Millis) -> Vec<Effect> {
        match seen {
            Seen::Judged(judged) => self.judged(&judged, now),
            Seen::Up { endpoint, edge, workers, started } => {
                if self
                    .answers
                    .insert(endpoint.clone(), (true, String::new()))
                    .is_none_or(|(answered, _)| !answered)
                {
                    tracing::info!(gateway = self.config.name, endpoint, "the endpoint answers");
                }
                match workers {
                    Some(workers) => self.workers.insert(endpoint.clone(), workers),
                    None => self.workers.remove(&endpoint),
                };
                let started = started.map(Millis::from);
                self.event(Event::EndpointUp { endpoint, edge, workers, started }, now)
            }
            Seen::Unreachable { endpoint, why } => {
                tracing::warn!(gateway = self.config.name, endpoint, why, "nobody answers at the endpoint");
                self.answers.insert(endpoint.clone(), (false, why));
                self.event(Event::EndpointUnreachable { endpoint }, now)
            }
            Seen::Proven { endpoint, host, proof, workers, settled, revision } => {
                let current = self.expectations.as_ref().is_some_and(|e| e.revision.0 == revision);
                if current {
                    self.sights.proven(&endpoint, &host, proof, &workers, settled);
                    if settled {
                        self.renewed(&endpoint, &host, now);
                    }
                }
                Vec::new()
            }
            Seen::Source { endpoint, what, finding } => {
                let key = format!("{what} of {endpoint}");
                match finding {
                    Some(finding) => self.hold(&key, finding),
                    None => drop(self.own.remove(&key)),
                }
                Vec::new()
            }
        }
    }

    fn judged(&mut self, judged: &Judged, now: Millis) -> Vec<Effect> {
        let observation = &judged.observation;
        let (outcome, served) = match &observation.outcome {
            Outcome::Served { leaf, .. } => ("served", Some(*leaf)),
            Outcome::Unreachable { .. } => ("unreachable", None),
            Outcome::Unobservable { .. } | Outcome::FamilyNotServed { .. } => ("unobservable", None),
        };
        let labels = [self.config.name.as_str(), observation.evidence.as_str(), outcome];
        self.hub.store().add(&metric::OBSERVATIONS, &labels, 1);
        tracing::debug!(
            gateway = self.config.name,
            endpoint = observation.endpoint,
            host = observation.host,
            worker = observation.worker,
            evidence = observation.evidence.as_str(),
            verdict = judged.verdict.as_str(),
            "seen"
        );
        // One that was judged by an older ledger is on its way still; its host is looked at again.
        if self.expectations.as_ref().is_some_and(|e| e.revision == judged.revision) {
            self.sights.saw(judged);
        }
        if served.is_none() {
            return Vec::new();
        }
        let observed = Observed {
            endpoint: observation.endpoint.clone(),
            host: observation.host.clone(),
            worker: observation.worker.clone(),
            evidence: observation.evidence,
            sight: Sight::from(judged.verdict),
            began: Millis::from(observation.began),
            revision: judged.revision.0,
            expected_since: self.since.get(&observation.host).copied().map(Millis::from),
            served,
            expected: judged.expected.clone(),
        };
        self.event(Event::Observed(observed), now)
    }

    /// A host is proven on an endpoint: a renewal may have come to its end.
    fn renewed(&mut self, endpoint: &str, host: &str, now: Millis) {
        for ended in self.renewals.proven(endpoint, host, now) {
            let took = seconds_between(ended.stored, ended.served);
            self.hub.store().observe(&metric::HOP, &[&self.config.name, "served"], took);
            tracing::info!(
                gateway = self.config.name,
                source = ended.source,
                published_after = seconds_between(ended.stored, ended.published),
                served_after = took,
                "renewal proven on the wire"
            );
        }
    }

    /// Workers of an endpoint, where known.
    pub(super) fn workers(&self, endpoint: &str) -> Option<u32> {
        self.workers.get(endpoint).copied()
    }

    /// Once a second.
    pub fn tick(&mut self, now: Millis) -> Vec<Effect> {
        self.beat = now;
        let effects = self.event(Event::Tick, now);
        if now.since(self.tended) >= 10_000 {
            self.tended = now;
            match self.publisher.tend() {
                Some(finding) if finding.severity > Severity::Info => self.hold("ledger", finding),
                Some(finding) => crate::log::finding(&self.config.name, &finding),
                None => {
                    self.own.remove("ledger");
                }
            }
        }
        effects
    }

    fn findings_of_storage(&self) -> Vec<Finding> {
        self.inventory.iter().flat_map(|i| i.findings.iter().cloned()).collect()
    }

    /// All that is wrong now.
    pub fn findings(&self) -> Vec<Finding> {
        let seen = self.sights.iter().flat_map(|(_, sights)| sights.values().flat_map(|s| &s.findings));
        let mut all: Vec<Finding> = self.findings_of_storage();
        all.extend(
            self.published.iter().chain(self.own.values()).chain(self.alerts.values()).chain(seen).cloned(),
        );
        all.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then_with(|| (&a.object, &a.code).cmp(&(&b.object, &b.code)))
        });
        all
    }

    /// Logs findings of sources and of publishing once when they appear.
    fn tell_new_findings(&mut self) {
        let all = self.findings_of_storage().into_iter().chain(self.published.iter().cloned());
        let mut now = BTreeSet::new();
        for finding in all {
            let key = (finding.code.clone(), finding.object.clone(), finding.why.clone());
            if !self.told.contains(&key) {
                crate::log::finding(&self.config.name, &finding);
            }
            now.insert(key);
        }
        self.told = now;
    }
}

pub(super) fn entries(ledger: &Ledger) -> &[Entry] {
    match &ledger.content {
        Content::Entries(entries) => entries,
        Content::Parts(_) => &[],
    }
}

fn seconds_between(from: Millis, to: Millis) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a renewal")]
    let millis = to.since(from).max(0) as f64;
    millis / 1000.0
}

/// Hosts whose expectation is new or another, and hosts that are no longer listed.
fn difference(before: Option<&Ledger>, after: &Ledger) -> (Vec<String>, Vec<String>) {
    let hosts = |ledger: &'_ Ledger| -> BTreeMap<String, Vec<Fingerprint>> {
        let listed = entries(ledger).iter().flat_map(|e| {
            let current: Vec<Fingerprint> = e.current.iter().map(|c| c.sha256).collect();
            e.hosts.iter().map(move |h| (h.as_str().to_owned(), current.clone()))
        });
        let default =
            ledger.default.iter().map(|d| (DEFAULT.to_owned(), d.current.iter().map(|c| c.sha256).collect()));
        listed.chain(default).collect()
    };
    let (old, new) = (before.map(hosts).unwrap_or_default(), hosts(after));
    let changed =
        new.iter().filter(|(host, current)| old.get(*host) != Some(current)).map(|(h, _)| h.clone());
    let removed = old.keys().filter(|host| !new.contains_key(*host)).cloned();
    (changed.collect(), removed.collect())
}

/// Hosts of entries whose source holds something worse now, so that the expectation was kept.
fn invalid_hosts(ledger: &Ledger, findings: &[Finding]) -> Vec<String> {
    let bad: Vec<&str> =
        findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.object.as_str()).collect();
    let is_bad = |source: &str| {
        bad.iter().any(|object| {
            object.strip_prefix(source).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        })
    };
    let listed = entries(ledger).iter().filter(|e| is_bad(&e.source)).flat_map(|e| &e.hosts);
    let mut all: Vec<String> = listed.map(|h| h.as_str().to_owned()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use certdrift_contract::{Revision, Rules, UnixTime};

    fn ledger(entries: &[(&str, &str, &str)]) -> Ledger {
        let entry = |(source, host, leaf): &(&str, &str, &str)| Entry {
            source: (*source).to_owned(),
            hosts: vec![host.parse().unwrap()],
            since: UnixTime::from_seconds(0),
            current: vec![Expected {
                sha256: Fingerprint::of(leaf.as_bytes()),
                chain: Vec::new(),
                not_after: UnixTime::from_seconds(0),
            }],
            incoming: Vec::new(),
            retiring: Vec::new(),
        };
        Ledger {
            gateway: "g".into(),
            rules: Rules::Kong,
            revision: Revision(1),
            published_at: UnixTime::from_seconds(0),
            content: Content::Entries(entries.iter().map(entry).collect()),
            default: None,
        }
    }

    #[test]
    fn a_host_has_changed_when_its_certificate_has() {
        let before = ledger(&[
            ("file:a", "a.example", "1"),
            ("file:b", "b.example", "1"),
            ("file:c", "c.example", "1"),
        ]);
        let after = ledger(&[
            ("file:a", "a.example", "1"),
            ("file:b", "b.example", "2"),
            ("file:d", "d.example", "1"),
        ]);
        let (changed, removed) = difference(Some(&before), &after);
        assert_eq!(changed, ["b.example", "d.example"]);
        assert_eq!(removed, ["c.example"]);
    }

    #[test]
    fn a_bad_file_makes_the_hosts_of_its_own_source_invalid_and_no_others() {
        let ledger = ledger(&[("file:/t/demo", "a.example", "1"), ("file:/t/demo2", "b.example", "1")]);
        let finding = |object: &str| crate::source::findings::TORN.on(object, "");
        assert_eq!(invalid_hosts(&ledger, &[finding("file:/t/demo/fullchain.pem")]), ["a.example"]);
        assert_eq!(invalid_hosts(&ledger, &[finding("file:/t/demo2.pem")]), ["b.example"]);
        assert!(invalid_hosts(&ledger, &[finding("file:/t/other.pem")]).is_empty());
    }
}
