//! What is stored, over time: a good certificate is taken at once, a bad one never displaces the last good one. Pure.
//!
//! Fed snapshots and the time. A file that is bad is told only when it stayed bad for the settle period (it may be
//! half written); one that is gone stays for the vanish period (a volume swap, a renewal); a directory that turned
//! empty or unreadable is an unmounted volume, and nothing of it is forgotten.
use super::check::assess;
use super::directory::{Members, Snapshot};
use super::findings as kinds;
use super::reading::Fault;
use super::{Certificate, Stored};
use crate::few::Few;
use crate::finding::Finding;
use certdrift_contract::{HostPattern, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Periods in seconds, and what the configuration lists.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long a file may be bad before it is told.
    pub settle: i64,
    /// How long a file may be away before it is forgotten.
    pub vanish: i64,
    /// Hosts the configuration lists for a source, by its full name (`file:PATH`).
    pub hosts: BTreeMap<String, Vec<HostPattern>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { settle: 3, vanish: 60, hosts: BTreeMap::new() }
    }
}

/// What is stored now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Sources that hold something good, sorted by name.
    pub stored: Vec<Stored>,
    /// Sources of which a member holds nothing good, and of which nothing good was seen since the start: what the
    /// ledger had of them stays.
    pub held: BTreeSet<String>,
    /// Whether all of it could be seen; if not, what the ledger has of other sources stays.
    pub complete: bool,
    /// What is wrong, sorted by object and code.
    pub findings: Vec<Finding>,
    /// When time alone changes something.
    pub changes_at: Option<UnixTime>,
}

/// What was seen of one directory so far.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    sources: BTreeMap<Arc<str>, Few<Arc<Path>, Seen>>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    good: Option<Arc<Certificate>>,
    /// There is none of nearly all.
    trouble: Option<Box<Trouble>>,
}

/// Since when something is wrong.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    bad: Option<UnixTime>,
    gone: Option<UnixTime>,
}

impl Seen {
    fn bad_since(&self) -> Option<UnixTime> {
        self.trouble.as_ref()?.bad
    }

    fn gone_since(&self) -> Option<UnixTime> {
        self.trouble.as_ref()?.gone
    }

    fn set_trouble(&mut self, bad: Option<UnixTime>, gone: Option<UnixTime>) {
        self.trouble = (bad.is_some() || gone.is_some()).then(|| Box::new(Trouble { bad, gone }));
    }
}

impl Memory {
    /// Takes a snapshot in and says what is stored.
    pub fn feed(&mut self, snapshot: &Snapshot, policy: &Policy, now: UnixTime) -> Inventory {
        let mut out = Inventory { complete: snapshot.problem.is_none(), ..Inventory::default() };
        out.findings.extend(snapshot.problem.clone());
        let relevant = |members: &Members| members.iter().any(|(_, reading)| !reading.irrelevant);
        if out.complete && !snapshot.sources.values().any(relevant) {
            out.complete = false;
            let place = snapshot.watch.first().map(|p| p.display().to_string()).unwrap_or_default();
            out.findings.push(kinds::DIRECTORY.on(place, "there is no certificate in it"));
        }
        let mut new: BTreeMap<Arc<str>, Few<Arc<Path>, Seen>> = BTreeMap::new();
        for (source, members) in &snapshot.sources {
            for (path, reading) in members {
                let known = self.sources.get(source.as_str()).is_some_and(|seen| seen.get(path).is_some());
                if reading.irrelevant && !known {
                    continue;
                }
                let hosts = policy.hosts.get(source).map(Vec::as_slice);
                let assessed = assess(reading, hosts, now);
                wake(&mut out.changes_at, assessed.changes_at);
                let members = match self.sources.get_mut(source.as_str()) {
                    Some(members) => members,
                    None => new.entry(source.as_str().into()).or_default(),
                };
                let seen = members.get_or_insert_with(path, Seen::default);
                let (bad, tell) = match assessed.good {
                    Some(good) => {
                        seen.good = Some(good);
                        (None, true)
                    }
                    None => {
                        let since = seen.bad_since().unwrap_or(now);
                        // A clock that was set back must not silence a fault.
                        let waited = now.since(since);
                        let settled = !(0..policy.settle).contains(&waited);
                        if !settled {
                            wake(&mut out.changes_at, Some(since.plus(policy.settle)));
                        }
                        (Some(since), settled)
                    }
                };
                seen.set_trouble(bad, None);
                if tell {
                    let object = format!("file:{}", path.display());
                    out.findings
                        .extend(assessed.faults.iter().map(|f| finding(f, &object, seen.good.as_deref())));
                }
            }
        }
        // All at once: a tree that grows in order is half empty.
        if !new.is_empty() {
            self.sources.append(&mut new);
        }
        self.forget(snapshot, policy, now, &mut out);
        out.stored.reserve_exact(self.sources.len());
        for (source, members) in &self.sources {
            collect(source, members, &mut out);
        }
        out.findings.sort_by(|a, b| (&a.object, &a.code, &a.why).cmp(&(&b.object, &b.code, &b.why)));
        out
    }

