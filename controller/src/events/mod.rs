//! Findings as Events (events.k8s.io/v1) on the object that its owner looks at.
//!
//! ```text
//! findings ─> plan (pure: which are new, which are told again, at what rate) ─> post (I/O) ─> what came of it ─> plan
//! ```
//! A finding is a state, not an occurrence: it is told when it begins and again every half hour while it lasts, as a
//! series of one Event. Nothing is dropped: what exceeds the rate is told later.
pub mod acts;
pub mod plan;
pub mod post;
pub mod steady;
