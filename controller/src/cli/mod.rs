//! The command line: what the user typed, in; a verdict, its evidence and what to do about it, out.
//!
//! stdout is data, stderr is talk. A subcommand is a file here with `Args` (clap) and
//! `run(&Args, &Output) -> Result<Exit, Failure>`; it is mounted by a variant of [`args::Command`].
pub mod args;
mod argv;
pub mod audit;
pub mod bundle;
pub mod check;
pub mod completion;
pub mod config;
pub mod doctor;
pub mod drill;
pub mod explain;
pub mod history;
pub mod ledger;
pub mod man;
pub mod output;
pub mod run;
pub mod status;
pub mod table;

use args::{Cli, Command};
use clap::{CommandFactory as _, FromArgMatches as _};
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::finding::Finding;

/// The exit codes: a contract, printed in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is as expected.
    Good,
    /// 1: drift, or invalid.
    Drift,
    /// 2: could not tell; never passes as good.
    Unknown,
    /// 64 (`EX_USAGE` of sysexits.h): the command line or the configuration is wrong.
    Usage,
    /// 130, as a shell tells of Ctrl-C.
    Interrupted,
}

impl Exit {
    /// As the shell sees it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Drift => 1,
            Self::Unknown => 2,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }

    /// Of several: any 1 wins over 2, and 2 over 0.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Interrupted, _) | (_, Self::Interrupted) => Self::Interrupted,
            (Self::Usage, _) | (_, Self::Usage) => Self::Usage,
            (Self::Drift, _) | (_, Self::Drift) => Self::Drift,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Good, Self::Good) => Self::Good,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a subcommand came to no answer: findings for stderr, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// What the shell gets.
    pub exit: Exit,
    /// Told on stderr, in this order.
    pub findings: Vec<Finding>,
}

impl Failure {
    /// One finding that keeps the command from answering: exit 2.
    #[must_use]
    pub fn unknown(finding: Finding) -> Self {
        Self { exit: Exit::Unknown, findings: vec![finding] }
    }

    /// One finding that the user mends by typing or configuring something else: exit 64.
    #[must_use]
    pub fn usage(finding: Finding) -> Self {
        Self { exit: Exit::Usage, findings: vec![finding] }
    }
}

/// stdout cannot be written, a full disk mostly.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let mut finding = man::NOT_WRITTEN.on("the answer on stdout", error.to_string());
        "make room where stdout goes (df -h), and run it again".clone_into(&mut finding.mend);
        Self::unknown(finding)
    }
}

/// Runs the command line of this process and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

/// Runs one command line; the first argument is the program's name.
#[must_use]
pub fn run(argv: Vec<OsString>) -> Exit {
    let color = output::color_of(&argv);
    let mut command = root(&argv).color(color);
    let argv = argv::help_is_a_word_too(&command, argv);
    let cli = match command.try_get_matches_from_mut(&argv).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(finding) = argv::blames_a_variable(&error, &command, &argv) {
                let _ = Output::before_the_flags(color).tell(&finding);
                return Exit::Usage;
            }
            let _ = error.print();
            // clap's own code for a typo is 2, which would read as "could not tell".
            return if error.use_stderr() { Exit::Usage } else { Exit::Good };
        }
    };
    let out = Output::new(&cli.output);
    match dispatch(&cli, &out, command.get_bin_name().unwrap_or("certdrift")) {
        Ok(exit) => exit,
        Err(failure) => {
            for finding in &failure.findings {
                let _ = out.tell(finding);
            }
            failure.exit
        }
    }
}

/// The clap command; called `kubectl certdrift` when the binary is named as a kubectl plugin.
#[must_use]
pub fn root(argv: &[OsString]) -> clap::Command {
    let stem = argv.first().and_then(|a| std::path::Path::new(a).file_stem()).and_then(|s| s.to_str());
    match stem {
        Some("kubectl-certdrift" | "kubectl_certdrift") => Cli::command().bin_name("kubectl certdrift"),
        _ => Cli::command().bin_name("certdrift"),
    }
}

fn dispatch(cli: &Cli, out: &Output, name: &str) -> Result<Exit, Failure> {
    if out.format == args::Format::Md && !matches!(cli.command, Some(Command::Drill(_))) {
        let mut finding =
            crate::observe::findings::CHECK_USAGE.on("-o md", "only drill writes a report as Markdown");
        "leave it out, or say -o json".clone_into(&mut finding.mend);
        return Err(Failure::usage(finding));
    }
    match &cli.command {
        None => {
            out.text(&args::welcome(name))?;
            Ok(Exit::Good)
        }
        Some(Command::Run(args)) => run::run(args, out),
        Some(Command::Status(args)) => status::run(args, out),
        Some(Command::History(args)) => history::run(args, out),
        Some(Command::Check(args)) => check::run(args, out),
        Some(Command::Audit(args)) => audit::run(args, out),
        Some(Command::Doctor(args)) => doctor::run(args, out),
        Some(Command::Bundle(args)) => bundle::run(args, out),
        Some(Command::Drill(args)) => drill::run(args, out),
        Some(Command::Config(args)) => config::run(args, out),
        Some(Command::Explain(args)) => explain::run(args, out),
        Some(Command::Ledger(args)) => ledger::run(args, out),
        Some(Command::Completion(args)) => completion::run(args, out),
        Some(Command::Man(args)) => man::run(args, out),
    }
}

/// Runs a future to its end on this thread, the only one.
///
/// # Errors
/// The runtime cannot be made (no file descriptors left).
pub fn block_on<F: Future>(future: F) -> std::io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runbooks_type_what_is_understood() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks");
        let mut typed = Vec::new();
        for page in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(page.unwrap().path()).unwrap();
            let indented = text.lines().filter_map(|line| line.strip_prefix("       "));
            let quoted = text.split('`').skip(1).step_by(2);
            for line in indented.chain(quoted) {
                let line = line.trim().replace("/certdrift ", "certdrift ").replace("$C ", "certdrift ");
                let Some(at) = line.find("certdrift ").filter(|at| *at == 0 || line.contains("exec deploy"))
                else {
                    continue;
                };
                let all: Vec<String> = line[at..].split_whitespace().map(str::to_owned).collect();
                let from = all.iter().rposition(|word| word == "certdrift").unwrap();
                typed.push(all[from..].to_vec());
            }
        }
        assert!(typed.len() >= 10, "{typed:#?}");
        for line in typed {
            let parsed = root(&[]).try_get_matches_from(&line);
            assert!(parsed.is_ok(), "{line:?}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        root(&[]).debug_assert();
    }

    #[test]
    fn of_several_addresses_drift_wins_over_could_not_tell_and_that_over_good() {
        assert_eq!(Exit::Good.worse(Exit::Unknown), Exit::Unknown);
        assert_eq!(Exit::Drift.worse(Exit::Unknown), Exit::Drift);
        assert_eq!(Exit::Unknown.worse(Exit::Drift), Exit::Drift);
        assert_eq!(Exit::Good.worse(Exit::Good), Exit::Good);
    }
}
