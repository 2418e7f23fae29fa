//! Full handshakes: CPU of the client each, beside its peers and the bare engine, against one nginx.
use crate::client::{self, Kind};
use crate::page::{Of, Row, Section, Target};
use crate::process::{self, Ran, cpu, until};
use crate::running::{Running, gateway};
use crate::sample::{Samples, interleaved};
use anyhow::{Context as _, Result};
use certdrift_harness::certs::{Ca, Key, wish};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use xtask::tools::{self, Tool};

const NAME: &str = "shop.example.com";
const COUNT: usize = 1_500;
const ROUNDS: usize = 6;
/// `openssl s_time` runs for whole seconds.
const SECONDS: usize = 1;
const IN_FLIGHT: usize = 32;
/// A process that is busy for this share of a core is what the rest waits for.
const BUSY: f64 = 0.9;
/// Endpoints of the running controller: each has at most 8 looks in flight.
const ENDPOINTS: u8 = 4;
/// Hosts of its certificate.
const HOSTS: usize = 100;

/// One nginx worker: TLS 1.3, no tickets, so that nobody could resume.
fn server(key: Key, wide: bool) -> Result<(Nginx, u16, tempfile::TempDir)> {
    let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    // As many hosts as a controller needs to be kept busy by.
    let hosts: Vec<String> = (0..HOSTS).map(|n| format!("h{n}.example.com")).collect();
    let names: Vec<&str> = std::iter::once(NAME).chain(hosts.iter().map(String::as_str)).collect();
    let names = if wide { &names[..] } else { &names[..1] };
    let leaf = Ca::new("certdrift bench")?.issue(&wish(names).key(key))?;
    let (certificate, key) = leaf.write(folder.path(), "shop")?;
    let port = free_port();
    let mut text = String::new();
    for last in 1..=ENDPOINTS {
        text.push_str(&format!("listen 127.0.0.{last}:{port} ssl backlog=4096; "));
    }
    let nginx = Nginx::with_workers(1)
        .server(&format!(
            "{text}ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
             ssl_certificate {}; ssl_certificate_key {}; location / {{ return 200 \"hello\\n\"; }}",
            certificate.display(),
            key.display()
        ))
        .start()?;
    Ok((nginx, port, folder))
}

/// Go's crypto/tls, compiled.
fn go() -> Result<PathBuf> {
    let folder = xtask::workspace::target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("peer-go");
    let source = xtask::workspace::root().join("tests/bench/peer/main.go");
    let mut build = Command::new(tools::find(Tool::Go)?);
    build.args(["build", "-o"]).arg(&program).arg(source).env("GOTOOLCHAIN", "local").current_dir(&folder);
    xtask::progress::quietly(&mut build).context("the Go peer")?;
    Ok(program)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Observer,
    Engine,
    OpenSsl,
    Go,
}

const CLIENTS: [Client; 4] = [Client::Observer, Client::Engine, Client::OpenSsl, Client::Go];

impl Client {
    /// Runs it; how many handshakes it made, and what that took.
    fn run(self, address: SocketAddr, in_flight: usize, go: &PathBuf) -> Result<(f64, Ran)> {
        let mut command = match self {
            Self::Observer => client::command(Kind::Observer, address, NAME, COUNT, in_flight)?,
            Self::Engine => client::command(Kind::Engine, address, NAME, COUNT, in_flight)?,
            Self::Go => {
                let mut command = Command::new(go);
                command.args([&address.to_string(), NAME, &COUNT.to_string(), &in_flight.to_string()]);
                command
            }
            Self::OpenSsl => {
                let mut command = Command::new(tools::find(Tool::OpenSsl)?);
                command.args(["s_time", "-no-CAfile", "-no-CApath", "-no-CAstore", "-new", "-tls1_3"]);
                command.args(["-time", &SECONDS.to_string(), "-connect"]);
                command.arg(address.to_string());
                command
            }
        };
        let ran = process::run(&mut command)?;
        let count = match self {
            Self::OpenSsl => s_time(&ran.stdout).with_context(|| format!("s_time says: {}", ran.stdout))?,
            _ => ran.stdout.trim().parse()?,
        };
        Ok((count, ran))
    }
}

/// `1234 connections in 0.56s; …` counts by its own CPU; `1234 connections in 2 real seconds, …` is the line for us.
fn s_time(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains(" real seconds"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// CPU of each client for one handshake, in milliseconds, in the order of [`CLIENTS`].
fn cpu_each(key: Key, rounds: usize, go: &PathBuf) -> Result<[Samples; 4]> {
    let (_nginx, port, _folder) = server(key, false)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut samples: [Samples; 4] = Default::default();
    for variant in interleaved(CLIENTS.len(), rounds) {
        let (count, ran) = CLIENTS[variant].run(address, 1, go)?;
        samples[variant].push(ran.cpu.as_secs_f64() * 1000.0 / count);
    }
    Ok(samples)
}

/// What 32 handshakes in flight come to.
#[derive(Default)]
struct Rate {
    per_second: Samples,
    client: Samples,
    server: Samples,
}

fn rate(client: Client, rounds: usize, go: &PathBuf) -> Result<Rate> {
    let (nginx, port, _folder) = server(Key::Ecdsa, false)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let worker = *nginx.worker_pids().first().context("nginx has no worker")?;
    let mut rate = Rate::default();
    for _ in 0..rounds {
        let before = cpu(worker)?;
        let (count, ran) = client.run(address, IN_FLIGHT, go)?;
        let wall = ran.wall.as_secs_f64();
        rate.per_second.push(count / wall);
        rate.client.push(ran.cpu.as_secs_f64() / wall);
        rate.server.push((cpu(worker)?.saturating_sub(before)).as_secs_f64() / wall);
    }
    Ok(rate)
}

/// CPU for one handshake of `certdrift run` itself, judged, counted and shown, milliseconds.
fn running(rounds: usize) -> Result<(Samples, Samples)> {
    let (_nginx, port, folder) = server(Key::Ecdsa, true)?;
    let endpoints: Vec<SocketAddr> =
        (1..=ENDPOINTS).map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port))).collect();
    // All hosts ten times a second on each endpoint: more than can be done.
    let observe = "per_second: 1000, sweep: 100ms, timeout: 20s";
    let mut controller = Running::start(&gateway("bench", folder.path(), observe, &endpoints))?;
    controller.ready()?;
    let count = || controller.metric("certdrift_observations", "evidence=\"handshake\",outcome=\"served\"");
    until("handshakes of the controller", Duration::from_secs(30), || Ok((count()? > 500.0).then_some(())))?;
    let (mut each, mut rate) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let (before, cpu, began) = (count()?, controller.cpu()?, std::time::Instant::now());
        std::thread::park_timeout(Duration::from_secs(2));
        let (cpu, wall) = (controller.cpu()?.saturating_sub(cpu), began.elapsed());
        let made = count()? - before;
        each.push(cpu.as_secs_f64() * 1000.0 / made);
        rate.push(made / wall.as_secs_f64());
    }
    Ok((each, rate))
}

