//! Certificate and CertificateRequest (cert-manager.io/v1).
use super::object::{Condition, condition, is_true, list};
use super::{Meta, ObjectName};
use certdrift_contract::{Fingerprint, UnixTime};
use serde::Deserialize;

/// A Certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Certificate {
    /// Name, UID.
    pub metadata: Meta,
    /// What is asked for.
    pub spec: CertificateSpec,
    /// Where its issuance stands.
    pub status: CertificateStatus,
}

/// `spec` of a Certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateSpec {
    /// Where it is to be stored.
    pub secret_name: Box<str>,
    /// Who issues it.
    pub issuer_ref: IssuerRef,
    /// When it may be renewed.
    pub renewal: Option<Renewal>,
}

/// An issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IssuerRef {
    /// Its name.
    pub name: Box<str>,
    /// `Issuer` when absent.
    pub kind: Option<Box<str>>,
    /// `cert-manager.io` when absent.
    pub group: Option<Box<str>>,
}

/// `spec.renewal`: cert-manager 1.21 and later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Renewal {
    /// `RenewBefore` (also when absent) or `Disabled`.
    pub policy: Option<Box<str>>,
    /// Times of day or week in which a renewal may begin; only whether there are any is of interest.
    #[serde(deserialize_with = "list")]
    pub windows: Vec<serde_json::Value>,
}

/// `status` of a Certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateStatus {
    /// `Ready`, `Issuing`.
    #[serde(deserialize_with = "list")]
    pub conditions: Vec<Condition>,
    /// Of what is stored.
    pub not_after: Option<UnixTime>,
    /// Of what is stored.
    pub not_before: Option<UnixTime>,
    /// When the renewal begins.
    pub renewal_time: Option<UnixTime>,
    /// Of the request that was stored last: set only after the Secret was written.
    pub revision: Option<u64>,
    /// The Secret of the next private key, while one is needed.
    pub next_private_key_secret_name: Option<Box<str>>,
    /// Issuances in a row that failed.
    pub failed_issuance_attempts: Option<u32>,
    /// Of the last that failed.
    pub last_failure_time: Option<UnixTime>,
}

impl Certificate {
    /// The Secret it is stored in.
    #[must_use]
    pub fn secret(&self) -> ObjectName {
        ObjectName::new(&self.metadata.namespace, &self.spec.secret_name)
    }

    /// The condition that says it is being issued, while it is.
    #[must_use]
    pub fn issuing(&self) -> Option<&Condition> {
        condition(&self.status.conditions, "Issuing").filter(|c| &*c.status == "True")
    }
}

/// A CertificateRequest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CertificateRequest {
    /// Owner, revision.
    pub metadata: Meta,
    /// Where it stands, and the certificate once it is signed.
    pub status: RequestStatus,
}

/// `status` of a CertificateRequest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestStatus {
    /// `Approved`, `Denied`, `InvalidRequest`, `Ready`.
    #[serde(deserialize_with = "list")]
    pub conditions: Vec<Condition>,
    /// What was signed.
    pub certificate: Signed,
    /// When it failed for good.
    pub failure_time: Option<UnixTime>,
}

/// The certificate of a request, read and hashed while the JSON is: its PEM is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed(pub Option<std::sync::Arc<crate::source::reading::Reading>>);

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Option::<super::object::Text<'de>>::deserialize(from)?;
        Ok(Self(
            text.filter(|t| !t.0.is_empty())
                .map(|t| std::sync::Arc::new(crate::source::kubernetes::secret::read_base64(&t.0))),
        ))
    }
}

/// When a certificate was asked for and when it was signed; to the second, as cert-manager writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signing {
    /// Its request was made.
    pub requested: UnixTime,
    /// The request became ready.
    pub signed: UnixTime,
}

impl CertificateRequest {
    /// What it was signed as, and when.
    #[must_use]
    pub fn signing(&self) -> Option<(Fingerprint, Signing)> {
        let leaf = self.status.certificate.0.as_ref()?.certificate.as_ref()?.leaf;
        let ready = condition(&self.status.conditions, "Ready").filter(|c| &*c.status == "True")?;
        let requested = self.metadata.creation_timestamp?;
        Some((leaf, Signing { requested, signed: ready.last_transition_time?.max(requested) }))
    }

    /// Its revision: the Certificate's, once it is stored.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        self.metadata.annotation("cert-manager.io/certificate-revision")?.parse().ok()
    }

    /// Whether this Certificate is the owner that manages it.
    #[must_use]
    pub fn belongs_to(&self, certificate: &Certificate) -> bool {
        self.metadata.namespace == certificate.metadata.namespace
            && self
                .metadata
                .owner_references
                .iter()
                .any(|o| o.controller && &*o.kind == "Certificate" && o.uid == certificate.metadata.uid)
    }

    /// Whether it was signed: `Ready=True`, with a certificate.
    #[must_use]
    pub fn is_issued(&self) -> bool {
        is_true(&self.status.conditions, "Ready") && self.status.certificate.0.is_some()
    }
}
