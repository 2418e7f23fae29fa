//! What people read: the help texts, bare `certdrift`, typos, and the plugin's name; kept in `tests/transcripts/`.
//! `SNAPSHOTS=overwrite cargo test -p certdrift-tests --test cli_transcripts` writes them anew.
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Runs `certdrift` under this name: what it prints on stdout and stderr, and its exit code.
fn transcript(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(xtask::build::certdrift().unwrap());
    command.arg0(name).args(arguments).env_clear().env("LC_ALL", "C.UTF-8").env("COLUMNS", "100");
    let output = command.output().unwrap();
    let code = output.status.code().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    format!("{}{}[exit {code}]\n", text(output.stdout), text(output.stderr))
}

fn kept(file: &str, text: &str) {
    let path = format!("{}/transcripts/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(std::path::Path::new(&path), None).raw());
}

#[test]
fn bare_certdrift_shows_four_examples_and_where_to_begin() {
    kept("bare", &transcript("certdrift", &[]));
}

#[test]
fn help_of_every_command_is_as_kept() {
    kept("help", &transcript("certdrift", &["--help"]));
    kept("help-short", &transcript("certdrift", &["-h"]));
    for command in [
        "run",
        "status",
        "check",
        "audit",
        "doctor",
        "bundle",
        "ledger",
        "config",
        "explain",
        "completion",
        "man",
    ] {
        kept(&format!("help-{command}"), &transcript("certdrift", &[command, "--help"]));
    }
    for (command, below) in
        [("ledger", "show"), ("ledger", "diff"), ("ledger", "verify"), ("config", "check")]
    {
        kept(&format!("help-{command}-{below}"), &transcript("certdrift", &[command, below, "--help"]));
    }
}

#[test]
fn a_typo_on_any_command_is_64_and_names_what_was_meant() {
    let mut all = String::new();
    for line in [
        &["statsu"][..],
        &["status", "--wiat", "1m"],
        &["run", "--confg", "x"],
        &["check"],
        &["check", "a.example.com", "--timout", "1s"],
        &["ledger", "shwo"],
        &["config", "chekc"],
        &["explain", "CD-000"],
        &["completion", "tcsh"],
        &["man", "nothing"],
        &["status", "-o", "jsno"],
    ] {
        let told = transcript("certdrift", line);
        assert!(told.ends_with("[exit 64]\n"), "{line:?}: {told}");
        all.push_str(&format!("$ certdrift {}\n{told}\n", line.join(" ")));
    }
    kept("typos", &all);
}

#[test]
fn help_as_a_word_is_help_as_a_flag() {
    assert_eq!(transcript("certdrift", &["help"]), transcript("certdrift", &["--help"]));
    for line in [&["help", "check"][..], &["help", "ledger", "show"], &["ledger", "help", "show"]] {
        let words: Vec<&str> = line.iter().copied().filter(|word| *word != "help").collect();
        let meant = transcript("certdrift", &[&words[..], &["--help"]].concat());
        assert_eq!(transcript("certdrift", line), meant, "{line:?}");
        assert!(meant.ends_with("[exit 0]\n"), "{meant}");
    }
    let told = transcript("certdrift", &["help", "chekc"]);
    assert!(told.contains("'check'") && told.ends_with("[exit 64]\n"), "{told}");
}

#[test]
fn as_a_kubectl_plugin_it_shows_itself_so() {
    let told = transcript("/usr/local/bin/kubectl-certdrift", &["status", "-h"]);
    assert!(told.contains("Usage: kubectl certdrift status"), "{told}");
    let told = transcript("/usr/local/bin/kubectl-certdrift", &[]);
    assert!(told.contains("  kubectl certdrift check shop.example.com"), "{told}");
}

#[test]
fn every_short_help_fits_one_screen() {
    for command in ["run", "status", "check", "doctor", "ledger", "config", "explain", "completion", "man"] {
        let told = transcript("certdrift", &[command, "-h"]);
        assert!(told.lines().count() <= 50, "{command}: {} lines", told.lines().count());
        assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    }
}

#[test]
fn colour_is_on_when_asked_for_and_off_otherwise() {
    let escapes = |arguments: &[&str]| transcript("certdrift", arguments).contains('\u{1b}');
    assert!(!escapes(&["explain", "CD-101"]));
    assert!(escapes(&["explain", "CD-101", "--color", "always"]));
    assert!(!escapes(&["explain", "CD-101", "--color=never"]));
    assert!(escapes(&["--help", "--color=always"]));
}

#[test]
fn completions_and_man_pages_cover_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = transcript("certdrift", &["completion", shell]);
        assert!(script.contains("status") && script.ends_with("[exit 0]\n"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let told = transcript("certdrift", &["man", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(told, "[exit 0]\n");
    for page in ["certdrift", "certdrift-run", "certdrift-status", "certdrift-check", "certdrift-ledger"] {
        let text = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

/// decay 0 is compiled in (`.cargo/config.toml`): jemalloc itself says what it runs with.
#[test]
fn the_allocator_gives_freed_memory_back_at_once() {
    let mut command = Command::new(xtask::build::certdrift().unwrap());
    let output = command.arg("explain").env("_RJEM_MALLOC_CONF", "stats_print:true").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    for option in ["opt.dirty_decay_ms: 0", "opt.muzzy_decay_ms: 0"] {
        assert!(told.contains(option), "{option}: {told}");
    }
}

#[test]
fn the_systemd_units_are_understood_by_systemd() {
    let unit = xtask::workspace::root().join("deploy/systemd/certdrift.service");
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(unit).unwrap().replace("/usr/bin/certdrift", "/bin/true");
    let copy = folder.path().join("certdrift.service");
    std::fs::write(&copy, text).unwrap();
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output() {
        Err(error) => eprintln!("systemd-analyze is not here: {error}"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
}
