//! The kernel's events reach the inventory: a Secret's `..data` swap, a certbot renewal, a torn file, a vanished one.
//!
//! The poll is set to an hour here, so what is seen within seconds was seen by inotify.
use certdrift::source::directory::Directory;
use certdrift::source::inventory::{Inventory, Policy};
use certdrift::source::watch::watch;
use certdrift_contract::Fingerprint;
use certdrift_tests::certs::{Ca, Leaf, wish};
use certdrift_tests::wait::until;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that is being watched, until it is dropped.
struct Watched {
    seen: tokio::sync::watch::Receiver<Option<Arc<Inventory>>>,
}

impl Watched {
    fn new(root: &Path, policy: Policy) -> Self {
        let (to, seen) = tokio::sync::watch::channel(None);
        let directory = Directory::new(root);
        // It ends by itself once `seen` is dropped.
        std::thread::spawn(move || {
            certdrift::cli::block_on(watch(directory, policy, Duration::from_secs(3_600), to)).unwrap();
        });
        Self { seen }
    }

    /// Waits until exactly these leaves are stored and exactly these findings are told.
    #[track_caller]
    fn shows(&self, what: &str, leaves: &[Fingerprint], codes: &[&str]) {
        until(what, PATIENCE, || {
            let seen = self.seen.borrow().clone();
            let stored: Vec<_> =
                seen.iter().flat_map(|i| &i.stored).flat_map(|s| &s.certificates).map(|c| c.leaf).collect();
            let told: Vec<_> = seen.iter().flat_map(|i| &i.findings).map(|f| f.code.clone()).collect();
            if stored == leaves && told == codes { Ok(()) } else { Err(seen) }
        });
    }
}

fn leaf(ca: &Ca) -> Leaf {
    ca.issue(&wish(&["demo.example.com"])).unwrap()
}

fn relink(target: &str, name: &Path) {
    let temporary = name.with_file_name("..data_tmp");
    symlink(target, &temporary).unwrap();
    fs::rename(temporary, name).unwrap();
}

#[test]
fn a_mounted_secrets_swap_is_seen_again_and_again() {
    let ca = Ca::new("source CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let version = |number: usize, leaf: &Leaf| {
        let name = format!("..2026_{number}");
        fs::create_dir(root.join(&name)).unwrap();
        fs::write(root.join(&name).join("tls.crt"), leaf.chain_pem()).unwrap();
        fs::write(root.join(&name).join("tls.key"), &leaf.key_pem).unwrap();
        relink(&name, &root.join("..data"));
        if number > 0 {
            fs::remove_dir_all(root.join(format!("..2026_{}", number - 1))).unwrap();
        }
    };
    let first = leaf(&ca);
    version(0, &first);
    symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
    symlink("..data/tls.key", root.join("tls.key")).unwrap();
    let watched = Watched::new(root, Policy::default());
    watched.shows("the mounted Secret", &[first.fingerprint], &[]);
    // kubernetes#112677: a watch on the file itself would be dead after the first swap.
    for number in 1..4 {
        let next = leaf(&ca);
        version(number, &next);
        watched.shows("the swapped Secret", &[next.fingerprint], &[]);
    }
}

#[test]
fn a_certbot_renewal_is_seen() {
    let ca = Ca::new("source CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live/demo");
    let archive = folder.path().join("archive/demo");
    fs::create_dir_all(&live).unwrap();
    fs::create_dir_all(&archive).unwrap();
    let renew = |number: u32, leaf: &Leaf| {
        fs::write(archive.join(format!("privkey{number}.pem")), &leaf.key_pem).unwrap();
        fs::write(archive.join(format!("fullchain{number}.pem")), leaf.chain_pem()).unwrap();
        // certbot takes each link away and makes it anew, one after the other.
        for name in ["privkey", "fullchain"] {
            let link = live.join(format!("{name}.pem"));
            let _ = fs::remove_file(&link);
            symlink(format!("../../archive/demo/{name}{number}.pem"), link).unwrap();
        }
    };
    let (first, second) = (leaf(&ca), leaf(&ca));
    renew(1, &first);
    let watched = Watched::new(&folder.path().join("live"), Policy::default());
    watched.shows("the lineage", &[first.fingerprint], &[]);
    renew(2, &second);
    watched.shows("the renewed lineage", &[second.fingerprint], &[]);
    // Some scripts write into the archive in place; the link does not change then.
    let third = leaf(&ca);
    fs::write(archive.join("privkey2.pem"), &third.key_pem).unwrap();
    fs::write(archive.join("fullchain2.pem"), third.chain_pem()).unwrap();
    watched.shows("the certificate behind the link", &[third.fingerprint], &[]);
}

#[test]
fn a_torn_file_is_told_once_it_settled_and_mended_at_once() {
    let ca = Ca::new("source CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (leaf(&ca), leaf(&ca));
    first.write(folder.path(), "demo").unwrap();
    let watched = Watched::new(folder.path(), Policy { settle: 1, ..Policy::default() });
    watched.shows("the first", &[first.fingerprint], &[]);
    let text = second.chain_pem();
    fs::write(folder.path().join("demo.crt"), &text[..text.len() / 2]).unwrap();
    watched.shows("the torn file", &[first.fingerprint], &["CD-101"]);
    fs::write(folder.path().join("demo.crt"), &text).unwrap();
    watched.shows("the key of before", &[first.fingerprint], &["CD-103"]);
    fs::write(folder.path().join("demo.key"), &second.key_pem).unwrap();
    watched.shows("the whole pair", &[second.fingerprint], &[]);
}

#[test]
fn a_directory_that_comes_later_is_seen() {
    let ca = Ca::new("source CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let first = leaf(&ca);
    first.write(folder.path(), "demo").unwrap();
    let watched = Watched::new(folder.path(), Policy::default());
    watched.shows("the first", &[first.fingerprint], &[]);
    let below = folder.path().join("shop");
    fs::create_dir(&below).unwrap();
    let second = leaf(&ca);
    second.write(&below, "shop").unwrap();
    watched.shows("both", &[first.fingerprint, second.fingerprint], &[]);
}

#[test]
fn a_file_that_is_gone_is_forgotten_after_its_period() {
    let ca = Ca::new("source CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (leaf(&ca), leaf(&ca));
    a.write(folder.path(), "a").unwrap();
    b.write(folder.path(), "b").unwrap();
    let watched = Watched::new(folder.path(), Policy { vanish: 1, ..Policy::default() });
    watched.shows("both", &[a.fingerprint, b.fingerprint], &[]);
    fs::remove_file(folder.path().join("b.crt")).unwrap();
    watched.shows("the one that is left", &[a.fingerprint], &[]);
}
