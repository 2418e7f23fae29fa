//! The filter in real Envoy pods, beside a controller that the chart has installed: it reads its ledger from the controller,
//! and, where that is away, from the ConfigMap that the kubelet mounts. Whichever of certificate and ledger comes first, no
//! renewal looks like drift; real drift does, on all pods, and the kubelet's probes take none of them away for it.
mod ask;
#[path = "../cluster/mod.rs"]
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;
mod configuration;

use ask::{counted, health, report, served};
use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, Namespace};
use certdrift_contract::Fingerprint;
use certdrift_harness::wait;
use cluster::{ingress, inside_of, made};
use configuration::{bootstrap, listeners};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xtask::tools::{self, Tool};
use xtask::workspace;

const HOST: &str = "x.example";
/// The kubelet looks after mounts once a minute; a change of the pod makes it look at once.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many answers in a row, over both threads of each pod.
const ALIKE: usize = 12;

/// A certificate, its key and its fingerprint.
struct Leaf {
    certificate: String,
    key: String,
    fingerprint: Fingerprint,
}

fn leaf() -> Leaf {
    let (certificate, key, fingerprint) = made(HOST);
    Leaf { certificate, key, fingerprint }
}

struct Scene {
    cluster: Cluster,
    namespace: Namespace,
    token: String,
}

/// A gateway pod: its name and address.
type Pod = (String, String);

