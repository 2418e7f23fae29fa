//! Waiting for a condition, with a deadline, and telling what was seen when it runs out.
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Asks `look` every few milliseconds until it gives `Ok`; panics with what it last saw when `patience` runs out.
///
/// # Panics
/// When the deadline passes.
#[track_caller]
pub fn until<T, E: Debug>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= deadline => {
                panic!("waited {patience:?} for {what}; last seen: {seen:?}")
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(10)),
        }
    }
}
