//! Where the workspace, its target folder and its toolchain are.
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's own folder.
#[must_use]
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Cargo's target folder: `$CARGO_TARGET_DIR`, else `target/`.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A cargo that works in the workspace, with the toolchain that `rust-toolchain.toml` pins.
///
/// What the cargo around us set for its own child (a package's name, a profile) is not handed on.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    forget_our_package(&mut command);
    command
}

/// Takes out of a command's environment what the cargo around us set for us: build scripts look at some of it (ring's
/// does), and would be run again for every change.
pub fn forget_our_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

/// What `command` prints, without the last line break.
///
/// # Errors
/// It cannot be started, or fails; the message carries what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let said =
        command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !said.status.success() {
        bail!(
            "{} failed ({}): {}",
            shown(command),
            said.status,
            String::from_utf8_lossy(&said.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&said.stdout).trim_end().to_owned())
}

/// Runs `command` with its output on our own.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status =
        command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("failed ({status}): {}", shown(command));
    }
    Ok(())
}

/// A command as one would type it.
#[must_use]
pub fn shown(command: &Command) -> String {
    let mut text = match Path::new(command.get_program()).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => command.get_program().to_string_lossy().into_owned(),
    };
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        text.push(' ');
        if argument.is_empty() || argument.contains(char::is_whitespace) {
            text.push('\'');
            text.push_str(&argument);
            text.push('\'');
        } else {
            text.push_str(&argument);
        }
    }
    text
}
