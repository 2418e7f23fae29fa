//! Diagnosis: facts in, the cause of a drift out. Pure; never awaits, reads a clock or touches the network.
//!
//! What one machine can know without Kubernetes: whether the stored certificate is worse than the served one, whether
//! only an edge in front differs, whether the workers of one endpoint differ, whether the file is newer than the
//! gateway's start or last reload, and whether other endpoints are right. With Kong's ingress controller also what
//! keeps a change from a pod.
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
    /// Pushes of the configuration are refused: one broken object anywhere keeps every renewal away.
    PushFailing,
    /// All but a broken object is loaded; what that carries is served the default certificate.
    Fallback,
    /// The pod has no configuration, longer than a start takes.
    PodEmpty,
    /// A fellow that hangs holds up the push.
    HeldBack,
    /// The file is newer than the gateway's start or last reload.
    FileNotReloaded,
    /// The certificate cannot be loaded without a restart: it is in the environment, in a mounted file that is never
    /// renewed (`subPath`), or in a vault.
    NotReloadable,
    /// Other endpoints of the gateway serve what is expected, this one does not.
    PodBehind,
    /// What was stored is newer than the configuration, and nothing keeps pushes away.
    NotPushed,
    /// None of these.
    Unexplained,
}

impl Cause {
    /// All of them, in the order of metrics.
    pub const ALL: [Self; 13] = [
        Self::InvalidNew,
        Self::Edge,
        Self::BehindGateway,
        Self::StaleWorker,
        Self::PushFailing,
        Self::Fallback,
        Self::PodEmpty,
        Self::HeldBack,
        Self::FileNotReloaded,
        Self::NotReloadable,
        Self::PodBehind,
        Self::NotPushed,
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
            Self::PushFailing => "push-failing",
            Self::Fallback => "fallback",
            Self::PodEmpty => "pod-empty",
            Self::HeldBack => "held-back",
            Self::FileNotReloaded => "file-not-reloaded",
            Self::NotReloadable => "not-reloadable",
            Self::PodBehind => "pod-behind",
            Self::NotPushed => "not-pushed",
            Self::Unexplained => "unexplained",
        }
    }

    /// Whether any remedy of ours can mend it.
    #[must_use]
    pub const fn mendable(self) -> bool {
        !matches!(
            self,
            Self::InvalidNew
                | Self::Edge
                | Self::BehindGateway
                | Self::PushFailing
                | Self::Fallback
                | Self::HeldBack
        )
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn by_hand(self) -> &'static str {
        match self {
            Self::InvalidNew => "store a good certificate: what is wrong with this one is told beside this",
            Self::Edge => "mend the edge (load balancer, CDN): the gateway behind it is right",
            Self::BehindGateway => "mend the gateway first; then look at the edge again",
            Self::StaleWorker | Self::FileNotReloaded => "reload the gateway",
            Self::PushFailing => "mend the object that CD-322 names: until then no renewal arrives",
            Self::Fallback => "mend the object that CD-323 names: until then what it carries is left out",
            Self::PodEmpty | Self::NotPushed => {
                "change the annotation konghq.com/tags of the host's Secret (another annotation or a label will not do): the ingress controller pushes then"
            }
            Self::NotReloadable => "restart the gateway: a reload does not bring this certificate",
            Self::HeldBack => "wait half a minute: the pod that hangs is set aside then",
            Self::PodBehind => "reload or restart this one: its fellows are right",
            Self::Unexplained => "reload the gateway; if that does not help, restart it",
        }
    }
}

