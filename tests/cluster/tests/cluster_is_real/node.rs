//! Of the node: probes, mounts, exec, port-forward, eviction, rollout, Services by name.
use crate::PATIENCE;
use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, Namespace};
use certdrift_harness::process::{Process, free_port};
use certdrift_harness::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A Deployment of busybox named `web`, under the restricted rules of pod security, with a readiness probe.
fn deploy(cluster: &Cluster, namespace: &Namespace, replicas: u32, probe: &Value) {
    let name = namespace.name();
    let label = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl(&["label", "namespace", name, label]).unwrap();
    let metadata = json!({"name": "web", "namespace": name});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "settings", "configMap": {"name": "settings", "optional": true}}],
            "containers": [{
                "name": "web",
                "image": cluster.image(Picture::Busybox).unwrap(),
                "imagePullPolicy": "Never",
                "readinessProbe": probe,
                "volumeMounts": [{"name": "settings", "mountPath": "/settings"}],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        }},
    }});
    cluster.apply(&deployment.to_string()).unwrap();
}

fn by_http() -> Value {
    json!({"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1})
}

fn available(cluster: &Cluster, namespace: &Namespace) {
    let waited = cluster.wait(namespace.name(), "deployment/web", "condition=Available", PATIENCE);
    if let Err(error) = waited {
        let seen = cluster.kubectl(&["describe", "pods", "--namespace", namespace.name()]);
        panic!("{error}\n{}", seen.unwrap_or_default());
    }
}

/// Names of the pods that are ready and stay.
fn pods(cluster: &Cluster, namespace: &Namespace) -> BTreeSet<String> {
    let list = cluster.get(namespace.name(), "pods").unwrap();
    let items = list["items"].as_array().unwrap().clone();
    let ready = |pod: &Value| {
        pod["metadata"]["deletionTimestamp"].is_null()
            && pod["status"]["containerStatuses"][0]["ready"] == json!(true)
    };
    items
        .iter()
        .filter(|pod| ready(pod))
        .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_pod_is_ready_when_its_probe_says_so_and_not_before() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("probe").unwrap();
    deploy(
        &cluster,
        &namespace,
        1,
        &json!({"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1}),
    );
    let name = namespace.name();
    let running = "jsonpath={.items[0].status.phase}=Running";
    wait::until("the pod to run", PATIENCE, || {
        let phase = "jsonpath={.items[*].status.phase}";
        match cluster.kubectl(&["get", "pods", "--namespace", name, "--output", phase]) {
            Ok(phase) if phase == "Running" => Ok(()),
            other => Err(format!("{other:?} {running}")),
        }
    });
    wait::until("a failed probe to be told", PATIENCE, || {
        let events =
            cluster.kubectl(&["get", "events", "--namespace", name, "--output=jsonpath={.items[*].reason}"]);
        if events.as_ref().is_ok_and(|events| events.contains("Unhealthy")) { Ok(()) } else { Err(events) }
    });
    assert!(pods(&cluster, &namespace).is_empty());
    cluster.kubectl(&["exec", "--namespace", name, "deployment/web", "--", "touch", "/tmp/ready"]).unwrap();
    available(&cluster, &namespace);
    assert_eq!(pods(&cluster, &namespace).len(), 1);
}

#[test]
fn a_changed_config_map_reaches_the_file_it_is_mounted_as() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("mount").unwrap();
    let set = |value: &str| {
        let metadata = json!({"name": "settings", "namespace": namespace.name()});
        let map =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}});
        cluster.apply(&map.to_string()).unwrap();
    };
    let read = || {
        let arguments =
            ["exec", "--namespace", namespace.name(), "deployment/web", "--", "cat", "/settings/value"];
        cluster.kubectl(&arguments)
    };
    set("one");
    deploy(&cluster, &namespace, 1, &by_http());
    available(&cluster, &namespace);
    assert_eq!(read().unwrap(), "one");
    set("two");
    // The kubelet looks once a minute or so, and at what it fetched a minute ago at most.
    wait::until("the changed file", Duration::from_secs(200), || {
        std::thread::park_timeout(Duration::from_millis(500));
        match read() {
            Ok(value) if value == "two" => Ok(()),
            other => Err(other),
        }
    });
}

