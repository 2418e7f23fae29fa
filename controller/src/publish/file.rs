//! The ledger as a file: replaced whole, never seen half; put right when another hand was at it.
//!
//! Each document is written beside its place, synced, and renamed over; then the directory is synced. Parts come
//! before the index, parts that are no longer in it go after. A reader between the two sees a digest that does not
//! fit and keeps what it has. A file's modification time is the revision that wrote it, in seconds: it rises by at
//! least one with each revision, which nginx's ETag (seconds and length) needs to see a change at all.
use super::findings as kinds;
use super::split::{Document, Published, join};
use super::target::Target;
use crate::finding::Finding;
use certdrift_contract::names::part_path;
use certdrift_contract::{Fingerprint, Ledger, Revision};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Bytes of a document on disk that are read; the contract's bound.
const MAX_READ: u64 = 4 << 20;

/// One gateway's ledger file.
#[derive(Clone, Debug)]
pub struct FileLedger {
    path: PathBuf,
}

/// What writing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that were replaced or made.
    pub written: usize,
    /// Files whose bytes were already right.
    pub same: usize,
}

impl FileLedger {
    /// At this path; nothing is read or made yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a part.
    #[must_use]
    pub fn part_path(&self, name: &str) -> PathBuf {
        PathBuf::from(part_path(&self.path.to_string_lossy(), name))
    }

    /// The ledger that is there, with its entries, and in how many parts; `None` when there is none.
    ///
    /// # Errors
    /// It is damaged or cannot be read: it is built anew.
    pub fn read(&self) -> Result<Option<(Ledger, usize)>, Finding> {
        let damaged = |why: String| kinds::DAMAGED.on(self.object(), why);
        let index = match bounded(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(error.to_string())),
        };
        join(&index, |name| bounded(&self.part_path(name)).map_err(|error| error.to_string()))
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    /// Writes what is published, and only where the bytes on disk differ.
    ///
    /// # Errors
    /// The folder cannot be written; what was there is still there.
    pub fn write(&self, published: &Published) -> Result<Written, Finding> {
        self.try_write(published).map_err(|error| kinds::NOT_WRITTEN.on(self.object(), error.to_string()))
    }

    /// Compares the disk with what was published and writes it again if another hand was at it; tells so.
    ///
    /// # Errors
    /// As [`FileLedger::write`].
    pub fn put_right(&self, published: &Published) -> Result<Option<Finding>, Finding> {
        let mut wrong: Option<String> = None;
        let documents = std::iter::once((self.path.clone(), &published.index))
            .chain(published.parts.iter().map(|(name, d)| (self.part_path(name), d)));
        for (path, document) in documents {
            let why = match bounded(&path) {
                Ok(bytes) if holds(&bytes, document) => continue,
                Ok(_) => "its bytes were changed".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => "it was deleted".to_owned(),
                Err(error) => error.to_string(),
            };
            wrong = Some(format!("{}: {why}", path.display()));
            break;
        }
        let Some(why) = wrong else { return Ok(None) };
        self.write(published)?;
        Ok(Some(kinds::PUT_RIGHT.on(self.object(), why)))
    }

    fn object(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn try_write(&self, published: &Published) -> io::Result<Written> {
        fs::create_dir_all(self.folder())?;
        let mut done = Written::default();
        for (name, document) in &published.parts {
            done.count(replace(&self.part_path(name), document, published.revision)?);
        }
        if done.written > 0 {
            File::open(self.folder())?.sync_all()?;
        }
        done.count(replace(&self.path, &published.index, published.revision)?);
        if done.written > 0 {
            File::open(self.folder())?.sync_all()?;
        }
        self.sweep(published)?;
        Ok(done)
    }

    /// Removes parts the index no longer has, and what a writer that was killed left behind.
    fn sweep(&self, published: &Published) -> io::Result<()> {
        let whole = self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let probe = part_path(&whole, "\u{0}");
        let Some((before, after)) = probe.split_once('\u{0}') else { return Ok(()) };
        let is_part = |name: &str| {
            let number = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            number
                .filter(|n| (2..=4).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
                .map(str::to_owned)
        };
        for entry in fs::read_dir(self.folder())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let leftover = name.strip_prefix('.').and_then(|n| n.strip_suffix(TEMPORARY));
            let old = match (leftover, is_part(&name)) {
                (Some(of), _) => of == whole || is_part(of).is_some(),
                (None, Some(number)) => published.part(&number).is_none(),
                (None, None) => false,
            };
            if old {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Target for FileLedger {
    fn read(&self) -> Result<Option<(Ledger, usize)>, Finding> {
        Self::read(self)
    }

    fn put(&self, published: &Arc<Published>) -> Result<(), Finding> {
        self.write(published).map(drop)
    }

    fn tend(&self, published: &Arc<Published>) -> Vec<Finding> {
        self.put_right(published).unwrap_or_else(Some).into_iter().collect()
    }
}

impl Written {
    fn count(&mut self, written: bool) {
        if written {
            self.written += 1;
        } else {
            self.same += 1;
        }
    }
}

const TEMPORARY: &str = ".certdrift-tmp";

/// Puts a document in a file's place, unless its bytes are there already.
fn replace(path: &Path, document: &Document, revision: Revision) -> io::Result<bool> {
    match bounded(path) {
        Ok(bytes) if holds(&bytes, document) => return Ok(false),
        Ok(_) | Err(_) => {}
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}{TEMPORARY}"));
    // A gateway's worker reads it as another user; nothing in it is secret.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
    let written = file
        .write_all(&document.bytes())
        .and_then(|()| file.set_modified(UNIX_EPOCH + Duration::from_secs(revision.0)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(true)
}

fn holds(bytes: &[u8], document: &Document) -> bool {
    bytes.len() == document.length && Fingerprint::of(bytes) == document.digest
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_READ {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
