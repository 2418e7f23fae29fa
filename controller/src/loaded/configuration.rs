//! Which pods have loaded a change of the configuration, by Kong's `configuration_hash`. Pure.
//!
//! Hashes of two pods differ always, so only *when* they change is compared. What changes a pod's hash without changing
//! its fellows' is its start: a pod that was empty, or was not seen before, says nothing about others.
use super::findings as kinds;
use crate::converge::{Millis, RunsBy};
use crate::finding::Finding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Pods that were pushed to together were seen to differ by milliseconds; one that hangs delays its fellows by up to
/// half a minute, so being last is no trouble. Milliseconds.
const TOGETHER: i64 = 15_000;
/// An ingress controller pushes to a new pod within 3 s. Milliseconds.
const STARTS: i64 = 30_000;

/// What a pod runs by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Loaded {
    /// As new as that of its fellows.
    Current {
        /// When it was seen to change; `null` as long as it has not.
        changed: Option<Millis>,
    },
    /// Fellows have a newer one.
    Behind {
        /// Since when.
        since: Millis,
    },
    /// It has none.
    Empty {
        /// Since when.
        since: Millis,
    },
}

/// What Kong's status said of each pod's configuration.
#[derive(Clone, Debug, Default)]
pub struct Configurations(BTreeMap<String, Pod>);

#[derive(Clone, Debug)]
struct Pod {
    hash: Box<str>,
    /// When `hash` was first seen.
    since: Millis,
    /// When it was seen to change from one configuration to another before any of its fellows: they should, too.
    led: Option<Millis>,
    /// When it was seen to change at all.
    changed: Option<Millis>,
    /// When it was last seen.
    last: Millis,
    /// When the one before it was last seen.
    not_before: Option<Millis>,
}

impl Pod {
    /// Zeros, however many.
    fn is_empty(&self) -> bool {
        self.hash.bytes().all(|b| b == b'0')
    }
}

impl Configurations {
    /// This is an endpoint's hash now. True: it runs by another configuration than before.
    pub fn saw(&mut self, endpoint: &str, hash: &str, now: Millis) -> bool {
        if let Some(same) = self.0.get_mut(endpoint).filter(|pod| *pod.hash == *hash) {
            same.last = now;
            return false;
        }
        let before = self.0.get(endpoint);
        let mut pod = Pod {
            hash: hash.into(),
            since: now,
            led: before.and_then(|before| before.led),
            changed: before.and_then(|before| before.changed),
            last: now,
            not_before: before.map(|before| before.last),
        };
        let is_push = before.is_some_and(|before| !before.is_empty()) && !pod.is_empty();
        if is_push {
            pod.changed = Some(now);
            // One that comes late is given what its fellows have already.
            let late = before.is_some_and(|before| self.leads(endpoint).any(|at| at > before.since));
            if !late {
                pod.led = Some(now);
            }
        }
        self.0.insert(endpoint.to_owned(), pod);
        is_push
    }

