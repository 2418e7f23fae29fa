//! The controller as it ships with 10,000 certificates in a directory, and with 1,000 endpoints: memory, CPU, `/metrics`.
use crate::page::{Of, Row, Section, Target};
use crate::process::until;
use crate::running::{PATIENCE, Running, gateway};
use crate::sample::Samples;
use anyhow::{Context as _, Result};
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

const MANY: usize = 10_000;
const FEW: usize = 1_000;
const RUNS: usize = 3;
const ENDPOINTS: usize = 1_000;
const ENDPOINT_HOSTS: usize = 10;
const MIB: f64 = 1_048_576.0;

/// So many certificates, each for one host, each with its chain and key.
fn certificates(folder: &Path, count: usize) -> Result<()> {
    let ca = Ca::new("certdrift bench")?;
    for n in 0..count {
        let host = format!("h{n}.example.com");
        ca.issue(&wish(&[&host]))?.write(folder, &host)?;
    }
    Ok(())
}

/// An nginx that serves each host what is stored for it, on all these addresses.
fn nginx(certificates: &Path, addresses: &[SocketAddr]) -> Result<Nginx> {
    let listen: String =
        addresses.iter().map(|address| format!("listen {address} ssl backlog=4096;\n")).collect();
    let server = format!(
        "{listen} ssl_certificate {0}/$ssl_server_name.crt; ssl_certificate_key {0}/$ssl_server_name.key;
         location / {{ return 200; }}",
        certificates.display()
    );
    Nginx::with_workers(1).server(&server).start()
}

/// What one run with so many certificates and one endpoint shows.
#[derive(Debug, Default)]
struct Shown {
    ledger_peak: Samples,
    ledger_cpu: Samples,
    ledger_time: Samples,
    peak: Samples,
    steady: Samples,
    own: Samples,
    page_bytes: Samples,
    page_time: Samples,
    idle: Samples,
    change: Samples,
}

fn serving(folder: &Path, count: usize, shown: &mut Shown) -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let _nginx = nginx(folder, &[address])?;
    // The sweep is a day long: when all were seen once, nothing is due.
    let observe = "per_second: 1000, sweep: 24h, timeout: 20s";
    let mut controller = Running::start(&gateway("bench", folder, observe, &[address]))?;
    controller.ready()?;
    shown.ledger_time.push(controller.started.elapsed().as_secs_f64());
    shown.ledger_cpu.push(controller.cpu()?.as_secs_f64());
    shown.ledger_peak.push(controller.memory()?.peak as f64 / MIB);
    until("every host to be seen", 2 * PATIENCE, || {
        let seen = controller.metric("certdrift_endpoint_hosts", "verdict=\"match\"")?;
        std::thread::park_timeout(Duration::from_millis(300));
        Ok((seen as usize == count).then_some(()))
    })
    .with_context(|| controller.log())?;
    // The proof of each host takes more handshakes than the first look: quiet is when nothing is used any more.
    quiet(&controller)?;
    let memory = controller.memory()?;
    shown.peak.push(memory.peak as f64 / MIB);
    shown.steady.push(memory.now as f64 / MIB);
    shown.own.push(memory.own as f64 / MIB);
    for _ in 0..5 {
        let began = Instant::now();
        let page = controller.get("/metrics")?;
        shown.page_time.push(began.elapsed().as_secs_f64() * 1000.0);
        shown.page_bytes.push(page.body.len() as f64);
    }
    let (before, began) = (controller.cpu()?, Instant::now());
    std::thread::park_timeout(Duration::from_secs(4));
    let used = controller.cpu()?.saturating_sub(before);
    shown.idle.push(used.as_secs_f64() * 1000.0 / began.elapsed().as_secs_f64());
    let before = controller.cpu()?;
    let published = controller.get("/ledger/bench")?.body;
    Ca::new("certdrift bench")?.issue(&wish(&["h7.example.com"]))?.write(folder, "h7.example.com")?;
    until("the change to be published", PATIENCE, || {
        // Its index: a page of metrics looks at every host, which must not be taken for the renewal's work.
        std::thread::park_timeout(Duration::from_millis(50));
        Ok((controller.get("/ledger/bench")?.body != published).then_some(()))
    })?;
    quiet(&controller)?;
    shown.change.push(controller.cpu()?.saturating_sub(before).as_secs_f64() * 1000.0);
    Ok(())
}

/// Waits until it uses less than a hundredth of a core over a second and a half.
fn quiet(controller: &Running) -> Result<()> {
    until("the controller to be quiet", 2 * PATIENCE, || {
        let (before, began) = (controller.cpu()?, Instant::now());
        std::thread::park_timeout(Duration::from_millis(1_500));
        let used = controller.cpu()?.saturating_sub(before);
        Ok((used.as_secs_f64() < 0.01 * began.elapsed().as_secs_f64()).then_some(()))
    })
}

