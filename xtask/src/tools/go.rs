//! Programs that are compiled from Go modules, by `go build` into the cache.
//!
//! Each set of programs is a folder of `tests/cluster/go/` with a `go.mod` and a `go.sum` that pin all it is built from.
//! Programs are built one at a time and kept one by one, and Go keeps what it has compiled: a build that was
//! interrupted goes on where it was.
use super::{Tool, find};
use crate::progress::{Step, quietly};
use crate::{cache, workspace};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Go that compiles all of them, as (major, minor): what their `go.mod` asks for.
const NEEDED: (u32, u32) = (1, 26);

/// A program of a Go module.
pub(super) struct Program {
    pub(super) name: &'static str,
    /// Shown, and part of its place in the cache; what is built is what `go.mod` says.
    pub(super) version: &'static str,
    /// The folder below `tests/cluster/go/`.
    pub(super) set: &'static str,
    /// What to build: a package's path, or `.`.
    pub(super) package: &'static str,
    /// Settings of variables, `PACKAGE.NAME=VALUE`.
    pub(super) variables: &'static [&'static str],
}

/// The path of the program, compiled into the cache.
pub(super) fn compiled(program: &Program) -> Result<PathBuf> {
    let Program { name, version, .. } = program;
    let set = workspace::root().join("tests/cluster/go").join(program.set);
    let place = format!("{name}-{version}-{}", digest(program, &set)?);
    let folder = cache::installed(&place, |work| {
        // One after the other: each would take every core, and memory with it.
        let _held = cache::lock("go-build")?;
        let go = go()?;
        let step = Step::start(format!("compiling {name} {version} (Go modules)"));
        let mut linker = "-s -w".to_owned();
        for variable in program.variables {
            linker.push_str(" -X ");
            linker.push_str(variable);
        }
        let mut build = Command::new(go);
        build
            .current_dir(&set)
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=readonly -trimpath -buildvcs=false")
            .args(["build", "-ldflags", &linker, "-o"])
            .arg(work.join(name))
            .arg(program.package);
        quietly(&mut build).with_context(|| {
            format!("missing: {name} {version}; Go modules must be had on this machine (`go env GOPROXY`)")
        })?;
        step.done("");
        Ok(())
    })?;
    Ok(folder.join(name))
}

/// The folder of the module `path`, at the version that the set's `go.mod` says, in Go's own cache.
pub(super) fn module(set: &str, path: &str) -> Result<PathBuf> {
    let mut download = Command::new(go()?);
    let set = workspace::root().join("tests/cluster/go").join(set);
    download.current_dir(&set).env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=readonly");
    workspace::output(download.args(["mod", "download"]).arg(path))?;
    let mut list = Command::new(go()?);
    list.current_dir(&set).env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=readonly");
    let folder = workspace::output(list.args(["list", "-m", "-f", "{{.Dir}}", path]))?;
    if folder.is_empty() {
        bail!("the Go module {path} is not there after its download");
    }
    Ok(PathBuf::from(folder))
}

/// The first digits of a hash of all that decides what is built, but for Go itself.
fn digest(program: &Program, set: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(set)
        .with_context(|| format!("cannot read {}", set.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut bytes = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        bytes.extend(std::fs::read(file)?);
        bytes.push(0);
    }
    for text in std::iter::once(&program.package).chain(program.variables) {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    Ok(cache::sha256_of(&bytes).chars().take(10).collect())
}

/// Why nothing can be compiled from Go modules here, if it cannot.
#[must_use]
pub fn obstacle() -> Option<String> {
    go().err().map(|error| format!("a cluster is built from Go modules: {error:#}"))
}

/// A Go that is new enough.
fn go() -> Result<PathBuf> {
    let go = find(Tool::Go)?;
    let said = workspace::output(Command::new(&go).env("GOTOOLCHAIN", "local").args(["env", "GOVERSION"]))?;
    let mut numbers = said.trim_start_matches("go").split('.').map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < NEEDED {
        bail!(
            "{} is {said}, and Kubernetes needs Go {}.{} or later: put one on the PATH, then run this again",
            go.display(),
            NEEDED.0,
            NEEDED.1
        );
    }
    Ok(go)
}
