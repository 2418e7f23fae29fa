//! The ledger: built from what is stored and the ledger before, and published.
//!
//! ```text
//! binding ─> build (next ledger) ─> split (index, parts) ─> target (file, config_map), serve
//!                                     coalesce says when
//! ```
pub mod build;
pub mod coalesce;
pub mod config_map;
pub mod difference;
pub mod file;
pub mod findings;
pub mod publisher;
pub mod serve;
pub mod split;
pub mod target;