/// Peak and steady memory, MiB, and CPU until all was seen, s, with 1,000 endpoints of 10 hosts.
fn endpoints() -> Result<(f64, f64, f64)> {
    let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    certificates(folder.path(), ENDPOINT_HOSTS)?;
    let port = free_port();
    let address = |n: usize| {
        let (third, fourth) = (n / 250, n % 250 + 1);
        let octet = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        SocketAddr::from((Ipv4Addr::new(127, 1, octet(third), octet(fourth)), port))
    };
    let addresses: Vec<SocketAddr> = (0..ENDPOINTS).map(address).collect();
    let _nginx = nginx(folder.path(), &addresses)?;
    let observe = "per_second: 1000, sweep: 24h, timeout: 20s";
    let mut controller = Running::start(&gateway("bench", folder.path(), observe, &addresses))?;
    controller.ready()?;
    until("every host to be seen on every endpoint", 2 * PATIENCE, || {
        std::thread::park_timeout(Duration::from_millis(300));
        let seen = controller.metric("certdrift_endpoint_hosts", "verdict=\"match\"")?;
        Ok((seen as usize == ENDPOINTS * ENDPOINT_HOSTS).then_some(()))
    })
    .with_context(|| controller.log())?;
    quiet(&controller)?;
    let memory = controller.memory()?;
    Ok((memory.peak as f64 / MIB, memory.now as f64 / MIB, controller.cpu()?.as_secs_f64()))
}

pub(crate) fn section() -> Result<Section> {
    let (mut many, mut few) = (Shown::default(), Shown::default());
    for (count, shown) in [(FEW, &mut few), (MANY, &mut many)] {
        let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
        certificates(folder.path(), count)?;
        for _ in 0..RUNS {
            serving(folder.path(), count, shown)?;
        }
    }
    let further = |many: &Samples, few: &Samples| {
        Samples::exact((many.median() - few.median()) * 1024.0 / (MANY - FEW) as f64)
    };
    let (peak, steady, cpu) = endpoints()?;
    let row = |what: &str, unit, samples: &Samples| Row::new(Of::Ours, what, unit, samples.clone());
    Ok(Section {
        name: "controller",
        title: "The controller",
        how: format!(
            "`certdrift run`, {MANY} certificates (ECDSA, with one issuer and key) in one directory, one gateway, one endpoint: an nginx that serves each \
             host what is stored. Memory is the resident set (`VmHWM`, `VmRSS`, `RssAnon`), CPU what the kernel accounts to its threads. \
             Then {ENDPOINTS} endpoints, addresses of 127/8, with {ENDPOINT_HOSTS} hosts each. The targets are those for 10,000 Secrets of Kubernetes; \
             the peers measured there (design): Reloader 199 MiB, 4.7 s of CPU; x509-certificate-exporter 244 MiB, 7 s, `/metrics` of 34.9 MB."
        ),
        rows: vec![
            row("CPU to the first complete ledger", "s", &many.ledger_cpu).target(Target::AtMost(0.8)),
            row("time to the first complete ledger", "s", &many.ledger_time).target(Target::AtMost(2.5)),
            row("peak memory until then", "MiB", &many.ledger_peak),
            row("peak memory, every host seen on the wire", "MiB", &many.peak).target(Target::AtMost(20.0)),
            row("steady memory", "MiB", &many.steady).target(Target::AtMost(16.0)),
            row("of it its own, without the pages of the binary itself", "MiB", &many.own),
            row("steady memory, 1,000 certificates", "MiB", &few.steady),
            row(
                "steady memory for each further certificate and its sight",
                "KiB",
                &further(&many.steady, &few.steady),
            )
            .target(Target::AtMost(1.0)),
            row("`/metrics`", "bytes", &many.page_bytes).target(Target::AtMost(50_000.0)),
            row("`/metrics`, time", "ms", &many.page_time).target(Target::AtMost(5.0)),
            row("idle, nothing due", "ms CPU a second", &many.idle),
            row("a renewal among 10,000, published and proven", "ms CPU", &many.change),
            row("a renewal among 1,000, published and proven", "ms CPU", &few.change),
            row("1,000 endpoints × 10 hosts: peak memory", "MiB", &Samples::exact(peak)),
            row("1,000 endpoints × 10 hosts: steady memory", "MiB", &Samples::exact(steady)),
            row("1,000 endpoints × 10 hosts: CPU until all was seen", "s", &Samples::exact(cpu)),
        ],
        notes: Vec::new(),
    })
}
