//! Settled claims and what is stored, put together: the binding of a gateway in a cluster. Pure.
//!
//! One renewal changes what one Secret holds. So what the claims come to is kept as [`Groups`], one for each entry, with what
//! was made of it last: where the certificates are the very same, so is the entry.
use super::claims::{By, Won, some};
use super::findings as kinds;
use super::{Binding, Bound};
use crate::cluster::ObjectName;
use crate::finding::Finding;
use crate::source::inventory::Inventory;
use crate::source::names::covers;
use crate::source::{Certificate, Stored};
use certdrift_contract::HostPattern;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What one source has on its way, by the source's name.
pub type Incoming = BTreeMap<String, Vec<Arc<Certificate>>>;

/// The hosts that were won, by the entry they stand in; sorted by source.
#[derive(Clone, Debug, Default)]
pub struct Groups(Vec<Group>);

/// The hosts of one entry.
#[derive(Clone, Debug)]
struct Group {
    source: Arc<str>,
    /// Of its Secrets, where it is a pair; of one it is `source`.
    members: Box<[Arc<str>]>,
    by: Arc<By>,
    hosts: Box<[HostPattern]>,
    /// What was made of it last; none where the certificates did not fit any of its hosts.
    joined: Option<Joined>,
}

#[derive(Clone, Debug)]
struct Joined {
    bound: Arc<Bound>,
    not_covered: Option<Box<Finding>>,
}

impl Groups {
    /// The hosts of each entry.
    #[must_use]
    pub fn of(hosts: BTreeMap<HostPattern, Won>) -> Self {
        let mut words: BTreeSet<Arc<By>> = BTreeSet::new();
        let mut groups: BTreeMap<String, (Won, Vec<HostPattern>)> = BTreeMap::new();
        for (host, won) in hosts {
            groups.entry(source(&won.secrets)).or_insert_with(|| (won, Vec::new())).1.push(host);
        }
        let groups = groups.into_iter().map(|(source, (won, hosts))| {
            let members = match won.secrets.as_slice() {
                [_] => Box::default(),
                all => all.iter().map(|secret| secret.to_string().into()).collect(),
            };
            let by = words.get(&won.by).cloned().unwrap_or_else(|| Arc::new(won.by));
            words.insert(Arc::clone(&by));
            Group { source: source.into(), members, by, hosts: hosts.into(), joined: None }
        });
        Self(groups.collect())
    }

    /// The hosts of each source, and what gives them to it.
    pub fn each(&self) -> impl Iterator<Item = (&str, &By, &[HostPattern])> {
        self.0.iter().map(|group| (&*group.source, &*group.by, &*group.hosts))
    }
}

impl Group {
    fn members(&self) -> &[Arc<str>] {
        if self.members.is_empty() { std::slice::from_ref(&self.source) } else { &self.members }
    }

    fn gather<'a>(&self, from: impl Fn(&str) -> &'a [Arc<Certificate>]) -> Vec<Arc<Certificate>> {
        let mut all: Vec<Arc<Certificate>> =
            self.members().iter().flat_map(|m| from(m).iter().cloned()).collect();
        all.sort_by_key(|c| c.leaf);
        all.dedup_by_key(|c| c.leaf);
        all
    }

    /// What there is to say of hosts that the certificates do not name, and the entry with the others, where there are any.
    fn join(
        &self,
        certificates: Vec<Arc<Certificate>>,
        incoming: Vec<Arc<Certificate>>,
    ) -> (Option<Finding>, Option<Arc<Bound>>) {
        let fits = |host: &&HostPattern| certificates.iter().all(|c| covers(&c.names, host));
        let (covered, bare): (Vec<&HostPattern>, Vec<&HostPattern>) = self.hosts.iter().partition(fits);
        let not_covered = (!bare.is_empty()).then(|| {
            let why = format!("Secret {} does not name {}", self.source, some(&bare));
            kinds::NOT_COVERED.on(self.by.to_string(), why)
        });
        let bound = (!covered.is_empty()).then(|| {
            let hosts = covered.into_iter().cloned().collect();
            Arc::new(Bound { source: Arc::clone(&self.source), hosts, certificates, incoming })
        });
        (not_covered, bound)
    }
}

/// Whether they are the very same.
fn same(a: &[Arc<Certificate>], b: &[Arc<Certificate>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// Binds what is stored to the hosts that were won. `default` is the Secret of the gateway's default certificate.
#[must_use]
pub fn join(
    groups: &mut Groups,
    default: Option<&ObjectName>,
    inventory: &Inventory,
    incoming: &Incoming,
) -> Binding {
    let mut out =
        Binding { held: inventory.held.clone(), complete: inventory.complete, ..Binding::default() };
    let stored: HashMap<&str, &Stored> = inventory.stored.iter().map(|s| (&*s.source, s)).collect();
    for group in &mut groups.0 {
        if !inventory.held.is_empty() && group.members().iter().any(|m| inventory.held.contains(&**m)) {
            out.held.insert(group.source.to_string());
        }
        let certificates =
            group.gather(|m| stored.get(m).map(|s| s.certificates.as_slice()).unwrap_or_default());
        if certificates.is_empty() {
            continue;
        }
        // Of one Secret the name is there already: it is kept once.
        if let (true, Some(known)) = (group.members.is_empty(), stored.get(&*group.source)) {
            group.source = Arc::clone(&known.source);
        }
        let incoming = group.gather(|m| incoming.get(m).map(Vec::as_slice).unwrap_or_default());
        let is_as_it_was = |kept: &Joined| {
            same(&kept.bound.certificates, &certificates) && same(&kept.bound.incoming, &incoming)
        };
        if !group.joined.as_ref().is_some_and(is_as_it_was) {
            let (not_covered, bound) = group.join(certificates, incoming);
            let Some(bound) = bound else {
                // A certificate that fits none of its hosts displaces nothing.
                group.joined = None;
                out.findings.extend(not_covered);
                out.held.insert(group.source.to_string());
                continue;
            };
            group.joined = Some(Joined { bound, not_covered: not_covered.map(Box::new) });
        }
        if let Some(Joined { bound, not_covered }) = &group.joined {
            out.findings.extend(not_covered.as_deref().cloned());
            out.entries.push(Arc::clone(bound));
        }
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
