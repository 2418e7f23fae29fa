//! A gateway whose pods are as many are: Wasm off, a kubelet that asks `healthz`, nobody who renews the default
//! certificate, an Ingress that binds nothing.
use super::cluster::inside_of;
use super::installed::{Installed, kubelet_says};
use certdrift_cluster::{Cluster, Kind, Own};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::process::free_port;
use serde_json::{Value, json};

const STATUS: &str = r#"{"memory": {"workers_lua_vms": [{"pid": 4711}]}}"#;

fn probe() -> Value {
    json!({"httpGet": {"path": "/certdrift/healthz", "port": 8000}})
}

/// The Deployment `kong` and its pod, which the kubelet that is not there says runs on this machine.
fn kong(cluster: &Cluster, n: &str) {
    let container = json!({"name": "proxy", "image": "kong:3.9.1", "livenessProbe": probe()});
    let template = json!({"metadata": {"labels": {"app": "kong"}, "annotations": {"certdrift.dev/port": "9"}},
        "spec": {"automountServiceAccountToken": false, "containers": [container]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kong", "namespace": n},
        "spec": {"selector": {"matchLabels": {"app": "kong"}}, "template": template}});
    cluster.apply(&deployment.to_string()).unwrap();
    kubelet_says(cluster, n, "app=kong", true);
}

/// What the ingress controller passes over in silence, and what it cannot load.
fn ingresses(cluster: &Cluster, n: &str) {
    let ingress = |name: &str, tls: Value| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": n},
            "spec": {"ingressClassName": "kong", "tls": [tls], "defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}})
    };
    for object in [
        ingress("no-hosts", json!({"secretName": "s"})),
        ingress("no-secret", json!({"secretName": "none", "hosts": ["y.example"]})),
    ] {
        cluster.apply(&object.to_string()).unwrap();
    }
}

#[test]
fn what_is_wrong_with_a_gateway_and_its_bindings_is_named_pod_by_pod_and_object_by_object() {
    let own = Own::start("doctorgw", Kind::ApiOnly).unwrap();
    own.cert_manager_crds().unwrap();
    inside_of((*own).clone(), |cluster| {
        let (own, gateway) = (cluster.namespace("own").unwrap(), cluster.namespace("gw").unwrap());
        let (n, port) = (gateway.name(), free_port());
        let nginx = Nginx::with_workers(1)
            .server(&format!("listen 127.0.0.1:{port}; location = /status {{ return 200 '{STATUS}'; }} location / {{ return 404; }}"))
            .start()
            .unwrap();
        let mut installed = Installed::new(&cluster, own.name(), n);
        installed.more = format!(
            ", pods: {{labels: {{app: kong}}, status: {{port: {port}, path: /status}}, tap: {{port: {port}, path: /tap}}, report: /certdrift/report}}"
        );
        installed.install();
        let said = installed.doctor(&["--only", "pods"]);
        assert_eq!(said.one("pods")["code"], "CD-340", "{said:#?}");
        kong(&cluster, n);
        ingresses(&cluster, n);
        let said = installed.doctor(&["--only", "gateway,bindings,version-gateway"]);
        assert_eq!(said.code, Some(1));
        for (check, state, code) in [
            ("version-gateway", "passed", None),
            ("pods", "passed", None),
            ("wasm", "failed", Some("CD-602")),
            ("tap-include", "failed", Some("CD-603")),
            ("status", "passed", None),
            // Nothing listens on its TLS port.
            ("filter", "unknown", None),
            ("tap-report", "failed", Some("CD-604")),
            ("probes", "failed", Some("CD-601")),
            ("default-certificate", "warning", Some("CD-608")),
        ] {
            let line = said.one(check);
            assert_eq!(
                (line["state"].as_str(), line["code"].as_str()),
                (Some(state), code),
                "{check}: {said:#?}"
            );
        }
        let skipped: Vec<(&str, &str)> = said
            .of("skipped-bindings")
            .iter()
            .map(|line| (line["code"].as_str().unwrap(), line["object"].as_str().unwrap()))
            .collect();
        let object = |name: &str| format!("Ingress {n}/{name}");
        assert_eq!(
            skipped,
            [("CD-150", &*object("no-hosts")), ("CD-152", &*object("no-secret"))],
            "{said:#?}"
        );
        assert_eq!(said.one("wasm")["object"], format!("deployment/kong in {n}"));
        installed.do_as_it_says(said.one("probes")["mend"].as_str().unwrap());
        let path = cluster.get(n, "deployment/kong").unwrap()["spec"]["template"]["spec"]["containers"][0]
            ["livenessProbe"]["httpGet"]["path"]
            .clone();
        assert_eq!(path, "/certdrift/livez");
        drop(nginx);
        let said = installed.doctor(&["--only", "status"]);
        assert_eq!((said.code, &said.one("status")["state"]), (Some(2), &json!("unknown")), "{said:#?}");
        let mend = said.one("status")["mend"].as_str().unwrap();
        assert!(mend.contains(&format!("kubectl -n {} exec deploy/certdrift -- ", own.name())), "{mend}");
    });
}
