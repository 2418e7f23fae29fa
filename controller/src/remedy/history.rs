//! What was done, why, and what came of it: one JSON object a line, in `history.jsonl`, bounded by rotation.
use crate::converge::findings::HISTORY_UNWRITABLE;
use crate::converge::{Record, What};
use crate::finding::Finding;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file that has reached so many bytes is followed by a new one.
const ROTATE_AT: u64 = 4 << 20;
/// So many full files are kept beside the current one: `history.1.jsonl` is the newest.
const KEPT: u32 = 3;

/// The history of one gateway.
#[derive(Debug)]
pub struct History {
    directory: PathBuf,
    rotate_at: u64,
}

impl History {
    /// In a gateway's directory of state, which exists.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), rotate_at: ROTATE_AT }
    }

    #[cfg(test)]
    pub(super) fn rotating_at(directory: &Path, bytes: u64) -> Self {
        Self { directory: directory.to_owned(), rotate_at: bytes }
    }

    fn path(&self, n: u32) -> PathBuf {
        match n {
            0 => self.directory.join("history.jsonl"),
            n => self.directory.join(format!("history.{n}.jsonl")),
        }
    }

    /// Adds a line; lines about remedies outlive a crash of the machine.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&self, record: &Record) -> Result<(), Finding> {
        let path = self.path(0);
        let add = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&path)?;
            if file.metadata()?.len() >= self.rotate_at {
                self.rotate()?;
                file = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&path)?;
            }
            let mut line = if ends_torn(&file)? { vec![b'\n'] } else { Vec::new() };
            serde_json::to_writer(&mut line, record)?;
            line.push(b'\n');
            file.write_all(&line)?;
            if matches!(record.what, What::Remedy { .. } | What::Ended { .. }) {
                file.sync_data()
            } else {
                Ok(())
            }
        };
        add().map_err(|e| HISTORY_UNWRITABLE.on(path.display().to_string(), e.to_string()))
    }

    fn rotate(&self) -> io::Result<()> {
        for n in (0..KEPT).rev() {
            match std::fs::rename(self.path(n), self.path(n + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// The newest lines, oldest of them first, at most so many. A line that cannot be read (a crash cut it short, another
    /// version wrote it) is left out, and counted in the second value.
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn newest(&self, most: usize) -> io::Result<(Vec<Record>, usize)> {
        let (mut records, mut unread) = (std::collections::VecDeque::new(), 0);
        for n in (0..=KEPT).rev() {
            let file = match File::open(self.path(n)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            // A file is hardly longer than where it is rotated.
            let mut lines = BufReader::new(file.take(self.rotate_at.saturating_add(ROTATE_AT)));
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line)? > 0 {
                match serde_json::from_slice(&line) {
                    Ok(record) => records.push_back(record),
                    Err(_) => unread += 1,
                }
                if records.len() > most {
                    records.pop_front();
                }
                line.clear();
            }
        }
        Ok((records.into(), unread))
    }
}

/// Whether a crash cut the last line short: the next one must not be lost with it.
fn ends_torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != [b'\n'])
}
