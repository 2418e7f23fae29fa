//! The filter's health report: its own word on what its worker served.
//!
//! Its size follows trouble and not fleet size: hosts in `match` are left out unless asked for by `?hosts=`.

/// What `report` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// `certdrift.dev/report/v1`
    pub schema: String,
    /// Of the filter.
    pub version: String,
    /// Which worker answered.
    pub worker: Worker,
    /// The ledger in use; `null` while there is none.
    pub ledger: Option<LedgerInUse>,
    /// The worst verdict of the worker's hosts, or `no-ledger`, `stale-ledger`, `misconfigured`.
    pub verdict: String,
    /// What is wrong with the configuration, in words; empty when nothing is.
    pub problems: Vec<String>,
    /// Since the worker started.
    pub counters: Counters,
    /// Hosts that are not in `match`, or those asked for.
    pub observations: Vec<HostReport>,
}

/// Which worker answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Worker {
    /// Its process id, or where the host does not tell one, a name of its own choosing that stays while it lives.
    pub id: String,
    /// When the filter started in it, seconds since 1970.
    pub started: i64,
}

/// The ledger a worker uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerInUse {
    /// Name of the gateway.
    pub gateway: String,
    /// Its revision.
    pub revision: u64,
    /// Seconds since a poll last confirmed it.
    pub age_seconds: u64,
    /// Hosts it lists.
    pub hosts: u64,
    /// From which location.
    pub location: String,
    /// Why the last poll brought nothing usable; empty when it did.
    pub last_error: String,
}

/// Connections counted since the worker started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// Judged.
    pub judged: u64,
    /// Not judged: plain HTTP, resumed session, or the host does not tell.
    pub unjudged: u64,
    /// Not judged: the ledger does not list the host.
    pub unlisted: u64,
    /// Judged to be drift.
    pub drift: u64,
}

/// What a worker served for one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostReport {
    /// The host as the ledger lists it; `default` for the gateway's default certificate.
    pub host: String,
    /// As in the table of verdicts; `unobserved` when no client came yet.
    pub verdict: String,
    /// Of drift; else `null`.
    pub class: Option<String>,
    /// Fingerprint served, 64 hex digits; `null` when none was yet.
    pub served: Option<String>,
    /// Fingerprints expected.
    pub expected: Vec<String>,
    /// How it was observed.
    pub evidence: String,
    /// When `served` was first seen, seconds since 1970; 0 when never.
    pub first_seen: i64,
    /// When `served` was last seen, seconds since 1970; 0 when never.
    pub last_seen: i64,
    /// When the newest connection began, seconds since 1970; 0 when never.
    pub began: i64,
}
