//! Keeps looking at a directory: at once when the kernel tells of a change, and now and then in case it does not.
//!
//! An event says only that it is time to look; what changed is told by content. Directories are watched, never
//! files: a rename over a file (kubelet's `..data`, certbot, every atomic writer) leaves a watch on the file dead
//! (kubernetes#112677). NFS and overlay mounts send no events; the poll is for them and for lost ones.
use super::directory::{Directory, Snapshot};
use super::findings as kinds;
use super::inventory::{Inventory, Memory, Policy};
use crate::clock;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often to look without being told.
pub const POLL: Duration = Duration::from_secs(60);
/// How often where the system refuses watches, and where there is nothing to watch.
pub const POLL_UNWATCHED: Duration = Duration::from_secs(5);
/// One change is many events; so long they gather.
const GATHER: Duration = Duration::from_millis(50);

/// Looks at `directory` until nobody listens to `to` any more; sends an inventory whenever it differs from the last.
pub async fn watch(
    mut directory: Directory,
    policy: Policy,
    poll: Duration,
    to: watch::Sender<Option<Arc<Inventory>>>,
) {
    let changed = Arc::new(Notify::new());
    let mut watches = Watches::new(Arc::clone(&changed));
    let mut memory = Memory::default();
    loop {
        let Ok((back, snapshot)) = tokio::task::spawn_blocking(move || {
            let snapshot = directory.scan();
            (directory, snapshot)
        })
        .await
        else {
            // The runtime is shutting down.
            return;
        };
        directory = back;
        // What changed between the look and the new watch would be missed: look once more.
        let more = watches.set(&snapshot);
        let now = clock::now().seconds();
        let mut inventory = memory.feed(&snapshot, &policy, now);
        if let Some(why) = &watches.refused {
            let object = format!("file:{}", directory.root().display());
            inventory.findings.push(kinds::NOT_WATCHED.on(object, why.clone()));
        }
        let changes_at = inventory.changes_at;
        // A directory that is not there (yet) has nothing to watch.
        let unwatched = watches.refused.is_some() || !inventory.complete;
        to.send_if_modified(|last| {
            let differs = last.as_deref() != Some(&inventory);
            if differs {
                *last = Some(Arc::new(inventory));
            }
            differs
        });
        if more {
            continue;
        }
        // It is as large as all that is kept.
        drop(snapshot);
        let poll = if unwatched { poll.min(POLL_UNWATCHED) } else { poll };
        let until = changes_at.map_or(poll, |at| {
            let seconds = u64::try_from(at.since(now)).unwrap_or(0);
            poll.min(Duration::from_secs(seconds.max(1)))
        });
        tokio::select! {
            () = to.closed() => return,
            () = clock::sleep(until) => {}
            () = changed.notified() => clock::sleep(GATHER).await,
        }
    }
}

/// The kernel's watches, kept equal to the directories of the last snapshot.
struct Watches {
    watcher: Option<RecommendedWatcher>,
    set: BTreeSet<PathBuf>,
    refused: Option<String>,
}

impl Watches {
    fn new(changed: Arc<Notify>) -> Self {
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let ours = event.is_ok_and(|event| opened_only(event.kind));
            if !ours {
                changed.notify_one();
            }
        });
        match made {
            Ok(watcher) => Self { watcher: Some(watcher), set: BTreeSet::new(), refused: None },
            Err(error) => Self { watcher: None, set: BTreeSet::new(), refused: Some(error.to_string()) },
        }
    }

    /// Watches what the snapshot says; true when a watch is new.
    fn set(&mut self, snapshot: &Snapshot) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        for old in self.set.difference(&snapshot.watch) {
            let _ = watcher.unwatch(old);
        }
        self.set.retain(|path| snapshot.watch.contains(path));
        self.refused = None;
        let mut new = false;
        for path in &snapshot.watch {
            if self.set.contains(path) {
                continue;
            }
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.set.insert(path.clone());
                    new = true;
                }
                // A directory that is not there is told by the snapshot.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) if !path.exists() => drop(error),
                Err(error) => {
                    self.refused = Some(error.to_string());
                    break;
                }
            }
        }
        new
    }
}

/// Our own reading is an event too (inotify's OPEN), and must not make us read again.
const fn opened_only(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}
