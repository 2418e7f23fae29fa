//! The first two hops, issued and stored: where a Certificate's issuance stands, and why it does not go on. Pure.
//!
//! ```text
//! Certificate, its requests, the Secret ─> facts ─> state (one sentence, one mend) ─> judge (now: overdue?) ─> finding
//! follow: all Certificates of one gateway
//! signed ≠ stored for 5 s ─> not_stored ─> which permission (reviews), immutable, or an admission policy
//! ```
pub mod facts;
pub mod findings;
pub mod follow;
pub mod judge;
pub mod not_stored;
pub mod permission;
pub mod state;

pub use facts::Facts;
pub use judge::{Judged, judge};
pub use state::State;
