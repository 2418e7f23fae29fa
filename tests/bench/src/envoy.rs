//! The filter in a real Envoy, beside a filter that does nothing and beside none.
use crate::ask;
use crate::page::{Of, Row, Section, Target};
use crate::process::{cpu, until};
use crate::sample::{Samples, interleaved};
use crate::wrk;
use anyhow::{Context as _, Result};
use certdrift_contract::ledger::{Content, Entry, Expected, Ledger};
use certdrift_contract::{Revision, Rules, UnixTime};
use certdrift_harness::certs::{Ca, Leaf, wish};
use certdrift_harness::envoy::{Chain, Envoy};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What wrk is told to load; a name, so that it is sent as SNI.
const NAME: &str = "localhost";
const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(2);
const ROUNDS: usize = 8;
const VARIANTS: [&str; 3] = ["certdrift's filter", "a no-op filter", "no filter"];

/// A ledger that lists the name beside 299 others, in a file that nginx hands out.
fn ledger_server(leaf: &Leaf, folder: &Path) -> Result<(Nginx, SocketAddr)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let time = UnixTime::from_seconds(i64::try_from(now)?);
    let entry = |host: &str, sha256| -> Result<Entry> {
        Ok(Entry {
            source: format!("file:/{host}"),
            hosts: vec![host.parse()?],
            since: time,
            current: vec![Expected { sha256, chain: Vec::new(), not_after: time.plus(90 * 86_400) }],
            incoming: Vec::new(),
            retiring: Vec::new(),
        })
    };
    let mut entries = vec![entry(NAME, leaf.fingerprint)?];
    for n in 1..300 {
        let host = format!("h{n}.example.com");
        entries.push(entry(&host, certdrift_contract::Fingerprint::of(host.as_bytes()))?);
    }
    let mut ledger = Ledger {
        gateway: "envoy".to_owned(),
        rules: Rules::Envoy,
        revision: Revision(now),
        published_at: time,
        content: Content::Entries(entries),
        default: None,
    };
    ledger.sort();
    std::fs::write(folder.join("ledger.json"), ledger.to_bytes())?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let nginx =
        Nginx::with_workers(1).server(&format!("listen {address}; root {};", folder.display())).start()?;
    Ok((nginx, address))
}

/// One of [`VARIANTS`], with one worker.
fn envoy(variant: usize, leaf: &Leaf, folder: &Path, ledger: SocketAddr) -> Result<Envoy> {
    let (certificate, key) = leaf.write(folder, "localhost")?;
    let chain = Chain::new(&[], &certificate, &key).declares(leaf.fingerprint);
    let plan = Envoy::plan().workers(1).cluster("ledger", ledger).chain(chain);
    let plan = match variant {
        0 => plan.wasm(
            &xtask::build::wasm()?,
            r#"{"ledger": {"locations": [{"upstream": "ledger", "path": "/ledger.json"}]}}"#,
        ),
        1 => plan.wasm(&xtask::wasm32::module("certdrift-noop-filter")?, ""),
        _ => plan,
    };
    plan.start()
}

/// What the filter's report says was judged.
fn judged(envoy: &Envoy) -> Result<f64> {
    let report = ask::get(envoy.address(), NAME, "/certdrift/report")?.body;
    let report: Value = serde_json::from_slice(&report)?;
    let judged = report.pointer("/counters/judged").and_then(Value::as_f64);
    judged.with_context(|| report.to_string())
}

pub(crate) fn section() -> Result<Section> {
    let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    let leaf = Ca::new("certdrift bench")?.issue(&wish(&[NAME]))?;
    let (_server, ledger) = ledger_server(&leaf, folder.path())?;
    let envoys = [0, 1, 2].map(|variant| envoy(variant, &leaf, folder.path(), ledger));
    let [filter, noop, none] = envoys;
    let envoys = [filter?, noop?, none?];
    until("the filter to judge", Duration::from_secs(30), || Ok((judged(&envoys[0])? > 0.0).then_some(())))?;

    let mut rate: [Samples; 3] = Default::default();
    let mut p99: [Samples; 3] = Default::default();
    let mut each: [Samples; 3] = Default::default();
    let (mut requests, judged_before) = (0.0, judged(&envoys[0])?);
    for envoy in &envoys {
        wrk::load(envoy.address(), CONNECTIONS, Duration::from_secs(1))?;
    }
    for variant in interleaved(VARIANTS.len(), ROUNDS) {
        let envoy = &envoys[variant];
        let before = cpu(envoy.pid())?;
        let load = wrk::load(envoy.address(), CONNECTIONS, TIME)?;
        let used = cpu(envoy.pid())?.saturating_sub(before);
        rate[variant].push(load.per_second);
        p99[variant].push(load.p99);
        each[variant].push(used.as_secs_f64() * 1e6 / load.requests);
        if variant == 0 {
            requests += load.requests;
        }
    }
    let judged = judged(&envoys[0])? - judged_before;
    anyhow::ensure!(judged >= requests, "only {judged} of {requests} requests were judged");

    let mut rows = vec![
        Row::new(Of::Ratio, "throughput, filter over no-op", "", rate[0].over(&rate[1]))
            .target(Target::AtLeast(0.97)),
        Row::new(Of::Ratio, "CPU a request, filter over no-op", "", each[0].over(&each[1])),
        Row::new(Of::Ratio, "p99, filter over no-op", "", p99[0].over(&p99[1])),
        Row::new(
            Of::Ratio,
            "throughput, no-op over no filter: the host's own price",
            "",
            rate[1].over(&rate[2]),
        ),
    ];
    for (variant, what) in VARIANTS.iter().enumerate() {
        let of = if variant == 0 { Of::Ours } else { Of::Floor };
        rows.push(Row::new(of, format!("{what}: throughput"), "requests/s", rate[variant].clone()));
        rows.push(Row::new(of, format!("{what}: CPU a request"), "µs", each[variant].clone()));
        rows.push(Row::new(of, format!("{what}: p99"), "ms", p99[variant].clone()));
    }
    Ok(Section {
        name: "envoy",
        title: "The filter in Envoy",
        how: format!(
            "Three Envoys with one worker each that answer by themselves (a direct response over TLS): with the shipped \
             `certdrift.wasm` and a ledger of 300 hosts, with a filter of the proxy-wasm SDK that does nothing, and without \
             any. wrk, one thread, {CONNECTIONS} connections that stay, {} s a sample, the worker saturated. Each request was judged: \
             the filter's own counter is held against wrk's.",
            TIME.as_secs()
        ),
        rows,
        notes: vec![
            "A gateway that proxies does more for each request, so the share of a filter is smaller there."
                .to_owned(),
        ],
    })
}
