//! Watching a kind of object: a list, then every change, for ever.
//!
//! ```text
//! machine (pure: what was heard in, what to ask out) <──> drive (I/O) ──> store ──> who waits for a change
//! ```
//! The list comes as a stream (`sendInitialEvents`), so that no list is ever held in memory; where the server refuses
//! that, as pages of 50. kube's own watcher does not fall back by itself.
pub mod drive;
pub mod machine;
pub mod request;
pub mod store;
pub mod wire;

#[cfg(test)]
mod tests;
