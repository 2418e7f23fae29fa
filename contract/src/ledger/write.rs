//! Writing ledgers and parts: the same one always gives the same bytes.
use super::{Content, Entry, Expectation, Ledger, Part, PartRef, Revision};
use crate::names::{LEDGER_SCHEMA, PART_SCHEMA};
use crate::{Rules, UnixTime};
use serde::Serialize;
use std::sync::Arc;

/// All that is expected of one gateway: entries, or an index of the parts that hold them.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct LedgerDocument<'a> {
    /// `certdrift.dev/ledger/v1`
    schema: &'static str,
    /// Name of the gateway.
    gateway: &'a str,
    /// Whose wildcard rules hold.
    r#match: Rules,
    /// Rises whenever the content changes, and is never lower than the clock's seconds at that moment.
    revision: Revision,
    /// When this revision was written.
    published_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<&'a [Entry]>"))]
    entries: Option<Entries<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<&'a [PartRef]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'a Expectation>,
}

/// One part of a ledger.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct PartDocument<'a> {
    schema: &'static str,
    gateway: &'a str,
    name: &'a str,
    #[cfg_attr(feature = "schema", schemars(with = "&'a [Entry]"))]
    entries: Entries<'a>,
}

/// Entries that are shared, written as if they were not.
struct Entries<'a>(&'a [Arc<Entry>]);

impl Serialize for Entries<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(AsRef::as_ref))
    }
}

impl Serialize for Ledger {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (entries, parts) = match &self.content {
            Content::Entries(entries) => (Some(Entries(entries)), None),
            Content::Parts(parts) => (None, Some(parts.as_slice())),
        };
        LedgerDocument {
            schema: LEDGER_SCHEMA,
            gateway: &self.gateway,
            r#match: self.rules,
            revision: self.revision,
            published_at: self.published_at,
            entries,
            parts,
            default: self.default.as_ref(),
        }
        .serialize(to)
    }
}

impl Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        PartDocument {
            schema: PART_SCHEMA,
            gateway: &self.gateway,
            name: &self.name,
            entries: Entries(&self.entries),
        }
        .serialize(to)
    }
}

impl Ledger {
    /// The bytes that are published. Sorted first ([`Ledger::sort`]), the same ledger always gives the same.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Part {
    /// The bytes that are published, whose SHA-256 stands in the index. See [`Ledger::to_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
