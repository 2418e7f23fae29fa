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
const ROUNDS: usize = 10;
/// Another chain of the same listener, which answers health: those under load need not.
const HEALTH: &str = "health.localhost";

/// What runs in the loaded chain.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
    /// As `deploy/envoy` has it: the chain's configuration says what it serves, and no health is answered there.
    Shipped,
    /// A filter that does nothing.
    Noop,
    /// As shipped, for a chain of several names: each request's is asked for.
    Names,
    /// With health on the chain, and the fingerprint in the request's metadata: all that can be asked of the host.
    Everything,
    /// None.
    Without,
}

use Variant::{Everything, Names, Noop, Shipped, Without};

impl Variant {
    const fn name(self) -> &'static str {
        match self {
            Shipped => "certdrift's filter",
            Noop => "a no-op filter",
            Names => "certdrift's filter, a chain of several names",
            Everything => "certdrift's filter, with health and metadata",
            Without => "no filter",
        }
    }

    const fn is_ours(self) -> bool {
        matches!(self, Shipped | Names | Everything)
    }
}

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

/// With one worker; it proxies to `upstream`, or answers by itself.
fn envoy(
    variant: Variant,
    leaf: &Leaf,
    folder: &Path,
    ledger: SocketAddr,
    upstream: Option<SocketAddr>,
) -> Result<Envoy> {
    let (certificate, key) = leaf.write(folder, "localhost")?;
    let config = |more: &str| {
        let location = r#"{"upstream": "ledger", "path": "/ledger.json"}"#;
        format!(r#"{{"ledger": {{"poll_interval_seconds": 1, "locations": [{location}]}}{more}}}"#)
    };
    let said = |sni: &str| {
        let declared = format!(r#"{{"fingerprint": "{}"{sni}}}"#, leaf.fingerprint);
        config(&format!(r#", "prefix": "", "certificate": {{"declared": {declared}}}"#))
    };
    let chain = |host: &str| Chain::new(&[host], &certificate, &key);
    let loaded = match variant {
        Shipped => chain(NAME).configured(&said(&format!(r#", "sni": "{NAME}""#))),
        Names => chain(NAME).configured(&said("")),
        Everything => chain(NAME).declares(leaf.fingerprint),
        Noop | Without => chain(NAME),
    };
    let mut plan = Envoy::plan().workers(1).cluster("ledger", ledger).chain(loaded).chain(chain(HEALTH));
    if let Some(address) = upstream {
        plan = plan.upstream(address);
    }
    if variant.is_ours() {
        plan = plan.wasm(&xtask::build::wasm()?, &config(""));
    } else if variant == Noop {
        plan = plan.wasm(&xtask::wasm32::module("certdrift-noop-filter")?, "");
    }
    plan.start()
}

/// What the filter's report says was judged, and how much of it drifted.
fn judged(envoy: &Envoy) -> Result<(f64, f64)> {
    let report = ask::get(envoy.address(), HEALTH, "/certdrift/report")?.body;
    let report: Value = serde_json::from_slice(&report)?;
    let sum = |name: &str| match report.pointer(&format!("/counters/{name}")) {
        Some(Value::Object(kinds)) => Some(kinds.values().filter_map(Value::as_f64).sum()),
        Some(Value::Array(kinds)) => Some(kinds.iter().filter_map(Value::as_f64).sum()),
        other => other.and_then(Value::as_f64),
    };
    Ok((sum("judged").with_context(|| report.to_string())?, sum("drift").unwrap_or(0.0)))
}

/// Of one variant, sample by sample.
#[derive(Default)]
struct Measured {
    rate: Samples,
    p99: Samples,
    each: Samples,
}

/// These variants, interleaved.
fn measured(
    variants: &[Variant],
    leaf: &Leaf,
    folder: &Path,
    ledger: SocketAddr,
    upstream: Option<SocketAddr>,
) -> Result<Vec<Measured>> {
    let mut envoys = Vec::new();
    for &variant in variants {
        envoys.push(envoy(variant, leaf, folder, ledger, upstream)?);
    }
    let mut judged_before = vec![0.0; variants.len()];
    for (n, envoy) in envoys.iter().enumerate() {
        if variants[n].is_ours() {
            until("the filter to judge", Duration::from_secs(30), || {
                ask::get(envoy.address(), NAME, "/")?;
                Ok((judged(envoy)?.0 > 0.0).then_some(()))
            })?;
        }
        wrk::load(envoy.address(), CONNECTIONS, Duration::from_secs(1))?;
        if variants[n].is_ours() {
            judged_before[n] = judged(envoy)?.0;
        }
    }
    let mut out: Vec<Measured> = variants.iter().map(|_| Measured::default()).collect();
    let mut requests = vec![0.0; variants.len()];
    for n in interleaved(variants.len(), ROUNDS) {
        let before = cpu(envoys[n].pid())?;
        let load = wrk::load(envoys[n].address(), CONNECTIONS, TIME)?;
        let used = cpu(envoys[n].pid())?.saturating_sub(before);
        out[n].rate.push(load.per_second);
        out[n].p99.push(load.p99);
        out[n].each.push(used.as_secs_f64() * 1e6 / load.requests);
        requests[n] += load.requests;
    }
    for (n, envoy) in envoys.iter().enumerate().filter(|(n, _)| variants[*n].is_ours()) {
        let (judged, drifted) = judged(envoy)?;
        let (judged, requests) = (judged - judged_before[n], requests[n]);
        anyhow::ensure!(judged >= requests, "only {judged} of {requests} requests were judged");
        anyhow::ensure!(drifted == 0.0, "{drifted} of {judged} requests drifted");
    }
    Ok(out)
}

pub(crate) fn section() -> Result<Section> {
    let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    let leaf = Ca::new("certdrift bench")?.issue(&wish(&[NAME, HEALTH]))?;
    let (_server, ledger) = ledger_server(&leaf, folder.path())?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let upstream = Nginx::with_workers(1).server(&format!(
        "listen {address}; keepalive_requests 100000000; location / {{ return 200 \"hello\\n\"; }}"
    ));
    let _upstream = upstream.start()?;

    let mut ratios = Vec::new();
    let mut rows = Vec::new();
    let kinds: [(_, _, &[Variant]); 2] = [
        ("proxying", Some(address), &[Shipped, Noop, Names, Everything]),
        ("answering", None, &[Shipped, Noop, Names, Everything, Without]),
    ];
    for (kind, upstream, variants) in kinds {
        let all = measured(variants, &leaf, folder.path(), ledger, upstream)?;
        let noop = &all[1];
        for (variant, ours) in variants.iter().zip(&all) {
            let which = variant.name();
            let mut ratio = |what: &str, samples: Samples| {
                ratios.push(Row::new(Of::Ratio, format!("{kind}: {what}"), "", samples));
            };
            match variant {
                Shipped => {
                    ratio("throughput, filter over no-op", ours.rate.over(&noop.rate));
                    ratio("CPU a request, filter over no-op", ours.each.over(&noop.each));
                    ratio("p99, filter over no-op", ours.p99.over(&noop.p99));
                }
                Names => ratio("throughput, a chain of several names over no-op", ours.rate.over(&noop.rate)),
                Everything => {
                    ratio("throughput, with health and metadata over no-op", ours.rate.over(&noop.rate));
                }
                Without => ratio(
                    "throughput, no-op over no filter (the host's own price)",
                    noop.rate.over(&ours.rate),
                ),
                Noop => {}
            }
            let of = if variant.is_ours() { Of::Ours } else { Of::Floor };
            let row = |what: &str, unit, samples: &Samples| {
                Row::new(of, format!("{kind}, {which}: {what}"), unit, samples.clone())
            };
            rows.push(row("throughput", "requests/s", &ours.rate));
            rows.push(row("CPU a request", "µs", &ours.each));
            rows.push(row("p99", "ms", &ours.p99));
        }
    }
    if let Some(first) = ratios.first_mut() {
        *first = first.clone().target(Target::AtLeast(0.97));
    }
    ratios.extend(rows);
    let rows = ratios;
    Ok(Section {
        name: "envoy",
        title: "The filter in Envoy",
        how: format!(
            "Envoys with one worker each: with the shipped `certdrift.wasm` and a ledger of 300 hosts, with a filter of the \
             proxy-wasm SDK that does nothing, and without any; proxying to an nginx, as gateways do, and answering by themselves (a \
             direct response: as little other work as there can be). wrk, one thread, {CONNECTIONS} connections that stay, {} s a sample, over TLS. \
             As shipped (`deploy/envoy`), the chain's own configuration says its leaf's fingerprint and its one name, and health is \
             answered by another chain; a chain of several names asks the host for each request's; with health and metadata the path \
             and the metadata are asked for, too. Each request was judged and matched: the filter's own counters are held against wrk's.",
            TIME.as_secs()
        ),
        rows,
        notes: vec![
            "Load generator, Envoy and upstream share this machine's cores; CPU a request is Envoy's own."
                .to_owned(),
        ],
    })
}