    /// Members that are not there any more go once their period is over, and only if the whole directory was seen.
    fn forget(&mut self, snapshot: &Snapshot, policy: &Policy, now: UnixTime, out: &mut Inventory) {
        for (source, members) in &mut self.sources {
            let there = snapshot.sources.get(source.as_ref());
            members.retain(|path, seen| {
                if there.is_some_and(|there| there.iter().any(|(p, _)| p == path)) || !out.complete {
                    return true;
                }
                let since = seen.gone_since().unwrap_or(now);
                seen.set_trouble(seen.bad_since(), Some(since));
                if seen.good.is_none() || now.since(since) >= policy.vanish {
                    return false;
                }
                wake(&mut out.changes_at, Some(since.plus(policy.vanish)));
                let ends = since.plus(policy.vanish);
                out.findings.push(kinds::VANISHED.on(
                    format!("file:{}", path.display()),
                    format!("it went at {since}; it is expected until {ends}"),
                ));
                true
            });
        }
        self.sources.retain(|_, members| !members.is_empty());
    }
}

fn collect(source: &Arc<str>, members: &Few<Arc<Path>, Seen>, out: &mut Inventory) {
    let mut certificates: Vec<Arc<Certificate>> = Vec::with_capacity(members.len().min(2));
    for (path, seen) in members.iter() {
        let Some(good) = &seen.good else {
            out.held.insert(source.as_ref().to_owned());
            continue;
        };
        match certificates.iter_mut().find(|other| other.family == good.family) {
            None => certificates.push(Arc::clone(good)),
            Some(other) if other.leaf == good.leaf => {}
            Some(other) => {
                out.findings.push(kinds::FAMILY_TWICE.on(
                    source.as_ref(),
                    format!("{} is the second {:?} certificate of it", path.display(), good.family),
                ));
                if (good.not_after, good.leaf) > (other.not_after, other.leaf) {
                    *other = Arc::clone(good);
                }
            }
        }
    }
    if !certificates.is_empty() {
        certificates.sort_by_key(|certificate| certificate.leaf);
        out.stored.push(Stored { source: Arc::clone(source), certificates });
    }
}

fn finding(fault: &Fault, object: &str, last_good: Option<&Certificate>) -> Finding {
    let why = match (fault.refuses, last_good) {
        (false, _) => fault.why.clone(),
        (true, Some(good)) => {
            format!("{}; {} (until {}) stays expected", fault.why, good.leaf.short(), good.not_after)
        }
        (true, None) => format!("{}; no good one was seen in its place since the start", fault.why),
    };
    fault.kind.on(object, why)
}

fn wake(at: &mut Option<UnixTime>, candidate: Option<UnixTime>) {
    if let Some(candidate) = candidate {
        *at = Some(at.map_or(candidate, |at| at.min(candidate)));
    }
}

impl Inventory {
    /// Puts several directories' inventories together.
    #[must_use]
    pub fn merge(all: impl IntoIterator<Item = Self>) -> Self {
        let mut out = Self { complete: true, ..Self::default() };
        for one in all {
            out.stored.extend(one.stored);
            out.held.extend(one.held);
            out.complete &= one.complete;
            out.findings.extend(one.findings);
            wake(&mut out.changes_at, one.changes_at);
        }
        out.stored.sort_by(|a, b| a.source.cmp(&b.source));
        out.stored.dedup_by(|a, b| a.source == b.source);
        out
    }
}

#[cfg(test)]
mod tests;
