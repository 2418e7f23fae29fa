//! What the filter costs: the measurements that `tests/tests/filter_cost.rs` holds against a budget, and that `cargo xtask
//! bench` shows. Wasmtime's fuel (about an instruction each) and host calls repeat exactly for the same module.
use crate::host::{Cost, Profile, START, Wasm, Worker};
use crate::ledgers::{Served, entry, fingerprint, fleet, full, ledger};
use certdrift_contract::Ledger;
use std::time::{Duration, Instant};

const CONFIG: &str = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger/kong"}]}}"#;
const PATH: &str = "/ledger/kong";

/// A worker whose ledger lists so many hosts, `demo.example.com` among them.
///
/// # Panics
/// It does not get it.
#[must_use]
pub fn ready(hosts: usize) -> Worker {
    let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
    let mut entries = fleet(hosts - 1);
    entries.push(entry("demo/tls", &["demo.example.com"], "current"));
    let whole = ledger(START, entries);
    let served = if hosts > 300 { Served::in_parts(PATH, whole, 32) } else { Served::whole(PATH, &whole) };
    worker.answer(move |call| served.answer(call));
    worker.root(CONFIG);
    worker.advance(2);
    assert_eq!(worker.metric("ledger_revision"), Some(START), "it has its ledger: {:?}", worker.logs());
    worker
}

fn matching(worker: &mut Worker, began: u64) -> Cost {
    worker.measure(|worker| {
        let response = worker.request().tap(&full(began, "current", "demo.example.com")).send();
        assert_eq!(response.status, 200);
    })
}

/// Of a request on a connection the worker has seen.
pub fn matching_again(worker: &mut Worker) -> Cost {
    for _ in 0..3 {
        matching(worker, START);
    }
    matching(worker, START)
}

/// Of a request in a chain whose configuration says what it serves, without health.
fn said() -> Cost {
    let mut worker = ready(1);
    let declared = format!(r#"{{"fingerprint": "{}", "sni": "demo.example.com"}}"#, fingerprint("current"));
    let open = CONFIG.strip_suffix('}').unwrap_or_default();
    let root = worker.root(format!(r#"{open}, "prefix": "", "certificate": {{"declared": {declared}}}}}"#));
    let mut request = || {
        worker.measure(|worker| {
            assert_eq!(worker.request_on(root).send().status, 200);
        })
    };
    request();
    request()
}

fn noop() -> Cost {
    let mut worker = Worker::new(Profile::kong(), &Wasm::noop());
    worker.root("");
    matching_again(&mut worker)
}

/// Fetches the index and one part, within one tick.
fn one_part_changes() -> Cost {
    let mut worker = ready(10_000);
    offer(&mut worker, 1);
    let calls = worker.calls().len();
    let cost = worker.measure(|worker| {
        worker.tick();
    });
    assert_eq!(worker.calls().len(), calls + 2, "the index and one part");
    assert_eq!(worker.advance(2).metric("ledger_revision"), Some(START + 60));
    cost
}

/// From the next poll on, one certificate of 10,000 has been renewed once more.
fn offer(worker: &mut Worker, renewal: u64) {
    let served = Served::in_parts(PATH, renewed(renewal), 32);
    worker.answer(move |call| served.answer(call));
}

fn renewed(renewal: u64) -> Ledger {
    let mut entries = fleet(9_999);
    entries.push(entry("demo/tls", &["demo.example.com"], "current"));
    entries[5_000] = entry("demo/tls-5000", &["h5000.example.com"], &format!("renewed-{renewal}"));
    ledger(START + 60 * renewal, entries)
}

/// How long the worker is held up by a change of one part among 10,000 hosts, so many times. The module runs metered.
///
/// # Panics
/// A change is not taken over.
#[must_use]
pub fn pauses(count: u64) -> Vec<Duration> {
    let mut worker = ready(10_000);
    let one = |renewal| {
        offer(&mut worker, renewal);
        let began = Instant::now();
        worker.tick();
        let pause = began.elapsed();
        assert_eq!(worker.advance(2).metric("ledger_revision"), Some(START + 60 * renewal));
        pause
    };
    (1..=count).map(one).collect()
}

/// Name, fuel, cost.
pub type Row = (&'static str, u64, Cost);

/// All that is held against the budget.
#[must_use]
pub fn rows() -> Vec<Row> {
    let (mut one, mut many) = (ready(1), ready(10_000));
    let row = |name, cost: Cost| (name, cost.fuel, cost);
    let (matching_one, noop) = (matching_again(&mut one), noop());
    vec![
        ("matching request above no-op", matching_one.fuel.saturating_sub(noop.fuel), matching_one.clone()),
        row("matching request", matching_one),
        row("matching request, 10,000 hosts", matching_again(&mut many)),
        row("matching request, the chain says what it serves", said()),
        row("new connection", matching(&mut one, START + 1)),
        row("poll that answers 304", poll(&mut one)),
        row("poll that answers 304, 10,000 hosts", poll(&mut many)),
        row("change of one part among 10,000 hosts", one_part_changes()),
    ]
}

fn poll(worker: &mut Worker) -> Cost {
    worker.advance(3);
    let calls = worker.calls().len();
    let cost = worker.measure(|worker| {
        worker.tick();
    });
    assert_eq!(worker.calls().len(), calls + 1);
    cost
}
