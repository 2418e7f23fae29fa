//! `certdrift ledger show|diff|verify`: a published ledger for people, two of them compared, one of them checked.
mod diff;
mod load;
mod show;
mod verify;

use super::output::Output;
use super::{Exit, Failure};
use certdrift_contract::{Expected, Fingerprint};
pub(in crate::cli) use load::names as parts;
use std::path::PathBuf;

/// Typed after `ledger`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print what a gateway is expected to serve
    #[command(after_long_help = SHOW)]
    Show(Show),
    /// Compare two ledgers, entry by entry
    #[command(after_long_help = DIFF)]
    Diff(Diff),
    /// Check a ledger as its readers would: form, digests of parts, hosts that stand twice, revision, expired ones
    #[command(after_long_help = VERIFY)]
    Verify(Show),
}

const SHOW: &str = "\
Examples:
  certdrift ledger show /var/lib/certdrift/kong/ledger.json
  certdrift ledger show http://127.0.0.1:9480/ledger/kong -o wide
  certdrift ledger show https://controller:9480/ledger/kong --roots ca.pem --token-file token";
const DIFF: &str = "\
Examples:
  certdrift ledger diff yesterday.json /var/lib/certdrift/kong/ledger.json

Exit codes:
  0   they expect the same
  1   they differ
  2   one of them cannot be read
  64  bad usage";
const VERIFY: &str = "\
Examples:
  certdrift ledger verify http://127.0.0.1:9480/ledger/kong

Exit codes:
  0   valid
  1   a reader would refuse it, or it expects what has expired
  2   it cannot be read at all
  64  bad usage";

/// One ledger.
#[derive(Debug, clap::Args)]
struct Show {
    /// Path of a ledger.json, or a URL of /ledger/GATEWAY; parts are found beside it
    #[arg(value_name = "FILE|URL")]
    ledger: String,
    #[command(flatten)]
    remote: Remote,
}

/// Two ledgers.
#[derive(Debug, clap::Args)]
struct Diff {
    /// The one before
    #[arg(value_name = "BEFORE")]
    before: String,
    /// The one after
    #[arg(value_name = "AFTER")]
    after: String,
    #[command(flatten)]
    remote: Remote,
}

/// How a URL is asked.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "For URLs")]
struct Remote {
    /// File with the token that opens ledgers to others than loopback
    #[arg(long, env = "CERTDRIFT_LEDGER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Root certificates that the controller's own certificate must lead to; without, the system's
    #[arg(long, value_name = "FILE|system")]
    roots: Option<String>,
}

/// Shows, compares, or checks.
///
/// # Errors
/// A ledger cannot be read, or stdout is gone.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    match &args.what {
        What::Show(args) => {
            let loaded = load::load(&args.ledger, &args.remote)?;
            let (ledger, parts) = loaded.whole()?;
            out.show(&show::View::new(ledger, parts, crate::clock::now().seconds()))?;
            Ok(Exit::Good)
        }
        What::Diff(args) => {
            let (before, _) = load::load(&args.before, &args.remote)?.whole()?;
            let (after, _) = load::load(&args.after, &args.remote)?.whole()?;
            let view = diff::View::new(&before, &after);
            out.show(&view)?;
            Ok(if view.same() { Exit::Good } else { Exit::Drift })
        }
        What::Verify(args) => {
            let loaded = load::load(&args.ledger, &args.remote)?;
            let view = verify::View::new(&loaded, crate::clock::now().seconds());
            out.show(&view)?;
            Ok(if view.valid() { Exit::Good } else { Exit::Drift })
        }
    }
}

/// The first 8 hex digits, or all when wide.
fn shown(fingerprint: &Fingerprint, wide: bool) -> String {
    let mut text = fingerprint.to_string();
    if !wide {
        text.truncate(8);
    }
    text
}

fn all_shown(expected: &[Expected], wide: bool) -> String {
    if expected.is_empty() {
        return "none".to_owned();
    }
    expected.iter().map(|e| shown(&e.sha256, wide)).collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests;
