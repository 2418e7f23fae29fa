//! The ledger: built from what is stored and the ledger before, and published.
//!
//! ```text
//! binding ─> build (next ledger) ─> split (index, parts) ─> file, serve
//!                                     coalesce says when
//! ```
pub mod build;
pub mod file;
pub mod findings;
pub mod split;
