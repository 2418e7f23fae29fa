//! `certdrift ledger show`.
use super::super::output::{self, DIM, Marks, RED, count};
use super::super::table::{Cell, Table};
use super::{all_shown, shown};
use certdrift_contract::ledger::{Content, Expectation};
use certdrift_contract::{Entry, Ledger, UnixTime};
use serde::Serialize;
use std::io::{self, Write};
use std::sync::Arc;

/// The answer.
#[derive(Serialize)]
pub(super) struct View {
    gateway: String,
    #[serde(rename = "match")]
    rules: &'static str,
    revision: u64,
    published_at: UnixTime,
    parts: usize,
    entries: Vec<Entry>,
    default: Option<Expectation>,
    #[serde(skip)]
    now: UnixTime,
}

impl View {
    pub(super) fn new(ledger: Ledger, parts: usize, now: UnixTime) -> Self {
        let entries = match ledger.content {
            Content::Entries(entries) => entries.into_iter().map(Arc::unwrap_or_clone).collect(),
            Content::Parts(_) => Vec::new(),
        };
        Self {
            gateway: ledger.gateway,
            rules: ledger.rules.as_str(),
            revision: ledger.revision.0,
            published_at: ledger.published_at,
            parts,
            entries,
            default: ledger.default,
            now,
        }
    }
}

/// At most so many hosts of an entry are shown unless wide.
const HOSTS: usize = 2;

impl output::View for View {
    const SCHEMA: &'static str = "certdrift.dev/ledger-show/v1";

    fn human(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
        let hosts: usize = self.entries.iter().map(|entry| entry.hosts.len()).sum();
        let entries = count(self.entries.len(), "entry", "entries");
        write!(to, "gateway {}: {} in {entries}", self.gateway, count(hosts, "host", "hosts"))?;
        if self.parts > 0 {
            write!(to, ", {}", count(self.parts, "part", "parts"))?;
        }
        let old = age(self.now.since(self.published_at));
        writeln!(
            to,
            "; {DIM}matched as {} does; revision {} of {} ({old} ago){DIM:#}",
            self.rules, self.revision, self.published_at
        )?;
        let mut table = Table::new(&["SOURCE", "HOSTS", "CURRENT", "ENDS", "RETIRING"]);
        let mut row = |source: &str, hosts: String, entry: &certdrift_contract::verdict::Expecting<'_>| {
            let ends = entry.current.iter().map(|e| e.not_after).min();
            let ends = match ends {
                Some(at) if at <= self.now => Cell::styled(format!("{} expired {at}", marks.bad), RED),
                Some(at) if wide => at.to_string().into(),
                Some(at) => format!("in {}", age(at.since(self.now))).into(),
                None => "".into(),
            };
            let limit = if wide { usize::MAX } else { 1 };
            let mut retiring: Vec<String> = entry
                .retiring
                .iter()
                .take(limit)
                .map(|r| {
                    let state = if r.until > self.now { "until" } else { "over since" };
                    format!("{} {state} {}", shown(&r.sha256, wide), r.until)
                })
                .collect();
            if entry.retiring.len() > retiring.len() {
                retiring.push(format!("+{}", entry.retiring.len() - retiring.len()));
            }
            table.row([
                source.into(),
                hosts.into(),
                all_shown(entry.current, wide).into(),
                ends,
                retiring.join(", ").into(),
            ]);
        };
        for entry in &self.entries {
            let limit = if wide { usize::MAX } else { HOSTS };
            let mut hosts: Vec<String> = entry.hosts.iter().take(limit).map(ToString::to_string).collect();
            if entry.hosts.len() > hosts.len() {
                hosts.push(format!("+{}", entry.hosts.len() - hosts.len()));
            }
            row(&entry.source, hosts.join(", "), &entry.expecting());
        }
        if let Some(default) = &self.default {
            row(&default.source, "(default)".to_owned(), &default.expecting());
        }
        table.write(to)
    }

    fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.source.clone()).collect()
    }

    fn short(&self) -> Vec<String> {
        let expired = |entry: &&Entry| entry.current.iter().any(|e| e.not_after <= self.now);
        self.entries.iter().filter(expired).map(|entry| format!("{}: expired", entry.source)).collect()
    }
}

/// A span in one unit.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}
