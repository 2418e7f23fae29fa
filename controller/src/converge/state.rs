//! What the machine remembers of one gateway: only what is in trouble, so that its size follows trouble and not fleet size.
use super::action::Intent;
use super::clock::{Age, Clock, Millis};
use super::event::{Acknowledgement, RunsBy, Workload};
use super::policy::Policy;
use super::replaced::Replaced;
use crate::diagnose::{Cause, Fellows, Given, Lack, Loading};
use certdrift_contract::{DriftClass, Fingerprint};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the state's form on disk.
pub(crate) const SCHEMA: &str = "certdrift.dev/convergence/v1";

/// The machine's memory of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `certdrift.dev/convergence/v1`
    pub schema: String,
    /// Name of the gateway.
    pub gateway: String,
    /// How far it may go.
    pub policy: Policy,
    /// Its time.
    pub clock: Clock,
    /// Revision of the newest ledger it was told of.
    pub revision: u64,
    /// Hosts whose stored certificate is worse than the one expected.
    pub invalid: BTreeSet<String>,
    /// By name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Hosts that drifted on endpoints which a remedy has taken away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced: BTreeMap<String, Replaced>,
    /// Drifts somebody lets be, by host.
    pub acknowledged: BTreeMap<String, Acknowledgement>,
    /// What runs the gateway.
    pub workload: Workload,
    /// The remedy in flight.
    pub in_flight: Option<InFlight>,
    /// What began before this moment was before the end of the last remedy, and tells nothing of after.
    pub round: Age,
    /// When the remedies of the last hour were started, oldest first.
    pub starts: Vec<Age>,
    /// When a remedy was last refused before its act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Age>,
    /// [`Intent::id`] of the next remedy.
    pub next_id: u64,
}

/// A remedy that was started and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFlight {
    /// What was decided.
    pub intent: Intent,
    /// When.
    pub started: Age,
}

/// One endpoint of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Whether it answers.
    pub status: Status,
    /// When it was first heard of.
    #[serde(default)]
    pub born: Age,
    /// It stands in front of the gateway and is not ours to heal.
    pub edge: bool,
    /// How many workers it has.
    pub workers: Option<u32>,
    /// When it started or last reloaded.
    pub started: Option<Millis>,
    /// What keeps it from loading a change, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Loading>,
    /// The configuration that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_by: Option<RunsBy>,
    /// By host.
    pub drifts: BTreeMap<String, Drift>,
}

/// Whether an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does.
    Up,
    /// It runs and has no configuration yet.
    Starting,
    /// It does not.
    Unreachable,
}

/// A host that an endpoint serves wrongly, from the first sight until the proof that it is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// What is served.
    pub class: DriftClass,
    /// Why, by what is known so far.
    pub cause: Cause,
    /// What is missing to tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
    /// When it was first seen, by the wall clock.
    pub since: Millis,
    /// When it was first seen.
    pub first_seen: Age,
    /// What is served.
    pub served: Option<Fingerprint>,
    /// What is expected.
    pub expected: Vec<Fingerprint>,
    /// Since when that is expected.
    pub expected_since: Option<Millis>,
    /// How the endpoint gets this certificate.
    #[serde(default, skip_serializing_if = "Given::is_file")]
    pub given: Given,
    /// How the host fares on the other endpoints.
    #[serde(default, skip_serializing_if = "Fellows::are_none")]
    pub fellows: Fellows,
    /// What was seen in this round, that is since the last remedy ended.
    pub seen: Seen,
    /// Names of the remedies that were tried on it.
    pub tried: Vec<String>,
    /// The remedy in flight should mend it.
    pub treated: bool,
    /// A remedy has ended, and the wire has not been seen since.
    pub proving: Option<Proving>,
    /// The cause that the alert names which stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_cause: Option<Cause>,
    /// Code of the alert that stands.
    pub alert: Option<String>,
    /// From when [`Policy::alert_after`] is counted.
    pub alert_from: Age,
    /// When to look again.
    pub next_probe: Age,
}

/// What was seen of a drift in one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Connections that were served the wrong certificate (counted up to 2), by any evidence that proves.
    pub times: u32,
    /// When the newest of them began.
    pub last: Option<Age>,
    /// Handshakes of ours that were served the wrong certificate, since a right one was seen; as many as make a proof at most.
    #[serde(default)]
    pub wrong: u32,
    /// When the newest handshake of ours that was served the wrong certificate was made.
    pub by_handshake: Option<Age>,
    /// Handshakes of ours that were served what is expected, since a wrong one was seen.
    pub right: u32,
    /// When the newest handshake of ours that was served what is expected was made.
    pub last_right: Option<Age>,
    /// The workers that are known by name.
    pub workers: BTreeMap<String, WorkerSeen>,
}

/// What one worker served last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSeen {
    /// What is expected.
    pub right: bool,
    /// On a connection that began then.
    pub began: Age,
}

/// The time after a remedy in which the wire must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proving {
    /// What is wrong on a connection that began before this may still be an old worker's.
    pub settled: Age,
    /// After this it is no longer waited for.
    pub until: Age,
}

impl State {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(gateway: impl Into<String>, policy: Policy, now: Millis) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            gateway: gateway.into(),
            policy,
            clock: Clock::starting(now),
            revision: 0,
            invalid: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            replaced: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            workload: Workload::default(),
            in_flight: None,
            round: Age(0),
            starts: Vec::new(),
            refused: None,
            next_id: 1,
        }
    }

    /// All drifts, by endpoint and host.
    pub fn drifts(&self) -> impl Iterator<Item = (&str, &Endpoint, &str, &Drift)> {
        self.endpoints.iter().flat_map(|(name, endpoint)| {
            endpoint.drifts.iter().map(move |(host, drift)| (name.as_str(), endpoint, host.as_str(), drift))
        })
    }

    /// An endpoint, from now on if it was not known.
    pub(super) fn heard_of(&mut self, endpoint: &str) -> &mut Endpoint {
        let born = self.clock.age();
        let new = || Endpoint { born, ..Endpoint::default() };
        self.endpoints.entry(endpoint.to_owned()).or_insert_with(new)
    }

    /// When the remedies of the last hour were started, by the wall clock, oldest first.
    #[must_use]
    pub fn started_at(&self) -> Vec<Millis> {
        let (age, wall) = (self.clock.age(), self.clock.wall());
        let at = |start: &Age| Millis(wall.0.saturating_sub_unsigned(age.since(*start)));
        self.starts.iter().map(at).collect()
    }

    /// Whether somebody lets the drifts of this host be, now.
    #[must_use]
    pub fn is_acknowledged(&self, host: &str) -> bool {
        self.acknowledged.get(host).is_some_and(|a| self.clock.wall() < a.until)
    }
}

impl Endpoint {
    /// It answers, and belongs to the gateway itself.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.status, Status::Up) && !self.edge
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            status: Status::Up,
            born: Age(0),
            edge: false,
            workers: None,
            started: None,
            loading: None,
            runs_by: None,
            drifts: BTreeMap::new(),
        }
    }
}
