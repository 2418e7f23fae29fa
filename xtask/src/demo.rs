//! `cargo xtask demo`: builds what the demo shows, then becomes it.
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::{build, filter, workspace};
use anyhow::{Context as _, Result};
use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What the demo starts.
const TOOLS: &[Tool] = &[Tool::OpenSsl, Tool::Curl, Tool::Nginx, Tool::Envoy];

/// Builds, then replaces this process by the demo, so that Ctrl-C and SIGTERM reach the one that puts things away.
///
/// # Errors
/// Something cannot be built or had.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.must("tools", || TOOLS.iter().try_for_each(|tool| tools::find(*tool).map(drop)))?;
    let filter = steps.must("filter", filter::build)?;
    steps.must("controller and demo", || {
        // `--workspace` compiles no more, but resolves the features that `cargo xtask test` needs: nothing twice.
        let mut cargo = workspace::cargo();
        workspace::run(cargo.args(["build", "--workspace", "--bin", "certdrift", "--bin", "certdrift-demo"]))
    })?;
    let programs = workspace::target().join("debug");
    let mut demo = Command::new(programs.join("certdrift-demo"));
    demo.args(arguments).env(build::WASM, &filter.wasm).env(build::BINARY, programs.join("certdrift"));
    Err::<Infallible, _>(demo.exec()).context("cannot start the demo").map(drop)
}
