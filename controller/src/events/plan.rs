//! Which Events to write. Pure.
use crate::cluster::ObjectName;
use crate::converge::Millis;
use crate::finding::{Finding, Severity};
use certdrift_contract::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};

/// While it lasts, a finding is told again after so long: the API server forgets an Event after an hour.
pub const AGAIN: i64 = 30 * 60 * 1000;
/// So many Events at once, for all objects together.
pub const BURST: u32 = 25;
/// After a burst, one Event in so many milliseconds.
pub const REFILL: i64 = 10_000;
/// Bytes of a note that the API server takes.
pub(super) const NOTE: usize = 1024;

/// The object that a finding is told on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Regarding {
    /// `networking.k8s.io/v1`
    pub api_version: String,
    /// `Ingress`
    pub kind: String,
    /// Where it is; of the cluster: its Events are in `default`.
    pub object: ObjectName,
    /// Of that very object; may be empty where it is not known.
    pub uid: String,
}

/// An Event. The server lets nothing of it be changed but its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it is written.
    pub namespace: String,
    /// Made of what it says on what, so that a restart or another leader meets it again.
    pub name: String,
    /// On what.
    pub regarding: Regarding,
    /// The finding's code, for `certdrift explain`.
    pub reason: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// What, why, what to do.
    pub note: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Writes it, for the first time as far as we know.
    Create(Event),
    /// It has been seen so often.
    Repeat(Event, u32),
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Done.
    Done,
    /// It is there already, seen so often, the last time at this time: a leader before us wrote it.
    Exists(u32, Millis),
    /// It is not there any more.
    Gone,
    /// Not done; it is tried again after [`REFILL`].
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// 0: it has to be written.
    count: u32,
    /// When it was told last, or tried.
    last: Millis,
    failed: bool,
}

/// What was told, and at what rate.
#[derive(Clone, Debug)]
pub struct Planner {
    known: BTreeMap<String, Known>,
    tokens: u32,
    refilled: Millis,
}

impl Act {
    /// Name of the Event.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Create(event) | Self::Repeat(event, _) => &event.name,
        }
    }
}

impl Planner {
    /// Nothing was told yet.
    #[must_use]
    pub const fn new(now: Millis) -> Self {
        Self { known: BTreeMap::new(), tokens: BURST, refilled: now }
    }

    /// What to write now, of all findings as they stand. Those of [`Severity::Info`] are not told. Several of one text on
    /// one object are one.
    #[must_use]
    pub fn plan(&mut self, findings: &[(Regarding, Finding)], now: Millis) -> Vec<Act> {
        self.refill(now);
        let told = findings.iter().filter(|(_, finding)| finding.severity > Severity::Info);
        let mut events: Vec<(Severity, Event)> = told.map(|(on, f)| (f.severity, event(on, f))).collect();
        // What hurts now is told first when not all can be.
        events.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
        let mut seen = BTreeSet::new();
        events.retain(|(_, event)| seen.insert(event.name.clone()));
        // One that is over is kept so long that a finding that comes and goes is no new Event each time.
        self.known.retain(|name, known| seen.contains(name) || now.since(known.last) < AGAIN);
        let mut acts = Vec::new();
        for (_, event) in events {
            let known = self.known.get(&event.name).copied();
            let due = known.is_none_or(|k| now.since(k.last) >= if k.failed { REFILL } else { AGAIN });
            if !due {
                continue;
            }
            let Some(left) = self.tokens.checked_sub(1) else { break };
            self.tokens = left;
            let count = known.map_or(0, |k| k.count);
            self.known.insert(event.name.clone(), Known { count, last: now, failed: true });
            acts.push(match count {
                0 => Act::Create(event),
                count => Act::Repeat(event, count.saturating_add(1)),
            });
        }
        acts
    }

    /// What came of a request.
    pub fn hear(&mut self, name: &str, heard: Heard, now: Millis) {
        let Some(known) = self.known.get_mut(name) else { return };
        *known = match heard {
            Heard::Done => Known { count: known.count.saturating_add(1), last: now, failed: false },
            Heard::Exists(count, last) => Known { count: count.max(1), last: last.min(now), failed: false },
            Heard::Gone => Known { count: 0, last: now, failed: true },
            Heard::Failed => Known { last: now, failed: true, ..*known },
        };
    }

    fn refill(&mut self, now: Millis) {
        let passed = now.since(self.refilled).checked_div(REFILL).unwrap_or(0).max(0);
        self.refilled = Millis(self.refilled.0.saturating_add(passed.saturating_mul(REFILL)));
        let more = u32::try_from(passed).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(more).min(BURST);
    }
}

fn event(on: &Regarding, finding: &Finding) -> Event {
    let mut note = format!("{}: {}; {}", finding.what, finding.why, finding.mend);
    if note.len() > NOTE {
        let mut end = NOTE - '…'.len_utf8();
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
        note.push('…');
    }
    let object = &on.object;
    let all = [&*on.api_version, &on.kind, &object.namespace, &object.name, &on.uid, &finding.code, &note];
    let digest = Fingerprint::of(all.join("\n").as_bytes()).to_string();
    let short: String = digest.chars().take(16).collect();
    let namespace = if object.namespace.is_empty() { "default".into() } else { object.namespace.to_string() };
    // A name has 253 characters at most.
    let stem: String = object.name.chars().take(230).collect();
    Event {
        namespace,
        name: format!("{}.{short}", stem.trim_end_matches(['.', '-'])),
        regarding: on.clone(),
        reason: finding.code.clone(),
        warning: finding.severity > Severity::Info,
        note,
    }
}

#[cfg(test)]
mod tests;
