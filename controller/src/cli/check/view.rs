//! How `check` answers: the verdict, the evidence, what mends it. The JSON form is public contract.
use crate::cli::Exit;
use crate::cli::output::{self, BOLD, GREEN, Marks, RED, View, YELLOW};
use crate::cli::table::{Cell, Table};
use crate::finding::{Finding, Severity};
use crate::observe::handshake;
use crate::observe::verifier::Possession;
use crate::source::KeyFamily;
use certdrift_contract::{Fingerprint, UnixTime};
use serde::Serialize;
use std::io::{self, Write};

/// Of an address, a host, or the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// What is expected is served, and in date.
    Match,
    /// Nothing was expected; what anybody can see is in order.
    Valid,
    /// Another certificate is served than expected, or one that is expected is not.
    Drift,
    /// What is served is expired, covers another host, has a broken chain …
    Invalid,
    /// Could not be told.
    Unknown,
}

impl Verdict {
    /// For the shell.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Match | Self::Valid => Exit::Good,
            Self::Drift | Self::Invalid => Exit::Drift,
            Self::Unknown => Exit::Unknown,
        }
    }

    /// Of several: drift before invalid, both before unknown, that before good.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |v: Self| match v {
            Self::Match | Self::Valid => 0,
            Self::Unknown => 1,
            Self::Invalid => 2,
            Self::Drift => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Match => "MATCH",
            Self::Valid => "VALID",
            Self::Drift => "DRIFT",
            Self::Invalid => "INVALID",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The worst.
    pub verdict: Verdict,
    /// As the shell gets it.
    pub exit_code: u8,
    /// When it was looked.
    pub at: UnixTime,
    /// In the order typed.
    pub hosts: Vec<Host>,
}

/// One host.
#[derive(Debug, Serialize)]
pub struct Host {
    /// As a ledger would list it.
    pub host: String,
    /// The server name that was sent; null for an address.
    pub sni: Option<String>,
    /// A label of `sni` is made up, because a wildcard cannot be sent.
    pub made_up: bool,
    /// The worst of its addresses.
    pub verdict: Verdict,
    /// All it has.
    pub addresses: Vec<Address>,
    /// About the host as a whole: it has no address.
    pub findings: Vec<Finding>,
}

/// One address.
#[derive(Debug, Serialize)]
pub struct Address {
    /// `ADDRESS:PORT`
    pub address: String,
    /// Of it.
    pub verdict: Verdict,
    /// Those served, each once.
    pub certificates: Vec<Certificate>,
    /// What was asked for and not seen.
    pub unseen: Vec<Unseen>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
}

/// A handshake that showed nothing.
#[derive(Debug, Serialize)]
pub struct Unseen {
    /// Asked for.
    pub family: KeyFamily,
    /// `family-not-served`, `unreachable`, `unobservable`.
    pub outcome: &'static str,
    /// In words.
    pub why: String,
}

impl Unseen {
    /// One.
    #[must_use]
    pub fn new(family: KeyFamily, outcome: &'static str, why: &str) -> Self {
        Self { family, outcome, why: why.to_owned() }
    }
}

/// One certificate that was served.
#[derive(Debug, Serialize)]
pub struct Certificate {
    /// Asked for, and got.
    pub family: KeyFamily,
    /// Of the leaf.
    pub sha256: Fingerprint,
    /// Whether it is one of those expected; absent when nothing is.
    pub expected: Option<bool>,
    /// Nothing is wrong with it.
    pub good: bool,
    /// Begin of validity; absent when it cannot be read.
    pub not_before: Option<UnixTime>,
    /// End of validity.
    pub not_after: Option<UnixTime>,
    /// Whole days until then; negative once it is over.
    pub days_left: Option<i64>,
    /// Distinguished name.
    pub subject: Option<String>,
    /// Of who signed it.
    pub issuer: Option<String>,
    /// DNS names and addresses.
    pub names: Vec<String>,
    /// `rsa 2048`, `ecdsa p-256` …
    pub key: Option<String>,
    /// Of what was sent after the leaf.
    pub chain: Vec<Fingerprint>,
    /// Each is signed by the next.
    pub chain_in_order: bool,
    /// A path leads to a root; absent when there are no roots to judge by.
    pub trusted: Option<bool>,
    /// The same in words.
    pub trust: Option<String>,
    /// Whether the peer proved that it holds the key.
    #[serde(flatten)]
    pub possession: Possession,
    /// `TLSv1.3`, `TLSv1.2`; absent when the handshake broke off later.
    pub tls: Option<&'static str>,
    /// Why it did.
    pub broke_off: Option<String>,
}

