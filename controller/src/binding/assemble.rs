//! A gateway's binding from all that is known of a cluster: claims of every kind, settled, joined with what is stored. Pure.
use super::annotation::{self, Claimant, Extent};
use super::claims::settle;
use super::cluster::{join, source};
use super::sight::Sight;
use super::{Binding, gateway_api, kong_ingress};
use crate::cluster::ObjectName;
use crate::cluster::ingress::{Ingress, IngressClass};
use crate::source::inventory::Inventory;
use crate::source::kubernetes::requests::Issued;
use crate::source::kubernetes::secret::{Secret, Selection};
use crate::source::kubernetes::{inventory, requests};
use certdrift_contract::ledger::Content;
use certdrift_contract::{HostPattern, Ledger, UnixTime};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// By which rules a gateway's hosts get their Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ingresses, by the rules of Kong's ingress controller.
    pub kong_ingress: Option<kong_ingress::Rules>,
    /// Listeners of Gateway API.
    pub gateway_api: Option<gateway_api::Rules>,
    /// Secrets that speak for themselves.
    pub own: Option<Extent>,
    /// The Secret of the gateway's default certificate.
    pub default: Option<ObjectName>,
    /// Whose wildcard rules hold.
    pub matching: Option<certdrift_contract::Rules>,
}

/// What is known of the Secrets.
pub enum Secrets<'a> {
    /// They may be read.
    Read {
        /// All of them, by name.
        all: BTreeMap<&'a ObjectName, &'a Secret>,
        /// Which ones the ingress controller reads.
        selection: &'a Selection,
    },
    /// They may not: requests tell.
    Keyless,
}

/// All that is known of a cluster, for one gateway.
pub struct Cluster<'a> {
    /// Ingresses and their classes.
    pub ingresses: Vec<&'a Ingress>,
    /// IngressClasses.
    pub classes: Vec<&'a IngressClass>,
    /// Objects of Gateway API.
    pub gateway_api: gateway_api::Objects<'a>,
    /// Secrets.
    pub secrets: Secrets<'a>,
    /// Certificates and their requests; empty where cert-manager is not installed.
    pub issued: Issued<'a>,
    /// Whether all of it was seen.
    pub complete: bool,
}

/// What is remembered of one gateway between two bindings.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    secrets: inventory::Memory,
    requests: requests::Memory,
    /// Who has each host.
    holds: BTreeMap<HostPattern, String>,
}

impl Memory {
    /// Takes up what the ledger of before says of who has which host, where the rules ask for that.
    #[must_use]
    pub fn of(ledger: Option<&Ledger>, rules: &Rules) -> Self {
        let entries = match ledger.filter(|_| rules.own.is_some()).map(|l| &l.content) {
            Some(Content::Entries(entries)) => entries.as_slice(),
            _ => &[],
        };
        let holds = entries.iter().flat_map(|e| e.hosts.iter().map(|h| (h.clone(), e.source.clone())));
        Self { holds: holds.collect(), ..Self::default() }
    }
}

/// A binding, and what it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembled {
    /// Hosts and their certificates.
    pub binding: Binding,
    /// What the bound Secrets hold.
    pub inventory: Inventory,
    /// Hosts whose TLS the gateway does not end.
    pub passthrough: BTreeSet<HostPattern>,
    /// The Secrets that are bound, or would be if they were there; empty where cert-manager issues none of them.
    pub secrets: BTreeSet<ObjectName>,
}

/// Binds what a cluster holds to a gateway's hosts.
#[must_use]
pub fn assemble(cluster: &Cluster<'_>, rules: &Rules, memory: &mut Memory, now: UnixTime) -> Assembled {
    let kept = &memory.secrets;
    let missing = RefCell::new(BTreeSet::new());
    let look = |name: &ObjectName| match &cluster.secrets {
        Secrets::Keyless => Sight::There,
        Secrets::Read { all, selection } => match all.get(name) {
            Some(secret) if selection.ingests(secret) => Sight::There,
            Some(_) => Sight::NotIngested,
            // One that was not seen yet is not missing, and one that has just gone is still expected.
            None if !cluster.complete || kept.still(name, now) => Sight::There,
            None => {
                missing.borrow_mut().insert(name.clone());
                Sight::Missing
            }
        },
    };
    let mut all = Vec::new();
    if let Some(rules) = &rules.kong_ingress {
        all.push(kong_ingress::claims(&cluster.ingresses, &cluster.classes, rules, &look));
    }
    if let Some(rules) = &rules.gateway_api {
        all.push(gateway_api::claims(&cluster.gateway_api, rules, &look));
    }
    if let Some(extent) = rules.own {
        let holds = |host: &HostPattern, secret: &ObjectName| {
            memory.holds.get(host).is_some_and(|held| *held == secret.to_string())
        };
        all.push(annotation::claims(&claimants(&cluster.secrets, extent, now), extent, &holds));
    }
    let mut out = Assembled::default();
    let mut findings = Vec::new();
    let mut list = Vec::new();
    for claims in all {
        out.passthrough.extend(claims.passthrough);
        findings.extend(claims.findings);
        list.extend(claims.list);
    }
    let settled = settle(list, rules.matching.unwrap_or(certdrift_contract::Rules::Kong));
    let missing = missing.into_inner();
    let bound: BTreeSet<ObjectName> = settled
        .hosts
        .values()
        .flat_map(|won| won.secrets.iter().cloned())
        .chain(rules.default.clone())
        .collect();
    out.inventory = match &cluster.secrets {
        Secrets::Read { all, .. } => {
            memory.secrets.feed(&bound, |name| all.get(name).copied(), cluster.complete, now)
        }
        Secrets::Keyless => memory.requests.feed(&bound, &cluster.issued, cluster.complete, now),
    };
    // Only what speaks for itself asks who has a host already.
    if cluster.complete && rules.own.is_some() {
        let holds = settled.hosts.iter().map(|(host, won)| (host.clone(), source(&won.secrets)));
        memory.holds = holds.collect();
    }
    out.binding = join(settled, rules.default.as_ref(), &out.inventory, &cluster.issued.incoming(now));
    if cluster.complete {
        out.binding.findings.extend(findings);
    } else {
        // Not all was seen: who seems to win or to be missing may not.
        out.binding.findings.clear();
    }
    out.binding.findings.sort_by(|a, b| (&a.object, &a.code, &a.why).cmp(&(&b.object, &b.code, &b.why)));
    out.binding.findings.dedup();
    if cluster.issued.certificates().next().is_some() {
        out.secrets = bound;
        out.secrets.extend(missing);
    }
    out
}

fn claimants(secrets: &Secrets<'_>, extent: Extent, now: UnixTime) -> Vec<Claimant> {
    let Secrets::Read { all, .. } = secrets else { return Vec::new() };
    all.values()
        .filter_map(|secret| {
            let hosts = secret.hosts.as_deref().map(str::to_owned);
            let names = match &secret.reading.certificate {
                // An expired one claims nothing by its names.
                Some(c) if hosts.is_none() && extent == Extent::Any && now < c.not_after => c.names.clone(),
                _ => Vec::new(),
            };
            (hosts.is_some() || !names.is_empty()).then(|| Claimant {
                secret: secret.name.clone(),
                created: secret.created,
                hosts,
                names,
            })
        })
        .collect()
}
