//! The ledger: built from what is stored and the ledger before, and published.
//!
//! ```text
//! binding ─> build (next ledger) ─> split (index, parts) ─> file, serve
//!                                     coalesce says when
//! ```
pub mod build;
pub mod coalesce;
pub mod file;
pub mod findings;
pub mod publisher;
pub mod serve;
pub mod split;
