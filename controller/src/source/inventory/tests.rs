use super::super::KeyFamily;
use super::super::directory::Directory;
use super::super::made::{Authority, Leaf, NOW, openssl, self_signed};
use super::*;
use certdrift_contract::Fingerprint;
use std::fs;
use std::path::Path;

/// A directory and what is remembered of it.
struct Place {
    folder: tempfile::TempDir,
    directory: Directory,
    memory: Memory,
    policy: Policy,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        Self { folder, directory, memory: Memory::default(), policy: Policy::default() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn look(&mut self, after: i64) -> Inventory {
        let snapshot = self.directory.scan();
        self.memory.feed(&snapshot, &self.policy, NOW.plus(after))
    }

    /// Looks twice, so that a fault outlives the settle period.
    fn settled(&mut self) -> Inventory {
        self.look(0);
        self.look(10)
    }

    fn source(&self, name: &str) -> String {
        format!("file:{}", self.folder.path().join(name).display())
    }
}

fn codes(inventory: &Inventory) -> Vec<&str> {
    inventory.findings.iter().map(|f| f.code.as_str()).collect()
}

fn leaves(inventory: &Inventory) -> Vec<Fingerprint> {
    inventory.stored.iter().flat_map(|s| &s.certificates).map(|c| c.leaf).collect()
}

fn fingerprint(leaf: &Leaf) -> Fingerprint {
    Fingerprint::of(&super::super::pem::parse_pem_bundle(leaf.certificate.as_bytes()).certificates[0])
}

/// Puts a good certificate there, then `bad` in its place: the good one stays, and `code` is told once it settled.
#[track_caller]
fn the_last_good_one_stays(code: &str, bad: impl FnOnce(&Authority, &Leaf) -> (String, Option<String>)) {
    let authority = Authority::new();
    let good = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("a.crt", authority.bundle(&good));
    place.write("a.key", &good.key);
    let first = place.look(0);
    assert_eq!((leaves(&first), codes(&first)), (vec![fingerprint(&good)], vec![]));
    let (certificate, key) = bad(&authority, &good);
    place.write("a.crt", certificate);
    if let Some(key) = key {
        place.write("a.key", key);
    }
    let young = place.look(20);
    assert_eq!(leaves(&young), [fingerprint(&good)]);
    assert!(codes(&young).is_empty(), "told before it settled: {:?}", young.findings);
    assert_eq!(young.changes_at, Some(NOW.plus(23)));
    let settled = place.look(23);
    assert_eq!(leaves(&settled), [fingerprint(&good)]);
    assert!(codes(&settled).contains(&code), "{:?}", settled.findings);
    assert!(settled.findings.iter().all(|f| f.why.contains("stays expected")), "{:?}", settled.findings);
    assert!(settled.held.is_empty());
}

#[test]
fn a_torn_file_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-101", |authority, good| {
        let bundle = authority.bundle(good);
        (bundle[..bundle.len() / 3].to_owned(), None)
    });
    the_last_good_one_stays("CD-101", |_, _| (String::new(), None));
}

#[test]
fn an_unparsable_file_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-102", |_, _| ("junk".to_owned(), None));
    let der = "-----BEGIN CERTIFICATE-----\nAAECAwQF\n-----END CERTIFICATE-----\n";
    the_last_good_one_stays("CD-102", |_, _| (der.to_owned(), None));
}

#[test]
fn a_certificate_without_its_key_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-103", |authority, _| {
        (authority.bundle(&authority.leaf(&["a.example"], -1, 120)), None)
    });
    the_last_good_one_stays("CD-101", |authority, good| (authority.bundle(good), Some(String::new())));
}

#[test]
fn an_expired_certificate_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-105", |authority, _| {
        let old = authority.leaf(&["a.example"], -90, -1);
        (authority.bundle(&old), Some(old.key))
    });
}

#[test]
fn a_shuffled_chain_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-107", |authority, _| {
        let leaf = authority.leaf(&["a.example"], -1, 90);
        (
            format!("{}{}{}", leaf.certificate, authority.root.pem(), authority.intermediate.pem()),
            Some(leaf.key),
        )
    });
    the_last_good_one_stays("CD-109", |authority, good| {
        (format!("{}{}", authority.intermediate.pem(), good.certificate), None)
    });
}

#[test]
fn a_placeholder_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-111", |_, _| {
        let placeholder = self_signed("localhost", &["localhost"], false);
        (placeholder.certificate, Some(placeholder.key))
    });
}

#[test]
fn a_huge_file_never_displaces_the_last_good_one() {
    the_last_good_one_stays("CD-113", |_, _| ("x".repeat(2 << 20), None));
}

#[test]
fn a_certificate_of_the_future_is_taken_when_its_time_comes() {
    let authority = Authority::new();
    let (now, next) = (authority.leaf(&["a.example"], -1, 90), authority.leaf(&["a.example"], 1, 90));
    let mut place = Place::new();
    place.write("a.pem", format!("{}{}", authority.bundle(&now), now.key));
    place.look(0);
    place.write("a.pem", format!("{}{}", authority.bundle(&next), next.key));
    place.look(1);
    let waiting = place.look(10);
    assert_eq!((leaves(&waiting), codes(&waiting)), (vec![fingerprint(&now)], vec!["CD-106"]));
    assert_eq!(waiting.changes_at, Some(NOW.plus(86_400)));
    let begun = place.look(86_400);
    assert_eq!((leaves(&begun), codes(&begun)), (vec![fingerprint(&next)], vec![]));
}