impl Scene {
    fn set(cluster: Cluster, first: &Leaf) -> Self {
        let namespace = cluster.namespace("envoy").unwrap();
        let scene = Self { cluster, namespace, token: "the-token-of-a-test-is-no-secret".to_owned() };
        let n = scene.n();
        scene.apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", "namespace": n},
            "stringData": {"token": scene.token}}),
        );
        scene.stored(first);
        scene.cluster.apply(&ingress(n, HOST, "s")).unwrap();
        scene.install();
        scene.serves(first);
        scene.apply(&scene.deployment());
        scene.apply(
            &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "edge", "namespace": n},
            "spec": {"selector": {"app": "edge"}, "ports": [{"port": 443, "targetPort": 8443}]}}),
        );
        scene.cluster.wait(n, "deployment/edge", "condition=Available", PATIENCE).unwrap_or_else(|e| {
            let pods =
                scene.cluster.kubectl(&["describe", "pods", "-n", n, "-l", "app=edge"]).unwrap_or_default();
            let log =
                scene.cluster.kubectl(&["logs", "-n", n, "deploy/edge", "--tail=20"]).unwrap_or_default();
            panic!("{e:#}\n{pods}\n{log}")
        });
        scene
    }

    fn n(&self) -> &str {
        self.namespace.name()
    }

    fn apply(&self, object: &Value) {
        self.cluster.apply(&object.to_string()).unwrap();
    }

    /// The controller, by its chart.
    fn install(&self) {
        let n = self.n();
        let image = self.cluster.image(Picture::Certdrift).unwrap();
        let (repository, tag) = image.rsplit_once(':').unwrap();
        let values = json!({
            "reach": "namespaces", "namespaces": [n], "replicas": 1,
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "listen": {"token": {"secret": "token"}},
            "gateways": [{"name": "edge", "match": "envoy", "publish": {"grace": "60s"},
                "kubernetes": {"namespace": n, "bindings": {"kong_ingress": {"namespaces": [n]}}},
                "endpoints": [{"name": "none", "address": "127.0.0.1:9"}]}],
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.yaml");
        std::fs::write(&file, values.to_string()).unwrap();
        let chart = workspace::root().join("deploy/chart");
        let mut helm = self.cluster.command(tools::find(Tool::Helm).unwrap()).unwrap();
        helm.args(["install", "cd", "--namespace", n, "--values"]).arg(&file).arg(chart);
        workspace::output(&mut helm).unwrap();
        self.controllers(1);
    }

    /// So many replicas of the controller, and they are ready.
    fn controllers(&self, replicas: u32) {
        let n = self.n();
        let count = format!("--replicas={replicas}");
        self.cluster.kubectl(&["scale", "deployment/cd-certdrift", "-n", n, &count]).unwrap();
        if replicas > 0 {
            self.cluster.wait(n, "deployment/cd-certdrift", "condition=Available", PATIENCE).unwrap();
        } else {
            let gone = [
                "wait",
                "pods",
                "-n",
                n,
                "-l",
                "app.kubernetes.io/name=certdrift",
                "--for=delete",
                "--timeout=60s",
            ];
            self.cluster.kubectl(&gone).unwrap();
        }
    }

    /// Whether the controller's Service leads to it.
    fn reachable(&self, is: bool) {
        let value = if is { Value::Null } else { json!("nobody") };
        let patch = json!({"spec": {"selector": {"away": value}}}).to_string();
        let arguments = ["patch", "service/cd-certdrift", "-n", self.n(), "--type=merge", "-p", &patch];
        self.cluster.kubectl(&arguments).unwrap();
    }

    fn deployment(&self) -> Value {
        let probe = |path: &str| {
            json!({"httpGet": {"port": 9481, "path": format!("/certdrift/{path}")}, "periodSeconds": 1,
                "failureThreshold": 2, "timeoutSeconds": 5})
        };
        let restricted = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        let container = json!({"name": "main", "image": Picture::Envoy.name(), "imagePullPolicy": "Never",
            "args": ["--config-path", "/conf/envoy.yaml", "--disable-hot-restart", "--concurrency", "2"],
            "ports": [{"name": "https", "containerPort": 8443}],
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "livenessProbe": probe("livez"), "readinessProbe": probe("readyz"),
            "volumeMounts": [{"name": "conf", "mountPath": "/conf"}, {"name": "ledger", "mountPath": "/ledger"},
                {"name": "controller", "mountPath": "/controller"}]});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "edge", "namespace": self.n()},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "edge"}},
                "template": {"metadata": {"labels": {"app": "edge"}}, "spec": {
                    "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1, "securityContext": restricted,
                    "containers": [container], "volumes": [
                        {"name": "conf", "secret": {"secretName": "envoy"}},
                        {"name": "ledger", "configMap": {"name": "certdrift-ledger-edge", "optional": true}},
                        {"name": "controller", "secret": {"secretName": "cd-certdrift-tls",
                            "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}}})
    }

    /// This is what cert-manager would have stored.
    fn stored(&self, leaf: &Leaf) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "s", "namespace": self.n()},
            "stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key}}));
    }

    /// This is what Envoy is given to serve.
    fn serves(&self, leaf: &Leaf) {
        let controller = format!("cd-certdrift.{}.svc.cluster.local", self.n());
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "envoy", "namespace": self.n()},
            "stringData": {"envoy.yaml": bootstrap(&self.token, &controller), "listeners.json": listeners(leaf, &self.token)}}));
    }

    fn pods(&self) -> Vec<Pod> {
        let n = self.n();
        let arguments = [
            "get",
            "pods",
            "-n",
            n,
            "-l",
            "app=edge",
            "-o",
            "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}",
        ];
        let said = self.cluster.kubectl(&arguments).unwrap();
        said.lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    }

    /// How often each pod's container was begun anew.
    fn restarts(&self) -> String {
        let path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        self.cluster.kubectl(&["get", "pods", "-n", self.n(), "-l", "app=edge", "-o", path]).unwrap()
    }

    /// A change of the pods, so that the kubelet looks after their mounts now.
    fn nudge(&self) {
        static TIMES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let times = TIMES.fetch_add(1, Ordering::Relaxed);
        let annotation = format!("nudged={times}");
        self.cluster
            .kubectl(&["annotate", "pods", "-n", self.n(), "-l", "app=edge", "--overwrite", &annotation])
            .unwrap();
    }

    /// Waits until every thread of every pod judges `HOST` so, by a ledger of its own.
    #[track_caller]
    fn until_judged(&self, what: &str, verdict: &str) {
        let pods = self.pods();
        let mut asked = 0;
        wait::until(what, PATIENCE, || {
            asked += 1;
            // The kubelet may have looked just before the change got to it.
            if asked % 40 == 0 {
                self.nudge();
            }
            for (_, address) in pods.iter().cycle().take(ALIKE * pods.len()) {
                served(&self.cluster, address);
                let report = report(&self.cluster, address)?;
                let seen = report["observations"].as_array().into_iter().flatten();
                let judged: BTreeSet<String> = seen
                    .filter(|o| o["host"] == HOST)
                    .map(|o| {
                        let class = o["class"].as_str().map(|class| format!(" {class}")).unwrap_or_default();
                        format!("{}{class}", o["verdict"].as_str().unwrap_or_default())
                    })
                    .collect();
                if judged != BTreeSet::from([verdict.to_owned()]) {
                    return Err(format!("{judged:?}: {report}"));
                }
            }
            Ok(())
        });
    }

    /// How often the ledger was asked for, at the controller and in the file, over all pods.
    fn asked(&self) -> [u64; 2] {
        ["controller", "file"].map(|cluster| {
            let filter = format!("cluster.{cluster}.upstream_rq_[23]0[04]");
            self.pods().iter().map(|(_, address)| counted(&self.cluster, address, &filter)).sum()
        })
    }
}

