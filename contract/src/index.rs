//! A ledger made ready to be asked: which entry answers for a host, and to whom a fingerprint belongs.
//!
//! Each listed host also carries a state of the reader's own (`S`: what was seen of it), which outlives a change of
//! the ledger as long as the host stays listed. So memory is bounded by the ledger, whatever names strangers send.
use crate::json::ParseError;
use crate::ledger::{Expectation, Ledger, Part, PartRef};
use crate::verdict::{Expecting, Known};
use crate::{Fingerprint, Revision, Rules};

/// A ledger in use, whole: an index with one of its parts missing never becomes one.
pub struct Index<S> {
    _state: std::marker::PhantomData<S>,
}

/// What answers for a host.
pub struct Found<'a, S> {
    /// The host as listed; `default` for the gateway's default certificate.
    pub listed: &'a str,
    /// What is expected of it.
    pub expecting: Expecting<'a>,
    /// The reader's own.
    pub state: &'a mut S,
}

impl<S: Default> Index<S> {
    /// From a ledger and, where that is an index, all its parts in any order.
    ///
    /// # Errors
    /// A part is missing, surplus, or of another gateway; a host stands in two entries.
    pub fn new(_ledger: Ledger, _parts: Vec<Part>) -> Result<Self, ParseError> {
        todo!("K")
    }

    /// Takes over a newer ledger; `parts` are those that changed (all, when the old ledger had none). States of hosts that stay are kept. On an error nothing has changed.
    ///
    /// # Errors
    /// As [`Index::new`].
    pub fn update(&mut self, _ledger: Ledger, _parts: Vec<Part>) -> Result<(), ParseError> {
        todo!("K")
    }

    /// The parts of the ledger in use, to compare with a newer index; empty when it was whole.
    pub fn parts(&self) -> &[PartRef] {
        todo!("K")
    }

    /// Revision of the ledger in use.
    pub fn revision(&self) -> Revision {
        todo!("K")
    }

    /// Name of the gateway.
    pub fn gateway(&self) -> &str {
        todo!("K")
    }

    /// Whose wildcard rules hold.
    pub fn rules(&self) -> Rules {
        todo!("K")
    }

    /// Number of hosts listed (the default entry not counted).
    pub fn hosts(&self) -> usize {
        todo!("K")
    }

    /// What answers for a server name as a client sent it (any case, trailing dot): exact, wildcards, `*`. `None`: not listed. The default entry is not looked at. Allocates nothing.
    pub fn find(&mut self, _sni: &[u8]) -> Option<Found<'_, S>> {
        todo!("K")
    }

    /// The gateway's default certificate, when the ledger expects one (its `current` is not empty).
    pub fn default_entry(&mut self) -> Option<Found<'_, S>> {
        todo!("K")
    }

    /// To whom a fingerprint belongs, seen from the entry that answers for `listed`.
    pub fn known(&self, _fingerprint: &Fingerprint, _listed: &str) -> Known {
        todo!("K")
    }

    /// All listed hosts, sorted, with their states; the default entry, when expected, last.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Expecting<'_>, &S)> {
        std::iter::empty()
    }

    /// The default entry as the ledger has it.
    pub fn default_expectation(&self) -> Option<&Expectation> {
        todo!("K")
    }
}
