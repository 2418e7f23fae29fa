//! Programs that come in packages of npm's registry, by `npm pack`; no install script is run.
use super::{Tool, debian, debian::single_file, find, path};
use crate::cache;
use crate::progress::{Step, quietly};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// A package with one script of interest, run by node.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) sha256: &'static str,
    /// The script's path in the archive.
    pub(super) member: &'static str,
}

/// The path of the package's script, unpacked into the cache.
pub(super) fn unpacked(package: &Package) -> Result<PathBuf> {
    let Package { name, version, .. } = package;
    find(Tool::Node)?;
    let folder = cache::installed(&format!("{name}-{version}"), |work| {
        if path::find("npm").is_none() {
            debian::install(&["npm"])?;
        }
        let step = Step::start(format!("installing {name} {version} (npm's registry)"));
        quietly(
            Command::new("npm").args(["pack", "--silent", &format!("{name}@{version}")]).current_dir(work),
        )
        .with_context(|| {
            format!("missing: {name} {version}; `npm pack {name}@{version}` must work on this machine")
        })?;
        let archive = single_file(work)?;
        let found = cache::sha256(&archive)?;
        if found != package.sha256 {
            bail!("{} has SHA-256 {found}, expected {}: not used", archive.display(), package.sha256);
        }
        quietly(
            Command::new("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(work),
        )?;
        std::fs::remove_file(archive)?;
        step.done("");
        Ok(())
    })?;
    Ok(folder.join(package.member))
}
