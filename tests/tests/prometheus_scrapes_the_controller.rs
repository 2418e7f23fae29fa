//! A real Prometheus scrapes a running controller beside a real nginx: it understands every metric, fires the alerts that ship, and has
//! something to show in each panel of the dashboard.
use certdrift_tests::certs::{Ca, Leaf, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::nginx::{Nginx, request};
use certdrift_tests::process::{Process, free_port};
use certdrift_tests::wait;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::SystemTime;

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

/// Panels that are about what a gateway on this machine cannot have.
const ONLY_IN_A_CLUSTER: [&str; 2] =
    ["Canary: since the whole way worked last", "Canary: duration of the whole way, and failures"];

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

/// nginx with the tap, the folder that its certificates are issued into, and the one that it reads.
struct Scene {
    ca: Ca,
    stored: tempfile::TempDir,
    served: tempfile::TempDir,
    nginx: Nginx,
    port: u16,
}

const KEPT: &str = "kept.example.com";
const GONE: &str = "gone.example.com";

impl Scene {
    /// One certificate for both names that ends in two days, stored and served.
    fn new() -> Self {
        let (ca, port) = (Ca::new("certdrift test CA").unwrap(), free_port());
        let (stored, served) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
            .unwrap();
        let short = ca.issue(&wish(&[KEPT, GONE]).valid(now - 86_400, now + 2 * 86_400)).unwrap();
        short.write(stored.path(), "demo").unwrap();
        let mut plan = Nginx::with_workers(2).tap();
        for host in [KEPT, GONE] {
            short.write(served.path(), host).unwrap();
            let tls = served.path().display();
            plan = plan.server(&format!(
                "listen 127.0.0.1:{port} ssl; server_name {host}; ssl_certificate {tls}/{host}.crt; ssl_certificate_key {tls}/{host}.key; return 200;"
            ));
        }
        let nginx = plan.start().unwrap();
        Self { ca, stored, served, nginx, port }
    }

    fn gateways(&self) -> String {
        format!(
            "- name: kong\n  sources: [{{directory: {}}}]\n  publish: {{grace: 1s}}\n  observe: {{poll: 200ms, per_second: 200, sweep: 10s}}\n  \
             endpoints: [{{name: a, address: \"127.0.0.1:{}\", tap: \"{}\"}}, {{name: dead, address: \"127.0.0.1:9\"}}]\n",
            self.stored.path().display(),
            self.port,
            self.nginx.tap_url()
        )
    }

    /// Renewed for one name only, for 90 days.
    fn renew(&self) -> Leaf {
        let leaf = self.ca.issue(&wish(&[KEPT])).unwrap();
        leaf.write(self.stored.path(), "demo").unwrap();
        leaf
    }
}

/// The alerts that ship, each of them at once.
fn rules_without_waiting() -> Value {
    let file = xtask::workspace::root().join("deploy/chart/files/certdrift.rules.yaml");
    let mut rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for rule in rules["groups"][0]["rules"].as_array_mut().unwrap() {
        rule["for"] = "0s".into();
    }
    rules
}

/// Names of the alerts that fire, with their severity.
fn firing(address: SocketAddr) -> Result<BTreeSet<String>, String> {
    let answer = request(address, "GET", "/api/v1/alerts", &[]).map_err(|error| format!("{error:#}"))?;
    let told: Value =
        serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))?;
    let alerts = told["data"]["alerts"].as_array().ok_or(told.to_string())?;
    let label = |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
    let fires = alerts.iter().filter(|alert| alert["state"] == "firing");
    Ok(fires.map(|alert| format!("{} {}", label(alert, "alertname"), label(alert, "severity"))).collect())
}

