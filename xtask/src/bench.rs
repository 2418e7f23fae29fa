//! `cargo xtask bench`: builds what is measured as it ships, then becomes the benchmark.
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::{build, filter, wasm32, workspace};
use anyhow::{Context as _, Result};
use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// What is measured with, and beside.
const TOOLS: &[Tool] = &[Tool::OpenSsl, Tool::Nginx, Tool::Envoy, Tool::Wrk, Tool::Go];

/// Builds, then replaces this process by the benchmark; `arguments` name what to measure; none: all on one machine; `--kubernetes`: all in a
/// cluster.
///
/// # Errors
/// Something cannot be built or had.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.must("tools", || TOOLS.iter().try_for_each(|tool| tools::find(*tool).map(drop)))?;
    let filter = steps.must("filter", filter::build)?;
    steps.must("the filter that does nothing", || wasm32::module("certdrift-noop-filter"))?;
    steps.must("the test host, for the counts", || {
        // With the features that `cargo xtask test` resolves: nothing is compiled twice.
        workspace::run(workspace::cargo().args(["build", "--workspace", "--bin", "certdrift-filter-cost"]))
    })?;
    let in_cluster = arguments.iter().any(|argument| argument.contains("kubernetes"));
    let peers = in_cluster.then(|| steps.must("floor and peer in a cluster", peers)).transpose()?;
    let binary = steps.must("controller, as it ships", build::certdrift_release)?;
    steps.must("benchmark", || {
        workspace::run(workspace::cargo().args(["build", "--release", "--package", "certdrift-bench"]))
    })?;
    let mut bench = Command::new(workspace::target().join("release/certdrift-bench"));
    bench.args(arguments).env(build::WASM, &filter.wasm).env(build::BINARY, binary);
    if let Some(peers) = peers {
        bench.env("CERTDRIFT_BENCH_KUBE", peers);
    }
    Err::<Infallible, _>(bench.exec()).context("cannot start the benchmark").map(drop)
}

/// Builds the programs of `tests/bench/kube`; gives their folder.
fn peers() -> Result<PathBuf> {
    let target = workspace::target().join("bench-kube");
    let manifest = workspace::root().join("tests/bench/kube/Cargo.toml");
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target);
    workspace::run(&mut cargo)?;
    Ok(target.join("release"))
}
