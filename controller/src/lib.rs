//! certdrift's controller: knows what each gateway should serve, publishes it, observes what is served, says which
//! hop broke, and mends it.
//!
//! One folder a role; adapters stand beside their trait. `converge` and `diagnose` are pure: they never
//! await, read a clock or touch the network.
//!
//! ```text
//! source ─> binding ─> publish ─> ledger ─> filter, tap
//!                         └─> observe ─> converge ─> remedy ─> observe (proof)
//! ```
#![forbid(unsafe_code)]

pub mod binding;
pub mod cli;
#[allow(clippy::disallowed_methods, reason = "the one place that reads them for all others")]
pub mod clock;
pub mod cluster;
pub mod config;
pub mod converge;
pub mod diagnose;
pub mod events;
pub mod few;
pub mod finding;
pub mod issuance;
pub mod lead;
pub mod loaded;
pub mod log;
pub mod metrics;
pub mod observe;
pub mod publish;
pub mod rehearse;
pub mod remedy;
pub mod run;
pub mod server;
pub mod source;
