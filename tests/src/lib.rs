//! The harness: certificates, processes, gateways, and a proxy-wasm host that behaves. The tests themselves are in
//! `tests/tests/`; their file names are the catalogue of behaviour.
#![forbid(unsafe_code)]

pub mod process;
pub mod wait;
