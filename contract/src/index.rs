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
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

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
    slots: Slab<Entry>,
    /// Which slots each part fills; a whole ledger is one part without a name.
    filled: HashMap<String, Vec<usize>, BuildHasherDefault<Fnv>>,
    states: Slab<S>,
    hosts: HashMap<Box<str>, Place, BuildHasherDefault<Fnv>>,
    /// In how many entries a fingerprint stands.
    known: HashMap<Fingerprint, usize, BuildHasherDefault<Fnv>>,
}

/// Where a listed host is: its entry, its position among that entry's hosts, its state.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: usize,
    position: usize,
    state: usize,
}

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
            filled: HashMap::default(),
            states: Slab::default(),
            hosts: HashMap::default(),
            known: HashMap::default(),
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
        let mut leaving = vec![false; self.slots.0.len()];
        for (_, slots) in self.filled.iter().filter(|(name, _)| !same(&self.parts, &refs, name)) {
            for slot in slots {
                if let Some(leaves) = leaving.get_mut(*slot) {
                    *leaves = true;
                }
            }
        }
        self.check_hosts(&parts, &leaving)?;
        self.filled.retain(|name, _| same(&self.parts, &refs, name));
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
    fn changed(&self, refs: &[PartRef], parts: Vec<Part>) -> Result<Vec<(String, Vec<Entry>)>, ParseError> {
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
    fn check_hosts(&self, parts: &[(String, Vec<Entry>)], leaving: &[bool]) -> Result<(), ParseError> {
        let mut seen: HashMap<&str, &str, BuildHasherDefault<Fnv>> = HashMap::default();
        for entry in parts.iter().flat_map(|(_, entries)| entries) {
            for host in &entry.hosts {
                let kept = self.hosts.get(host.as_str()).map(|h| h.slot);
                let kept = kept.filter(|slot| !leaving.get(*slot).copied().unwrap_or(false));
                let kept = kept.and_then(|slot| self.slots.get(slot)).map(|e| e.source.as_str());
                if let Some(other) = kept.or(seen.insert(host.as_str(), &entry.source)) {
                    return Err(at(format!("the host {host} stands twice: {other} and {}", entry.source)));
                }
            }
        }
        Ok(())
    }

    /// Takes the leaving entries out and the new ones in; hosts in both keep their states.
    fn swap(&mut self, parts: Vec<(String, Vec<Entry>)>, leaving: &[bool]) {
        let mut states: HashMap<Box<str>, usize, BuildHasherDefault<Fnv>> = HashMap::default();
        for (at, _) in leaving.iter().enumerate().filter(|(_, leaves)| **leaves) {
            let Some(entry) = self.slots.take(at) else { continue };
            for host in &entry.hosts {
                if let Some((name, place)) = self.hosts.remove_entry(host.as_str()) {
                    states.insert(name, place.state);
                }
            }
            for fingerprint in fingerprints(entry.expecting()) {
                if let Some(count) = self.known.get_mut(fingerprint) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.known.remove(fingerprint);
                    }
                }
            }
        }
        for (name, entries) in parts {
            let filled = entries.into_iter().map(|entry| self.put(entry, &mut states)).collect();
            self.filled.insert(name, filled);
        }
        for (_, state) in states {
            self.states.take(state);
        }
    }

    /// Puts one entry in; gives its slot.
    fn put(&mut self, entry: Entry, states: &mut HashMap<Box<str>, usize, BuildHasherDefault<Fnv>>) -> usize {
        for fingerprint in fingerprints(entry.expecting()) {
            let count = self.known.entry(*fingerprint).or_default();
            *count = count.saturating_add(1);
        }
        let slot = self.slots.put(entry);
        let hosts = self.slots.get(slot).map(|entry| entry.hosts.as_slice()).unwrap_or_default();
        for (position, host) in hosts.iter().enumerate() {
            let kept = states.remove_entry(host.as_str());
            let (name, state) = kept.unwrap_or_else(|| (host.as_str().into(), self.states.put(S::default())));
            self.hosts.insert(name, Place { slot, position, state });
        }
        slot
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
        self.hosts.len()
    }

    /// What answers for a server name as a client sent it (any case, trailing dot): exact, wildcards, `*`.
    /// `None`: not listed, or no name at all. The default entry is not looked at. Allocates nothing.
    pub fn find(&mut self, sni: &[u8]) -> Option<Found<'_, S>> {
        let mut buffer = [0u8; MAX_NAME];
        let name = normalize(sni, &mut buffer).ok()?;
        let place = self.rules.find(name, |key| self.hosts.get(key).copied())?;
        let entry = self.slots.get(place.slot)?;
        let listed = entry.hosts.get(place.position)?.as_str();
        Some(Found { listed, expecting: entry.expecting(), state: self.states.get_mut(place.state)? })
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
        } else if self.known.contains_key(fingerprint) {
            Known::OtherEntry
        } else {
            Known::No
        }
    }

    /// All listed hosts, sorted, with their states; the default entry, when expected, last.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Expecting<'_>, &S)> {
        let mut all: Vec<_> = self
            .hosts
            .iter()
            .filter_map(|(name, place)| {
                let entry = self.slots.get(place.slot)?;
                Some((&**name, entry.expecting(), self.states.get(place.state)?))
            })
            .collect();
        all.sort_unstable_by_key(|(name, ..)| *name);
        let default = self.default.as_ref().filter(|default| !default.current.is_empty());
        all.extend(default.map(|default| (DEFAULT, default.expecting(), &self.default_state)));
        all.into_iter()
    }
}

/// Values at places that stay the same while others come and go.
#[derive(Debug)]
struct Slab<T>(Vec<Option<T>>, Vec<usize>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Slab<T> {
    fn put(&mut self, value: T) -> usize {
        match self.1.pop().and_then(|at| Some((at, self.0.get_mut(at)?))) {
            Some((at, free)) => {
                *free = Some(value);
                at
            }
            None => {
                self.0.push(Some(value));
                self.0.len().saturating_sub(1)
            }
        }
    }

    fn take(&mut self, at: usize) -> Option<T> {
        let value = self.0.get_mut(at)?.take();
        if value.is_some() {
            self.1.push(at);
        }
        value
    }

    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)?.as_ref()
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at)?.as_mut()
    }
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

/// FNV-1a. The keys in the maps come from the ledger and strangers' names are only looked up, so nobody can make
/// the maps slow; and it is short.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