#[test]
fn a_port_is_forwarded_to_a_pod() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("forward").unwrap();
    deploy(&cluster, &namespace, 1, &by_http());
    available(&cluster, &namespace);
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let mut forward = cluster.command(xtask::tools::find(xtask::tools::Tool::Kubectl).unwrap()).unwrap();
    forward.args([
        "port-forward",
        "--namespace",
        namespace.name(),
        "deployment/web",
        &format!("{port}:8080"),
    ]);
    let forward = Process::start("forward", &mut forward, folder.path()).unwrap();
    wait::until("an answer through the forwarded port", PATIENCE, || {
        let url = format!("http://127.0.0.1:{port}/");
        let said = cluster.command("curl").unwrap().args(["--silent", "--fail", &url]).output().unwrap();
        if said.stdout == b"hello\n" { Ok(()) } else { Err(format!("{said:?} {}", forward.log())) }
    });
}

#[test]
fn an_evicted_pod_is_replaced_by_another() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("evict").unwrap();
    deploy(&cluster, &namespace, 1, &by_http());
    available(&cluster, &namespace);
    let before = pods(&cluster, &namespace);
    let victim = before.first().unwrap();
    let metadata = json!({"name": victim, "namespace": namespace.name()});
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata});
    let uri = format!("/api/v1/namespaces/{}/pods/{victim}/eviction", namespace.name());
    cluster.kubectl_with(&["create", "--raw", &uri, "--filename=-"], &eviction.to_string()).unwrap();
    wait::until("another pod", PATIENCE, || match pods(&cluster, &namespace) {
        now if now.len() == 1 && now.is_disjoint(&before) => Ok(()),
        now => Err(now),
    });
}

#[test]
fn a_restarted_rollout_replaces_every_pod() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("rollout").unwrap();
    deploy(&cluster, &namespace, 2, &by_http());
    available(&cluster, &namespace);
    wait::until("two pods", PATIENCE, || match pods(&cluster, &namespace) {
        now if now.len() == 2 => Ok(()),
        now => Err(now),
    });
    let before = pods(&cluster, &namespace);
    cluster.kubectl(&["rollout", "restart", "deployment/web", "--namespace", namespace.name()]).unwrap();
    cluster
        .kubectl(&["rollout", "status", "deployment/web", "--timeout=120s", "--namespace", namespace.name()])
        .unwrap();
    wait::until("two other pods", PATIENCE, || match pods(&cluster, &namespace) {
        now if now.len() == 2 && now.is_disjoint(&before) => Ok(()),
        now => Err(now),
    });
}

#[test]
fn a_service_answers_pods_by_its_name() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("service").unwrap();
    deploy(&cluster, &namespace, 2, &by_http());
    available(&cluster, &namespace);
    cluster
        .kubectl(&[
            "expose",
            "deployment/web",
            "--port=80",
            "--target-port=8080",
            "--namespace",
            namespace.name(),
        ])
        .unwrap();
    // By nc: Debian's static busybox crashes in wget.
    let script = format!(
        "address=$(nslookup web.{}.svc.cluster.local | awk '/^Address:/ && !/:53/ {{print $2}}') && \
         printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $address 80",
        namespace.name()
    );
    wait::until("the Service's answer", PATIENCE, || {
        let arguments =
            ["exec", "--namespace", namespace.name(), "deployment/web", "--", "sh", "-c", &script];
        match cluster.kubectl(&arguments) {
            Ok(said) if said.ends_with("hello") => Ok(()),
            other => Err(other),
        }
    });
}
