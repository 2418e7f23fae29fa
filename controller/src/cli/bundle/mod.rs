//! `certdrift bundle`: a support archive without keys, tokens or, on request, host names.
//!
//! ```text
//! gather (the rim) ─> pieces ─> redact, list (pure) ─> shown, question ─> archive
//! ```
mod archive;
mod gather;
mod piece;
pub mod redact;
mod settings;

use super::man::NOT_WRITTEN;
use super::output::Output;
use super::status::url;
use super::{Exit, Failure};
use crate::clock;
use crate::cluster::connect;
use crate::config::load::{DEFAULT_FILES, load};
use crate::config::{Config, DEFAULT_ADDRESS, Overrides};
use crate::observe::findings::CHECK_USAGE;
use piece::{MANIFEST, Missing};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// Typed after `bundle`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  certdrift bundle --dry-run
  certdrift bundle
  certdrift bundle --yes --redact-hosts --file support.tar.gz
  kubectl certdrift bundle --namespace certdrift --yes

What would be in it is listed first, with what was taken out of each file and what could not be had; then it is asked whether to write it.
In it: versions, the configuration (where tokens come from, never what they are), status, history, metrics, ledgers, and of a cluster
the doctor's answer, Events of certdrift, its ConfigMaps and the logs of its pods. MANIFEST.json names what is missing and why.
Keys, certificates, tokens and whatever looks like one are taken out of every file. Host names stay unless --redact-hosts is said; IP
addresses, namespaces and names of objects that hold no host name stay always: read it before you hand it on.
The running controller is asked at --url, else through the API server at its pod, as kubectl port-forward does.

Exit codes:
  0   written (or listed), and nothing that should be in it is missing
  2   written (or listed) without what could not be had; it is named
  64  bad usage, a file that is there already, or nobody could be asked")]
pub struct Args {
    /// Where to write it; a file that is there is not overwritten [default: certdrift-bundle-TIME.tar.gz here]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace host names by host-1.example and so on, the same name by the same everywhere
    #[arg(long)]
    redact_hosts: bool,
    /// Write without asking
    #[arg(long)]
    yes: bool,
    /// List what would be in it, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// So many of the newest lines of each log
    #[arg(long, value_name = "LINES", default_value_t = 2000)]
    log_lines: u32,
    /// Where the running controller answers [default: http://127.0.0.1:9480, else its pod]
    #[arg(long, env = "CERTDRIFT_URL", value_name = "URL", value_parser = url)]
    url: Option<String>,
    /// certdrift's namespace, where neither configuration nor kubeconfig names it
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
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

/// Gathers, lists, asks, and writes.
///
/// # Errors
/// Bad usage, or the archive cannot be written.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let now = clock::now().seconds();
    let file = args.file.clone().unwrap_or_else(|| {
        PathBuf::from(format!("certdrift-bundle-{}.tar.gz", now.to_string().replace([':', '-'], "")))
    });
    let shown = file.display().to_string();
    if !args.dry_run && file.exists() {
        return Err(usage(&format!("--file {shown}"), "it is there already", "name another file"));
    }
    let asks = !args.dry_run && !args.yes;
    if asks && !std::io::stdin().is_terminal() {
        let why = "nobody can be asked: stdin is no terminal";
        return Err(usage("bundle", why, "say --yes, or --dry-run to see what would be in it"));
    }
    let config = configuration(args.config.as_deref())?;
    let found = super::block_on(async {
        let cluster = cluster(args, config.as_ref()).await?;
        let url = args.url.clone().unwrap_or_else(|| format!("http://{DEFAULT_ADDRESS}"));
        let asked = gather::Asked {
            url,
            only_url: args.url.is_some(),
            config,
            cluster,
            namespace: args.namespace.clone(),
            lines: args.log_lines,
        };
        Ok::<_, Failure>(gather::gather(asked).await)
    })??;
    let (manifest, mut files) = piece::list(found.pieces, &found.tokens, args.redact_hosts, &shown, now);
    out.show(&manifest)?;
    if args.dry_run {
        return Ok(manifest.exit());
    }
    if asks && !agreed(out) {
        return Ok(Exit::Usage);
    }
    files.insert(0, (MANIFEST.to_owned(), manifest.file()?));
    let folder = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = folder.split('.').next().filter(|name| !name.is_empty()).unwrap_or("certdrift-bundle");
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    archive::pack(folder, &files, seconds)
        .and_then(|bytes| archive::write(&file, &bytes))
        .map_err(|error| Failure::unknown(NOT_WRITTEN.on(shown.clone(), error.to_string())))?;
    let _ = writeln!(out.stderr(), "written: {shown}");
    Ok(manifest.exit())
}

fn usage(object: &str, why: &str, mend: &str) -> Failure {
    let mut finding = CHECK_USAGE.on(object, why);
    mend.clone_into(&mut finding.mend);
    Failure::usage(finding)
}

/// The file that is named, which must be right; else one of the usual ones, if there is one.
fn configuration(named: Option<&Path>) -> Result<Option<Config>, Failure> {
    let usual = || DEFAULT_FILES.iter().map(Path::new).find(|path| path.exists());
    let Some(path) = named.or_else(usual) else { return Ok(None) };
    load(path, &Overrides::default()).map(Some).map_err(|findings| Failure { exit: Exit::Usage, findings })
}

/// A way to the cluster; none where the configuration has nothing to do with one, and none was asked for.
async fn cluster(args: &Args, config: Option<&Config>) -> Result<Result<kube::Client, Missing>, Failure> {
    let asked = args.kubeconfig.is_some() || args.context.is_some() || args.namespace.is_some();
    let said = config.and_then(|config| config.kubernetes.clone());
    let standalone =
        config.is_some_and(|c| c.kubernetes.is_none() && c.gateways.iter().all(|g| g.kubernetes.is_none()));
    if standalone && !asked {
        return Ok(Err(Missing::NotHere("no gateway of the configuration is in a cluster".to_owned())));
    }
    let needed = asked || said.is_some();
    let said = said.unwrap_or_default();
    let kubeconfig = args.kubeconfig.clone().or(said.kubeconfig);
    let context = args.context.clone().or(said.context);
    match connect::client(kubeconfig.as_deref(), context.as_deref()).await {
        Ok(client) => Ok(Ok(client)),
        // One that was typed is a slip; one that is only configured may be elsewhere.
        Err(finding) if asked => Err(Failure::unknown(finding)),
        Err(finding) if needed => Ok(Err(Missing::Failed(finding.to_string()))),
        Err(finding) => Ok(Err(Missing::NotHere(finding.why))),
    }
}

/// Whether the person at the terminal agrees.
fn agreed(out: &Output) -> bool {
    let mut talk = out.stderr();
    let _ = write!(talk, "Write it? [y/N] ").and_then(|()| talk.flush());
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}
