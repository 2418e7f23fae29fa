//! Settled claims and what is stored, put together: the binding of a gateway in a cluster. Pure.
use super::claims::{Settled, Won, some};
use super::findings as kinds;
use super::{Binding, Bound};
use crate::cluster::ObjectName;
use crate::source::inventory::Inventory;
use crate::source::names::covers;
use crate::source::{Certificate, Stored};
use certdrift_contract::HostPattern;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What one source has on its way, by the source's name.
pub type Incoming = BTreeMap<String, Vec<Arc<Certificate>>>;

/// Binds what is stored to the hosts that were won. `default` is the Secret of the gateway's default certificate.
#[must_use]
pub fn join(
    settled: Settled,
    default: Option<&ObjectName>,
    inventory: &Inventory,
    incoming: &Incoming,
) -> Binding {
    let mut out = Binding {
        held: inventory.held.clone(),
        complete: inventory.complete,
        findings: settled.findings,
        ..Binding::default()
    };
    let stored: HashMap<&str, &Stored> = inventory.stored.iter().map(|s| (&*s.source, s)).collect();
    let mut entries: BTreeMap<String, (Won, Vec<HostPattern>)> = BTreeMap::new();
    for (host, won) in settled.hosts {
        entries.entry(source(&won.secrets)).or_insert_with(|| (won, Vec::new())).1.push(host);
    }
    for (source, (won, hosts)) in entries {
        let members: Vec<String> = won.secrets.iter().map(ToString::to_string).collect();
        let gather = |from: &dyn Fn(&str) -> Vec<Arc<Certificate>>| {
            let mut all: Vec<Arc<Certificate>> = members.iter().flat_map(|m| from(m)).collect();
            all.sort_by_key(|c| c.leaf);
            all.dedup_by_key(|c| c.leaf);
            all
        };
        if members.iter().any(|m| inventory.held.contains(m)) {
            out.held.insert(source.clone());
        }
        let certificates = gather(&|m| stored.get(m).map(|s| s.certificates.clone()).unwrap_or_default());
        if certificates.is_empty() {
            continue;
        }
        let (covered, bare): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|host| certificates.iter().all(|c| covers(&c.names, host)));
        if !bare.is_empty() {
            out.findings.push(
                kinds::NOT_COVERED
                    .on(won.by.to_string(), format!("Secret {source} does not name {}", some(&bare))),
            );
        }
        if covered.is_empty() {
            // A certificate that fits none of its hosts displaces nothing.
            out.held.insert(source);
            continue;
        }
        let incoming = gather(&|m| incoming.get(m).cloned().unwrap_or_default());
        out.entries.push(Bound { source: source.into(), hosts: covered, certificates, incoming });
    }
    if let Some(name) = default {
        let source = name.to_string();
        match stored.get(source.as_str()) {
            Some(stored) => {
                let certificates = stored.certificates.clone();
                let incoming = incoming.get(&source).cloned().unwrap_or_default();
                let source = Arc::clone(&stored.source);
                out.default = Some(Bound { source, hosts: Vec::new(), certificates, incoming });
            }
            None if inventory.complete && !inventory.held.contains(&source) => {
                let why = "it is configured as the gateway's default certificate";
                out.findings.push(kinds::SECRET_MISSING.on(format!("Secret {source}"), why));
            }
            None => {}
        }
    }
    out
}

/// The name of an entry: that of its Secret, or of both of a pair.
#[must_use]
pub fn source(secrets: &[ObjectName]) -> String {
    secrets.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
}
