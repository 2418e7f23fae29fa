//! The canary in a real cluster, with cert-manager's own controller and a gateway of two pods that take pushes: rotated on its
//! schedule, over a restart too, and proven on every pod; what keeps it is told with its hop, and taken back when it came.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_cluster::image::Picture;
use certdrift_tests::controller::Controller;
use certdrift_tests::wait;
use cluster::kong::{LONG, configuration};
use cluster::{ingress, inside_of, sections};
use serde_json::{Value, json};

const EVERY: f64 = 30.0;

/// A self-signed certificate as the chart's canary has it: nothing else renews it within months.
fn certificate(cluster: &Cluster, n: &str) {
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "canary", "namespace": n},
            "spec": {"selfSigned": {}}},
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "canary", "namespace": n},
            "spec": {"secretName": "s", "dnsNames": ["x.example"], "issuerRef": {"name": "canary"}, "duration": "2160h",
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}}}]});
    // cert-manager's webhook may have started just now.
    wait::until("cert-manager to take it", LONG, || {
        cluster.apply(&objects.to_string()).map_err(|e| format!("{e:#}"))
    });
    cluster.wait(n, "certificate/canary", "condition=Ready", LONG).unwrap();
}

/// When its newest request was made, in seconds since 1970.
fn asked(cluster: &Cluster, n: &str) -> f64 {
    let list = cluster.kubectl(&["get", "certificaterequests", "-n", n, "-o", "json"]).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let made =
        list["items"].as_array().unwrap().iter().filter_map(|r| r["metadata"]["creationTimestamp"].as_str());
    let seconds = |at: &str| certdrift_contract::UnixTime::parse(at.as_bytes()).unwrap().seconds();
    made.map(|at| seconds(at) as f64).fold(0.0, f64::max)
}

const SUCCESS: &str = "certdrift_canary_last_success_timestamp_seconds{gateway=\"kong\"}";
const TOOK: &str = "certdrift_canary_duration_seconds{gateway=\"kong\"}";

/// Waits until one was proven that was asked for after `since`; gives when it was asked for.
#[track_caller]
fn until_proven(cluster: &Cluster, n: &str, controller: &Controller, since: f64) -> f64 {
    wait::until("the canary to be proven", LONG, || {
        let at = controller.metric(SUCCESS).map_err(|e| format!("{e:#}\n{}", controller.log()))?;
        let asked = asked(cluster, n);
        if asked > since && at >= asked {
            Ok(asked)
        } else {
            Err(format!("{at} {asked}\n{}", controller.log()))
        }
    })
}

fn failures(controller: &Controller) -> (f64, Vec<String>) {
    let page = controller.get("/metrics").unwrap().body;
    let of = page
        .lines()
        .filter_map(|line| line.strip_prefix("certdrift_canary_failures_total{gateway=\"kong\",hop=\""));
    let of: Vec<(&str, f64)> =
        of.map(|l| l.split_once("\"} ").unwrap()).map(|(h, n)| (h, n.parse().unwrap())).collect();
    assert_eq!(of.len(), 5, "each hop from 0: {of:?}");
    (
        of.iter().map(|(_, n)| n).sum(),
        of.iter().filter(|(_, n)| *n > 0.0).map(|(h, _)| (*h).to_owned()).collect(),
    )
}

fn finding(controller: &Controller, code: &str) -> Option<Value> {
    let (_, state) = controller.status().ok()?;
    state["gateways"][0]["findings"].as_array()?.iter().find(|finding| finding["code"] == code).cloned()
}

#[test]
fn the_canary_is_rotated_on_its_schedule_and_what_keeps_it_is_told() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    for picture in [Picture::Gateway, Picture::Kic] {
        cluster.image(picture).unwrap();
    }
    inside_of(cluster, |cluster| {
        let namespace = cluster.namespace("canary").unwrap();
        let n = namespace.name();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let kong = cluster.kong(n, n, 2).unwrap();
        certificate(&cluster, n);
        kong.ready().unwrap();
        let gateway = format!(
            "{}  canary: {{certificate: {n}/canary, host: x.example, every: 30s, within: 15s}}\n",
            configuration(n, "{}")
        );
        let mut controller = Controller::start_with(&sections(&cluster, n, ""), &gateway).unwrap();
        let first = asked(&cluster, n);
        let second = until_proven(&cluster, n, &controller, first);
        assert!(second - first >= EVERY, "{first} {second}");
        let took = controller.metric(TOOK).unwrap();
        assert!(took > 0.0 && took < 15.0, "{took}");
        assert_eq!(failures(&controller), (0.0, Vec::new()));

        // One that has just started knows when the last was asked for, and how far it came.
        controller.kill();
        controller.run().unwrap();
        let third = until_proven(&cluster, n, &controller, second);
        assert!(third - second >= EVERY, "{second} {third}");
        let shown = controller.certdrift(&["status"]).unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("canary x.example: the whole way worked"), "{shown}");

        // A pod that takes no push: the next one does not come the whole way.
        let pod = kong.pods().unwrap().remove(0);
        kong.faults(&json!({"miss": [pod.name]})).unwrap();
        let told = wait::until("the failure", LONG, || {
            finding(&controller, "CD-570").ok_or_else(|| controller.log())
        });
        let why = told["why"].as_str().unwrap();
        let (count, hops) = failures(&controller);
        assert_eq!((count, hops.len()), (1.0, 1), "{hops:?}");
        assert!(
            ["loaded", "served"].contains(&&*hops[0]) && why.ends_with(&format!("it is not {}", hops[0])),
            "{hops:?} {why}"
        );
        assert_eq!(told["object"], format!("Certificate {n}/canary"));

        // It comes after all, or the next one does.
        kong.faults(&json!({})).unwrap();
        wait::until("the failure to be over", LONG, || match finding(&controller, "CD-570") {
            None => Ok(()),
            Some(finding) => Err(format!("{finding:#}\n{}", controller.log())),
        });
    });
}
