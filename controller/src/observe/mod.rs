//! What gateways serve: our own full handshakes, the filter's report, the tap.
//!
//! ```text
//! expectations ─> plan (which host next) ─> pace ─> endpoint: handshake, report, tap ─> judge ─> watch::Seen
//! ```
//! [`watch`] drives one endpoint; all decisions (plan, pace, workers, judge) are pure and stand in files of their own.
use crate::converge::Millis;
use crate::source::KeyFamily;
use certdrift_contract::{Evidence, Fingerprint, UnixTime};
use handshake::Look;
use leaf::Facts;
use serde::Serialize;
use verifier::Possession;

pub mod chain;
pub mod endpoint;
pub mod expectations;
pub mod findings;
mod former;
pub mod handshake;
pub mod http;
pub mod judge;
pub mod leaf;
mod limited;
pub mod pace;
pub mod plan;
pub mod pods;
pub mod proxy_protocol;
pub mod pushes;
pub mod report;
pub mod tap;
pub mod tls;
pub mod verifier;
pub mod watch;
pub mod workers;

/// What one endpoint (and, where known, one worker) served for a host, when, and by what evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// Name of the endpoint, as configured.
    pub endpoint: String,
    /// The host as the ledger lists it; `default` for the gateway's default certificate.
    pub host: String,
    /// The signature family that was asked for, where one was: a pair is looked at member by member, and a match of one says nothing of the other.
    pub family: Option<KeyFamily>,
    /// The worker (process id in the pod), where filter or tap tell it.
    pub worker: Option<String>,
    /// When it was made.
    pub at: UnixTime,
    /// When the connection began: for a handshake of ours, when it was begun; in whole seconds where filter or tap tell.
    pub began: Millis,
    /// How.
    pub evidence: Evidence,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// A certificate was presented on a full handshake.
    Served {
        /// Of the leaf.
        leaf: Fingerprint,
        /// Of the intermediates in the order they were sent; `None` where the evidence does not show them.
        chain: Option<Vec<Fingerprint>>,
        /// The gateway's placeholder, self-signed for `localhost`.
        placeholder: bool,
        /// When this fingerprint was first seen there for this host.
        first_seen: UnixTime,
        /// End of validity, where the evidence shows it.
        not_after: Option<UnixTime>,
        /// Whether the peer proved that it holds the key; `None` where the evidence does not show it. Never refuted: then it is not served but shown.
        possession: Option<Possession>,
    },
    /// Nobody answered, or not in time. Never drift.
    Unreachable {
        /// In words.
        why: String,
    },
    /// Somebody answered, but no certificate can be seen this way (protocol too old, resumed session …). Never drift.
    Unobservable {
        /// In words.
        why: String,
    },
    /// The endpoint speaks TLS and serves the host, but no certificate of the family asked for: half of a pair is missing. No fingerprint was seen, so it is never drift; it is a finding.
    FamilyNotServed {
        /// In words.
        why: String,
    },
}

impl Outcome {
    /// Of one handshake. `first_seen` is asked since when this leaf has been seen there.
    #[must_use]
    pub fn of(look: &Look, first_seen: impl FnOnce(Fingerprint) -> UnixTime) -> Self {
        match look {
            Look::Unreachable(why) => Self::Unreachable { why: why.clone() },
            Look::Unobservable(why) => Self::Unobservable { why: why.clone() },
            Look::FamilyNotServed(why) => Self::FamilyNotServed { why: why.clone() },
            Look::Served(served) if served.possession == Possession::Refuted => Self::Unobservable {
                why: format!("the peer shows {} but does not hold its key", served.leaf.short()),
            },
            Look::Served(served) => {
                let facts = served.facts.as_ref().ok();
                Self::Served {
                    leaf: served.leaf,
                    chain: Some(served.chain.clone()),
                    placeholder: facts.is_some_and(Facts::is_placeholder),
                    first_seen: first_seen(served.leaf),
                    not_after: facts.map(|f| f.not_after),
                    possession: Some(served.possession.clone()),
                }
            }
        }
    }
}
