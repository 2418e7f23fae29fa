//! `certdrift audit`: nothing installed, a kubeconfig only: what every pod of every gateway serves, beside what is stored. Reads only.
//!
//! ```text
//! read (lists) ─> find (which pods, which rules) ─> expect (the controller's own binding)
//!                    look (handshakes by port-forward) ─> judge ─> report ─> view
//! ```
pub mod expect;
pub mod find;
pub mod findings;
pub mod judge;
pub mod look;
mod pass;
pub mod read;
pub mod report;
#[cfg(test)]
mod tests;
mod view;

use super::output::Output;
use super::{Exit, Failure};
use crate::cluster::object::Labels;
use crate::cluster::pod::Port;
use crate::config::Overrides;
use crate::config::load::load;
use crate::converge::period::Period;
use crate::observe::findings::CHECK_USAGE;
use crate::observe::proxy_protocol::ProxyProtocol;
use find::Kind;
use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Typed after `audit`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Namespace of the gateways' pods; all when absent
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Labels of one gateway's pods
    #[arg(short = 'l', long, value_name = "KEY=VALUE,…", requires = "namespace", conflicts_with = "service", value_parser = labels)]
    selector: Option<Labels>,
    /// The Service that one gateway's pods are behind
    #[arg(long, value_name = "NAME", requires = "namespace")]
    service: Option<String>,
    /// Where they serve TLS: port of the Service, else of the containers; by number or name
    #[arg(long, value_name = "PORT", value_parser = port)]
    port: Option<Port>,
    /// Send a PROXY protocol header first, in this form
    #[arg(long, value_name = "v1|v2", value_parser = super::check::form)]
    proxy_protocol: Option<ProxyProtocol>,
    /// Of which make they are, where it is not to be found out
    #[arg(long, value_name = "MAKE", value_enum)]
    kind: Option<Kind>,
    /// Class of the Ingresses, where it is not to be found out
    #[arg(long, value_name = "CLASS")]
    ingress_class: Option<String>,
    /// Read certificates and what binds them in these namespaces only; with commas, or several times
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    within: Vec<String>,
    /// Take the gateways from this configuration of certdrift
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["namespace", "kind", "ingress_class", "port", "proxy_protocol"])]
    config: Option<PathBuf>,
    /// Connect to the pods' own addresses and not by port-forward: from inside the cluster's network
    #[arg(long)]
    direct: bool,
    /// So many handshakes a second with each pod, at most: each costs a gateway a third of a millisecond of CPU
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// At most so long for each handshake
    #[arg(long, value_name = "TIME", default_value = "5s")]
    timeout: Period,
    /// How to reach the cluster, instead of what KUBECONFIG names
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  certdrift audit
  certdrift audit -o wide --context production
  certdrift audit --namespace kong --service kong-proxy
  certdrift audit --namespace edge --selector app=gateway --ingress-class internal --within shop,pay
  certdrift audit -o json > audit.json

Nothing is written to the cluster, and nothing is left in it. Gateways are found by images, ports, labels and classes, and it is
said which were chosen. Needed: list on what is to be read (what may not be read is told, with what that costs the answer), get
and create on pods/portforward. Of Secrets only tls.crt is looked at; where they may not be read, cert-manager's requests tell
what is stored. What looks wrong is looked at once more after six seconds, with everything read anew.

Exit codes:
  0   every pod serves what is stored for every host
  1   drift, or a certificate that is invalid or was not stored
  2   could not tell: something could not be read, a pod does not answer; never passes as good
  64  bad usage
  130 interrupted";

fn labels(text: &str) -> Result<Labels, String> {
    let pair = |part: &str| match part.trim().split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.starts_with('=') => Ok((key.into(), value.into())),
        _ => Err(format!("{part:?} is not KEY=VALUE")),
    };
    text.split(',').map(pair).collect()
}

fn port(text: &str) -> Result<Port, String> {
    match text.parse::<u16>() {
        Ok(0) => Err("ports begin at 1".to_owned()),
        Ok(number) => Ok(Port::Number(number)),
        Err(_) if text.bytes().any(|b| b.is_ascii_alphabetic()) => Ok(Port::Name(text.into())),
        Err(_) => Err("a number below 65536, or a name".to_owned()),
    }
}

/// Reads, looks, and shows.
///
/// # Errors
/// Bad usage (64), or there is no way to a cluster (2).
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let config = match &args.config {
        Some(file) => Some(
            load(file, &Overrides::default()).map_err(|findings| Failure { exit: Exit::Usage, findings })?,
        ),
        None => None,
    };
    if let (Some(config), Some(file)) = (&config, &args.config)
        && find::configured(config).is_empty()
    {
        let mut finding =
            CHECK_USAGE.on(format!("--config {}", file.display()), "no gateway in it has pods in a cluster");
        "leave --config out, or look at hosts one by one: certdrift check HOST".clone_into(&mut finding.mend);
        return Err(Failure::usage(finding));
    }
    if args.timeout.as_millis() == 0 {
        let mut finding = CHECK_USAGE.on("--timeout 0", "nobody answers in no time; write for instance 5s");
        "see certdrift audit --help".clone_into(&mut finding.mend);
        return Err(Failure::usage(finding));
    }
    super::block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())
            .map_err(|e| Failure::unknown(crate::run::findings::SIGNALS.on("SIGINT", e.to_string())))?;
        let talk = Talk::new(out);
        tokio::select! {
            report = pass::audit(args, config.as_ref(), &talk) => {
                talk.clear();
                let report = report?;
                out.show(&report)?;
                Ok(report.verdict.exit())
            }
            _ = interrupt.recv() => {
                talk.clear();
                let _ = writeln!(out.stderr(), "interrupted: nothing was written, and nothing is left behind");
                Ok(Exit::Interrupted)
            }
        }
    })?
}

/// What is told on a terminal while it works.
struct Talk {
    out: Output,
    terminal: bool,
    open: Cell<bool>,
}

impl Talk {
    fn new(out: &Output) -> Self {
        Self { out: *out, terminal: std::io::stderr().is_terminal(), open: Cell::new(false) }
    }

    fn tell(&self, words: &str) {
        if self.terminal {
            let mut to = self.out.stderr();
            let _ = write!(to, "\r{words:60}").and_then(|()| to.flush());
            self.open.set(true);
        }
    }

    fn clear(&self) {
        if self.open.replace(false) {
            let mut to = self.out.stderr();
            let _ = write!(to, "\r{:60}\r", "").and_then(|()| to.flush());
        }
    }
}
