//! The time a worker goes by: the tick's, brought up to date where a decision needs it.
use crate::host::Host;
use certdrift_contract::UnixTime;

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// What the host's clock last said; nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: Option<u64>,
}

impl Clock {
    /// Asks the host. Where it does not tell, the time last told stands.
    pub fn ask(&mut self, host: &impl Host) -> Option<u64> {
        if let Ok(now) = host.now() {
            self.last = Some(now);
        }
        self.last
    }

    /// The time last told, in nanoseconds; `None` while there was none.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The time last told, in seconds; 0 while there was none.
    #[must_use]
    pub fn seconds(&self) -> UnixTime {
        seconds(self.last.unwrap_or(0))
    }
}

/// Nanoseconds as whole seconds.
#[must_use]
pub fn seconds(nanoseconds: u64) -> UnixTime {
    UnixTime::from_seconds(nanoseconds.checked_div(SECOND).unwrap_or(0).cast_signed())
}

/// Whether `period` nanoseconds have passed since `before`. A clock that was set back counts as passed: waiting
/// until it has caught up could take years.
#[must_use]
pub fn passed(before: Option<u64>, now: Option<u64>, period: u64) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => now < before || now.saturating_sub(before) >= period,
        _ => true,
    }
}
