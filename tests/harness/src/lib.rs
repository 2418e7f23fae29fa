//! Real gateways, certificates and processes on loopback: what the tests, the demo and the benchmarks share.
//! It stays light, without a Wasm engine, so that a fresh machine shows the demo soon.
#![forbid(unsafe_code)]

pub mod certs;
pub mod controller;
pub mod envoy;
pub mod nginx;
pub mod openssl;
pub mod process;
pub mod wait;
