//! The tap in nginx, beside a Lua variable that says nothing and beside none.
use crate::client::{self, Kind};
use crate::page::{Of, Row, Section};
use crate::process::{self, cpu};
use crate::sample::{Samples, interleaved};
use crate::wrk;
use anyhow::{Context as _, Result};
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const NAME: &str = "localhost";
const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(2);
const ROUNDS: usize = 6;
/// New connections a sample, one request each.
const COUNT: usize = 400;
const VARIANTS: [&str; 3] = ["tap", "`set_by_lua` of nothing", "no tap"];

/// One of [`VARIANTS`], with one worker.
fn nginx(variant: usize, folder: &Path) -> Result<(Nginx, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let lua = if variant == 1 { "set_by_lua_block $nothing { return \"\" }" } else { "" };
    let server = format!(
        "listen {address} ssl; keepalive_requests 100000000; ssl_session_tickets off; ssl_session_cache off; {lua}
         ssl_certificate {0}/localhost.crt; ssl_certificate_key {0}/localhost.key;
         location / {{ return 200 \"hello\\n\"; }}",
        folder.display()
    );
    let plan = Nginx::with_workers(1);
    let plan = if variant == 0 { plan.tap() } else { plan };
    Ok((plan.server(&server).start()?, address))
}

pub(crate) fn section() -> Result<Section> {
    let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    Ca::new("certdrift bench")?.issue(&wish(&[NAME]))?.write(folder.path(), NAME)?;
    let mut servers = Vec::new();
    for variant in 0..VARIANTS.len() {
        let (nginx, address) = nginx(variant, folder.path())?;
        let worker = *nginx.worker_pids().first().context("nginx has no worker")?;
        wrk::load(address, CONNECTIONS, Duration::from_secs(1))?;
        servers.push((nginx, address, worker));
    }
    let mut rate: [Samples; 3] = Default::default();
    let mut each: [Samples; 3] = Default::default();
    let mut connection: [Samples; 3] = Default::default();
    for variant in interleaved(VARIANTS.len(), ROUNDS) {
        let (_, address, worker) = &servers[variant];
        let before = cpu(*worker)?;
        let load = wrk::load(*address, CONNECTIONS, TIME)?;
        each[variant].push(cpu(*worker)?.saturating_sub(before).as_secs_f64() * 1e6 / load.requests);
        rate[variant].push(load.per_second);
    }
    for variant in interleaved(VARIANTS.len(), ROUNDS) {
        let (_, address, worker) = &servers[variant];
        let before = cpu(*worker)?;
        process::run(&mut client::command(Kind::ObserverAsks, *address, NAME, COUNT, 4)?)?;
        connection[variant].push(cpu(*worker)?.saturating_sub(before).as_secs_f64() * 1e6 / COUNT as f64);
    }
    let report = servers[0].0.tap_report()?;
    anyhow::ensure!(!report.observations.is_empty(), "the tap saw nothing: {report:?}");

    let mut rows = vec![
        Row::new(Of::Ratio, "throughput, tap over no tap", "", rate[0].over(&rate[2])),
        Row::new(Of::Ratio, "throughput, tap over `set_by_lua` of nothing", "", rate[0].over(&rate[1])),
        Row::new(Of::Ratio, "CPU a request, tap over no tap", "", each[0].over(&each[2])),
        Row::new(
            Of::Ratio,
            "CPU a new connection with one request, tap over no tap",
            "",
            connection[0].over(&connection[2]),
        ),
    ];
    for (variant, what) in VARIANTS.iter().enumerate() {
        let of = if variant == 0 { Of::Ours } else { Of::Floor };
        rows.push(Row::new(of, format!("{what}: throughput"), "requests/s", rate[variant].clone()));
        rows.push(Row::new(of, format!("{what}: CPU a request"), "µs", each[variant].clone()));
        rows.push(Row::new(
            of,
            format!("{what}: CPU a new connection with one request"),
            "µs",
            connection[variant].clone(),
        ));
    }
    Ok(Section {
        name: "tap",
        title: "The tap in nginx",
        how: format!(
            "Three nginx with one worker each that answer by themselves over TLS: with the include of `deploy/kong` as it ships, \
             with a Lua variable that is always empty (what nginx takes for any `set_by_lua`), and without. wrk, one thread, \
             {CONNECTIONS} connections that stay, {} s a sample; then {COUNT} new connections a sample, a full handshake and one request each. \
             CPU is the worker's.",
            TIME.as_secs()
        ),
        rows,
        notes: vec![
            "A gateway that proxies does more for each request (Kong some ten times as much), so the tap's share is smaller there."
                .to_owned(),
        ],
    })
}
