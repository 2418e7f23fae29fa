//! The next ledger, from what is bound now and the ledger of before. Pure: the same in, the same bytes out.
//!
//! What was current and is not any more is retiring: accepted until its grace ends, and kept after that as the
//! memory of what `previous` drift looks like. A certificate that comes back is current again. A host that moves
//! from one source to another takes its predecessors along.
use super::findings as kinds;
use crate::binding::{Binding, Bound};
use crate::finding::Finding;
use crate::source::Certificate;
use certdrift_contract::ledger::{Content, Entry, Expectation, Expected, MAX_AHEAD, MAX_RETIRING, Retiring};
use certdrift_contract::{HostPattern, Ledger, Revision, Rules, UnixTime};
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Seconds a predecessor is accepted unless configured otherwise.
pub const GRACE: i64 = 120;

/// For whom, and how long predecessors are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name of the gateway.
    pub gateway: String,
    /// Whose wildcard rules hold.
    pub rules: Rules,
    /// Seconds; see [`GRACE`].
    pub grace: i64,
}

/// What a ledger was made of: where that has not changed, neither has the entry.
#[derive(Clone, Debug)]
pub struct Made {
    bound: Vec<Arc<Bound>>,
    held: BTreeSet<String>,
}

impl Made {
    /// Of a binding. What nobody else keeps is not kept here: it will not come again as the very same.
    #[must_use]
    pub fn of(binding: &Binding) -> Self {
        let bound = binding.entries.iter().filter(|bound| Arc::strong_count(bound) > 1).cloned();
        Self { bound: bound.collect(), held: binding.held.clone() }
    }
}

/// The next ledger (with entries, never an index); equal to `previous` when nothing has changed. `made` is what `previous`
/// was built from, where that is known.
#[must_use]
pub fn build(
    binding: &Binding,
    previous: Option<&Ledger>,
    made: Option<&Made>,
    policy: &Policy,
    now: UnixTime,
) -> (Ledger, Option<Finding>) {
    let before = Before::of(previous.filter(|p| p.gateway == policy.gateway));
    let until = now.plus(policy.grace.max(0));
    let mut unchanged = Unchanged::new(made, &before);
    let mut entries: Vec<Arc<Entry>> = Vec::with_capacity(binding.entries.len());
    for bound in &binding.entries {
        let held = !binding.held.is_empty() && binding.held.contains(&*bound.source);
        entries.push(match unchanged.entry(bound).filter(|_| !held) {
            Some(entry) => Arc::clone(entry),
            None => before.entry(bound, held, until, now),
        });
    }
    // What cannot be seen now is not gone.
    if !binding.complete || !binding.held.is_empty() {
        let sources: BTreeSet<&str> = binding.entries.iter().map(|bound| &*bound.source).collect();
        let taken: BTreeSet<&HostPattern> = binding.entries.iter().flat_map(|bound| &bound.hosts).collect();
        for old in before.entries {
            let stays = !binding.complete || binding.held.contains(&old.source);
            if stays && !sources.contains(old.source.as_str()) {
                let hosts: Vec<_> = old.hosts.iter().filter(|h| !taken.contains(h)).cloned().collect();
                if hosts.len() == old.hosts.len() {
                    entries.push(Arc::clone(old));
                } else if !hosts.is_empty() {
                    entries.push(Arc::new(Entry { hosts, ..Entry::clone(old) }));
                }
            }
        }
        entries.sort_by(|a, b| a.source.cmp(&b.source));
    }
    let default = match &binding.default {
        Some(bound) => Some(before.default(bound, until)),
        None => before.default.filter(|old| !binding.complete || binding.held.contains(&old.source)).cloned(),
    };
    let mut next = Ledger {
        gateway: policy.gateway.clone(),
        rules: policy.rules,
        revision: Revision(0),
        published_at: now,
        content: Content::Entries(entries),
        default,
    };
    next.sort();
    let (revision, published_at, finding) = revise(&next, previous, now);
    (Ledger { revision, published_at, ..next }, finding)
}

/// Finds entries that are as they were, in one walk: all are sorted by source, and sources are asked for in that order.
struct Unchanged<'a> {
    made: Option<&'a Made>,
    bound: &'a [Arc<Bound>],
    entries: &'a [Arc<Entry>],
}

impl<'a> Unchanged<'a> {
    fn new(made: Option<&'a Made>, before: &Before<'a>) -> Self {
        let bound = made.map(|made| made.bound.as_slice()).unwrap_or_default();
        Self { made, bound, entries: before.entries }
    }

    /// The entry of before, where it was made of this very binding. One that was made while a member of its source was held
    /// may say more than its binding does.
    fn entry(&mut self, bound: &Arc<Bound>) -> Option<&'a Arc<Entry>> {
        while let Some((was, rest)) = self.bound.split_first()
            && was.source < bound.source
        {
            self.bound = rest;
        }
        if !Arc::ptr_eq(self.bound.first()?, bound) {
            return None;
        }
        while let Some((entry, rest)) = self.entries.split_first()
            && *entry.source < *bound.source
        {
            self.entries = rest;
        }
        let held = self.made.is_none_or(|made| made.held.contains(&*bound.source));
        self.entries.first().filter(|entry| *entry.source == *bound.source && !held)
    }
}

