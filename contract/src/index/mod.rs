//! A ledger made ready to be asked: which entry answers for a host, and to whom a fingerprint belongs.
//!
//! Each listed host also carries a state of the reader's own (`S`: what was seen of it), which outlives a change of
//! the ledger as long as the host stays listed. So memory is bounded by the ledger, whatever names strangers send,
//! and a change of one part costs what that part holds.
use crate::host::{MAX_NAME, normalize};
use crate::json::ParseError;
use crate::ledger::{Content, Entry, Expectation, Ledger, Part, PartRef};
use crate::verdict::{Expecting, Known};
use crate::{Fingerprint, Revision, Rules, UnixTime};

use std::sync::Arc;

mod slab;
mod sort;
mod table;

use slab::Slab;
use sort::shell_sort;
use table::{Table, hash};

/// How the gateway's default certificate is called where hosts are listed.
pub const DEFAULT: &str = "default";

/// A ledger in use, whole: an index with one of its parts missing never becomes one.
#[derive(Debug)]
pub struct Index<S> {
    gateway: String,
    rules: Rules,
    revision: Revision,
    published_at: UnixTime,
    parts: Vec<PartRef>,
    default: Option<Expectation>,
    default_state: S,
    slots: Slab<Arc<Entry>>,
    /// Which slots each part fills; a whole ledger is one part without a name.
    filled: Vec<(String, Vec<usize>)>,
    listed: Slab<Listed<S>>,
    /// Finds in `listed`, by host.
    hosts: Table,
    known: Slab<(Fingerprint, usize)>,
    /// Finds in `known`, by fingerprint.
    prints: Table,
}

/// A listed host: its entry, its position among that entry's hosts, its state.
#[derive(Debug)]
struct Listed<S> {
    slot: usize,
    position: usize,
    state: S,
}

/// The entries of a part, and its name.
type Named = (String, Vec<Arc<Entry>>);

