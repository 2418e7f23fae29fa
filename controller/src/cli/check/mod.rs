//! `certdrift check`: what is served there, right now; needs nothing installed.
//!
//! Every address of every host is shaken hands with once per signature family, because a server with an RSA + ECDSA
//! pair shows most clients the ECDSA member only.
pub mod expect;
pub mod judge;
pub mod target;
pub mod trust;
pub mod view;

use super::output::{Output, Progress};
use super::{Exit, Failure};
use crate::clock;
use crate::converge::period::Period;
use crate::finding::Finding;
use crate::observe::findings;
use crate::observe::handshake::{Target, look};
use crate::observe::proxy_protocol::ProxyProtocol;
use crate::observe::verifier::Offer;
use crate::source::KeyFamily;
use expect::Expect;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use target::{Host, Place};
use tokio::sync::Semaphore;
use trust::Trust;
use view::{Report, Verdict};

/// So many addresses are looked at at a time.
const AT_A_TIME: usize = 16;
/// Between two looks of `--wait`.
const PAUSE: Duration = Duration::from_secs(1);

const HOST_HELP: &str = "shop.example.com, shop.example.com:8443, 192.0.2.1, [2001:db8::1]:8443 or https://shop.example.com; a wildcard is asked for by a made-up label under it";

/// Look at what hosts serve.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    // The help is an attribute: rustdoc would read links into it.
    #[arg(required = true, value_name = "HOST", help = HOST_HELP)]
    hosts: Vec<String>,
    /// Connect here and not to the addresses of HOST; can be given several times
    #[arg(long, value_name = "ADDR:PORT")]
    connect: Vec<String>,
    /// The certificate that must be served: a PEM file (its chain is compared too) or a SHA-256 fingerprint; for an RSA + ECDSA pair give both
    #[arg(long, value_name = "PEM|FINGERPRINT")]
    expect: Vec<String>,
    /// Judge by these root certificates; without, trust in the system's is told but not judged
    #[arg(long, value_name = "FILE|system")]
    roots: Option<String>,
    /// Send a PROXY protocol header first, in this form
    #[arg(long, value_name = "v1|v2", value_parser = form)]
    proxy_protocol: Option<ProxyProtocol>,
    /// At most so long for each address in all, also for one that accepts and stays silent
    #[arg(long, value_name = "TIME", default_value = "5s", allow_hyphen_values = true)]
    timeout: Period,
    /// Look again until all is good, for at most so long
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    wait: Option<Period>,
    /// IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 addresses only
    #[arg(short = '6', long)]
    ipv6: bool,
}

const EXAMPLES: &str = "\
Examples:
  certdrift check shop.example.com
  certdrift check shop.example.com --expect /etc/letsencrypt/live/shop/fullchain.pem --wait 60s
  certdrift check shop.example.com --connect 10.0.0.7:8443 --connect 10.0.0.8:8443
  certdrift check shop.example.com --expect rsa.pem --expect ecdsa.pem -o json

Exit codes:
  0   what is expected is served; or, nothing expected, what anybody can see is in order
  1   drift, or an invalid certificate (an expired one is 1 even when it is the one expected)
  2   could not tell (unreachable, no answer in time); never passes as good
  64  bad usage
Of several addresses any 1 wins over 2, and 2 over 0.";

pub(super) fn form(text: &str) -> Result<ProxyProtocol, String> {
    match &*text.to_ascii_lowercase() {
        "v1" => Ok(ProxyProtocol::V1),
        "v2" => Ok(ProxyProtocol::V2),
        _ => Err("v1 or v2".to_owned()),
    }
}

/// All that the arguments say, checked.
struct Plan {
    hosts: Vec<Host>,
    places: Vec<Place>,
    expect: Vec<Expect>,
    trust: Option<Trust>,
    proxy_protocol: Option<ProxyProtocol>,
    timeout: Duration,
    only: Option<Only>,
}

/// The one family of addresses that is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    V4,
    V6,
}

