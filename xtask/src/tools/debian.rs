//! Debian's packages, by `apt-get`.
use crate::cache;
use crate::progress::{Step, quietly};
use anyhow::{Context as _, Result, bail};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of a Debian package that is used without installing the package.
pub(super) struct File {
    pub(super) package: &'static str,
    pub(super) member: &'static str,
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

fn has_apt() -> bool {
    super::path::find("apt-get").is_some()
}

/// Installs `packages` of Debian. Only root may.
///
/// # Errors
/// They cannot be installed; the message is one line and says how to.
pub fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !has_apt() {
        bail!(
            "missing: {names} (names of Debian's packages; install what your system calls them, then run this again)"
        );
    }
    if !std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        bail!("missing: {names}; install with: sudo apt-get install {names}");
    }
    let _held = cache::lock("apt")?;
    let step = Step::start(format!("installing {names} (Debian)"));
    let mut command = apt_get();
    command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    // A fresh machine has no package lists, or old ones.
    if quietly(&mut command).is_err() {
        quietly(apt_get().arg("update"))
            .with_context(|| format!("missing: {names}; cannot update Debian's package lists"))?;
        quietly(&mut command).with_context(|| format!("missing: {names}; try: apt-get install {names}"))?;
    }
    step.done("");
    Ok(())
}

/// The path of a package's file, unpacked into the cache.
pub(super) fn unpacked(file: &File) -> Result<PathBuf> {
    let package = file.package;
    let folder = cache::installed(&format!("debian-{package}"), |work| {
        if !has_apt() {
            bail!("missing: {package}; install it and put it on the PATH, then run this again");
        }
        let step = Step::start(format!("unpacking {package} (Debian)"));
        let download = || quietly(apt_get().args(["download", package]).current_dir(work));
        if download().is_err() {
            let _held = cache::lock("apt")?;
            quietly(apt_get().arg("update"))
                .with_context(|| format!("missing: {package}; run as root: apt-get update"))?;
            download()?;
        }
        let archive = single_file(work)?;
        quietly(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(work))?;
        std::fs::remove_file(archive)?;
        step.done("");
        Ok(())
    })?;
    Ok(folder.join(file.member))
}

/// The one file that a download left in `folder`.
pub(super) fn single_file(folder: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("nothing was downloaded into {}", folder.display())
}
