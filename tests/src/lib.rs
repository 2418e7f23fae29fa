//! The tests that cross a process, in `tests/tests/` (their file names are the catalogue of behaviour), and the
//! proxy-wasm host that behaves. Processes, gateways and certificates are in `tests/harness/`, which the demo
//! shares: what starts nginx or Envoy or makes a certificate belongs there and is named here.
#![forbid(unsafe_code)]

pub mod filter_cost;
pub mod host;
pub mod ledgers;

pub mod program;

pub use certdrift_harness::{certs, controller, envoy, nginx, openssl, process, wait};
