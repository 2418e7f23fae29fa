//! `certdrift audit` beside a real node: nothing is installed, nothing is written; what each pod serves is seen by port-forward
//! and compared with what is stored, and what could not be read is said.
#[path = "../cluster/mod.rs"]
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;
mod thousand;

use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, Kong, Namespace};
use certdrift_contract::Fingerprint;
use certdrift_tests::program::{Ran, run};
use certdrift_tests::wait;
use cluster::account::{Account, Row};
use cluster::{ingress, inside_of, secret};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");
const HOST: &str = "x.example";
const PATIENCE: Duration = Duration::from_secs(120);

fn row(place: &str, group: &str, kinds: &[&str], verbs: &[&str]) -> Row {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
    Row { place: place.to_owned(), group: group.to_owned(), kinds: words(kinds), verbs: words(verbs) }
}

/// What docs/permissions.md says of an audit, in one namespace; no kind of the whole cluster.
fn reads(secrets: bool) -> Vec<Row> {
    let core: &[&str] = if secrets { &["pods", "services", "secrets"] } else { &["pods", "services"] };
    vec![
        row("own", "", core, &["list"]),
        row("own", "", &["pods/portforward"], &["get", "create"]),
        row("own", "networking.k8s.io", &["ingresses"], &["list"]),
        row("own", "cert-manager.io", &["certificates", "certificaterequests"], &["list"]),
        row(
            "own",
            "gateway.networking.k8s.io",
            &["gateways", "listenersets", "tlsroutes", "referencegrants"],
            &["list"],
        ),
    ]
}

/// The cluster with a node, which has what pods are made of: made outside, where the network is.
fn pictures() -> Cluster {
    let cluster = Cluster::shared().unwrap();
    for picture in [Picture::Gateway, Picture::Kic] {
        cluster.image(picture).unwrap();
    }
    cluster
}

struct Scene {
    cluster: Cluster,
    namespace: Namespace,
    kong: Kong,
}

impl Scene {
    fn n(&self) -> &str {
        self.namespace.name()
    }

    /// As this account, of this namespace alone.
    fn audit(&self, account: &Account<'_>, more: &[&str]) -> Ran {
        let kubeconfig = account.kubeconfig().display().to_string();
        let mut arguments =
            vec!["audit", "--kubeconfig", &kubeconfig, "--namespace", self.n(), "--within", self.n()];
        arguments.extend(more);
        run(CERTDRIFT, &arguments)
    }

    /// What is said of the host once it is this.
    #[track_caller]
    fn until(&self, account: &Account<'_>, code: i32) -> Value {
        wait::until("the audit to say so", PATIENCE, || {
            let ran = self.audit(account, &["-o", "json"]);
            if ran.code == Some(code) { Ok(ran.json()) } else { Err(format!("{ran:?}\n{}", self.kong.log())) }
        })
    }

    fn renew(&self) -> Fingerprint {
        let (object, leaf) = secret(self.n(), "s", HOST);
        self.cluster.apply(&object).unwrap();
        leaf
    }
}

fn set(cluster: Cluster, prefix: &str) -> (Scene, Fingerprint) {
    let namespace = cluster.namespace(prefix).unwrap();
    let n = namespace.name();
    let (object, leaf) = secret(n, "s", HOST);
    cluster.apply(&object).unwrap();
    cluster.apply(&ingress(n, HOST, "s")).unwrap();
    let kong = cluster.kong(n, n, 2).unwrap();
    kong.ready().unwrap();
    (Scene { cluster, namespace, kong }, leaf)
}

#[test]
fn a_pod_that_has_no_configuration_says_so_by_port_forward() {
    inside_of(pictures(), |cluster| {
        let (scene, _) = set(cluster, "auditempty");
        let account = Account::new(&scene.cluster, scene.n(), "auditor", &reads(true));
        // As with KIC's feature gate: nobody looks at the gateways as long as no object changes.
        scene.kong.faults(&json!({"fallback": true})).unwrap();
        wait::until("a pass without a change", PATIENCE, || {
            let metrics = scene.kong.metrics().map_err(|e| e.to_string())?;
            let skips = metrics.lines().any(|l| l.contains("cache_hit") && !l.ends_with(" 0"));
            if skips { Ok(()) } else { Err(metrics) }
        });
        let gone = format!("pod/{}", scene.kong.pods().unwrap()[0].name);
        scene.cluster.kubectl(&["delete", &gone, "-n", scene.n()]).unwrap();
        wait::until("it to be told", PATIENCE, || {
            let ran = scene.audit(&account, &["-o", "json"]);
            let host = &ran.json()["gateways"][0]["hosts"][0];
            let told = host["cause"] == "pod-empty" && ran.code == Some(1);
            if told { Ok(()) } else { Err(format!("{ran:?}")) }
        });
    });
}

