//! The text of the `x-certdrift` response header.
//!
//! `drift; class=previous; served=<first 16 hex>; expected=<first 16 hex>; evidence=filter`
use crate::{Evidence, Fingerprint, Verdict};
use std::fmt;

/// The header's value; written by `Display`.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Of this response's connection.
    pub verdict: Verdict,
    /// What was served, where it is known.
    pub served: Option<&'a Fingerprint>,
    /// The first of what is expected, where anything is.
    pub expected: Option<&'a Fingerprint>,
    /// How it was observed.
    pub evidence: Evidence,
}

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.as_str())?;
        if let Verdict::Drift(class) = self.verdict {
            write!(f, "; class={}", class.as_str())?;
        }
        if let Some(served) = self.served {
            write!(f, "; served={}", served.short())?;
        }
        if let Some(expected) = self.expected {
            write!(f, "; expected={}", expected.short())?;
        }
        write!(f, "; evidence={}", self.evidence.as_str())
    }
}
