//! `certdrift doctor`: is this installation as it has to be, and is what it stands on? Reads only.
//!
//! ```text
//! look (the rim) ─> facts ─> judge, a pure function a check ─> report ─> text or JSON
//! ```
pub mod check;
pub mod compat;
pub mod facts;
pub mod findings;
pub mod judge;
pub mod look;
pub mod needs;
pub mod report;

use super::output::Output;
use super::{Exit, Failure};
use crate::cluster::connect;
use crate::config::load::{DEFAULT_FILES, load};
use crate::config::{Config, Overrides};
use look::Where;
use report::Report;
use std::path::{Path, PathBuf};

/// Typed after `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Before an installation: may it be installed here, and is what it needs there?
    #[arg(long)]
    pre: bool,
    /// Only these checks, or all of a category; with commas, or several times
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    only: Vec<String>,
    /// All checks but these, or those of a category
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    skip: Vec<String>,
    /// Of an installation elsewhere than in the namespace that the configuration or the kubeconfig names
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Name of its Deployment, where its label does not tell or may not be looked for
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,
    /// The configuration; else certdrift.yaml here, else /etc/certdrift/certdrift.yaml, else that of the Deployment in the cluster
    #[arg(short, long, env = "CERTDRIFT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to reach the cluster, instead of what the configuration says and KUBECONFIG names
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  certdrift doctor --pre
  certdrift doctor
  certdrift doctor --namespace certdrift -o short
  certdrift doctor --only permissions --config certdrift.yaml
  certdrift doctor --skip gateway-api-kinds,certdrift -o json

Nothing is written anywhere. What is wrong is told with the commands that mend it in this installation.
Checks and categories: an unknown name after --only lists all of them.

Exit codes:
  0   all that was looked at is as it has to be, perhaps with warnings
  1   a check failed
  2   nothing failed, and something could not be looked at; never passes as good
  64  bad usage: the command line or the configuration";

/// The configuration: the file that is named, else one of the usual ones if it is there.
fn config(named: Option<&Path>) -> Result<Option<Config>, Failure> {
    let usual = || DEFAULT_FILES.iter().map(Path::new).find(|path| path.exists());
    let Some(path) = named.or_else(usual) else { return Ok(None) };
    load(path, &Overrides::default()).map(Some).map_err(|findings| Failure { exit: Exit::Usage, findings })
}

/// Looks, judges, and shows.
///
/// # Errors
/// An unknown check, a configuration that is none (64), or no way to a cluster (2).
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let checks = check::wanted(args.pre, &args.only, &args.skip).map_err(Failure::usage)?;
    let config = config(args.config.as_deref())?;
    let said = config.as_ref().and_then(|c| c.kubernetes.clone()).unwrap_or_default();
    let kubeconfig = args.kubeconfig.clone().or(said.kubeconfig);
    let context = args.context.clone().or(said.context);
    let deployment = args.deployment.clone();
    let at = Where { namespace: args.namespace.clone(), deployment, config };
    let facts = super::block_on(async {
        let client =
            connect::client(kubeconfig.as_deref(), context.as_deref()).await.map_err(Failure::unknown)?;
        Ok::<_, Failure>(look::look(&client, at, &checks).await)
    })??;
    let report = Report::of(checks.iter().map(|check| (*check, (check.judge)(&facts))).collect());
    out.show(&report)?;
    Ok(report.exit())
}
