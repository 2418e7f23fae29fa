//! `certdrift config check|schema|example`.
use super::output::{GREEN, Marks, Output, View};
use super::{Exit, Failure};
use crate::config::{self, Overrides};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// Typed after `config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Tell everything that is wrong with a configuration, with line and mend
    #[command(after_long_help = "Exit codes:\n  0   good\n  64  something is wrong with it")]
    Check(Check),
    /// Print the JSON schema, for editors
    Schema,
    /// Print an example to begin with
    Example,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The configuration, as with --config
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    overrides: Overrides,
}

/// Which file.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct FileArgs {
    /// The configuration; else certdrift.yaml here, else /etc/certdrift/certdrift.yaml
    #[arg(short, long, env = "CERTDRIFT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl FileArgs {
    /// The file to read.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        config::load::choose(self.config.as_deref())
    }
}

#[derive(Serialize)]
struct Good {
    file: String,
    gateways: Vec<String>,
    endpoints: usize,
}

impl View for Good {
    const SCHEMA: &'static str = "certdrift.dev/config-check/v1";

    fn human(&self, to: &mut dyn Write, _wide: bool, _marks: Marks) -> io::Result<()> {
        let Self { file, gateways, endpoints } = self;
        writeln!(
            to,
            "{GREEN}good{GREEN:#} {file}: gateways {}; endpoints in all: {endpoints}",
            gateways.join(", ")
        )
    }

    fn names(&self) -> Vec<String> {
        self.gateways.clone()
    }

    fn short(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Checks, or prints.
///
/// # Errors
/// The configuration is wrong, or stdout is gone.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    match &args.what {
        What::Schema => out.text(&config::reference::schema_text())?,
        What::Example => out.text(config::reference::EXAMPLE)?,
        What::Check(check) => {
            let path = check.named.clone().unwrap_or_else(|| check.file.path());
            let config = config::load(&path, &check.overrides)
                .map_err(|findings| Failure { exit: Exit::Usage, findings })?;
            out.show(&Good {
                file: path.display().to_string(),
                gateways: config.gateways.iter().map(|g| g.name.clone()).collect(),
                endpoints: config.gateways.iter().map(|g| g.endpoints.len()).sum(),
            })?;
        }
    }
    Ok(Exit::Good)
}