pub(crate) fn section() -> Result<Section> {
    let go = go()?;
    let [ours, engine, openssl, peer] = cpu_each(Key::Ecdsa, ROUNDS, &go)?;
    let [ours_rsa, engine_rsa, openssl_rsa, peer_rsa] = cpu_each(Key::Rsa, ROUNDS / 2, &go)?;
    let (at_32, go_at_32) = (rate(Client::Observer, 3, &go)?, rate(Client::Go, 3, &go)?);
    let (running, running_rate) = running(3)?;
    // Handshakes per CPU second over another's is its CPU over ours.
    let ratio = |what: &str, theirs: &Samples, ours: &Samples| {
        Row::new(Of::Ratio, format!("handshakes per CPU second over {what}"), "", theirs.over(ours))
    };
    let share = |what: &str, samples: &Samples| {
        Row::new(Of::Ours, format!("32 in flight: {what}, share of a core"), "", samples.clone())
    };
    let limit = match (at_32.client.median(), at_32.server.median()) {
        (client, server) if client.max(server) < BUSY => "neither: the machine had other work to do",
        (client, server) if client > server => "our client",
        _ => "the server",
    };
    Ok(Section {
        name: "handshakes",
        title: "Full handshakes",
        how: format!(
            "CPU of the client's process (user and system, as the kernel accounts it) for one full TLS 1.3 handshake over \
             loopback, connect and close included, against one nginx worker; {COUNT} handshakes a sample, one at a time; \
             `openssl s_time -new` for {SECONDS} s. Ours is the observer's own look: chain recorded and hashed, leaf parsed, \
             the key's possession verified. The floor is rustls alone with one shared configuration and nothing recorded. \
             The peers' engine: OpenSSL, and Go's crypto/tls (`tests/bench/peer/main.go`)."
        ),
        rows: vec![
            Row::new(Of::Ours, "the observer, ECDSA P-256", "ms CPU", ours.clone())
                .target(Target::AtMost(0.30)),
            Row::new(Of::Floor, "rustls alone", "ms CPU", engine.clone()),
            Row::new(Of::Peer, "`openssl s_time`", "ms CPU", openssl.clone()),
            Row::new(Of::Peer, "Go crypto/tls", "ms CPU", peer.clone()),
            ratio("rustls alone", &engine, &ours),
            ratio("`openssl s_time`", &openssl, &ours),
            ratio("Go", &peer, &ours),
            Row::new(Of::Ours, "`certdrift run`, judged and shown, ECDSA", "ms CPU", running),
            Row::new(Of::Ours, "the observer, RSA 2048", "ms CPU", ours_rsa.clone()),
            Row::new(Of::Floor, "rustls alone, RSA 2048", "ms CPU", engine_rsa),
            ratio("`openssl s_time`, RSA 2048", &openssl_rsa, &ours_rsa),
            ratio("Go, RSA 2048", &peer_rsa, &ours_rsa),
            Row::new(Of::Ours, "32 in flight", "handshakes/s", at_32.per_second.clone()),
            share("our client", &at_32.client),
            share("nginx", &at_32.server).target(Target::AtLeast(BUSY)),
            Row::new(Of::Peer, "Go, 32 in flight", "handshakes/s", go_at_32.per_second),
            Row::new(Of::Ours, "`certdrift run` on 4 endpoints", "handshakes/s", running_rate),
        ],
        notes: vec![format!(
            "With 32 in flight the limit was {limit} (the target asks for the server: its one worker busy for {BUSY} of a core). \
             By default certdrift takes 20 handshakes a second of an endpoint, so that it never is."
        )],
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_s_time_prints_is_read() {
        let text = "Collecting connection statistics for 1 seconds\n***\n\n\n1468 connections in 0.43s; \
                    3413.95 connections/user sec, bytes read 0\n1469 connections in 2 real seconds, 0 bytes read per connection\n";
        assert_eq!(super::s_time(text), Some(1469.0));
    }
}
