//! A ledger of 10,000 hosts: its bytes, reading it, and what a change costs a worker of the gateway.
use crate::page::{Of, Row, Section, Target};
use crate::sample::Samples;
use anyhow::{Context as _, Result};
use certdrift::publish::split::Published;
use certdrift_contract::index::Index;
use certdrift_contract::json::Limits;
use certdrift_contract::ledger::{Content, Entry, Expected, Ledger, Part};
use certdrift_contract::{Fingerprint, Revision, Rules, UnixTime};
use serde_json::Value;
use std::process::Command;
use std::time::Instant;
use xtask::workspace;

const HOSTS: usize = 10_000;
const RUNS: usize = 11;

fn fleet() -> Result<Ledger> {
    let time = UnixTime::from_seconds(1_795_478_400);
    let entry = |n: usize| -> Result<Entry> {
        let leaf = Fingerprint::of(format!("certificate-{n}").as_bytes());
        Ok(Entry {
            source: format!("kong/demo-tls-{n}"),
            hosts: vec![format!("h{n}.example.com").parse()?],
            since: time,
            current: vec![Expected {
                sha256: leaf,
                chain: vec![Fingerprint::of(b"intermediate")],
                not_after: time.plus(90 * 86_400),
            }],
            incoming: Vec::new(),
            retiring: Vec::new(),
        })
    };
    let mut ledger = Ledger {
        gateway: "kong".to_owned(),
        rules: Rules::Kong,
        revision: Revision(1_795_478_400),
        published_at: time,
        content: Content::of((0..HOSTS).map(entry).collect::<Result<Vec<_>>>()?),
        default: None,
    };
    ledger.sort();
    Ok(ledger)
}

/// Milliseconds for reading all documents and making them ready to be asked.
fn read(published: &Published) -> Result<f64> {
    let began = Instant::now();
    let limits = Limits::default();
    let ledger = Ledger::parse(&published.index.bytes(), &limits)?;
    let parts: Result<Vec<Part>, _> =
        published.parts.iter().map(|(_, document)| Part::parse(&document.bytes(), &limits)).collect();
    let index: Index<u32> = Index::new(ledger, parts?)?;
    anyhow::ensure!(index.hosts() == HOSTS, "{} hosts", index.hosts());
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// What the shipped filter costs under Wasmtime, told by a program of the tests.
fn filter_cost() -> Result<Value> {
    let program = workspace::target().join("debug/certdrift-filter-cost");
    serde_json::from_str(&workspace::output(&mut Command::new(program))?).context("certdrift-filter-cost")
}

pub(crate) fn section() -> Result<Section> {
    let ledger = fleet()?;
    let whole = ledger.to_bytes();
    let published = Published::new(&ledger, 0, None).map_err(|finding| anyhow::anyhow!("{finding:?}"))?;
    let parts: Vec<f64> = published.parts.iter().map(|(_, document)| document.length as f64).collect();
    let mut reading = Samples::default();
    for _ in 0..RUNS {
        reading.push(read(&published)?);
    }
    let cost = filter_cost()?;
    let row = |what: &str| cost.get("rows").and_then(|rows| rows.get(what)).with_context(|| what.to_owned());
    let fuel = |what: &str| -> Result<Samples> {
        Ok(Samples::exact(row(what)?.get("fuel").and_then(Value::as_f64).context("fuel")?))
    };
    let samples = |what: &str| -> Result<Samples> {
        let list = cost.get(what).and_then(Value::as_array).with_context(|| what.to_owned())?;
        Ok(Samples::new(list.iter().filter_map(Value::as_f64)))
    };
    let calls = row("matching request")?.get("host_calls").and_then(Value::as_f64).context("host_calls")?;
    let size = std::fs::metadata(xtask::build::wasm()?)?.len();
    Ok(Section {
        name: "ledger",
        title: "The filter by counts, and a ledger of 10,000 hosts",
        how: format!(
            "One certificate and one intermediate a host; published by the controller's own code: an index and {} parts. Fuel is \
             Wasmtime's count of what the shipped `certdrift.wasm` executes (about an instruction each; it repeats exactly), in the test \
             host, which behaves as Kong's; `tests/budget.json` holds it. The pause is the time of the callback in which a worker takes a change of \
             one host among 10,000: index and one part fetched, checked, read and taken over, metered, so an upper bound.",
            parts.len()
        ),
        rows: vec![
            Row::new(Of::Ours, "`certdrift.wasm`", "bytes", Samples::exact(size as f64))
                .target(Target::AtMost(f64::from(120 * 1024))),
            Row::new(Of::Ours, "a matching request above no-op", "fuel", fuel("matching request above no-op")?),
            Row::new(Of::Ours, "a matching request, 10,000 hosts", "fuel", fuel("matching request, 10,000 hosts")?),
            Row::new(Of::Ours, "a matching request, 1 host", "fuel", fuel("matching request")?),
            Row::new(Of::Ours, "a matching request", "host calls", Samples::exact(calls)).target(Target::AtMost(2.0)),
            Row::new(Of::Ours, "a poll that answers 304", "fuel", fuel("poll that answers 304, 10,000 hosts")?),
            Row::new(Of::Ours, "a change of one part", "fuel", fuel("change of one part among 10,000 hosts")?),
            Row::new(Of::Ours, "pause of a worker at a change of one part", "ms", samples("pause_ms")?)
                .target(Target::AtMost(5.0)),
            Row::new(Of::Ours, "the whole ledger in one piece", "bytes", Samples::exact(whole.len() as f64)),
            Row::new(Of::Ours, "its index", "bytes", Samples::exact(published.index.length as f64)),
            Row::new(Of::Ours, "its parts", "bytes", Samples::new(parts)),
            Row::new(Of::Ours, "reading all of it, natively", "ms", reading),
        ],
        notes: vec!["One renewal writes and fetches the index and one part; the request path does not grow with the ledger.".to_owned()],
    })
}
