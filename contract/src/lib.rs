//! What certdrift's filter and its controller agree on: fingerprints, host names and how they match, the
//! ledger, verdicts, the header, the health report, the tap's word, and every name both sides use.
//!
//! Nothing here does I/O or reads a clock: time is an argument. Names arrive as A-labels. Whatever bytes
//! come in, each parser gives a value or an error that names the place; none of them panics.
#![forbid(unsafe_code)]

pub mod fingerprint;
pub mod header;
pub mod host;
pub mod index;
pub mod json;
pub mod ledger;
pub mod matching;
pub mod names;
pub mod report;
#[cfg(feature = "schema")]
pub mod schema;
pub mod tap;
pub mod time;
pub mod verdict;

pub use fingerprint::Fingerprint;
pub use host::{HostName, HostPattern};
pub use ledger::{Entry, Expected, Ledger, Retiring, Revision};
pub use matching::Rules;
pub use time::UnixTime;
pub use verdict::{DriftClass, Evidence, Verdict};
