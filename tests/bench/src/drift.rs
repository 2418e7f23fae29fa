//! How soon drift is told, healed and proven: one nginx, one Envoy, one controller, several renewals.
use crate::ask;
use crate::page::{Of, Row, Section, Target};
use crate::process::until;
use crate::running::{PATIENCE, Running};
use crate::sample::Samples;
use anyhow::{Context as _, Result};
use certdrift_harness::certs::{Ca, Leaf, wish};
use certdrift_harness::envoy::{Chain, Envoy};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

const HOST: &str = "shop.example.com";
const RUNS: usize = 5;

/// Two gateways of one folder: nginx is healed by its reload, Envoy never is.
fn configuration(certificates: &Path, nginx: &Nginx, address: SocketAddr, envoy: &Envoy) -> String {
    let (folder, tap, master) = (certificates.display(), nginx.tap_url(), nginx.pid());
    let envoy = envoy.address();
    format!(
        "  - name: nginx
    sources: [{{directory: {folder}}}]
    publish: {{grace: 0s}}
    observe: {{poll: 1s}}
    endpoints: [{{name: nginx, address: \"{address}\", tap: \"{tap}\"}}]
    policy:
      mode: heal
      grace: 0s
      min_interval: 1s
      budget_per_hour: 100
      settle: 0s
      remedies: [{{name: reload nginx, signal: {{pid: {master}, process: nginx}}}}]
  - name: envoy
    match: envoy
    sources: [{{directory: {folder}}}]
    publish: {{grace: 0s}}
    endpoints: [{{name: envoy, address: \"{envoy}\"}}]
"
    )
}

struct Scene {
    controller: Running,
    envoy: Envoy,
    chain: Chain,
    nginx: Nginx,
    nginx_address: SocketAddr,
    ca: Ca,
    certificates: tempfile::TempDir,
}

fn scene() -> Result<Scene> {
    let certificates = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
    let ca = Ca::new("certdrift bench")?;
    let first = ca.issue(&wish(&[HOST]))?;
    let (certificate, key) = first.write(certificates.path(), "shop")?;
    let nginx_address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let nginx = Nginx::with_workers(2)
        .tap()
        .server(&format!(
            "listen {nginx_address} ssl; ssl_certificate {}; ssl_certificate_key {};
             location / {{ return 200 \"hello\\n\"; }}",
            certificate.display(),
            key.display()
        ))
        .start()?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let filter = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "controller", "path": "/ledger/envoy", "authority": "localhost"}]},
                    "skew_seconds": 0}"#;
    let chain = Chain::new(&[], &certificate, &key);
    let envoy = Envoy::plan()
        .wasm(&xtask::build::wasm()?, filter)
        .cluster("controller", address)
        .chain(chain.clone().declares(first.fingerprint))
        .start()?;
    let mut controller =
        Running::start_at(address, "", &configuration(certificates.path(), &nginx, nginx_address, &envoy))?;
    controller.ready()?;
    Ok(Scene { controller, envoy, chain, nginx, nginx_address, ca, certificates })
}

/// What one renewal took, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    published: f64,
    header: f64,
    told: f64,
    remedy: f64,
    proven_after_remedy: f64,
    healed: f64,
}

fn millis_since_1970() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

/// When the gateway's newest record about `what`, not older than `since`, was made.
fn record(state: &Value, gateway: &str, what: &str, since: f64) -> Option<f64> {
    let gateways = state.get("gateways")?.as_array()?;
    let gateway = gateways.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(gateway))?;
    let records = gateway.get("history")?.as_array()?.iter().rev();
    records
        .filter(|record| record.get("what").and_then(Value::as_str) == Some(what))
        .filter_map(|record| record.get("at")?.as_f64())
        // The state's clock has whole milliseconds.
        .find(|at| *at >= since - 1.0)
}

fn drifts(scene: &Scene) -> Result<bool> {
    let answer = ask::get(scene.envoy.address(), HOST, "/")?;
    Ok(answer.headers.get("x-certdrift").is_some_and(|value| value.as_bytes().starts_with(b"drift")))
}

fn renewal(scene: &Scene) -> Result<Times> {
    let quiet = Duration::from_secs(4);
    // A change is published at once, unless one was just published: renewals seldom come so close together.
    let ledger = scene.controller.ledger("envoy");
    until("the ledger to be old", PATIENCE, || {
        Ok((ledger.metadata()?.modified()?.elapsed()? > quiet).then_some(()))
    })?;
    let leaf: Leaf = scene.ca.issue(&wish(&[HOST]))?;
    let (began, stored) = (Instant::now(), millis_since_1970());
    leaf.write(scene.certificates.path(), "shop")?;
    let fingerprint = leaf.fingerprint.to_string();
    let elapsed = || began.elapsed().as_secs_f64() * 1000.0;
    until("the ledger to list it", PATIENCE, || {
        Ok(std::fs::read_to_string(&ledger)?.contains(&fingerprint).then_some(()))
    })?;
    let published = elapsed();
    until("the header", PATIENCE, || Ok(drifts(scene)?.then_some(())))?;
    let header = elapsed();
    let [told, begun, ended, proven] = until("the proof", PATIENCE, || {
        let state = scene.controller.state()?;
        let at = |what| record(&state, "nginx", what, stored);
        let all = ["drifted", "remedy", "ended", "converged"].map(at);
        let [Some(told), Some(begun), Some(ended), Some(proven)] = all else {
            anyhow::bail!("{all:?}: {}", scene.controller.log())
        };
        Ok(Some([told, begun, ended, proven]))
    })?;
    // Envoy is put right by hand, so that the next renewal drifts anew.
    scene.envoy.serve(&[scene.chain.clone().declares(leaf.fingerprint)])?;
    until("Envoy to be right", PATIENCE, || Ok((!drifts(scene)?).then_some(())))?;
    Ok(Times {
        published,
        header,
        told: told - stored,
        remedy: ended - begun,
        proven_after_remedy: proven - ended,
        healed: proven - stored,
    })
}

pub(crate) fn section() -> Result<Section> {
    let scene = scene()?;
    until("both gateways to be right", PATIENCE, || {
        let state = scene.controller.state()?;
        let seen = state.to_string().matches("\"verdict\":\"match\"").count();
        Ok((seen >= 2 && !drifts(&scene)?).then_some(()))
    })?;
    let mut times = Vec::new();
    for run in 0..RUNS {
        times.push(renewal(&scene).with_context(|| format!("renewal {run} at {}", scene.nginx_address))?);
    }
    anyhow::ensure!(scene.nginx.worker_pids().len() == 2, "nginx lost a worker");
    let samples = |of: fn(&Times) -> f64| Samples::new(times.iter().map(|time| of(time) / 1000.0));
    let row = |what: &str, of: fn(&Times) -> f64| Row::new(Of::Ours, what, "s", samples(of));
    Ok(Section {
        name: "drift",
        title: "From a renewal to the header, and to the proof",
        how: format!(
            "{RUNS} renewals of one certificate (a file replaced), one `certdrift run`, an Envoy with the filter that polls once a second, and \
             an nginx with two workers and the tap that is healed by its reload. All periods of waiting are configured away \
             (`publish.grace`, `policy.grace`, `settle` 0 s): what is left is certdrift's own. Times are since the new file was there, \
             unless said."
        ),
        rows: vec![
            row("ledger published", |t| t.published),
            row("drift in the header of Envoy's response", |t| t.header).target(Target::AtMost(2.0)),
            row("drift told by the controller", |t| t.told),
            row("the remedy's own duration (nginx's HUP)", |t| t.remedy),
            row("after the remedy: proven on the wire, every worker", |t| t.proven_after_remedy)
                .target(Target::AtMost(5.0)),
            row("healed and proven, all in all", |t| t.healed),
        ],
        notes: vec![
            "Drift is healed only when it was seen twice, by a fresh handshake, and it is over only when every worker was seen; what \
             is configured to be waited for in production comes on top."
                .to_owned(),
        ],
    })
}
