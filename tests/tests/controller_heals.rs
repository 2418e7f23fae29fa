//! The whole loop with a real nginx: a renewed file, a gateway that still serves the old one, what is told, the reload,
//! and the proof on the wire.
use certdrift_tests::certs::{Ca, Leaf, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::process::free_port;
use certdrift_tests::wait;
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;

const HOST: &str = "demo.example.com";

struct Scene {
    ca: Ca,
    folder: tempfile::TempDir,
    nginx: Nginx,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        let ca = Ca::new("certdrift test CA").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        ca.issue(&wish(&[HOST])).unwrap().write(folder.path(), "demo").unwrap();
        let tls = folder.path().display();
        let nginx = Nginx::with_workers(2)
            .tap()
            .server(&format!(
                "listen 127.0.0.1:{port} ssl; ssl_certificate {tls}/demo.crt; ssl_certificate_key {tls}/demo.key; return 200;"
            ))
            .start()
            .unwrap();
        Self { ca, folder, nginx, port }
    }

    fn renew(&self) -> Leaf {
        let leaf = self.ca.issue(&wish(&[HOST])).unwrap();
        leaf.write(self.folder.path(), "demo").unwrap();
        leaf
    }

    /// The gateway's configuration; `remedy` is what reloads it.
    fn gateway(&self, mode: &str, remedy: &str) -> String {
        format!(
            "- name: nginx
  sources: [{{directory: {}}}]
  publish: {{grace: 1s}}
  observe: {{poll: 200ms, per_second: 200}}
  endpoints: [{{name: a, address: \"127.0.0.1:{}\", tap: \"{}\"}}]
  policy:
    mode: {mode}
    grace: 1s
    min_interval: 1s
    settle: 1s
    remedies: [{{name: reload, {remedy}}}]
",
            self.folder.path().display(),
            self.port,
            self.nginx.tap_url(),
        )
    }

    fn signal(&self) -> String {
        format!("signal: {{pid_file: {}/pid, process: nginx}}", self.nginx.folder().display())
    }
}

fn seen(state: &Value) -> &Value {
    &state["gateways"][0]["hosts"][0]["seen"][0]
}

fn history(controller: &Controller) -> Vec<Value> {
    let path = controller.state().join("nginx/history.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn told(controller: &Controller, what: &str) -> Option<Value> {
    history(controller).into_iter().find(|record| record["what"] == what)
}

#[test]
fn a_drift_is_only_told_until_healing_is_allowed_and_then_mended_and_proven() {
    let scene = Scene::new();
    let mut controller = Controller::start(&scene.gateway("observe", &scene.signal())).unwrap();
    let state = controller.until_status(0);
    assert_eq!(seen(&state)["verdict"], "match", "{state}");

    let workers = scene.nginx.worker_pids();
    let leaf = scene.renew();
    let state = controller.until_status(1);
    assert_eq!(seen(&state)["class"], "previous", "{state}");
    assert_eq!(state["gateways"][0]["hosts"][0]["expected"][0], leaf.fingerprint.to_string());
    wait::until("the alert that healing is off", PATIENCE, || {
        let (_, state) = controller.status().map_err(|e| e.to_string())?;
        let findings = state["gateways"][0]["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().any(|f| f["code"] == "CD-401").then_some(()).ok_or(format!("{findings:?}"))
    });
    let drift = "certdrift_drift_hosts{gateway=\"nginx\",class=\"previous\"}";
    assert_eq!(controller.metric(drift).unwrap(), 1.0);
    assert_eq!(scene.nginx.worker_pids(), workers, "mode observe acts on nothing");
    assert!(told(&controller, "remedy").is_none());

    controller.configure(&scene.gateway("heal", &scene.signal())).unwrap();
    controller.signal(Signal::HUP);
    let converged = wait::until("the drift to be over", PATIENCE, || {
        told(&controller, "converged")
            .ok_or_else(|| format!("{:?}\n{}", history(&controller), controller.log()))
    });
    assert_eq!(converged["after"], "reload", "{converged}");
    assert!(scene.nginx.worker_pids().is_disjoint(&workers));
    let state = controller.until_status(0);
    wait::until("every worker to be named", PATIENCE, || {
        let (_, state) = controller.status().map_err(|e| e.to_string())?;
        let proof = seen(&state)["proof"].clone();
        (proof == "all 2 workers seen").then_some(()).ok_or(format!("{proof}"))
    });
    assert_eq!(seen(&state)["served"], leaf.fingerprint.to_string());
    assert_eq!(controller.metric(drift).unwrap(), 0.0);
    for (series, value) in [
        ("certdrift_remedies_total{gateway=\"nginx\",kind=\"signal\",result=\"done\"}", 1.0),
        ("certdrift_remedy_outcomes_total{gateway=\"nginx\",outcome=\"proven\"}", 1.0),
        ("certdrift_config_reloads_total{result=\"taken\"}", 1.0),
    ] {
        assert_eq!(controller.metric(series).unwrap(), value, "{series}");
    }
    controller.signal(Signal::TERM);
    assert_eq!(controller.ended(), Some(0), "{}", controller.log());
}

#[test]
fn a_gateway_that_reloads_by_itself_is_proven_and_timed_without_any_remedy() {
    let scene = Scene::new();
    let controller = Controller::start(&scene.gateway("heal", &scene.signal())).unwrap();
    controller.until_status(0);
    scene.renew();
    scene.nginx.reload().unwrap();
    for hop in ["published", "served"] {
        let series = format!("certdrift_hop_seconds_count{{gateway=\"nginx\",hop=\"{hop}\"}}");
        wait::until(&series, PATIENCE, || match controller.metric(&series) {
            // The first ledger's files count as no renewal.
            Ok(count) if count >= 1.0 => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    controller.until_status(0);
    assert!(told(&controller, "remedy").is_none(), "{:?}", history(&controller));
}

#[test]
fn a_renewal_under_way_is_timed_over_a_reload_of_the_configuration() {
    let scene = Scene::new();
    let observing = scene.gateway("observe", &scene.signal());
    let controller = Controller::start(&observing).unwrap();
    controller.until_status(0);
    scene.renew();
    let drifts = controller.until_status(1);
    controller.configure(&observing.replace("per_second: 200", "per_second: 100")).unwrap();
    controller.signal(Signal::HUP);
    controller.until_metric("certdrift_config_reloads_total{result=\"taken\"}", 1.0);
    // What was seen is not forgotten: an alert on the drift does not begin anew.
    let (code, state) = controller.status().unwrap();
    assert_eq!((code, &seen(&state)["since"]), (1, &seen(&drifts)["since"]), "{state}");
    scene.nginx.reload().unwrap();
    controller.until_metric("certdrift_hop_seconds_count{gateway=\"nginx\",hop=\"served\"}", 1.0);
    let (_, state) = controller.status().unwrap();
    assert_eq!(state["gateways"][0]["renewals"].as_array().map(Vec::len), Some(1), "{state}");
}

#[test]
fn killed_in_the_middle_the_controller_goes_on_where_it_was() {
    let scene = Scene::new();
    let mut controller = Controller::start(&scene.gateway("observe", &scene.signal())).unwrap();
    let revision = |state: &Value| state["gateways"][0]["ledger"]["revision"].as_u64().unwrap();
    controller.until_status(0);
    let leaf = scene.renew();
    let before = controller.until_status(1);
    controller.kill();
    controller.configure(&scene.gateway("heal", &scene.signal())).unwrap();
    controller.run().unwrap();
    let waited = controller.certdrift(&["status", "--wait", "60s", "-o", "short"]).unwrap();
    assert_eq!(waited.status.code(), Some(0), "{}", controller.log());
    let (_, after) = controller.status().unwrap();
    assert_eq!(revision(&before), revision(&after), "a restart is silent");
    assert_eq!(seen(&after)["served"], leaf.fingerprint.to_string());
    assert_eq!(history(&controller).iter().filter(|r| r["what"] == "remedy").count(), 1);
}

#[test]
fn a_remedy_in_flight_is_seen_to_its_end_before_the_controller_stops() {
    let scene = Scene::new();
    let marker = scene.folder.path().join("begun");
    let done = scene.folder.path().join("done");
    let script = format!(
        "command: {{argv: [sh, -c, \"touch {}; sleep 2; touch {}\"]}}",
        marker.display(),
        done.display()
    );
    let mut controller = Controller::start(&scene.gateway("heal", &script)).unwrap();
    controller.until_status(0);
    scene.renew();
    wait::until("the remedy to begin", PATIENCE, || {
        exists(&marker).then_some(()).ok_or_else(|| controller.log())
    });
    controller.signal(Signal::TERM);
    assert_eq!(controller.ended(), Some(0), "{}", controller.log());
    assert!(exists(&done), "{}", controller.log());
    let ended = told(&controller, "ended").expect("the end of the remedy in the history");
    assert_eq!(ended["ok"], true, "{ended}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let scene = Scene::new();
    let marker = scene.folder.path().join("begun");
    let script =
        format!("timeout: 60s, command: {{argv: [sh, -c, \"touch {}; sleep 50\"]}}", marker.display());
    let mut controller = Controller::start(&scene.gateway("heal", &script)).unwrap();
    controller.until_status(0);
    scene.renew();
    wait::until("the remedy to begin", PATIENCE, || {
        exists(&marker).then_some(()).ok_or_else(|| controller.log())
    });
    controller.signal(Signal::TERM);
    wait::until("draining", PATIENCE, || controller.log().contains("draining").then_some(()).ok_or(()));
    controller.signal(Signal::TERM);
    assert_eq!(controller.ended(), Some(1), "{}", controller.log());
}

#[test]
fn a_gateway_that_does_not_answer_is_unknown_and_never_healed() {
    let scene = Scene::new();
    let gateway = scene.gateway("heal", &scene.signal()).replace(&format!(":{}\"", scene.port), ":9\"");
    let controller = Controller::start(&gateway).unwrap();
    let state = wait::until("the endpoint to be tried", PATIENCE, || match controller.status() {
        Ok((2, state)) if state["gateways"][0]["endpoints"][0]["answers"] == false => Ok(state),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(state["verdict"], "unknown");
    scene.renew();
    let series =
        "certdrift_observations_total{gateway=\"nginx\",evidence=\"handshake\",outcome=\"unreachable\"}";
    let seen = controller.metric(series).unwrap();
    wait::until("more looks", PATIENCE, || match controller.metric(series) {
        Ok(now) if now >= seen + 3.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(told(&controller, "remedy").is_none() && told(&controller, "drifted").is_none());
    assert_eq!(controller.get("/readyz").unwrap().status, 200, "its own ledger is complete");
}

#[test]
fn a_torn_renewal_changes_no_expectation_and_is_told() {
    let scene = Scene::new();
    let controller = Controller::start(&scene.gateway("heal", &scene.signal())).unwrap();
    let before = controller.until_status(0);
    let path = scene.folder.path().join("demo.crt");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    let after = controller.until_status(1);
    let host = |state: &Value| state["gateways"][0]["hosts"][0].clone();
    assert_eq!(host(&after)["stored"], false, "{after}");
    assert_eq!(host(&after)["expected"], host(&before)["expected"]);
    let page = String::from_utf8(controller.certdrift(&["status"]).unwrap().stdout).unwrap();
    assert!(page.starts_with("INVALID") && page.contains("CD-1"), "{page}");
    assert!(told(&controller, "remedy").is_none());
    std::fs::write(&path, whole).unwrap();
    controller.until_status(0);
}

fn exists(path: &Path) -> bool {
    path.exists()
}
