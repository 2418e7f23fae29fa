//! `certdrift ledger verify`.
use super::super::output::{self, GREEN, Marks, RED, count, write_finding};
use super::load::Loaded;
use crate::finding::Finding;
use crate::publish::findings as kinds;
use certdrift_contract::ledger::{Content, Expected, MAX_AHEAD, Retiring};
use certdrift_contract::{Ledger, UnixTime};
use serde::Serialize;
use std::io::{self, Write};

/// The answer.
#[derive(Serialize)]
pub(super) struct View {
    ledger: String,
    valid: bool,
    gateway: Option<String>,
    revision: Option<u64>,
    entries: usize,
    parts: usize,
    findings: Vec<Finding>,
}

impl View {
    pub(super) fn new(loaded: &Loaded, now: UnixTime) -> Self {
        let place = loaded.place.clone();
        let mut view = Self {
            ledger: place.clone(),
            valid: true,
            gateway: None,
            revision: None,
            entries: 0,
            parts: 0,
            findings: Vec::new(),
        };
        match loaded.joined() {
            Err(error) => view.findings.push(kinds::INVALID.on(place, error.to_string())),
            Ok((ledger, parts)) => {
                view.gateway = Some(ledger.gateway.clone());
                view.revision = Some(ledger.revision.0);
                view.parts = parts;
                view.judge(&ledger, now);
            }
        }
        view.valid = view.findings.is_empty();
        view
    }

    pub(super) const fn valid(&self) -> bool {
        self.valid
    }

    fn judge(&mut self, ledger: &Ledger, now: UnixTime) {
        let clock = u64::try_from(now.seconds()).unwrap_or(0);
        let ahead = ledger.revision.0.saturating_sub(clock);
        if ahead > u64::try_from(MAX_AHEAD).unwrap_or(0) {
            let why = format!("it is {}, {ahead} s ahead of this machine's clock", ledger.revision.0);
            self.findings.push(kinds::REVISION_AHEAD.on(self.ledger.clone(), why));
        }
        if let Content::Entries(entries) = &ledger.content {
            self.entries = entries.len();
            for entry in entries {
                self.expectation(&entry.source, &entry.current, &entry.retiring, now);
            }
            for pair in entries.windows(2) {
                if let [one, other] = pair
                    && one.source == other.source
                {
                    self.findings.push(kinds::INVALID.on(one.source.clone(), "the source stands twice"));
                }
            }
        }
        if let Some(default) = &ledger.default {
            self.expectation(&default.source, &default.current, &default.retiring, now);
        }
    }

    fn expectation(&mut self, source: &str, current: &[Expected], retiring: &[Retiring], now: UnixTime) {
        for one in current {
            if one.not_after <= now {
                let why = format!("{} ended at {}", one.sha256.short(), one.not_after);
                self.findings.push(kinds::STALE_CURRENT.on(source, why));
            }
            if retiring.iter().any(|r| r.sha256 == one.sha256) {
                let why = format!("{} is both current and retiring", one.sha256.short());
                self.findings.push(kinds::INVALID.on(source, why));
            }
        }
    }
}

impl output::View for View {
    const SCHEMA: &'static str = "certdrift.dev/ledger-verify/v1";

    fn human(&self, to: &mut dyn Write, _wide: bool, marks: Marks) -> io::Result<()> {
        let Self { ledger, entries, parts, .. } = self;
        let gateway = self.gateway.as_deref().unwrap_or("unknown");
        if self.valid {
            return writeln!(
                to,
                "{GREEN}{} valid{GREEN:#} {ledger}: gateway {gateway}, {}, {}",
                marks.good,
                count(*entries, "entry", "entries"),
                count(*parts, "part", "parts")
            );
        }
        writeln!(
            to,
            "{RED}{} {}{RED:#} {ledger}: gateway {gateway}",
            marks.bad,
            count(self.findings.len(), "finding", "findings")
        )?;
        self.findings.iter().try_for_each(|finding| write_finding(to, finding))
    }

    fn names(&self) -> Vec<String> {
        self.findings.iter().map(|finding| finding.object.clone()).collect()
    }

    fn short(&self) -> Vec<String> {
        self.findings.iter().map(|f| format!("{} {}: {}", f.code, f.object, f.why)).collect()
    }
}
