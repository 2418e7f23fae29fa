//! `certdrift drill`: rehearses a renewal, by asking cert-manager to re-issue, and times each hop of its way.
//!
//! ```text
//! look ─> may it be begun? (pure) ─> plan, question ─> status patch ─> look again and again ─> how far? (pure) ─> report
//! ```
pub mod findings;
pub mod plan;
mod report;
pub mod target;
#[cfg(test)]
mod tests;

use super::output::{Output, Progress};
use super::status::{ask as controller, listed, url};
use super::{Exit, Failure};
use crate::clock;
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::cluster::connect;
use crate::config::load::{DEFAULT_FILES, load};
use crate::config::{DEFAULT_ADDRESS, Overrides};
use crate::converge::period::Period;
use crate::finding::Finding;
use crate::observe::findings::CHECK_USAGE;
use crate::observe::http::{Url, UrlError};
use crate::rehearse::ask::{self, Identity};
use crate::rehearse::begin::{Told, may_begin};
use crate::rehearse::way::{Hop, Seen, Way, served_by};
use crate::run::findings::NO_CONTROLLER;
use crate::run::state::Gateway;
use report::{About, Report};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use target::{Leads, Target};
use tokio::signal::unix::{SignalKind, signal};

/// Typed after `drill`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  certdrift drill                                           the canary
  certdrift drill shop/web --dry-run
  certdrift drill shop.example.com                          the Certificate of that host
  certdrift drill shop/web --yes --report drill-2026-11.md
  certdrift drill shop/web --yes -o json                    deploy/schema/drill.schema.json; -o md is what --report writes

Asks cert-manager to issue the Certificate once more (condition Issuing in its status, as cmctl renew does; nothing is deleted),
and times each hop: issued, stored, published, loaded, served. The hops after `stored` are told by the running controller.
Refused for ACME issuers, for Certificates with renewal windows, while the configuration's maintenance windows are closed (those of
the file that --config names, or of a usual one), and for what is not ready or is being issued already.
After Ctrl-C cert-manager finishes by itself what it has begun: nothing is left to undo.

Exit codes:
  0    the whole way worked
  1    a hop was not done in time; it is named
  2    could not tell: no controller answers, or something could not be looked at
  64   bad usage, or the drill was refused
  130  interrupted")]
pub struct Args {
    /// The Certificate, as NAMESPACE/NAME, or a host that is served from it; the canary when absent
    #[arg(value_name = "NAMESPACE/NAME|HOST")]
    target: Option<String>,
    /// Begin without asking
    #[arg(long)]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Also where an ACME authority issues, or nobody knows who
    #[arg(long)]
    any_issuer: bool,
    /// Also where the Certificate has renewal windows, or a gateway's maintenance windows are closed
    #[arg(long)]
    any_time: bool,
    /// How long the whole way may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: Period,
    /// Write the report to this file too, as Markdown; one that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where the running controller answers
    #[arg(long, env = "CERTDRIFT_URL", value_name = "URL", value_parser = url, default_value_t = format!("http://{DEFAULT_ADDRESS}"))]
    url: String,
    /// The configuration, for its maintenance windows; else certdrift.yaml here, else /etc/certdrift/certdrift.yaml
    #[arg(short, long, env = "CERTDRIFT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to reach the cluster, instead of what KUBECONFIG names
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

fn target(typed: Option<&str>) -> Result<Target, Failure> {
    let Some(text) = typed else { return Ok(Target::Canary) };
    if !text.contains('/') {
        return listed(text, "drill").map(Target::Host);
    }
    let certificate = ObjectName::parse(text).map(Target::Certificate);
    certificate.ok_or_else(|| {
        usage(format!("{text:?}"), "it is no NAMESPACE/NAME of a Certificate", "see certdrift drill --help")
    })
}

/// Between two looks.
const EVERY: Duration = Duration::from_millis(200);

/// Looks, asks, begins, watches, and shows.
///
/// # Errors
/// It was refused (64), or could not be begun (2).
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let url: Url = format!("{}/debug/state", args.url.trim_end_matches('/'))
        .parse()
        .map_err(|e: UrlError| Failure::usage(NO_CONTROLLER.on(args.url.clone(), e.to_string())))?;
    if let Some(file) = args.report.as_deref().filter(|file| file.exists()) {
        return Err(usage(
            format!("--report {}", file.display()),
            "it is there already",
            "name another file",
        ));
    }
    let target = target(args.target.as_deref())?;
    let closed = closed(args.config.as_deref())?;
    super::block_on(drill(args, &target, &url, &closed, out))?
}

