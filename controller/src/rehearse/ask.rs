//! Looks at a Certificate and at who issues it, and asks cert-manager to issue it once more: the condition `Issuing` in its
//! status, as cmctl renew sets it. Nothing is deleted, and no Secret is read or written.
use super::begin::{Issuer, Told, may_begin, trigger};
use crate::clock;
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, FIELD_MANAGER, Refusal};
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::converge::Millis;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Certificate, as it is before anything is asked.
#[derive(Clone, Debug)]
pub struct Looked {
    /// As the API server has it: the patch keeps what it does not know.
    raw: Value,
    /// As far as it is used.
    pub certificate: Certificate,
    /// Who issues it.
    pub issuer: Issuer,
}

/// Looks at it, and at its issuer.
///
/// # Errors
/// The Certificate cannot be read.
pub async fn look(client: &kube::Client, name: &ObjectName) -> Result<Looked, Refusal> {
    let raw: Value = Call::get(path(name)).send(client, PATIENCE).await?;
    let certificate: Certificate =
        serde_json::from_value(raw.clone()).map_err(|e| Refusal::Broken(e.to_string()))?;
    let issuer = issuer(client, &certificate).await;
    Ok(Looked { raw, certificate, issuer })
}

/// Asks for it once more, on the version that was looked at. `by`: who asks, for people who read the condition. Gives when.
///
/// # Errors
/// The API server refuses, or it was changed since. A broken connection: it may have been asked for all the same.
pub async fn ask(client: &kube::Client, looked: &Looked, by: &str) -> Result<Millis, Refusal> {
    let now = clock::now();
    let patch = trigger(&looked.raw, &now.seconds().to_string(), by);
    let name = looked.certificate.metadata.object();
    let call = Call::merge(format!("{}/status?fieldManager={FIELD_MANAGER}-rehearsal", path(&name)), &patch);
    call.send::<Value>(client, PATIENCE).await.map(|_| now)
}

/// Looks, and asks where that may be done. Gives when; or why not, and what to do about it.
///
/// # Errors
/// It may not be asked for, or the API server refuses.
pub async fn rotate(
    client: &kube::Client,
    name: &ObjectName,
    told: Told,
) -> Result<Millis, (String, String)> {
    let refused = |refusal: Refusal| {
        let mend = match &refusal {
            Refusal::Forbidden(_) => "grant certdrift's account the rows of docs/permissions.md for a canary",
            Refusal::Absent(_) => "see that the Certificate is there: chart value canary.enabled",
            _ => "it is asked again in a minute",
        };
        (refusal.to_string(), mend.to_owned())
    };
    let looked = look(client, name).await.map_err(refused)?;
    may_begin(&looked.certificate, &looked.issuer, &[], told)?;
    ask(client, &looked, "certdrift's canary").await.map_err(refused)
}

/// The Certificate as it is now; none where it cannot be read.
pub async fn certificate(client: &kube::Client, name: &ObjectName) -> Option<Certificate> {
    Call::get(path(name)).send(client, PATIENCE).await.ok()
}

#[derive(Deserialize)]
struct List {
    items: Vec<CertificateRequest>,
}

/// All requests of a namespace, as far as they can be read.
pub async fn requests(client: &kube::Client, namespace: &str) -> Vec<CertificateRequest> {
    let uri = format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificaterequests");
    Call::get(uri).send::<List>(client, PATIENCE).await.map(|list| list.items).unwrap_or_default()
}

fn path(name: &ObjectName) -> String {
    format!("/apis/cert-manager.io/v1/namespaces/{}/certificates/{}", name.namespace, name.name)
}

async fn issuer(client: &kube::Client, certificate: &Certificate) -> Issuer {
    let reference = &certificate.spec.issuer_ref;
    let group = "/apis/cert-manager.io/v1";
    let uri = match reference.kind.as_deref().unwrap_or("Issuer") {
        "Issuer" => {
            format!("{group}/namespaces/{}/issuers/{}", certificate.metadata.namespace, reference.name)
        }
        "ClusterIssuer" => format!("{group}/clusterissuers/{}", reference.name),
        other => return Issuer::Unknown(format!("{other} is no kind of cert-manager's own")),
    };
    match Call::get(uri).send::<Value>(client, PATIENCE).await {
        Ok(object) => Issuer::of(object.get("spec").unwrap_or(&Value::Null)),
        Err(Refusal::Absent(why) | Refusal::Forbidden(why)) => Issuer::Unknown(why),
        Err(refusal) => Issuer::Unknown(refusal.to_string()),
    }
}
