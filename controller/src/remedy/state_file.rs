//! The machine's state on disk, and with it the intent of a remedy before the act.
//!
//! One file a gateway, `convergence.json`, replaced as a whole: written beside, synced, renamed, and the directory
//! synced. A lock on `convergence.lock` lets one process hold it at a time, so that two never act for one gateway. A
//! file that cannot be read is set aside, told, and begun anew: the wire is looked at before anything is done.
use crate::converge::State;
use crate::converge::findings::{STATE_DAMAGED, STATE_UNWRITABLE};
use crate::finding::Finding;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const FILE: &str = "convergence.json";
const LOCK: &str = "convergence.lock";
const ASIDE: &str = "convergence.damaged.json";
/// A larger file is none of ours.
const LARGEST: u64 = 64 << 20;

/// The state of one gateway on disk, held by this process.
#[derive(Debug)]
pub struct StateFile {
    directory: PathBuf,
    // Locked for as long as it is open.
    _lock: File,
}

/// Why bytes are no state of this gateway.
///
/// # Errors
/// In words, with the place where they cannot be read.
pub fn parse(bytes: &[u8], gateway: &str) -> Result<State, String> {
    let state: State = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if state.schema != crate::converge::SCHEMA {
        return Err(format!("its schema is {:?}, not {:?}", state.schema, crate::converge::SCHEMA));
    }
    if state.gateway != gateway {
        return Err(format!("it is of gateway {:?}", state.gateway));
    }
    Ok(state)
}

impl StateFile {
    /// Takes hold of a gateway's directory of state; makes it when it is missing.
    ///
    /// # Errors
    /// The directory cannot be made or written, or another process holds it.
    pub fn open(directory: &Path) -> Result<Self, Finding> {
        let object = directory.display().to_string();
        let failed = |e: &dyn std::fmt::Display| STATE_UNWRITABLE.on(object.clone(), e.to_string());
        DirBuilder::new().recursive(true).mode(0o750).create(directory).map_err(|e| failed(&e))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join(LOCK))
            .map_err(|e| failed(&e))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { directory: directory.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(failed(&"another certdrift holds it: two must not act for one gateway"))
            }
            Err(e) => Err(failed(&e)),
        }
    }

    /// The state that was kept for this gateway: none when there is none yet. What cannot be read is set aside as
    /// `convergence.damaged.json`, and told by the finding.
    #[must_use]
    pub fn read(&self, gateway: &str) -> (Option<State>, Option<Finding>) {
        let path = self.directory.join(FILE);
        let why = match read_bounded(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return (None, None),
            Err(e) => e.to_string(),
            Ok(bytes) => match parse(&bytes, gateway) {
                Ok(state) => return (Some(state), None),
                Err(why) => why,
            },
        };
        let aside = self.directory.join(ASIDE);
        let moved = match std::fs::rename(&path, &aside) {
            Ok(()) => format!("it is now {}", aside.display()),
            Err(e) => format!("and cannot be set aside: {e}"),
        };
        (None, Some(STATE_DAMAGED.on(path.display().to_string(), format!("{why}; {moved}"))))
    }

    /// Replaces what is kept. When this gives `Ok`, it outlives a crash of the process and of the machine.
    ///
    /// # Errors
    /// It cannot be written; what was kept before is still there.
    pub fn write(&self, state: &State) -> Result<(), Finding> {
        let path = self.directory.join(FILE);
        let replace = || -> io::Result<()> {
            let beside = self.directory.join(".convergence.json.new");
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(&serde_json::to_vec(state)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        replace().map_err(|e| STATE_UNWRITABLE.on(path.display().to_string(), e.to_string()))
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|n| n > LARGEST) {
        return Err(io::Error::other("it is larger than any state of ours"));
    }
    Ok(bytes)
}