fn usage(object: String, why: &str, mend: &str) -> Failure {
    let mut finding = CHECK_USAGE.on(object, why);
    mend.clone_into(&mut finding.mend);
    Failure::usage(finding)
}

/// The gateways of the configuration, if there is one, whose maintenance windows are all closed now.
fn closed(named: Option<&Path>) -> Result<Vec<String>, Failure> {
    let usual = || DEFAULT_FILES.iter().map(Path::new).find(|path| path.exists());
    let Some(path) = named.or_else(usual) else { return Ok(Vec::new()) };
    let config =
        load(path, &Overrides::default()).map_err(|findings| Failure { exit: Exit::Usage, findings })?;
    let all = config.gateways.iter().map(|gateway| (gateway.name.as_str(), &*gateway.policy.windows));
    Ok(plan::closed_at(all, clock::now()))
}

async fn drill(
    args: &Args,
    target: &Target,
    url: &Url,
    closed: &[String],
    out: &Output,
) -> Result<Exit, Failure> {
    let client = connect::client(args.kubeconfig.as_deref(), args.context.as_deref())
        .await
        .map_err(Failure::unknown)?;
    let gateways = controller(url).await.ok().map(|state| state.gateways);
    let name = &certificate_of(&client, target, gateways.as_deref()).await?;
    let looked = ask::look(&client, name).await.map_err(|refusal| {
        Failure::unknown(findings::NOT_LOOKED_AT.on(format!("Certificate {name}"), refusal.to_string()))
    })?;
    let (certificate, issuer) = (&looked.certificate, &looked.issuer);
    let told = Told { any_issuer: args.any_issuer, any_time: args.any_time };
    may_begin(certificate, issuer, closed, told).map_err(|(why, mend)| {
        let mut finding = findings::REFUSED.on(format!("Certificate {name}"), why);
        finding.mend = mend;
        Failure::usage(finding)
    })?;
    let (hosts, endpoints) = watched(gateways.as_deref(), certificate);
    let mut talk = out.stderr();
    for line in plan::lines(name, certificate, issuer, &hosts, endpoints) {
        let _ = writeln!(talk, "  {line}");
    }
    if gateways.is_none() {
        let _ =
            writeln!(talk, "  no controller answers at {}: the hops after `stored` cannot be seen", args.url);
    }
    drop(talk);
    if args.dry_run {
        return Ok(Exit::Good);
    }
    if !args.yes && !agreed(out)? {
        return Ok(Exit::Usage);
    }
    let before = signed_before(&client, certificate).await;
    // Heard from before the request on: one that is interrupted while it is asked may have been granted.
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|e| Failure::unknown(crate::run::findings::SIGNALS.on("SIGINT", e.to_string())))?;
    let begun = ask::ask(&client, &looked, "certdrift drill").await.map_err(|refusal| {
        let why = format!("the re-issue could not be asked for: {refusal}");
        Failure::unknown(findings::NOT_LOOKED_AT.on(format!("Certificate {name}"), why))
    })?;
    let mut way = Way::begin(certificate, begun);
    let watch = follow(&client, url, (name, args.timeout), out, &mut way);
    let last = tokio::select! {
        last = watch => last,
        _ = interrupt.recv() => {
            let hop = way.missing().map_or("proven", Hop::as_str);
            let _ = writeln!(
                out.stderr(),
                "interrupted: Certificate {name} is not {hop} yet. cert-manager was asked, and goes on by itself: it signs and stores the new certificate, and the gateway serves it when it comes. Nothing is left to undo, and until then the old one stays valid. certdrift status shows where it stands."
            );
            return Ok(Exit::Interrupted);
        }
    };
    let (hosts, endpoints) = watched(last.as_deref(), certificate);
    let mut findings: Vec<String> = way.failed.iter().cloned().collect();
    if way.missing().is_some() {
        findings.extend(said(last.as_deref(), name, &hosts));
    }
    let about = About {
        certificate: name.clone(),
        secret: certificate.secret(),
        hosts,
        endpoints,
        begun,
        before,
        after: match &way.request {
            Some(request) => ask::signed_as(&client, request).await,
            None => None,
        },
        by: std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()),
        findings,
    };
    let report = Report::new(about, &way);
    if let Some(file) = &args.report {
        write_new(file, &report.text())?;
    }
    out.show(&report)?;
    Ok(report.exit())
}

