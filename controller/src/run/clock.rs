//! The wall clock for the run loop: monotonic, set by the system's clock once, and again only when that has jumped.
//!
//! Convergence wants a clock that does not step; windows, graces and what people read want the right time.
use crate::converge::Millis;
use certdrift_contract::UnixTime;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

/// A difference to the system's clock above this is a jump (a suspended machine, a corrected clock).
const JUMP: i64 = 2_000;

fn system() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Now.
#[must_use]
pub fn now() -> Millis {
    static ANCHOR: OnceLock<Mutex<(Instant, Millis)>> = OnceLock::new();
    let anchor = ANCHOR.get_or_init(|| Mutex::new((Instant::now(), system())));
    let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
    let elapsed = i64::try_from(anchor.0.elapsed().as_millis()).unwrap_or(i64::MAX);
    let now = Millis(anchor.1.0.saturating_add(elapsed));
    let system = system();
    if now.since(system).abs() > JUMP {
        *anchor = (Instant::now(), system);
        return system;
    }
    now
}

/// In whole seconds.
#[must_use]
pub const fn seconds(at: Millis) -> UnixTime {
    UnixTime::from_seconds(at.0.div_euclid(1000))
}
