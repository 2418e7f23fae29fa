//! `certdrift completion SHELL`: the completion script of a shell.
use super::output::Output;
use super::{Exit, Failure};

/// Typed after `completion`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  certdrift completion bash > /etc/bash_completion.d/certdrift
  certdrift completion zsh > \"${fpath[1]}/_certdrift\"
  certdrift completion fish > ~/.config/fish/completions/certdrift.fish")]
pub struct Args {
    /// For which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints it.
///
/// # Errors
/// stdout is gone.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::root(&[]), "certdrift", &mut script);
    out.bytes(&script)?;
    Ok(Exit::Good)
}
