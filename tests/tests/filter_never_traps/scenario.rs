//! One history that makes the filter use all it has: configurations good and bad, polls with every kind of answer, whole
//! ledgers and parts, requests of every verdict, health, ends of contexts.
use certdrift_tests::host::{Answer, Call, Callback, START, Worker, status};
use certdrift_tests::ledgers::{Served, entry, fingerprint, fleet, full, ledger, with_retiring};
use std::sync::LazyLock;
use std::time::Duration;

/// Two locations, everything set.
pub(crate) const FULL: &str = r#"{"ledger": {"locations": [
    {"upstream": "127.0.0.1:8787", "path": "/ledger/kong", "token": "secret", "authority": "controller"},
    {"upstream": "127.0.0.1:8788", "path": "/ledger.json"}],
    "poll_interval_seconds": 1, "timeout_seconds": 2, "stale_after_seconds": 3},
  "header": "always", "header_to": "all", "prefix": "/certdrift", "surprise": {"a": [1, 2]},
  "health": {"allow": ["127.0.0.0/8", "::1"], "token": "open sesame", "ready_after_seconds": 1}}"#;
/// The least.
pub(crate) const LEAST: &str = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger/kong"}]}}"#;
/// Envoy's, said outright.
pub(crate) const DECLARED: &str = r#"{"ledger": {"poll_interval_seconds": 1,
  "locations": [{"upstream": "ledger", "path": "/ledger/kong"}]},
  "host": "envoy", "certificate": {"declared": {"fingerprint": ["metadata", "filter_metadata", "certdrift", "sha256"],
  "sni": ["connection", "requested_server_name"]}}, "header": "always", "health": {"allow": ["0.0.0.0/0"]}}"#;
/// A chain that says what it serves, and answers no health.
pub(crate) const SAID: &str = r#"{"ledger": {"poll_interval_seconds": 1,
  "locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger/kong"}]}, "prefix": "", "header": "always",
  "certificate": {"declared": {"sni": "demo.example.com",
    "fingerprint": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}}}"#;
/// None of them can be used.
pub(crate) const BAD: [&[u8]; 8] = [
    b"",
    b"   ",
    b"true",
    b"{",
    b"{\"ledger\": 5}",
    b"{\"ledger\": {\"locations\": [{\"upstream\": \"http://x/\", \"path\": \"y\"}]}}",
    b"\xff\xfe",
    b"{\"health\": {\"allow\": [\"10.0.0.0/99\"]}}",
];

/// What is served first, whole.
pub(crate) static WHOLE: LazyLock<Served> = LazyLock::new(|| {
    let until = START + 60;
    let demo =
        with_retiring(entry("demo/tls", &["demo.example.com", "*.demo.example.com"], "new"), "old", until);
    Served::whole(
        "/ledger/kong",
        &ledger(START, vec![demo, entry("demo/other", &["other.example.com"], "other")]),
    )
});

/// What is served next, in parts.
pub(crate) static PARTS: LazyLock<Served> = LazyLock::new(|| {
    let mut entries = fleet(12);
    entries.push(entry("demo/tls", &["demo.example.com"], "newest"));
    Served::in_parts("/ledger/kong", ledger(START + 10, entries), 4)
});

/// Ledgers that are refused: one that is older, one that is far ahead of the clock.
static OLDER: LazyLock<Vec<u8>> = LazyLock::new(|| ledger(START - 5, fleet(2)).to_bytes());
static AHEAD: LazyLock<Vec<u8>> = LazyLock::new(|| ledger(START + 200_000, fleet(2)).to_bytes());

/// Every way a call can end, in turn.
pub(crate) fn answers() -> impl FnMut(&Call) -> Answer {
    let mut n = 0;
    move |call| {
        n += 1;
        if call.path() != "/ledger/kong" && call.path() != "/ledger.json" {
            return PARTS.answer(call);
        }
        match n {
            3 => Answer::refused(),
            4 => Answer::silent(),
            5 => Answer::close_delimited("{}"),
            6 => Answer::closed_early(status::BAD_ARGUMENT),
            7 => Answer::response(500, &[], "oh"),
            8 => Answer::response(302, &[("location", "/")], ""),
            9 => Answer::document("{\"schema\": \"certdrift.dev/ledger/v2\"}", "\"x\""),
            10 => Answer::document(vec![0xff; 100], "\"x\""),
            11 => Answer::response(200, &[("content-length", "99")], "short"),
            12 => Answer::not_modified(),
            13 => Answer::raw(Vec::new(), Ok(b"body".to_vec())),
            14 => Answer::document(OLDER.clone(), "\"old\""),
            15 => Answer::document(AHEAD.clone(), "\"ahead\""),
            16.. => PARTS.answer(call).after(Duration::from_millis(200)),
            _ => WHOLE.answer(call),
        }
    }
}

