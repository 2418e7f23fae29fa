//! Hosts that no ledger lists (any more), and which are looked at all the same, slowly: a gateway that goes on serving a certificate
//! goes down with it, whether somebody expects that certificate or not. Pure: milliseconds since some fixed moment are an argument.
//!
//! Such are the hosts that left the ledger, until the endpoint serves them nothing that covers them; and, while there is no ledger at
//! all or it lists nothing, what is served without a server name.
use super::expectations::Hosts;
use certdrift_contract::index::DEFAULT;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many are remembered of an endpoint, the newest.
const MOST: usize = 1_000;

/// The former hosts of one endpoint, the next to be looked at first.
#[derive(Debug)]
pub(super) struct Former {
    hosts: VecDeque<Arc<str>>,
    sweep_every: u64,
    due: u64,
}

impl Former {
    /// Before any ledger; all are looked at once in `sweep_every` milliseconds.
    pub(super) fn new(sweep_every: u64) -> Self {
        Self { hosts: VecDeque::from([Arc::from(DEFAULT)]), sweep_every: sweep_every.max(1), due: 0 }
    }

    /// Another ledger; those that it does not list any more are looked at at once.
    pub(super) fn replace(&mut self, before: Option<&Hosts>, now: &Hosts, at: u64) {
        self.hosts.retain(|host| &**host != DEFAULT && !lists(now, host));
        for host in before.into_iter().flat_map(|hosts| hosts.iter()) {
            if !lists(now, host) && &**host != DEFAULT && !self.hosts.contains(host) {
                self.hosts.push_front(Arc::clone(host));
                self.due = at;
            }
        }
        if now.is_empty() {
            self.hosts.push_front(Arc::from(DEFAULT));
            self.due = at;
        }
        self.hosts.truncate(MOST);
    }

    /// The host whose turn it is, which is the last one's from then on; or when the next one is due.
    pub(super) fn next(&mut self, at: u64) -> Result<Arc<str>, u64> {
        if at < self.due {
            return Err(self.due);
        }
        let Some(host) = self.hosts.pop_front() else { return Err(u64::MAX) };
        self.hosts.push_back(Arc::clone(&host));
        let step = self.sweep_every / u64::try_from(self.hosts.len()).unwrap_or(1).max(1);
        self.due = at.saturating_add(step.max(1));
        Ok(host)
    }

    /// Nothing is served for it any more.
    pub(super) fn forget(&mut self, host: &str) {
        self.hosts.retain(|known| &**known != host);
    }
}

/// Sorted but for the default entry, which stands last.
fn lists(hosts: &Hosts, host: &Arc<str>) -> bool {
    hosts.split_last().is_some_and(|(last, rest)| last == host || rest.binary_search(host).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        names.iter().map(|n| Arc::from(*n)).collect()
    }

    fn all(former: &mut Former, at: u64) -> Vec<String> {
        let first = former.next(at).map(|host| host.to_string());
        let mut all: Vec<String> = first.into_iter().collect();
        for turn in 1..10 {
            match former.next(at + turn * 600_000) {
                Ok(host) if !all.contains(&host.to_string()) => all.push(host.to_string()),
                _ => break,
            }
        }
        all
    }

    #[test]
    fn without_a_ledger_what_is_served_to_no_name_is_looked_at() {
        let mut former = Former::new(600_000);
        assert_eq!(former.next(0).as_deref(), Ok(DEFAULT));
        assert_eq!(former.next(1), Err(600_000), "as slowly as the sweep");
        former.replace(None, &hosts(&["a"]), 10);
        assert_eq!(former.next(600_000), Err(u64::MAX), "the ledger says what is to be looked at");
        former.replace(Some(&hosts(&["a"])), &hosts(&[]), 700_000);
        assert_eq!(all(&mut former, 700_000), [DEFAULT, "a"], "a ledger that is empty is none");
    }

    #[test]
    fn a_host_that_left_is_looked_at_at_once_until_it_comes_back_or_is_served_no_more() {
        let mut former = Former::new(600_000);
        let before = hosts(&["a", "b", "c", DEFAULT]);
        former.replace(None, &before, 0);
        former.replace(Some(&before), &hosts(&["a"]), 5);
        assert_eq!(all(&mut former, 5), ["c", "b"]);
        former.forget("c");
        former.replace(Some(&hosts(&["a"])), &hosts(&["a", "b"]), 9_000_000);
        assert_eq!(former.next(u64::MAX), Err(u64::MAX));
    }

    #[test]
    fn no_more_than_a_thousand_are_remembered() {
        let names: Vec<String> = (0..3_000).map(|n| format!("h{n:04}")).collect();
        let many: Hosts = names.iter().map(|n| Arc::from(n.as_str())).collect();
        let mut former = Former::new(600_000);
        former.replace(Some(&many), &hosts(&["z"]), 0);
        assert_eq!(former.hosts.len(), MOST);
    }
}
