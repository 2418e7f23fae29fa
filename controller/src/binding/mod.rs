//! Which hosts of a gateway a stored certificate answers for.
//!
//! ```text
//! files ──────────────────────────────────────────────────────────┐
//! kong_ingress, gateway_api (strong) ┐                             ├─> Binding
//! annotation, any (weak) ────────────┴─> claims, settled ─> cluster┘
//! ```
pub mod annotation;
pub mod assemble;
pub mod claims;
pub mod cluster;
pub mod files;
pub mod findings;
pub mod gateway_api;
pub mod kong_ingress;
pub mod sight;

use crate::finding::Finding;
use crate::source::Certificate;
use certdrift_contract::HostPattern;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one gateway should serve, before it is compared with the ledger of before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Sorted by source; a host stands in one of them only, and none is without hosts. One that is as it was may be the very
    /// same: what is made of it is the same then, too.
    pub entries: Vec<Arc<Bound>>,
    /// The gateway's default certificate; its hosts are not used.
    pub default: Option<Bound>,
    /// Sources of which nothing good is known: what the ledger has of them stays.
    pub held: BTreeSet<String>,
    /// Whether all sources could be seen; if not, what the ledger has of unseen ones stays.
    pub complete: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// A source's certificates and the hosts they answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `file:PATH` or `NAMESPACE/SECRET`.
    pub source: Arc<str>,
    /// Sorted.
    pub hosts: Vec<HostPattern>,
    /// Sorted by fingerprint; two for a pair.
    pub certificates: Vec<Arc<Certificate>>,
    /// Issued and on their way into the source.
    pub incoming: Vec<Arc<Certificate>>,
}
