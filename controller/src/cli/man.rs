//! `certdrift man`: the man pages, from the same table as `--help`.
use super::output::Output;
use super::{Exit, Failure};
use crate::finding::{Kind, Severity};
use std::path::PathBuf;

/// CD-590: a page could not be written.
pub const NOT_WRITTEN: Kind = Kind {
    code: "CD-590",
    title: "the file cannot be written",
    why: "A command was asked to write files, and the directory does not exist, is full, or is not writable for this user.",
    mend: "name a directory that exists and that you may write",
    severity: Severity::Error,
};

/// Typed after `man`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  certdrift man | man -l -
  certdrift man check | man -l -
  certdrift man --dir /usr/local/share/man/man1")]
pub struct Args {
    /// The subcommand whose page to print; without one, certdrift's own
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    page: Vec<String>,
    /// Write all pages there instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints one page, or writes all.
///
/// # Errors
/// The directory cannot be written, or stdout is gone.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let mut command = super::root(&[]);
    command.build();
    if let Some(dir) = &args.dir {
        clap_mangen::generate_to(command, dir).map_err(|error| {
            Failure::unknown(NOT_WRITTEN.on(dir.display().to_string(), error.to_string()))
        })?;
        return Ok(Exit::Good);
    }
    let mut page = &command;
    for name in &args.page {
        page = page
            .find_subcommand(name)
            .ok_or_else(|| Failure::usage(NO_SUCH_PAGE.on(name, "no command has this name")))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).render(&mut text)?;
    out.bytes(&text)?;
    Ok(Exit::Good)
}

/// CD-591: a page that does not exist was asked for.
pub const NO_SUCH_PAGE: Kind = Kind {
    code: "CD-591",
    title: "there is no such man page",
    why: "`certdrift man COMMAND` prints the page of a subcommand, and this is none.",
    mend: "`certdrift --help` lists the commands",
    severity: Severity::Error,
};
