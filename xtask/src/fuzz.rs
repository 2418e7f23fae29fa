//! `cargo xtask fuzz`: every parser of foreign bytes, for a while each, from the seeds that are checked in.
use crate::progress::{Step, quietly};
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::workspace;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// How long each target runs unless `--seconds N` says otherwise.
const SECONDS: u32 = 30;

/// Fuzzes all targets, or those named.
///
/// # Errors
/// A target crashes (the input is kept in `fuzz/artifacts/`), does not build, or nightly is missing.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut seconds = SECONDS;
    let mut named = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            seconds = rest.next().and_then(|text| text.parse().ok()).context("--seconds needs a number")?;
        } else {
            named.push(argument.clone());
        }
    }
    let all = targets()?;
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("no target {unknown:?}; there are: {}", all.join(", "));
    }
    let chosen = if named.is_empty() { all } else { named };

    let mut steps = Steps::default();
    steps.must("compiling the targets (nightly)", || {
        let mut build = cargo_fuzz()?;
        workspace::run(build.arg("build"))
            .context("rustup toolchain install nightly, if that is what is missing")
    })?;
    // One target a core; they share nothing.
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(chosen.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let Some(target) = next else { return };
                    let outcome = fuzz(target, seconds);
                    let mut failures = failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    failures.extend(outcome.err().map(|error| format!("{target}: {error:#}")));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for failure in &failures {
        eprintln!("{failure}");
    }
    if !failures.is_empty() {
        bail!("{} of {} targets failed; the inputs are in fuzz/artifacts/", failures.len(), chosen.len());
    }
    println!("{} targets, {seconds} s each: no crash", chosen.len());
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace::root().join("fuzz/targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz(target: &str, seconds: u32) -> Result<()> {
    let step = Step::start(format!("fuzzing {target} for {seconds} s"));
    let folder = |kind: &str| -> PathBuf { workspace::root().join("fuzz").join(kind).join(target) };
    // New inputs go to `corpus/`, which is not checked in; the seeds are read only.
    std::fs::create_dir_all(folder("corpus"))?;
    let mut command = cargo_fuzz()?;
    command.args(["run", target]).arg(folder("corpus")).arg(folder("seeds"));
    command.args(["--", &format!("-max_total_time={seconds}"), "-rss_limit_mb=2048", "-timeout=10"]);
    quietly(&mut command)?;
    step.done("no crash");
    Ok(())
}

/// cargo-fuzz under nightly, which the sanitiser needs.
fn cargo_fuzz() -> Result<Command> {
    let mut command = Command::new("rustup");
    command
        .current_dir(workspace::root().join("fuzz"))
        .args(["run", "nightly"])
        .arg(tools::find(Tool::Fuzz)?)
        .arg("fuzz");
    workspace::forget_our_package(&mut command);
    // What names the pinned toolchain must not reach nightly's cargo.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    Ok(command)
}
