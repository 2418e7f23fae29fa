//! A directory of certificates, read as it is now: files grouped into sources, each file read when it changed.
//!
//! Symlinks are followed (certbot's `live/`, a Secret's `..data`); loops, devices, pipes and huge files are not.
//! A file is read again unless its device, inode, length and change time are as they were and lie two seconds back:
//! the kernel's clock for the change time is coarse, so a younger stamp could hide a second write.
use super::findings as kinds;
use super::layout::{self, Member};
use super::reading::{Fault, Reading, read};
use crate::converge::Millis;
use crate::finding::Finding;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one file that are read.
pub const MAX_FILE: u64 = 1 << 20;
/// Entries of a tree that are looked at.
pub const MAX_ENTRIES: usize = 100_000;
/// Levels of a tree that are walked.
pub const MAX_DEPTH: usize = 8;
/// A change time younger than this proves nothing.
const RACY: Duration = Duration::from_secs(2);

/// Certificate files of one source, and what they say.
pub type Members = Vec<(Arc<Path>, Arc<Reading>)>;

/// A directory as it was when it was looked at.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// `file:PATH` → its members' certificate files and what they say.
    pub sources: BTreeMap<String, Members>,
    /// Why the whole of it could not be seen; then nothing counts as gone.
    pub problem: Option<Finding>,
    /// Directories whose events mean that it has to be looked at again.
    pub watch: BTreeSet<PathBuf>,
}

/// Reads one directory again and again.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// By certificate file.
    cache: HashMap<Arc<Path>, Known>,
    hasher: RandomState,
}

/// What was read of a member, and a hash of the files it was read from: their names and stamps are a tenth of all that is
/// kept of a certificate. The hash is keyed, so that nobody can choose stamps that collide.
#[derive(Debug)]
struct Known {
    files: u64,
    reading: Arc<Reading>,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// What a walk has found so far.
#[derive(Default)]
struct Walk {
    sources: BTreeMap<String, Vec<Member>>,
    directories: BTreeSet<String>,
    seen: BTreeSet<(u64, u64)>,
    /// Files that are links, by path below the root.
    links: HashSet<String>,
    watch: BTreeSet<PathBuf>,
    entries: usize,
    problem: Option<Finding>,
}

impl Directory {
    /// Of the directory (or the single certificate file) at `root`. Nothing is read yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), cache: HashMap::new(), hasher: RandomState::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name of a source as entries carry it, from its path below the root (`.` is the root itself).
    #[must_use]
    pub fn source(&self, relative: &str) -> String {
        source_name(&self.root, relative)
    }

    /// Looks at it now.
    pub fn scan(&mut self) -> Snapshot {
        let mut walk = Walk::default();
        let (root, only) = match std::fs::metadata(&self.root) {
            Ok(found) if found.is_file() => {
                let parent = self.root.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
                (parent, self.root.file_name().map(|name| name.to_string_lossy().into_owned()))
            }
            _ => (self.root.clone(), None),
        };
        walk.folder(&root, "", 0, only.is_none());
        layout::pair_directories(&mut walk.sources, |name| walk.directories.contains(name));
        if let Some(only) = &only {
            walk.sources.retain(|_, members| members.iter().any(|m| m.certificate == *only));
        }
        let now = crate::clock::now();
        let mut old = std::mem::take(&mut self.cache);
        let mut sources = BTreeMap::new();
        for (name, members) in walk.sources {
            let mut readings = Vec::with_capacity(members.len());
            for member in members {
                for path in member.paths().filter(|path| walk.links.contains(*path)) {
                    links(&root.join(path), &mut walk.watch);
                }
                let path = root.join(&member.certificate);
                let (path, known) = match old.remove_entry(path.as_path()) {
                    Some((path, known)) => (path, Some(known)),
                    None => (path.into(), None),
                };
                let (known, settled) = self.member(&root, &member, known, now);
                readings.push((Arc::clone(&path), Arc::clone(&known.reading)));
                if settled {
                    self.cache.insert(path, known);
                }
            }
            let name = if only.is_some() { source_name(&self.root, ".") } else { source_name(&root, &name) };
            sources.insert(name, readings);
        }
        Snapshot { sources, problem: walk.problem, watch: walk.watch }
    }

