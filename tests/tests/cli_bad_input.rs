//! What people type wrong, and what stands in the way of an answer: the exit code, and words that help.
use certdrift_tests::certs::{Ca, wish};
use certdrift_tests::process::free_port;
use certdrift_tests::program::{Ran, run, s_server};
use std::process::Command;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");
const HOST: &str = "shop.example.com";

fn told(args: &[&str], code: i32, word: &str) -> Ran {
    let ran = run(CERTDRIFT, args);
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    assert!(ran.stderr.contains(word) || ran.stdout.contains(word), "{args:?}: {word}: {ran:?}");
    ran
}

#[test]
fn what_is_typed_wrong_is_64_with_words_that_help() {
    told(&["check", ""], 64, "CD-311: \"\"");
    told(&["check", "a\nb"], 64, "\"a\\nb\"");
    told(&["check", HOST, "--expect", ""], 64, "it is empty");
    told(&["check", HOST, "--expect", "79:CA:38:DA:5A:26:FE:D7"], 64, "64 hex digits, this has 16");
    told(&["check", HOST, "--timeout", "0s"], 64, "no time");
    told(&["status", "--url", "127.0.0.1:9480"], 64, "http://");
    told(&["status", "a b"], 64, "\"a b\"");
    told(&["ledger", "show", "ftp://x/ledger"], 64, "ftp://");
    let long = told(&["check", &format!("{}.example", "a".repeat(4000))], 64, "253 bytes");
    assert!(long.stderr.lines().all(|line| line.chars().count() <= 120), "{long:?}");
}

/// Runs with one variable set.
fn with(variable: &str, value: &str, args: &[&str]) -> Ran {
    let out = Command::new(CERTDRIFT).args(args).env(variable, value).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: out.status.code(), stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

#[test]
fn a_value_from_the_environment_is_blamed_on_its_variable_and_not_on_a_flag_nobody_typed() {
    for (variable, value, args) in [
        ("CERTDRIFT_LISTEN", "foo", &["run"][..]),
        ("CERTDRIFT_LISTEN", "foo", &["config", "check"]),
        ("CERTDRIFT_LOG_LEVEL", "loud", &["run"]),
        ("CERTDRIFT_LOG_FORMAT", "xml", &["run"]),
        ("CERTDRIFT_CONFIG", "", &["run"]),
        ("CERTDRIFT_STATE_DIR", "", &["run"]),
        ("CERTDRIFT_URL", "127.0.0.1:9480", &["status"]),
        ("CERTDRIFT_LEDGER_TOKEN_FILE", "", &["ledger", "show", "http://127.0.0.1:1/ledger/a"]),
    ] {
        let ran = with(variable, value, args);
        assert_eq!(ran.code, Some(64), "{variable}: {ran:?}");
        assert!(
            ran.stderr.starts_with(&format!("error CD-505: {variable}={value}: ")),
            "{variable}: {ran:?}"
        );
        assert!(ran.stderr.contains(&format!("unset {variable}")), "{variable}: {ran:?}");
    }
    let ran = with("CERTDRIFT_LOG_LEVEL", "loud", &["run"]);
    assert!(ran.stderr.contains("none of error, warn, info, debug, trace"), "{ran:?}");
    for flag in [&["run", "--listen", "foo"][..], &["run", "--listen=foo"]] {
        let ran = with("CERTDRIFT_LISTEN", "foo", flag);
        assert!(ran.code == Some(64) && ran.stderr.contains("'--listen <ADDR:PORT>'"), "{ran:?}");
    }
}

#[test]
fn a_time_below_zero_is_no_other_flag() {
    for args in [
        &["check", HOST, "--timeout", "-1s"][..],
        &["check", HOST, "--wait", "-1s"],
        &["status", "--wait", "-1s"],
    ] {
        let ran = told(args, 64, "a length of time is a whole number and a unit");
        assert!(!ran.stderr.contains("-- -1"), "{ran:?}");
    }
}

#[test]
fn an_address_of_the_other_family_is_told_with_the_flag_that_asks_for_it() {
    let ran = told(&["check", HOST, "-6", "--connect", "127.0.0.1:1"], 2, "-6 looks at IPv6 only");
    assert!(ran.stdout.contains("leave -6 out, or name an IPv6 address with --connect"), "{ran:?}");
    told(&["check", "::1", "-4"], 2, "leave -4 out");
    told(&["check", "::ffff:127.0.0.1", "-6"], 2, "it is an IPv4 address, and -6 looks at IPv6 only");
}

#[test]
fn a_directory_that_is_not_there_is_a_warning_of_config_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certdrift.yaml");
    let text = "gateways:\n- name: a\n  sources:\n  - directory: /nowhere/at/all\n  - directory: .\n  endpoints:\n  - {name: a, address: '127.0.0.1:8443'}\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let ran = told(&["config", "check", file], 0, "warning CD-120: /nowhere/at/all");
    assert!(
        ran.stdout.starts_with("good ") && ran.stdout.contains("gateways[0].sources[0].directory"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("sources[1]"), "{ran:?}");
    let ran = told(&["config", "check", file, "-o", "json"], 0, "\"CD-120\"");
    assert_eq!(ran.json()["warnings"][0]["severity"], "warning", "{ran:?}");
    told(&["config", "check", file, "-o", "short"], 0, "CD-120 /nowhere/at/all");
}

const LEDGER: &str = r#"{"schema": "certdrift.dev/ledger/v1", "gateway": "kong", "match": "kong", "revision": 1,
    "published_at": "2026-11-24T00:00:00Z", "entries": [{"source": "file:/a", "hosts": ["a.example.com"], "since":
    "2026-11-24T00:00:00Z", "current": [], "incoming": [], "retiring": []}]}"#;

