//! Remedies in a cluster, each of them really done on a real node, by an account that may do what docs/permissions.md says and no
//! more: each is told before it is done, leaves what it says, and is proven by what the pods serve after it.
#[path = "../cluster/mod.rs"]
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;
mod files;

use certdrift_cluster::audit::{Mark, Request};
use certdrift_cluster::{Cluster, GatewayPod};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::account::{Account, rows};
use cluster::kong::{HOST, LONG, Scene, TOKEN, configuration, on_a_node};
use cluster::sections_of;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Records of the history of the only gateway.
fn history(controller: &Controller) -> Vec<Value> {
    let state = controller.status().map(|(_, state)| state).unwrap_or_default();
    state["gateways"][0]["history"].as_array().cloned().unwrap_or_default()
}

/// Waits until a remedy has ended well, and a drift is over by it: what was intended, and what the remedy said.
#[track_caller]
fn until_healed(controller: &Controller, more: impl Fn() -> String) -> (Value, String) {
    wait::until("the drift to be over by a remedy", LONG, || {
        let all = history(controller);
        let of = |what: &str| all.iter().rfind(|record| record["what"] == what).cloned();
        let over = all.iter().any(|r| r["what"] == "converged" && r["after"].is_string());
        let (intent, ended) = (of("remedy"), of("ended"));
        match (intent, ended, over) {
            (Some(intent), Some(ended), true) if ended["ok"] == true => {
                Ok((intent["intent"].clone(), ended["said"].as_str().unwrap_or_default().to_owned()))
            }
            _ => {
                let log = controller.log();
                let log: Vec<&str> = log.lines().filter(|line| !line.contains("DEBUG")).collect();
                Err(format!("{all:#?}\n{log:#?}\n{}", more()))
            }
        }
    })
}

/// What this account has written to these objects since.
fn written(cluster: &Cluster, account: &Account<'_>, mark: Mark, resource: &str) -> Vec<Request> {
    let user = account.user();
    let all = cluster.audit_since(mark).unwrap().into_iter().filter(|r| r.user() == user);
    all.filter(|r| r.object.resource == resource && matches!(r.verb.as_str(), "patch" | "create" | "delete"))
        .collect()
}

/// Waits until the act is told as an Event on its object, and is in the record that outlives the controller's pod.
#[track_caller]
fn until_recorded(scene: &Scene, object: &str, said: &str) {
    wait::until("the Event and the record", PATIENCE, || {
        let events = scene.cluster.kubectl(&["get", "events", "-n", scene.n(), "-o", "wide"]);
        let events = events.map_err(|e| e.to_string())?;
        let told = events.lines().any(|line| line.contains("RemedyDone") && line.contains(object));
        let map =
            scene.cluster.get(scene.n(), "configmap/certdrift-history-kong").map_err(|e| e.to_string())?;
        let record = map["data"]["history.jsonl"].as_str().unwrap_or_default();
        let kept: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |what: &str| kept.iter().filter(|r| r["what"] == what).count();
        let ended = kept.iter().any(|r| r["what"] == "ended" && r["said"] == said);
        let whole = [of("remedy"), of("ended"), of("converged")].iter().all(|n| *n >= 1);
        if told && ended && whole { Ok(()) } else { Err(format!("{events}\n{record}")) }
    });
}

/// Runs a test with a controller that is an account of its own and heals by this policy; it is refused nothing.
fn heals(mut scene: Scene, policy: &str, pods: &str, test: impl FnOnce(&Scene, &Account<'_>)) {
    let (cluster, n) = (scene.cluster.clone(), scene.n().to_owned());
    let account = Account::new(&cluster, &n, "certdrift", &rows(true));
    let mark = cluster.audit_mark().unwrap();
    let gateway = configuration(&n, "{metrics: {labels: {app: kic}}}")
        .replace(
            "policy: {grace: 1s}",
            &format!("policy: {{mode: heal, grace: 1s, min_interval: 1s, {policy}}}"),
        )
        .replace(
            "status: {port: 8100, path: /status}",
            &format!("status: {{port: 8100, path: /status}}{pods}"),
        );
    scene.controller = Controller::start_with(&sections_of(&account.kubeconfig(), &n, ""), &gateway).unwrap();
    wait::until("the pods to be seen", PATIENCE, || {
        let gateway = scene.gateway()?;
        let seen = gateway["hosts"][0]["seen"].as_array().map(Vec::len).unwrap_or_default();
        if seen == 2 { Ok(()) } else { Err(format!("{gateway:#}")) }
    });
    test(&scene, &account);
    let asked = cluster.audit_since(mark).unwrap().into_iter().filter(|r| r.user() == account.user());
    let refused: Vec<_> = asked.filter(|r| matches!(r.code(), 401 | 403)).collect();
    assert!(refused.is_empty(), "{refused:#?}\n{}", scene.controller.log());
}

/// One worker of a pod stays with what it has.
fn stick(scene: &Scene, pod: &GatewayPod) {
    let mut curl = scene.cluster.command("curl").unwrap();
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "10", "-X", "POST"]);
    let said = curl.arg(format!("http://{}:8001/stick", pod.address)).output().unwrap();
    assert!(said.status.success(), "{said:?}");
}

