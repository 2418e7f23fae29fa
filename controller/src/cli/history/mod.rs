//! `certdrift history`: what was done, why, and what came of it, as the running controller remembers it.
#[cfg(test)]
mod tests;
mod view;

use super::output::{Output, View};
use super::status::{ask, listed, url};
use super::{Exit, Failure};
use crate::clock;
use crate::config::DEFAULT_ADDRESS;
use crate::converge::Record;
use crate::converge::period::Period;
use crate::observe::http::{Url, UrlError};
use crate::run::findings::NO_CONTROLLER;

/// Typed after `history`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  certdrift history
  certdrift history shop.example.com --since 24h
  certdrift history -o json > audit.json

Each act of a remedy is shown with its reason, what was served and expected before it, what it said, and what was seen on
the wire after it. In a cluster the acts are kept in the ConfigMap certdrift-history-GATEWAY beside the ledger.

Exit codes:
  0   shown, also when nothing was done
  2   no controller answers
  64  bad usage: the command line")]
pub struct Args {
    /// Only these hosts, as the ledger lists them
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Only this gateway
    #[arg(short, long, value_name = "NAME")]
    gateway: Option<String>,
    /// Only what is no older
    #[arg(long, value_name = "TIME")]
    since: Option<Period>,
    /// Where the running controller answers
    #[arg(long, env = "CERTDRIFT_URL", value_name = "URL", value_parser = url, default_value_t = format!("http://{DEFAULT_ADDRESS}"))]
    url: String,
}

/// Asks, and shows.
///
/// # Errors
/// No controller answers, or what answers is none.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let url = format!("{}/debug/state", args.url.trim_end_matches('/'));
    let url: Url = url
        .parse()
        .map_err(|e: UrlError| Failure::usage(NO_CONTROLLER.on(args.url.clone(), e.to_string())))?;
    let hosts = args.hosts.iter().map(|text| listed(text, "history")).collect::<Result<Vec<_>, _>>()?;
    let state = super::block_on(ask(&url))??;
    let since = args.since.map(|since| {
        let ago = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        crate::converge::Millis(clock::now().0.saturating_sub(ago))
    });
    let histories = state
        .gateways
        .into_iter()
        .filter(|gateway| args.gateway.as_ref().is_none_or(|name| gateway.name == *name))
        .flat_map(|gateway| gateway.history);
    let records = histories.filter(|record| since.is_none_or(|since| record.at >= since)).collect();
    out.show(&view::Shown::new(records, &hosts))?;
    Ok(Exit::Good)
}

/// All of these records, as `history` shows them.
pub(super) fn all(records: Vec<Record>) -> impl View {
    view::Shown::new(records, &[])
}