/// Asks every pod for `healthz`, again and again, after a client's request each time; gives the answers that were not 200.
fn watched<T>(scene: &Scene, work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let over = Arc::new(AtomicBool::new(false));
    let asks = {
        let (over, cluster, pods) = (Arc::clone(&over), scene.cluster.clone(), scene.pods());
        std::thread::spawn(move || {
            let (mut asked, mut bad) = (0usize, Vec::new());
            while !over.load(Ordering::Relaxed) {
                for (_, address) in &pods {
                    served(&cluster, address);
                    // 000 is no answer in time, on a machine that is busy.
                    match health(&cluster, address, "healthz").as_str() {
                        "200" => asked += 1,
                        "000" => {}
                        code => bad.push(format!("{code}: {:?}", report(&cluster, address))),
                    }
                }
            }
            (asked, bad)
        })
    };
    let done = work();
    over.store(true, Ordering::Relaxed);
    let (asked, bad) = asks.join().unwrap();
    assert!(asked > 10, "healthz was asked {asked} times only");
    (done, bad)
}

#[test]
fn no_order_of_a_renewal_looks_like_drift_and_real_drift_takes_no_pod_away() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    // Made outside, where the network is.
    for picture in [Picture::Envoy, Picture::Certdrift] {
        cluster.image(picture).unwrap();
    }
    inside_of(cluster, |cluster| {
        let leaves: [Leaf; 5] = std::array::from_fn(|_| leaf());
        let [first, second, third, fourth, fifth] = &leaves;
        let scene = Scene::set(cluster, first);
        scene.until_judged("the first certificate", "match");
        assert_eq!(scene.asked()[1], 0, "the controller answers: the file is not asked for");

        let ((), bad) = watched(&scene, || {
            // The ledger comes first, and then the certificate.
            scene.stored(second);
            scene.until_judged("the ledger", "retiring");
            scene.serves(second);
            scene.nudge();
            scene.until_judged("its certificate", "match");
        });
        assert!(bad.is_empty(), "{bad:#?}");

        let ((), bad) = watched(&scene, || {
            // Nobody publishes. The certificate comes first; what is known of it is in the file, and old.
            scene.controllers(0);
            scene.serves(third);
            scene.nudge();
            scene.until_judged("a certificate that no ledger knows", "ahead");
            assert!(scene.asked()[1] > 0, "the file is asked for");
            scene.stored(third);
            scene.controllers(1);
            scene.until_judged("its ledger", "match");
        });
        assert!(bad.is_empty(), "{bad:#?}");

        let ((), bad) = watched(&scene, || {
            // It publishes, and the gateway does not reach it: the kubelet brings the ledger.
            scene.reachable(false);
            scene.stored(fourth);
            scene.nudge();
            scene.until_judged("the mounted ledger", "retiring");
            scene.serves(fourth);
            scene.nudge();
            scene.until_judged("its certificate", "match");
            scene.reachable(true);
            let [before, _] = scene.asked();
            wait::until("the controller to be asked again", PATIENCE, || match scene.asked() {
                [now, _] if now > before => Ok(()),
                other => Err(other),
            });
            scene.until_judged("the same ledger by the other way", "match");
        });
        assert!(bad.is_empty(), "{bad:#?}");

        // Drift on all pods: each is given a certificate that no ledger knows any more.
        let probes = |scene: &Scene| -> Vec<u64> {
            let of = |(_, address): &Pod| counted(&scene.cluster, address, "http.health.downstream_rq_2xx");
            scene.pods().iter().map(of).collect()
        };
        scene.serves(first);
        scene.stored(fifth);
        scene.nudge();
        scene.until_judged("drift", "drift previous");
        let (pods, restarts) = (scene.pods(), scene.restarts());
        let before = probes(&scene);
        wait::until("a dozen probes of each pod", PATIENCE, || {
            let now = probes(&scene);
            let all = now.iter().zip(&before).all(|(now, before)| now - before >= 24);
            if all { Ok(()) } else { Err(now) }
        });
        for (_, address) in &pods {
            let codes = ["livez", "readyz", "healthz"].map(|what| health(&scene.cluster, address, what));
            assert_eq!(codes, ["200", "200", "503"]);
        }
        assert_eq!(scene.pods(), pods, "the same pods");
        let n = scene.n();
        assert_eq!(scene.restarts(), restarts, "and none of them began anew");
        let slices = scene
            .cluster
            .kubectl(&[
                "get",
                "endpointslices",
                "-n",
                n,
                "-l",
                "kubernetes.io/service-name=edge",
                "-o",
                "jsonpath={.items[*].endpoints[*].conditions.ready}",
            ])
            .unwrap();
        assert_eq!(slices, "true true");
    });
}
