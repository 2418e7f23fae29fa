//! `cargo xtask test`: everything the tests need, once, then all tests, also those on wasm32.
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::{build, filter, wasm32, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// What the tests start: installed before them, so that no test's deadline pays for a download.
const TOOLS: &[Tool] =
    &[Tool::Nextest, Tool::OpenSsl, Tool::Curl, Tool::Nginx, Tool::Envoy, Tool::Prometheus];

/// Runs all tests. `--long` makes the random ones long; what else is given goes to nextest (a filter, say).
///
/// # Errors
/// A test fails, or something cannot be built or had.
pub fn run(arguments: &[String]) -> Result<()> {
    let long = arguments.iter().any(|argument| argument == "--long");
    let filters: Vec<&String> = arguments.iter().filter(|argument| *argument != "--long").collect();
    let mut steps = Steps::default();
    steps.must("tools", || TOOLS.iter().try_for_each(|tool| tools::find(*tool).map(drop)))?;
    let filter = steps.must("filter", filter::build)?;
    // All that is tested by one cargo call: a call for less would resolve other features and compile twice.
    steps.must("compiling the tests", || {
        workspace::run(workspace::cargo().args(["build", "--workspace", "--tests", "--bins"]))
    })?;

    let binary = workspace::target().join("debug/certdrift");
    let environment = |command: &mut Command| {
        command.env(build::WASM, &filter.wasm).env(build::BINARY, &binary);
        if long {
            command.env("CERTDRIFT_LONG", "1");
        }
    };
    steps.try_all("tests", || {
        let mut command = nextest()?;
        command.args(["run", "--workspace"]).args(&filters);
        if long {
            command.args(["--profile", "long"]);
        }
        environment(&mut command);
        workspace::run(&mut command)
    });
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
