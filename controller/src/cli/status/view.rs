//! How status looks. Pure: the verdict first, then the worst hosts' hops, then what to do.
use crate::cli::Exit;
use crate::cli::output::{BOLD, DIM, GREEN, Marks, RED, View, YELLOW};
use crate::cli::table::{Cell, Table};
use crate::converge::Mode;
use crate::finding::Severity;
use crate::run::state::{Gateway, Host, Seen, State};
use anstyle::Style;
use certdrift_contract::UnixTime;
use serde::Serialize;
use std::io::{self, Write};

/// Without `-o wide`, so many hosts that are as expected are listed; a fleet is counted.
const LISTED_GOOD: usize = 20;

/// What is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    version: String,
    now: UnixTime,
    verdict: &'static str,
    /// What keeps a state without any drift from being good: hosts and gateways that were asked for and are not there.
    missing: Vec<String>,
    gateways: Vec<GatewayShown>,
}

#[derive(Debug, Serialize)]
struct GatewayShown {
    hops: Vec<Hops>,
    #[serde(flatten)]
    gateway: Gateway,
}

/// One row: a host's hops.
#[derive(Debug, Serialize)]
struct Hops {
    host: String,
    stored: Hop,
    published: Hop,
    served: Hop,
}

/// How one hop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Hop {
    Good,
    Bad,
    Unknown,
}

/// What a host's row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Good,
    Unknown,
    Stored,
    Drift,
}

impl Shown {
    pub(super) fn new(state: State, gateway: Option<&str>, hosts: &[String]) -> Self {
        let known: Vec<String> = state.gateways.iter().map(|g| g.name.clone()).collect();
        let gateways: Vec<GatewayShown> = state
            .gateways
            .into_iter()
            .filter(|g| gateway.is_none_or(|name| g.name == name))
            .map(|mut g| {
                g.hosts.retain(|h| hosts.is_empty() || hosts.contains(&h.host));
                let hops = g.hosts.iter().map(|h| hops(&g, h)).collect();
                GatewayShown { hops, gateway: g }
            })
            .collect();
        let missing = missing(&gateways, &known, gateway, hosts);
        let mut shown = Self { version: state.version, now: state.now, verdict: "", missing, gateways };
        shown.verdict = match shown.exit() {
            Exit::Good => "match",
            Exit::Drift => "drift",
            Exit::Unknown | Exit::Usage => "unknown",
        };
        shown
    }

    pub(super) fn exit(&self) -> Exit {
        let mut exit =
            if self.missing.is_empty() && self.rows().next().is_some() { Exit::Good } else { Exit::Unknown };
        for (gateway, host) in self.rows() {
            exit = exit.worse(match grade(gateway, host) {
                Grade::Good => Exit::Good,
                Grade::Unknown => Exit::Unknown,
                Grade::Stored | Grade::Drift => Exit::Drift,
            });
        }
        exit
    }

    /// What `--wait` tells while it waits: without counters, which would be news every second.
    pub(super) fn news(&self) -> String {
        match self.exit() {
            Exit::Drift => "drift".to_owned(),
            _ if self.missing.is_empty() => "not every endpoint has told yet".to_owned(),
            _ => self.missing.join("; "),
        }
    }

    fn rows(&self) -> impl Iterator<Item = (&Gateway, &Host)> {
        self.gateways.iter().flat_map(|g| g.gateway.hosts.iter().map(move |h| (&g.gateway, h)))
    }
}

/// What was asked for and is not there, in words; one host that is well must not speak for another that nobody knows.
fn missing(shown: &[GatewayShown], known: &[String], gateway: Option<&str>, hosts: &[String]) -> Vec<String> {
    if let (Some(name), true) = (gateway, shown.is_empty()) {
        return vec![format!("no gateway is called {name}; there are: {}", known.join(", "))];
    }
    let listed = |host: &&String| shown.iter().any(|g| g.gateway.hosts.iter().any(|h| h.host == **host));
    let mut missing: Vec<String> =
        hosts.iter().filter(|h| !listed(h)).map(|h| format!("no ledger lists {h}")).collect();
    if hosts.is_empty() {
        let without = shown.iter().filter(|g| g.gateway.ledger.is_none());
        missing.extend(without.map(|g| format!("{} has no ledger yet", g.gateway.name)));
    }
    missing
}

/// An edge counts for the verdict as any endpoint does: what clients get is what counts.
fn grade(gateway: &Gateway, host: &Host) -> Grade {
    match hops(gateway, host) {
        Hops { served: Hop::Bad, .. } => Grade::Drift,
        Hops { stored: Hop::Bad, .. } => Grade::Stored,
        Hops { served: Hop::Unknown, .. } | Hops { published: Hop::Bad | Hop::Unknown, .. } => Grade::Unknown,
        _ => Grade::Good,
    }
}

fn at<'a>(host: &'a Host, endpoint: &str) -> Option<&'a Seen> {
    host.seen.iter().find(|s| s.endpoint == endpoint)
}