#[test]
fn a_certificate_that_expires_while_expected_stays_and_is_told() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 1);
    let mut place = Place::new();
    place.write("a.crt", authority.bundle(&leaf));
    assert_eq!(place.look(0).changes_at, Some(NOW.plus(86_400)));
    place.look(86_400);
    let expired = place.look(86_410);
    assert_eq!((leaves(&expired), codes(&expired)), (vec![fingerprint(&leaf)], vec!["CD-105"]));
}

#[test]
fn a_key_before_its_certificate_is_noted_and_taken() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("a.pem", format!("{}{}", leaf.key, authority.bundle(&leaf)));
    let seen = place.look(0);
    assert_eq!((leaves(&seen), codes(&seen)), (vec![fingerprint(&leaf)], vec!["CD-104"]));
    assert_eq!(seen.stored[0].certificates[0].chain.len(), 1);
}

#[test]
fn a_self_signed_server_certificate_with_ca_rights_is_noted_and_taken() {
    let leaf = self_signed("a.example", &["a.example"], true);
    let mut place = Place::new();
    place.write("a.crt", &leaf.certificate);
    let seen = place.look(0);
    assert_eq!((leaves(&seen), codes(&seen)), (vec![fingerprint(&leaf)], vec!["CD-110"]));
}

#[test]
fn keys_authorities_and_requests_beside_certificates_are_no_sources() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("a.crt", authority.bundle(&leaf));
    place.write("root.pem", authority.root.pem());
    place.write("other.pem", &leaf.key);
    place.write("README", "hello");
    let seen = place.settled();
    assert_eq!((leaves(&seen), codes(&seen)), (vec![fingerprint(&leaf)], vec![]));
}

#[test]
fn a_pair_of_rsa_and_ecdsa_is_one_source() {
    let rsa = openssl(&["rsa:2048"], "DNS:a.example");
    let ecdsa = openssl(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "DNS:a.example");
    let mut place = Place::new();
    for (name, leaf) in [("demo.rsa", &rsa), ("demo.ecdsa", &ecdsa)] {
        place.write(&format!("{name}.pem"), &leaf.certificate);
        place.write(&format!("{name}.key"), &leaf.key);
    }
    let soon = UnixTime::from_seconds(4_000_000_000);
    let seen = place.memory.feed(&place.directory.scan(), &place.policy, soon);
    assert_eq!(codes(&seen), Vec::<&str>::new());
    assert_eq!(*seen.stored[0].source, place.source("demo.pem"));
    let mut families: Vec<_> = seen.stored[0].certificates.iter().map(|c| c.family).collect();
    families.sort();
    assert_eq!(families, [KeyFamily::Rsa, KeyFamily::Ecdsa]);
    place.write("demo.rsa.key", &ecdsa.key);
    place.memory.feed(&place.directory.scan(), &place.policy, soon);
    let crossed = place.memory.feed(&place.directory.scan(), &place.policy, soon.plus(9));
    assert_eq!(codes(&crossed), ["CD-103"], "an RSA certificate with an ECDSA key");
}

#[test]
fn keys_that_cannot_be_compared_are_no_finding() {
    let p521 = openssl(&["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "DNS:a.example,IP:::1");
    let small = openssl(&["rsa:1024"], "DNS:b.example");
    let mut place = Place::new();
    for (name, leaf) in [("p521", &p521), ("small", &small)] {
        place.write(&format!("{name}.crt"), &leaf.certificate);
        place.write(&format!("{name}.key"), &leaf.key);
    }
    let seen =
        place.memory.feed(&place.directory.scan(), &place.policy, UnixTime::from_seconds(4_000_000_000));
    assert_eq!((seen.stored.len(), codes(&seen)), (2, vec![]));
    let names: Vec<_> = seen.stored[0].certificates[0].names.iter().map(HostPattern::as_str).collect();
    assert_eq!(names, ["::1", "a.example"]);
}

#[test]
fn a_key_that_may_not_be_read_is_no_fault() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("a.crt", authority.bundle(&leaf));
    // A dangling link fails for every user, root among them.
    std::os::unix::fs::symlink("nowhere", place.folder.path().join("a.key")).unwrap();
    let seen = place.settled();
    assert_eq!((leaves(&seen), codes(&seen)), (vec![fingerprint(&leaf)], vec![]));
}

#[test]
fn a_certificate_that_misses_a_listed_host_is_refused() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("a.crt", authority.bundle(&leaf));
    let listed = vec!["a.example".parse().unwrap(), "b.example".parse().unwrap()];
    place.policy.hosts.insert(place.source("a.crt"), listed);
    let seen = place.settled();
    assert_eq!((leaves(&seen), codes(&seen)), (vec![], vec!["CD-116"]));
    assert_eq!(seen.held, [place.source("a.crt")].into(), "what the ledger has of it stays");
}