#[test]
fn a_ledger_behind_an_authority_of_ones_own_is_read_once_its_root_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("the controller's").unwrap();
    ca.issue(&wish(&["127.0.0.1"])).unwrap().write(folder.path(), "tls").unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, ca.pem()).unwrap();
    std::fs::write(folder.path().join("ledger.json"), LEDGER).unwrap();
    let server = s_server(folder.path(), &["-WWW", "-cert", "tls.crt", "-key", "tls.key"]);
    let url = format!("https://{}/ledger.json", server.address);
    told(&["ledger", "show", &url], 2, "--roots FILE");
    let root = root.to_str().unwrap();
    told(&["ledger", "show", &url, "--roots", root], 0, "gateway kong: 1 host in 1 entry;");
    told(&["ledger", "verify", &url, "--roots", root], 0, "gateway kong, 1 entry, 0 parts");
    told(&["ledger", "show", &url, "--roots", "/nowhere.pem"], 64, "--roots /nowhere.pem");
}

#[test]
fn a_configuration_without_an_end_is_refused_and_not_read_for_ever() {
    told(&["config", "check", "--config", "/dev/zero"], 64, "CD-501");
    told(&["config", "check", "/dev/zero"], 64, "CD-501");
}

#[test]
fn an_answer_that_cannot_be_written_is_told_on_stderr_and_is_not_good() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = Command::new(CERTDRIFT).arg("explain").stdout(full).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("CD-590"), "{out:?}");
}

#[test]
fn a_reader_that_has_had_enough_does_not_change_the_verdict() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let out = Command::new(CERTDRIFT).arg("explain").stdout(writer).output().unwrap();
    assert_eq!((out.status.code(), out.stderr.is_empty()), (Some(0), true), "{out:?}");
}

#[test]
fn a_wait_tells_on_stderr_what_it_waits_for_and_only_once() {
    let dead = format!("127.0.0.1:{}", free_port());
    let ran = told(&["check", HOST, "--connect", &dead, "--wait", "2s"], 2, "CD-307");
    assert_eq!(ran.stderr.matches("waiting").count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("UNKNOWN shop.example.com: no answer"), "{ran:?}");
    let url = format!("http://127.0.0.1:{}", free_port());
    let ran = told(&["status", "--url", &url, "--wait", "2s"], 2, "CD-521");
    assert_eq!(ran.stderr.matches("waiting").count(), 1, "{ran:?}");
}
