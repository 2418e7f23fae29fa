use super::super::args::{Format, OutputArgs};
use super::super::output::View as _;
use super::*;
use crate::cli::args::Color;
use crate::publish::file::FileLedger;
use crate::publish::split::Published;
use certdrift_contract::ledger::{Content, Entry, Retiring};
use certdrift_contract::{Ledger, Revision, Rules};
use std::sync::Arc;

const NOW: certdrift_contract::UnixTime = certdrift_contract::UnixTime::from_seconds(1_795_478_400);

fn ledger(entries: usize) -> Ledger {
    let entry = |n: usize| Entry {
        source: format!("file:/tls/{n:04}.pem"),
        hosts: vec![format!("h{n:04}.example").parse().unwrap()],
        since: NOW,
        current: vec![Expected {
            sha256: Fingerprint::of(&n.to_le_bytes()),
            chain: Vec::new(),
            not_after: NOW.plus(90 * 86_400),
        }],
        incoming: Vec::new(),
        retiring: Vec::new(),
    };
    Ledger {
        gateway: "kong".into(),
        rules: Rules::Kong,
        revision: Revision(1_795_478_400),
        published_at: NOW,
        content: Content::of((0..entries).map(entry)),
        default: None,
    }
}

fn renew(ledger: &mut Ledger, n: usize) {
    if let Content::Entries(entries) = &mut ledger.content {
        let entry = Arc::make_mut(&mut entries[n]);
        entry.retiring = vec![Retiring { sha256: entry.current[0].sha256, until: NOW.plus(120) }];
        entry.current[0].sha256 = Fingerprint::of(b"renewed");
    }
    ledger.revision = Revision(ledger.revision.0 + 1);
}

fn on_disk(ledger: &Ledger) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.json");
    FileLedger::new(&path).write(&Published::new(ledger, 0, None).unwrap()).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

fn text(view: &impl super::super::output::View, wide: bool) -> String {
    let mut bytes = Vec::new();
    view.human(&mut anstream::StripStream::new(&mut bytes), wide, super::super::output::Marks::ASCII)
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

const REMOTE: Remote = Remote { token_file: None, roots: None };

#[test]
fn a_ledger_is_shown_with_eight_digits_and_the_days_that_are_left() {
    let mut small = ledger(2);
    renew(&mut small, 1);
    let shown = text(&show::View::new(small, 0, NOW.plus(60)), false);
    let fingerprint = |bytes: &[u8]| Fingerprint::of(bytes).to_string()[..8].to_owned();
    assert!(shown.starts_with("gateway kong: 2 hosts in 2 entries; "), "{shown}");
    assert!(shown.contains(&format!("{}  in 89 d", fingerprint(b"renewed"))), "{shown}");
    let old = fingerprint(&1usize.to_le_bytes());
    assert!(shown.contains(&format!("{old} until 2026-11-24T00:02:00Z")), "{shown}");
}

#[test]
fn a_renewal_is_one_change() {
    let before = ledger(3);
    let mut after = before.clone();
    renew(&mut after, 2);
    let view = diff::View::new(&before, &after);
    assert!(!view.same());
    assert_eq!(view.names(), ["file:/tls/0002.pem"]);
    assert!(text(&view, false).contains("retires until"), "{}", text(&view, false));
    assert!(diff::View::new(&before, &before).same());
    let mut later = before.clone();
    if let Content::Entries(entries) = &mut later.content {
        Arc::make_mut(&mut entries[0]).current[0].not_after = NOW;
    }
    let shown = text(&diff::View::new(&before, &later), false);
    assert!(shown.contains("-> 2026-11-24T00:00:00Z") && !shown.contains("chain"), "{shown}");
    let fewer = ledger(2);
    assert!(text(&diff::View::new(&before, &fewer), false).contains("- file:/tls/0002.pem"));
}

#[test]
fn a_split_ledger_is_valid_until_a_part_is_touched() {
    let (_folder, path) = on_disk(&ledger(2_000));
    let loaded = load::load(&path, &REMOTE).unwrap();
    let view = verify::View::new(&loaded, NOW);
    assert!(view.valid(), "{}", text(&view, false));
    std::fs::write(path.replace(".json", "-04.json"), b"{}").unwrap();
    let view = verify::View::new(&load::load(&path, &REMOTE).unwrap(), NOW);
    assert!(!view.valid());
    assert!(text(&view, false).contains("parts[04]"), "{}", text(&view, false));
}

#[test]
fn an_error_in_a_part_names_the_part() {
    let part = br#"{"schema":"certdrift.dev/other"}"#;
    let index = format!(
        r#"{{"schema":"certdrift.dev/ledger/v1","gateway":"kong","match":"kong","revision":1,"published_at":"2026-11-24T00:00:00Z","parts":[{{"name":"07","sha256":"{}"}}]}}"#,
        Fingerprint::of(part)
    );
    let error = crate::publish::split::join(index.as_bytes(), |_| Ok(part.to_vec())).unwrap_err();
    assert!(error.to_string().starts_with("parts[07].schema"), "{error}");
}

#[test]
fn an_expired_current_and_a_far_revision_are_told() {
    let (_folder, path) = on_disk(&ledger(1));
    let loaded = load::load(&path, &REMOTE).unwrap();
    let codes = |now| {
        let view = verify::View::new(&loaded, now);
        view.short().iter().map(|line| line[..6].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes(NOW.plus(91 * 86_400)), ["CD-207"]);
    assert_eq!(codes(NOW.plus(-2 * 86_400)), ["CD-204"]);
}

#[test]
fn what_is_no_ledger_could_not_be_told() {
    let out = Output::new(&OutputArgs { format: Format::Json, color: Color::Never });
    let show = |place: &str| {
        let show = Show { ledger: place.to_owned(), remote: REMOTE };
        run(&Args { what: What::Show(show) }, &out).unwrap_err()
    };
    let failure = show("/nowhere/ledger.json");
    assert_eq!((failure.exit, failure.findings[0].code.as_str()), (Exit::Unknown, "CD-208"));
    assert_eq!(show("http://127.0.0.1:1/ledger/kong").findings[0].code, "CD-208");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    std::fs::write(&path, b"[]").unwrap();
    assert_eq!(show(&path.display().to_string()).findings[0].code, "CD-206");
}
