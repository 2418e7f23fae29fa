//! How each hop of a host stands, and what its row comes to. Pure.
use crate::run::state::{Gateway, Host, Seen};
use serde::Serialize;

/// One row: a host's hops.
#[derive(Debug, Serialize)]
pub(super) struct Hops {
    pub(super) host: String,
    pub(super) stored: Hop,
    pub(super) published: Hop,
    pub(super) served: Hop,
}

/// How one hop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Hop {
    Good,
    Bad,
    Unknown,
}

/// What a host's row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    Good,
    Unknown,
    Stored,
    NotStored,
    Drift,
}

/// An edge counts for the verdict as any endpoint does: what clients get is what counts.
pub(super) fn grade(gateway: &Gateway, host: &Host) -> Grade {
    match hops(gateway, host) {
        Hops { served: Hop::Bad, .. } => Grade::Drift,
        Hops { stored: Hop::Bad, .. } if host.not_stored => Grade::NotStored,
        Hops { stored: Hop::Bad, .. } => Grade::Stored,
        Hops { served: Hop::Unknown, .. } | Hops { published: Hop::Bad | Hop::Unknown, .. } => Grade::Unknown,
        _ => Grade::Good,
    }
}

pub(super) fn at<'a>(host: &'a Host, endpoint: &str) -> Option<&'a Seen> {
    host.seen.iter().find(|s| s.endpoint == endpoint)
}

pub(super) fn hops(gateway: &Gateway, host: &Host) -> Hops {
    let served = if host.seen.iter().any(Seen::drifts) {
        Hop::Bad
    } else {
        let proves = |s: &Seen| s.right() && s.evidence != "declared" && s.blind.is_none();
        let all = gateway
            .endpoints
            .iter()
            .all(|e| e.answers == Some(true) && at(host, &e.name).is_some_and(proves));
        if all { Hop::Good } else { Hop::Unknown }
    };
    Hops {
        host: host.host.clone(),
        stored: if host.stored && !host.not_stored { Hop::Good } else { Hop::Bad },
        published: if gateway.ledger.is_some() { Hop::Good } else { Hop::Unknown },
        served,
    }
}
