//! What is expected, as the observer asks for it: the ledger's index, the hosts in order, and which of them changed.
use super::verifier::Offer;
use crate::publish::difference::{difference, entries};
use crate::source::KeyFamily;
use certdrift_contract::index::{DEFAULT, Found, Index};
use certdrift_contract::json::ParseError;
use certdrift_contract::verdict::Expecting;
use certdrift_contract::{Fingerprint, Ledger, Revision, UnixTime};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hosts, shared by all endpoints of a gateway.
pub type Hosts = Arc<[Arc<str>]>;

/// The key families of leaves, as far as they are known; sorted.
pub type Families = Arc<[(Fingerprint, KeyFamily)]>;

/// What is known of leaves, for [`Expectations::new`].
pub fn families(known: impl IntoIterator<Item = (Fingerprint, KeyFamily)>) -> Families {
    let mut known: Vec<_> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup_by_key(|(leaf, _)| *leaf);
    known.into()
}

/// One revision of a gateway's ledger, ready to be asked by any of its endpoints.
#[derive(Debug)]
pub struct Expectations {
    /// Of the ledger.
    pub revision: Revision,
    /// All hosts listed, sorted, the default entry last when there is one.
    pub hosts: Hosts,
    /// Those whose expectation differs from the revision before this.
    pub changed: Hosts,
    /// Rises by one with each; who skipped one finds the changes by comparing.
    pub generation: u64,
    ledger: Arc<Ledger>,
    index: Mutex<Index<()>>,
    families: Families,
}

impl Expectations {
    /// From a ledger with its entries, what is known of the families of its certificates, and what was before.
    ///
    /// # Errors
    /// The ledger is not whole.
    pub fn new(ledger: Arc<Ledger>, families: Families, before: Option<&Self>) -> Result<Self, ParseError> {
        let mut index = Index::<()>::new(Ledger::clone(&ledger), Vec::new())?;
        index.shrink();
        let listed = entries(&ledger).iter().flat_map(|entry| &entry.hosts);
        let mut hosts: Vec<Arc<str>> = listed.map(|host| Arc::clone(host.shared())).collect();
        hosts.sort_unstable();
        if ledger.default.as_ref().is_some_and(|default| !default.current.is_empty()) {
            hosts.push(DEFAULT.into());
        }
        let hosts: Hosts = hosts.into();
        let mut new = Self {
            revision: index.revision(),
            hosts,
            changed: Arc::from([]),
            generation: before.map_or(1, |b| b.generation.saturating_add(1)),
            ledger,
            index: Mutex::new(index),
            families,
        };
        new.changed = match before {
            Some(before) => new.differing(before),
            None => Arc::clone(&new.hosts),
        };
        Ok(new)
    }

    /// The ledger it is of.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Hosts whose expectation differs between two revisions.
    #[must_use]
    pub fn differing(&self, before: &Self) -> Hosts {
        let (changed, _) = difference(Some(&before.ledger), &self.ledger, seen_on_the_wire);
        changed.into_iter().map(|host| self.shared(host)).collect()
    }

    /// A listed host as it is kept already, so that it is kept once.
    fn shared(&self, host: &str) -> Arc<str> {
        let listed = match self.hosts.split_last() {
            Some((last, listed)) if **last == *DEFAULT => listed,
            _ => &self.hosts,
        };
        let at = listed.binary_search_by(|known| known.as_ref().cmp(host));
        at.ok().and_then(|at| listed.get(at)).map_or_else(|| Arc::from(host), Arc::clone)
    }

    /// Since when what is expected of a host is what it is; not known of the default certificate.
    #[must_use]
    pub fn since(&self, listed: &str) -> Option<UnixTime> {
        self.index().entry(listed).map(|entry| entry.since)
    }

    /// The leaves that are expected of a host, in the order in which a judgement lists them.
    #[must_use]
    pub fn current(&self, listed: &str) -> Vec<Fingerprint> {
        let mut index = self.index();
        find(&mut index, listed)
            .map(|found| found.expecting.current.iter().map(|e| e.sha256).collect())
            .unwrap_or_default()
    }

    /// Where what is expected of a host is from: `NAMESPACE/SECRET` in a cluster.
    #[must_use]
    pub fn source(&self, listed: &str) -> Option<String> {
        if listed == DEFAULT {
            return self.ledger.default.as_ref().map(|default| default.source.clone());
        }
        self.index().entry(listed).map(|entry| entry.source.clone())
    }

    /// The index, for as long as the answer is held.
    pub fn index(&self) -> MutexGuard<'_, Index<()>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the entry of a host knows a certificate: expects it, awaits it, or is done with it.
    #[must_use]
    pub fn knows(&self, listed: &str, leaf: &Fingerprint) -> bool {
        let mut index = self.index();
        find(&mut index, listed).is_some_and(|found| {
            let e = found.expecting;
            e.current.iter().chain(e.incoming).any(|c| c.sha256 == *leaf)
                || e.retiring.iter().any(|r| r.sha256 == *leaf)
        })
    }

    /// The family of a certificate that is expected, where it is known.
    #[must_use]
    pub fn family(&self, leaf: &Fingerprint) -> Option<KeyFamily> {
        let at = self.families.binary_search_by_key(leaf, |(known, _)| *known).ok()?;
        self.families.get(at).map(|(_, family)| *family)
    }

    /// One handshake per family expected: of a pair one each, since most servers show the ECDSA member to whoever can take it.
    #[must_use]
    pub fn offers(&self, listed: &str) -> Vec<Offer> {
        let mut index = self.index();
        let Some(found) = find(&mut index, listed) else { return vec![Offer::Any] };
        let current: Vec<Fingerprint> = found.expecting.current.iter().map(|e| e.sha256).collect();
        let mut known: Vec<KeyFamily> = current.iter().filter_map(|leaf| self.family(leaf)).collect();
        known.sort_unstable();
        known.dedup();
        match (current.len(), known.len()) {
            (0, _) => vec![Offer::Any],
            (n, k) if n == k => known.into_iter().map(Offer::Only).collect(),
            (1, _) => vec![Offer::Any],
            // A pair of which we know no families: what a pair is.
            _ => vec![Offer::Only(KeyFamily::Ecdsa), Offer::Only(KeyFamily::Rsa)],
        }
    }
}

/// The entry of a host as the ledger lists it (a wildcard finds itself).
pub(super) fn find<'i>(index: &'i mut Index<()>, listed: &str) -> Option<Found<'i, ()>> {
    if listed == DEFAULT {
        return index.default_entry();
    }
    // A wildcard is no name: any name under it finds the same entry.
    match super::handshake::sni_for(listed) {
        (Some(name), true) => index.find(name.as_bytes()),
        _ => index.find(listed.as_bytes()),
    }
}

/// What of an expectation a look at the wire depends on.
type OnTheWire<'a> = (Vec<(&'a Fingerprint, &'a [Fingerprint])>, Vec<&'a Fingerprint>);

fn seen_on_the_wire(expecting: Expecting<'_>) -> OnTheWire<'_> {
    let current = expecting.current.iter().map(|e| (&e.sha256, e.chain.as_slice()));
    (current.collect(), expecting.incoming.iter().map(|e| &e.sha256).collect())
}
