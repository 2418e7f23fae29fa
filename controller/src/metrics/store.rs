//! What was counted since the start, and what holds at the moment of a scrape.
use super::catalogue::{self as is, Kind, Metric};
use std::collections::BTreeMap;

type Labels = Vec<String>;

fn owned(metric: &Metric, labels: &[&str]) -> Labels {
    debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
    labels.iter().map(|l| (*l).to_owned()).collect()
}

/// A histogram's counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    /// One more than there are bounds; each counts what is above the bound before and up to its own.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
}

/// Counters and histograms; only ever rise.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub(super) counters: BTreeMap<&'static str, BTreeMap<Labels, u64>>,
    pub(super) histograms: BTreeMap<&'static str, BTreeMap<Labels, Distribution>>,
}

impl Store {
    /// With every counter at 0 for each value its labels can have.
    #[must_use]
    pub fn new<'a>(gateways: impl IntoIterator<Item = &'a str>) -> Self {
        let mut store = Self::default();
        for result in is::RELOAD_RESULTS {
            store.add(&is::RELOADS, &[result], 0);
        }
        for gateway in gateways {
            store.preset(gateway);
        }
        store
    }

    /// Sets a gateway's counters to 0, unless they have counted already.
    pub fn preset(&mut self, gateway: &str) {
        for result in is::PUBLISH_RESULTS {
            self.add(&is::PUBLISHES, &[gateway, result], 0);
        }
        for evidence in is::EVIDENCES {
            for outcome in is::OUTCOMES {
                self.add(&is::OBSERVATIONS, &[gateway, evidence, outcome], 0);
            }
        }
        for kind in is::REMEDY_KINDS {
            for result in is::REMEDY_RESULTS {
                self.add(&is::REMEDIES, &[gateway, kind, result], 0);
            }
        }
        for outcome in is::REMEDY_OUTCOMES_ALL {
            self.add(&is::REMEDY_OUTCOMES, &[gateway, outcome], 0);
        }
        for by in is::ENDED_BY {
            self.histogram(&is::DRIFT_TIME, &[gateway, by]);
        }
        for hop in is::HOPS {
            self.histogram(&is::HOP, &[gateway, hop]);
        }
    }

    /// Sets the counters of a gateway's canary to 0, unless they have counted already.
    pub fn preset_canary(&mut self, gateway: &str) {
        for hop in is::HOPS {
            self.add(&is::CANARY_FAILURES, &[gateway, hop], 0);
        }
    }

    /// Counts `n` more.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], n: u64) {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        let counter = self.counters.entry(metric.name).or_default().entry(owned(metric, labels)).or_default();
        *counter = counter.saturating_add(n);
    }

    /// Counts one figure in a histogram.
    pub fn observe(&mut self, metric: &Metric, labels: &[&str], seconds: f64) {
        let Kind::Histogram(bounds) = metric.kind else { return };
        let slot = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        let distribution = self.histogram(metric, labels);
        distribution.sum += seconds;
        if let Some(count) = distribution.counts.get_mut(slot) {
            *count = count.saturating_add(1);
        }
    }

    fn histogram(&mut self, metric: &Metric, labels: &[&str]) -> &mut Distribution {
        let slots = if let Kind::Histogram(bounds) = metric.kind { bounds.len() + 1 } else { 0 };
        let found = self.histograms.entry(metric.name).or_default().entry(owned(metric, labels)).or_default();
        found.counts.resize(slots, 0);
        found
    }
}

/// What holds at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    pub(super) values: BTreeMap<&'static str, BTreeMap<Labels, f64>>,
}

impl Gauges {
    /// Sets one; figures are whole numbers below 2^53 or seconds.
    pub fn set(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        self.values.entry(metric.name).or_default().insert(owned(metric, labels), value);
    }

    /// Adds to one that begins at 0.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        *self.values.entry(metric.name).or_default().entry(owned(metric, labels)).or_default() += value;
    }

    /// Lowers one to `value` if it is not lower already.
    pub fn lowest(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let slot = self.values.entry(metric.name).or_default().entry(owned(metric, labels)).or_insert(value);
        *slot = slot.min(value);
    }

    /// How many series a metric has.
    #[must_use]
    pub fn series(&self, metric: &Metric) -> usize {
        self.values.get(metric.name).map_or(0, BTreeMap::len)
    }
}
