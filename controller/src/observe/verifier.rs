//! A verifier that records instead of deciding: any chain is taken and kept, and the handshake's signature is checked.
//!
//! It never gives an error, else the handshake would end before anything is known (rustls#127: X.509 v1, SHA-1 …);
//! what it could not prove stands in [`Possession`]. The certificate's key is taken from its DER and not by webpki,
//! so that a certificate webpki refuses can still prove its key.
use crate::source::KeyFamily;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

/// Which certificates we say we can take: a server with a pair shows its RSA member only to a client without ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offer {
    /// All we know.
    Any,
    /// Of one signature family.
    Only(KeyFamily),
}

/// Whether the peer proved that it holds the certificate's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "possession", content = "why")]
pub enum Possession {
    /// Its signature over this handshake verifies.
    Proven,
    /// Its signature cannot be checked here (P-521, SHA-1, RSA under 2048 bits, Ed448 …).
    Unproven(String),
    /// Its signature is wrong: the peer shows a certificate whose key it does not hold.
    Refuted,
}

impl Possession {
    /// In one word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven(_) => "unproven",
            Self::Refuted => "refuted",
        }
    }
}

/// What a handshake left behind.
#[derive(Debug, Default)]
pub struct Recording {
    /// DER of all certificates as sent, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// `None` when the peer never signed.
    pub possession: Option<Possession>,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    offer: Offer,
    algorithms: WebPkiSupportedAlgorithms,
    recording: Mutex<Recording>,
}

// rsa_pss_pss_*: keys whose own OID is RSASSA-PSS (RFC 8446 section 4.2.3); rustls has no names for them.
const RSA_PSS_PSS: [SignatureScheme; 3] =
    [SignatureScheme::Unknown(0x0809), SignatureScheme::Unknown(0x080a), SignatureScheme::Unknown(0x080b)];

const ECDSA: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

const EDWARDS: [SignatureScheme; 2] = [SignatureScheme::ED25519, SignatureScheme::ED448];

const RSA: [SignatureScheme; 7] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA1,
];

impl Offer {
    fn schemes(self) -> Vec<SignatureScheme> {
        match self {
            Self::Any => [&ECDSA[..], &EDWARDS, &RSA, &RSA_PSS_PSS].concat(),
            Self::Only(KeyFamily::Ecdsa) => ECDSA.to_vec(),
            Self::Only(KeyFamily::Ed25519) => EDWARDS.to_vec(),
            Self::Only(KeyFamily::Rsa) => [&RSA[..], &RSA_PSS_PSS].concat(),
        }
    }

    /// The family asked for, where it is one.
    #[must_use]
    pub fn family(self) -> Option<KeyFamily> {
        match self {
            Self::Any => None,
            Self::Only(family) => Some(family),
        }
    }
}

impl Recorder {
    /// A verifier for one handshake that offers these families.
    #[must_use]
    pub fn new(offer: Offer) -> Self {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        Self { offer, algorithms, recording: Mutex::default() }
    }

    /// Takes what was recorded.
    #[must_use]
    pub fn take(&self) -> Recording {
        std::mem::take(&mut *self.recording.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> HandshakeSignatureValid {
        let possession = possession(&self.algorithms, message, cert, signed);
        self.recording.lock().unwrap_or_else(PoisonError::into_inner).possession = Some(possession);
        HandshakeSignatureValid::assertion()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain =
            std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect();
        *self.recording.lock().unwrap_or_else(PoisonError::into_inner) =
            Recording { chain, possession: None };
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(self.note(message, cert, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(self.note(message, cert, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.offer.schemes()
    }
}

fn possession(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Possession {
    let Ok((_, cert)) = X509Certificate::from_der(cert) else {
        return Possession::Unproven("the certificate cannot be parsed".to_owned());
    };
    let spki = cert.public_key();
    if let Ok(PublicKey::RSA(key)) = spki.parsed() {
        // ring verifies RSA of 2048 to 8192 bits only.
        let bits = key.key_size();
        if !(2041..=8192).contains(&bits) {
            return Possession::Unproven(format!("an RSA key of {bits} bits is not verified here"));
        }
    }
    // The contents of the algorithm identifier, as `public_key_alg_id` gives them.
    let algorithm = Any::from_der(spki.raw)
        .and_then(|(_, outer)| Any::from_der(outer.data))
        .map(|(_, inner)| inner.data)
        .unwrap_or_default();
    let candidates = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, candidates)| candidates.iter())
        .find(|candidate| candidate.public_key_alg_id().as_ref() == algorithm);
    match candidates {
        None => Possession::Unproven(format!(
            "signatures of {:?} with this key are not verified here",
            signed.scheme
        )),
        Some(a) if a.verify_signature(&spki.subject_public_key.data, message, signed.signature()).is_ok() => {
            Possession::Proven
        }
        Some(_) => Possession::Refuted,
    }
}
