//! What can go wrong with leading (CD-43x).
use crate::finding::{Kind, Severity};

/// The Lease cannot be read or written.
pub const NO_LEASE: Kind = Kind {
    code: "CD-430",
    title: "the Lease cannot be had",
    why: "The API server refuses it or gives no answer. Without it no replica writes ledgers or heals: what is published stays, /ledger is served, gateways are looked at and drift is told.",
    mend: "read the reason: it is the API server's own",
    severity: Severity::Warning,
};
