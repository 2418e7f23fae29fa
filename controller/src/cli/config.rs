//! `certdrift config check|schema|example`.
use super::output::{GREEN, Marks, Output, View, write_finding};
use super::{Exit, Failure};
use crate::config::{self, Config, Overrides};
use crate::finding::{Finding, Severity};
use crate::source::findings::DIRECTORY;
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
    #[command(after_long_help = CHECKED)]
    Check(Check),
    /// Print the JSON schema, for editors
    Schema,
    /// Print an example to begin with
    Example(Example),
}

const CHECKED: &str = "\
A directory of certificates that is not there is a warning, since it may be another machine's:
`run` would start, tell it, and take the directory up once it is there.

Exit codes:
  0   good, perhaps with warnings
  64  something is wrong with it";

#[derive(Debug, clap::Args)]
struct Example {
    /// For a gateway in a cluster
    #[arg(long)]
    kubernetes: bool,
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
    warnings: Vec<Finding>,
}

impl View for Good {
    const SCHEMA: &'static str = "certdrift.dev/config-check/v1";

    fn human(&self, to: &mut dyn Write, _wide: bool, _marks: Marks) -> io::Result<()> {
        let Self { file, gateways, endpoints, warnings } = self;
        writeln!(
            to,
            "{GREEN}good{GREEN:#} {file}: gateways {}; endpoints in all: {endpoints}",
            gateways.join(", ")
        )?;
        warnings.iter().try_for_each(|finding| write_finding(to, finding))
    }

    fn names(&self) -> Vec<String> {
        self.gateways.clone()
    }

    fn short(&self) -> Vec<String> {
        self.warnings.iter().map(|f| format!("{} {}: {}", f.code, f.object, f.why)).collect()
    }
}

/// Sources that are not there, on this machine, now.
fn absent(config: &Config) -> Vec<Finding> {
    let mut told = Vec::new();
    for (g, gateway) in config.gateways.iter().enumerate() {
        for (n, source) in gateway.sources.iter().enumerate() {
            let Err(error) = std::fs::metadata(&source.directory) else { continue };
            let why = format!(
                "{error}; `run` would start, tell this as an error, and expect nothing from it until it is there"
            );
            let mut finding = DIRECTORY.on(source.directory.display().to_string(), why);
            finding.severity = Severity::Warning;
            finding.mend = format!(
                "mount or create it, or correct gateways[{g}].sources[{n}].directory; nothing, where it is another machine's"
            );
            told.push(finding);
        }
    }
    told
}

/// Checks, or prints.
///
/// # Errors
/// The configuration is wrong, or stdout is gone.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    match &args.what {
        What::Schema => out.text(&config::reference::schema_text())?,
        What::Example(Example { kubernetes: false }) => out.text(config::reference::EXAMPLE)?,
        What::Example(Example { kubernetes: true }) => out.text(config::reference::EXAMPLE_KUBERNETES)?,
        What::Check(check) => {
            let path = check.named.clone().unwrap_or_else(|| check.file.path());
            let config = config::load(&path, &check.overrides)
                .map_err(|findings| Failure { exit: Exit::Usage, findings })?;
            out.show(&Good {
                file: path.display().to_string(),
                gateways: config.gateways.iter().map(|g| g.name.clone()).collect(),
                endpoints: config.gateways.iter().map(|g| g.endpoints.len()).sum(),
                warnings: absent(&config),
            })?;
        }
    }
    Ok(Exit::Good)
}
