//! What a cluster is made of, handed from `up` to its first process as a file.
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How much of a cluster there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// etcd, API server and controller manager: objects, but nothing runs.
    ApiOnly,
    /// With scheduler, kubelet, containerd and kube-proxy: pods run.
    Node,
}

/// A program that the first process starts, and starts again when it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Daemon {
    /// Of its log, and of the file that holds it back.
    pub(crate) name: String,
    /// The program's path and its arguments.
    pub(crate) argv: Vec<String>,
}

impl Daemon {
    pub(crate) fn new(program: &Path, arguments: Vec<String>) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut argv = vec![program.display().to_string()];
        argv.extend(arguments);
        Self { name, argv }
    }
}

/// All that the first process needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    /// The cgroup to make in every hierarchy.
    pub(crate) cgroup: String,
    /// Ends with whoever holds this file's lock.
    pub(crate) owner: Option<PathBuf>,
    pub(crate) daemons: Vec<Daemon>,
}

impl Plan {
    fn file(folder: &Path) -> PathBuf {
        folder.join("plan.json")
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::write(Self::file(folder), serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let file = Self::file(folder);
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        serde_json::from_slice(&bytes).with_context(|| file.display().to_string())
    }
}
