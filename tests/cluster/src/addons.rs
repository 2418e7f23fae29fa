//! What a cluster can be given: the definitions of cert-manager and of the Gateway API, and cert-manager itself.
use crate::cluster::Cluster;
use crate::image::Picture;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xtask::tools::{self, Tool};

/// Starting its pods takes seconds; on a machine that is busy, a minute.
const PATIENCE: Duration = Duration::from_secs(180);
/// The namespace of cert-manager, as its documentation has it.
pub const CERT_MANAGER: &str = "cert-manager";

impl Cluster {
    /// Gives the cluster cert-manager's custom resources, if it has them not.
    ///
    /// # Errors
    /// Its module cannot be had, or the API server refuses.
    pub fn cert_manager_crds(&self) -> Result<()> {
        self.once("cert-manager-crds", || {
            self.definitions(&cert_manager_module()?.join("deploy/crds"), |_| true)
        })
    }

    /// Gives the cluster the Gateway API's standard channel, if it has it not: Gateways, routes, ListenerSets,
    /// ReferenceGrants.
    ///
    /// # Errors
    /// As [`Cluster::cert_manager_crds`].
    pub fn gateway_api_crds(&self) -> Result<()> {
        self.once("gateway-api-crds", || {
            let module = tools::go_module("gateway-api", "sigs.k8s.io/gateway-api")?;
            self.definitions(&module.join("config/crd/standard"), |_| true)
        })
    }

    /// Gives the cluster what Prometheus' operator watches of a chart: PodMonitors, ServiceMonitors, PrometheusRules.
    ///
    /// # Errors
    /// As [`Cluster::cert_manager_crds`].
    pub fn prometheus_operator_crds(&self) -> Result<()> {
        self.once("prometheus-operator-crds", || {
            let module = tools::go_module(
                "prometheus-operator",
                "github.com/prometheus-operator/prometheus-operator",
            )?;
            self.definitions(&module.join("example/prometheus-operator-crd"), |file| {
                ["podmonitors", "servicemonitors", "prometheusrules"].iter().any(|kind| file.contains(kind))
            })
        })
    }

    /// Installs cert-manager by its own chart, if it is not there: controller and webhook as pods, with the chart's roles.
    /// Two ClusterIssuers come with it: `selfsigned`, and `ca`, which signs with a CA of its own.
    ///
    /// # Errors
    /// It cannot be had or does not become ready.
    pub fn cert_manager(&self) -> Result<()> {
        self.cert_manager_crds()?;
        self.once("cert-manager", || {
            for picture in [Picture::CertManager, Picture::CertManagerWebhook] {
                self.image(picture)?;
            }
            self.apply(
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CERT_MANAGER}})
                    .to_string(),
            )?;
            self.apply(&cert_manager_chart()?)?;
            for deployment in ["cert-manager", "cert-manager-webhook"] {
                self.wait(
                    CERT_MANAGER,
                    &format!("deployment/{deployment}"),
                    "condition=Available",
                    PATIENCE,
                )?;
            }
            self.trust_webhook()?;
            self.apply(&issuers())?;
            self.wait(CERT_MANAGER, "clusterissuer/ca", "condition=Ready", PATIENCE)
        })
    }

    /// Hands the API server the CA by which it knows the webhook. In production cert-manager's cainjector does that; it is
    /// left out here.
    fn trust_webhook(&self) -> Result<()> {
        let secret = self.get(CERT_MANAGER, "secret/cert-manager-webhook-ca")?;
        let authority = secret.pointer("/data/ca.crt").and_then(Value::as_str).context("the webhook's CA")?;
        let patch = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": authority}])
            .to_string();
        for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
            self.kubectl(&["patch", kind, "cert-manager-webhook", "--type=json", "--patch", &patch])?;
        }
        Ok(())
    }

    /// Applies the custom resource definitions in those files of a folder and waits until the API serves them. By
    /// server-side apply: some are too long for kubectl's own annotation.
    fn definitions(&self, folder: &Path, those: impl Fn(&str) -> bool) -> Result<()> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        files.retain(|file| {
            file.extension().is_some_and(|end| end == "yaml")
                && file.file_name().is_some_and(|name| those(&name.to_string_lossy()))
        });
        files.sort();
        let mut all = String::new();
        for file in files {
            let text = fs::read_to_string(&file)?;
            if text.contains("kind: CustomResourceDefinition") {
                all.push_str("\n---\n");
                all.push_str(&text);
            }
        }
        self.apply(&all)?;
        let arguments = ["wait", "--for=condition=Established", "--timeout=60s", "--filename=-"];
        self.kubectl_with(&arguments, &all).map(drop)
    }

    /// Does `work` unless it has been done in this cluster; several processes may ask at once.
    fn once(&self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let done = self.place().at(&format!("{name}.done"));
        let _held: File = xtask::cache::lock_file(&self.place().at(&format!(".{name}.lock")))?;
        if done.exists() {
            return Ok(());
        }
        work().with_context(|| format!("installing {name}"))?;
        fs::write(done, "")?;
        Ok(())
    }
}

fn cert_manager_module() -> Result<PathBuf> {
    tools::go_module("cert-manager", "github.com/cert-manager/cert-manager")
}

/// The chart that is in cert-manager's module, rendered with our images. Its roles are exactly the chart's.
fn cert_manager_chart() -> Result<String> {
    let values = json!({
        "crds": {"enabled": false},
        "cainjector": {"enabled": false},
        "startupapicheck": {"enabled": false},
        "image": image(Picture::CertManager),
        "webhook": {"image": image(Picture::CertManagerWebhook)},
    });
    let folder = std::env::temp_dir().join(format!("certdrift-values-{}.json", std::process::id()));
    fs::write(&folder, values.to_string())?;
    let mut helm = Command::new(tools::find(Tool::Helm)?);
    helm.args([
        "template",
        "cert-manager",
        "--namespace",
        CERT_MANAGER,
        "--kube-version",
        "1.37.2",
        "--values",
    ]);
    helm.arg(&folder).arg(cert_manager_module()?.join("deploy/charts/cert-manager"));
    let rendered = xtask::workspace::output(&mut helm);
    let _ = fs::remove_file(folder);
    rendered
}

/// An image as the chart's values want it.
fn image(picture: Picture) -> Value {
    let (repository, tag) = picture.name().split_once(':').unwrap_or((picture.name(), "latest"));
    json!({"repository": repository, "tag": tag, "pullPolicy": "Never"})
}

fn issuers() -> String {
    let issuer = |name: &str, spec: Value| json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": name}, "spec": spec});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        issuer("selfsigned", json!({"selfSigned": {}})),
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
         "metadata": {"name": "ca", "namespace": CERT_MANAGER},
         "spec": {"isCA": true, "commonName": "certdrift test CA", "secretName": "ca", "duration": "87600h",
                  "privateKey": {"algorithm": "ECDSA", "size": 256},
                  "issuerRef": {"name": "selfsigned", "kind": "ClusterIssuer"}}},
        issuer("ca", json!({"ca": {"secretName": "ca"}})),
    ]})
    .to_string()
}
