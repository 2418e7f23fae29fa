//! What tests of the controller beside a real API server share: objects, a controller, and what it has published.
pub(crate) mod account;
pub(crate) mod gateway;
pub(crate) mod kong;
pub(crate) mod proxy;

use certdrift_cluster::Cluster;
use certdrift_contract::ledger::Content;
use certdrift_contract::{Fingerprint, Ledger, Revision};
use certdrift_harness::controller::Controller;
use certdrift_harness::wait;
use rcgen::{CertificateParams, KeyPair};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A certificate for a host, as PEM, its key, and its fingerprint.
pub(crate) fn made(host: &str) -> (String, String, Fingerprint) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem(), Fingerprint::of(certificate.der()))
}

/// A TLS Secret with a new certificate for a host, and its fingerprint.
pub(crate) fn secret(namespace: &str, name: &str, host: &str) -> (String, Fingerprint) {
    let (certificate, key, leaf) = made(host);
    (secret_of(namespace, name, &certificate, &key), leaf)
}

/// A TLS Secret with this certificate.
pub(crate) fn secret_of(namespace: &str, name: &str, certificate: &str, key: &str) -> String {
    serde_json::json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace}, "stringData": {"tls.crt": certificate, "tls.key": key}})
    .to_string()
}

/// An Ingress of class `kong` that binds a host to a Secret.
pub(crate) fn ingress(namespace: &str, host: &str, secret: &str) -> String {
    serde_json::json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": namespace},
        "spec": {"ingressClassName": "kong", "tls": [{"hosts": [host], "secretName": secret}],
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
    .to_string()
}

/// Runs a test in the network of the cluster that all tests share: the controllers it starts are there, too.
pub(crate) fn inside(test: impl FnOnce(Cluster) + Send + 'static) {
    inside_of(Cluster::api_only().unwrap(), test);
}

/// Runs a test in a cluster's network.
pub(crate) fn inside_of(cluster: Cluster, test: impl FnOnce(Cluster) + Send + 'static) {
    // Built outside, where the network is.
    xtask::build::certdrift().unwrap();
    let run = std::thread::spawn(move || {
        cluster.enter().unwrap();
        test(cluster);
    });
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The sections of a controller whose own namespace is this one, and which looks no further. `more` are further keys.
pub(crate) fn sections(cluster: &Cluster, namespace: &str, more: &str) -> String {
    sections_of(&cluster.kubeconfig(), namespace, more)
}

/// As [`sections`], by a kubeconfig of its own.
pub(crate) fn sections_of(kubeconfig: &Path, namespace: &str, more: &str) -> String {
    let kubeconfig = kubeconfig.display();
    format!(
        "kubernetes: {{kubeconfig: {kubeconfig}, namespace: {namespace}, reach: namespaces, namespaces: [{namespace}]{more}}}"
    )
}

/// Writes a kubeconfig by which the administrator speaks for this user, whom the audit log then names.
pub(crate) fn kubeconfig_as(cluster: &Cluster, folder: &Path, user: &str) -> PathBuf {
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = user.into();
    config["users"][0]["user"]["as-groups"] = serde_json::json!(["system:masters"]);
    let file = folder.join(format!("{user}.kubeconfig"));
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// A gateway named `kong` for a controller's configuration, that heals by posting to `gateway`.
pub(crate) fn healing(namespace: &str, gateway: &gateway::Gateway) -> String {
    format!(
        "- name: kong
  kubernetes: {{namespace: {namespace}, bindings: {{kong_ingress: {{namespaces: [{namespace}]}}}}}}
  endpoints: [{{name: a, address: \"{}\", workers: 1}}]
  publish: {{grace: 1s}}
  observe: {{per_second: 200}}
  policy: {{mode: heal, grace: 1s, settle: 1s, prove_within: 7s, min_interval: 1s,
    remedies: [{{name: mend, timeout: 2s, webhook: {{url: \"http://{}/mend\"}}}}]}}
",
        gateway.address, gateway.hook
    )
}

/// Starts a controller with one gateway, `kong`, whose Ingresses and ConfigMaps are in this namespace.
pub(crate) fn start(namespace: &str, sections: &str) -> Controller {
    let gateway = format!(
        "- name: kong\n  kubernetes: {{namespace: {namespace}, bindings: {{kong_ingress: {{namespaces: [{namespace}]}}}}}}\n  endpoints: [{{name: none, address: \"127.0.0.1:9\"}}]\n"
    );
    Controller::start_with(sections, &gateway).unwrap()
}

/// Gives `x.example` another certificate, in the Secret `s`.
pub(crate) fn renewed(cluster: &Cluster, namespace: &str) -> Fingerprint {
    let (object, leaf) = secret(namespace, "s", "x.example");
    cluster.apply(&object).unwrap();
    leaf
}

/// Waits until the ConfigMap expects exactly this of `x.example`.
#[track_caller]
pub(crate) fn until_published(
    cluster: &Cluster,
    namespace: &str,
    leaf: Fingerprint,
    within: Duration,
    controller: &Controller,
) {
    wait::until("it to be published", within, || match published(cluster, namespace, "kong") {
        Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(()),
        other => Err(format!("{other:#?}\n{}", controller.log())),
    });
}

/// What a gateway's ConfigMap says.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) text: String,
    ledger: Ledger,
}

/// What a gateway's ConfigMap says now.
pub(crate) fn published(cluster: &Cluster, namespace: &str, gateway: &str) -> anyhow::Result<Published> {
    let object = cluster.get(namespace, &format!("configmap/certdrift-ledger-{gateway}"))?;
    let text = object["data"]["ledger.json"].as_str().unwrap_or_default().to_owned();
    let ledger = Ledger::parse(text.as_bytes(), &certdrift_contract::json::Limits::default())?;
    Ok(Published { text, ledger })
}

impl Published {
    pub(crate) fn revision(&self) -> Revision {
        self.ledger.revision
    }

    fn entry(&self, host: &str) -> Option<&certdrift_contract::Entry> {
        let Content::Entries(entries) = &self.ledger.content else { return None };
        entries.iter().map(AsRef::as_ref).find(|e| e.hosts.iter().any(|h| h.as_str() == host))
    }

    /// What is expected of a host.
    pub(crate) fn current(&self, host: &str) -> Vec<Fingerprint> {
        self.entry(host).into_iter().flat_map(|e| e.current.iter().map(|c| c.sha256)).collect()
    }

    /// What is on its way.
    pub(crate) fn incoming(&self, host: &str) -> Vec<Fingerprint> {
        self.entry(host).into_iter().flat_map(|e| e.incoming.iter().map(|c| c.sha256)).collect()
    }

    /// Its predecessors.
    pub(crate) fn retiring(&self, host: &str) -> Vec<Fingerprint> {
        self.entry(host).into_iter().flat_map(|e| e.retiring.iter().map(|c| c.sha256)).collect()
    }
}
