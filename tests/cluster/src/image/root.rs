//! A folder that becomes an image: files, and programs of this machine with the libraries they load.
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::progress::quietly;
use xtask::tools::{self, Tool};
use xtask::workspace;

/// The root folder of an image under way.
#[derive(Debug)]
pub struct Root {
    folder: PathBuf,
}

impl Root {
    /// An empty one at `folder`, with what every program expects: `/tmp`, and users to be.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn empty(folder: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(folder);
        let root = Self { folder: folder.to_owned() };
        for path in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            fs::create_dir_all(folder.join(path))?;
        }
        fs::set_permissions(folder.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        root.file(
            "/etc/passwd",
            "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n\
             nonroot:x:65532:65532:nonroot:/tmp:/bin/false\n",
        )?;
        root.file("/etc/group", "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n")?;
        Ok(root)
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the image's `path` is now.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    fn place(&self, path: &str) -> Result<PathBuf> {
        let file = self.at(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(file)
    }

    /// A file with this text, readable for all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn file(&self, path: &str, text: &str) -> Result<()> {
        let file = self.place(path)?;
        fs::write(&file, text)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o644))?;
        Ok(())
    }

    /// A copy of `from`, a file or a folder with all in it.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn copy(&self, from: &Path, path: &str) -> Result<()> {
        let to = self.place(path)?;
        quietly(Command::new("cp").args(["--recursive", "--dereference"]).arg(from).arg(to))
    }

    /// A copy of `program`, a program or a library, and of all libraries it loads, at the places where it looks for them.
    ///
    /// # Errors
    /// It cannot be copied, or lacks a library.
    pub fn program(&self, program: &Path, path: &str) -> Result<()> {
        fs::copy(program, self.place(path)?).with_context(|| program.display().to_string())?;
        for library in libraries(program)? {
            let to = self.place(&library)?;
            if !to.exists() {
                fs::copy(&library, to).with_context(|| library.clone())?;
            }
        }
        Ok(())
    }

    /// As [`Root::program`], without what only a debugger reads.
    ///
    /// # Errors
    /// As [`Root::program`]; `strip` (Debian: binutils) comes with the C compiler.
    pub fn stripped(&self, program: &Path, path: &str) -> Result<()> {
        self.program(program, path)?;
        quietly(Command::new("strip").arg("--strip-debug").arg(self.at(path)))
    }

    /// Busybox and all its commands in `/bin`.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn busybox(&self) -> Result<()> {
        let busybox = tools::find(Tool::Busybox)?;
        fs::copy(&busybox, self.place("/bin/busybox")?).context("busybox")?;
        for command in workspace::output(Command::new(&busybox).arg("--list"))?.lines() {
            let link = self.at("/bin").join(command);
            if !link.exists() {
                symlink("busybox", link)?;
            }
        }
        Ok(())
    }
}

/// The libraries that `program` loads, by path, the loader among them; none of a static program.
fn libraries(program: &Path) -> Result<BTreeSet<String>> {
    let said = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    if !said.status.success() {
        return Ok(BTreeSet::new());
    }
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader without an arrow.
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    if let Some(missing) = text.lines().find(|line| line.contains("not found")) {
        anyhow::bail!("{} lacks a library: {}", program.display(), missing.trim());
    }
    let paths = text.lines().filter_map(|line| {
        let path = line.split("=>").last()?.trim().split(' ').next()?;
        path.starts_with('/').then(|| path.to_owned())
    });
    Ok(paths.collect())
}
