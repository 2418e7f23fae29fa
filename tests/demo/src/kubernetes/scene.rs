//! The scene: a cluster of its own, cert-manager, gateway pods with the stand-in for Kong's ingress controller, and
//! certdrift, installed by its chart.
use crate::show::Show;
use anyhow::{Context as _, Result};
use certdrift_cluster::image::Picture;
use certdrift_cluster::up::{ADDONS, tools};
use certdrift_cluster::{Cluster, GatewayPod, Kind, Kong, Own};
use serde_json::{Value, json};
use std::time::Duration;
use xtask::progress::Step;
use xtask::tools::{self as programs, Tool};
use xtask::workspace;

/// The name that the gateway serves.
pub(crate) const HOST: &str = "shop.example.com";
/// Of its Certificate, Secret and Ingress.
pub(crate) const SHOP: &str = "shop";
/// Of the gateway's pods.
pub(crate) const KONG: &str = "kong";
/// Of the controller.
pub(crate) const CERTDRIFT: &str = "certdrift";
/// On a machine that is busy, everything takes long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// `certdrift status`, where it runs.
pub(crate) const STATUS: &str =
    "kubectl -n certdrift exec deploy/certdrift -- /certdrift status --url https://127.0.0.1:9480";

/// Everything that runs. Dropped, it ends, and nothing is left.
pub(crate) struct Scene {
    pub(crate) kong: Kong,
    cluster: Own,
}

impl Scene {
    /// Sets it up; from then on this thread is in the cluster's network, and the show's commands with it.
    pub(crate) fn set(show: &mut Show) -> Result<Self> {
        for tool in tools(Kind::Node).iter().chain(&ADDONS) {
            programs::find(*tool)?;
        }
        let step =
            Step::start("starting a Kubernetes cluster: etcd, API server, controllers, kubelet, containerd");
        let cluster = Own::start("demo", Kind::Node)?;
        step.done("ready");
        show.interrupted()?;
        let step = Step::start(
            "cert-manager by its chart, and images for gateway, ingress controller and certdrift",
        );
        // Each waits for something else.
        std::thread::scope(|scope| {
            let images = scope.spawn(|| {
                [Picture::Gateway, Picture::Kic, Picture::Certdrift]
                    .into_iter()
                    .try_for_each(|picture| cluster.image(picture).map(drop))
            });
            cluster.cert_manager()?;
            images.join().unwrap_or_else(|_| anyhow::bail!("the images"))
        })?;
        step.done("ready");
        show.interrupted()?;
        let step = Step::start("a Certificate, its Ingress, two gateway pods; certdrift by its chart");
        cluster.apply(&namespaces())?;
        cluster.apply(&shop())?;
        let kong = cluster.kong(KONG, SHOP, 2)?;
        install(&cluster)?;
        kong.ready()?;
        cluster.wait(CERTDRIFT, "deployment/certdrift", "condition=Available", PATIENCE)?;
        step.done("ready");
        show.interrupted()?;
        let mut path = Vec::new();
        for tool in [Tool::Kubectl, Tool::Helm] {
            path.extend(programs::find(tool)?.parent().map(ToOwned::to_owned));
        }
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        show.set("PATH", std::env::join_paths(path)?);
        show.set("KUBECONFIG", cluster.kubeconfig().into());
        cluster.enter()?;
        Ok(Self { kong, cluster })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What certdrift knows of the gateway.
    pub(crate) fn state(&self, show: &Show) -> Result<Value> {
        let said = show.quietly(&format!("{STATUS} -o json 2>/dev/null"))?;
        let state: Value = serde_json::from_str(&said.output).with_context(|| said.output.clone())?;
        state.pointer("/gateways/0").cloned().context("no gateway")
    }

    /// The fingerprint of what is stored, as the API server has it.
    pub(crate) fn stored(&self) -> Result<String> {
        let secret = self.cluster.get(SHOP, "secret/web-tls")?;
        let pem = secret.pointer("/data/tls.crt").and_then(Value::as_str).context("tls.crt")?;
        let mut openssl = std::process::Command::new("sh");
        openssl.args([
            "-c",
            "echo \"$1\" | base64 -d | openssl x509 -outform DER | openssl dgst -sha256 -r | cut -c1-64",
            "-",
            pem,
        ]);
        workspace::output(&mut openssl)
    }

    /// Allows healing, with one remedy.
    pub(crate) fn heal(&self) -> Result<()> {
        let remedies = json!([{"name": "replace", "evict": {}}]);
        helm(&self.cluster, "upgrade", &json!({"grace": "5s", "mode": "heal", "remedies": remedies}))
    }

    pub(crate) fn pods(&self) -> Result<Vec<GatewayPod>> {
        self.kong.pods()
    }
}

fn namespaces() -> String {
    let token = || json!({"token": "the-token-of-the-demo-is-no-secret"});
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let secret = |namespace: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certdrift-tap", "namespace": namespace}, "stringData": token()});
    let mut kong = secret(KONG);
    kong["metadata"]["name"] = json!("certdrift-token");
    json!({"apiVersion": "v1", "kind": "List", "items":
        [namespace(SHOP), namespace(KONG), namespace(CERTDRIFT), secret(CERTDRIFT), kong]})
    .to_string()
}

/// What an application's team would have: renewed twice a minute, so that the show is short.
fn shop() -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "web", "namespace": SHOP},
         "spec": {"secretName": "web-tls", "dnsNames": [HOST], "duration": "1h", "renewBefore": "59m30s",
                  "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                  "issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": SHOP},
         "spec": {"ingressClassName": "kong", "tls": [{"hosts": [HOST], "secretName": "web-tls"}],
                  "rules": [{"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix",
                      "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}},
    ]})
    .to_string()
}

/// By the chart. The periods are short so that the show is.
fn install(cluster: &Cluster) -> Result<()> {
    helm(cluster, "install", &json!({"grace": "5s"}))
}

/// `helm VERB` with this policy.
fn helm(cluster: &Cluster, verb: &str, policy: &Value) -> Result<()> {
    let (repository, tag) = Picture::Certdrift.name().rsplit_once(':').context("the image's name")?;
    let values = json!({
        "reach": "namespaces", "namespaces": [SHOP], "replicas": 1,
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "gateways": [{
            "name": "kong",
            "kubernetes": {
                "namespace": KONG,
                "bindings": {"kong_ingress": {"class": "kong", "namespaces": [SHOP]}},
                "pods": {"labels": {"app": "kong"}, "status": {"port": 8100, "path": "/status"},
                    "tap": {"port": 8788, "path": "/tap"}, "token": {"file": "/etc/certdrift/tap/token"}},
            },
            "observe": {"poll": "1s"},
            "publish": {"grace": "1s"},
            "policy": policy,
        }],
        "volumes": [{"name": "tap", "secret": {"secretName": "certdrift-tap"}}],
        "volumeMounts": [{"name": "tap", "mountPath": "/etc/certdrift/tap", "readOnly": true}],
    });
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), values.to_string())?;
    let mut helm = cluster.command(programs::find(Tool::Helm)?)?;
    helm.args([verb, "certdrift", "--namespace", CERTDRIFT, "--values"]).arg(file.path());
    workspace::output(helm.arg(workspace::root().join("deploy/chart"))).map(drop)
}
