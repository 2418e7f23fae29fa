//! What one certificate file (and its key) says, whatever the time is: the certificate, and the faults that are in it.
use super::findings as kinds;
use super::key::{Belongs, belongs};
use super::pem::{Bundle, parse_pem_bundle};
use super::{Certificate, KeyFamily, names};
use crate::finding::Kind;
use certdrift_contract::{Fingerprint, UnixTime};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// A fault of a file. Refused ones never become an expectation.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which.
    pub kind: &'static Kind,
    /// The facts of this case; holds nothing of a key.
    pub why: String,
    /// Whether the certificate is not taken because of it.
    pub refuses: bool,
}

impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        (self.kind.code, &self.why, self.refuses) == (other.kind.code, &other.why, other.refuses)
    }
}

impl Eq for Fault {}

impl Fault {
    pub(super) fn refuse(kind: &'static Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), refuses: true }
    }

    pub(super) fn note(kind: &'static Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), refuses: false }
    }
}

/// What one certificate file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// As far as it could be read, good or not.
    pub certificate: Option<Arc<Certificate>>,
    /// What is wrong with it at any time.
    pub faults: Vec<Fault>,
    /// There is no certificate in it, and nothing says there should be (a key, a request, parameters, a trust anchor).
    pub irrelevant: bool,
}

/// Reads a certificate file's bytes, those of a file with the rest of its chain, and those of its key file.
#[must_use]
pub fn read(bytes: &[u8], chain: Option<&[u8]>, key: Option<&[u8]>) -> Reading {
    let mut bundle = parse_pem_bundle(bytes);
    let mut reading = Reading::default();
    if let Some(chain) = chain {
        let more = parse_pem_bundle(chain);
        bundle.torn = bundle.torn.or(more.torn);
        bundle.certificates.extend(more.certificates.iter().cloned());
    }
    if let Some(torn) = bundle.torn {
        reading.faults.push(Fault::refuse(&kinds::TORN, torn));
        return reading;
    }
    if bundle.too_many {
        reading.faults.push(Fault::refuse(&kinds::TOO_LARGE, "over 100 certificates in one file"));
        return reading;
    }
    let parsed: Result<Vec<_>, _> = bundle.certificates.iter().map(|der| whole(der)).collect();
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(why) => {
            reading.faults.push(Fault::refuse(&kinds::NO_CERTIFICATE, why));
            return reading;
        }
    };
    let Some((leaf, others)) = parsed.split_first() else {
        reading.irrelevant = bundle.other;
        let fault = if bytes.iter().all(u8::is_ascii_whitespace) {
            Fault::refuse(&kinds::TORN, "the file is empty")
        } else {
            Fault::refuse(&kinds::NO_CERTIFICATE, "there is no PEM block CERTIFICATE in it")
        };
        reading.faults.push(fault);
        return reading;
    };
    let names = names::of(leaf);
    judge_role(&mut reading, leaf, others, key.is_some() || bundle.key.is_some(), names.good.is_empty());
    if let Some(why) = order(&parsed) {
        reading.faults.push(Fault::refuse(&kinds::CHAIN_ORDER, why));
    }
    judge_key(&mut reading, leaf, &bundle, key);
    if let Some((name, why)) = names.bad {
        reading.faults.push(Fault::note(&kinds::BAD_NAME, format!("`{name}`: {why}")));
    }
    if names.too_many {
        reading.faults.push(Fault::refuse(&kinds::TOO_LARGE, "over 10,000 names in one certificate"));
    }
    let Some(family) = family(leaf) else {
        reading.faults.push(Fault::refuse(
            &kinds::KEY_FAMILY,
            format!("its algorithm is {}", leaf.public_key().algorithm.algorithm),
        ));
        return reading;
    };
    let mut chain: Vec<_> = bundle.certificates.iter().skip(1).map(|der| Fingerprint::of(der)).collect();
    chain.shrink_to_fit();
    reading.certificate = Some(Arc::new(Certificate {
        leaf: Fingerprint::of(bundle.certificates.first().map_or(&[], Vec::as_slice)),
        chain,
        not_before: UnixTime::from_seconds(leaf.validity().not_before.timestamp()),
        not_after: UnixTime::from_seconds(leaf.validity().not_after.timestamp()),
        names: names.good,
        family,
    }));
    reading
}

