//! What people type wrong, and what stands in the way of an answer: the exit code, and words that help.
use certdrift_tests::process::free_port;
use certdrift_tests::program::{Ran, run};
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
