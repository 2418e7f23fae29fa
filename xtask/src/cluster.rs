//! `cargo xtask cluster`: builds the program that starts clusters, then becomes it; and the cluster of a test run.
use crate::{build, cache, workspace};
use anyhow::{Context as _, Result};
use std::convert::Infallible;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// Builds, then replaces this process; what a cluster is made of is installed by `up`.
///
/// # Errors
/// It cannot be built.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut cluster = program()?;
    cluster.args(arguments);
    Err::<Infallible, _>(cluster.exec()).context("cannot start the cluster's program").map(drop)
}

/// Why this machine cannot have a cluster, if it cannot.
///
/// # Errors
/// The program that knows cannot be built or started.
pub fn obstacle() -> Result<Option<String>> {
    let said = program()?.arg("possible").output()?;
    let why = String::from_utf8_lossy(&said.stderr);
    Ok((!said.status.success()).then(|| why.trim().trim_start_matches("cargo xtask cluster: ").to_owned()))
}

fn program() -> Result<Command> {
    let program = build::cluster()?;
    let mut command = Command::new(&program);
    command.env(build::CLUSTER, &program);
    Ok(command)
}

/// A cluster with node and add-ons for one run of tests; it ends with this process, whatever becomes of that.
#[derive(Debug)]
pub struct Running {
    name: String,
    owner: PathBuf,
    _held: File,
}

impl Running {
    /// Starts it, after building what it is made of.
    ///
    /// # Errors
    /// Something cannot be had, or it does not come up.
    pub fn start() -> Result<Self> {
        let name = format!("test-{}", std::process::id());
        let owner = workspace::target().join(format!("{name}.owner"));
        let held = cache::lock_file(&owner)?;
        let running = Self { name, owner, _held: held };
        let mut up = program()?;
        up.args(["up", running.name(), "--addons", "--while-locked"]).arg(&running.owner);
        // Not to be mistaken for a result of the tests.
        workspace::run(up.stdout(std::process::Stdio::null()))
            .context("no cluster; --no-cluster leaves the tests out that need one")?;
        Ok(running)
    }

    /// What `CERTDRIFT_CLUSTER` names.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends it and removes what is left.
    ///
    /// # Errors
    /// Something stays.
    pub fn end(self) -> Result<()> {
        workspace::output(program()?.args(["down", self.name()])).map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.owner);
    }
}
