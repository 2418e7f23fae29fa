//! Lines about drift: when it begins and when it ends, so many a minute.

use crate::clock::{SECOND, passed};
use crate::host::{Host, Level};
use crate::observe::Judged;
use crate::seen::Turn;
use certdrift_contract::Fingerprint;

/// Lines about drift in a minute.
const MAX_LINES: u32 = 10;

/// How many lines about drift were written since when.
#[derive(Debug, Default)]
pub(super) struct Lines {
    since: Option<u64>,
    written: u32,
    left_out: u32,
}

impl Lines {
    /// Begins a new minute, and says what the last one left out.
    pub(super) fn tick(&mut self, host: &impl Host, now: Option<u64>) {
        if passed(self.since, now, SECOND.saturating_mul(60)) {
            if self.left_out > 0 {
                let left_out = self.left_out;
                host.log(Level::Warn, &format!("certdrift: {left_out} more hosts began or ended to drift"));
            }
            *self = Self { since: now, written: 0, left_out: 0 };
        }
    }

    pub(super) fn turn(
        &mut self,
        host: &impl Host,
        turn: Turn,
        listed: &str,
        judged: &Judged,
        served: &Fingerprint,
        now: Option<u64>,
    ) {
        self.tick(host, now);
        if self.written >= MAX_LINES {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.written = self.written.saturating_add(1);
        let verdict = judged.verdict;
        match turn {
            Turn::Began => {
                let expected = judged.expected.map(|e| e.short().to_string()).unwrap_or_default();
                let served = served.short();
                let line = format!("certdrift: {verdict} of {listed}: served {served}, expected {expected}");
                host.log(Level::Warn, &line);
            }
            Turn::Ended => host.log(Level::Info, &format!("certdrift: {listed} drifts no more: {verdict}")),
        }
    }
}