    /// Forgets endpoints that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|endpoint, _| is_there(endpoint));
    }

    /// When each of an endpoint's fellows went ahead last.
    fn leads(&self, endpoint: &str) -> impl Iterator<Item = Millis> {
        self.0.iter().filter(move |(name, _)| name.as_str() != endpoint).filter_map(|(_, pod)| pod.led)
    }

    /// What an endpoint runs by; `None` where nothing tells.
    #[must_use]
    pub fn of(&self, endpoint: &str, now: Millis) -> Option<Loaded> {
        let pod = self.0.get(endpoint)?;
        if pod.is_empty() {
            return Some(Loaded::Empty { since: pod.since });
        }
        let leads = self.leads(endpoint);
        // Each is asked at its own time: a change that was seen a little later may be the same.
        let missed = leads.filter(|at| at.since(pod.since) > TOGETHER && now.since(*at) >= TOGETHER).max();
        Some(missed.map_or(Loaded::Current { changed: pod.changed }, |since| Loaded::Behind { since }))
    }

    /// When it was last seen to run by another configuration than before.
    #[must_use]
    pub fn changed(&self, endpoint: &str) -> Option<Millis> {
        self.0.get(endpoint)?.changed
    }

    /// The configuration that it has; `None` where it has none, or nothing tells.
    #[must_use]
    pub fn runs_by(&self, endpoint: &str, now: Millis) -> Option<RunsBy> {
        let pod = self.0.get(endpoint).filter(|pod| !pod.is_empty())?;
        let behind = matches!(self.of(endpoint, now), Some(Loaded::Behind { .. }));
        Some(RunsBy { since: pod.since, not_before: pod.not_before, behind })
    }

    /// Whether it has none longer than a start takes.
    #[must_use]
    pub fn is_empty(&self, endpoint: &str, now: Millis) -> bool {
        matches!(self.of(endpoint, now), Some(Loaded::Empty { since }) if now.since(since) >= STARTS)
    }

    /// What is wrong with an endpoint's.
    #[must_use]
    pub fn finding(&self, endpoint: &str, now: Millis) -> Option<Finding> {
        match self.of(endpoint, now)? {
            Loaded::Current { .. } => None,
            Loaded::Behind { since } => {
                let why = format!("another endpoint of the gateway loaded a new one at {}", since.seconds());
                Some(kinds::BEHIND.on(endpoint, why))
            }
            Loaded::Empty { since } if now.since(since) < STARTS => None,
            Loaded::Empty { since } => {
                let why = format!("its configuration hash is zeros since {}", since.seconds());
                Some(kinds::EMPTY.on(endpoint, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZEROS: &str = "00000000000000000000000000000000";

    /// Seconds.
    fn at(seconds: i64) -> Millis {
        Millis(seconds * 1000)
    }

    fn two() -> Configurations {
        let mut all = Configurations::default();
        assert!(!all.saw("a", "90effa8c8c7f4dc2e70d3fed6e4e36ed", at(0)));
        assert!(!all.saw("b", "47a35b9c2ac0b7959ea9da35cfcb635a", at(1)));
        all
    }

    fn codes(all: &Configurations, now: Millis) -> Vec<String> {
        ["a", "b", "c"]
            .iter()
            .filter_map(|e| all.finding(e, now))
            .map(|f| format!("{} {}", f.object, f.code))
            .collect()
    }

    #[test]
    fn two_pods_whose_hashes_differ_are_both_current() {
        let all = two();
        assert_eq!(all.of("a", at(1_000)), Some(Loaded::Current { changed: None }));
        assert_eq!(codes(&all, at(1_000)), [""; 0]);
        assert_eq!(all.of("c", at(1_000)), None, "of a pod that was never asked nothing is known");
    }

    #[test]
    fn the_pod_that_missed_a_push_is_named_once_its_fellows_had_their_time() {
        let mut all = two();
        assert!(all.saw("a", "1", at(100)));
        assert_eq!(codes(&all, at(114)), [""; 0]);
        assert_eq!(codes(&all, at(115)), ["b CD-321"]);
        assert!(all.saw("b", "2", at(120)));
        assert_eq!(codes(&all, at(200)), [""; 0], "it came late, and it came");
        assert_eq!(all.of("b", at(200)), Some(Loaded::Current { changed: Some(at(120)) }));
    }

    #[test]
    fn one_push_seen_at_two_polls_is_one_push() {
        let mut all = two();
        all.saw("a", "1", at(100));
        all.saw("b", "2", at(105));
        assert_eq!(codes(&all, at(1_000)), [""; 0]);
    }

    #[test]
    fn a_new_pod_and_one_that_begins_anew_say_nothing_of_their_fellows() {
        let mut all = two();
        all.saw("c", ZEROS, at(100));
        assert_eq!(all.of("c", at(101)), Some(Loaded::Empty { since: at(100) }));
        all.saw("c", "3", at(103));
        all.saw("a", ZEROS, at(200));
        all.saw("a", "4", at(202));
        assert_eq!(codes(&all, at(1_000)), [""; 0]);
    }

    #[test]
    fn a_pod_that_stays_empty_is_told_when_its_start_is_over() {
        let mut all = two();
        all.saw("c", ZEROS, at(100));
        assert_eq!(codes(&all, at(129)), [""; 0]);
        assert_eq!(codes(&all, at(130)), ["c CD-320"]);
    }

    #[test]
    fn a_pod_that_began_after_the_push_has_it() {
        let mut all = two();
        all.saw("a", "1", at(100));
        all.saw("b", "2", at(101));
        all.saw("c", ZEROS, at(140));
        all.saw("c", "3", at(143));
        assert_eq!(codes(&all, at(1_000)), [""; 0]);
    }

    #[test]
    fn when_a_configuration_came_is_known_between_two_looks_and_not_at_all_if_it_was_there_before() {
        let mut all = two();
        let runs_by = |all: &Configurations| all.runs_by("a", at(1_000)).unwrap();
        assert_eq!(runs_by(&all), RunsBy { since: at(0), not_before: None, behind: false });
        all.saw("a", "90effa8c8c7f4dc2e70d3fed6e4e36ed", at(95));
        all.saw("a", "1", at(100));
        all.saw("a", "1", at(105));
        assert_eq!(runs_by(&all), RunsBy { since: at(100), not_before: Some(at(95)), behind: false });
        all.saw("a", ZEROS, at(110));
        assert_eq!(all.runs_by("a", at(1_000)), None);
    }

    #[test]
    fn a_pod_that_is_gone_is_not_asked_for() {
        let mut all = two();
        all.saw("a", "1", at(100));
        all.keep(|endpoint| endpoint != "a");
        assert_eq!(codes(&all, at(1_000)), [""; 0], "nobody is there that has what it has not");
    }
}
