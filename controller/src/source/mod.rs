//! Where certificates are stored: reads them, checks them, never keeps a private key.
//!
//! ```text
//! directory (I/O) ─> layout ─> reading (faults of a file) ─> check (now) ─> inventory (last good) ─> binding
//! ```
pub mod check;
pub mod directory;
pub mod findings;
pub mod inventory;
pub mod key;
pub mod kubernetes;
pub mod layout;
#[cfg(test)]
pub(crate) mod made;
pub mod names;
pub mod pem;
pub mod reading;
pub mod watch;

use certdrift_contract::{Fingerprint, HostPattern, UnixTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The signature family of a leaf's key; a pair has one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyFamily {
    /// RSA.
    Rsa,
    /// ECDSA.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

/// A stored certificate, reduced to what is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of the leaf.
    pub leaf: Fingerprint,
    /// Of the intermediates, in order.
    pub chain: Vec<Fingerprint>,
    /// Begin of validity.
    pub not_before: UnixTime,
    /// End of validity.
    pub not_after: UnixTime,
    /// DNS names and IP addresses it covers.
    pub names: Vec<HostPattern>,
    /// Of its key.
    pub family: KeyFamily,
}

/// What one source holds: one certificate, or an RSA + ECDSA pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `file:PATH` or `NAMESPACE/SECRET`.
    pub source: Arc<str>,
    /// Good ones only; at most one of a key family.
    pub certificates: Vec<Arc<Certificate>>,
}
