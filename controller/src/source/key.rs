//! Whether a private key belongs to a certificate: its public half is derived, compared, and everything dropped.
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::PrivateKeyDer;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What the comparison said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// It is the certificate's key.
    Yes,
    /// It is another's.
    No,
    /// ring cannot read this kind of key (P-521, RSA under 2048 bits): nothing is said, which is no finding.
    Unknown,
}

/// Compares the public key bits of a private key with those of a certificate.
#[must_use]
pub fn belongs(key: &PrivateKeyDer<'_>, certificate_public_key: &[u8]) -> Belongs {
    // A compressed point is the same key written otherwise; ring writes uncompressed points only.
    if matches!(certificate_public_key.first(), Some(2 | 3)) {
        return Belongs::Unknown;
    }
    let Ok(signing) = any_supported_type(key) else { return Belongs::Unknown };
    let Some(spki) = signing.public_key() else { return Belongs::Unknown };
    match SubjectPublicKeyInfo::from_der(&spki) {
        Ok((_, info)) if *info.subject_public_key.data == *certificate_public_key => Belongs::Yes,
        Ok(_) => Belongs::No,
        Err(_) => Belongs::Unknown,
    }
}
