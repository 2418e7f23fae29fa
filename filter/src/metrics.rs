//! What a worker counts: kept in the instance, handed to the host at ticks.
//!
//! The names read well after Kong's prefix, `pw_certdrift_drift_total`; a label is packed into the name,
//! `drift_total_class=previous`, and unpacked by `metrics.label_patterns` of `certdrift.meta.json`. The set is
//! fixed, since each costs every worker a slot in Kong's slab.
use crate::host::{Host, Metric};
use crate::observe::Unjudged;
use certdrift_contract::DriftClass;
use certdrift_contract::names::{POLL_RESULTS, UNJUDGED_REASONS, metric};

/// How a poll of one location ended; in the order of [`POLL_RESULTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollResult {
    /// A ledger was taken.
    Changed,
    /// The one in use was confirmed.
    Unchanged,
    /// Nobody answered, or not with a ledger.
    Unreachable,
    /// What was answered cannot be used.
    Bad,
    /// Its revision was not taken.
    Refused,
}

const UNLISTED: usize = 1;
const UNJUDGED: usize = 2;
const DRIFT: usize = UNJUDGED + UNJUDGED_REASONS.len();
const POLLS: usize = DRIFT + DriftClass::ALL.len();
const COUNTERS: usize = POLLS + POLL_RESULTS.len();

/// The counters since the worker started, and how much of them the host has.
#[derive(Debug, Default)]
pub struct Metrics {
    counted: [u64; COUNTERS],
    told: [u64; COUNTERS],
    /// The host's ids: of the counters, of the ledger's revision, of its age.
    ids: Vec<u32>,
    tries: u8,
}

impl Metrics {
    /// Counts a connection that was judged.
    pub fn judged(&mut self) {
        self.count(0);
    }

    /// Counts a connection whose host the ledger does not list.
    pub fn unlisted(&mut self) {
        self.count(UNLISTED);
    }

    /// Counts a connection that could not be judged.
    pub fn unjudged(&mut self, why: Unjudged) {
        self.count(UNJUDGED.saturating_add(why as usize));
    }

    /// Counts a connection that was drift (besides [`Metrics::judged`]).
    pub fn drift(&mut self, class: DriftClass) {
        let at = DriftClass::ALL.iter().position(|c| *c == class).unwrap_or(0);
        self.count(DRIFT.saturating_add(at));
    }

    /// Counts one location asked.
    pub fn poll(&mut self, result: PollResult) {
        self.count(POLLS.saturating_add(result as usize));
    }

    fn count(&mut self, at: usize) {
        if let Some(counter) = self.counted.get_mut(at) {
            *counter = counter.saturating_add(1);
        }
    }

    /// The sums the report shows.
    #[must_use]
    pub fn sums(&self) -> certdrift_contract::report::Counters {
        let sum = |from: usize, to: usize| {
            self.counted.get(from..to).unwrap_or_default().iter().fold(0u64, |sum, n| sum.saturating_add(*n))
        };
        certdrift_contract::report::Counters {
            judged: sum(0, UNLISTED),
            unjudged: sum(UNJUDGED, DRIFT),
            unlisted: sum(UNLISTED, UNJUDGED),
            drift: sum(DRIFT, POLLS),
        }
    }

    /// Defines all of them, so that each is there at 0 from the beginning. Tried three times at most.
    pub fn define(&mut self, host: &impl Host) {
        if !self.ids.is_empty() || self.tries >= 3 {
            return;
        }
        self.tries = self.tries.saturating_add(1);
        let mut ids = Vec::new();
        for name in names() {
            match host.define_metric(Metric::Counter, &name) {
                Ok(id) => ids.push(id),
                Err(_) => return,
            }
        }
        for name in [metric::LEDGER_REVISION, metric::LEDGER_AGE] {
            match host.define_metric(Metric::Gauge, name) {
                Ok(id) => ids.push(id),
                Err(_) => return,
            }
        }
        self.ids = ids;
    }

    /// Hands over what was counted since the last time, and the ledger's revision and age in seconds.
    pub fn flush(&mut self, host: &impl Host, ledger: Option<(u64, u64)>) {
        self.define(host);
        for ((id, counted), told) in self.ids.iter().zip(&self.counted).zip(&mut self.told) {
            let new = counted.saturating_sub(*told);
            if new > 0 && host.add_metric(*id, new.cast_signed()).is_ok() {
                *told = *counted;
            }
        }
        if let (Some((revision, age)), Some([revision_id, age_id])) = (ledger, self.ids.get(COUNTERS..)) {
            let _ = host.set_metric(*revision_id, revision);
            let _ = host.set_metric(*age_id, age);
        }
    }
}

/// The counters' names, in their order.
fn names() -> impl Iterator<Item = String> {
    let plain = [metric::JUDGED, metric::UNLISTED].into_iter().map(str::to_owned);
    let unjudged = UNJUDGED_REASONS.iter().map(|reason| labelled(metric::UNJUDGED, "reason", reason));
    let drift = DriftClass::ALL.iter().map(|class| labelled(metric::DRIFT, "class", class.as_str()));
    let polls = POLL_RESULTS.iter().map(|result| labelled(metric::POLLS, "result", result));
    plain.chain(unjudged).chain(drift).chain(polls)
}

fn labelled(name: &str, label: &str, value: &str) -> String {
    format!("{name}_{label}={value}")
}
