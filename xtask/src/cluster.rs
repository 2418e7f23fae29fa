//! `cargo xtask cluster`: builds the program that starts clusters, then becomes it.
use crate::build;
use anyhow::{Context as _, Result};
use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Builds, then replaces this process; what a cluster is made of is installed by `up`.
///
/// # Errors
/// It cannot be built.
pub fn run(arguments: &[String]) -> Result<()> {
    let program = build::cluster()?;
    let mut cluster = Command::new(&program);
    cluster.args(arguments).env(build::CLUSTER, &program);
    Err::<Infallible, _>(cluster.exec()).context("cannot start the cluster's program").map(drop)
}