impl Only {
    fn takes(self, address: &SocketAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    /// What is wrong with a place all of whose addresses are of the other family.
    fn has_none(self, place: &Place) -> Finding {
        let (flag, other, wanted) = match self {
            Self::V4 => ("-4", "IPv6", "IPv4"),
            Self::V6 => ("-6", "IPv4", "IPv6"),
        };
        let has = if place.name.is_ip() {
            format!("it is an {other} address")
        } else {
            format!("it has {other} addresses only")
        };
        let mut finding = findings::UNREACHABLE
            .on(place.name.as_str(), format!("{has}, and {flag} looks at {wanted} only"));
        finding.mend = format!("leave {flag} out, or name an {wanted} address with --connect");
        finding
    }
}

/// Looks, and says what was seen.
///
/// # Errors
/// An argument cannot be understood (64), or the system has no roots to judge by (2).
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let plan = Arc::new(plan(args)?);
    let report = super::block_on(async {
        let started = clock::instant();
        let mut progress = Progress::new(out);
        loop {
            let report = once(&plan).await;
            let left =
                args.wait.map_or(Duration::ZERO, Period::as_duration).saturating_sub(clock::since(started));
            if report.verdict.exit() == Exit::Good || left.is_zero() {
                return report;
            }
            progress.tell(&report.news(), left);
            clock::sleep(PAUSE.min(left)).await;
        }
    })?;
    out.show(&report)?;
    Ok(report.verdict.exit())
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    fn all<T>(flag: &str, given: &[String], parse: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Failure> {
        let usage = |text: &str, why| Failure::usage(findings::CHECK_USAGE.on(typed(flag, text), why));
        given.iter().map(|text| parse(text).map_err(|why| usage(text, why))).collect()
    }
    let trust = Trust::new(args.roots.as_deref()).map_err(|why| {
        let finding =
            findings::CHECK_USAGE.on(typed("--roots ", args.roots.as_deref().unwrap_or_default()), why);
        if args.roots.as_deref() == Some("system") {
            Failure::unknown(finding)
        } else {
            Failure::usage(finding)
        }
    })?;
    if args.timeout.as_millis() == 0 {
        let why = "nobody answers in no time; write for instance 5s";
        return Err(Failure::usage(findings::CHECK_USAGE.on(typed("--timeout ", "0"), why)));
    }
    Ok(Plan {
        hosts: all("", &args.hosts, Host::parse)?,
        places: all("--connect ", &args.connect, Place::parse)?,
        expect: all("--expect ", &args.expect, Expect::parse)?,
        trust,
        proxy_protocol: args.proxy_protocol,
        timeout: args.timeout.as_duration(),
        only: match (args.ipv4, args.ipv6) {
            (true, _) => Some(Only::V4),
            (_, true) => Some(Only::V6),
            _ => None,
        },
    })
}

/// An argument as a finding's object: in quotes where it could not be made out else, and never endless.
fn typed(flag: &str, text: &str) -> String {
    const SHOWN: usize = 64;
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    if plain { format!("{flag}{shown}") } else { format!("{flag}{shown:?}") }
}

/// Looks at everything once.
async fn once(plan: &Arc<Plan>) -> Report {
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let mut hosts = Vec::new();
    // All addresses of all hosts at once, within the gate; gathered in the order typed.
    for host in &plan.hosts {
        let found = addresses(plan, host).await;
        let looks = found.addresses.iter().map(|address| {
            let (plan, gate, address, host) = (Arc::clone(plan), Arc::clone(&gate), *address, host.clone());
            tokio::spawn(async move {
                let _turn = gate.acquire().await;
                one(&plan, &host, address).await
            })
        });
        hosts.push((host, looks.collect::<Vec<_>>(), found.findings));
    }
    let mut report =
        Report { verdict: Verdict::Match, exit_code: 0, at: clock::now().seconds(), hosts: Vec::new() };
    for (host, looks, findings) in hosts {
        let mut addresses = Vec::new();
        for look in looks {
            if let Ok(address) = look.await {
                addresses.push(address);
            }
        }
        let good = if plan.expect.is_empty() { Verdict::Valid } else { Verdict::Match };
        let start = if findings.is_empty() && !addresses.is_empty() { good } else { Verdict::Unknown };
        let verdict = addresses.iter().fold(start, |worst, a| worst.worse(a.verdict));
        report.verdict = if report.hosts.is_empty() { verdict } else { report.verdict.worse(verdict) };
        report.hosts.push(view::Host {
            host: host.name.to_string(),
            sni: host.sni(),
            made_up: host.made_up,
            verdict,
            addresses,
            findings,
        });
    }
    report.exit_code = report.verdict.exit().code();
    report
}

/// Where to connect for a host, and what is wrong with that.
struct Found {
    addresses: Vec<SocketAddr>,
    findings: Vec<Finding>,
}

async fn addresses(plan: &Plan, host: &Host) -> Found {
    let own = Place { name: host.concrete.clone(), port: Some(host.port) };
    let places = if plan.places.is_empty() { std::slice::from_ref(&own) } else { &plan.places };
    let mut found = Found { addresses: Vec::new(), findings: Vec::new() };
    for place in places {
        let lookup = tokio::net::lookup_host((place.name.as_str(), place.port.unwrap_or(host.port)));
        let why = match clock::timeout(plan.timeout, lookup).await {
            Ok(Ok(all)) => {
                let all: Vec<SocketAddr> = all.collect();
                let takes = |address: &&SocketAddr| plan.only.is_none_or(|only| only.takes(address));
                let new = |address: &&SocketAddr| !found.addresses.contains(address);
                let mut new: Vec<SocketAddr> = all.iter().filter(takes).filter(new).copied().collect();
                new.dedup();
                found.addresses.append(&mut new);
                if all.iter().any(|address| takes(&address)) {
                    continue;
                }
                if let (Some(only), false) = (plan.only, all.is_empty()) {
                    found.findings.push(only.has_none(place));
                    continue;
                }
                "it has no address".to_owned()
            }
            Ok(Err(e)) => format!("it has no address: {e}"),
            Err(_) => "its name server gives no answer in time".to_owned(),
        };
        found.findings.push(findings::UNREACHABLE.on(place.name.as_str(), why));
    }
    found
}

async fn one(plan: &Plan, host: &Host, address: SocketAddr) -> view::Address {
    let target =
        Target { address, sni: host.sni(), proxy_protocol: plan.proxy_protocol, timeout: plan.timeout };
    let [rsa, ecdsa, ed25519] = [KeyFamily::Rsa, KeyFamily::Ecdsa, KeyFamily::Ed25519];
    // At the same time, so that the timeout bounds the address and not each of them.
    let looks = tokio::join!(
        look(&target, Offer::Only(rsa)),
        look(&target, Offer::Only(ecdsa)),
        look(&target, Offer::Only(ed25519)),
    );
    let looks = [(ecdsa, looks.1), (rsa, looks.0), (ed25519, looks.2)];
    let now = clock::now().seconds();
    let question = judge::Question {
        host: &host.concrete,
        expect: &plan.expect,
        trust_is_judged: plan.trust.as_ref().is_some_and(|t| t.judged),
        now,
    };
    judge::address(&address.to_string(), &looks, &question, |served| {
        plan.trust.as_ref().map(|t| t.path(&served.certificates, now.seconds()))
    })
}