/// Looks until it is over or has had its time; gives what the controller said last.
async fn follow(
    client: &kube::Client,
    url: &Url,
    (name, timeout): (&ObjectName, Period),
    out: &Output,
    way: &mut Way,
) -> Option<Vec<Gateway>> {
    let deadline = clock::instant() + timeout.as_duration();
    let mut progress = Progress::new(out);
    let mut last = None;
    loop {
        let gateways = controller(url).await.ok().map(|state| state.gateways);
        // One that is silent for a moment is waited for.
        if gateways.is_none() && last.is_none() {
            way.blind = vec![Hop::Published, Hop::Loaded, Hop::Served];
        }
        let seen = Seen {
            certificate: ask::certificate(client, name).await,
            requests: ask::requests(client, &name.namespace).await,
            gateways,
        };
        way.take(&seen, clock::now());
        last = seen.gateways.or(last);
        let left = deadline.saturating_duration_since(clock::instant());
        let goes_on = !left.is_zero() && !way.is_over();
        let Some(missing) = way.missing().filter(|_| goes_on) else { return last };
        progress.tell(&format!("{name} is not {} yet", missing.as_str()), left);
        clock::sleep(EVERY).await;
    }
}

/// The Certificate that was meant.
async fn certificate_of(
    client: &kube::Client,
    target: &Target,
    gateways: Option<&[Gateway]>,
) -> Result<ObjectName, Failure> {
    let about = || match target {
        Target::Canary => "drill".to_owned(),
        Target::Certificate(name) => format!("Certificate {name}"),
        Target::Host(host) => format!("HOST {host}"),
    };
    let refused = |(why, mend): (String, String)| {
        let finding = Finding { mend, ..findings::REFUSED.on(about(), why) };
        if gateways.is_none() { Failure::unknown(finding) } else { Failure::usage(finding) }
    };
    match target::leads(target, gateways).map_err(refused)? {
        Leads::To(name) => Ok(name),
        Leads::Secret(secret) => {
            let all = ask::certificates(client, &secret.namespace).await.map_err(|refusal| {
                Failure::unknown(findings::NOT_LOOKED_AT.on(about(), refusal.to_string()))
            })?;
            target::stored_in(&secret, &all).map_err(refused)
        }
    }
}

/// What is stored now, by the request that it was signed with.
async fn signed_before(client: &kube::Client, certificate: &Certificate) -> Option<Identity> {
    let requests = ask::requests(client, &certificate.metadata.namespace).await;
    let stored = |r: &&CertificateRequest| {
        r.belongs_to(certificate) && r.revision().is_some() && r.revision() == certificate.status.revision
    };
    ask::signed_as(client, &requests.iter().find(stored)?.metadata.object()).await
}

/// The hosts that are served from its Secret, and on how many endpoints.
fn watched(gateways: Option<&[Gateway]>, certificate: &Certificate) -> (Vec<String>, usize) {
    let served = gateways.map(|all| served_by(all, &certificate.secret().to_string())).unwrap_or_default();
    let endpoints = served.iter().map(|(gateway, _)| gateway.endpoints.len()).max().unwrap_or(0);
    (served.iter().map(|(_, host)| host.host.clone()).collect(), endpoints)
}

/// What the controller says of the Certificate and its hosts.
fn said(gateways: Option<&[Gateway]>, name: &ObjectName, hosts: &[String]) -> Vec<String> {
    let all = gateways.into_iter().flatten().flat_map(|gateway| &gateway.findings);
    let is_about = |text: &str| {
        text.contains(&name.to_string()) || hosts.iter().any(|host| text.contains(host.as_str()))
    };
    all.filter(|finding| is_about(&finding.object) || is_about(&finding.why))
        .map(|finding| format!("{} {}: {}; {}", finding.code, finding.object, finding.why, finding.mend))
        .collect()
}

/// Whether the person at the terminal agrees.
fn agreed(out: &Output) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let why = "nobody can be asked: stdin is no terminal";
        return Err(usage("drill".to_owned(), why, "say --yes, or --dry-run to see what would be done"));
    }
    let mut talk = out.stderr();
    let _ = write!(talk, "Begin? [y/N] ").and_then(|()| talk.flush());
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let mut open = std::fs::OpenOptions::new();
    let written = open.write(true).create_new(true).open(file).and_then(|mut f| f.write_all(text.as_bytes()));
    Ok(written?)
}
