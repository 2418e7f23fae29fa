//! What is known of one Certificate: the objects around it, as they are now.
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use certdrift_contract::Fingerprint;

/// What is known of the target Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Nobody may look (reach `keyless`).
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there.
    There {
        /// Of the leaf in `tls.crt`, if there is one.
        leaf: Option<Fingerprint>,
        /// Its annotation `cert-manager.io/certificate-name`.
        owner: Option<Box<str>>,
        /// Its data can never change.
        immutable: bool,
    },
}

/// What is known of the Secret of the next private key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextKey {
    /// Nobody looks: it is of type Opaque, and holds nothing but a key.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there, and lacks the label or the owner that cert-manager asks for (cert-manager#9224).
    Foreign,
    /// It is there as it should be.
    There,
}

/// What is known of one Certificate.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The Certificate.
    pub certificate: &'a Certificate,
    /// Requests that it owns, by rising revision.
    pub requests: &'a [&'a CertificateRequest],
    /// Its Secret.
    pub target: Target,
    /// The next key's Secret.
    pub next_key: NextKey,
    /// Other Certificates of the namespace with the same `spec.secretName`, sorted.
    pub rivals: Vec<ObjectName>,
}

impl<'a> Facts<'a> {
    /// The revision that is being issued.
    #[must_use]
    pub fn next_revision(&self) -> u64 {
        self.certificate.status.revision.unwrap_or(0).saturating_add(1)
    }

    /// The request of the highest revision.
    #[must_use]
    pub fn newest(&self) -> Option<&'a CertificateRequest> {
        self.requests.iter().max_by_key(|r| r.revision()).copied()
    }

    /// Requests of the revision that is being issued.
    #[must_use]
    pub fn next_requests(&self) -> Vec<&'a CertificateRequest> {
        let next = self.next_revision();
        self.requests.iter().filter(|r| r.revision() == Some(next)).copied().collect()
    }
}
