//! Of the images: ours and both gateways run as pods that are not root.
use crate::PATIENCE;
use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, Namespace};
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::wait;
use serde_json::{Value, json};

/// A pod of one container, with what `more` adds to its specification.
fn pod(cluster: &Cluster, namespace: &Namespace, picture: Picture, container: &Value, volumes: &Value) {
    let mut whole = json!({
        "name": "main",
        "image": cluster.image(picture).unwrap(),
        "imagePullPolicy": "Never",
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    for (key, value) in container.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let metadata = json!({"name": "main", "namespace": namespace.name()});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": volumes,
        "containers": [whole],
    }});
    cluster.apply(&pod.to_string()).unwrap();
}

fn waited(cluster: &Cluster, namespace: &Namespace, what: &str) {
    if let Err(error) = cluster.wait(namespace.name(), "pod/main", what, PATIENCE) {
        let seen = cluster.kubectl(&["describe", "pod/main", "--namespace", namespace.name()]);
        let logs = cluster.kubectl(&["logs", "main", "--namespace", namespace.name()]);
        panic!("{error}\n{}\n{logs:?}", seen.unwrap_or_default());
    }
}

#[test]
fn certdrift_runs_in_a_pod() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("ours").unwrap();
    pod(&cluster, &namespace, Picture::Certdrift, &json!({"args": ["--version"]}), &json!([]));
    waited(&cluster, &namespace, "jsonpath={.status.phase}=Succeeded");
    let said = cluster.kubectl(&["logs", "main", "--namespace", namespace.name()]).unwrap();
    assert!(said.starts_with("certdrift "), "{said}");
}

#[test]
fn nginx_serves_a_secret_and_its_tap_tells_what_it_served() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("nginx").unwrap();
    let leaf = Ca::new("gateway").unwrap().issue(&wish(&["web.example.com"])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = leaf.write(folder.path(), "web").unwrap();
    let files = [format!("--cert={}", certificate.display()), format!("--key={}", key.display())];
    cluster
        .kubectl(&["create", "secret", "tls", "web", &files[0], &files[1], "--namespace", namespace.name()])
        .unwrap();
    let container = json!({
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tls", "mountPath": "/etc/certdrift-tls"}],
    });
    pod(
        &cluster,
        &namespace,
        Picture::Nginx,
        &container,
        &json!([{"name": "tls", "secret": {"secretName": "web"}}]),
    );
    waited(&cluster, &namespace, "condition=Ready");
    let address =
        cluster.get(namespace.name(), "pod/main").unwrap()["status"]["podIP"].as_str().unwrap().to_owned();

    let resolve = format!("web.example.com:8443:{address}");
    let arguments = ["--silent", "--insecure", "--resolve", &resolve, "https://web.example.com:8443/"];
    let said = cluster.command("curl").unwrap().args(arguments).output().unwrap();
    assert_eq!(said.stdout, b"hello\n", "{said:?}");
    let tap =
        ["exec", "main", "--namespace", namespace.name(), "--", "wget", "-qO-", "http://127.0.0.1:8787/tap"];
    let fingerprint = leaf.fingerprint.to_string();
    wait::until("the fingerprint in the tap's report", PATIENCE, || match cluster.kubectl(&tap) {
        Ok(report) if report.contains(&fingerprint) => Ok(()),
        other => Err(other),
    });
}

#[test]
fn envoy_runs_the_filter() {
    let cluster = Cluster::shared().unwrap();
    let namespace = cluster.namespace("envoy").unwrap();
    let configuration = r#"
static_resources:
  listeners:
  - name: http
    address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [
            {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "hello\n"}}}]}]}
          http_filters:
          - name: envoy.filters.http.wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: certdrift
                root_id: certdrift
                vm_config:
                  vm_id: certdrift
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: /etc/envoy/certdrift.wasm}}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: '{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "ledger", "path": "/ledger/edge"}]}}'
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - {name: ledger, type: STATIC, load_assignment: {cluster_name: ledger, endpoints: [{lb_endpoints: [
      {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9}}}}]}]}}
"#;
    let metadata = json!({"name": "envoy", "namespace": namespace.name()});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"envoy.yaml": configuration}});
    cluster.apply(&map.to_string()).unwrap();
    let container = json!({
        "args": ["--config-path", "/etc/envoy-configuration/envoy.yaml", "--disable-hot-restart", "--concurrency", "2"],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/envoy-configuration"}],
    });
    let volumes = json!([{"name": "configuration", "configMap": {"name": "envoy"}}]);
    pod(&cluster, &namespace, Picture::Envoy, &container, &volumes);
    waited(&cluster, &namespace, "condition=Ready");
    // The filter answers health on loopback.
    let livez = [
        "exec",
        "main",
        "--namespace",
        namespace.name(),
        "--",
        "wget",
        "-qO-",
        "http://127.0.0.1:8080/certdrift/livez",
    ];
    wait::until("the filter's word that it lives", PATIENCE, || match cluster.kubectl(&livez) {
        Ok(said) if said != "hello" && !said.is_empty() => Ok(()),
        other => Err(other),
    });
}
