//! `deploy/envoy/certdrift.yaml`, as users copy it: a real Envoy runs it, its chain is judged, and its
//! health listener answers.
use anyhow::{Context as _, Result};
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::nginx::{Nginx, request};
use certdrift_harness::openssl::Client;
use certdrift_harness::process::{Process, free_port};
use certdrift_harness::wait;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const HOST: &str = "shop.example.com";

/// The example with what this machine has in place of what users have; each must stand in it.
fn with(text: &str, replaced: &[(&str, String)]) -> String {
    replaced.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the example has {from} no more");
        text.replace(from, to)
    })
}

#[test]
fn the_example_is_judged_and_answers_health() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let leaf = Ca::new("certdrift test")?.issue(&wish(&[HOST]))?;
    let (certificate, key) = leaf.write(folder.path(), "shop")?;
    let ledger = format!(
        r#"{{"schema": "certdrift.dev/ledger/v1", "gateway": "edge", "match": "envoy", "revision": 1795478400,
        "published_at": "2026-11-24T00:00:00Z", "entries": [{{"source": "file:shop", "hosts": ["{HOST}"],
        "since": "2026-11-23T00:00:00Z", "current": [{{"sha256": "{}", "not_after": "2037-01-01T00:00:00Z"}}]}}]}}"#,
        leaf.fingerprint
    );
    std::fs::write(folder.path().join("ledger.json"), ledger)?;
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (https, health, at) = (free_port(), free_port(), free_port());
    let file = folder.path().join("ledger.json");
    let _server = Nginx::with_workers(1)
        .server(&format!("listen {}; location = /ledger/edge {{ alias {}; }}", loopback(at), file.display()))
        .start()?;

    let example = xtask::workspace::root().join("deploy/envoy/certdrift.yaml");
    let example = std::fs::read_to_string(&example).with_context(|| example.display().to_string())?;
    let path = |path: &std::path::Path| path.display().to_string();
    let bootstrap = folder.path().join("envoy.yaml");
    let text = with(
        &example,
        &[
            ("address: 0.0.0.0, port_value: 8443", format!("address: 127.0.0.1, port_value: {https}")),
            ("port_value: 9481", format!("port_value: {health}")),
            ("port_value: 9480", format!("port_value: {at}")),
            ("/etc/envoy/tls/shop.crt", path(&certificate)),
            ("/etc/envoy/tls/shop.key", path(&key)),
            ("/etc/envoy/certdrift.wasm", path(&xtask::build::wasm()?)),
            (&"0".repeat(64), leaf.fingerprint.to_string()),
        ],
    );
    std::fs::write(&bootstrap, text)?;
    let mut envoy = Command::new(xtask::tools::find(xtask::tools::Tool::Envoy)?);
    envoy.arg("-c").arg(&bootstrap).args(["--concurrency", "1", "--disable-hot-restart"]);
    let envoy = Process::start("envoy", &mut envoy, folder.path())?;

    let ask = |path: &str| request(loopback(health), "GET", path, &[]);
    let report = wait::until("a match", Duration::from_secs(60), || {
        let _ = Client::new(loopback(https)).sni(HOST).ask("hello");
        let report = ask("/certdrift/report?hosts=all").map(|answer| answer.body);
        match report {
            Ok(report) if report.contains(r#""verdict":"match""#) => Ok(report),
            other => Err(format!("{other:?}: {}", envoy.log())),
        }
    });
    let report: serde_json::Value = serde_json::from_str(&report)?;
    assert_eq!(report["problems"], serde_json::json!([]), "{report}");
    assert_eq!(report["observations"][0]["evidence"], "declared", "{report}");
    assert_eq!(ask("/certdrift/healthz")?.status, 200);
    assert_eq!(ask("/elsewhere")?.status, 404);
    Ok(())
}