/// The revision: that of before while the content is the same, else higher, and never lower than the clock's seconds.
fn revise(next: &Ledger, previous: Option<&Ledger>, now: UnixTime) -> (Revision, UnixTime, Option<Finding>) {
    let clock = u64::try_from(now.seconds()).unwrap_or(0);
    let Some(previous) = previous else { return (Revision(clock), now, None) };
    let limit = clock.saturating_add(u64::try_from(MAX_AHEAD).unwrap_or(0));
    if previous.revision.0 > limit {
        let why = format!("it was {}, the clock's seconds are {clock}", previous.revision.0);
        return (
            Revision(clock),
            now,
            Some(kinds::REVISION_AHEAD.on(format!("ledger {}", next.gateway), why)),
        );
    }
    let same = previous.gateway == next.gateway
        && previous.rules == next.rules
        && previous.content == next.content
        && previous.default == next.default;
    if same {
        return (previous.revision, previous.published_at, None);
    }
    (Revision(clock.max(previous.revision.0.saturating_add(1))), now, None)
}

/// The ledger of before, ready to be asked.
struct Before<'a> {
    /// Sorted by source.
    entries: &'a [Arc<Entry>],
    /// Which entry has a host; made when it is asked for first.
    hosts: OnceCell<HashMap<&'a HostPattern, &'a Arc<Entry>>>,
    default: Option<&'a Expectation>,
}

impl<'a> Before<'a> {
    fn of(previous: Option<&'a Ledger>) -> Self {
        let entries: &[Arc<Entry>] = match previous.map(|p| &p.content) {
            Some(Content::Entries(entries)) => entries,
            _ => &[],
        };
        Self { entries, hosts: OnceCell::new(), default: previous.and_then(|p| p.default.as_ref()) }
    }

    fn of_source(&self, source: &str) -> Option<&'a Arc<Entry>> {
        let at = self.entries.binary_search_by(|entry| entry.source.as_str().cmp(source)).ok()?;
        self.entries.get(at)
    }

    fn of_host(&self, host: &HostPattern) -> Option<&'a Arc<Entry>> {
        let all = || self.entries.iter().flat_map(|e| e.hosts.iter().map(move |h| (h, e))).collect();
        self.hosts.get_or_init(all).get(host).copied()
    }

    /// The next entry of a source; the one of before where nothing has changed.
    fn entry(&self, bound: &Bound, partly_held: bool, until: UnixTime, now: UnixTime) -> Arc<Entry> {
        let old = self.of_source(&bound.source);
        let mut current = expected(&bound.certificates);
        let mut since = now;
        if let Some(old) = old {
            // One of a pair cannot be read since the start: if the other is as it was, so is the pair.
            let known = |e: &Expected| old.current.iter().any(|o| o.sha256 == e.sha256);
            if partly_held && current.iter().all(known) {
                current.clone_from(&old.current);
            }
            if current == old.current {
                since = old.since;
            }
        }
        let mut sources: Vec<&Arc<Entry>> = old.into_iter().collect();
        // A host stands in one entry: those that stood in this one are in no other.
        let stood_here = |host: &HostPattern| old.is_some_and(|old| old.hosts.binary_search(host).is_ok());
        for host in bound.hosts.iter().filter(|host| !stood_here(host)) {
            if let Some(other) = self.of_host(host)
                && !sources.iter().any(|s| s.source == other.source)
            {
                sources.push(other);
            }
        }
        let retiring =
            retire(sources.iter().map(|e| (e.current.as_slice(), e.retiring.as_slice())), &current, until);
        let incoming = incoming(bound, &current);
        match old {
            Some(old)
                if (&old.hosts, old.since, &old.current, &old.incoming, &old.retiring)
                    == (&bound.hosts, since, &current, &incoming, &retiring) =>
            {
                Arc::clone(old)
            }
            _ => {
                let (source, hosts) = (bound.source.as_ref().to_owned(), bound.hosts.clone());
                Arc::new(Entry { source, hosts, since, current, incoming, retiring })
            }
        }
    }

    fn default(&self, bound: &Bound, until: UnixTime) -> Expectation {
        let current = expected(&bound.certificates);
        let old = self.default.map(|d| (d.current.as_slice(), d.retiring.as_slice()));
        let retiring = retire(old.into_iter(), &current, until);
        let incoming = incoming(bound, &current);
        Expectation { source: bound.source.as_ref().to_owned(), current, incoming, retiring }
    }
}

fn expected(certificates: &[Arc<Certificate>]) -> Vec<Expected> {
    let mut all: Vec<Expected> = certificates
        .iter()
        .map(|c| Expected { sha256: c.leaf, chain: c.chain.clone(), not_after: c.not_after })
        .collect();
    all.sort_by_key(|e| e.sha256);
    all.dedup_by_key(|e| e.sha256);
    all
}

/// What is on its way, and not there yet.
fn incoming(bound: &Bound, current: &[Expected]) -> Vec<Expected> {
    let mut all = expected(&bound.incoming);
    all.retain(|e| current.iter().all(|c| c.sha256 != e.sha256));
    all
}

/// Predecessors, newest first: what was current until now, then what was retiring already.
fn retire<'a>(
    old: impl Iterator<Item = (&'a [Expected], &'a [Retiring])>,
    current: &[Expected],
    until: UnixTime,
) -> Vec<Retiring> {
    let mut all: Vec<Retiring> = Vec::new();
    for (was, retiring) in old {
        all.extend(was.iter().map(|e| Retiring { sha256: e.sha256, until }));
        all.extend(retiring.iter().cloned());
    }
    all.retain(|r| !current.iter().any(|c| c.sha256 == r.sha256));
    // The sort is stable and by the end of the grace: what retired last stands first.
    all.sort_by_key(|r| Reverse(r.until));
    let mut seen = BTreeSet::new();
    all.retain(|r| seen.insert(r.sha256));
    all.truncate(MAX_RETIRING);
    all
}

#[cfg(test)]
mod tests;
