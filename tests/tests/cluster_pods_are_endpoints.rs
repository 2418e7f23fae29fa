//! Pods beside a real API server, and a real nginx in each: who comes is looked at, at once, who goes is forgotten.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_tests::certs::{Ca, Leaf, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::process::free_port;
use certdrift_tests::wait;
use cluster::{ingress, inside, sections};
use serde_json::{Value, json};

const HOST: &str = "x.example";

/// A gateway's pod: an object of the API, and an nginx on this machine.
struct Pod<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    name: &'a str,
    _nginx: Nginx,
    _folder: tempfile::TempDir,
}

impl<'a> Pod<'a> {
    /// It serves this certificate.
    fn start(cluster: &'a Cluster, namespace: &'a str, name: &'a str, leaf: &Leaf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        leaf.write(folder.path(), "tls").unwrap();
        let (port, tls) = (free_port(), folder.path().display());
        let nginx = Nginx::with_workers(1)
            .server(&format!(
                "listen 127.0.0.1:{port} ssl; ssl_certificate {tls}/tls.crt; ssl_certificate_key {tls}/tls.key; return 200;"
            ))
            .start()
            .unwrap();
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace,
                "labels": {"app": "kong"}, "annotations": {"certdrift.dev/port": port.to_string()}},
            "spec": {"containers": [{"name": "kong", "image": "kong"}], "automountServiceAccountToken": false}});
        cluster.apply(&object.to_string()).unwrap();
        let status =
            json!({"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}});
        let (pod, status) = (format!("pod/{name}"), status.to_string());
        cluster
            .kubectl(&[
                "patch",
                &pod,
                "-n",
                namespace,
                "--subresource=status",
                "--type=merge",
                "--patch",
                &status,
            ])
            .unwrap();
        Self { cluster, namespace, name, _nginx: nginx, _folder: folder }
    }

    fn endpoint(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let name = format!("pod/{}", self.name);
        let _ = self.cluster.kubectl(&["delete", &name, "-n", self.namespace, "--grace-period=0", "--force"]);
    }
}

/// Waits until status shows these endpoints, in this order, and the host so on each.
#[track_caller]
fn until_seen(controller: &Controller, wanted: &[(String, &str)]) {
    wait::until("status to show it", PATIENCE, || {
        let (_, state) = controller.status().map_err(|e| format!("{e:#}\n{}", controller.log()))?;
        let gateway = &state["gateways"][0];
        let names = |list: &Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .map(|e| e["name"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        let seen: Vec<(String, &str)> = gateway["hosts"][0]["seen"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|s| {
                (
                    s["endpoint"].as_str().unwrap_or_default().to_owned(),
                    s["verdict"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        let endpoints: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
        if names(&gateway["endpoints"]) == endpoints && seen == wanted {
            Ok(())
        } else {
            Err(format!("{gateway:#}"))
        }
    });
}

#[test]
fn pods_are_looked_at_as_soon_as_they_come_and_forgotten_when_they_go() {
    inside(|cluster| {
        let namespace = cluster.namespace("pods").unwrap();
        let n = namespace.name();
        let ca = Ca::new("certdrift test CA").unwrap();
        let (old, new) = (ca.issue(&wish(&[HOST])).unwrap(), ca.issue(&wish(&[HOST])).unwrap());
        let store = |leaf: &Leaf| {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": {"name": "s", "namespace": n}, "stringData": {"tls.crt": leaf.chain_pem(), "tls.key": leaf.key_pem}});
            cluster.apply(&secret.to_string()).unwrap();
        };
        store(&old);
        cluster.apply(&ingress(n, HOST, "s")).unwrap();
        let gateway = format!(
            "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}, pods: {{labels: {{app: kong}}}}}}\n  publish: {{grace: 1s}}\n"
        );
        let controller = Controller::start_with(&sections(&cluster, n, ""), &gateway).unwrap();
        wait::until("nobody to be told", PATIENCE, || match controller.log() {
            log if log.contains("CD-340") => Ok(()),
            log => Err(log),
        });
        let a = Pod::start(&cluster, n, "a", &old);
        until_seen(&controller, &[(a.endpoint(), "match")]);
        store(&new);
        until_seen(&controller, &[(a.endpoint(), "drift")]);
        let b = Pod::start(&cluster, n, "b", &new);
        until_seen(&controller, &[(a.endpoint(), "drift"), (b.endpoint(), "match")]);
        drop(a);
        until_seen(&controller, &[(b.endpoint(), "match")]);
        let (_, state) = controller.status().unwrap();
        assert_eq!(state["gateways"][0]["findings"], json!([]), "{state:#}");
    });
}
