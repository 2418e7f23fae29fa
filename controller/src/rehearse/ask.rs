//! Looks at a Certificate and at who issues it, and asks cert-manager to issue it once more: the condition `Issuing` in its
//! status, as cmctl renew sets it. Nothing is deleted, and no Secret is read or written.
use super::begin::{Issuer, Told, may_begin, trigger};
use crate::clock;
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, FIELD_MANAGER, Refusal};
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::converge::Millis;
use crate::source::pem::parse_pem_bundle;
use base64::Engine as _;
use certdrift_contract::{Fingerprint, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

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
struct List<T> {
    items: Vec<T>,
}

/// All requests of a namespace, as far as they can be read.
pub async fn requests(client: &kube::Client, namespace: &str) -> Vec<CertificateRequest> {
    let uri = format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificaterequests");
    Call::get(uri)
        .send::<List<CertificateRequest>>(client, PATIENCE)
        .await
        .map(|list| list.items)
        .unwrap_or_default()
}

/// A certificate as people tell it from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Identity {
    /// SHA-256 of the leaf's DER, 64 lower-case hex digits.
    pub sha256: String,
    /// Serial number, as `openssl x509 -serial` writes it.
    pub serial: String,
    /// End of validity.
    #[schemars(with = "String")]
    pub not_after: UnixTime,
}

/// What a request was signed as; none where it is not signed or cannot be read.
pub async fn signed_as(client: &kube::Client, request: &ObjectName) -> Option<Identity> {
    let uri = format!(
        "/apis/cert-manager.io/v1/namespaces/{}/certificaterequests/{}",
        request.namespace, request.name
    );
    let raw: Value = Call::get(uri).send(client, PATIENCE).await.ok()?;
    let pem = base64::engine::general_purpose::STANDARD.decode(raw.pointer("/status/certificate")?.as_str()?);
    identity(&pem.ok()?)
}

fn identity(pem: &[u8]) -> Option<Identity> {
    let bundle = parse_pem_bundle(pem);
    let der = bundle.certificates.first()?;
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Identity {
        sha256: Fingerprint::of(der).to_string(),
        serial: certificate.raw_serial_as_string().replace(':', "").to_uppercase(),
        not_after: UnixTime::from_seconds(certificate.validity().not_after.timestamp()),
    })
}

/// The Certificates of a namespace.
///
/// # Errors
/// They cannot be listed.
pub async fn certificates(client: &kube::Client, namespace: &str) -> Result<Vec<Certificate>, Refusal> {
    let uri = format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificates");
    Call::get(uri).send::<List<Certificate>>(client, PATIENCE).await.map(|list| list.items)
}

fn path(name: &ObjectName) -> String {
    format!("/apis/cert-manager.io/v1/namespaces/{}/certificates/{}", name.namespace, name.name)
}

async fn issuer(client: &kube::Client, certificate: &Certificate) -> Issuer {
    let reference = &certificate.spec.issuer_ref;
    if let Some(group) = reference.group.as_deref().filter(|g| !g.is_empty() && *g != "cert-manager.io") {
        return Issuer::Unknown(format!("it is of {group}, which is none of cert-manager's own"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_as_openssl_tells_it() {
        let pem = include_bytes!("../../testdata/drill/leaf.pem");
        let told = identity(pem).unwrap();
        assert_eq!(
            (told.serial.as_str(), told.sha256.as_str()),
            (
                "38654329227E2FBB9A44F0A2D3D06ACDC3D8774D",
                "3d891e053958b0ed7e074b8effb1d17daed295d67e92361923e7736ae1b8eb4d"
            )
        );
        assert_eq!(identity(b"none"), None);
    }
}
