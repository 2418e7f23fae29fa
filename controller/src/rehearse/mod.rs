//! Rehearsals: a certificate is issued once more before that is due, and its way is timed hop by hop.
//!
//! | file | what |
//! |---|---|
//! | `begin` | whether it may be asked for (pure) |
//! | `ask` | looks at the Certificate, and asks cert-manager |
//! | `way` | how far it has come (pure) |
//! | `canary` | when a canary is asked for, and what came of it (pure) |
pub mod ask;
pub mod begin;
pub mod canary;
pub mod findings;
pub mod way;
