//! The audit for people: the verdict first, then hosts hop by hop, then what is wrong and what could not be read. Pure.
use super::report::{Gateway, Hop, Host, Report, Verdict};
use crate::cli::output::{BOLD, DIM, GREEN, Marks, RED, View, YELLOW, count, write_finding};
use crate::cli::table::{Cell, Table};
use anstyle::Style;
use std::io::{self, Write};

/// Without `-o wide`, so many hosts that are as they have to be are listed; a fleet is counted.
const LISTED_GOOD: usize = 20;
/// Without it, so many findings of a gateway.
const LISTED_FINDINGS: usize = 10;

fn mark(hop: Hop, marks: Marks) -> &'static str {
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

impl Report {
    fn hosts(&self) -> impl Iterator<Item = (&Gateway, &Host)> {
        self.gateways.iter().flat_map(|gateway| gateway.hosts.iter().map(move |host| (gateway, host)))
    }

    /// The worst in one line.
    fn headline(&self, to: &mut dyn Write) -> io::Result<()> {
        let all = self.hosts().count();
        let of = |verdict: Verdict| self.hosts().filter(|(_, host)| host.verdict == verdict).count();
        let first = self.hosts().find(|(_, host)| host.verdict == self.verdict);
        let about = first.map(|(_, host)| format!("{}: {}", host.host, host.detail)).unwrap_or_default();
        let more = |verdict: Verdict| match of(verdict).saturating_sub(1) {
            0 => String::new(),
            n => format!("; {} more", count(n, "host", "hosts")),
        };
        match self.verdict {
            Verdict::Drift => writeln!(to, "{RED}DRIFT{RED:#} {about}{}", more(Verdict::Drift)),
            Verdict::Invalid if first.is_some() => {
                writeln!(to, "{RED}INVALID{RED:#} {about}{}", more(Verdict::Invalid))
            }
            Verdict::Invalid => {
                writeln!(
                    to,
                    "{RED}INVALID{RED:#} a binding gives its host no certificate: see what is told below"
                )
            }
            Verdict::Unknown if self.gateways.is_empty() => {
                writeln!(to, "{YELLOW}UNKNOWN{YELLOW:#} no gateway was found")
            }
            Verdict::Unknown if all == 0 => {
                writeln!(
                    to,
                    "{YELLOW}UNKNOWN{YELLOW:#} nothing binds a certificate to a host of these gateways"
                )
            }
            Verdict::Unknown if first.is_some() => writeln!(
                to,
                "{YELLOW}UNKNOWN{YELLOW:#} {} of {} could not be judged; {about}",
                of(Verdict::Unknown),
                count(all, "host", "hosts")
            ),
            Verdict::Unknown => writeln!(
                to,
                "{YELLOW}UNKNOWN{YELLOW:#} not all could be read; {} as stored by every pod",
                count(all, "host that is known is served", "hosts that are known are served")
            ),
            Verdict::Match => writeln!(
                to,
                "{GREEN}MATCH{GREEN:#} {} as stored by every pod",
                count(all, "host is served", "hosts are served")
            ),
        }
    }

    fn rest(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
        if !self.unread.is_empty() {
            writeln!(to, "\n{BOLD}not read{BOLD:#}")?;
        }
        for unread in &self.unread {
            let place = unread.namespace.as_ref().map(|n| format!(" in {n}")).unwrap_or_default();
            let (mark, cost) = match &unread.costs {
                Some(cost) => (marks.unknown, cost.as_str()),
                None => (marks.none, "it changes nothing here"),
            };
            writeln!(
                to,
                "{YELLOW}{mark}{YELLOW:#} {} {}{place}: {cost} {DIM}({}){DIM:#}",
                unread.code, unread.kind, unread.why
            )?;
        }
        if !self.unbound.is_empty() {
            let listed = if wide { self.unbound.len() } else { self.unbound.len().min(5) };
            let names = self.unbound.iter().take(listed).cloned().collect::<Vec<_>>().join(", ");
            let more = if listed < self.unbound.len() { ", … (-o wide lists them)" } else { "" };
            let n = count(self.unbound.len(), "Certificate", "Certificates");
            writeln!(to, "\n{n} no host of these gateways is bound to: {names}{more}")?;
        }
        let read: Vec<String> =
            self.read.iter().filter(|(_, n)| **n > 0).map(|(kind, n)| format!("{n} {kind}")).collect();
        let read = if read.is_empty() { "nothing".to_owned() } else { read.join(", ") };
        writeln!(
            to,
            "\n{DIM}read {read}; {} ({}, at most {} a second and pod){DIM:#}",
            count(self.handshakes, "handshake", "handshakes"),
            self.way,
            self.per_second
        )
    }
}

