//! Which of several replicas leads: one writes ledgers and heals, the others serve and wait.
//!
//! ```text
//! election (pure: what was heard, now → what to ask, whether we lead) <──> lease (I/O) ──> who writes and heals
//! ```
//! A Lease is no fence: a leader may be stopped between its last look at the clock and its act. So the intent of a
//! remedy is written onto the Lease before the act, on condition that the Lease is still the one we know
//! ([`lease::Leadership::intend`]): once another has taken it, that fails.
pub mod election;
pub mod findings;
pub mod lease;