/// What answers for a host.
#[derive(Debug)]
pub struct Found<'a, S> {
    /// The host as listed; [`DEFAULT`] for the gateway's default certificate.
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
    /// A part is missing, surplus, or of another gateway; a host stands twice.
    pub fn new(ledger: Ledger, parts: Vec<Part>) -> Result<Self, ParseError> {
        let mut index = Self {
            gateway: ledger.gateway.clone(),
            rules: ledger.rules,
            revision: ledger.revision,
            published_at: ledger.published_at,
            parts: Vec::new(),
            default: None,
            default_state: S::default(),
            slots: Slab::default(),
            filled: Vec::new(),
            listed: Slab::default(),
            hosts: Table::default(),
            known: Slab::default(),
            prints: Table::default(),
        };
        index.update(ledger, parts)?;
        Ok(index)
    }

    /// Takes over another ledger; `parts` are those whose digest changed (all, where the old ledger had none).
    /// States of hosts that stay are kept. On an error nothing has changed.
    ///
    /// # Errors
    /// As [`Index::new`].
    pub fn update(&mut self, ledger: Ledger, parts: Vec<Part>) -> Result<(), ParseError> {
        let gateway = &ledger.gateway;
        if let Some(part) = parts.iter().find(|part| part.gateway != *gateway) {
            return Err(at(format!("the part {} is of the gateway {}", part.name, part.gateway)));
        }
        let (refs, parts) = match ledger.content {
            Content::Entries(_) if !parts.is_empty() => {
                return Err(at("a ledger with entries has no parts".to_owned()));
            }
            Content::Entries(entries) => (Vec::new(), vec![(String::new(), entries)]),
            Content::Parts(refs) => {
                let parts = self.changed(&refs, parts)?;
                (refs, parts)
            }
        };
        let mut leaving = vec![false; self.slots.places()];
        for (_, slots) in self.filled.iter().filter(|(name, _)| !same(&self.parts, &refs, name)) {
            for slot in slots {
                if let Some(leaves) = leaving.get_mut(*slot) {
                    *leaves = true;
                }
            }
        }
        self.check_hosts(&parts, &leaving)?;
        self.filled.retain(|(name, _)| same(&self.parts, &refs, name));
        self.swap(parts, &leaving);
        if self.default.as_ref().map(|d| &d.source) != ledger.default.as_ref().map(|d| &d.source) {
            self.default_state = S::default();
        }
        self.gateway = ledger.gateway;
        self.rules = ledger.rules;
        self.revision = ledger.revision;
        self.published_at = ledger.published_at;
        self.parts = refs;
        self.default = ledger.default;
        Ok(())
    }

    /// The parts that are new or changed, by name. Each must be there, and no other.
    fn changed(&self, refs: &[PartRef], parts: Vec<Part>) -> Result<Vec<Named>, ParseError> {
        let mut needed: Vec<&str> = Vec::new();
        for (position, part) in refs.iter().enumerate() {
            if refs.iter().take(position).any(|earlier| earlier.name == part.name) {
                return Err(at(format!("the part {} stands twice", part.name)));
            }
            if !same(&self.parts, refs, &part.name) {
                needed.push(&part.name);
            }
        }
        let mut changed = Vec::new();
        for part in parts {
            let Some(position) = needed.iter().position(|name| *name == part.name) else {
                return Err(at(format!("the part {} is not needed", part.name)));
            };
            needed.swap_remove(position);
            changed.push((part.name, part.entries));
        }
        match needed.first() {
            Some(name) => Err(at(format!("the part {name} is missing"))),
            None => Ok(changed),
        }
    }

    /// A host stands in one entry only, once.
    fn check_hosts(&self, parts: &[Named], leaving: &[bool]) -> Result<(), ParseError> {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        let mut table = Table::default();
        for entry in parts.iter().flat_map(|(_, entries)| entries) {
            for host in &entry.hosts {
                let host = host.as_str();
                let kept = self.place(host).and_then(|at| self.listed.get(at)).map(|listed| listed.slot);
                let kept = kept.filter(|slot| !leaving.get(*slot).copied().unwrap_or(false));
                let kept = kept.and_then(|slot| self.slots.get(slot)).map(|e| e.source.as_str());
                let twice =
                    table.find(hash(host.as_bytes()), &mut |at| seen.get(at).is_some_and(|s| s.0 == host));
                let twice = twice.and_then(|at| seen.get(at)).map(|(_, source)| *source);
                if let Some(other) = kept.or(twice) {
                    return Err(at(format!("the host {host} stands twice: {other} and {}", entry.source)));
                }
                table.put(hash(host.as_bytes()), seen.len(), &|at| {
                    seen.get(at).map_or(0, |s| hash(s.0.as_bytes()))
                });
                seen.push((host, &entry.source));
            }
        }
        Ok(())
    }

    /// Takes the new entries in and the leaving ones out; hosts in both keep their states.
    fn swap(&mut self, parts: Vec<Named>, leaving: &[bool]) {
        for (name, entries) in parts {
            let filled = entries.into_iter().map(|entry| self.put(entry)).collect();
            self.filled.push((name, filled));
        }
        for (slot, _) in leaving.iter().enumerate().filter(|(_, leaves)| **leaves) {
            for position in 0.. {
                let host = self.slots.get(slot).and_then(|entry| entry.hosts.get(position));
                let Some(host) = host.map(|host| host.as_str()) else { break };
                let gone = self
                    .place(host)
                    .filter(|at| self.listed.get(*at).is_some_and(|listed| listed.slot == slot));
                if let Some(at) = gone {
                    self.hosts.take(hash(host.as_bytes()), at);
                    self.listed.take(at);
                }
            }
            let Some(entry) = self.slots.take(slot) else { continue };
            for fingerprint in fingerprints(entry.expecting()) {
                let Some(at) = self.print(fingerprint) else { continue };
                let Some((_, count)) = self.known.get_mut(at) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.prints.take(hash(fingerprint.as_bytes()), at);
                    self.known.take(at);
                }
            }
        }
    }

    /// Puts one entry in; gives its slot. A host that is listed already, by an entry that leaves, keeps its state.
    fn put(&mut self, entry: Arc<Entry>) -> usize {
        for fingerprint in fingerprints(entry.expecting()) {
            let at = self.print(fingerprint);
            match at.and_then(|at| self.known.get_mut(at)) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => {
                    let at = self.known.put((*fingerprint, 1));
                    let known = &self.known;
                    let rehash = |at| known.get(at).map_or(0, |k| hash(k.0.as_bytes()));
                    self.prints.put(hash(fingerprint.as_bytes()), at, &rehash);
                }
            }
        }
        let slot = self.slots.put(entry);
        for position in 0.. {
            let host = self.slots.get(slot).and_then(|entry| entry.hosts.get(position));
            let Some((at, hash)) =
                host.map(|host| (self.place(host.as_str()), hash(host.as_str().as_bytes())))
            else {
                break;
            };
            match at.and_then(|at| self.listed.get_mut(at)) {
                Some(listed) => (listed.slot, listed.position) = (slot, position),
                None => {
                    let at = self.listed.put(Listed { slot, position, state: S::default() });
                    let (listed, slots) = (&self.listed, &self.slots);
                    self.hosts.put(hash, at, &|at| name(slots, listed.get(at)).map_or(0, hash_of));
                }
            }
        }
        slot
    }

    /// Where a host as listed is.
    fn place(&self, host: &str) -> Option<usize> {
        self.hosts.find(hash(host.as_bytes()), &mut |at| {
            name(&self.slots, self.listed.get(at)).is_some_and(|n| n == host)
        })
    }

    /// Where a fingerprint is.
    fn print(&self, fingerprint: &Fingerprint) -> Option<usize> {
        self.prints.find(hash(fingerprint.as_bytes()), &mut |at| {
            self.known.get(at).is_some_and(|known| known.0 == *fingerprint)
        })
    }

    /// The parts of the ledger in use, to compare with a newer index; empty when it was whole.
    #[must_use]
    pub fn parts(&self) -> &[PartRef] {
        &self.parts
    }

    /// Revision of the ledger in use.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// When the ledger in use was written.
    #[must_use]
    pub const fn published_at(&self) -> UnixTime {
        self.published_at
    }

    /// Name of the gateway.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Whose wildcard rules hold.
    #[must_use]
    pub const fn rules(&self) -> Rules {
        self.rules
    }

    /// Number of hosts listed (the default entry not counted).
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.listed.len()
    }

    /// The entry that lists this very host.
    #[must_use]
    pub fn entry(&self, listed: &str) -> Option<&Arc<Entry>> {
        self.slots.get(self.listed.get(self.place(listed)?)?.slot)
    }

    /// Gives back the room that growing took beforehand: for readers that build an index once and keep it.
    pub fn shrink(&mut self) {
        self.slots.shrink();
        self.listed.shrink();
        self.known.shrink();
    }

    /// What answers for a server name as a client sent it (any case, trailing dot): exact, wildcards, `*`.
    /// `None`: not listed, or no name at all. The default entry is not looked at. Allocates nothing.
    pub fn find(&mut self, sni: &[u8]) -> Option<Found<'_, S>> {
        let mut buffer = [0u8; MAX_NAME];
        let name = normalize(sni, &mut buffer).ok()?;
        let at = self.rules.find(name, |key| self.place(key))?;
        let Listed { slot, position, state } = self.listed.get_mut(at)?;
        let entry = self.slots.get(*slot)?;
        let listed = entry.hosts.get(*position)?.as_str();
        Some(Found { listed, expecting: entry.expecting(), state })
    }

    /// The gateway's default certificate, when the ledger expects one (its `current` is not empty).
    pub fn default_entry(&mut self) -> Option<Found<'_, S>> {
        let default = self.default.as_ref().filter(|default| !default.current.is_empty())?;
        Some(Found { listed: DEFAULT, expecting: default.expecting(), state: &mut self.default_state })
    }

    /// The default entry as the ledger has it.
    #[must_use]
    pub const fn default_expectation(&self) -> Option<&Expectation> {
        self.default.as_ref()
    }

    /// To whom a fingerprint belongs that the entry in question does not itself know.
    #[must_use]
    pub fn known(&self, fingerprint: &Fingerprint) -> Known {
        let default = self.default.as_ref();
        if default.is_some_and(|d| fingerprints(d.expecting()).any(|f| f == fingerprint)) {
            Known::Default
        } else if self.print(fingerprint).is_some() {
            Known::OtherEntry
        } else {
            Known::No
        }
    }

    /// All listed hosts in no order, with their states; the default entry, when expected, last.
    pub fn each(&self) -> impl Iterator<Item = (&str, Expecting<'_>, &S)> {
        let listed = self.listed.iter().filter_map(|listed| {
            let entry = self.slots.get(listed.slot)?;
            Some((entry.hosts.get(listed.position)?.as_str(), entry.expecting(), &listed.state))
        });
        let default = self.default.as_ref().filter(|default| !default.current.is_empty());
        listed.chain(default.map(|default| (DEFAULT, default.expecting(), &self.default_state)))
    }

    /// As [`Index::each`], sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Expecting<'_>, &S)> {
        let mut all: Vec<_> = self.each().take(self.listed.len()).collect();
        shell_sort(&mut all, &|a, b| a.0 > b.0);
        all.into_iter().chain(self.each().skip(self.listed.len()))
    }
}

/// The name of a listed host stands in its entry only.
fn name<'a, S>(slots: &'a Slab<Arc<Entry>>, listed: Option<&Listed<S>>) -> Option<&'a str> {
    let listed = listed?;
    Some(slots.get(listed.slot)?.hosts.get(listed.position)?.as_str())
}

fn hash_of(name: &str) -> u32 {
    hash(name.as_bytes())
}

fn at(what: String) -> ParseError {
    ParseError::at(String::new(), 0, what)
}

/// Whether a part is the same in both indexes.
fn same(old: &[PartRef], new: &[PartRef], name: &str) -> bool {
    let digest = |refs: &[PartRef]| refs.iter().find(|part| part.name == name).map(|part| part.sha256);
    digest(old).is_some_and(|sha256| digest(new) == Some(sha256))
}

fn fingerprints(expecting: Expecting<'_>) -> impl Iterator<Item = &Fingerprint> {
    let expected = expecting.current.iter().chain(expecting.incoming).map(|e| &e.sha256);
    expected.chain(expecting.retiring.iter().map(|r| &r.sha256))
}
