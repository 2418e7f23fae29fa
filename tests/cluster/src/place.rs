//! Where a cluster lives on this machine: its name, its folder, its lock, and its first process.
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Holds a folder per cluster, and their locks. Only root may read it: private keys are in it.
const ROOT: &str = "/var/lib/certdrift-cluster";
/// The subcommand that becomes the first process of a cluster's process namespace.
pub(crate) const INIT: &str = "init";

/// A cluster's name and folder, whether or not it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    name: String,
    folder: PathBuf,
}

impl Place {
    /// The place of the cluster `name`.
    ///
    /// # Errors
    /// The name is not 1 to 20 lower-case letters, digits and dashes: it becomes a folder, a cgroup and a word in commands.
    pub fn new(name: &str) -> Result<Self> {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > 20 || name.starts_with('-') || !name.chars().all(plain) {
            bail!("a cluster's name is 1 to 20 of a-z, 0-9 and '-', not {name:?}");
        }
        Ok(Self { name: name.to_owned(), folder: Path::new(ROOT).join(name) })
    }

    /// All places with a folder, in order of their names.
    ///
    /// # Errors
    /// The root folder is there and cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        let mut places = Vec::new();
        let entries = match std::fs::read_dir(ROOT) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(places),
            Err(error) => return Err(error).context(ROOT),
        };
        for entry in entries {
            if let Some(Ok(place)) = entry?.file_name().to_str().map(Self::new) {
                places.push(place);
            }
        }
        places.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(places)
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file or folder in the cluster's folder.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The cluster's own cgroup below the root of every hierarchy.
    pub(crate) fn cgroup(&self) -> String {
        format!("certdrift-{}", self.name)
    }

    /// Holds the right to bring this cluster up or down, until dropped; waits for whoever has it.
    ///
    /// # Errors
    /// The root folder cannot be written.
    pub(crate) fn lock(&self) -> Result<Lock> {
        use std::os::unix::fs::MetadataExt as _;
        let path = make_root()?.join(format!(".{}.lock", self.name));
        loop {
            let file = xtask::cache::lock_file(&path)?;
            // Whoever had it may have removed it; then another may have made it anew.
            let same = std::fs::metadata(&path).ok().zip(file.metadata().ok());
            if same.is_some_and(|(there, held)| there.ino() == held.ino()) {
                return Ok(Lock { path, _held: file });
            }
        }
    }

    /// The process id, as this machine sees it, of the cluster's first process; killing it ends all of the cluster's.
    ///
    /// It is looked for among all processes rather than written down, so that it is found whoever died when.
    #[must_use]
    pub fn init(&self) -> Option<u32> {
        let processes = std::fs::read_dir("/proc").ok()?;
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .find(|pid| self.is_init(*pid))
    }

    fn is_init(&self, pid: u32) -> bool {
        let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
        let mut words = line.split(|byte| *byte == 0).skip(1);
        let ours = words.next() == Some(INIT.as_bytes())
            && words.next() == Some(self.folder.as_os_str().as_encoded_bytes());
        // `unshare`, its parent, has the same words further on, and a process that has died an empty line.
        ours && innermost_pid(pid) == Some(1)
    }
}

/// The right to bring a cluster up or down.
pub(crate) struct Lock {
    path: PathBuf,
    _held: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A process's id in the innermost of its process namespaces.
pub(crate) fn innermost_pid(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_whitespace().next_back()?.parse().ok()
}

fn make_root() -> Result<&'static Path> {
    use std::os::unix::fs::DirBuilderExt as _;
    let root = Path::new(ROOT);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).with_context(|| {
        format!("cannot make {ROOT}: a cluster needs root, for namespaces, mounts and cgroups of its own")
    })?;
    Ok(root)
}
