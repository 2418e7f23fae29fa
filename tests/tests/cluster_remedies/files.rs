//! Pods that read their certificate from files: what only a restart loads, and a sidecar that sends a signal.
use super::cluster::account::{Account, rows};
use super::cluster::{inside_of, made, sections_of};
use super::{LONG, until_healed, written};
use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, Namespace};
use certdrift_contract::Fingerprint;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use serde_json::{Value, json};

const HOST: &str = "x.example";

/// A Secret that says itself for which host it is.
fn stored(cluster: &Cluster, n: &str) -> Fingerprint {
    let (certificate, key, leaf) = made(HOST);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "s", "namespace": n, "annotations": {"certdrift.dev/hosts": HOST}},
        "stringData": {"tls.crt": certificate, "tls.key": key}});
    cluster.apply(&secret.to_string()).unwrap();
    leaf
}

fn restricted() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

/// Two pods of Debian's nginx, to which the Secret's files are mounted one by one: the kubelet never brings them anew.
fn frozen(cluster: &Cluster, namespace: &Namespace) {
    let n = namespace.name();
    let mount = |file: &str| json!({"name": "tls", "mountPath": format!("/etc/certdrift-tls/{file}"), "subPath": file});
    let container = json!({"name": "main", "image": Picture::Nginx.name(), "imagePullPolicy": "Never",
        "ports": [{"name": "https", "containerPort": 8443}], "securityContext": restricted(),
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [mount("tls.crt"), mount("tls.key")]});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": n},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container], "volumes": [{"name": "tls", "secret": {"secretName": "s"}}]}}}});
    cluster.apply(&deployment.to_string()).unwrap();
    let said = cluster.kubectl(&["rollout", "status", "deployment/web", "-n", n, "--timeout=120s"]);
    said.unwrap_or_else(|e| {
        panic!("{e:#}\n{}", cluster.kubectl(&["describe", "pods", "-n", n]).unwrap_or_default())
    });
}

/// Waits until each pod is seen to serve this.
#[track_caller]
fn until_served(controller: &Controller, leaf: Fingerprint) {
    wait::until("both pods to serve it", LONG, || {
        let (_, state) = controller.status().map_err(|e| format!("{e:#}\n{}", controller.log()))?;
        let gateway = &state["gateways"][0];
        let seen = gateway["hosts"][0]["seen"].as_array().cloned().unwrap_or_default();
        let right = seen.iter().filter(|s| s["served"] == leaf.to_string()).count();
        if right == 2 && seen.len() == 2 { Ok(()) } else { Err(format!("{gateway:#}")) }
    });
}

fn names(cluster: &Cluster, n: &str) -> Vec<String> {
    let list = cluster.kubectl(&["get", "pods", "-n", n, "-l", "app=web", "-o", "name"]).unwrap();
    list.lines().map(str::to_owned).collect()
}

#[test]
fn what_only_a_restart_loads_is_rolled_out_and_evicted_pod_by_pod_where_argo_cd_writes_the_template() {
    let cluster = Cluster::shared().unwrap();
    cluster.image(Picture::Nginx).unwrap();
    inside_of(cluster, |cluster| {
        let namespace = cluster.namespace("rollout").unwrap();
        let n = namespace.name();
        let first = stored(&cluster, n);
        frozen(&cluster, &namespace);
        let account = Account::new(&cluster, n, "certdrift", &rows(true));
        let gateway = format!(
            "- name: web\n  kubernetes: {{namespace: {n}, bindings: {{secrets: annotation}}, pods: {{labels: {{app: web}}}}}}\n  observe: {{poll: 1s}}\n  publish: {{grace: 1s}}\n  policy: {{mode: heal, grace: 1s, min_interval: 1s, remedies: [{{name: restart, rollout: {{}}}}]}}\n"
        );
        let controller =
            Controller::start_with(&sections_of(&account.kubeconfig(), n, ""), &gateway).unwrap();
        until_served(&controller, first);
        let (before, mark) = (names(&cluster, n), cluster.audit_mark().unwrap());
        let second = stored(&cluster, n);
        let (intent, said) = until_healed(&controller, String::new);
        assert_eq!((&intent["cause"], &intent["kind"]), (&json!("not-reloadable"), &json!("rollout")));
        assert!(said.contains("was restarted, and all its pods are new"), "{said}");
        until_served(&controller, second);
        let after = names(&cluster, n);
        assert!(after.iter().all(|pod| !before.contains(pod)), "{before:?} {after:?}");
        let acts = written(&cluster, &account, mark, "deployments");
        assert_eq!(acts.len(), 1, "{acts:#?}");
        assert_eq!(written(&cluster, &account, mark, "pods"), [], "nobody was evicted");

        // From here on it is Argo CD's: what we write there it would take back.
        let id = "argocd.argoproj.io/tracking-id=web:apps/Deployment:demo/web";
        cluster.kubectl(&["annotate", "deployment/web", "-n", n, id]).unwrap();
        let mark = cluster.audit_mark().unwrap();
        let third = stored(&cluster, n);
        until_served(&controller, third);
        assert_eq!(written(&cluster, &account, mark, "deployments"), [], "it is left alone");
        let evicted = written(&cluster, &account, mark, "pods");
        let of: std::collections::BTreeSet<&str> = evicted.iter().map(|r| r.object.name.as_str()).collect();
        assert_eq!(of.len(), 2, "{evicted:#?}");
        let told = super::history(&controller).into_iter().find(|r| r["what"] == "not-started").unwrap();
        assert!(
            told["why"].as_str().unwrap().contains("Argo CD writes the template of deployment"),
            "{told:#}"
        );
    });
}

