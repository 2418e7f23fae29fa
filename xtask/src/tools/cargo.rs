//! Programs that are compiled from cargo's registry, by `cargo install` into the cache.
use crate::cache;
use crate::progress::{Step, quietly};
use crate::workspace;
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// A crate with one program of interest.
pub(super) struct Crate {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) program: &'static str,
}

/// The version of `package` in our lock file.
pub(super) fn locked(package: &str) -> Result<String> {
    let lock = std::fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let heading = format!("name = \"{package}\"");
    lock.lines()
        .skip_while(|line| *line != heading)
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("Cargo.lock holds no {package}"))
}

/// The path of the crate's program, compiled into the cache.
pub(super) fn compiled(source: &Crate) -> Result<PathBuf> {
    let Crate { name, version, program } = source;
    let folder = cache::installed(&format!("{program}-{version}"), |work| {
        let step = Step::start(format!("compiling {program} {version} (cargo's registry)"));
        // Not `--locked`: the lock file that wasm-bindgen-cli ships names versions newer than some mirrors have.
        // Without default features there is no TLS: the runner only speaks to a browser on this machine, or to node.
        let mut install = workspace::cargo();
        install
            .env("CARGO_TARGET_DIR", work.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .args(["install", "--quiet", "--debug", "--no-default-features", "--no-track", "--bin", program])
            .args(["--version", version, name, "--root"])
            .arg(work);
        quietly(&mut install).with_context(|| {
            format!("missing: {program} {version}; `cargo install {name}` must work on this machine")
        })?;
        std::fs::remove_dir_all(work.join("build"))?;
        step.done("");
        Ok(())
    })?;
    Ok(folder.join("bin").join(program))
}
