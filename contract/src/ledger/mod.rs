//! The ledger: all that is expected of one gateway, with a revision.
//!
//! ```json
//! {"schema": "certdrift.dev/ledger/v1", "gateway": "kong", "match": "kong", "revision": 1795478400,
//!  "published_at": "2026-11-24T00:00:00Z", "entries": [ … ] or "parts": [ … ], "default": { … }}
//! ```
mod read;
#[cfg(feature = "serde")]
pub(crate) mod write;

use crate::verdict::Expecting;
use crate::{Fingerprint, HostPattern, Rules, UnixTime};
use std::sync::Arc;

/// At most so many predecessors are kept per entry, newest first.
pub const MAX_RETIRING: usize = 8;
/// At most so many parts does one index have.
pub const MAX_PARTS: usize = 256;
/// A ledger whose JSON is longer than this becomes an index with parts.
pub const SPLIT_ABOVE: usize = 100 * 1024;
/// A revision this many seconds ahead of the reader's clock is refused.
pub const MAX_AHEAD: i64 = 86_400;

/// Rises whenever the content changes, and is never lower than the clock's seconds at that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revision(pub u64);

/// All that is expected of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Name of the gateway.
    pub gateway: String,
    /// Whose wildcard rules hold (`match`).
    pub rules: Rules,
    /// See [`Revision`].
    pub revision: Revision,
    /// When this revision was written.
    pub published_at: UnixTime,
    /// The entries, or the parts that hold them.
    pub content: Content,
    /// The gateway's default certificate, served where no host matches.
    pub default: Option<Expectation>,
}

/// The entries themselves, or an index of the parts that hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sorted by source. Shared, since a revision has nearly all of them from the one before.
    Entries(Vec<Arc<Entry>>),
    /// Sorted by name.
    Parts(Vec<PartRef>),
}

/// One member of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartRef {
    /// 1 to 8 characters of `a-z0-9`.
    pub name: String,
    /// SHA-256 of the part's bytes.
    pub sha256: Fingerprint,
}

/// One part of a ledger: `{"schema": "certdrift.dev/ledger-part/v1", "gateway": "kong", "name": "03", "entries": […]}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of the gateway.
    pub gateway: String,
    /// As in the index.
    pub name: String,
    /// Sorted by source.
    pub entries: Vec<Arc<Entry>>,
}

/// What one source (a Secret, a file) lets a gateway serve, and for which hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// `NAMESPACE/SECRET`, or `file:PATH`.
    pub source: String,
    /// Sorted; a host stands in one entry only.
    pub hosts: Vec<HostPattern>,
    /// Since when `current` is what it is.
    pub since: UnixTime,
    /// Expected now; two members for an RSA + ECDSA pair.
    pub current: Vec<Expected>,
    /// Issued, on its way.
    #[cfg_attr(feature = "serde", serde(default))]
    pub incoming: Vec<Expected>,
    /// Predecessors, newest first, at most [`MAX_RETIRING`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub retiring: Vec<Retiring>,
}

/// The gateway's default certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// As in [`Entry`].
    pub source: String,
    /// As in [`Entry`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub current: Vec<Expected>,
    /// As in [`Entry`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub incoming: Vec<Expected>,
    /// As in [`Entry`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub retiring: Vec<Retiring>,
}

/// A certificate that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expected {
    /// Of the leaf.
    pub sha256: Fingerprint,
    /// Of the intermediates, in order.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub chain: Vec<Fingerprint>,
    /// End of validity.
    pub not_after: UnixTime,
}

/// A predecessor: accepted on connections that began before `until`; later it is what drift of class `previous` serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Retiring {
    /// Of the leaf.
    pub sha256: Fingerprint,
    /// End of its grace.
    pub until: UnixTime,
}

impl PartRef {
    /// Whether these bytes are the part that the index means.
    #[must_use]
    pub fn is(&self, bytes: &[u8]) -> bool {
        Fingerprint::of(bytes) == self.sha256
    }
}

impl Content {
    /// Of a whole ledger.
    #[must_use]
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self::Entries(entries.into_iter().map(Arc::new).collect())
    }
}

impl Entry {
    /// What is expected, as the verdict takes it.
    #[must_use]
    pub fn expecting(&self) -> Expecting<'_> {
        Expecting { current: &self.current, incoming: &self.incoming, retiring: &self.retiring }
    }
}

impl Expectation {
    /// What is expected, as the verdict takes it.
    #[must_use]
    pub fn expecting(&self) -> Expecting<'_> {
        Expecting { current: &self.current, incoming: &self.incoming, retiring: &self.retiring }
    }
}

impl Ledger {
    /// Puts entries, hosts and parts into the order in which they are written.
    pub fn sort(&mut self) {
        match &mut self.content {
            Content::Entries(entries) => sort(entries),
            Content::Parts(parts) => parts.sort_by(|a, b| a.name.cmp(&b.name)),
        }
    }
}

impl Part {
    /// Puts entries and hosts into the order in which they are written.
    pub fn sort(&mut self) {
        sort(&mut self.entries);
    }
}

fn sort(entries: &mut [Arc<Entry>]) {
    entries.sort_by(|a, b| a.source.cmp(&b.source));
    for entry in entries.iter_mut().filter(|entry| !entry.hosts.is_sorted()) {
        Arc::make_mut(entry).hosts.sort();
    }
}