#[test]
fn every_pod_is_seen_by_port_forward_and_only_what_is_read_is_asked_for() {
    inside_of(pictures(), |cluster| {
        let (scene, leaf) = set(cluster, "audit");
        let (cluster, n) = (scene.cluster.clone(), scene.n().to_owned());
        let account = Account::new(&cluster, &n, "auditor", &reads(true));
        let mark = cluster.audit_mark().unwrap();

        let report = scene.until(&account, 0);
        let gateway = &report["gateways"][0];
        let host = &gateway["hosts"][0];
        assert_eq!(report["verdict"], "match", "{report:#}");
        assert_eq!((&gateway["name"], &host["host"]), (&json!("kong"), &json!(HOST)), "{report:#}");
        let served: Vec<&Value> = host["seen"].as_array().unwrap().iter().map(|s| &s["served"]).collect();
        assert_eq!(served, [&json!(leaf.to_string()); 2], "{report:#}");
        let unread: Vec<&Value> = report["unread"].as_array().unwrap().iter().collect();
        let classes = unread.iter().find(|u| u["kind"] == "ingressclasses");
        assert!(classes.is_some_and(|u| u["costs"].is_null()), "it is told, and costs nothing: {report:#}");
        let table = scene.audit(&account, &[]);
        assert_eq!(table.code, Some(0), "{table:?}");
        assert!(table.stdout.starts_with("MATCH 1 host is served as stored by every pod\n"), "{table:?}");

        // One pod misses a renewal.
        let pods = scene.kong.pods().unwrap();
        scene.kong.faults(&json!({"miss": [pods[0].name]})).unwrap();
        let new = scene.renew();
        let report = scene.until(&account, 1);
        let host = &report["gateways"][0]["hosts"][0];
        let seen = |pod: usize| {
            let name = format!("{n}/{}", pods[pod].name);
            host["seen"].as_array().unwrap().iter().find(|s| s["pod"] == name.as_str()).unwrap().clone()
        };
        wait::until("the other pod to have the new one", PATIENCE, || {
            let report = scene.audit(&account, &["-o", "json"]).json();
            let seen = report["gateways"][0]["hosts"][0]["seen"].as_array().cloned().unwrap_or_default();
            if seen.iter().any(|s| s["verdict"] == "match") { Ok(()) } else { Err(format!("{report:#}")) }
        });
        assert_eq!((&host["served"], &host["stored"]), (&json!("bad"), &json!("good")), "{report:#}");
        assert_eq!(host["expected"], json!([new.to_string()]));
        assert_eq!((&seen(0)["verdict"], &seen(0)["served"]), (&json!("drift"), &json!(leaf.to_string())));
        let short = scene.audit(&account, &["-o", "short"]);
        assert!(
            short.stdout.starts_with(&format!("drift kong/{HOST} {n}/{} serves", pods[0].name)),
            "{short:?}"
        );

        // Who may not read Secrets is told what that costs, and nothing passes.
        let keyless = Account::new(&cluster, &n, "keyless", &reads(false));
        let report = scene.until(&keyless, 2);
        let secrets = report["unread"].as_array().unwrap().iter().find(|u| u["kind"] == "secrets").unwrap();
        assert!(secrets["costs"].as_str().unwrap().contains("CertificateRequests"), "{report:#}");
        assert_eq!(report["gateways"][0]["hosts"][0]["stored"], "unknown", "{report:#}");

        let users = [account.user(), keyless.user()];
        let asked = cluster.audit_since(mark).unwrap();
        let ours = asked.iter().filter(|r| users.iter().any(|user| user == r.user()));
        let acts: BTreeSet<(&str, &str, &str)> = ours
            .map(|r| (r.verb.as_str(), r.object.resource.as_str(), r.object.subresource.as_str()))
            .collect();
        assert!(acts.contains(&("get", "pods", "portforward")), "{acts:?}");
        let harmless = |(verb, resource, sub): &&(&str, &str, &str)| {
            *verb == "list" || (*verb == "get" && (resource.is_empty() || *sub == "portforward"))
        };
        let others: Vec<_> = acts.iter().filter(|act| !harmless(act)).collect();
        assert!(others.is_empty(), "nothing but lists and port-forwards: {others:?}");
    });
}
