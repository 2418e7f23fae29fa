//! What can be typed: one table that makes `-h`, `--help`, the man pages and the completion.
use clap::{Parser, Subcommand};

/// What bare `certdrift` says; `name` is how it was called.
#[must_use]
pub fn welcome(name: &str) -> String {
    WELCOME.replace("  certdrift ", &format!("  {name} ")).replace("`certdrift ", &format!("`{name} "))
}

const WELCOME: &str = "\
certdrift proves that the gateway serves the certificate that was issued.

  certdrift check shop.example.com              what is served there, right now; needs no set-up
  certdrift check shop.example.com --expect new.pem --wait 60s   is it the new one yet?
  certdrift config example > certdrift.yaml     a configuration to begin with
  certdrift run --config certdrift.yaml         watch, publish, observe, and heal once you say so

Begin with `certdrift check HOST`. With the controller running, `certdrift status` shows every host hop by hop.
A code such as CD-101 is explained by `certdrift explain CD-101`; everything else by `certdrift --help`.
";

/// The exit codes, as every `--help` prints them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0   as expected
  1   drift, or a certificate that is invalid or was not stored
  2   could not tell (unreachable, no answer in time); never passes as good
  64  bad usage: the command line or the configuration";

/// Proves that the gateway serves the certificate that was issued, says which hop broke when it does not, and mends it.
#[derive(Debug, Parser)]
#[command(name = "certdrift", version, max_term_width = 100, after_long_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How to answer.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Format of the answer on stdout
    #[arg(short = 'o', long = "output", global = true, value_enum, default_value_t = Format::Table, hide_default_value = true, value_name = "FORMAT")]
    pub format: Format,
    /// When to colour; `auto` is on terminals only, and heeds NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, hide_default_value = true, value_name = "WHEN")]
    pub color: Color,
}

/// Format of the answer on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: the verdict first (the default)
    Table,
    /// The same with nothing shortened
    Wide,
    /// For programs; carries `schema`
    Json,
    /// The same as YAML
    Yaml,
    /// Markdown, for the folder of audits; of drill only
    Md,
    /// Names only, one per line
    Name,
    /// One line per thing that is wrong; nothing when all is well
    Short,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On terminals only
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch, publish, observe, and heal once the configuration says so
    Run(super::run::Args),
    /// Show every host, hop by hop, as the running controller knows it
    Status(super::status::Args),
    /// Show what was done, why, and what came of it
    History(super::history::Args),
    /// Look at what hosts serve, right now; needs no set-up
    Check(super::check::Args),
    /// Look at every host on every gateway pod of a cluster; needs a kubeconfig only
    Audit(super::audit::Args),
    /// Check the installation and what it stands on, with the mend for what is wrong
    Doctor(super::doctor::Args),
    /// Write a support archive without keys and tokens; what is in it is listed first
    Bundle(super::bundle::Args),
    /// Rehearse a renewal: have a certificate issued once more, and time each hop of its way
    Drill(super::drill::Args),
    /// Check a configuration, print its schema, or an example
    Config(super::config::Args),
    /// Explain a code such as CD-101; without one, list them all
    Explain(super::explain::Args),
    /// Look at a published ledger: show, diff, verify
    Ledger(super::ledger::Args),
    /// Print the completion for a shell
    Completion(super::completion::Args),
    /// Print a man page, or write all of them to a directory
    Man(super::man::Args),
}
