//! A gateway's binding from all that is known of a cluster: claims of every kind, settled, joined with what is stored. Pure.
use super::annotation::{self, Claimant, Extent};
use super::claims::{By, settle};
use super::cluster::{Groups, join, source};
use super::sight::Sight;
use super::{Binding, gateway_api, kong_ingress};
use crate::cluster::ingress::{Ingress, IngressClass};
use crate::cluster::{Names, ObjectName};
use crate::finding::Finding;
use crate::source::inventory::Inventory;
use crate::source::kubernetes::requests::Issued;
use crate::source::kubernetes::secret::{Secret, Selection};
use crate::source::kubernetes::{inventory, requests};
use certdrift_contract::ledger::Content;
use certdrift_contract::{HostPattern, Ledger, UnixTime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// Another number when anything has changed that claims are made of: all of this but what is in the Secrets and what
    /// is issued. `None`: not known.
    pub shape: Option<u64>,
}

/// What is remembered of one gateway between two bindings.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    secrets: inventory::Memory,
    requests: requests::Memory,
    /// Who has each host.
    holds: BTreeMap<HostPattern, String>,
    claimed: Option<Claimed>,
}

/// What the claims came to.
#[derive(Clone, Debug)]
struct Claimed {
    /// Of the cluster whose claims they were.
    shape: Option<u64>,
    /// When time alone, or having won, may change one of them.
    until: Option<UnixTime>,
    groups: Groups,
    passthrough: BTreeSet<HostPattern>,
    findings: Vec<Finding>,
    /// The Secrets that are bound.
    bound: Names,
    /// With those that would be if they were there.
    wanted: Names,
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

    /// The hosts that were won in the last binding, whatever is stored for them: source, what gives them to it, hosts.
    pub fn claimed(&self) -> impl Iterator<Item = (&str, &By, &[HostPattern])> {
        self.claimed.iter().flat_map(|claimed| claimed.groups.each())
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
    pub secrets: Names,
}

/// Binds what a cluster holds to a gateway's hosts.
#[must_use]
pub fn assemble(cluster: &Cluster<'_>, rules: &Rules, memory: &mut Memory, now: UnixTime) -> Assembled {
    let kept = memory.claimed.take().filter(|kept| {
        let same = kept.shape.is_some() && kept.shape == cluster.shape && cluster.complete;
        same && kept.until.is_none_or(|until| now < until)
    });
    let mut claimed = kept.unwrap_or_else(|| claim(cluster, rules, memory, now));
    let inventory = match &cluster.secrets {
        Secrets::Read { all, .. } => memory.secrets.feed(&claimed.bound, all, cluster.complete, now),
        Secrets::Keyless => memory.requests.feed(&claimed.bound, &cluster.issued, cluster.complete, now),
    };
    let incoming = cluster.issued.incoming(now);
    let mut binding = join(&mut claimed.groups, rules.default.as_ref(), &inventory, &incoming);
    if cluster.complete {
        binding.findings.extend(claimed.findings.iter().cloned());
    } else {
        // Not all was seen: who seems to win or to be missing may not.
        binding.findings.clear();
    }
    binding.findings.sort_by(|a, b| (&a.object, &a.code, &a.why).cmp(&(&b.object, &b.code, &b.why)));
    binding.findings.dedup();
    let secrets = match cluster.issued.certificates().next() {
        Some(_) => Arc::clone(&claimed.wanted),
        None => Names::default(),
    };
    let passthrough = claimed.passthrough.clone();
    memory.claimed = Some(claimed);
    Assembled { binding, inventory, passthrough, secrets }
}

/// Hears all claims and settles them.
fn claim(cluster: &Cluster<'_>, rules: &Rules, memory: &mut Memory, now: UnixTime) -> Claimed {
    let kept = &memory.secrets;
    let missing = RefCell::new(BTreeSet::new());
    let until = Cell::new((!cluster.complete).then_some(now));
    let look = |name: &ObjectName| match &cluster.secrets {
        Secrets::Keyless => Sight::There,
        Secrets::Read { all, selection } => match all.get(name) {
            Some(secret) if selection.ingests(secret) => Sight::There,
            Some(_) => Sight::NotIngested,
            // One that was not seen yet is not missing, and one that has just gone is still expected.
            None if !cluster.complete || kept.still(name, now) => {
                until.set(Some(now));
                Sight::There
            }
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
        let (claimants, ends) = claimants(&cluster.secrets, extent, now);
        until.set(earlier(until.get(), ends));
        all.push(annotation::claims(&claimants, extent, &holds));
    }
    let (mut passthrough, mut findings, mut list) = (BTreeSet::new(), Vec::new(), Vec::new());
    for claims in all {
        passthrough.extend(claims.passthrough);
        findings.extend(claims.findings);
        list.extend(claims.list);
    }
    let settled = settle(list, rules.matching.unwrap_or(certdrift_contract::Rules::Kong));
    findings.extend(settled.findings);
    let bound: BTreeSet<ObjectName> = settled
        .hosts
        .values()
        .flat_map(|won| won.secrets.iter().cloned())
        .chain(rules.default.clone())
        .collect();
    // Only what speaks for itself asks who has a host already.
    if cluster.complete && rules.own.is_some() {
        let holds = settled.hosts.iter().map(|(host, won)| (host.clone(), source(&won.secrets))).collect();
        if std::mem::replace(&mut memory.holds, holds) != memory.holds {
            until.set(Some(now));
        }
    }
    let missing = missing.into_inner();
    let sorted = |names: BTreeSet<ObjectName>| -> Names { names.into_iter().collect() };
    let more = (!missing.is_empty()).then(|| sorted(bound.union(&missing).cloned().collect()));
    let bound = sorted(bound);
    let wanted = more.unwrap_or_else(|| Arc::clone(&bound));
    let (shape, until) = (cluster.shape, until.get());
    Claimed { shape, until, groups: Groups::of(settled.hosts), passthrough, findings, bound, wanted }
}

fn earlier(a: Option<UnixTime>, b: Option<UnixTime>) -> Option<UnixTime> {
    a.into_iter().chain(b).min()
}

/// The Secrets that speak for themselves, and when the first of them may speak otherwise by its names.
fn claimants(secrets: &Secrets<'_>, extent: Extent, now: UnixTime) -> (Vec<Claimant>, Option<UnixTime>) {
    let Secrets::Read { all, .. } = secrets else { return (Vec::new(), None) };
    let mut ends = None;
    let claimants = all.values().filter_map(|secret| {
        let hosts = secret.hosts.as_deref().map(str::to_owned);
        let names = match &secret.reading.certificate {
            Some(c) if hosts.is_none() && extent == Extent::Any => {
                // An expired one claims nothing by its names, until it is renewed.
                ends = earlier(ends, Some(c.not_after.max(now)));
                if now < c.not_after { c.names.clone() } else { Vec::new() }
            }
            _ => Vec::new(),
        };
        (hosts.is_some() || !names.is_empty()).then(|| Claimant {
            secret: secret.name.clone(),
            created: secret.created,
            hosts,
            names,
        })
    });
    (claimants.collect(), ends)
}
