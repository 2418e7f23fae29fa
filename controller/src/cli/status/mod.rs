//! `certdrift status`: every host, hop by hop, as the running controller knows it.
mod canary;
mod hops;
mod page;
#[cfg(test)]
mod tests;
mod view;

use super::output::{Output, Progress, View};
use super::{Exit, Failure};
use crate::clock;
use crate::config::DEFAULT_ADDRESS;
use crate::observe::findings::CHECK_USAGE;
use crate::observe::http::{Bounds, Client, Request, Url, UrlError};
use crate::observe::tls;
use crate::run::findings::{NO_CONTROLLER, NOT_A_CONTROLLER};
use crate::run::state::{SCHEMA, State};
use std::time::Duration;

/// Typed after `status`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  certdrift status
  certdrift status shop.example.com -o wide
  certdrift status --wait 2m && echo every endpoint is proven

Exit codes:
  0   every host is served as expected on every endpoint
  1   drift
  2   could not tell: no controller, an endpoint that does not answer, a host not seen yet
  64  bad usage: the command line")]
pub struct Args {
    /// Only these hosts, as the ledger lists them
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Only this gateway
    #[arg(short, long, value_name = "NAME")]
    gateway: Option<String>,
    /// Where the running controller answers
    #[arg(long, env = "CERTDRIFT_URL", value_name = "URL", value_parser = url, default_value_t = format!("http://{DEFAULT_ADDRESS}"))]
    url: String,
    /// Wait until everything is as expected, for at most so long
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    wait: Option<crate::converge::period::Period>,
}

/// As typed; that it is one is said before anything is asked.
pub(super) fn url(text: &str) -> Result<String, UrlError> {
    text.parse::<Url>().map(|_| text.to_owned())
}

/// Between two questions while waiting.
const AGAIN: Duration = Duration::from_millis(500);
/// 10,000 hosts on a few endpoints are some megabytes.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(10), body: 256 << 20 };

/// Asks, and shows.
///
/// # Errors
/// No controller answers, or what answers is none.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let url = format!("{}/debug/state", args.url.trim_end_matches('/'));
    let url: Url = url
        .parse()
        .map_err(|e: UrlError| Failure::usage(NO_CONTROLLER.on(args.url.clone(), e.to_string())))?;
    let hosts = args.hosts.iter().map(|text| listed(text, "status")).collect::<Result<Vec<_>, _>>()?;
    let deadline = args.wait.map(|wait| clock::instant() + wait.as_duration());
    let answered = super::block_on(async {
        let mut progress = Progress::new(out);
        loop {
            let state = ask(&url).await;
            let shown = state.map(|state| view::Shown::new(state, args.gateway.as_deref(), &hosts));
            let good = shown.as_ref().is_ok_and(|shown| shown.exit() == Exit::Good);
            if good || deadline.is_none_or(|deadline| clock::instant() + AGAIN > deadline) {
                return shown;
            }
            let state = shown.as_ref().map_or_else(|_| "no controller answers".to_owned(), view::Shown::news);
            let left = deadline
                .map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(clock::instant()));
            progress.tell(&state, left);
            clock::sleep(AGAIN).await;
        }
    })?;
    let shown = answered?;
    out.show(&shown)?;
    Ok(shown.exit())
}

/// All of a state, as `status` shows it.
pub(super) fn all(state: State) -> impl View {
    view::Shown::new(state, None, &[])
}

/// As a ledger lists it: any case and any language's letters may be typed.
pub(super) fn listed(text: &str, command: &str) -> Result<String, Failure> {
    crate::cli::check::target::Host::parse(text).map(|host| host.name.to_string()).map_err(|why| {
        let mut finding = CHECK_USAGE.on(format!("HOST {text:?}"), why);
        finding.mend = format!("see certdrift {command} --help");
        Failure::usage(finding)
    })
}

pub(super) async fn ask(url: &Url) -> Result<State, Failure> {
    let answer = Client::new(tls::any())
        .send(Request::get(url.clone()), BOUNDS)
        .await
        .map_err(|e| Failure::unknown(NO_CONTROLLER.on(url.to_string(), e.to_string())))?;
    let not_ours = |why: String| Failure::unknown(NOT_A_CONTROLLER.on(url.to_string(), why));
    if answer.status != 200 {
        return Err(not_ours(format!("it answers {}", answer.status)));
    }
    let state: State = serde_json::from_slice(&answer.body).map_err(|e| not_ours(e.to_string()))?;
    if state.schema == SCHEMA {
        Ok(state)
    } else {
        Err(not_ours(format!("its schema is {:?}", state.schema)))
    }
}
