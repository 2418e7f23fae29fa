//! Which host to look at next on one endpoint. Pure: milliseconds since some fixed moment are an argument.
//!
//! Changed hosts first, each until it is settled (every worker seen, or enough tried); hosts in trouble again and
//! again, ever more slowly; and a slow sweep over all, which trouble cannot starve. What is kept grows with trouble,
//! not with the number of hosts: lists of hosts are shared by all endpoints.
use super::expectations::Hosts;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Why a host is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its expectation changed, it is in trouble, or somebody asked.
    Open,
    /// Its turn in the sweep.
    Sweep,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at this host.
    Look(Arc<str>, Reason),
    /// Nothing before this time, in milliseconds.
    Wait(u64),
}

/// Retries of a host in trouble, in milliseconds: at once after a change or a remedy, slower as it stays.
const FAST: u64 = 500;
const SLOW: u64 = 10_000;
/// So many fast ones.
const FAST_ONES: u32 = 120;
/// Every so many looks the sweep has its turn, whatever else is due.
const SWEEP_SHARE: u32 = 8;

#[derive(Clone, Copy, Debug)]
struct Open {
    due: u64,
    looks: u32,
}

/// The plan of one endpoint.
#[derive(Debug)]
pub struct Plan {
    hosts: Hosts,
    waiting: VecDeque<(Hosts, usize)>,
    open: BTreeMap<Arc<str>, Open>,
    sweep_every: u64,
    position: usize,
    sweep_due: u64,
    turns: u32,
}

impl Plan {
    /// Sweeps over all hosts once in `sweep_every` milliseconds.
    #[must_use]
    pub fn new(sweep_every: u64) -> Self {
        Self {
            hosts: Arc::from([]),
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            sweep_every: sweep_every.max(1),
            position: 0,
            sweep_due: 0,
            turns: 0,
        }
    }

    /// Another ledger: these are all hosts (sorted), and these changed.
    pub fn replace(&mut self, hosts: Hosts, changed: Hosts) {
        self.hosts = hosts;
        let hosts = Arc::clone(&self.hosts);
        self.open.retain(|host, _| listed(&hosts, host));
        self.position = self.position.min(self.hosts.len().saturating_sub(1));
        if !changed.is_empty() {
            self.waiting.push_back((changed, 0));
        }
    }

    /// Look at this host as soon as may be.
    pub fn urge(&mut self, host: &Arc<str>, now: u64) {
        self.open.insert(Arc::clone(host), Open { due: now, looks: 0 });
    }

    /// It needs no further looks but the sweep's.
    pub fn settled(&mut self, host: &str) {
        self.open.remove(host);
    }

    /// It was looked at and is not settled: again, `soon` when only more connections are wanted.
    pub fn again(&mut self, host: &Arc<str>, soon: bool, now: u64) {
        let open = self.open.entry(Arc::clone(host)).or_insert(Open { due: now, looks: 0 });
        open.looks = open.looks.saturating_add(1);
        let pause = if open.looks <= FAST_ONES { FAST } else { SLOW };
        open.due = if soon { now } else { now.saturating_add(pause) };
    }

    /// Whether a host was looked at and is not settled.
    #[must_use]
    pub fn is_open(&self, host: &Arc<str>) -> bool {
        self.open.contains_key(host)
    }

    /// How many hosts are not settled.
    #[must_use]
    pub fn open(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|(hosts, at)| hosts.len().saturating_sub(*at)).sum();
        self.open.len().saturating_add(waiting)
    }

    /// What to do now. A host that was handed out is not handed out again before [`Plan::again`].
    pub fn next(&mut self, now: u64) -> Next {
        self.turns = self.turns.wrapping_add(1);
        let sweep_is_due = !self.hosts.is_empty() && self.sweep_due <= now;
        if sweep_is_due
            && self.turns.is_multiple_of(SWEEP_SHARE)
            && let Some(host) = self.sweep(now)
        {
            return Next::Look(host, Reason::Sweep);
        }
        let due = self.open.iter().filter(|(_, o)| o.due <= now).min_by_key(|(_, o)| o.due);
        // New ones and retries take turns.
        let retry = due.map(|(host, _)| Arc::clone(host));
        if (retry.is_none() || self.turns.is_multiple_of(2))
            && let Some(host) = self.take_waiting()
        {
            self.hand_out(&host);
            return Next::Look(host, Reason::Open);
        }
        if let Some(host) = retry {
            self.hand_out(&host);
            return Next::Look(host, Reason::Open);
        }
        if sweep_is_due && let Some(host) = self.sweep(now) {
            return Next::Look(host, Reason::Sweep);
        }
        let retry = self.open.values().map(|o| o.due).min().unwrap_or(u64::MAX);
        let sweep = if self.hosts.is_empty() { u64::MAX } else { self.sweep_due };
        Next::Wait(retry.min(sweep))
    }

    fn hand_out(&mut self, host: &Arc<str>) {
        self.open.entry(Arc::clone(host)).or_insert(Open { due: 0, looks: 0 }).due = u64::MAX;
    }

    fn take_waiting(&mut self) -> Option<Arc<str>> {
        loop {
            let (hosts, at) = self.waiting.front_mut()?;
            let Some(host) = hosts.get(*at).map(Arc::clone) else {
                self.waiting.pop_front();
                continue;
            };
            *at = at.saturating_add(1);
            if let Some(open) = self.open.get_mut(&host) {
                // Open already: what was tried for the expectation before does not count.
                open.looks = 0;
                if open.due != u64::MAX {
                    open.due = 0;
                }
            } else if listed(&self.hosts, &host) {
                return Some(host);
            }
        }
    }

    fn sweep(&mut self, now: u64) -> Option<Arc<str>> {
        let host = self.hosts.get(self.position).map(Arc::clone)?;
        self.position = self.position.saturating_add(1);
        if self.position >= self.hosts.len() {
            self.position = 0;
        }
        let step = self.sweep_every / u64::try_from(self.hosts.len()).unwrap_or(1).max(1);
        // Late turns are not made up for: that would be a burst.
        self.sweep_due = now.saturating_add(step.max(1));
        Some(host)
    }
}