/// The history.
pub(crate) fn scenario(worker: &mut Worker) {
    worker.answer(answers());
    let first = worker.root(FULL);
    requests(worker);
    if worker.timers().is_empty() {
        worker.advance(3);
    }
    for _ in 0..3 {
        worker.advance(1);
        requests(worker);
    }
    let second = worker.root(BAD[3]);
    let third = worker.root(DECLARED);
    let fourth = worker.root(SAID);
    worker.advance(16);
    requests(worker);
    let _ = worker.request_on(second).path("/certdrift/healthz").send();
    let _ =
        worker.request_on(third).property(["metadata", "filter_metadata", "certdrift", "sha256"], "x").send();
    let _ = worker.request_on(fourth).path("/certdrift/healthz").send();
    worker.advance(120);
    requests(worker);
    for root in [first, second, third, fourth] {
        for callback in [Callback::Done, Callback::Log, Callback::Delete, Callback::Tick] {
            let result = worker.callback(callback, &[root]);
            assert!(result.is_ok(), "{result:?}");
        }
    }
    worker.settle();
    requests(worker);
}

/// The same in small: each poll's answer once, each kind of request once.
pub(crate) fn short(worker: &mut Worker) {
    worker.answer(answers());
    let root = worker.root(FULL);
    worker.advance(2);
    connections(worker);
    worker.advance(17);
    for (path, method) in [
        ("livez", "GET"),
        ("readyz", "GET"),
        ("healthz", "HEAD"),
        ("report?hosts=all", "GET"),
        ("report", "POST"),
    ] {
        let _ = worker.request().path(&format!("/certdrift/{path}")).method(method).send();
    }
    let _ = worker
        .request()
        .path("/certdrift/healthz")
        .peer("::2")
        .header("x-certdrift-token", "open sesame")
        .send();
    worker.request().abort();
    worker.root(BAD[3]);
    for callback in [Callback::Done, Callback::Log, Callback::Delete] {
        worker.callback_or_trap(callback, &[root]);
    }
    worker.advance(2);
}

fn requests(worker: &mut Worker) {
    connections(worker);
    let _ = worker.request().send();
    worker.request().abort();
    for path in [
        "livez",
        "readyz",
        "healthz",
        "report",
        "report?hosts=all",
        "report?hosts=demo.example.com,%zz,x",
        "",
    ] {
        let path = format!("/certdrift/{path}");
        for method in ["GET", "HEAD", "POST"] {
            let _ = worker.request().path(&path).method(method).send();
        }
        let _ = worker.request().path(&path).peer("203.0.113.9").send();
        let _ = worker
            .request()
            .path(&path)
            .peer("2001:db8::1")
            .header("x-certdrift-token", "open sesame")
            .send();
        let _ = worker.request().path(&path).peer("unix:").header("x-certdrift-token", "wrong").send();
    }
}

/// A request on a connection of every kind.
fn connections(worker: &mut Worker) {
    let now = worker.now();
    for line in [
        full(now, "new", "demo.example.com"),
        full(now, "newest", "demo.example.com"),
        full(START - 5, "old", "a.demo.example.com"),
        full(now, "old", "demo.example.com"),
        full(now, "other", "demo.example.com"),
        full(now, "nobody's", "other.example.com"),
        full(now, "default", "-"),
        full(now, "certificate-3", "h3.example.com"),
        full(now, "new", "stranger.example.org"),
        full(now, "new", "192.0.2.1"),
        format!("v1 placeholder {now} {} other.example.com", fingerprint("p")),
        format!("v1 resumed {now} - demo.example.com"),
        format!("v1 plain {now} - -"),
        "v1 full 1 2 3 4 5".to_owned(),
        "v2".to_owned(),
        String::new(),
    ] {
        let declared = line.split(' ').nth(3).unwrap_or_default().to_owned();
        let sni = line.split(' ').nth(4).unwrap_or_default().to_owned();
        let _ = worker
            .request()
            .tap(&line)
            .property(["metadata", "filter_metadata", "certdrift", "sha256"], declared)
            .property(["connection", "requested_server_name"], sni)
            .path("/x")
            .send();
    }
}
