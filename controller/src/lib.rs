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
// Clocks and sleeps belong to the rim; the pure folders below deny them again.
#![allow(clippy::disallowed_methods)]

pub mod binding;
pub mod cli;
pub mod cluster;
pub mod config;
#[deny(clippy::disallowed_methods)]
pub mod converge;
#[deny(clippy::disallowed_methods)]
pub mod diagnose;
pub mod finding;
#[deny(clippy::disallowed_methods)]
pub mod issuance;
pub mod log;
pub mod metrics;
pub mod observe;
pub mod publish;
pub mod remedy;
pub mod run;
pub mod server;
pub mod source;
