//! How each hop of a host stands, and what its row comes to. Pure.
use crate::diagnose::{Cause, Hop as Way};
use crate::run::state::{Gateway, Host, Seen};
use serde::Serialize;

/// One row: a host's hops.
#[derive(Debug, Serialize)]
pub(super) struct Hops {
    pub(super) host: String,
    pub(super) issued: Hop,
    pub(super) stored: Hop,
    pub(super) bound: Hop,
    pub(super) loaded: Hop,
    pub(super) served: Hop,
}

/// How one hop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Hop {
    Good,
    Bad,
    Unknown,
    /// There is none: nobody tells certdrift of the issuance of a file.
    None,
}

/// What a host's row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    Good,
    Unknown,
    Stored,
    Issued,
    NotStored,
    Drift,
}

/// An edge counts for the verdict as any endpoint does: what clients get is what counts.
pub(super) fn grade(gateway: &Gateway, host: &Host) -> Grade {
    match hops(gateway, host) {
        Hops { served: Hop::Bad, .. } => Grade::Drift,
        Hops { stored: Hop::Bad, .. } if host.not_stored => Grade::NotStored,
        Hops { issued: Hop::Bad, .. } => Grade::Issued,
        Hops { stored: Hop::Bad, .. } => Grade::Stored,
        Hops { served: Hop::Unknown, .. } | Hops { bound: Hop::Unknown, .. } => Grade::Unknown,
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
    let stands_at = |hop: Way| host.broken == Some(hop);
    let good_unless = |bad: bool| if bad { Hop::Bad } else { Hop::Good };
    Hops {
        host: host.host.clone(),
        issued: if host.issuance_watched { good_unless(stands_at(Way::Issued)) } else { Hop::None },
        stored: good_unless(!host.stored || host.not_stored || stands_at(Way::Stored)),
        bound: if gateway.ledger.is_some() { Hop::Good } else { Hop::Unknown },
        loaded: loaded(host, served),
        served,
    }
}

/// What is served was loaded; what is not, may have been: the causes of the drifts say so.
fn loaded(host: &Host, served: Hop) -> Hop {
    if served != Hop::Bad {
        return served;
    }
    let causes = host.seen.iter().filter(|s| s.drifts()).map(|s| s.cause());
    let mut worst = Hop::Good;
    for cause in causes {
        match cause.map(|cause| (cause, cause.hop())) {
            Some((_, Way::Loaded)) => return Hop::Bad,
            None | Some((Cause::Unexplained | Cause::BehindGateway, _)) => worst = Hop::Unknown,
            Some(_) => {}
        }
    }
    worst
}
