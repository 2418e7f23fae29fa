//! Images as tar files, made from folders: no registry, no daemon. containerd imports them, and pods that use them say
//! `imagePullPolicy: Never`.
mod gallery;
mod root;

pub use gallery::Picture;
pub use root::Root;

use anyhow::Result;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::progress::quietly;

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
