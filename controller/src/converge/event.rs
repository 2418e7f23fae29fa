//! What the machine is told.
use super::clock::Millis;
use super::policy::Policy;
use crate::diagnose::{Fellows, Given, Loading};
use certdrift_contract::{DriftClass, Evidence, Fingerprint, Verdict};
use serde::{Deserialize, Serialize};

/// One thing that happened. Written as JSON with a field `event`, so that a history can be recorded and replayed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Time has passed. At least one every [`super::LONGEST_GAP`] milliseconds, better every second.
    Tick,
    /// The process starts with the state it kept: what ran then is not running now.
    Restarted,
    /// The policy is another one (mode switched, remedies changed).
    PolicyChanged {
        /// The one that holds from now on.
        policy: Box<Policy>,
    },
    /// A ledger was published.
    Published {
        /// Its revision.
        revision: u64,
        /// Hosts whose expectation changed.
        changed: Vec<String>,
        /// Hosts no longer listed.
        removed: Vec<String>,
        /// All hosts whose stored certificate is now worse than the one expected, so that the expectation was kept.
        invalid: Vec<String>,
    },
    /// An endpoint answers.
    EndpointUp {
        /// Its name.
        endpoint: String,
        /// It stands in front of the gateway (load balancer, CDN) and is not ours to heal.
        edge: bool,
        /// How many workers it has, where that is known.
        workers: Option<u32>,
        /// When it started or last reloaded its files, where that is known.
        started: Option<Millis>,
    },
    /// An endpoint runs, but has no configuration yet.
    EndpointStarting {
        /// Its name.
        endpoint: String,
    },
    /// Nobody answers there, or not in time.
    EndpointUnreachable {
        /// Its name.
        endpoint: String,
    },
    /// An endpoint is no longer ours to look at.
    EndpointGone {
        /// Its name.
        endpoint: String,
    },
    /// What an endpoint that is given its configuration runs by, and what keeps a change from it.
    Loading {
        /// Its name.
        endpoint: String,
        /// What keeps a change from it, where that is known.
        loading: Option<Loading>,
        /// The configuration that it runs by, where Kong's status tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runs_by: Option<RunsBy>,
    },
    /// Something was seen and judged.
    Observed(Observed),
    /// A remedy has ended.
    RemedyEnded {
        /// [`super::Intent::id`]
        id: u64,
        /// Whether it did what it was asked to do. Whether that helped is for the wire to say.
        ok: bool,
        /// What it said: exit status, first lines of its output, HTTP status.
        said: String,
    },
    /// A remedy was not begun, and never will be: it was refused before the act.
    RemedyNotStarted {
        /// [`super::Intent::id`]
        id: u64,
        /// What refused it.
        why: String,
    },
    /// Remedies were started at these times (by the wall clock) by others, or by us in another life: they count for interval
    /// and budget.
    ActedBefore {
        /// In any order; what is known already counts once.
        at: Vec<Millis>,
    },
    /// A human knows of a drift: it stays visible, is not alerted and not healed.
    Acknowledged(Acknowledgement),
    /// The acknowledgement for this host is withdrawn.
    AcknowledgementWithdrawn {
        /// The host.
        host: String,
    },
    /// What is known of the gateway's workload.
    Workload(Workload),
}

/// One observation, judged against the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The host as the ledger lists it.
    pub host: String,
    /// The worker, where it is known.
    pub worker: Option<String>,
    /// How it was seen.
    pub evidence: Evidence,
    /// What was seen.
    pub sight: Sight,
    /// When the connection began; for a handshake of ours, when it was made.
    pub began: Millis,
    /// Revision of the ledger it was judged against.
    pub revision: u64,
    /// Since when what is expected is expected, where that is known.
    pub expected_since: Option<Millis>,
    /// What was served.
    pub served: Option<Fingerprint>,
    /// What is expected.
    pub expected: Vec<Fingerprint>,
    /// How the endpoint gets this certificate.
    #[serde(default, skip_serializing_if = "Given::is_file")]
    pub given: Given,
    /// How the host fares on the other endpoints.
    #[serde(default, skip_serializing_if = "Fellows::are_none")]
    pub fellows: Fellows,
}

/// The configuration that an endpoint runs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunsBy {
    /// It had it by then.
    pub since: Millis,
    /// It had another one then still; nothing is known of when it came where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Millis>,
    /// It missed a change that its fellows have.
    pub behind: bool,
}

/// A verdict, reduced to what convergence asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// `match` or `incoming`: proof, unless it is only declared.
    Expected,
    /// `retiring`, `carried`, `ahead`: healthy, but proves nothing.
    Tolerated,
    /// `drift`
    Drift(DriftClass),
    /// `unobserved`, `unlisted`
    Unjudged,
}

impl From<Verdict> for Sight {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Match | Verdict::Incoming => Self::Expected,
            Verdict::Retiring | Verdict::Carried | Verdict::Ahead => Self::Tolerated,
            Verdict::Drift(class) => Self::Drift(class),
            Verdict::Unobserved | Verdict::Unlisted => Self::Unjudged,
        }
    }
}

/// A drift somebody knows of and lets be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The host, on every endpoint.
    pub host: String,
    /// Why it is let be.
    pub reason: String,
    /// Until when, by the wall clock.
    pub until: Millis,
}

/// What runs the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// A rollout of somebody else's is under way.
    pub rollout_running: bool,
    /// How many replicas it has, where that is known.
    pub replicas: Option<u32>,
    /// How many of them a disruption budget lets go now; `None` without a budget.
    pub disruptions_allowed: Option<u32>,
    /// Somebody else writes the template of its pods (Flux, Argo CD, an operator), so that it is not ours to change: pods are
    /// evicted one by one instead of a rollout.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template_is_owned: bool,
    /// Its certificates are files that the kubelet mounts, and brings anew once it gets to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files_are_mounted: bool,
}
