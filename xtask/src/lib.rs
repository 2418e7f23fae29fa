//! All set-up, building, testing, measuring and showing of certdrift, and where its tools are.
//!
//! `cargo xtask` is the only thing a newcomer calls. What it needs it installs, at pinned versions, into one
//! cache outside `target/` (see [`cache`]); what it cannot install it names in one line, with the way to get it.
//! The tests use this library too: [`tools::find`] gives the path of a program, [`build`] those of the filter
//! and of the controller, and any of them installs or builds on demand, once, however many processes ask.
#![forbid(unsafe_code)]

pub mod bench;
pub mod build;
pub mod cache;
pub mod ci;
pub mod cluster;
pub mod demo;
pub mod filter;
pub mod fuzz;
pub mod progress;
pub mod soak;
pub mod steps;
pub mod test;
pub mod tools;
pub mod wasm32;
pub mod workspace;
