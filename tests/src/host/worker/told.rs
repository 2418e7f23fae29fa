//! What a test can ask of a worker: what the filter did, logged, counted and cost so far.
use super::Worker;
use crate::host::abi::{Callback, HostCall};
use crate::host::call::Call;
use crate::host::cost::Cost;
use crate::host::guest::Trap;
use crate::host::metric::Metric;
use crate::host::state::Line;
use std::time::Duration;

impl Worker {
    /// Traps so far; none unless [`Self::forgiving`].
    #[must_use]
    pub fn traps(&self) -> &[Trap] {
        &self.traps
    }

    /// All calls the filter made.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Calls that wait for their answer.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.deliveries.len() + self.store.data().calls.len()
    }

    /// What the filter logged.
    #[must_use]
    pub fn logs(&self) -> &[Line] {
        &self.store.data().logs
    }

    /// The filter's metrics.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.store.data().metrics.all
    }

    /// The value of a metric; `None` when it was not defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.metrics().iter().find(|metric| metric.name == name).map(|metric| metric.value)
    }

    /// Periods of all timers that are set, one for each.
    #[must_use]
    pub fn timers(&self) -> Vec<Duration> {
        self.store.data().timers.iter().map(|timer| Duration::from_nanos(timer.period)).collect()
    }

    /// What all callbacks cost so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.store.data().costs.total()
    }

    /// What all runs of one callback cost so far.
    #[must_use]
    pub fn cost_of(&self, callback: Callback) -> &Cost {
        self.store.data().costs.of(callback)
    }

    /// Host calls of that name so far.
    #[must_use]
    pub fn host_calls(&self, call: HostCall) -> u64 {
        self.cost().calls_of(call)
    }

    /// What `work` costs.
    pub fn measure(&mut self, work: impl FnOnce(&mut Self)) -> Cost {
        let before = self.cost();
        work(self);
        self.cost().since(&before)
    }

    /// Size of the filter's memory in pages of 64 KiB; 0 once it is gone.
    #[must_use]
    pub fn memory_pages(&self) -> u64 {
        self.guest.as_ref().map_or(0, |guest| guest.pages(&self.store))
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.store.data();
        f.debug_struct("Worker")
            .field("profile", &state.profile.name)
            .field("now", &self.now())
            .field("logs", &state.logs)
            .field("traps", &self.traps)
            .finish_non_exhaustive()
    }
}
