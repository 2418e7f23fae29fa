//! The one folder that outlives `target/`: tools at pinned versions, installed whole or not at all.
//!
//! It is `$CERTDRIFT_CACHE`, else `$XDG_CACHE_HOME/certdrift`, else `~/.cache/certdrift`. An install works in a
//! folder of its own and is renamed into place, under a file lock: several processes may ask at once, one works
//! and the others wait; one that is killed leaves nothing that looks finished.
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The cache's folder. It need not exist yet.
#[must_use]
pub fn folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("CERTDRIFT_CACHE") {
        return folder;
    }
    if let Some(folder) = set("XDG_CACHE_HOME") {
        return folder.join("certdrift");
    }
    set("HOME")
        .map_or_else(|| std::env::temp_dir().join("certdrift-cache"), |home| home.join(".cache/certdrift"))
}

/// Holds the lock `name` until it is dropped, also when the process dies. Waits for whoever has it.
///
/// # Errors
/// The cache's folder cannot be written.
pub fn lock(name: &str) -> Result<File> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| {
        format!(
            "cannot make the cache {}; set CERTDRIFT_CACHE to a folder that can be written",
            folder.display()
        )
    })?;
    lock_file(&folder.join(format!(".{name}.lock")))
}

/// Holds the lock `file` until it is dropped, also when the process dies. Waits for whoever has it.
///
/// # Errors
/// The file cannot be made.
pub fn lock_file(file: &Path) -> Result<File> {
    let file = File::create(file).with_context(|| format!("cannot make the lock {}", file.display()))?;
    file.lock()?;
    Ok(file)
}

/// The folder `name` of the cache, filled by `install` (which is given an empty folder) if it is not there yet.
///
/// # Errors
/// The cache cannot be written, or `install` fails; then nothing is left behind.
pub fn installed(name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let home = folder().join(name);
    if home.is_dir() {
        return Ok(home);
    }
    let _held = lock(name)?;
    if home.is_dir() {
        return Ok(home);
    }
    let work = folder().join(format!(".{name}.partial"));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work)?;
    let result =
        install(&work).and_then(|()| fs::rename(&work, &home).context("cannot move the install into place"));
    if result.is_err() {
        let _ = fs::remove_dir_all(&work);
    }
    result.map(|()| home)
}

/// SHA-256 of a file, as 64 lower-case hex digits.
///
/// # Errors
/// The file cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hash.update(buffer.get(..length).unwrap_or_default());
    }
    Ok(hex(&hash.finalize()))
}

/// SHA-256 of `bytes`, as 64 lower-case hex digits.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    let digit = |index: u8| digits.get(usize::from(index)).map_or('?', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
