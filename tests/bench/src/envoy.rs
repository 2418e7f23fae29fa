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
const ROUNDS: usize = 6;
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
        content: Content::of(entries),
        default: None,
    };
    ledger.sort();
    std::fs::write(folder.join("ledger.json"), ledger.to_bytes())?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let nginx =
        Nginx::with_workers(1).server(&format!("listen {address}; root {};", folder.display())).start()?;
    Ok((nginx, address))
}

/// One of [`VARIANTS`], with one worker; it proxies to `upstream`, or answers by itself.
fn envoy(
    variant: usize,
    leaf: &Leaf,
    folder: &Path,
    ledger: SocketAddr,
    upstream: Option<SocketAddr>,
) -> Result<Envoy> {
    let (certificate, key) = leaf.write(folder, "localhost")?;
    let chain = Chain::new(&[], &certificate, &key).declares(leaf.fingerprint);
    let plan = Envoy::plan().workers(1).cluster("ledger", ledger).chain(chain);
    let plan = upstream.into_iter().fold(plan, |plan, address| plan.upstream(address));
    let plan = match variant {
        0 => plan.wasm(
            &xtask::build::wasm()?,
            r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "ledger", "path": "/ledger.json"}]}}"#,
        ),
        1 => plan.wasm(&xtask::wasm32::module("certdrift-noop-filter")?, ""),
        _ => plan,
    };
    plan.start()
}

/// What the filter's report says was judged, and how much of it drifted.
fn judged(envoy: &Envoy) -> Result<(f64, f64)> {
    let report = ask::get(envoy.address(), NAME, "/certdrift/report")?.body;
    let report: Value = serde_json::from_slice(&report)?;
    let sum = |name: &str| match report.pointer(&format!("/counters/{name}")) {
        Some(Value::Object(kinds)) => Some(kinds.values().filter_map(Value::as_f64).sum()),
        Some(Value::Array(kinds)) => Some(kinds.iter().filter_map(Value::as_f64).sum()),
        other => other.and_then(Value::as_f64),
    };
    Ok((sum("judged").with_context(|| report.to_string())?, sum("drift").unwrap_or(0.0)))
}

/// By variant, sample by sample.
#[derive(Default)]
struct Measured {
    rate: [Samples; 3],
    p99: [Samples; 3],
    each: [Samples; 3],
}

/// The first `variants` of [`VARIANTS`], interleaved.
fn measured(
    variants: usize,
    leaf: &Leaf,
    folder: &Path,
    ledger: SocketAddr,
    upstream: Option<SocketAddr>,
) -> Result<Measured> {
    let envoys: Vec<Envoy> =
        (0..variants).map(|variant| envoy(variant, leaf, folder, ledger, upstream)).collect::<Result<_>>()?;
    let filter = envoys.first().context("no variant")?;
    until("the filter to judge", Duration::from_secs(30), || Ok((judged(filter)?.0 > 0.0).then_some(())))?;
    for envoy in &envoys {
        wrk::load(envoy.address(), CONNECTIONS, Duration::from_secs(1))?;
    }
    let (mut requests, (judged_before, _)) = (0.0, judged(filter)?);
    let mut out = Measured::default();
    for variant in interleaved(variants, ROUNDS) {
        let envoy = &envoys[variant];
        let before = cpu(envoy.pid())?;
        let load = wrk::load(envoy.address(), CONNECTIONS, TIME)?;
        let used = cpu(envoy.pid())?.saturating_sub(before);
        out.rate[variant].push(load.per_second);
        out.p99[variant].push(load.p99);
        out.each[variant].push(used.as_secs_f64() * 1e6 / load.requests);
        if variant == 0 {
            requests += load.requests;
        }
    }
    let (judged, drifted) = judged(filter)?;
    anyhow::ensure!(judged - judged_before >= requests, "only {judged} of {requests} requests were judged");
    anyhow::ensure!(drifted == 0.0, "{drifted} of {judged} requests drifted");
    Ok(out)
}

pub(crate) fn section() -> Result<Section> {
    let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    let leaf = Ca::new("certdrift bench")?.issue(&wish(&[NAME]))?;
    let (_server, ledger) = ledger_server(&leaf, folder.path())?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let upstream = Nginx::with_workers(1).server(&format!(
        "listen {address}; keepalive_requests 100000000; location / {{ return 200 \"hello\\n\"; }}"
    ));
    let _upstream = upstream.start()?;
    let proxying = measured(2, &leaf, folder.path(), ledger, Some(address))?;
    let Measured { rate, p99, each } = measured(3, &leaf, folder.path(), ledger, None)?;

    let ratio = |what: &str, ours: &Samples, theirs: &Samples| {
        Row::new(Of::Ratio, what.to_owned(), "", ours.over(theirs))
    };
    let mut rows = vec![
        ratio("proxying: throughput, filter over no-op", &proxying.rate[0], &proxying.rate[1])
            .target(Target::AtLeast(0.97)),
        ratio("proxying: CPU a request, filter over no-op", &proxying.each[0], &proxying.each[1]),
        ratio("proxying: p99, filter over no-op", &proxying.p99[0], &proxying.p99[1]),
        ratio("answering: throughput, filter over no-op", &rate[0], &rate[1]),
        ratio("answering: CPU a request, filter over no-op", &each[0], &each[1]),
        ratio("answering: p99, filter over no-op", &p99[0], &p99[1]),
        ratio("answering: throughput, no-op over no filter (the host's own price)", &rate[1], &rate[2]),
    ];
    for (kind, variants, measured) in
        [("proxying", 2, &proxying), ("answering", 3, &Measured { rate, p99, each })]
    {
        for (variant, what) in VARIANTS.iter().enumerate().take(variants) {
            let of = if variant == 0 { Of::Ours } else { Of::Floor };
            let row = |what: String, unit, samples: &Samples| Row::new(of, what, unit, samples.clone());
            rows.push(row(format!("{kind}, {what}: throughput"), "requests/s", &measured.rate[variant]));
            rows.push(row(format!("{kind}, {what}: CPU a request"), "µs", &measured.each[variant]));
            rows.push(row(format!("{kind}, {what}: p99"), "ms", &measured.p99[variant]));
        }
    }
    Ok(Section {
        name: "envoy",
        title: "The filter in Envoy",
        how: format!(
            "Envoys with one worker each: with the shipped `certdrift.wasm` and a ledger of 300 hosts, with a filter of the \
             proxy-wasm SDK that does nothing, and without any; proxying to an nginx, as gateways do, and answering by themselves (a \
             direct response: as little other work as there can be). wrk, one thread, {CONNECTIONS} connections that stay, {} s a sample, over TLS. \
             Each request was judged and matched: the filter's own counters are held against wrk's.",
            TIME.as_secs()
        ),
        rows,
        notes: vec![
            "Load generator, Envoy and upstream share this machine's cores; CPU a request is Envoy's own."
                .to_owned(),
        ],
    })
}
