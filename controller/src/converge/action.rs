//! What the machine wants done, in the order in which it is to be done.
use super::clock::Millis;
use crate::diagnose::Cause;
use crate::finding::Finding;
use certdrift_contract::Fingerprint;
use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Write the state to disk before any action after this one. When that fails, a [`Action::StartRemedy`] after it
    /// is not done, and the machine is told so by `RemedyNotStarted`.
    Persist,
    /// Make full handshakes, and tell the machine what was seen.
    Probe {
        /// At this endpoint.
        endpoint: String,
        /// For these hosts.
        hosts: Vec<String>,
        /// So many for each host, or until every worker was seen.
        handshakes: u32,
    },
    /// Do this, and tell the machine `RemedyEnded`; or, where it is certain that nothing was done, `RemedyNotStarted`.
    StartRemedy(Intent),
    /// This remedy has had its time: end it if it still runs. Nothing is expected to be told any more.
    AbandonRemedy {
        /// [`Intent::id`]
        id: u64,
    },
    /// Raise an alert that stands until it is cleared.
    Raise {
        /// Name of the endpoint.
        endpoint: String,
        /// The host.
        host: String,
        /// What to say.
        finding: Finding,
    },
    /// The alert no longer stands.
    Clear {
        /// Name of the endpoint.
        endpoint: String,
        /// The host.
        host: String,
        /// Code of the finding that was raised.
        code: String,
    },
    /// Say this once.
    Tell {
        /// What to say.
        finding: Finding,
    },
    /// Write this to the history.
    Record(Record),
}

/// A remedy about to be started: who, what, why. It is on disk before the act.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Rises by one with each remedy of this gateway.
    pub id: u64,
    /// Name of the gateway.
    pub gateway: String,
    /// Name of the remedy in the policy.
    pub remedy: String,
    /// `signal`, `command`, `webhook`
    pub kind: String,
    /// The endpoint whose drift is the reason.
    pub endpoint: String,
    /// The host whose drift is the reason.
    pub host: String,
    /// Why that drift came about.
    pub cause: Cause,
    /// How many drifts of endpoint and host it should mend.
    pub covers: u32,
    /// What was served when it was decided.
    pub served: Option<Fingerprint>,
    /// What is expected.
    pub expected: Vec<Fingerprint>,
    /// When it was decided, by the wall clock.
    pub at: Millis,
    /// It is ended after so many milliseconds.
    pub timeout_ms: u64,
    /// What it costs.
    pub price: String,
}

impl Intent {
    /// A name that no other intent has: replicas count each for itself, and one that has lost its state begins anew.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}-{}-{}", self.gateway, self.id, self.at.0)
    }
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, by the wall clock.
    pub at: Millis,
    /// Name of the gateway.
    pub gateway: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What the history tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "fields are those of Intent and Drift")]
pub enum What {
    /// A drift was seen for the first time.
    Drifted {
        endpoint: String,
        host: String,
        class: String,
        served: Option<Fingerprint>,
        expected: Vec<Fingerprint>,
    },
    /// A remedy is about to be started.
    Remedy { intent: Intent },
    /// It has ended.
    Ended { id: u64, remedy: String, ok: bool, said: String, took_ms: u64 },
    /// It was refused before the act: nothing was done.
    NotStarted { id: u64, remedy: String, why: String },
    /// The wire shows what is expected; the drift is over.
    Converged {
        endpoint: String,
        host: String,
        /// The last remedy that was tried; none when the gateway got there by itself.
        after: Option<String>,
        /// Milliseconds since the drift was first seen.
        took_ms: u64,
        /// Handshakes that showed what is expected.
        handshakes: u32,
        /// Workers that were named by it.
        workers: Vec<String>,
        served: Option<Fingerprint>,
    },
    /// A remedy has ended and the wire still shows drift.
    NotHelped { endpoint: String, host: String, remedy: String, served: Option<Fingerprint> },
    /// A remedy has ended and the wire could not be seen in time.
    NotProven { endpoint: String, host: String, remedy: String },
    /// All remedies for the cause were tried.
    Exhausted { endpoint: String, host: String, cause: Cause, tried: Vec<String> },
    /// Somebody knows of it.
    Acknowledged { host: String, reason: String, until: Millis },
    /// The acknowledgement has ended.
    AcknowledgementEnded { host: String },
}