impl Host {
    fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.addresses.iter().flat_map(|a| &a.findings))
    }

    /// The first line: how many addresses, and what is the matter.
    fn headline(&self) -> String {
        let total = self.addresses.len();
        let these = self.addresses.iter().filter(|a| a.verdict == self.verdict).count();
        let all = match total {
            1 => "1 address".to_owned(),
            n => format!("{n} addresses"),
        };
        let of = if these == total { format!("all {all}") } else { format!("{these} of {all}") };
        let of = if total == 1 { "its only address".to_owned() } else { of };
        let until = self
            .addresses
            .iter()
            .flat_map(|a| &a.certificates)
            .filter_map(|c| Some((c.not_after?, c.days_left?)))
            .min();
        let until = until.map_or(String::new(), |(end, days)| format!(" until {end} ({days} days)"));
        let first = self
            .all_findings()
            .find(|f| f.severity == Severity::Error)
            .or_else(|| self.all_findings().next());
        let what = first.map_or("", |f| &*f.what);
        match self.verdict {
            Verdict::Match => format!("{of} shows what is expected{until}"),
            Verdict::Valid => format!("in order{until}; nothing was expected (--expect)"),
            Verdict::Unknown if total == 0 => first.map_or_else(String::new, |f| {
                if f.object == self.sni.as_deref().unwrap_or(&self.host) {
                    f.why.clone()
                } else {
                    format!("{}: {}", f.object, f.why)
                }
            }),
            Verdict::Drift | Verdict::Invalid | Verdict::Unknown if total == 1 => what.to_owned(),
            Verdict::Drift | Verdict::Invalid | Verdict::Unknown => format!("{of}: {what}"),
        }
    }
}

impl Report {
    /// What `--wait` tells while it waits: a host that is not good yet, and why; the rest is counted.
    #[must_use]
    pub fn news(&self) -> String {
        let mut bad = self.hosts.iter().filter(|h| h.verdict.exit() != Exit::Good);
        let first = bad
            .next()
            .map_or_else(String::new, |h| format!("{} {}: {}", h.verdict.word(), h.host, h.headline()));
        match bad.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        }
    }
}

impl View for Report {
    const SCHEMA: &'static str = "certdrift.dev/check/v1";

    fn human(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
        for (n, host) in self.hosts.iter().enumerate() {
            if n > 0 {
                writeln!(to)?;
            }
            let (mark, style) = match host.verdict {
                Verdict::Match | Verdict::Valid => (marks.good, GREEN),
                Verdict::Drift | Verdict::Invalid => (marks.bad, RED),
                Verdict::Unknown => (marks.unknown, YELLOW),
            };
            writeln!(
                to,
                "{style}{mark} {}{style:#} {BOLD}{}{BOLD:#}: {}",
                host.verdict.word(),
                host.host,
                host.headline()
            )?;
            if let (true, Some(sni)) = (host.made_up, &host.sni) {
                writeln!(to, "  asked for as {sni}: a wildcard itself cannot be")?;
            }
            evidence(host, to, wide, marks)?;
            let mut findings: Vec<&Finding> = host.all_findings().collect();
            findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
            for finding in findings {
                output::write_finding(to, finding)?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.hosts.iter().map(|h| h.host.clone()).collect()
    }

    fn short(&self) -> Vec<String> {
        let line = |host: &Host, finding: &Finding| {
            format!(
                "{} {} {} {}: {}",
                host.verdict.word().to_lowercase(),
                host.host,
                finding.code,
                finding.object,
                finding.why
            )
        };
        let wrong = |f: &&Finding| f.severity != Severity::Info;
        self.hosts
            .iter()
            .filter(|h| h.verdict.exit() != Exit::Good)
            .flat_map(|h| h.all_findings().filter(wrong).map(move |f| line(h, f)))
            .collect()
    }
}

fn evidence(host: &Host, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
    let headings: &[&str] = if wide {
        &[
            "  ADDRESS",
            "KEY",
            "SERVED",
            "UNTIL",
            "DAYS",
            "CHAIN",
            "TRUSTED",
            "KEY PROVEN",
            "TLS",
            "ISSUER",
            "NAMES",
        ]
    } else {
        &["  ADDRESS", "KEY", "SERVED", "UNTIL", "DAYS", "CHAIN", "TRUSTED"]
    };
    let mut table = Table::new(headings);
    let mut rows = 0;
    for address in &host.addresses {
        for c in &address.certificates {
            rows += 1;
            table.row(row(address, c, wide, marks));
        }
    }
    if rows > 0 { table.write(to) } else { Ok(()) }
}

fn row(address: &Address, c: &Certificate, wide: bool, marks: Marks) -> Vec<Cell> {
    let (mark, style) = if c.good { (marks.good, GREEN) } else { (marks.bad, RED) };
    let none = || marks.none.to_owned();
    let served = if wide { c.sha256.to_string() } else { c.sha256.short().to_string() };
    let chain = match (c.chain.len(), c.chain_in_order) {
        (0, _) => "leaf alone".to_owned(),
        (n, true) => format!("leaf + {n}"),
        (n, false) => format!("leaf + {n}, not in order"),
    };
    let mut cells = vec![
        Cell::from(format!("  {}", address.address)),
        Cell::from(c.key.clone().unwrap_or_else(|| handshake::name(c.family).to_owned())),
        Cell::styled(format!("{mark} {served}"), style),
        Cell::from(c.not_after.map_or_else(none, |t| t.to_string())),
        Cell::from(c.days_left.map_or_else(none, |d| d.to_string())),
        Cell::from(chain),
        Cell::from(c.trusted.map_or_else(none, |t| if t { "yes".to_owned() } else { "no".to_owned() })),
    ];
    if wide {
        let proven = match c.possession {
            Possession::Proven => "yes",
            Possession::Unproven(_) => "not checked",
            Possession::Refuted => "no",
        };
        cells.push(proven.into());
        cells.push(c.tls.unwrap_or(marks.none).into());
        cells.push(c.issuer.clone().unwrap_or_else(none).into());
        cells.push(c.names.join(" ").into());
    }
    cells
}