    /// What is known when no file of the member changed, else a fresh reading; and whether it can be trusted later.
    fn member(&self, root: &Path, member: &Member, known: Option<Known>, now: Millis) -> (Known, bool) {
        let stamps: Option<Vec<Stamp>> = member
            .paths()
            .map(|path| std::fs::metadata(root.join(path)).ok().map(|m| Stamp::of(&m)))
            .collect();
        let files = self.hasher.hash_one((member, &stamps));
        if stamps.is_some()
            && let Some(known) = known
            && known.files == files
        {
            return (known, true);
        }
        let reading = Arc::new(read_member(root, member));
        let settled = stamps.is_some_and(|stamps| stamps.iter().all(|stamp| stamp.older_than(RACY, now)));
        (Known { files, reading }, settled)
    }
}

fn source_name(root: &Path, relative: &str) -> String {
    match relative {
        "" | "." => format!("file:{}", root.display()),
        below => format!("file:{}", root.join(below).display()),
    }
}

impl Member {
    fn paths(&self) -> impl Iterator<Item = &String> {
        [Some(&self.certificate), self.chain.as_ref(), self.key.as_ref()].into_iter().flatten()
    }
}

impl Walk {
    fn folder(&mut self, path: &Path, relative: &str, depth: usize, deeper: bool) {
        self.watch.insert(path.to_path_buf());
        let identity = match std::fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()),
            Err(error) => return self.fails(path, &error),
        };
        if !self.seen.insert(identity) {
            return;
        }
        let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
        let listing = match std::fs::read_dir(path) {
            Ok(listing) => listing,
            Err(error) => return self.fails(path, &error),
        };
        for entry in listing {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.fails(path, &error),
            };
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.problem = Some(
                    kinds::TOO_LARGE
                        .on(path.display().to_string(), format!("over {MAX_ENTRIES} files in it")),
                );
                return;
            }
            // A name that is no UTF-8 could not be written in a ledger.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !layout::visible(&name) {
                continue;
            }
            let Ok(mut kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                self.links.insert(below(relative, &name));
                match std::fs::metadata(entry.path()) {
                    Ok(target) => kind = target.file_type(),
                    // A dangling link is a certificate that cannot be read, not one that is gone.
                    Err(_) => {
                        files.insert(name);
                        continue;
                    }
                }
            }
            if kind.is_dir() {
                folders.insert(name);
            } else if kind.is_file() {
                files.insert(name);
            }
        }
        for (name, members) in layout::group(relative, &files) {
            self.sources.entry(name).or_default().extend(members);
        }
        if relative.is_empty() && !deeper {
            return;
        }
        if depth + 1 >= MAX_DEPTH && !folders.is_empty() {
            self.problem.get_or_insert_with(|| {
                kinds::TOO_LARGE.on(path.display().to_string(), format!("it lies {MAX_DEPTH} levels deep"))
            });
            return;
        }
        for name in folders.iter().filter(|name| layout::walked(name, &folders)) {
            let below = below(relative, name);
            self.directories.insert(below.clone());
            self.folder(&path.join(name), &below, depth + 1, true);
        }
    }

    fn fails(&mut self, path: &Path, error: &io::Error) {
        self.problem
            .get_or_insert_with(|| kinds::DIRECTORY.on(path.display().to_string(), error.to_string()));
    }
}

fn below(relative: &str, name: &str) -> String {
    if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") }
}

/// The directories in which a change of a link's target would be an event.
fn links(path: &Path, watch: &mut BTreeSet<PathBuf>) {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_DEPTH {
        let Ok(target) = std::fs::read_link(&path) else { return };
        path = path.parent().unwrap_or(Path::new("")).join(target);
        if let Some(parent) = path.parent() {
            watch.insert(std::fs::canonicalize(parent).unwrap_or_else(|_| parent.to_path_buf()));
        }
    }
}

fn read_member(root: &Path, member: &Member) -> Reading {
    let refuse = |fault| Reading { faults: vec![fault], ..Reading::default() };
    let certificate = match bounded(&root.join(&member.certificate)) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(fault(&member.certificate, &error)),
    };
    let chain = match member.chain.as_ref().map(|path| bounded(&root.join(path))).transpose() {
        Ok(bytes) => bytes,
        Err(error) => return refuse(fault(member.chain.as_deref().unwrap_or_default(), &error)),
    };
    // A key that may not be read is no fault: certdrift does not need it, the comparison is a courtesy.
    let key = member.key.as_ref().and_then(|path| bounded(&root.join(path)).ok());
    read(&certificate, chain.as_deref().map(Vec::as_slice), key.as_deref().map(Vec::as_slice))
}

fn fault(path: &str, error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::FileTooLarge {
        Fault::refuse(&kinds::TOO_LARGE, format!("{path} has over {MAX_FILE} bytes"))
    } else {
        Fault::refuse(&kinds::UNREADABLE, format!("{path}: {error}"))
    }
}

/// A regular file's bytes, up to [`MAX_FILE`]; they may hold a key, so they are wiped when dropped.
fn bounded(path: &Path) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // With room for all of it from the beginning, no half-filled buffer is left behind by growing.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(
        usize::try_from(found.len().min(MAX_FILE)).unwrap_or(0) + 1,
    ));
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

impl Stamp {
    fn of(found: &std::fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    fn older_than(&self, age: Duration, now: Millis) -> bool {
        let changed = Millis::from_seconds(self.changed.0.saturating_add(1));
        u64::try_from(now.since(changed)).is_ok_and(|passed| Duration::from_millis(passed) >= age)
    }
}
