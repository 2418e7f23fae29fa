//! Where a gateway's binding comes from: the configured files, or a cluster.
use super::Gateway;
use super::issuance::{Issuing, Stands};
use crate::binding::assemble::{self, Memory};
use crate::binding::{Binding, files};
use crate::finding::Finding;
use crate::observe::pods::Finder;
use crate::run::cluster::Cluster;
use certdrift_contract::UnixTime;
use std::sync::Arc;

/// Where a gateway's binding comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// The configured files; what is stored in them is told by who watches them.
    Files(files::Rules),
    /// A cluster.
    Cluster(Box<Clustered>),
}

/// A gateway in a cluster.
#[derive(Debug)]
pub(super) struct Clustered {
    cluster: Arc<Cluster>,
    rules: assemble::Rules,
    finder: Option<Finder>,
    /// None before the ledger of before is known.
    memory: Option<Memory>,
    /// When time alone changes something.
    changes_at: Option<UnixTime>,
    issuing: Issuing,
}

impl Clustered {
    pub(super) fn new(cluster: Arc<Cluster>, rules: assemble::Rules, finder: Option<Finder>) -> Self {
        Self { cluster, rules, finder, memory: None, changes_at: None, issuing: Issuing::default() }
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) fn issuing(&mut self) -> (&Cluster, &mut Issuing) {
        (&self.cluster, &mut self.issuing)
    }

    /// How its pods are found.
    pub(super) fn finder(&self) -> Option<&Finder> {
        self.finder.as_ref()
    }
}

impl Gateway {
    /// The cluster it is in.
    pub(in crate::run) fn cluster(&self) -> Option<&Arc<Cluster>> {
        match &self.origin {
            Origin::Files(_) => None,
            Origin::Cluster(of) => Some(&of.cluster),
        }
    }

    /// What is wrong with how its certificates are issued.
    pub(super) fn findings_of_issuance(&self) -> &[Finding] {
        match &self.origin {
            Origin::Files(_) => &[],
            Origin::Cluster(of) => of.issuing.findings(),
        }
    }

    /// How the issuance of a source stands.
    pub(in crate::run) fn issuance_of(&self, source: &str) -> Stands {
        match &self.origin {
            Origin::Files(_) => Stands::default(),
            Origin::Cluster(of) => of.issuing.of(source),
        }
    }

    /// The ledger of before is known from here on.
    pub(super) fn remembers(&mut self) {
        if let Origin::Cluster(of) = &mut self.origin {
            of.memory = Some(Memory::of(self.publisher.ledger().map(AsRef::as_ref), &of.rules));
        }
    }

    /// What is bound now; `None` as long as too little is known.
    pub(super) fn bind(&mut self, now: UnixTime) -> Option<Binding> {
        match &mut self.origin {
            Origin::Files(rules) => {
                let inventory = self.inventory.as_ref()?;
                Some(files::bind(inventory, rules, self.publisher.ledger().map(AsRef::as_ref), now))
            }
            Origin::Cluster(of) => {
                let memory = of.memory.as_mut()?;
                let watches = &of.cluster.watches;
                // On the way to the first complete view nothing is to be told; unless something stands in that way, which
                // has to be, and what was published before has to be served meanwhile.
                if !watches.is_complete() && watches.findings().is_empty() {
                    return None;
                }
                let assembled = watches.assemble(&of.rules, memory, now);
                of.changes_at = assembled.inventory.changes_at;
                of.issuing.secrets = assembled.secrets;
                of.issuing.stale = true;
                self.stored(Arc::new(assembled.inventory));
                Some(assembled.binding)
            }
        }
    }

    /// Whether time alone has changed what is bound.
    pub(super) fn is_overdue(&self, now: UnixTime) -> bool {
        match &self.origin {
            Origin::Files(_) => false,
            Origin::Cluster(of) => of.changes_at.is_some_and(|at| at <= now),
        }
    }

    /// Looks again at what is bound at this time, at the latest.
    pub(super) fn look_again(&mut self, at: UnixTime) {
        if let Origin::Cluster(of) = &mut self.origin {
            of.changes_at = Some(of.changes_at.map_or(at, |before| before.min(at)));
        }
    }
}