/// What keeps an endpoint from loading a change, where ingress controller and status tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loading {
    /// Pushes to it are refused.
    Refused,
    /// It was given all but a broken object.
    Fallback,
    /// It has no configuration, longer than a start takes.
    Empty,
    /// A fellow hangs, and the push waits.
    HeldBack,
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
    /// What keeps the endpoint from loading a change.
    pub loading: Option<Loading>,
    /// It serves its default certificate or a placeholder.
    pub serves_default: bool,
    /// At least one other endpoint of the gateway is up and does not drift for this host.
    pub others_right: bool,
    /// The expectation is newer than the configuration that the endpoint was pushed last; `None` when either is not known.
    pub stored_after_push: Option<bool>,
    /// Only a restart loads this certificate.
    pub only_by_restart: bool,
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
    } else if let Some(cause) = by_loading(facts) {
        cause
    } else if facts.only_by_restart && !matches!(facts.stored_after_start, Some(false)) {
        Cause::NotReloadable
    } else if matches!(facts.stored_after_start, Some(true)) {
        Cause::FileNotReloaded
    } else if facts.others_right {
        Cause::PodBehind
    } else if matches!(facts.stored_after_push, Some(true)) {
        Cause::NotPushed
    } else {
        Cause::Unexplained
    }
}

/// A pod without a configuration serves nothing but its default certificate; with a fallback one, whatever was left out.
const fn by_loading(facts: &Facts) -> Option<Cause> {
    match facts.loading {
        Some(Loading::Refused) => Some(Cause::PushFailing),
        Some(Loading::HeldBack) => Some(Cause::HeldBack),
        Some(Loading::Fallback) if facts.serves_default => Some(Cause::Fallback),
        Some(Loading::Empty) if facts.serves_default => Some(Cause::PodEmpty),
        Some(Loading::Fallback | Loading::Empty) | None => None,
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

    #[test]
    fn what_only_a_restart_loads_is_not_reloadable_while_it_is_newer_than_the_start() {
        let inline = Facts {
            only_by_restart: true,
            stored_after_start: Some(true),
            others_right: true,
            ..Facts::default()
        };
        assert_eq!(cause(&inline), Cause::NotReloadable);
        assert_eq!(cause(&Facts { stored_after_start: None, ..inline }), Cause::NotReloadable);
        // It was restarted since, and serves something else still: that is another matter.
        assert_eq!(cause(&Facts { stored_after_start: Some(false), ..inline }), Cause::PodBehind);
    }

    #[test]
    fn what_no_endpoint_was_pushed_since_it_was_stored_is_not_pushed() {
        let since = |after| cause(&Facts { stored_after_push: after, ..Facts::default() });
        assert_eq!(since(Some(true)), Cause::NotPushed);
        assert_eq!(since(Some(false)), Cause::Unexplained, "it was pushed, and is not served all the same");
        assert_eq!(since(None), Cause::Unexplained);
        let others = Facts { stored_after_push: Some(true), others_right: true, ..Facts::default() };
        assert_eq!(cause(&others), Cause::PodBehind, "its fellows have it");
        let refused =
            Facts { stored_after_push: Some(true), loading: Some(Loading::Refused), ..Facts::default() };
        assert_eq!(cause(&refused), Cause::PushFailing, "it cannot be pushed");
    }

    #[test]
    fn what_keeps_a_change_away_comes_before_what_it_looks_like() {
        let alone = Facts { others_right: true, stored_after_start: Some(true), ..Facts::default() };
        let with =
            |loading, serves_default| cause(&Facts { loading: Some(loading), serves_default, ..alone });
        assert_eq!(with(Loading::Refused, false), Cause::PushFailing);
        assert_eq!(with(Loading::HeldBack, false), Cause::HeldBack);
        assert_eq!(with(Loading::Fallback, true), Cause::Fallback);
        assert_eq!(with(Loading::Empty, true), Cause::PodEmpty);
        // What still serves the certificate before has a configuration, and one that left nothing of it out.
        assert_eq!(with(Loading::Fallback, false), Cause::FileNotReloaded);
        assert_eq!(with(Loading::Empty, false), Cause::FileNotReloaded);
        let workers = Facts { workers_differ: true, loading: Some(Loading::Refused), ..alone };
        assert_eq!(cause(&workers), Cause::StaleWorker, "it has arrived");
    }
}
