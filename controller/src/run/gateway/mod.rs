//! One gateway: what is known of it, and what is to be done when something happens. Writes its state, history and
//! ledger; all that waits (handshakes, remedies) is left to the loop as an [`Effect`].
//!
//! | file | when |
//! |---|---|
//! | `origin` | what is bound now is asked for |
//! | `endpoints` | pods have come or gone |
//! | `issuance` | a Certificate's state has changed, or is due to |
//! | `loading` | what keeps changes from its pods is looked at, once a second |
//! | `lead` | this replica leads, or does not any more |
//! | `machine` | the convergence machine is told something |
//! | `publish` | what is stored has changed |
//! | `canary` | its canary is looked at |
//! | `told` | the observer has seen something |
//! | `findings` | what is wrong now is asked for, or has changed |
mod canary;
mod endpoints;
mod findings;
mod issuance;
mod lead;
mod loading;
mod machine;
mod origin;
mod publish;
mod recording;
#[cfg(test)]
mod tests;
mod told;

use super::Hub;
use super::renewals::Renewals;
use super::sights::{Sights, Unlisted};
use crate::cluster::ObjectName;
use crate::config;
use crate::converge::{Acknowledgement, Event, Intent, Millis, Record, State};
use crate::finding::{Finding, Severity};
use crate::loaded::configuration::Configurations;
use crate::observe::expectations::Expectations;
use crate::publish::build::Policy as Build;
use crate::publish::config_map::map;
use crate::publish::file::FileLedger;
use crate::publish::publisher::Publisher;
use crate::publish::target::Target;
use crate::rehearse::begin::Told;
use crate::rehearse::canary::Canary;
use crate::remedy::history::History;
use crate::remedy::state_file::StateFile;
use crate::source::inventory::Inventory;
use certdrift_contract::{Ledger, UnixTime};
use origin::{Clustered, Origin};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// So many lines of the history are shown.
const SHOWN_RECORDS: usize = 100;

/// Something for the loop to do.
#[derive(Debug)]
pub enum Effect {
    /// These are its endpoints from now on.
    Watch(Vec<Place>),
    /// Tell what has changed with the ledger that was just published: let others run first, they write it.
    Announce {
        /// The ledger until then.
        before: Option<Arc<Ledger>>,
        /// When the first change was heard of that is in it.
        heard: Millis,
    },
    /// These pods of the ingress controller are to be asked for what they count of their pushes: name and URL.
    Ask(Vec<(String, String)>),
    /// Something else is expected from now on.
    Expect(Arc<Expectations>),
    /// Look at these hosts on an endpoint, until all its workers were seen.
    Look(String, Vec<String>),
    /// Do a remedy, and tell when it has ended.
    Start(Intent),
    /// End this remedy if it still runs.
    Abandon(u64),
    /// The intent that another left on the Lease is over.
    Unfence,
    /// Keep these acts in this ConfigMap, and tell what is there.
    Keep(ObjectName, Vec<Record>),
    /// Ask what cert-manager may do to this Secret.
    Review(ObjectName),
    /// Ask cert-manager to issue the canary's Certificate once more, where that may be done.
    Rotate(ObjectName, Told),
}

pub(super) use endpoints::Place;
use loading::Pushes;
use recording::Recording;

/// One gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(super) config: config::Gateway,
    /// Where it serves now.
    pub(super) places: Vec<Place>,
    /// Where the ledger is, for people.
    pub(super) ledger_place: String,
    pub(super) sights: Sights,
    /// What is served for hosts that the ledger does not list.
    pub(super) unlisted: Unlisted,
    pub(super) publisher: Publisher,
    pub(super) renewals: Renewals,
    pub(super) records: VecDeque<Record>,
    pub(super) alerts: BTreeMap<(String, String), Finding>,
    pub(super) answers: BTreeMap<String, (bool, String)>,
    /// By endpoint, what its tap counts of its connections, in the order of the metric's kinds.
    pub(super) connections: BTreeMap<String, [u64; 4]>,
    pub(super) invalid: BTreeSet<String>,
    pub(super) inventory: Option<Arc<Inventory>>,
    pub(super) beat: Millis,
    machine: Option<State>,
    state_file: StateFile,
    /// There is something in the machine that is not on disk yet.
    unsaved: bool,
    /// Of the remedy in flight, as the disk has it.
    saved_intent: Option<u64>,
    history: History,
    published: Vec<Finding>,
    own: BTreeMap<String, Finding>,
    expectations: Option<Arc<Expectations>>,
    workers: BTreeMap<String, u32>,
    pub(super) loaded: Configurations,
    pushes: Pushes,
    told: BTreeSet<(String, String, String)>,
    hub: Arc<Hub>,
    tended: Millis,
    origin: Origin,
    /// Whether this replica writes and heals; where there is but one, it does.
    leads: bool,
    /// Until when nothing is done about a gateway that another replica was healing when it stopped leading.
    waits: Option<Millis>,
    /// What is to be done about the record of acts in the cluster.
    record: Recording,
    /// Somebody else writes the template of its pods, as a remedy found.
    template_is_owned: bool,
    /// When the first change was heard of that is not published yet.
    heard: Option<Millis>,
    /// When Events were thought of last.
    noted: Millis,
    canary: Canary,
    /// Since when something keeps the canary from being asked for.
    canary_troubled: Option<Millis>,
}

