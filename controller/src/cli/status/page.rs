//! Status for people: the verdict first, then the worst hosts' hops, then what is wrong. Pure.
use super::hops::{Grade, Hop, Hops, at, grade};
use super::view::{GatewayShown, Shown};
use crate::cli::output::{BOLD, DIM, GREEN, Marks, RED, YELLOW};
use crate::cli::table::{Cell, Table};
use crate::converge::Mode;
use crate::diagnose::cannot_tell;
use crate::finding::Severity;
use crate::run::state::{Gateway, Host, Seen};
use anstyle::Style;
use std::io::{self, Write};

/// Without `-o wide`, so many hosts that are as expected are listed; a fleet is counted.
const LISTED_GOOD: usize = 20;

/// `14 min`, `3 h`, `2 d`
pub(super) fn ago(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s @ 7_200..=172_799 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

fn short(fingerprint: Option<&String>) -> &str {
    fingerprint.and_then(|f| f.get(..8)).unwrap_or("nothing")
}

impl Shown {
    /// The worst thing in one line.
    pub(super) fn headline(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut rows: Vec<(Grade, &Gateway, &Host)> = self.rows().map(|(g, h)| (grade(g, h), g, h)).collect();
        rows.sort_by_key(|(grade, ..)| std::cmp::Reverse(*grade));
        let count = |grade: Grade| rows.iter().filter(|(g, ..)| *g == grade).count();
        let Some((worst, gateway, host)) = rows.first() else {
            let why = if self.missing.is_empty() {
                "no ledger lists a host".to_owned()
            } else {
                self.missing.join("; ")
            };
            return writeln!(
                to,
                "{YELLOW}UNKNOWN{YELLOW:#} {why} (certdrift status -o name lists all hosts)"
            );
        };
        if *worst == Grade::Good && !self.missing.is_empty() {
            return writeln!(
                to,
                "{YELLOW}UNKNOWN{YELLOW:#} {}; whatever else is listed is as expected",
                self.missing.join("; ")
            );
        }
        match worst {
            Grade::Drift => {
                let wrong: Vec<&Seen> = host.seen.iter().filter(|s| s.drifts()).collect();
                let since = wrong.iter().map(|s| s.since).min().unwrap_or(self.now);
                let more = count(Grade::Drift) - 1;
                let more = match more {
                    0 => String::new(),
                    1 => "; 1 more host drifts".to_owned(),
                    more => format!("; {more} more hosts drift"),
                };
                let class = wrong.first().and_then(|s| s.class.as_deref()).unwrap_or("unknown");
                writeln!(
                    to,
                    "{RED}DRIFT{RED:#} {}: {} of {} endpoints of {} serve {} (since {}){more}",
                    host.host,
                    wrong.len(),
                    gateway.endpoints.len(),
                    gateway.name,
                    class_words(class),
                    ago(self.now.since(since)),
                )
            }
            Grade::NotStored => {
                let n = count(Grade::NotStored);
                writeln!(
                    to,
                    "{RED}NOT STORED{RED:#} {}: its next certificate is signed, and its Secret does not hold it; hosts concerned: {n}",
                    host.host
                )
            }
            Grade::Issued => {
                let n = count(Grade::Issued);
                writeln!(
                    to,
                    "{RED}NOT ISSUED{RED:#} {}: its next certificate is not issued, what is served goes on being served until it ends; hosts concerned: {n}",
                    host.host
                )
            }
            Grade::Stored => {
                let n = count(Grade::Stored);
                writeln!(
                    to,
                    "{RED}INVALID{RED:#} what is stored for {} is worse than what is served; hosts concerned: {n}",
                    host.host
                )
            }
            Grade::Unknown => writeln!(
                to,
                "{YELLOW}UNKNOWN{YELLOW:#} {} of {} hosts could not be seen on every endpoint",
                count(Grade::Unknown),
                rows.len()
            ),
            Grade::Good => writeln!(
                to,
                "{GREEN}MATCH{GREEN:#} {} served as expected on every endpoint",
                if rows.len() == 1 { "1 host is".to_owned() } else { format!("{} hosts are", rows.len()) }
            ),
        }
    }

    pub(super) fn gateway(
        &self,
        shown: &GatewayShown,
        to: &mut dyn Write,
        wide: bool,
        marks: Marks,
    ) -> io::Result<()> {
        let gateway = &shown.gateway;
        let mode = match gateway.mode {
            Mode::Observe => "tells only",
            Mode::Heal => "heals",
        };
        let ledger = gateway.ledger.as_ref().map_or("no ledger yet".to_owned(), |l| {
            let hosts = if l.hosts == 1 { "host" } else { "hosts" };
            format!("ledger {} of {}, {} {hosts}", l.revision, l.published_at, l.hosts)
        });
        writeln!(to, "\n{BOLD}{}{BOLD:#} {DIM}{mode}; {ledger}{DIM:#}", gateway.name)?;
        for endpoint in &gateway.endpoints {
            if endpoint.answers == Some(false) {
                let name = &endpoint.name;
                writeln!(
                    to,
                    "{YELLOW}{}{YELLOW:#} {name} ({}) does not answer: {}",
                    marks.unknown, endpoint.address, endpoint.why
                )?;
            }
        }
        if let Some(canary) = &gateway.canary {
            let (style, words) = super::canary::line(canary, self.now);
            writeln!(to, "{style}{words}{style:#}")?;
        }
        let mut rows: Vec<(Grade, &Hops, &Host)> = shown
            .hops
            .iter()
            .zip(&gateway.hosts)
            .map(|(hops, host)| (grade(gateway, host), hops, host))
            .collect();
        rows.sort_by_key(|(grade, ..)| std::cmp::Reverse(*grade));
        let bad = rows.iter().filter(|(g, ..)| *g != Grade::Good).count();
        let shown_rows = if wide { rows.len() } else { rows.len().min(bad + LISTED_GOOD) };
        let mut table = if wide {
            Table::new(&[
                "HOST", "ISSUED", "STORED", "BOUND", "LOADED", "SERVED", "EXPECTED", "ENDS", "DETAIL",
            ])
        } else {
            Table::new(&["HOST", "ISSUED", "STORED", "BOUND", "LOADED", "SERVED", "DETAIL"])
        };
        for (_, hops, host) in rows.iter().take(shown_rows) {
            let right = host.seen.iter().filter(|s| s.right()).count();
            let served = format!("{} {right}/{}", mark(hops.served, marks), gateway.endpoints.len());
            let mut cells = vec![
                Cell::from(host.host.as_str()),
                Cell::styled(mark(hops.issued, marks), style(hops.issued)),
                Cell::styled(mark(hops.stored, marks), style(hops.stored)),
                Cell::styled(mark(hops.bound, marks), style(hops.bound)),
                Cell::styled(mark(hops.loaded, marks), style(hops.loaded)),
                Cell::styled(served, style(hops.served)),
            ];
            if wide {
                let expected: Vec<&str> = host.expected.iter().map(|f| short(Some(f))).collect();
                cells.push(expected.join(",").into());
                cells.push(host.not_after.map(|t| t.to_string()).unwrap_or_default().into());
            }
            cells.push(self.detail(gateway, host, wide).into());
            table.row(cells);
        }
        if !rows.is_empty() {
            table.write(to)?;
        }
        if shown_rows < rows.len() {
            writeln!(
                to,
                "{DIM}and {} hosts more that are as expected (-o wide lists them){DIM:#}",
                rows.len() - shown_rows
            )?;
        }
        self.findings(gateway, to, wide)
    }

    /// What the row's worst hop is about.
    pub(super) fn detail(&self, gateway: &Gateway, host: &Host, wide: bool) -> String {
        let mut parts = Vec::new();
        for seen in host.seen.iter().filter(|s| s.drifts()) {
            let mut part = format!(
                "{} serves {} {}",
                seen.endpoint,
                class_words(seen.class.as_deref().unwrap_or("unknown")),
                short(seen.served.as_ref())
            );
            match seen.cause.as_deref() {
                Some("unexplained") if wide && !seen.lacks.is_empty() => {
                    part.push_str(&format!(" ({})", cannot_tell(&seen.lacks)));
                }
                Some("unexplained") | None => {}
                Some(cause) => part.push_str(&format!(" ({cause})")),
            }
            if let Some(reason) = &seen.acknowledged {
                part.push_str(&format!(" (let be: {reason})"));
            } else if let Some(waits) = &seen.waits {
                part.push_str(&format!(", waits for {waits}"));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            for endpoint in &gateway.endpoints {
                match at(host, &endpoint.name) {
                    None => parts.push(format!("{} not seen yet", endpoint.name)),
                    Some(Seen { blind: Some(why), .. }) => parts.push(format!("{}: {why}", endpoint.name)),
                    Some(seen) if !seen.right() => {
                        let since = ago(self.now.since(seen.since));
                        parts.push(format!("{} {} for {since}", endpoint.name, seen.verdict));
                    }
                    Some(_) => {}
                }
            }
        }
        if parts.is_empty() {
            let proofs =
                host.seen.iter().filter_map(|s| Some(format!("{}: {}", s.endpoint, s.proof.as_ref()?)));
            return if wide { proofs.collect::<Vec<_>>().join("; ") } else { String::new() };
        }
        let first = parts.len().min(if wide { usize::MAX } else { 1 });
        let more = parts.len() - first;
        let mut text = parts.into_iter().take(first).collect::<Vec<_>>().join("; ");
        if more > 0 {
            text.push_str(&format!("; {more} more"));
        }
        text
    }

    fn findings(&self, gateway: &Gateway, to: &mut dyn Write, wide: bool) -> io::Result<()> {
        let told = gateway.findings.iter().filter(|f| wide || f.severity >= Severity::Warning);
        let most = if wide { usize::MAX } else { 5 };
        let all: Vec<_> = told.collect();
        for finding in all.iter().take(most) {
            crate::cli::output::write_finding(to, finding)?;
        }
        if all.len() > most {
            writeln!(to, "{DIM}and {} findings more (-o wide){DIM:#}", all.len() - most)?;
        }
        if let Some(remedy) = &gateway.remedy {
            writeln!(to, "{BOLD}{remedy}{BOLD:#} is under way")?;
        }
        if wide {
            for renewal in &gateway.renewals {
                let seconds = |from: crate::converge::Millis, to: crate::converge::Millis| {
                    let millis = to.since(from).max(0);
                    format!("{}.{:03} s", millis / 1000, millis % 1000)
                };
                let issued = match (renewal.requested, renewal.issued) {
                    (Some(from), Some(to)) => {
                        let (asked, stored) = (seconds(from, to), seconds(to, renewal.stored));
                        format!("signed {asked} after its request, stored {stored} after that, ")
                    }
                    _ => String::new(),
                };
                writeln!(
                    to,
                    "renewed {} at {}: {issued}published after {}, proven after {}",
                    renewal.source,
                    renewal.stored,
                    seconds(renewal.stored, renewal.published),
                    seconds(renewal.stored, renewal.served)
                )?;
            }
        }
        Ok(())
    }
}

fn class_words(class: &str) -> &'static str {
    match class {
        "previous" => "the old certificate",
        "other" => "another host's certificate",
        "default" => "the default certificate",
        _ => "an unknown certificate",
    }
}

const fn mark(hop: Hop, marks: Marks) -> &'static str {
    match hop {
        Hop::Good => marks.good,
        Hop::Bad => marks.bad,
        Hop::Unknown => marks.unknown,
        Hop::None => marks.none,
    }
}

const fn style(hop: Hop) -> Style {
    match hop {
        Hop::Good => GREEN,
        Hop::Bad => RED,
        Hop::Unknown => YELLOW,
        Hop::None => DIM,
    }
}