#[test]
fn a_file_that_is_gone_is_expected_for_a_minute() {
    let authority = Authority::new();
    let (a, b) = (authority.leaf(&["a.example"], -1, 90), authority.leaf(&["b.example"], -1, 90));
    let mut place = Place::new();
    place.write("a.crt", authority.bundle(&a));
    place.write("b.crt", authority.bundle(&b));
    place.look(0);
    fs::remove_file(place.folder.path().join("b.crt")).unwrap();
    let gone = place.look(100);
    assert_eq!((gone.stored.len(), codes(&gone), gone.changes_at), (2, vec!["CD-114"], Some(NOW.plus(160))));
    assert_eq!(place.look(159).stored.len(), 2);
    let forgotten = place.look(160);
    assert_eq!((leaves(&forgotten), codes(&forgotten)), (vec![fingerprint(&a)], vec![]));
}

#[test]
fn an_unmounted_volume_loses_nothing() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("sub/a.crt", authority.bundle(&leaf));
    assert!(place.look(0).complete);
    fs::remove_dir_all(place.folder.path().join("sub")).unwrap();
    let empty = place.look(10_000);
    assert_eq!(
        (leaves(&empty), codes(&empty), empty.complete),
        (vec![fingerprint(&leaf)], vec!["CD-120"], false)
    );
    fs::remove_dir(place.folder.path()).unwrap();
    let gone = place.look(20_000);
    assert_eq!((leaves(&gone), gone.complete), (vec![fingerprint(&leaf)], false));
    assert!(codes(&gone).contains(&"CD-120"));
}

#[test]
fn symlink_loops_and_pipes_end_the_look() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["a.example"], -1, 90);
    let mut place = Place::new();
    place.write("x/a.crt", authority.bundle(&leaf));
    std::os::unix::fs::symlink("..", place.folder.path().join("x/up")).unwrap();
    std::os::unix::fs::symlink("self.crt", place.folder.path().join("self.crt")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.folder.path().join("pipe.pem"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let seen = place.settled();
    assert_eq!((leaves(&seen), codes(&seen)), (vec![fingerprint(&leaf)], vec!["CD-112"]));
}

#[test]
fn a_secrets_swap_and_certbots_links_are_followed() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&["a.example"], -1, 90), authority.leaf(&["a.example"], -1, 120));
    let mut place = Place::new();
    let link = |place: &Place, target: &str, name: &str| {
        let temporary = place.folder.path().join("..link");
        std::os::unix::fs::symlink(target, &temporary).unwrap();
        fs::rename(temporary, place.folder.path().join(name)).unwrap();
    };
    for (version, leaf) in [("1", &old), ("2", &new)] {
        place.write(&format!("secret/..{version}/tls.crt"), authority.bundle(leaf));
        place.write(&format!("secret/..{version}/tls.key"), &leaf.key);
        place.write(&format!("archive/a/fullchain{version}.pem"), authority.bundle(leaf));
        place.write(&format!("archive/a/privkey{version}.pem"), &leaf.key);
    }
    place.write("live/README", "");
    place.write("live/a/README", "");
    for name in ["tls.crt", "tls.key"] {
        link(&place, &format!("..data/{name}"), &format!("secret/{name}"));
    }
    let swap = |place: &Place, version: &str| {
        link(place, &format!("..{version}"), "secret/..data");
        for name in ["fullchain", "privkey"] {
            link(place, &format!("../../archive/a/{name}{version}.pem"), &format!("live/a/{name}.pem"));
        }
    };
    swap(&place, "1");
    // The mounted Secret lies beside certbot's tree here, which is walked alone; so it is looked at by itself.
    let mut secret = Directory::new(place.folder.path().join("secret"));
    let secret_leaf = |secret: &mut Directory| {
        let seen = Memory::default().feed(&secret.scan(), &Policy::default(), NOW);
        (seen.stored[0].source.to_string(), leaves(&seen))
    };
    let path = |name: &str| format!("file:{}", Path::new(place.folder.path()).join(name).display());
    assert_eq!(secret_leaf(&mut secret), (path("secret"), vec![fingerprint(&old)]));
    let (live, secret_name) = (path("live/a"), path("secret"));
    let seen = place.look(0);
    assert_eq!(seen.stored.iter().map(|s| s.source.to_string()).collect::<Vec<_>>(), [live]);
    swap(&place, "2");
    assert_eq!(secret_leaf(&mut secret), (secret_name, vec![fingerprint(&new)]));
    assert_eq!(leaves(&place.look(1)), [fingerprint(&new)]);
}

#[test]
fn a_second_write_of_the_same_length_within_the_clocks_grain_is_seen() {
    let authority = Authority::new();
    let mut place = Place::new();
    for _ in 0..20 {
        let leaf = authority.leaf(&["a.example"], -1, 90);
        place.write("a.crt", &leaf.certificate);
        assert_eq!(leaves(&place.look(0)), [fingerprint(&leaf)]);
    }
}