#[test]
fn a_real_prometheus_reads_every_metric_fires_the_alerts_and_fills_the_dashboard() {
    let scene = Scene::new();
    let mut controller = Controller::start(&scene.gateways()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let configuration = folder.path().join("prometheus.yml");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, rules_without_waiting().to_string()).unwrap();
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\n\
         scrape_configs: [{{job_name: certdrift, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
        rules.display(),
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
    let until_fires = |wanted: &[&str]| {
        wait::until(&format!("{wanted:?}"), PATIENCE, || match firing(address) {
            Ok(names) if wanted.iter().all(|name| names.contains(*name)) => Ok(()),
            other => Err(format!("{other:?}\n{}", prometheus.log())),
        });
    };
    // 1 only when the whole page was understood.
    until("up{job=\"certdrift\"}", "1");
    until("certdrift_ready{gateway=\"kong\"}", "1");
    until("certdrift_hosts{gateway=\"kong\"}", "2");
    until("certdrift_endpoint_up{gateway=\"kong\",endpoint=\"dead\"}", "0");
    until("certdrift_endpoint_hosts{gateway=\"kong\",endpoint=\"a\",verdict=\"match\"}", "2");
    until("certdrift_remedies_total{gateway=\"kong\",kind=\"signal\",result=\"done\"}", "0");

    // One name is renewed without the other, which the gateway goes on serving: no ledger lists that one any more.
    scene.renew().write(scene.served.path(), KEPT).unwrap();
    scene.nginx.reload().unwrap();
    until("certdrift_hosts{gateway=\"kong\"}", "1");
    until("certdrift_endpoint_hosts{gateway=\"kong\",endpoint=\"a\",verdict=\"match\"}", "1");
    // All in one page: what is expected is new and is served, and what no ledger lists ends soon.
    until(
        "count(certdrift_endpoint_earliest_not_after_timestamp_seconds{endpoint=\"a\"} - time() < 3 * 86400 \
         and on (gateway) certdrift_expected_earliest_not_after_timestamp_seconds - time() > 80 * 86400 \
         and on (gateway, endpoint) certdrift_endpoint_hosts{verdict=\"match\"} == 1)",
        "1",
    );
    let fire = [
        "CertdriftCertificateEndsSoon warning",
        "CertdriftCertificateEndsSoon critical",
        "CertdriftEndpointUnreachable warning",
    ];
    wait::until(&format!("{fire:?} and no other"), PATIENCE, || match firing(address) {
        Ok(names) if names.iter().eq(BTreeSet::from(fire.map(str::to_owned)).iter()) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Nor once it is served no more.
    scene.renew().write(scene.served.path(), GONE).unwrap();
    std::fs::copy(
        scene.served.path().join(format!("{GONE}.crt")),
        scene.served.path().join(format!("{KEPT}.crt")),
    )
    .unwrap();
    std::fs::copy(
        scene.served.path().join(format!("{GONE}.key")),
        scene.served.path().join(format!("{KEPT}.key")),
    )
    .unwrap();
    scene.nginx.reload().unwrap();
    until(
        "count(certdrift_endpoint_earliest_not_after_timestamp_seconds - time() < 14 * 86400) or vector(0)",
        "0",
    );

    // Renewed and not reloaded; and a certificate that is no good.
    scene.renew();
    scene.ca.issue(&wish(&["old.example.com"]).expired()).unwrap().write(scene.stored.path(), "old").unwrap();
    until_fires(&["CertdriftDrift warning", "CertdriftDrift critical", "CertdriftFinding warning"]);

    fills_the_dashboard(address);
    // Each alert's expression was evaluated, and none of them is wrong.
    let told = request(address, "GET", "/api/v1/rules", &[]).unwrap().body;
    let told: Value = serde_json::from_str(&told).unwrap();
    let evaluated = told["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(evaluated.len(), rules_without_waiting()["groups"][0]["rules"].as_array().unwrap().len());
    assert!(evaluated.iter().all(|rule| rule["health"] == "ok"), "{told:#}");
    // As many samples as the page has.
    let page = controller.get("/metrics").unwrap().body;
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    until("scrape_samples_scraped{job=\"certdrift\"}", &samples.to_string());

    controller.kill();
    until_fires(&["CertdriftAbsent warning", "CertdriftAbsent critical"]);
}

/// One with a mistake in it is an error, and one that asks for nothing that is there has no series.
fn fills_the_dashboard(address: SocketAddr) {
    let known: BTreeSet<&str> = certdrift::metrics::catalogue::ALL.iter().map(|metric| metric.name).collect();
    for (title, expression) in dashboard() {
        let expression = expression.replace("$gateway", ".*").replace("$__range", "5m");
        for name in metrics_in(&expression) {
            let name =
                ["_total", "_bucket", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
            assert!(known.contains(name), "{title}: no metric is called {name}");
        }
        let is_elsewhere = ONLY_IN_A_CLUSTER.contains(&title.as_str());
        wait::until(&title, PATIENCE, || {
            let answer = query(address, &expression)?;
            let some = answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty());
            let good = answer["status"] == "success" && (some || is_elsewhere);
            if good { Ok(()) } else { Err(format!("{title}: {expression}: {answer}")) }
        });
    }
}
