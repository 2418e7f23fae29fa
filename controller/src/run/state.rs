//! What a running controller knows, as `/debug/state` answers it and `certdrift status` reads it.
use super::renewals::Ended;
use crate::converge::{Millis, Mode, Record};
use crate::diagnose::{Cause, Diagnosis, Hop, Lack};
use crate::finding::Finding;
use crate::loaded::configuration::Loaded;
use crate::rehearse::way::Hop as Rehearsed;
use certdrift_contract::UnixTime;
use serde::{Deserialize, Serialize};

/// `schema` of [`State`].
pub const SCHEMA: &str = "certdrift.dev/state/v1";

/// All that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `certdrift.dev/state/v1`
    pub schema: String,
    /// Of the controller.
    pub version: String,
    /// When it started.
    pub started: UnixTime,
    /// Its clock when it answered.
    pub now: UnixTime,
    /// The gateways, as configured.
    pub gateways: Vec<Gateway>,
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Whether drift is only told, or healed.
    pub mode: Mode,
    /// The ledger in use; none before the first.
    pub ledger: Option<LedgerState>,
    /// Where it serves.
    pub endpoints: Vec<Endpoint>,
    /// All hosts the ledger lists; `default` last.
    pub hosts: Vec<Host>,
    /// The remedy in flight: its name.
    pub remedy: Option<String>,
    /// What is wrong now, alerts of drift included.
    pub findings: Vec<Finding>,
    /// What is broken on the way of its certificates, hop by hop, and why.
    #[serde(default)]
    pub diagnoses: Vec<Diagnosis>,
    /// The newest renewals that were proven, the newest first.
    pub renewals: Vec<Ended>,
    /// The newest lines of the history, the newest last.
    pub history: Vec<Record>,
    /// Its canary, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// A canary: a host of our own whose certificate is issued anew on a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Its host.
    pub host: String,
    /// `NAMESPACE/NAME` of its Certificate.
    pub certificate: String,
    /// Milliseconds from one request to the next.
    pub every: i64,
    /// When it was proven last on every endpoint; none before the first time.
    pub worked: Option<Millis>,
    /// How long that took from the request on, in milliseconds, where it was seen from its start.
    pub took: Option<i64>,
    /// The hop that a way under way waits for.
    pub waits_for: Option<Rehearsed>,
    /// The first hop that was not done of the way that was given up, until another is proven.
    pub failed: Option<Rehearsed>,
    /// When the next is due, where that is known.
    pub next: Option<Millis>,
}

/// A ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerState {
    /// Its revision.
    pub revision: u64,
    /// When it was published.
    pub published_at: UnixTime,
    /// Hosts it lists.
    pub hosts: usize,
    /// Where it is.
    pub file: String,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// As configured.
    pub address: String,
    /// A load balancer or CDN in front.
    pub edge: bool,
    /// Whether it answers; `null` before it was tried.
    pub answers: Option<bool>,
    /// Why it does not.
    pub why: String,
    /// Worker processes, where known.
    pub workers: Option<u32>,
    /// What it runs by, where Kong's status tells.
    #[serde(default)]
    pub loaded: Option<Loaded>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// As the ledger lists it.
    pub host: String,
    /// `file:PATH`
    pub source: String,
    /// What is expected, 64 hex digits each.
    pub expected: Vec<String>,
    /// The earliest end of validity of what is expected.
    pub not_after: Option<UnixTime>,
    /// Whether what is stored now is good: `false` when a worse certificate is stored, so that the last good one stays expected.
    pub stored: bool,
    /// Whether its next certificate was signed and did not get to where it is stored (CD-172).
    #[serde(default)]
    pub not_stored: bool,
    /// The hop at which its next certificate stands and does not go on: `issued` or `stored`.
    #[serde(default)]
    pub broken: Option<Hop>,
    /// Whether a Certificate is known that is stored there.
    #[serde(default)]
    pub issuance_watched: bool,
    /// What was seen of it.
    pub seen: Vec<Seen>,
}

/// What was seen of a host on one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Name of the endpoint.
    pub endpoint: String,
    /// As in the table of verdicts.
    pub verdict: String,
    /// Of drift.
    pub class: Option<String>,
    /// How it was seen: `handshake`, `filter`, `tap`, `declared`.
    pub evidence: String,
    /// What was served, 64 hex digits.
    pub served: Option<String>,
    /// End of validity of that.
    pub not_after: Option<UnixTime>,
    /// Whether the peer proved that it holds that one's key: `proven`, `unproven` (its signature cannot be checked here); none where the evidence does not show it.
    pub possession: Option<String>,
    /// When it was seen last.
    pub at: UnixTime,
    /// Since when the verdict is what it is.
    pub since: UnixTime,
    /// Why no certificate could be seen, when none could.
    pub blind: Option<String>,
    /// How far it is proven: `all 2 workers seen`.
    pub proof: Option<String>,
    /// Whether that is all there is to see.
    pub proven: bool,
    /// Workers named by filter or tap: process id and verdict.
    pub workers: Vec<(String, String)>,
    /// Of drift: why, as far as is known.
    pub cause: Option<String>,
    /// Of drift whose cause cannot be told: what is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
    /// Of drift: what it waits for.
    pub waits: Option<String>,
    /// Of drift: the reason for which somebody lets it be.
    pub acknowledged: Option<String>,
}

impl Seen {
    /// Drift, judged.
    #[must_use]
    pub fn drifts(&self) -> bool {
        self.verdict == "drift"
    }

    /// Of drift: why; `None` also for one that a newer controller tells.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        Cause::ALL.into_iter().find(|known| Some(known.as_str()) == self.cause.as_deref())
    }

    /// What is expected is served.
    #[must_use]
    pub fn right(&self) -> bool {
        matches!(self.verdict.as_str(), "match" | "incoming")
    }
}
