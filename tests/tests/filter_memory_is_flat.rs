//! The filter's memory is bounded by its ledger: a million matching requests and a million strangers' names add no page.
use certdrift_tests::host::{Profile, START, Wasm, Worker};
use certdrift_tests::ledgers::{Served, entry, fleet, full, ledger};

const CONFIG: &str = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger/kong"}]}}"#;
const MANY: u64 = 1_000_000;

fn ready() -> Worker {
    let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
    let mut entries = fleet(100);
    entries.push(entry("demo/tls", &["demo.example.com"], "current"));
    let served = Served::whole("/ledger/kong", &ledger(START, entries));
    worker.answer(move |call| served.answer(call));
    worker.root(CONFIG);
    worker.advance(2);
    assert!(worker.metric("ledger_revision").is_some_and(|revision| revision == START), "it has its ledger");
    worker
}

/// Sends a request for each number, with ticks in between; gives the pages after the first tenth and at the end.
fn pages(worker: &mut Worker, mut line: impl FnMut(u64) -> String) -> (u64, u64) {
    let mut warm = 0;
    for n in 0..MANY {
        let _ = worker.request().tap(&line(n)).send();
        if n % 10_000 == 0 {
            worker.advance(1);
        }
        if n == MANY / 10 {
            warm = worker.memory_pages();
        }
    }
    worker.advance(2);
    (warm, worker.memory_pages())
}

#[test]
fn a_million_matching_requests_add_no_page() {
    let mut worker = ready();
    let (warm, end) = pages(&mut worker, |n| full(START + n / 10, "current", "demo.example.com"));
    assert_eq!(warm, end, "pages of 64 KiB");
    assert_eq!(worker.metric("judged_total"), Some(MANY));
    assert!(worker.logs().len() < 10, "a match is not logged: {:?}", &worker.logs()[..10]);
    certdrift_guarantee::record(
        "memory-requests",
        format!("{end} pages of 64 KiB after {MANY} requests, as after a tenth of them"),
    );
}

#[test]
fn a_million_strangers_names_add_no_page_and_no_metric() {
    let mut worker = ready();
    let metrics = worker.metrics().len();
    let (warm, end) = pages(&mut worker, |n| full(START, "current", &format!("stranger-{n}.example.org")));
    assert_eq!(warm, end, "pages of 64 KiB");
    assert_eq!(worker.metric("unlisted_total"), Some(MANY));
    assert_eq!(worker.metrics().len(), metrics, "no name becomes a series");
    assert!(worker.logs().len() < 10, "a stranger is not logged: {:?}", &worker.logs()[..10]);
    certdrift_guarantee::record(
        "memory-strangers",
        format!("{end} pages of 64 KiB after {MANY} names, as after a tenth of them"),
    );
}
