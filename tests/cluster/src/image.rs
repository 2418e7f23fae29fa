//! Images as tar files, made from folders: no registry, no daemon. containerd imports them, and pods that use them say
//! `imagePullPolicy: Never`.
use crate::place::Place;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::progress::quietly;
use xtask::tools::{self, Tool};
use xtask::workspace;

/// What holds a pod's namespaces.
pub const PAUSE: &str = "localhost/pause:1";
/// A small system, for tests: its pods serve `/www` on port 8080 unless told otherwise, or run a shell.
pub const BUSYBOX: &str = "localhost/busybox:1";

/// What an image says of itself.
#[derive(Clone, Debug, Default)]
pub struct Image<'text> {
    /// `localhost/NAME:TAG`.
    pub name: &'text str,
    /// What is run; the pod's `command` takes its place.
    pub entrypoint: &'text [&'text str],
    /// Its arguments; the pod's `args` take their place.
    pub arguments: &'text [&'text str],
    /// `UID:GID`; root when empty.
    pub user: &'text str,
}

impl Image<'_> {
    /// Writes the image with the files of `root` to `folder`, as an archive in Docker's format with one layer. The same
    /// files make the same bytes.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub fn write(&self, root: &Path, folder: &Path) -> Result<PathBuf> {
        let short: String = self
            .name
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        let work = folder.join(format!("{short}.parts"));
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work)?;
        pack(root, ".", &work.join("layer.tar"))?;
        let layer = xtask::cache::sha256(&work.join("layer.tar"))?;
        let list = |words: &[&str]| if words.is_empty() { Value::Null } else { json!(words) };
        let configuration = serde_json::to_vec(&json!({
            "architecture": if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" },
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.arguments),
                "WorkingDir": "/",
                "User": self.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "certdrift"}],
        }))?;
        let file = format!("{}.json", xtask::cache::sha256_of(&configuration));
        fs::write(work.join(&file), configuration)?;
        let manifest = json!([{"Config": file, "RepoTags": [self.name], "Layers": ["layer.tar"]}]);
        fs::write(work.join("manifest.json"), serde_json::to_vec(&manifest)?)?;
        let archive = folder.join(format!("{short}.tar"));
        pack(&work, ".", &archive)?;
        fs::remove_dir_all(&work)?;
        Ok(archive)
    }
}

/// Packs `what` in `folder`, owned by root and without times.
fn pack(folder: &Path, what: &str, archive: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    // Names without a leading `./`: the archive's reader looks for `manifest.json`.
    tar.arg("--transform=s,^\\./,,").arg("--file").arg(archive).arg("--directory").arg(folder).arg(what);
    quietly(&mut tar)
}

/// The image [`PAUSE`]: a static program that waits, and takes leave of orphans.
pub(crate) fn pause(place: &Place) -> Result<PathBuf> {
    let root = empty(place, "pause")?;
    let source = workspace::root().join("tests/cluster/pause.c");
    let mut compile = Command::new(tools::find(Tool::Cc)?);
    quietly(compile.args(["-Os", "-static", "-s", "-o"]).arg(root.join("pause")).arg(source))?;
    Image { name: PAUSE, entrypoint: &["/pause"], ..Image::default() }.write(&root, &place.at("images"))
}

/// The image [`BUSYBOX`].
pub(crate) fn busybox(place: &Place) -> Result<PathBuf> {
    let busybox = tools::find(Tool::Busybox)?;
    let root = empty(place, "busybox")?;
    for folder in ["bin", "etc", "proc", "sys", "dev", "www", "tmp"] {
        fs::create_dir(root.join(folder))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(&busybox, root.join("bin/busybox")).context("busybox")?;
    for command in workspace::output(Command::new(&busybox).arg("--list"))?.lines() {
        if command != "busybox" {
            symlink("busybox", root.join("bin").join(command))?;
        }
    }
    fs::write(root.join("www/index.html"), "hello\n")?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
    let arguments = ["httpd", "-f", "-p", "8080", "-h", "/www"];
    Image { name: BUSYBOX, arguments: &arguments, ..Image::default() }.write(&root, &place.at("images"))
}

/// An empty folder for an image's files.
pub(crate) fn empty(place: &Place, name: &str) -> Result<PathBuf> {
    let root = place.at("images").join(format!("{name}.files"));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root)?;
    Ok(root)
}
