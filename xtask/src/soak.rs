//! `cargo xtask soak`: builds the controller and what plays faults against it, then becomes the latter.
use crate::steps::Steps;
use crate::{build, workspace};
use anyhow::{Context as _, Result};
use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Builds, then replaces this process by the soak. `--short`: three minutes; `--broken`: builds with a line broken each;
/// names: only those faults.
///
/// # Errors
/// Something cannot be built.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    let mut soak = steps.must("the controller, and what plays faults against it", command)?;
    Err::<Infallible, _>(soak.args(arguments).exec()).context("cannot start the soak").map(drop)
}

/// The soak, with everything built that it starts.
///
/// # Errors
/// Something cannot be built.
pub fn command() -> Result<Command> {
    // With the features that `cargo xtask test` resolves: nothing is compiled twice.
    let bins = ["certdrift", "certdrift-soak", "certdrift-cluster"].map(|bin| ["--bin", bin]).concat();
    workspace::run(workspace::cargo().args(["build", "--workspace"]).args(bins))?;
    let debug = workspace::target().join("debug");
    let mut soak = Command::new(debug.join("certdrift-soak"));
    soak.env(build::BINARY, debug.join("certdrift")).env(build::CLUSTER, debug.join("certdrift-cluster"));
    Ok(soak)
}