/// The configuration of a sidecar that looks at its own pod and needs no Kubernetes.
fn sidecar() -> String {
    "state_dir: /state
gateways:
- name: web
  sources: [{directory: /etc/certdrift-tls}]
  endpoints: [{name: here, address: \"127.0.0.1:8443\", workers: 2, tap: \"http://127.0.0.1:8787/tap\"}]
  observe: {poll: 1s}
  publish: {grace: 1s}
  policy: {mode: heal, grace: 1s, min_interval: 1s, remedies: [{name: reload, signal: {pid_file: /tmp/nginx.pid, process: nginx}}]}
"
    .to_owned()
}

#[test]
fn a_sidecar_in_a_shared_process_namespace_reloads_its_gateway_by_a_signal() {
    let cluster = Cluster::shared().unwrap();
    for picture in [Picture::Nginx, Picture::Certdrift] {
        cluster.image(picture).unwrap();
    }
    inside_of(cluster, |cluster| {
        let namespace = cluster.namespace("sidecar").unwrap();
        let n = namespace.name();
        stored(&cluster, n);
        let files = [("tls", "/etc/certdrift-tls"), ("tmp", "/tmp")]
            .map(|(name, path)| json!({"name": name, "mountPath": path}));
        let container = |name: &str, picture: Picture, more: Value| {
            let mut container = json!({"name": name, "image": picture.name(), "imagePullPolicy": "Never",
                "securityContext": restricted(), "volumeMounts": files});
            for (key, value) in more.as_object().unwrap() {
                container[key] = value.clone();
            }
            container
        };
        let mut mounts = files.to_vec();
        mounts.push(json!({"name": "conf", "mountPath": "/conf"}));
        mounts.push(json!({"name": "state", "mountPath": "/state"}));
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf", "namespace": n},
                "data": {"certdrift.yaml": sidecar()}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": n}, "spec": {
                "shareProcessNamespace": true, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container("nginx", Picture::Nginx, json!({})),
                    container("certdrift", Picture::Certdrift, json!({"args": ["run", "--config", "/conf/certdrift.yaml"],
                        "volumeMounts": mounts}))],
                "volumes": [{"name": "tls", "secret": {"secretName": "s"}}, {"name": "tmp", "emptyDir": {}},
                    {"name": "state", "emptyDir": {}}, {"name": "conf", "configMap": {"name": "conf"}}]}}]});
        cluster.apply(&objects.to_string()).unwrap();
        let log = || {
            cluster
                .kubectl(&["logs", "pod/web", "-n", n, "-c", "certdrift", "--tail=-1"])
                .unwrap_or_else(|e| format!("{e:#}"))
        };
        cluster.wait(n, "pod/web", "condition=Ready", LONG).unwrap_or_else(|e| panic!("{e:#}\n{}", log()));
        stored(&cluster, n);
        // A change of the pod, so that the kubelet looks after its mounts now.
        let mut nudged = 0;
        wait::until("the remedy to be proven on the wire", PATIENCE.max(LONG), || {
            nudged += 1;
            if nudged % 20 == 1 {
                let note = format!("nudged={nudged}");
                let _ = cluster.kubectl(&["annotate", "pod/web", "-n", n, "--overwrite", &note]);
            }
            let said = log();
            let healed = said.contains("remedy started") && said.contains("file-not-reloaded");
            if healed && said.lines().any(|l| l.contains("proven on the wire") && l.contains("reload")) {
                Ok(())
            } else {
                Err(said)
            }
        });
        let restarts = "jsonpath={.status.containerStatuses[*].restartCount}";
        assert_eq!(cluster.kubectl(&["get", "pod/web", "-n", n, "-o", restarts]).unwrap().trim(), "0 0");
    });
}