/// Sorted but for the default entry, which stands last.
fn listed(hosts: &Hosts, host: &Arc<str>) -> bool {
    hosts.split_last().is_some_and(|(last, rest)| last == host || rest.binary_search(host).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        names.iter().map(|n| Arc::from(*n)).collect()
    }

    fn look(plan: &mut Plan, now: u64) -> Option<(String, Reason)> {
        match plan.next(now) {
            Next::Look(host, reason) => Some((host.to_string(), reason)),
            Next::Wait(_) => None,
        }
    }

    #[test]
    fn changed_hosts_come_before_the_sweep() {
        let mut plan = Plan::new(600_000);
        plan.replace(hosts(&["a", "b", "c"]), hosts(&["c"]));
        assert_eq!(look(&mut plan, 0), Some(("c".into(), Reason::Open)));
        assert_eq!(look(&mut plan, 0), Some(("a".into(), Reason::Sweep)));
        assert_eq!(plan.next(0), Next::Wait(200_000), "the sweep is spread over its period");
    }

    #[test]
    fn a_host_handed_out_is_not_handed_out_again_before_it_is_back() {
        let mut plan = Plan::new(600_000);
        plan.replace(hosts(&["a"]), hosts(&["a"]));
        assert_eq!(look(&mut plan, 0), Some(("a".into(), Reason::Open)));
        assert_eq!(look(&mut plan, 0), Some(("a".into(), Reason::Sweep)));
        assert_eq!(look(&mut plan, 1), None);
        plan.again(&Arc::from("a"), false, 1);
        assert_eq!(plan.next(1), Next::Wait(1 + FAST));
        assert_eq!(look(&mut plan, 1 + FAST), Some(("a".into(), Reason::Open)));
        plan.settled("a");
        assert_eq!(plan.open(), 0);
    }

    #[test]
    fn trouble_slows_down_but_never_stops_and_a_new_change_makes_it_fast_again() {
        let mut plan = Plan::new(u64::MAX);
        plan.replace(hosts(&["a"]), hosts(&["a"]));
        let mut now = 0;
        let mut looks = 0;
        while now < 3_600_000 {
            match plan.next(now) {
                Next::Look(host, Reason::Open) => {
                    looks += 1;
                    plan.again(&host, false, now);
                }
                Next::Look(..) => {}
                Next::Wait(until) => now = until,
            }
        }
        let slow = (3_600_000 - u64::from(FAST_ONES) * FAST) / SLOW;
        assert!((looks - i64::from(FAST_ONES) - i64::try_from(slow).unwrap()).abs() <= 2, "{looks}");
        plan.replace(hosts(&["a"]), hosts(&["a"]));
        assert_eq!(look(&mut plan, now).map(|l| l.1), Some(Reason::Open));
    }

    #[test]
    fn trouble_everywhere_does_not_starve_the_sweep() {
        let names: Vec<String> = (0..100).map(|n| format!("h{n:03}")).collect();
        let all: Hosts = names.iter().map(|n| Arc::from(n.as_str())).collect();
        let mut plan = Plan::new(1_000);
        plan.replace(Arc::clone(&all), all);
        let (mut sweeps, mut now) = (0, 0);
        for _ in 0..1_000 {
            now += 50;
            match plan.next(now) {
                Next::Look(_, Reason::Sweep) => sweeps += 1,
                Next::Look(host, Reason::Open) => plan.again(&host, true, now),
                Next::Wait(_) => {}
            }
        }
        assert!(sweeps >= 100, "{sweeps}");
    }

    #[test]
    fn a_host_that_left_the_ledger_is_looked_at_no_more() {
        let mut plan = Plan::new(600_000);
        plan.replace(hosts(&["a", "b"]), hosts(&["a", "b"]));
        assert_eq!(look(&mut plan, 0), Some(("a".into(), Reason::Open)));
        plan.again(&Arc::from("a"), false, 0);
        plan.replace(hosts(&["c"]), hosts(&["c"]));
        let all: Vec<_> = std::iter::from_fn(|| look(&mut plan, 10_000)).map(|l| l.0).take(5).collect();
        assert!(all.iter().all(|h| h == "c"), "{all:?}");
    }
}