#[test]
fn a_stale_worker_is_reloaded_by_a_program_in_its_pod() {
    on_a_node("exec", |scene, _| {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let tap = format!(", tap: {{port: 8788, path: /tap}}, token: {{file: {}}}", token.display());
        let reload = "remedies: [{name: reload, kube_exec: {argv: [/usr/sbin/nginx, -e, /dev/stderr, -s, reload], container: main}}]";
        heals(scene, reload, &tap, |scene, account| {
            let pods = scene.pods();
            let mark = scene.cluster.audit_mark().unwrap();
            stick(scene, &pods[0]);
            let new = scene.renew();
            let (intent, said) = until_healed(&scene.controller, || scene.kong.log());
            assert_eq!(
                (&intent["cause"], &intent["kind"], &intent["endpoint"]),
                (&json!("stale-worker"), &json!("kube-exec"), &json!(scene.named(&pods[0])))
            );
            assert!(said.contains("-s reload in pod") && said.contains("done"), "{said}");
            until_recorded(scene, &format!("pod/{}", pods[0].name), &said);
            scene.until_served(&[new, new]);
            assert_eq!(scene.pods(), pods, "nobody was restarted");
            let acts = written(&scene.cluster, account, mark, "pods");
            assert!(acts.iter().all(|r| r.object.name == pods[0].name), "{acts:#?}");
        });
    });
}

#[test]
fn what_was_never_pushed_is_pushed_after_a_touch_of_its_secret() {
    on_a_node("touch", |scene, _| {
        let name = format!("{}/s", scene.n());
        scene.cluster.kubectl(&["annotate", "secret/s", "-n", scene.n(), "konghq.com/tags=team-a"]).unwrap();
        wait::until("the tag to be pushed", LONG, || match scene.kong.log() {
            log if log.matches("pushed to").count() >= 4 => Ok(()),
            log => Err(log),
        });
        heals(scene, "remedies: [{name: push, touch: {}}]", "", |scene, account| {
            let mark = scene.cluster.audit_mark().unwrap();
            // A configuration that was first seen after a renewal may be as new as that; ledgers count in seconds.
            let set = Instant::now();
            wait::until("a first look some seconds ago", PATIENCE, || match set.elapsed() {
                passed if passed > Duration::from_secs(3) => Ok(()),
                passed => Err(passed),
            });
            scene.kong.faults(&json!({"deaf": [name]})).unwrap();
            let new = scene.renew();
            let (intent, said) = until_healed(&scene.controller, || scene.kong.log());
            assert_eq!((&intent["cause"], &intent["kind"]), (&json!("not-pushed"), &json!("touch")));
            assert!(said.contains("team-a,certdrift-"), "{said}");
            until_recorded(scene, "secret/s", &said);
            // Who comes after it knows what was done, though it has seen nothing of it.
            let after = Controller::start_with(
                &sections_of(&account.kubeconfig(), scene.n(), ", lease: another"),
                &configuration(scene.n(), "{}"),
            )
            .unwrap();
            wait::until("another controller to know", PATIENCE, || {
                let known = history(&after);
                let ended = known.iter().any(|r| r["what"] == "ended" && r["said"] == said);
                if ended { Ok(()) } else { Err(format!("{known:#?}\n{}", after.log())) }
            });
            drop(after);
            scene.until_served(&[new, new]);
            let object = scene.cluster.get(scene.n(), "secret/s").unwrap();
            let tags = object["metadata"]["annotations"]["konghq.com/tags"].as_str().unwrap().to_owned();
            assert!(tags.starts_with("team-a,certdrift-"), "{tags}");
            let touched = written(&scene.cluster, account, mark, "secrets");
            assert_eq!(touched.len(), 1, "{touched:#?}");
            assert!(!scene.controller.log().contains("PRIVATE KEY"));
            assert_eq!(scene.gateway().unwrap()["hosts"][0]["host"], HOST);
        });
    });
}
