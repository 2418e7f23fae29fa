//! A bounded pull parser for JSON: no recursion beyond a stated depth, no tree, no float, an error that names the place.
use std::fmt;

/// How much of foreign bytes is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one document.
    pub bytes: usize,
    /// Nesting of objects and arrays.
    pub depth: usize,
    /// Entries of one ledger or part.
    pub entries: usize,
    /// Hosts of one entry.
    pub hosts: usize,
    /// Bytes of one string.
    pub string: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 16, entries: 50_000, hosts: 10_000, string: 4_096 }
    }
}

/// What is wrong in a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The path of the value, `entries[3].current[0].sha256`; empty for the document itself.
    pub place: String,
    /// Offset in bytes from the document's beginning.
    pub offset: usize,
    /// In words.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            write!(f, "byte {}: {}", self.offset, self.what)
        } else {
            write!(f, "{} (byte {}): {}", self.place, self.offset, self.what)
        }
    }
}

impl std::error::Error for ParseError {}
