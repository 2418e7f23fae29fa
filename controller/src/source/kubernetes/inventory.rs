//! What bound Secrets hold, over time: a good certificate is taken at once, a bad one never displaces the last good one. Pure.
use super::findings as kinds;
use super::secret::Secret;
use crate::cluster::ObjectName;
use crate::source::Stored;
use crate::source::check::assess;
use crate::source::inventory::Inventory;
use crate::source::reading::Reading;
use certdrift_contract::UnixTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Seconds a deleted Secret stays expected.
pub const VANISH: i64 = 60;

/// The last good reading of each bound Secret.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    seen: BTreeMap<ObjectName, Seen>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    good: Option<Arc<Reading>>,
    gone_since: Option<UnixTime>,
}

impl Memory {
    /// Whether a Secret that is not there counts as there: it held something good and has not been gone for long.
    #[must_use]
    pub fn still(&self, name: &ObjectName, now: UnixTime) -> bool {
        self.seen.get(name).is_some_and(|seen| {
            seen.good.is_some() && seen.gone_since.is_none_or(|since| now.since(since) < VANISH)
        })
    }

    /// Takes in what the Secrets in `bound` hold; `complete` says that all Secrets were seen.
    pub fn feed<'a>(
        &mut self,
        bound: &BTreeSet<ObjectName>,
        get: impl Fn(&ObjectName) -> Option<&'a Secret>,
        complete: bool,
        now: UnixTime,
    ) -> Inventory {
        let mut out = Inventory { complete, ..Inventory::default() };
        self.seen.retain(|name, _| bound.contains(name));
        for name in bound {
            let source = name.to_string();
            let Some(secret) = get(name) else {
                self.gone(name, &source, now, &mut out);
                continue;
            };
            if !self.seen.contains_key(name) {
                self.seen.insert(name.clone(), Seen::default());
            }
            let Some(seen) = self.seen.get_mut(name) else { continue };
            seen.gone_since = None;
            let assessed = assess(&secret.reading, None, now);
            wake(&mut out.changes_at, assessed.changes_at);
            if assessed.good.is_some() {
                seen.good = Some(Arc::clone(&secret.reading));
            }
            let last = seen.good.as_ref().and_then(|r| r.certificate.clone());
            for fault in &assessed.faults {
                let why = match (fault.refuses, &last) {
                    (false, _) => fault.why.clone(),
                    (true, Some(good)) => format!(
                        "{}; {} (until {}) stays expected",
                        fault.why,
                        good.leaf.short(),
                        good.not_after
                    ),
                    (true, None) => format!("{}; no good one was seen in it since the start", fault.why),
                };
                out.findings.push(fault.kind.on(source.clone(), why));
            }
            match last {
                Some(certificate) => {
                    out.stored.push(Stored { source: source.into(), certificates: vec![certificate] });
                }
                None => {
                    out.held.insert(source);
                }
            }
        }
        out
    }

    fn gone(&mut self, name: &ObjectName, source: &str, now: UnixTime, out: &mut Inventory) {
        let Some(seen) = self.seen.get_mut(name) else { return };
        let Some(certificate) = seen.good.as_ref().and_then(|r| r.certificate.clone()) else {
            self.seen.remove(name);
            return;
        };
        if out.complete {
            let since = *seen.gone_since.get_or_insert(now);
            let ends = since.plus(VANISH);
            if now >= ends {
                self.seen.remove(name);
                return;
            }
            wake(&mut out.changes_at, Some(ends));
            let why = format!("it went at {since}; it is expected until {ends}");
            out.findings.push(kinds::SECRET_VANISHED.on(source, why));
        }
        out.stored.push(Stored { source: source.into(), certificates: vec![certificate] });
    }
}

fn wake(at: &mut Option<UnixTime>, candidate: Option<UnixTime>) {
    if let Some(candidate) = candidate {
        *at = Some(at.map_or(candidate, |at| at.min(candidate)));
    }
}
