//! The ledger: built from what is stored and the ledger before, and published.
pub mod findings;
