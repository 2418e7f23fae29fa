//! The machine's time: wall clock in, and a clock of its own that never goes back.
use serde::{Deserialize, Serialize};
use std::fmt;

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// As the API server's `MicroTime` is written: `2026-11-24T00:00:00.123000Z`.
    #[must_use]
    pub fn micro_time(self) -> String {
        let seconds = self.seconds().to_string();
        format!("{}.{:03}000Z", seconds.trim_end_matches('Z'), self.0.rem_euclid(1000))
    }

    /// From whole seconds since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// In whole seconds, those that have passed.
    #[must_use]
    pub const fn seconds(self) -> certdrift_contract::UnixTime {
        certdrift_contract::UnixTime::from_seconds(self.0.div_euclid(1000))
    }

    /// Milliseconds from `earlier` to this; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<certdrift_contract::UnixTime> for Millis {
    fn from(time: certdrift_contract::UnixTime) -> Self {
        Self::from_seconds(time.seconds())
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds().to_string();
        write!(f, "{}.{:03}Z", seconds.trim_end_matches('Z'), self.0.rem_euclid(1000))
    }
}

/// A moment of the machine's own time, in milliseconds. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Age(pub u64);

impl Age {
    /// Milliseconds from `earlier` to this; 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// So many milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// The most that one move of the wall clock adds to the machine's own time, in milliseconds. The run loop ticks more
/// often than this, so only a clock that jumped (or a process that slept) is cut short, and neither can make a grace,
/// an interval or an hour pass that nobody lived through.
pub const LONGEST_GAP: u64 = 60_000;

/// Own time is the sum of the wall clock's forward moves, each at most [`LONGEST_GAP`]; a step back adds nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    wall: Millis,
    age: Age,
}

impl Clock {
    /// Starts at `now`.
    #[must_use]
    pub const fn starting(now: Millis) -> Self {
        // Not 0: what began a while before the machine did still gets a moment of its own.
        Self { wall: now, age: Age(86_400_000) }
    }

    /// The wall clock at the last event.
    #[must_use]
    pub const fn wall(&self) -> Millis {
        self.wall
    }

    /// Own time at the last event.
    #[must_use]
    pub const fn age(&self) -> Age {
        self.age
    }

    /// Moves to `now`.
    pub fn advance(&mut self, now: Millis) {
        let moved = u64::try_from(now.since(self.wall)).unwrap_or(0);
        self.age = self.age.plus(moved.min(LONGEST_GAP));
        self.wall = now;
    }

    /// Own time of a moment the wall clock told; `None` for one that has not come yet (the clock was set back since).
    #[must_use]
    pub fn age_of(&self, at: Millis) -> Option<Age> {
        let ago = u64::try_from(self.wall.since(at)).ok()?;
        Some(Age(self.age.0.saturating_sub(ago)))
    }
}
