//! What is expected, as the observer asks for it: the ledger's index, the hosts in order, and which of them changed.
use super::verifier::Offer;
use crate::source::KeyFamily;
use certdrift_contract::index::{DEFAULT, Found, Index};
use certdrift_contract::json::ParseError;
use certdrift_contract::ledger::Part;
use certdrift_contract::verdict::Expecting;
use certdrift_contract::{Fingerprint, Ledger, Revision};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hosts, shared by all endpoints of a gateway.
pub type Hosts = Arc<[Arc<str>]>;

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
    index: Mutex<Index<()>>,
    families: HashMap<Fingerprint, KeyFamily>,
    digests: HashMap<Arc<str>, u64>,
}

impl Expectations {
    /// From a ledger (with all parts), what is known of the families of its certificates, and what was before.
    ///
    /// # Errors
    /// The ledger is not whole.
    pub fn new(
        ledger: Ledger,
        parts: Vec<Part>,
        families: HashMap<Fingerprint, KeyFamily>,
        before: Option<&Self>,
    ) -> Result<Self, ParseError> {
        let index = Index::<()>::new(ledger, parts)?;
        let digests: HashMap<Arc<str>, u64> =
            index.iter().map(|(host, expecting, ())| (Arc::from(host), digest(&expecting))).collect();
        let hosts: Hosts = index.iter().map(|(host, ..)| Arc::from(host)).collect();
        let mut new = Self {
            revision: index.revision(),
            hosts,
            changed: Arc::from([]),
            generation: before.map_or(1, |b| b.generation.saturating_add(1)),
            index: Mutex::new(index),
            families,
            digests,
        };
        new.changed = match before {
            Some(before) => new.differing(before),
            None => Arc::clone(&new.hosts),
        };
        Ok(new)
    }

    /// Hosts whose expectation differs between two revisions.
    #[must_use]
    pub fn differing(&self, before: &Self) -> Hosts {
        let differs = |host: &&Arc<str>| before.digests.get(*host) != self.digests.get(*host);
        self.hosts.iter().filter(differs).cloned().collect()
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
        self.families.get(leaf).copied()
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

fn digest(expecting: &Expecting<'_>) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    for expected in expecting.current {
        (&expected.sha256, &expected.chain).hash(&mut hasher);
    }
    1u8.hash(&mut hasher);
    for expected in expecting.incoming {
        expected.sha256.hash(&mut hasher);
    }
    hasher.finish()
}