/// What outlives a reload of the configuration: the machine's state is on disk, and the rest is seen anew.
#[derive(Debug, Default)]
pub(super) struct Kept {
    sights: Sights,
    renewals: Renewals,
    canary: Canary,
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
        now: Millis,
    ) -> Result<(Self, Vec<Effect>), Finding> {
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
        let (origin, leads) = match (&config.kubernetes, hub.cluster()) {
            (Some(own), Some(cluster)) => {
                let leads = cluster.leads();
                let of = Clustered::new(cluster, own.rules(config.rules), own.finder());
                (Origin::Cluster(Box::new(of)), leads)
            }
            _ => (Origin::Files(super::sources::rules(&config.sources)), true),
        };
        let file = ledger_file.as_ref().map(|file| Box::new(FileLedger::new(file)) as Box<dyn Target>);
        let in_cluster = || config_maps(&config).map(|place| place.object(&place.index()));
        let ledger_place =
            ledger_file.map(|file| file.display().to_string()).or_else(in_cluster).unwrap_or_default();
        let (publisher, findings) = Publisher::new(build, file.into_iter().collect(), ledgers);
        for finding in &findings {
            crate::log::finding(&config.name, finding);
        }
        let (kept, damaged) = state_file.read(&config.name);
        if let Some(finding) = &damaged {
            crate::log::finding(&config.name, finding);
        }
        let machine = kept.unwrap_or_else(|| State::new(&config.name, config.policy.clone(), now));
        let records = history.newest(SHOWN_RECORDS).map(|(records, _)| records.into()).unwrap_or_default();
        let withdrawn: Vec<String> = machine
            .acknowledged
            .keys()
            .filter(|h| !config.acknowledged.iter().any(|a| a.host == **h))
            .cloned()
            .collect();
        let Kept { sights, renewals, canary } = hub.kept(&config.name);
        let mut gateway = Self {
            ledger_place,
            sights,
            unlisted: Unlisted::default(),
            publisher,
            renewals,
            records,
            alerts: BTreeMap::new(),
            answers: BTreeMap::new(),
            connections: BTreeMap::new(),
            invalid: BTreeSet::new(),
            inventory: None,
            beat: now,
            saved_intent: machine.in_flight.as_ref().map(|f| f.intent.id),
            machine: Some(machine),
            state_file,
            unsaved: false,
            history,
            published: Vec::new(),
            own: BTreeMap::new(),
            expectations: None,
            workers: BTreeMap::new(),
            loaded: Configurations::default(),
            pushes: Pushes::default(),
            places: Vec::new(),
            told: BTreeSet::new(),
            hub,
            tended: now,
            origin,
            leads,
            waits: None,
            record: Recording::default(),
            template_is_owned: false,
            heard: None,
            noted: now,
            canary,
            canary_troubled: None,
            config,
        };
        let mut effects = gateway.event(Event::Restarted, now);
        effects.extend(gateway.act_as_told(now));
        // Pods are not known yet: what is remembered of them stays until they are.
        if gateway.config.kubernetes.as_ref().is_none_or(|own| own.pods.is_none()) {
            effects.extend(gateway.serves_at(Vec::new(), now));
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

    /// What the gateway of this name goes on with after a reload.
    pub(super) fn keep(&mut self) -> Kept {
        let canary = self.canary.kept();
        Kept {
            sights: std::mem::take(&mut self.sights),
            renewals: std::mem::take(&mut self.renewals),
            canary,
        }
    }

    /// Whether somebody lets a host's drift be, now.
    pub(super) fn acknowledges(&self, host: &str, now: UnixTime) -> bool {
        let known = self.machine.as_ref().and_then(|machine| machine.acknowledged.get(host));
        known.is_some_and(|acknowledged| Millis::from(now) < acknowledged.until)
    }

    /// What the machine remembers.
    pub(super) fn machine(&self) -> Option<&State> {
        self.machine.as_ref()
    }

    /// What is stored is another.
    pub fn stored(&mut self, inventory: Arc<Inventory>) {
        self.inventory = Some(inventory);
    }

    /// Workers of an endpoint, where known.
    pub(super) fn workers(&self, endpoint: &str) -> Option<u32> {
        self.workers.get(endpoint).copied()
    }

    /// Once a second.
    pub fn tick(&mut self, now: Millis) -> Vec<Effect> {
        self.beat = now;
        let mut effects = self.event(Event::Tick, now);
        self.save();
        if self.publisher.is_behind() || self.is_overdue(now.seconds()) {
            effects.extend(self.publish(now));
        }
        effects.extend(self.tend_lead(now));
        effects.extend(self.tend_pods(now));
        effects.extend(self.tend_loaded(now));
        effects.extend(self.issuance(now));
        effects.extend(self.tend_record(now));
        effects.extend(self.tend_canary(now));
        if now.since(self.noted) >= 2_000 {
            self.noted = now;
            self.tell_events();
        }
        if now.since(self.tended) >= 10_000 {
            self.tended = now;
            self.tend_lease();
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
}

/// Where the ConfigMaps of a gateway are; `None` where it is in no cluster.
pub(super) fn config_maps(config: &config::Gateway) -> Option<map::Place> {
    map::Place::new(&config.kubernetes.as_ref()?.namespace, &config.name)
}

pub(super) fn seconds_between(from: Millis, to: Millis) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a renewal")]
    let millis = to.since(from).max(0) as f64;
    millis / 1000.0
}
