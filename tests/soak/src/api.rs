//! The API server, asked by the soak itself: as the administrator, without starting a program for each request.
use anyhow::{Context as _, Result};
use certdrift_cluster::Cluster;
use serde_json::{Value, json};

/// A client with a runtime of its own; made in the cluster's network.
pub(crate) struct Api {
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) client: kube::Client,
}

impl Api {
    /// Of a cluster whose network this thread is in.
    pub(crate) fn new(cluster: &Cluster) -> Result<Self> {
        let driver = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let runtime = driver.handle().clone();
        std::thread::spawn(move || driver.block_on(std::future::pending::<()>()));
        let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
        let client = runtime.block_on(async {
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
            anyhow::Ok(kube::Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Result<Value> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(body.map(|body| body.to_string().into_bytes()).unwrap_or_default())?;
        let answer = self.runtime.block_on(self.client.request::<Value>(request));
        answer.with_context(|| format!("{method} {path}"))
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, "application/json", None)
    }

    /// Makes or replaces, whoever else writes it.
    pub(crate) fn apply(&self, path: &str, object: &Value) -> Result<Value> {
        let uri = format!("{path}?fieldManager=soak&force=true");
        self.ask("PATCH", &uri, "application/apply-patch+yaml", Some(object))
    }

    /// Changes.
    pub(crate) fn merge(&self, path: &str, patch: &Value) -> Result<Value> {
        self.ask("PATCH", path, "application/merge-patch+json", Some(patch))
    }

    /// Deletes.
    pub(crate) fn delete(&self, path: &str) -> Result<Value> {
        self.ask("DELETE", path, "application/json", None)
    }

    /// A namespace; deleted by the cluster's end.
    pub(crate) fn namespace(&self, name: &str) -> Result<()> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply(&format!("/api/v1/namespaces/{name}"), &object).map(drop)
    }
}

/// Where a namespace's Secret is.
pub(crate) fn secret(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}

/// Where a namespace's Ingress is.
pub(crate) fn ingress(namespace: &str, name: &str) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}")
}

/// Where the ConfigMap of a gateway's ledger is.
pub(crate) fn ledger(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/certdrift-ledger-kong")
}

/// Where the Lease is.
pub(crate) fn lease(namespace: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/certdrift")
}
