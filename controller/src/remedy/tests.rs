//! Remedies against real processes, files and sockets, all on this machine and all our own.
use super::config::{Act, Command, Remedy};
use super::history::History;
use super::state_file::{StateFile, parse};
use super::{Outcome, perform};
use crate::converge::{Action, Event, Intent, Millis, Policy, Record, State, What, step};
use crate::diagnose::Cause;
use crate::observe::{http::Client, tls};
use certdrift_contract::Fingerprint;
use proptest::prelude::*;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

fn intent(timeout_ms: u64) -> Intent {
    Intent {
        id: 7,
        gateway: "nginx".into(),
        remedy: "reload".into(),
        kind: "command".into(),
        endpoint: "a".into(),
        host: "demo.example.com".into(),
        cause: Cause::FileNotReloaded,
        covers: 1,
        served: Some(Fingerprint::from_digest([0x0a; 32])),
        expected: vec![Fingerprint::from_digest([0x0b; 32])],
        at: Millis::from_seconds(1_795_478_400),
        timeout_ms,
        price: "nothing".into(),
    }
}

fn act(json: &str) -> Act {
    let remedy: Remedy = serde_json::from_str(&format!(r#"{{"name": "x", {json}}}"#)).unwrap();
    remedy.act
}

fn sh(script: &str) -> Act {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    Act::Command(Command { argv, env: [("EXTRA".to_owned(), "more".to_owned())].into() })
}

async fn done(act: &Act, timeout_ms: u64) -> Outcome {
    perform(act, &intent(timeout_ms), &Client::new(tls::any()), None).await.expect("it is begun")
}

/// Whether a process runs (a zombie does not).
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

/// Waits for a condition, with a deadline.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        crate::clock::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 10 s for {what}");
}

#[tokio::test]
async fn a_signal_reaches_the_process_of_the_pid_file() {
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", "trap 'echo reloaded; exit 0' HUP; echo ready; while :; do sleep 0.05; done"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    std::fs::write(&file, format!("{}\n", child.id().unwrap())).unwrap();
    let signal =
        |process: &str| act(&format!(r#""signal": {{"pid_file": {file:?}, "process": "{process}"}}"#));
    let refused = done(&signal("nginx"), 1000).await;
    assert!(!refused.ok && refused.said.contains("not \"nginx\""), "{refused:?}");
    let sent = done(&signal("sh"), 1000).await;
    assert!(sent.ok && sent.said.contains("sent HUP"), "{sent:?}");
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("reloaded"));
    // Not waited for yet: a zombie, which takes signals and does nothing with them.
    let pid = child.id().unwrap().to_string();
    until("its end", || !runs(&pid)).await;
    let ended = done(&signal("sh"), 1000).await;
    assert!(!ended.ok && ended.said.contains("has ended"), "{ended:?}");
    child.wait().await.unwrap();
    let gone = done(&signal("sh"), 1000).await;
    assert!(!gone.ok && gone.said.contains("no process"), "{gone:?}");
}

#[tokio::test]
async fn a_pid_file_without_a_process_id_signals_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let own = std::process::id().to_string();
    for (content, names) in [
        ("", "holds no process id"),
        ("-1", "holds no"),
        ("0", "holds no"),
        ("4294967295", "no process id"),
        (own.as_str(), "itself"),
    ] {
        std::fs::write(&file, content).unwrap();
        let outcome = done(&act(&format!(r#""signal": {{"pid_file": {file:?}}}"#)), 1000).await;
        assert!(!outcome.ok && outcome.said.contains(names), "{content:?}: {outcome:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let outcome = done(&act(&format!(r#""signal": {{"pid_file": {file:?}}}"#)), 1000).await;
    assert!(!outcome.ok && outcome.said.contains("No such file"), "{outcome:?}");
}

#[tokio::test]
async fn a_command_gets_the_facts_and_no_environment_of_ours() {
    let script = "echo $CERTDRIFT_GATEWAY $CERTDRIFT_ENDPOINT $CERTDRIFT_HOST $CERTDRIFT_CAUSE $CERTDRIFT_INTENT $EXTRA; env | grep -c CARGO";
    let outcome = done(&sh(script), 5000).await;
    assert!(outcome.said.contains("nginx a demo.example.com file-not-reloaded 7 more\n0"), "{outcome:?}");
}

#[tokio::test]
async fn a_command_that_fails_says_why_in_bounds() {
    let outcome = done(&sh("echo 'no \x1b[31mway' >&2; yes | head -c 3000000; exit 3"), 20_000).await;
    assert!(!outcome.ok);
    assert!(outcome.said.contains("exit status: 3: no \u{fffd}[31mway\ny\n"), "{outcome:?}");
    assert!(outcome.said.len() < 2_200, "{}", outcome.said.len());
    let missing = done(&act(r#""command": {"argv": ["/no/such/program"]}"#), 1000).await;
    assert!(!missing.ok && missing.said.contains("cannot be started"), "{missing:?}");
}

#[tokio::test]
async fn a_command_is_ended_at_its_timeout_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grandchild");
    let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let outcome = done(&sh(&script), 1_000).await;
    assert!(!outcome.ok && outcome.said.contains("ended after 1000 ms"), "{outcome:?}");
    let grandchild = std::fs::read_to_string(&file).unwrap();
    until("the grandchild's end", || !runs(grandchild.trim())).await;
}

#[tokio::test]
async fn a_command_nobody_waits_for_any_more_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", file.display());
    let act = sh(&script);
    tokio::select! {
        outcome = done(&act, 600_000) => panic!("{outcome:?}"),
        () = until("its start", || file.exists()) => {}
    }
    let pid = std::fs::read_to_string(&file).unwrap();
    until("its end", || !runs(pid.trim())).await;
}

#[tokio::test]
async fn a_command_whose_child_holds_its_output_open_ends_when_it_does_and_leaves_the_child() {
    let outcome = done(&sh("sleep 600 & echo $!"), 20_000).await;
    assert!(outcome.ok, "{outcome:?}");
    let child = outcome.said.rsplit(' ').next().unwrap().trim().to_owned();
    assert!(runs(&child));
    let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Takes one request, answers with this status, and gives what was sent.
async fn receiver(status: u16) -> (String, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let mut buffer = [0u8; 8192];
        while !text.contains("\"price\":") {
            let n = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        }
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await.unwrap();
        text
    });
    (url, task)
}

#[tokio::test]
async fn a_webhook_carries_the_facts_a_token_and_a_signature() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let (url, task) = receiver(202).await;
    let hook = act(&format!(
        r#""webhook": {{"url": "{url}", "token": {{"file": {file:?}}}, "hmac": {{"file": {file:?}}}}}"#
    ));
    let outcome = done(&hook, 5_000).await;
    let sent = task.await.unwrap();
    assert!(outcome.ok && outcome.said.contains("answered 202"), "{outcome:?}");
    assert!(!outcome.said.contains("0123456789abcdef"));
    for part in [
        "POST /hook",
        "authorization: Bearer 0123456789abcdef\r\n",
        "x-certdrift-signature: sha256=",
        "idempotency-key: nginx-7",
        r#""cause":"file-not-reloaded""#,
    ] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_refused_or_silent_has_failed() {
    let (url, task) = receiver(500).await;
    let outcome = done(&act(&format!(r#""webhook": {{"url": "{url}"}}"#)), 5_000).await;
    assert!(!outcome.ok && outcome.said.contains("answered 500"), "{outcome:?}");
    task.await.unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let outcome = done(&act(&format!(r#""webhook": {{"url": "{url}"}}"#)), 100).await;
    assert!(!outcome.ok && outcome.said.contains("100 ms"), "{outcome:?}");
}

fn state() -> State {
    State::new("nginx", Policy::default(), Millis::from_seconds(1_795_478_400))
}

#[test]
fn the_state_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("nginx");
    let file = StateFile::open(&directory).unwrap();
    assert_eq!(file.read("nginx"), (None, None));
    file.write(&state()).unwrap();
    drop(file);
    assert_eq!(StateFile::open(&directory).unwrap().read("nginx"), (Some(state()), None));
}

#[test]
fn two_processes_never_hold_the_state_of_one_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let first = StateFile::open(folder.path()).unwrap();
    let refused = StateFile::open(folder.path()).unwrap_err();
    assert!(refused.code == "CD-408" && refused.why.contains("another certdrift"), "{refused}");
    drop(first);
    StateFile::open(folder.path()).unwrap();
}

#[test]
fn a_damaged_state_is_set_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::open(folder.path()).unwrap();
    let whole = serde_json::to_string(&state()).unwrap();
    let path = folder.path().join("convergence.json");
    for damaged in [
        &whole[..whole.len() / 2],
        "",
        &whole.replace("convergence/v1", "convergence/v2"),
        &whole.replace("\"nginx\"", "\"other\""),
        &whole.replacen('{', "{\"surplus\": 1,", 1),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let (none, finding) = file.read("nginx");
        assert_eq!(none, None);
        assert_eq!(finding.map(|f| f.code).as_deref(), Some("CD-407"), "{damaged}");
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("convergence.damaged.json")).unwrap(), damaged);
    }
}

#[test]
fn a_state_that_cannot_be_written_is_told_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::open(folder.path()).unwrap();
    file.write(&state()).unwrap();
    // A directory in the place of the file written beside: fails for root too.
    std::fs::create_dir(folder.path().join(".convergence.json.new")).unwrap();
    assert_eq!(file.write(&state()).unwrap_err().code, "CD-408");
    assert_eq!(file.read("nginx").0, Some(state()));
}

fn line(n: u64) -> Record {
    let what = What::Ended { id: n, remedy: "reload".into(), ok: true, said: "x".repeat(50), took_ms: n };
    Record { at: Millis(0), gateway: "nginx".into(), what }
}

#[test]
fn an_intent_is_read_from_the_history_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::new(folder.path());
    let record = Record { at: Millis(1), gateway: "nginx".into(), what: What::Remedy { intent: intent(1) } };
    history.append(&record).unwrap();
    assert_eq!(history.newest(10).unwrap(), (vec![record], 0));
}

#[test]
fn the_history_is_bounded_and_survives_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::rotating_at(folder.path(), 1_000);
    for n in 0..100 {
        history.append(&line(n)).unwrap();
    }
    let size: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 5_000, "{size}");
    let (newest, unread) = history.newest(5).unwrap();
    assert_eq!((newest, unread), ((95..100).map(line).collect(), 0));
    let path = folder.path().join("history.jsonl");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let (newest, unread) = history.newest(2).unwrap();
    assert_eq!((newest, unread), (vec![line(97), line(98)], 1));
    history.append(&line(100)).unwrap();
    let (newest, unread) = history.newest(2).unwrap();
    assert_eq!((newest, unread), (vec![line(98), line(100)], 1), "the first line after a crash is whole");
}

fn corpus() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/convergence/state.json");
    std::fs::read(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTDRIFT_LONG").is_some() { 200_000 } else { 2_000 }))]

    #[test]
    fn any_bytes_are_a_state_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes, "nginx");
    }

    /// What can be read can be run: no value of a damaged file brings the machine down.
    #[test]
    fn a_state_with_any_of_its_bytes_changed_is_refused_or_runs(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), b'0'..=b'9', Just(b'-')]), 1..6),
        now in prop_oneof![any::<i64>(), 1_795_478_000_000i64..1_795_480_000_000],
    ) {
        let mut bytes = corpus();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut state) = parse(&bytes, "nginx") {
            let up = Event::EndpointUp { endpoint: "a".into(), edge: false, workers: Some(2), started: None };
            for event in [Event::Restarted, up, Event::Tick, Event::Tick] {
                let (next, actions): (State, Vec<Action>) = step(state, &event, Millis(now));
                serde_json::to_vec(&actions).unwrap();
                state = next;
            }
        }
    }
}
