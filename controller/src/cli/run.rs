//! `certdrift run`: the controller.
use super::config::FileArgs;
use super::output::Output;
use super::{Exit, Failure};
use crate::config::{self, Overrides};
use crate::finding::{Kind, Severity};

/// CD-592: there is no room to begin with.
pub const NO_RUNTIME: Kind = Kind {
    code: "CD-592",
    title: "the system has no file descriptors or memory left",
    why: "An event queue, a timer or a signal handler could not be had, and without them nothing can run.",
    mend: "look at the limits of the process (ulimit -a) and of the machine",
    severity: Severity::Error,
};

/// Typed after `run`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Signals:
  TERM, INT  drain: a remedy under way is seen to its end; again: end at once
  HUP        read the configuration again; a wrong one is told, and the running one kept

Exit codes:
  0   told to stop, and drained
  1   told to stop twice
  2   cannot run: the address is taken, the state directory cannot be written
  64  bad usage: the command line or the configuration")]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs until it is told to stop.
///
/// # Errors
/// The configuration is wrong, or the address or the directory of state cannot be had.
pub fn run(args: &Args, _out: &Output) -> Result<Exit, Failure> {
    let path = args.file.path();
    let config =
        config::load(&path, &args.overrides).map_err(|findings| Failure { exit: Exit::Usage, findings })?;
    let level = crate::log::start(&config.log);
    super::block_on(crate::run::run(path, args.overrides.clone(), config, level))
        .map_err(|e| Failure::unknown(NO_RUNTIME.on("this machine", e.to_string())))?
        .map_err(|findings| Failure { exit: Exit::Unknown, findings })?;
    Ok(Exit::Good)
}
