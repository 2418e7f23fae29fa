//! certdrift's proxy-wasm filter: compares the certificate each connection was served with what the ledger
//! expects, and says so in a header, health answers and metrics.
//!
//! First, do no harm: it never traps, never blocks, never changes a body or a status, and whatever it is fed, it
//! keeps the last good ledger. `abi` is the host's side of it, [`worker`] the state, everything else a part.
#![deny(unsafe_code)]

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the ABI is raw memory; nothing else may touch it")]
pub mod abi;
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "an allocator is raw memory")]
pub mod memory;

pub mod answer;
pub mod clock;
pub mod config;
pub mod contexts;
pub mod health;
pub mod host;
pub mod maps;
pub mod metrics;
pub mod observe;
pub mod peer;
pub mod poll;
pub mod revision;
pub mod seen;
pub mod state;
pub mod worker;
