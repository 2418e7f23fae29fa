//! What the cluster holds: TLS Secrets of 10 KB, Ingresses that bind them, and other Secrets between them.
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use certdrift::cluster::call::{Call, Refusal};
use certdrift_contract::Fingerprint;
use certdrift_harness::certs::{Ca, Leaf, wish};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

pub(super) const NAMESPACE: &str = "bench";
/// Bytes of a Secret, as JSON.
const SECRET_BYTES: usize = 10 << 10;
/// Hosts of an Ingress.
const INGRESS_HOSTS: usize = 10;
/// Requests under way at a time.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn name(n: usize) -> String {
    format!("t{n:05}")
}

fn host(n: usize) -> String {
    format!("h{n:05}.example.com")
}

/// The data of a Secret, filled up with what cert-manager puts beside the certificate.
fn data(leaf: &Leaf, bytes: usize) -> Value {
    let encoded = |text: &str| BASE64.encode(text);
    let (certificate, key) = (format!("{}{}", leaf.pem, leaf.issuer_pem), leaf.key_pem.clone());
    let left = bytes.saturating_sub(4 * (certificate.len() + key.len()) / 3 + 300);
    let bundle: String = leaf.issuer_pem.chars().cycle().take(left * 3 / 4).collect();
    json!({"tls.crt": encoded(&certificate), "tls.key": encoded(&key), "ca.crt": encoded(&bundle)})
}

/// A TLS Secret with a new certificate.
fn secret(ca: &Ca, n: usize) -> Result<(Value, Fingerprint)> {
    let leaf = ca.issue(&wish(&[&host(n)]))?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name(n), "namespace": NAMESPACE}, "data": data(&leaf, SECRET_BYTES)});
    Ok((secret, leaf.fingerprint))
}

fn other(n: usize) -> Value {
    let data = BASE64.encode("x".repeat(SECRET_BYTES * 3 / 4));
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": format!("other-{n:04}"), "namespace": NAMESPACE}, "data": {"of": data}})
}

fn ingress(first: usize) -> Value {
    let tls: Vec<Value> =
        (first..first + INGRESS_HOSTS).map(|n| json!({"hosts": [host(n)], "secretName": name(n)})).collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": format!("i{first:05}"), "namespace": NAMESPACE},
        "spec": {"ingressClassName": "kong", "tls": tls,
            "defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}})
}

/// Sends them all, some at a time.
async fn all(client: &kube::Client, calls: impl IntoIterator<Item = Result<Call>>) -> Result<()> {
    let mut under_way: JoinSet<Result<IgnoredAny, Refusal>> = JoinSet::new();
    for call in calls {
        let (call, client) = (call?, client.clone());
        under_way.spawn(async move { call.send(&client, PATIENCE).await });
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await.context("one")???;
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

fn create(path: &str, body: &Value) -> Call {
    Call::json(http::Method::POST, path.to_owned(), body)
}

fn secrets() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets")
}

/// The namespace, the class, and Secrets that are nobody's certificate.
pub(super) async fn begin(client: &kube::Client, others: usize) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "kong"},
        "spec": {"controller": "ingress-controllers.konghq.com/kong"}});
    let first = [
        Ok(create("/api/v1/namespaces", &namespace)),
        Ok(create("/apis/networking.k8s.io/v1/ingressclasses", &class)),
    ];
    all(client, first).await?;
    all(client, (0..others).map(|n| Ok(create(&secrets(), &other(n))))).await
}

/// TLS Secrets with these numbers, and their Ingresses.
pub(super) async fn fill(client: &kube::Client, ca: &Ca, numbers: std::ops::Range<usize>) -> Result<()> {
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses");
    let (from, to) = (numbers.start, numbers.end);
    all(client, numbers.map(|n| Ok(create(&secrets(), &secret(ca, n)?.0)))).await?;
    all(client, (from..to).step_by(INGRESS_HOSTS).map(|first| Ok(create(&path, &ingress(first))))).await
}

/// A renewal that is still to be sent.
pub(super) struct Renewal {
    call: Call,
    pub(super) leaf: Fingerprint,
}

pub(super) fn renewal(ca: &Ca, n: usize) -> Result<Renewal> {
    let (mut secret, leaf) = secret(ca, n)?;
    let body = json!({"data": secret.get_mut("data").map(Value::take)});
    Ok(Renewal { call: Call::merge(format!("{}/{}", secrets(), name(n)), &body), leaf })
}

impl Renewal {
    pub(super) async fn send(self, client: &kube::Client) -> Result<()> {
        self.call.send::<IgnoredAny>(client, PATIENCE).await?;
        Ok(())
    }
}

/// Sends them together.
pub(super) async fn together(client: &kube::Client, renewals: Vec<Renewal>) -> Result<()> {
    all(client, renewals.into_iter().map(|renewal| Ok(renewal.call))).await
}

/// What the gateway's ConfigMaps say now, all of them.
pub(super) async fn published(client: &kube::Client) -> Result<String> {
    let uri =
        format!("/api/v1/namespaces/{NAMESPACE}/configmaps?labelSelector=certdrift.dev%2Fgateway%3Dkong");
    let list: Box<serde_json::value::RawValue> = Call::get(uri).send(client, PATIENCE).await?;
    Ok(list.get().to_owned())
}

/// As if there had never been a controller.
pub(super) async fn forget(client: &kube::Client) -> Result<()> {
    let collection = |path: &str| Call::json(http::Method::DELETE, path.to_owned(), &json!({}));
    let maps =
        format!("/api/v1/namespaces/{NAMESPACE}/configmaps?labelSelector=certdrift.dev%2Fgateway%3Dkong");
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
    all(client, [Ok(collection(&maps)), Ok(collection(&leases))]).await
}
