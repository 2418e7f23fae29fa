use super::*;
use certdrift_contract::ledger::{Content, Entry, Expected};
use certdrift_contract::{Fingerprint, Rules, UnixTime};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

fn ledger(entries: usize, revision: u64) -> Ledger {
    let now = UnixTime::from_seconds(1_795_478_400);
    let entry = |n: usize| Entry {
        source: format!("file:/certificates/{n:05}.pem"),
        hosts: vec![format!("host-{n}.example.com").parse().unwrap()],
        since: now,
        current: vec![Expected {
            sha256: Fingerprint::of(&n.to_le_bytes()),
            chain: Vec::new(),
            not_after: now,
        }],
        incoming: Vec::new(),
        retiring: Vec::new(),
    };
    Ledger {
        gateway: "kong".into(),
        rules: Rules::Kong,
        revision: Revision(revision),
        published_at: now,
        content: Content::of((0..entries).map(entry)),
        default: None,
    }
}

fn published(ledger: &Ledger, parts: usize) -> Published {
    Published::new(ledger, parts, None).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("new/ledger.json"));
    assert_eq!(file.read().unwrap(), None);
    let whole = ledger(3, 7);
    file.write(&published(&whole, 0)).unwrap();
    assert_eq!(file.read().unwrap(), Some((whole, 0)));
    let mode = fs::metadata(file.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "a gateway's worker is another user");
}

#[test]
fn a_large_ledger_is_an_index_with_parts_and_one_change_writes_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("ledger.json"));
    let mut large = ledger(2_000, 100);
    let first = published(&large, 0);
    assert_eq!(first.parts.len(), 32);
    assert_eq!(file.write(&first).unwrap(), Written { written: 33, same: 0 });
    assert_eq!(file.read().unwrap(), Some((large.clone(), 32)));
    large.revision = Revision(101);
    if let Content::Entries(entries) = &mut large.content {
        Arc::make_mut(&mut entries[7]).current[0].sha256 = Fingerprint::of(b"renewed");
    }
    assert_eq!(file.write(&published(&large, 32)).unwrap(), Written { written: 2, same: 31 });
    assert_eq!(file.read().unwrap(), Some((large, 32)));
    let small = ledger(3, 102);
    file.write(&published(&small, 32)).unwrap();
    assert_eq!(file.read().unwrap(), Some((small, 0)));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["ledger.json"], "old parts are gone");
}

#[test]
fn the_modification_time_rises_by_a_second_with_each_revision() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("ledger.json"));
    let mtime = || fs::metadata(file.path()).unwrap().mtime();
    file.write(&published(&ledger(3, 1_795_478_400), 0)).unwrap();
    assert_eq!(mtime(), 1_795_478_400);
    file.write(&published(&ledger(4, 1_795_478_401), 0)).unwrap();
    assert_eq!(mtime(), 1_795_478_401);
}

#[test]
fn equal_bytes_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("ledger.json"));
    let same = published(&ledger(3, 5), 0);
    file.write(&same).unwrap();
    let inode = fs::metadata(file.path()).unwrap().ino();
    assert_eq!(file.write(&same).unwrap(), Written { written: 0, same: 1 });
    assert_eq!(fs::metadata(file.path()).unwrap().ino(), inode);
}

#[test]
fn a_deleted_edited_or_damaged_file_is_put_right_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("ledger.json"));
    let good = published(&ledger(2_000, 5), 0);
    file.write(&good).unwrap();
    assert_eq!(file.put_right(&good).unwrap(), None);
    let break_it: [&dyn Fn(); 4] = [
        &|| fs::remove_file(file.path()).unwrap(),
        &|| fs::write(file.path(), b"{}").unwrap(),
        &|| fs::write(file.part_path("03"), b"").unwrap(),
        &|| fs::remove_file(file.part_path("31")).unwrap(),
    ];
    for hand in break_it {
        hand();
        let told = file.put_right(&good).unwrap().expect("it is told");
        assert_eq!(told.code, "CD-202");
        assert_eq!(file.put_right(&good).unwrap(), None);
        assert!(file.read().unwrap().is_some());
    }
}

#[test]
fn a_damaged_ledger_at_the_start_is_told_and_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("ledger.json"));
    file.write(&published(&ledger(2_000, 5), 0)).unwrap();
    fs::remove_file(file.part_path("07")).unwrap();
    let told = file.read().unwrap_err();
    assert_eq!(told.code, "CD-203");
    assert!(told.why.contains("parts[07]"), "{}", told.why);
    fs::write(file.path(), b"\xff\x00{").unwrap();
    assert_eq!(file.read().unwrap_err().code, "CD-203");
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    let file = FileLedger::new(folder.path().join("file/ledger.json"));
    assert_eq!(file.write(&published(&ledger(1, 5), 0)).unwrap_err().code, "CD-201");
}

#[test]
fn what_a_killed_writer_left_is_swept_and_strangers_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileLedger::new(folder.path().join("ledger.json"));
    for name in [
        ".ledger.json.certdrift-tmp",
        ".ledger-03.json.certdrift-tmp",
        "ledger-99.json",
        "ledger-old.json",
        "other-03.json",
    ] {
        fs::write(folder.path().join(name), b"x").unwrap();
    }
    file.write(&published(&ledger(1, 5), 0)).unwrap();
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["ledger-old.json", "ledger.json", "other-03.json"]);
}

#[test]
fn parts_double_when_they_grow_and_stay_while_the_ledger_is_split() {
    let base = ledger(2_000, 5);
    assert_eq!(published(&base, 64).parts.len(), 64, "what there was is kept");
    let smaller = ledger(300, 5);
    assert_eq!(published(&smaller, 0).parts.len(), 0);
    assert_eq!(published(&smaller, 32).parts.len(), 32, "above half of the bound it stays split");
    let huge = ledger(20_000, 5);
    let parts = published(&huge, 0).parts;
    assert!(parts.len() >= 32 && parts.iter().all(|(_, d)| d.length < 256 * 1024));
}
