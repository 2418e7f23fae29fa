//! A real Prometheus scrapes a running controller and can be asked about it.
use certdrift_tests::certs::{Ca, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::nginx::request;
use certdrift_tests::process::{Process, free_port};
use certdrift_tests::wait;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

/// What Prometheus answers.
fn query(address: SocketAddr, expression: &str) -> Result<Value, String> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = request(address, "GET", &format!("/api/v1/query?query={encoded}"), &[]);
    let body = answer.map_err(|error| format!("{error:#}"))?.body;
    serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
}

/// The value of an expression with one series; what Prometheus said, when there is none.
fn asked(address: SocketAddr, expression: &str) -> Result<String, String> {
    let told = query(address, expression)?;
    told.pointer("/data/result/0/value/1").and_then(Value::as_str).map(str::to_owned).ok_or(told.to_string())
}

/// Series that are there only while something is so, or only where a gateway tells: docs/metrics.md says which.
const ONLY_AT_TIMES: [&str; 3] = [
    "certdrift_drift_since_timestamp_seconds",
    "certdrift_endpoint_earliest_not_after_timestamp_seconds",
    "certdrift_endpoint_workers",
];

/// The dashboard's panels: title, and what each asks.
fn dashboard() -> Vec<(String, String)> {
    let file = xtask::workspace::root().join("deploy/chart/files/certdrift.dashboard.json");
    let text = std::fs::read_to_string(file).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    let asks = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap().iter();
        targets.map(|target| {
            (panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned())
        })
    });
    asks.collect()
}

fn metrics_in(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("certdrift_")).collect()
}

#[test]
fn a_real_prometheus_reads_every_metric_and_answers_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("certdrift test CA").unwrap();
    ca.issue(&wish(&["demo.example.com"])).unwrap().write(folder.path(), "demo").unwrap();
    let gateways = format!(
        "- name: kong\n  sources: [{{directory: {}}}]\n  endpoints: [{{name: a, address: \"127.0.0.1:9\"}}]\n",
        folder.path().display()
    );
    let controller = Controller::start(&gateways).unwrap();

    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let configuration = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: certdrift, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
        controller.address()
    );
    std::fs::write(&configuration, text).unwrap();
    let program = xtask::tools::find(xtask::tools::Tool::Prometheus).unwrap();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Process::start("prometheus", &mut command, folder.path()).unwrap();

    let until = |expression: &str, wanted: &str| {
        wait::until(expression, PATIENCE, || match asked(address, expression) {
            Ok(value) if value == wanted => Ok(()),
            other => Err(format!("{other:?}\n{}", prometheus.log())),
        });
    };
    // 1 only when the whole page was understood.
    until("up{job=\"certdrift\"}", "1");
    until("certdrift_ready{gateway=\"kong\"}", "1");
    until("certdrift_hosts{gateway=\"kong\"}", "1");
    until("certdrift_ledger_publishes_total{gateway=\"kong\",result=\"written\"}", "1");
    until("certdrift_endpoint_up{gateway=\"kong\",endpoint=\"a\"}", "0");
    until("certdrift_remedies_total{gateway=\"kong\",kind=\"signal\",result=\"done\"}", "0");
    // The dashboard's: one with a mistake in it is an error, and one that asks for nothing that is there has no series.
    for (title, expression) in dashboard() {
        let expression = expression.replace("$gateway", ".*").replace("$__range", "5m");
        let answer = query(address, &expression).unwrap();
        assert_eq!(answer["status"], "success", "{title}: {answer}");
        for name in metrics_in(&expression) {
            let there = query(address, name).unwrap();
            let some = there["data"]["result"].as_array().is_some_and(|series| !series.is_empty());
            assert!(some || ONLY_AT_TIMES.contains(&name), "{title}: {name} is not there");
        }
    }
    // As many samples as the page has.
    let page = controller.get("/metrics").unwrap().body;
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    until("scrape_samples_scraped{job=\"certdrift\"}", &samples.to_string());
}
