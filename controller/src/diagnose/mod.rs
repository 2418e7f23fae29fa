//! Diagnosis: facts in, the cause of a drift out. Pure; never awaits, reads a clock or touches the network.
//!
//! What one machine can know without Kubernetes: whether the stored certificate is worse than the served one, whether
//! only an edge in front differs, whether the workers of one endpoint differ, whether the file is newer than the
//! gateway's start or last reload, and whether other endpoints are right.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a gateway serves what it should not: the table in design.md section 6, as far as it can be told today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// What is stored is worse than what is served: expired, does not cover the host, key mismatch …
    InvalidNew,
    /// The gateway is right, an edge in front of it is not.
    Edge,
    /// The edge differs, and so does the gateway behind it: the gateway comes first.
    BehindGateway,
    /// Workers of one endpoint differ.
    StaleWorker,
    /// The file is newer than the gateway's start or last reload.
    FileNotReloaded,
    /// Other endpoints of the gateway serve what is expected, this one does not.
    PodBehind,
    /// None of these.
    Unexplained,
}

impl Cause {
    /// All of them, in the order of metrics.
    pub const ALL: [Self; 7] = [
        Self::InvalidNew,
        Self::Edge,
        Self::BehindGateway,
        Self::StaleWorker,
        Self::FileNotReloaded,
        Self::PodBehind,
        Self::Unexplained,
    ];

    /// As status, metrics and history show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidNew => "invalid-new",
            Self::Edge => "edge",
            Self::BehindGateway => "behind-gateway",
            Self::StaleWorker => "stale-worker",
            Self::FileNotReloaded => "file-not-reloaded",
            Self::PodBehind => "pod-behind",
            Self::Unexplained => "unexplained",
        }
    }

    /// Whether any remedy of ours can mend it.
    #[must_use]
    pub const fn mendable(self) -> bool {
        !matches!(self, Self::InvalidNew | Self::Edge | Self::BehindGateway)
    }
}

/// What is known of one host on one endpoint that drifts.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "facts are independent of each other")]
pub struct Facts {
    /// The stored certificate of this host is worse than the served one.
    pub stored_is_worse: bool,
    /// The endpoint is an edge in front of the gateway.
    pub edge: bool,
    /// An endpoint of the gateway itself drifts for this host too.
    pub gateway_drifts: bool,
    /// Some workers of this endpoint serve what is expected, others do not.
    pub workers_differ: bool,
    /// The expectation is newer than the endpoint's start or last reload; `None` when either is not known.
    pub stored_after_start: Option<bool>,
    /// At least one other endpoint of the gateway is up and does not drift for this host.
    pub others_right: bool,
}

/// Names the cause.
#[must_use]
pub const fn cause(facts: &Facts) -> Cause {
    if facts.stored_is_worse {
        Cause::InvalidNew
    } else if facts.edge {
        if facts.gateway_drifts { Cause::BehindGateway } else { Cause::Edge }
    } else if facts.workers_differ {
        Cause::StaleWorker
    } else if matches!(facts.stored_after_start, Some(true)) {
        Cause::FileNotReloaded
    } else if facts.others_right {
        Cause::PodBehind
    } else {
        Cause::Unexplained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_certificate_comes_before_everything_else() {
        let facts = Facts { stored_is_worse: true, edge: true, workers_differ: true, ..Facts::default() };
        assert_eq!(cause(&facts), Cause::InvalidNew);
    }

    #[test]
    fn an_edge_is_to_blame_only_when_the_gateway_is_right() {
        let edge = Facts { edge: true, ..Facts::default() };
        assert_eq!(cause(&edge), Cause::Edge);
        assert_eq!(cause(&Facts { gateway_drifts: true, ..edge }), Cause::BehindGateway);
    }

    #[test]
    fn differing_workers_are_named_before_the_file() {
        let facts = Facts { workers_differ: true, stored_after_start: Some(true), ..Facts::default() };
        assert_eq!(cause(&facts), Cause::StaleWorker);
    }

    #[test]
    fn a_file_newer_than_the_start_was_not_reloaded() {
        let newer = Facts { stored_after_start: Some(true), others_right: true, ..Facts::default() };
        assert_eq!(cause(&newer), Cause::FileNotReloaded);
        assert_eq!(cause(&Facts { stored_after_start: Some(false), ..newer }), Cause::PodBehind);
        assert_eq!(cause(&Facts::default()), Cause::Unexplained);
    }
}
