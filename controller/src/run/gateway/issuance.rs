//! How the certificates behind this gateway are issued and stored, and what of all findings is told as Events.
use super::origin::Origin;
use super::{Effect, Gateway};
use crate::cluster::Names;
use crate::converge::Millis;
use crate::diagnose::Hop;
use crate::finding::Severity;
use crate::issuance::follow::{Issuance, Memory};
use crate::issuance::not_stored::Suspects;
use certdrift_contract::UnixTime;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds after which it is asked again who may not store a certificate: cert-manager itself tries every 30.
const ASKED_AGAIN: i64 = 30;
/// So many findings of a gateway are told as Events, the worst of them.
const MOST_EVENTS: usize = 200;

/// How the issuance of a source stands.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::run) struct Stands {
    /// A Certificate is known that is stored there.
    pub(in crate::run) watched: bool,
    /// The hop at which it does not go on.
    pub(in crate::run) broken: Option<Hop>,
    /// It is signed and not stored.
    pub(in crate::run) not_stored: bool,
}

/// What is known of how a gateway's certificates are issued.
#[derive(Debug, Default)]
pub(super) struct Issuing {
    /// The Secrets behind the gateway.
    pub(super) secrets: Names,
    /// Something has changed since it was looked at.
    pub(super) stale: bool,
    memory: Memory,
    /// By namespace, and when that was asked.
    suspects: BTreeMap<Box<str>, Suspects>,
    asked: BTreeMap<Box<str>, UnixTime>,
    seen: Issuance,
}

impl Issuing {
    /// How the issuance of a source stands, which is one Secret or a pair of them.
    pub(super) fn of(&self, source: &str) -> Stands {
        let members: Vec<_> = source.split('+').filter_map(crate::cluster::ObjectName::parse).collect();
        Stands {
            watched: members.iter().any(|secret| self.seen.watched.contains(secret)),
            broken: members.iter().filter_map(|secret| self.seen.broken.get(secret)).min().copied(),
            not_stored: members.iter().any(|secret| self.seen.not_stored.contains(secret)),
        }
    }

    /// What is wrong now.
    pub(super) fn findings(&self) -> &[crate::finding::Finding] {
        &self.seen.findings
    }
}

impl Gateway {
    /// Looks at how its certificates are issued, where something has changed or is due; once a second at most.
    pub(super) fn issuance(&mut self, now: Millis) -> Vec<Effect> {
        let now = now.seconds();
        let Origin::Cluster(of) = &mut self.origin else { return Vec::new() };
        let reviews = of.cluster().reviews();
        let mut looked = false;
        let (cluster, issuing) = of.issuing();
        let due = issuing.seen.changes_at.is_some_and(|at| at <= now);
        if issuing.stale || due {
            (issuing.stale, looked) = (false, true);
            issuing.seen =
                cluster.watches.issuance(&issuing.secrets, &issuing.suspects, &mut issuing.memory, now);
        }
        let mut effects = Vec::new();
        let namespaces: BTreeSet<&str> = issuing.seen.not_stored.iter().map(|s| &*s.namespace).collect();
        issuing.suspects.retain(|namespace, _| namespaces.contains(&**namespace));
        issuing.asked.retain(|namespace, _| namespaces.contains(&**namespace));
        for secret in issuing.seen.not_stored.iter().filter(|_| reviews) {
            let asked = issuing.asked.get(&secret.namespace);
            if asked.is_none_or(|at| now.since(*at) >= ASKED_AGAIN) {
                issuing.asked.insert(secret.namespace.clone(), now);
                effects.push(Effect::Review(secret.clone()));
            }
        }
        if looked {
            self.tell_new_findings();
        }
        effects
    }

    /// It was asked what cert-manager may do to Secrets of this namespace.
    pub fn reviewed(&mut self, namespace: Box<str>, suspects: Suspects) {
        if let Origin::Cluster(of) = &mut self.origin {
            let (_, issuing) = of.issuing();
            issuing.stale = true;
            issuing.suspects.insert(namespace, suspects);
        }
    }

    /// Hands on what is to be told as Events.
    pub(super) fn tell_events(&self) {
        let Some(cluster) = self.cluster() else { return };
        let mut told = Vec::new();
        let all = if self.leads { self.findings() } else { Vec::new() };
        for finding in all {
            if told.len() >= MOST_EVENTS || finding.severity == Severity::Info {
                break;
            }
            if let Some(on) = cluster.watches.regarding(&finding.object) {
                told.push((on, finding));
            }
        }
        // An alert of drift is on its pod, once for all hosts that have it there.
        let mut alerted = BTreeSet::new();
        for ((endpoint, _), finding) in self.alerts.iter().filter(|_| self.leads) {
            if alerted.insert((endpoint, &finding.code))
                && let Some(on) = cluster.watches.regarding(&format!("pod:{endpoint}"))
            {
                told.push((on, finding.clone()));
            }
        }
        // So is what a pod has loaded, or has not.
        for place in self.places.iter().filter(|_| self.leads) {
            let name = &place.endpoint.name;
            if let Some(finding) = self.own.get(&super::loading::configuration_of(name))
                && let Some(on) = cluster.watches.regarding(&format!("pod:{name}"))
            {
                told.push((on, finding.clone()));
            }
        }
        cluster.told.replace(&self.config.name, told);
    }
}