fn hops(gateway: &Gateway, host: &Host) -> Hops {
    let served = if host.seen.iter().any(Seen::drifts) {
        Hop::Bad
    } else {
        let proves = |s: &Seen| s.right() && s.evidence != "declared" && s.blind.is_none();
        let all = gateway
            .endpoints
            .iter()
            .all(|e| e.answers == Some(true) && at(host, &e.name).is_some_and(proves));
        if all { Hop::Good } else { Hop::Unknown }
    };
    Hops {
        host: host.host.clone(),
        stored: if host.stored { Hop::Good } else { Hop::Bad },
        published: if gateway.ledger.is_some() { Hop::Good } else { Hop::Unknown },
        served,
    }
}

/// `14 min`, `3 h`, `2 d`
fn ago(seconds: i64) -> String {
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
    fn headline(&self, to: &mut dyn Write) -> io::Result<()> {
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

    fn gateway(&self, shown: &GatewayShown, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
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
            Table::new(&["HOST", "STORED", "PUBLISHED", "SERVED", "EXPECTED", "ENDS", "DETAIL"])
        } else {
            Table::new(&["HOST", "STORED", "PUBLISHED", "SERVED", "DETAIL"])
        };
        for (_, hops, host) in rows.iter().take(shown_rows) {
            let right = host.seen.iter().filter(|s| s.right()).count();
            let served = format!("{} {right}/{}", mark(hops.served, marks), gateway.endpoints.len());
            let mut cells = vec![
                Cell::from(host.host.as_str()),
                Cell::styled(mark(hops.stored, marks), style(hops.stored)),
                Cell::styled(mark(hops.published, marks), style(hops.published)),
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
    fn detail(&self, gateway: &Gateway, host: &Host, wide: bool) -> String {
        let mut parts = Vec::new();
        for seen in host.seen.iter().filter(|s| s.drifts()) {
            let mut part = format!(
                "{} serves {} {}",
                seen.endpoint,
                class_words(seen.class.as_deref().unwrap_or("unknown")),
                short(seen.served.as_ref())
            );
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
                writeln!(
                    to,
                    "renewed {} at {}: published after {}, proven after {}",
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
    }
}

const fn style(hop: Hop) -> Style {
    match hop {
        Hop::Good => GREEN,
        Hop::Bad => RED,
        Hop::Unknown => YELLOW,
    }
}

impl View for Shown {
    const SCHEMA: &'static str = "certdrift.dev/status/v1";

    fn human(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
        self.headline(to)?;
        self.gateways.iter().try_for_each(|g| self.gateway(g, to, wide, marks))?;
        let waiting = self.rows().any(|(g, h)| g.mode == Mode::Observe && h.seen.iter().any(Seen::drifts));
        if waiting {
            writeln!(
                to,
                "\nTo mend it: reload the gateway, or let certdrift do it with `policy: {{mode: heal}}` and a remedy."
            )?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.rows().map(|(gateway, host)| format!("{}/{}", gateway.name, host.host)).collect()
    }

    fn short(&self) -> Vec<String> {
        let missing = self.missing.iter().map(|why| format!("unknown {why}"));
        let rows = self.rows().filter(|(gateway, host)| grade(gateway, host) != Grade::Good).map(
            |(gateway, host)| {
                let word = match grade(gateway, host) {
                    Grade::Drift => "drift",
                    Grade::Stored => "invalid",
                    _ => "unknown",
                };
                format!("{word} {}/{} {}", gateway.name, host.host, self.detail(gateway, host, false))
            },
        );
        rows.chain(missing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::{Endpoint, LedgerState, SCHEMA};

    const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

    fn endpoint(name: &str, answers: Option<bool>) -> Endpoint {
        let why = if answers == Some(false) { "connection refused".to_owned() } else { String::new() };
        Endpoint {
            name: name.into(),
            address: "127.0.0.1:8443".into(),
            edge: false,
            answers,
            why,
            workers: None,
        }
    }

    fn seen(endpoint: &str, verdict: &str, class: Option<&str>) -> Seen {
        Seen {
            endpoint: endpoint.into(),
            verdict: verdict.into(),
            class: class.map(str::to_owned),
            evidence: "handshake".into(),
            served: Some("3f9c".repeat(16)),
            not_after: None,
            at: NOW,
            since: NOW.plus(-840),
            blind: None,
            proof: Some("all 2 workers seen".into()),
            proven: true,
            workers: Vec::new(),
            cause: None,
            waits: class.map(|_| "a human, because mode is observe".to_owned()),
            acknowledged: None,
        }
    }

    fn host(name: &str, seen: Vec<Seen>) -> Host {
        Host {
            host: name.into(),
            source: "file:/etc/tls/demo".into(),
            expected: vec!["ab12".repeat(16)],
            not_after: Some(NOW.plus(86_400)),
            stored: true,
            seen,
        }
    }

    fn state(endpoints: Vec<Endpoint>, hosts: Vec<Host>) -> State {
        let ledger =
            LedgerState { revision: 7, published_at: NOW, hosts: hosts.len(), file: "ledger.json".into() };
        let gateway = Gateway {
            name: "kong".into(),
            mode: Mode::Observe,
            ledger: Some(ledger),
            endpoints,
            hosts,
            remedy: None,
            findings: Vec::new(),
            renewals: Vec::new(),
            history: Vec::new(),
        };
        State { schema: SCHEMA.into(), version: "1".into(), started: NOW, now: NOW, gateways: vec![gateway] }
    }

    fn page(shown: &Shown, wide: bool) -> String {
        let mut text = Vec::new();
        shown.human(&mut anstream::StripStream::new(&mut text), wide, Marks::ASCII).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_verdict_comes_first_then_the_worst_host_then_the_mend() {
        let up = || vec![endpoint("a", Some(true)), endpoint("b", Some(true))];
        let good = host("good.example.com", vec![seen("a", "match", None), seen("b", "match", None)]);
        let bad =
            host("shop.example.com", vec![seen("a", "match", None), seen("b", "drift", Some("previous"))]);
        let shown = Shown::new(state(up(), vec![good, bad]), None, &[]);
        assert_eq!(shown.exit(), Exit::Drift);
        assert_eq!(
            page(&shown, false),
            "DRIFT shop.example.com: 1 of 2 endpoints of kong serve the old certificate (since 14 min)\n\
             \n\
             kong tells only; ledger 7 of 2026-11-24T00:00:00Z, 2 hosts\n\
             HOST              STORED  PUBLISHED  SERVED  DETAIL\n\
             shop.example.com  +       +          x 1/2   b serves the old certificate 3f9c3f9c, waits for a human, because mode is observe\n\
             good.example.com  +       +          + 2/2\n\
             \n\
             To mend it: reload the gateway, or let certdrift do it with `policy: {mode: heal}` and a remedy.\n"
        );
        assert_eq!(shown.short().len(), 1);
        assert_eq!(shown.names(), ["kong/good.example.com", "kong/shop.example.com"]);
    }

    #[test]
    fn an_endpoint_that_does_not_answer_never_passes_as_good() {
        let one = host("a.example.com", vec![seen("a", "match", None)]);
        let shown = Shown::new(
            state(vec![endpoint("a", Some(true)), endpoint("b", Some(false))], vec![one]),
            None,
            &[],
        );
        assert_eq!(shown.exit(), Exit::Unknown);
        let text = page(&shown, false);
        assert!(
            text.starts_with("UNKNOWN 1 of 1 hosts") && text.contains("b (127.0.0.1:8443) does not answer"),
            "{text}"
        );
    }

    #[test]
    fn what_is_only_declared_is_no_proof() {
        let declared = Seen { evidence: "declared".into(), ..seen("a", "match", None) };
        let shown = Shown::new(
            state(vec![endpoint("a", Some(true))], vec![host("a.example.com", vec![declared])]),
            None,
            &[],
        );
        assert_eq!(shown.exit(), Exit::Unknown);
    }

    #[test]
    fn no_host_at_all_and_a_host_that_is_not_listed_could_not_be_told() {
        let one = || host("a.example.com", vec![seen("a", "match", None)]);
        assert_eq!(
            Shown::new(state(vec![endpoint("a", Some(true))], vec![]), None, &[]).exit(),
            Exit::Unknown
        );
        let other =
            Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), None, &["b.example.com".into()]);
        assert_eq!(other.exit(), Exit::Unknown);
        assert!(page(&other, false).starts_with("UNKNOWN no ledger lists b.example.com"));
        let both = ["a.example.com".into(), "b.example.com".into()];
        let both = Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), None, &both);
        assert_eq!(
            (both.exit(), both.short().len()),
            (Exit::Unknown, 1),
            "one that is well does not speak for the other"
        );
        let none = Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), Some("kogn"), &[]);
        assert_eq!(none.exit(), Exit::Unknown);
        assert!(page(&none, false).contains("no gateway is called kogn; there are: kong"));
        let asked =
            Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), None, &["a.example.com".into()]);
        assert_eq!(asked.exit(), Exit::Good);
    }

    #[test]
    fn a_gateway_without_a_ledger_never_passes_as_good() {
        let up = || vec![endpoint("a", Some(true))];
        let mut two = state(up(), vec![host("a.example.com", vec![seen("a", "match", None)])]);
        let mut empty = state(up(), vec![]).gateways.remove(0);
        (empty.name, empty.ledger) = ("second".into(), None);
        two.gateways.push(empty);
        let shown = Shown::new(two, None, &[]);
        assert_eq!(shown.exit(), Exit::Unknown);
        assert!(page(&shown, false).starts_with("UNKNOWN second has no ledger yet"));
    }

    #[test]
    fn a_fleet_that_is_well_is_counted_and_not_listed() {
        let hosts =
            (0..500).map(|n| host(&format!("h{n}.example.com"), vec![seen("a", "match", None)])).collect();
        let shown = Shown::new(state(vec![endpoint("a", Some(true))], hosts), None, &[]);
        let text = page(&shown, false);
        assert!(text.contains("and 480 hosts more that are as expected"), "{text}");
        assert!(text.lines().count() < 30 && page(&shown, true).lines().count() > 500);
    }
}
