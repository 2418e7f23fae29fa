//! `cargo xtask test`: everything the tests need, once, then all tests, also those on wasm32.
//!
//! Tests in files named `cluster_*` share a real Kubernetes cluster, which is started before them and ended after them.
//! Where the machine cannot have one, they are named and skipped.
use crate::cluster::{self, Running};
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::{build, filter, wasm32, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// What the tests start: installed before them, so that no test's deadline pays for a download.
const TOOLS: &[Tool] =
    &[Tool::Nextest, Tool::OpenSsl, Tool::Curl, Tool::Nginx, Tool::Envoy, Tool::Prometheus, Tool::Promtool];

/// Runs all tests. `--long` makes the random ones long, `--no-cluster` skips those that need a cluster; what else is given
/// goes to nextest (a filter, say).
///
/// # Errors
/// A test fails, or something cannot be built or had.
pub fn run(arguments: &[String]) -> Result<()> {
    let long = arguments.iter().any(|argument| argument == "--long");
    let wanted = !arguments.iter().any(|argument| argument == "--no-cluster");
    let ours = ["--long", "--no-cluster"];
    let filters: Vec<&String> =
        arguments.iter().filter(|argument| !ours.contains(&argument.as_str())).collect();
    let mut steps = Steps::default();
    steps.must("tools", || TOOLS.iter().try_for_each(|tool| tools::find(*tool).map(drop)))?;
    let filter = steps.must("filter", filter::build)?;
    // All that is tested by one cargo call: a call for less would resolve other features and compile twice.
    steps.must("compiling the tests", || {
        workspace::run(workspace::cargo().args(["build", "--workspace", "--tests", "--bins"]))
    })?;

    let programs = workspace::target().join("debug");
    let environment = |command: &mut Command| {
        command.env(build::WASM, &filter.wasm).env(build::BINARY, programs.join("certdrift"));
        command.env(build::KIC, programs.join("certdrift-kic"));
        if long {
            command.env("CERTDRIFT_LONG", "1");
        }
    };
    let in_cluster = need_a_cluster(&filters)?;
    let obstacle =
        if wanted { cluster::obstacle()? } else { Some("left out, as asked: --no-cluster".into()) };
    let running = match &obstacle {
        None if !in_cluster.is_empty() => Some(steps.must("a Kubernetes cluster", Running::start)?),
        _ => None,
    };
    steps.try_all("tests", || {
        let mut command = nextest()?;
        command.args(["run", "--workspace"]);
        if let Some(obstacle) = &obstacle {
            say_skipped(&in_cluster, obstacle);
            command.arg("--tool-config-file").arg(without_cluster()?);
        }
        command.args(&filters);
        if let Some(running) = &running {
            command.env("CERTDRIFT_CLUSTER", running.name());
        }
        if long {
            command.args(["--profile", "long"]);
        }
        environment(&mut command);
        workspace::run(&mut command)
    });
    if filters.is_empty() {
        steps.try_all("the soak, in its short form", || {
            let mut soak = crate::soak::command()?;
            soak.arg("--short");
            if let Some(running) = &running {
                soak.env("CERTDRIFT_CLUSTER", running.name());
            } else {
                soak.arg("--no-cluster");
            }
            workspace::run(&mut soak)
        });
    }
    if let Some(running) = running {
        steps.try_all("ending the cluster", || running.end());
    }
    if let (Some(obstacle), false) = (&obstacle, in_cluster.is_empty()) {
        say_skipped(&in_cluster, obstacle);
    }
    if filters.is_empty() {
        steps.try_all("examples in the documentation", || {
            workspace::run(workspace::cargo().args(["test", "--quiet", "--workspace", "--doc"]))
        });
        steps.try_all("the contract on wasm32", on_wasm32);
        steps.try_all("the page of guarantees", || {
            workspace::run(workspace::cargo().args(["run", "--quiet", "--package", "certdrift-guarantee"]))
        });
    }
    steps.end()
}

/// The chosen tests that need a cluster, a line each.
fn need_a_cluster(filters: &[&String]) -> Result<Vec<String>> {
    let list = |filters: &[&String]| {
        let mut list = nextest()?;
        workspace::output(list.args(["list", "--workspace", "--message-format", "oneline"]).args(filters))
    };
    // What only `run` understands may be among the arguments.
    let named = list(filters).or_else(|_| list(&[]))?;
    let in_cluster = |line: &&str| line.split(' ').next().is_some_and(|file| file.contains("::cluster_"));
    Ok(named.lines().filter(in_cluster).map(str::to_owned).collect())
}

fn say_skipped(tests: &[String], obstacle: &str) {
    eprintln!("\n  {} tests SKIPPED: {obstacle}", tests.len());
    for test in tests {
        eprintln!("    SKIPPED  {test}");
    }
}

/// What makes nextest count the tests that need a cluster as skipped.
fn without_cluster() -> Result<String> {
    let file = workspace::target().join("nextest-without-cluster.toml");
    std::fs::write(&file, "[profile.default]\ndefault-filter = 'not binary(/^cluster_/)'\n")?;
    Ok(format!("certdrift:{}", file.display()))
}

fn nextest() -> Result<Command> {
    let mut command = Command::new(tools::find(Tool::Nextest)?);
    command.current_dir(workspace::root()).arg("nextest");
    workspace::forget_our_package(&mut command);
    Ok(command)
}

/// The contract's tests, compiled to WebAssembly and run by node.
fn on_wasm32() -> Result<()> {
    let node = tools::find(Tool::Node)?;
    let version = workspace::output(Command::new(node).arg("--version"))?;
    if version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok())
        < Some(18)
    {
        bail!("node {version} is too old for the tests on wasm32: 18 or later is needed");
    }
    let mut command = wasm32::cargo("test")?;
    command.args(["--package", "certdrift-contract", "--no-default-features", "--features", "serde"]);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools::find(Tool::WasmBindgenTestRunner)?);
    workspace::run(&mut command)
}
