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
/// What the demo in a cluster starts, besides what a cluster is made of, which it finds itself.
const CLUSTER_TOOLS: &[Tool] = &[Tool::Curl, Tool::Nginx];

/// Builds, then replaces this process by the demo, so that Ctrl-C and SIGTERM reach the one that puts things away.
///
/// # Errors
/// Something cannot be built or had.
pub fn run(arguments: &[String]) -> Result<()> {
    let in_cluster = arguments.iter().any(|argument| argument == "--kubernetes");
    let mut steps = Steps::default();
    let needed = if in_cluster { CLUSTER_TOOLS } else { TOOLS };
    steps.must("tools", || needed.iter().try_for_each(|tool| tools::find(*tool).map(drop)))?;
    let filter = if in_cluster { None } else { Some(steps.must("filter", filter::build)?) };
    steps.must("controller and demo", || {
        // `--workspace` compiles no more, but resolves the features that `cargo xtask test` needs: nothing twice.
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--workspace", "--bin", "certdrift", "--bin", "certdrift-demo"]);
        if in_cluster {
            cargo.args(["--bin", "certdrift-cluster", "--bin", "certdrift-kic"]);
        }
        workspace::run(&mut cargo)
    })?;
    let programs = workspace::target().join("debug");
    let mut demo = Command::new(programs.join("certdrift-demo"));
    demo.args(arguments).env(build::BINARY, programs.join("certdrift"));
    demo.env(build::CLUSTER, programs.join("certdrift-cluster"))
        .env(build::KIC, programs.join("certdrift-kic"));
    if let Some(filter) = filter {
        demo.env(build::WASM, &filter.wasm);
    }
    Err::<Infallible, _>(demo.exec()).context("cannot start the demo").map(drop)
}
