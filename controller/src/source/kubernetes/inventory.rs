//! What bound Secrets hold, over time: a good certificate is taken at once, a bad one never displaces the last good one. Pure.
use super::findings as kinds;
use super::secret::Secret;
use crate::cluster::{Names, ObjectName};
use crate::source::Stored;
use crate::source::check::assess;
use crate::source::inventory::Inventory;
use crate::source::reading::Reading;
use certdrift_contract::UnixTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds a deleted Secret stays expected.
pub const VANISH: i64 = 60;

/// What was seen of each bound Secret.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    bound: Names,
    /// One for each of `bound`.
    seen: Vec<Seen>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    /// Its name as a source; empty before it was needed.
    source: Arc<str>,
    /// The last good reading.
    good: Option<Arc<Reading>>,
    gone_since: Option<UnixTime>,
}

impl Memory {
    /// Whether a Secret that is not there counts as there: it held something good and has not been gone for long.
    #[must_use]
    pub fn still(&self, name: &ObjectName, now: UnixTime) -> bool {
        let at = self.bound.binary_search(name).ok();
        at.and_then(|at| self.seen.get(at)).is_some_and(|seen| {
            seen.good.is_some() && seen.gone_since.is_none_or(|since| now.since(since) < VANISH)
        })
    }

    /// Takes in what the Secrets in `bound` hold; `all` are those that are there, `complete` says that all were seen.
    pub fn feed(
        &mut self,
        bound: &Names,
        all: &BTreeMap<&ObjectName, &Secret>,
        complete: bool,
        now: UnixTime,
    ) -> Inventory {
        let mut out = Inventory { complete, ..Inventory::default() };
        if !Arc::ptr_eq(&self.bound, bound) {
            let mut before: BTreeMap<&ObjectName, Seen> =
                self.bound.iter().zip(std::mem::take(&mut self.seen)).collect();
            self.seen = bound.iter().map(|name| before.remove(name).unwrap_or_default()).collect();
            self.bound = Arc::clone(bound);
        }
        // All are sorted: each is walked once.
        let mut all = all.iter().peekable();
        for (name, seen) in self.bound.iter().zip(&mut self.seen) {
            while all.next_if(|(there, _)| **there < name).is_some() {}
            match all.next_if(|(there, _)| **there == name) {
                Some((_, secret)) => seen.there(name, secret, now, &mut out),
                None => seen.gone(name, now, &mut out),
            }
        }
        out
    }
}

impl Seen {
    fn source(&mut self, name: &ObjectName) -> Arc<str> {
        if self.source.is_empty() {
            self.source = name.to_string().into();
        }
        Arc::clone(&self.source)
    }

    fn there(&mut self, name: &ObjectName, secret: &Secret, now: UnixTime, out: &mut Inventory) {
        self.gone_since = None;
        let source = self.source(name);
        let assessed = assess(&secret.reading, None, now);
        wake(&mut out.changes_at, assessed.changes_at);
        if assessed.good.is_some() {
            self.good = Some(Arc::clone(&secret.reading));
        }
        let last = self.good.as_ref().and_then(|r| r.certificate.clone());
        for fault in &assessed.faults {
            let why = match (fault.refuses, &last) {
                (false, _) => fault.why.clone(),
                (true, Some(good)) => {
                    format!("{}; {} (until {}) stays expected", fault.why, good.leaf.short(), good.not_after)
                }
                (true, None) => format!("{}; no good one was seen in it since the start", fault.why),
            };
            out.findings.push(fault.kind.on(&*source, why));
        }
        match last {
            Some(certificate) => out.stored.push(Stored { source, certificates: vec![certificate] }),
            None => {
                out.held.insert(source.to_string());
            }
        }
    }

    fn gone(&mut self, name: &ObjectName, now: UnixTime, out: &mut Inventory) {
        let Some(certificate) = self.good.as_ref().and_then(|r| r.certificate.clone()) else {
            *self = Self::default();
            return;
        };
        let source = self.source(name);
        if out.complete {
            let since = *self.gone_since.get_or_insert(now);
            let ends = since.plus(VANISH);
            if now >= ends {
                *self = Self::default();
                return;
            }
            wake(&mut out.changes_at, Some(ends));
            let why = format!("it went at {since}; it is expected until {ends}");
            out.findings.push(kinds::SECRET_VANISHED.on(&*source, why));
        }
        out.stored.push(Stored { source, certificates: vec![certificate] });
    }
}

fn wake(at: &mut Option<UnixTime>, candidate: Option<UnixTime>) {
    if let Some(candidate) = candidate {
        *at = Some(at.map_or(candidate, |at| at.min(candidate)));
    }
}
