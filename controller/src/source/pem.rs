//! A PEM file taken apart: certificates in order, the private key's place among them, and what was torn. Total on any bytes.
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{Error, PemObject as _, SectionKind};

/// At most so many certificates of one file are looked at.
pub const MAX_CERTIFICATES: usize = 100;

/// What stands in a PEM file. A private key found in it lives as long as this value, which is never stored.
pub struct Bundle {
    /// DER of the certificates, in the file's order.
    pub certificates: Vec<Vec<u8>>,
    /// The first private key.
    pub key: Option<PrivateKeyDer<'static>>,
    /// Whether that key stands before the first certificate.
    pub key_first: bool,
    /// Other well-formed blocks (parameters, requests, public keys) were there.
    pub other: bool,
    /// Why the text is torn, in words that hold nothing of the file.
    pub torn: Option<&'static str>,
    /// More certificates than [`MAX_CERTIFICATES`].
    pub too_many: bool,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if let Some(key) = &mut self.key {
            zeroize::Zeroize::zeroize(key);
        }
    }
}

/// Reads whatever bytes a file has.
#[must_use]
pub fn parse_pem_bundle(bytes: &[u8]) -> Bundle {
    let mut bundle = Bundle {
        certificates: Vec::new(),
        key: None,
        key_first: false,
        other: false,
        torn: None,
        too_many: false,
    };
    // Blocks of an unknown kind (ENCRYPTED PRIVATE KEY, DH PARAMETERS) are passed over by the reader without a word.
    bundle.other = bytes.windows(11).any(|w| w == b"-----BEGIN ");
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        match section {
            Ok((SectionKind::Certificate, der)) => {
                if bundle.certificates.len() >= MAX_CERTIFICATES {
                    bundle.too_many = true;
                    break;
                }
                bundle.certificates.push(der);
            }
            Ok((kind, der)) => {
                if let Some(key) = PrivateKeyDer::from_pem(kind, der)
                    && bundle.key.is_none()
                {
                    bundle.key_first = bundle.certificates.is_empty();
                    bundle.key = Some(key);
                }
            }
            Err(error) => {
                bundle.torn = Some(match error {
                    Error::MissingSectionEnd { .. } => "a PEM block has no END line",
                    Error::IllegalSectionStart { .. } => "a BEGIN line is damaged",
                    _ => "a PEM block is no base64",
                });
                break;
            }
        }
    }
    bundle.key_first &= !bundle.certificates.is_empty();
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificates_come_in_the_files_order() {
        let two = format!(
            "text before\n{CERTIFICATE}-----BEGIN CERTIFICATE-----\r\nAwQF\r\n-----END CERTIFICATE-----\r\n"
        );
        let bundle = parse_pem_bundle(two.as_bytes());
        assert_eq!(bundle.certificates, [vec![0, 1, 2], vec![3, 4, 5]]);
        assert!(bundle.torn.is_none());
    }

    #[test]
    fn a_text_that_breaks_off_is_torn() {
        for cut in 30..CERTIFICATE.len() - 2 {
            let bundle = parse_pem_bundle(&CERTIFICATE.as_bytes()[..cut]);
            assert!(bundle.torn.is_some(), "cut at {cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_bundle(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = parse_pem_bundle(&bytes);
        }
    }
}
