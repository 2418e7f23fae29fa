//! `certdrift ledger diff`.
use super::super::output::{self, BOLD, GREEN, Marks, RED, YELLOW};
use super::{all_shown, shown};
use certdrift_contract::ledger::{Content, Expected, Retiring};
use certdrift_contract::{Entry, Ledger};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The answer.
#[derive(Serialize)]
pub(super) struct View {
    before: Id,
    after: Id,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Id {
    gateway: String,
    revision: u64,
}

/// One entry that is not what it was.
#[derive(Serialize)]
struct Change {
    source: String,
    change: Kind,
    details: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Added,
    Removed,
    Changed,
}

impl View {
    pub(super) fn new(before: &Ledger, after: &Ledger) -> Self {
        let (old, new) = (by_source(before), by_source(after));
        let mut changes = Vec::new();
        for (source, entry) in &old {
            match new.get(source) {
                None => changes.push(change(source, Kind::Removed, one(entry))),
                Some(now) => {
                    let mut details = hosts(entry, now);
                    details.extend(expectations(
                        &entry.current,
                        &now.current,
                        &entry.retiring,
                        &now.retiring,
                    ));
                    if !details.is_empty() {
                        changes.push(change(source, Kind::Changed, details));
                    }
                }
            }
        }
        for (source, entry) in new.iter().filter(|(source, _)| !old.contains_key(*source)) {
            changes.push(change(source, Kind::Added, one(entry)));
        }
        changes.sort_by(|a, b| a.source.cmp(&b.source));
        let mut own = Vec::new();
        if before.gateway != after.gateway {
            own.push(format!("gateway {} -> {}", before.gateway, after.gateway));
        }
        if before.rules != after.rules {
            own.push(format!("match {} -> {}", before.rules.as_str(), after.rules.as_str()));
        }
        let none = || (None, &[][..], &[][..]);
        let (was, current, retiring) =
            before.default.as_ref().map_or_else(none, |d| (Some(&d.source), &d.current[..], &d.retiring[..]));
        let (is, now, retired) =
            after.default.as_ref().map_or_else(none, |d| (Some(&d.source), &d.current[..], &d.retiring[..]));
        if was != is {
            let name = |source: Option<&String>| source.map_or("none", String::as_str).to_owned();
            own.push(format!("default {} -> {}", name(was), name(is)));
        }
        own.extend(
            expectations(current, now, retiring, retired).into_iter().map(|d| format!("default: {d}")),
        );
        if !own.is_empty() {
            changes.insert(0, change("(the ledger)", Kind::Changed, own));
        }
        let id = |ledger: &Ledger| Id { gateway: ledger.gateway.clone(), revision: ledger.revision.0 };
        Self { before: id(before), after: id(after), changes }
    }

    pub(super) fn same(&self) -> bool {
        self.changes.is_empty()
    }
}

fn change(source: &str, change: Kind, details: Vec<String>) -> Change {
    Change { source: source.to_owned(), change, details }
}

fn by_source(ledger: &Ledger) -> BTreeMap<&str, &Entry> {
    match &ledger.content {
        Content::Entries(entries) => entries.iter().map(|e| (e.source.as_str(), e.as_ref())).collect(),
        Content::Parts(_) => BTreeMap::new(),
    }
}

fn one(entry: &Entry) -> Vec<String> {
    let hosts: Vec<&str> = entry.hosts.iter().map(|h| h.as_str()).collect();
    vec![format!("hosts {}", hosts.join(", ")), format!("current {}", all_shown(&entry.current, false))]
}

fn hosts(old: &Entry, new: &Entry) -> Vec<String> {
    let gone = old.hosts.iter().filter(|h| !new.hosts.contains(h)).map(|h| format!("host {h} is gone"));
    let come = new.hosts.iter().filter(|h| !old.hosts.contains(h)).map(|h| format!("host {h} is new"));
    gone.chain(come).collect()
}

fn expectations(old: &[Expected], new: &[Expected], was: &[Retiring], is: &[Retiring]) -> Vec<String> {
    let mut out = Vec::new();
    let leaves = |all: &[Expected]| all.iter().map(|e| e.sha256).collect::<Vec<_>>();
    if leaves(old) != leaves(new) {
        out.push(format!("current {} -> {}", all_shown(old, false), all_shown(new, false)));
    } else {
        let pairs = || old.iter().zip(new);
        if pairs().any(|(a, b)| a.chain != b.chain) {
            out.push("the chain of current has changed".to_owned());
        }
        out.extend(
            pairs()
                .filter(|(a, b)| a.not_after != b.not_after)
                .map(|(a, b)| format!("{} ends {} -> {}", shown(&a.sha256, false), a.not_after, b.not_after)),
        );
    }
    let known = |all: &[Retiring], one: &Retiring| all.iter().any(|r| r.sha256 == one.sha256);
    out.extend(
        is.iter()
            .filter(|r| !known(was, r))
            .map(|r| format!("{} retires until {}", shown(&r.sha256, false), r.until)),
    );
    out.extend(
        was.iter()
            .filter(|r| !known(is, r))
            .map(|r| format!("{} is no longer retiring", shown(&r.sha256, false))),
    );
    out
}

impl output::View for View {
    const SCHEMA: &'static str = "certdrift.dev/ledger-diff/v1";

    fn human(&self, to: &mut dyn Write, _wide: bool, marks: Marks) -> io::Result<()> {
        let (before, after) = (self.before.revision, self.after.revision);
        if self.same() {
            return writeln!(to, "{GREEN}{} the same{GREEN:#} (revisions {before} and {after})", marks.good);
        }
        writeln!(to, "{BOLD}{} changes{BOLD:#} from revision {before} to {after}", self.changes.len())?;
        for change in &self.changes {
            let (sign, style) = match change.change {
                Kind::Added => ('+', GREEN),
                Kind::Removed => ('-', RED),
                Kind::Changed => ('~', YELLOW),
            };
            writeln!(to, "{style}{sign} {}{style:#}", change.source)?;
            for detail in &change.details {
                writeln!(to, "    {detail}")?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.changes.iter().map(|change| change.source.clone()).collect()
    }

    fn short(&self) -> Vec<String> {
        self.changes
            .iter()
            .map(|change| format!("{}: {}", change.source, change.details.join("; ")))
            .collect()
    }
}