fn gateway(gateway: &Gateway, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
    let pods = count(gateway.pods.len(), "pod", "pods");
    writeln!(to, "\n{BOLD}{}{BOLD:#} {DIM}{pods}; {}{DIM:#}", gateway.name, gateway.chosen)?;
    for pod in &gateway.pods {
        if let Some(why) = &pod.why {
            writeln!(to, "{YELLOW}{}{YELLOW:#} {} was not seen: {why}", marks.unknown, pod.name)?;
        } else if wide {
            let ready = if pod.ready { "ready" } else { "not ready" };
            writeln!(to, "{DIM}{} port {}, {ready}{DIM:#}", pod.name, pod.port)?;
        }
    }
    let bad = gateway.hosts.iter().filter(|host| host.verdict != Verdict::Match).count();
    let listed = if wide { gateway.hosts.len() } else { gateway.hosts.len().min(bad + LISTED_GOOD) };
    let mut headings = vec!["HOST", "ISSUED", "STORED", "BOUND", "SERVED"];
    if wide {
        headings.extend(["EXPECTED", "ENDS", "SECRET", "BY"]);
    }
    headings.push("DETAIL");
    let mut table = Table::new(&headings);
    for host in gateway.hosts.iter().take(listed) {
        let right = host.seen.iter().filter(|seen| matches!(seen.verdict, "match" | "incoming")).count();
        let hop = |hop: Hop| Cell::styled(mark(hop, marks), style(hop));
        let served = format!("{} {right}/{}", mark(host.served, marks), gateway.pods.len());
        let mut cells = vec![
            Cell::from(host.host.as_str()),
            hop(host.issued),
            hop(host.stored),
            hop(host.bound),
            Cell::styled(served, style(host.served)),
        ];
        if wide {
            let expected: Vec<String> = host.expected.iter().map(|leaf| leaf.short().to_string()).collect();
            cells.push(expected.join(",").into());
            cells.push(host.not_after.map(|end| end.to_string()).unwrap_or_default().into());
            cells.push(host.source.as_str().into());
            cells.push(host.by.as_str().into());
        }
        cells.push(host.detail.as_str().into());
        table.row(cells);
    }
    if !gateway.hosts.is_empty() {
        table.write(to)?;
    }
    if let Some(more) = gateway.hosts.len().checked_sub(listed).filter(|more| *more > 0) {
        writeln!(
            to,
            "{DIM}and {} more that are as they have to be (-o wide lists them){DIM:#}",
            count(more, "host", "hosts")
        )?;
    }
    let told = if wide { gateway.findings.len() } else { gateway.findings.len().min(LISTED_FINDINGS) };
    for finding in gateway.findings.iter().take(told) {
        write_finding(to, finding)?;
    }
    if let Some(more) = gateway.findings.len().checked_sub(told).filter(|more| *more > 0) {
        writeln!(
            to,
            "{DIM}and {} (-o wide tells them){DIM:#}",
            count(more, "finding more", "findings more")
        )?;
    }
    Ok(())
}

impl View for Report {
    const SCHEMA: &'static str = "certdrift.dev/audit/v1";

    fn human(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
        self.headline(to)?;
        self.findings.iter().try_for_each(|finding| write_finding(to, finding))?;
        for one in &self.gateways {
            gateway(one, to, wide, marks)?;
        }
        self.rest(to, wide, marks)
    }

    fn names(&self) -> Vec<String> {
        self.hosts().map(|(gateway, host)| format!("{}/{}", gateway.name, host.host)).collect()
    }

    fn short(&self) -> Vec<String> {
        let wrong = self.hosts().filter(|(_, host)| host.verdict != Verdict::Match);
        let rows = wrong.map(|(gateway, host)| {
            format!("{} {}/{} {}", host.verdict.as_str(), gateway.name, host.host, host.detail)
        });
        let findings = self.gateways.iter().flat_map(|gateway| {
            gateway
                .findings
                .iter()
                .map(|f| format!("{} {}/{}: {} {}", f.code, gateway.name, f.object, f.what, f.why))
        });
        let unread = self.unread.iter().filter_map(|unread| {
            Some(format!("{} {}: {}", unread.code, unread.kind, unread.costs.as_deref()?))
        });
        let whole = self.findings.iter().map(|f| format!("{} {}: {} {}", f.code, f.object, f.what, f.why));
        rows.chain(findings).chain(whole).chain(unread).collect()
    }
}
