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
    nginx: Nginx,
    folder: tempfile::TempDir,
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
            // No scheduler gives it to a node, whose kubelet would have its own word on its status.
            "spec": {"schedulerName": "nobody", "containers": [{"name": "kong", "image": "kong"}],
                "automountServiceAccountToken": false}});
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
        Self { cluster, namespace, name, nginx, folder }
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

/// Stores a certificate in the Secret `s`.
fn store(cluster: &Cluster, n: &str, leaf: &Leaf) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "s", "namespace": n}, "stringData": {"tls.crt": leaf.chain_pem(), "tls.key": leaf.key_pem}});
    cluster.apply(&secret.to_string()).unwrap();
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
        store(&cluster, n, &old);
        cluster.apply(&ingress(n, HOST, "s")).unwrap();
        let gateway = format!(
            "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}, pods: {{labels: {{app: kong}}}}}}\n  publish: {{grace: 1s}}\n  policy: {{grace: 1s}}\n"
        );
        let controller = Controller::start_with(&sections(&cluster, n, ""), &gateway).unwrap();
        wait::until("nobody to be told", PATIENCE, || match controller.log() {
            log if log.contains("CD-340") => Ok(()),
            log => Err(log),
        });
        let a = Pod::start(&cluster, n, "a", &old);
        until_seen(&controller, &[(a.endpoint(), "match")]);
        store(&cluster, n, &new);
        until_seen(&controller, &[(a.endpoint(), "drift")]);
        let b = Pod::start(&cluster, n, "b", &new);
        until_seen(&controller, &[(a.endpoint(), "drift"), (b.endpoint(), "match")]);
        wait::until("an Event on the pod that drifts", PATIENCE, || {
            let events =
                cluster.kubectl(&["get", "events", "-n", n, "-o", "wide"]).map_err(|e| e.to_string())?;
            let told = events.contains("CD-401") && events.contains("pod/a") && !events.contains("pod/b");
            if told { Ok(()) } else { Err(format!("{events}\n{}", controller.log())) }
        });
        drop(a);
        until_seen(&controller, &[(b.endpoint(), "match")]);
        let (_, state) = controller.status().unwrap();
        assert_eq!(state["gateways"][0]["findings"], json!([]), "{state:#}");
    });
}

#[test]
fn a_remedy_is_done_by_who_leads_and_its_intent_stands_on_the_lease_before() {
    inside(|cluster| {
        let namespace = cluster.namespace("fenced").unwrap();
        let n = namespace.name();
        let ca = Ca::new("certdrift test CA").unwrap();
        let (old, new) = (ca.issue(&wish(&[HOST])).unwrap(), ca.issue(&wish(&[HOST])).unwrap());
        store(&cluster, n, &old);
        cluster.apply(&ingress(n, HOST, "s")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (seen, pod) = (folder.path().join("lease.json"), Pod::start(&cluster, n, "a", &old));
        // What the remedy sees when it acts, and then the reload.
        let remedy = folder.path().join("remedy");
        let kubectl = format!("{} --kubeconfig {}", kubectl().display(), cluster.kubeconfig().display());
        let script = format!(
            "#!/bin/sh -e\n{kubectl} get lease certdrift -n {n} -o json > {}\ncp {new}/* {serves}/\nkill -HUP {}\n",
            seen.display(),
            pod.nginx.pid(),
            new = written(&new, folder.path()).display(),
            serves = pod.folder.path().display(),
        );
        std::fs::write(&remedy, script).unwrap();
        std::fs::set_permissions(&remedy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let gateway = format!(
            "- name: kong
  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}, pods: {{labels: {{app: kong}}}}}}
  publish: {{grace: 1s}}
  policy: {{mode: heal, grace: 1s, settle: 1s, min_interval: 1s, remedies: [{{name: reload, command: {{argv: [{}]}}}}]}}
",
            remedy.display()
        );
        let controller = Controller::start_with(&sections(&cluster, n, ""), &gateway).unwrap();
        until_seen(&controller, &[(pod.endpoint(), "match")]);
        store(&cluster, n, &new);
        until_seen(&controller, &[(pod.endpoint(), "drift")]);
        until_seen(&controller, &[(pod.endpoint(), "match")]);
        let lease: Value = serde_json::from_slice(&std::fs::read(&seen).unwrap()).unwrap();
        let intent = &lease["metadata"]["annotations"]["intent.certdrift.dev/kong"];
        // After the key that no other intent has.
        let meant = format!(": reload for {HOST} on {}", pod.endpoint());
        assert!(intent.as_str().is_some_and(|intent| intent.ends_with(&meant)), "{lease:#}");
        wait::until("the intent to be taken off", PATIENCE, || {
            let lease = cluster.get(n, "lease/certdrift").map_err(|e| e.to_string())?;
            let annotations = &lease["metadata"]["annotations"];
            if annotations["intent.certdrift.dev/kong"].is_null() { Ok(()) } else { Err(lease.to_string()) }
        });
    });
}

fn kubectl() -> std::path::PathBuf {
    xtask::tools::find(xtask::tools::Tool::Kubectl).unwrap()
}

/// A folder with the certificate as a pod has it.
fn written(leaf: &Leaf, folder: &std::path::Path) -> std::path::PathBuf {
    let tls = folder.join("tls");
    std::fs::create_dir(&tls).unwrap();
    leaf.write(&tls, "tls").unwrap();
    tls
}