/// One certificate, with nothing after it: a gateway would refuse trailing bytes or ignore them.
fn whole(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(format!("{} bytes follow a certificate within its PEM block", rest.len())),
        Err(error) => Err(format!("its DER cannot be read: {error}")),
    }
}

fn self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// A CA or a placeholder where the server's own certificate should stand.
fn judge_role(
    reading: &mut Reading,
    leaf: &X509Certificate<'_>,
    others: &[X509Certificate<'_>],
    has_key: bool,
    nameless: bool,
) {
    let subject = leaf.subject().to_string();
    let localhost = leaf.subject().iter_common_name().any(|cn| cn.as_str() == Ok("localhost"));
    if self_issued(leaf) && localhost {
        reading
            .faults
            .push(Fault::refuse(&kinds::PLACEHOLDER, format!("it is self-signed, subject {subject}")));
    } else if leaf.is_ca() {
        if nameless && !has_key && others.iter().all(|other| other.is_ca()) {
            reading.irrelevant = true;
        }
        if self_issued(leaf) && others.is_empty() && !nameless {
            reading.faults.push(Fault::note(&kinds::CA_SELF_SIGNED, format!("subject {subject}")));
        } else {
            reading.faults.push(Fault::refuse(&kinds::CA_LEAF, format!("subject {subject}")));
        }
    }
}

/// Why the chain is out of order: every certificate after the leaf has issued one before it.
fn order(chain: &[X509Certificate<'_>]) -> Option<String> {
    for (at, certificate) in chain.iter().enumerate().skip(1) {
        let subject = certificate.subject().as_raw();
        let before = chain.get(..at).unwrap_or_default();
        if !before.iter().any(|earlier| earlier.issuer().as_raw() == subject) {
            return Some(format!(
                "certificate {} of {} ({}) has issued none of those before it",
                at + 1,
                chain.len(),
                certificate.subject()
            ));
        }
    }
    None
}

fn judge_key(reading: &mut Reading, leaf: &X509Certificate<'_>, bundle: &Bundle, key: Option<&[u8]>) {
    let public = &leaf.public_key().subject_public_key.data;
    if bundle.key_first {
        reading.faults.push(Fault::note(&kinds::KEY_FIRST, "the first PEM block is the key"));
    }
    // A key file that is empty or torn is being written: the pair is not whole yet.
    let (belonging, place) = match key {
        Some(bytes) => {
            let from_file = parse_pem_bundle(bytes);
            if let Some(torn) = from_file.torn {
                reading.faults.push(Fault::refuse(&kinds::TORN, format!("in its key file: {torn}")));
                return;
            }
            if bytes.is_empty() {
                reading.faults.push(Fault::refuse(&kinds::TORN, "its key file is empty"));
                return;
            }
            let belonging = from_file.key.as_ref().map_or(Belongs::Unknown, |key| belongs(key, public));
            (belonging, "its key file")
        }
        None => (
            bundle.key.as_ref().map_or(Belongs::Unknown, |key| belongs(key, public)),
            "the key in the same file",
        ),
    };
    if belonging == Belongs::No {
        reading.faults.push(Fault::refuse(
            &kinds::KEY_MISMATCH,
            format!("{place} belongs to another certificate than {}", leaf.subject()),
        ));
    }
}

fn family(leaf: &X509Certificate<'_>) -> Option<KeyFamily> {
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(_)) => Some(KeyFamily::Rsa),
        Ok(PublicKey::EC(_)) => Some(KeyFamily::Ecdsa),
        // RFC 8410
        _ if leaf.public_key().algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            Some(KeyFamily::Ed25519)
        }
        _ => None,
    }
}
