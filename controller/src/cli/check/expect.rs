//! What `check` is told to expect: a PEM file's first certificate with its chain, or a fingerprint.
use crate::observe::leaf::Facts;
use crate::source::KeyFamily;
use certdrift_contract::Fingerprint;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::io::Read as _;

/// A file longer than this is no certificate.
const LONGEST: u64 = 1 << 20;

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// As typed.
    pub given: String,
    /// Of the leaf.
    pub leaf: Fingerprint,
    /// Of the leaf's key, where the certificate itself was given.
    pub family: Option<KeyFamily>,
    /// Of what follows the leaf in the file; empty when there is nothing, and then the chain is not compared.
    pub chain: Vec<Fingerprint>,
    /// The last of the chain is a root, which a gateway may leave off.
    pub root_last: bool,
}

impl Expect {
    /// Reads what was typed: a fingerprint in upper or lower case, with colons or without, as `openssl x509 -fingerprint -sha256` prints it; or the path of a PEM file.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(leaf) = fingerprint(text)? {
            return Ok(Self {
                given: text.to_owned(),
                leaf,
                family: None,
                chain: Vec::new(),
                root_last: false,
            });
        }
        let chain = certificates(text).map_err(|why| not_a_file(text).unwrap_or(why))?;
        let (leaf, rest) =
            chain.split_first().ok_or_else(|| {
                format!("{text} has no certificate in PEM form; of DER it is made by: openssl x509 -inform der -in FILE")
            })?;
        Ok(Self {
            given: text.to_owned(),
            leaf: Fingerprint::of(leaf),
            family: Facts::of(leaf).ok().and_then(|f| f.family),
            chain: rest.iter().map(|c| Fingerprint::of(c)).collect(),
            root_last: rest.last().and_then(|c| Facts::of(c).ok()).is_some_and(|f| f.self_issued),
        })
    }
}

/// The certificates of a PEM file, in order; whatever else it holds (a key) is passed over.
///
/// # Errors
/// In words.
pub fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("{path}: {e}"))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|e| format!("{path}: {e}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("{path} is longer than 1 MiB"));
    }
    CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|e| format!("{path}: {e}"))
}

/// What a text that names no file was meant to be, where that can be seen.
fn not_a_file(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty; give a PEM file or a SHA-256 fingerprint".into());
    }
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    let looks = digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    (looks && !std::path::Path::new(text).exists()).then(|| {
        format!(
            "there is no such file, and a fingerprint it is not: SHA-256 has 64 hex digits, this has {}; the whole one: openssl x509 -noout -fingerprint -sha256 -in FILE",
            digits.len()
        )
    })
}

/// `None` when the text does not look like a fingerprint at all.
fn fingerprint(text: &str) -> Result<Option<Fingerprint>, String> {
    // `sha256 Fingerprint=AA:BB…`, as openssl prints it; `sha256:aabb…`.
    let lower = text.trim().to_ascii_lowercase();
    let digits =
        ["sha256 fingerprint=", "sha256:"].iter().find_map(|p| lower.strip_prefix(p)).unwrap_or(&lower);
    let digits = digits.replace([':', ' '], "");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    match digits.len() {
        64 => digits.parse().map(Some).map_err(|e: certdrift_contract::fingerprint::FingerprintError| e.to_string()),
        40 => Err("that is a SHA-1 fingerprint; SHA-256 is wanted: openssl x509 -noout -fingerprint -sha256 -in FILE".into()),
        32 => Err("that is an MD5 fingerprint; SHA-256 is wanted: openssl x509 -noout -fingerprint -sha256 -in FILE".into()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "3f9c1a2b77aa00113f9c1a2b77aa00113f9c1a2b77aa00113f9c1a2b77aa0011";

    #[test]
    fn a_fingerprint_is_taken_in_upper_case_with_colons_and_as_openssl_prints_it() {
        let upper = HEX.to_ascii_uppercase();
        let colons: Vec<&str> = (0..32).map(|i| &upper[2 * i..2 * i + 2]).collect();
        let colons = colons.join(":");
        for text in [
            HEX.to_owned(),
            upper,
            colons.clone(),
            format!("sha256 Fingerprint={colons}"),
            format!("SHA256:{HEX}"),
        ] {
            assert_eq!(Expect::parse(&text).unwrap().leaf.to_string(), HEX, "{text}");
        }
    }

    #[test]
    fn a_sha1_fingerprint_is_refused_with_the_command_that_gives_the_right_one() {
        let error = Expect::parse(&HEX[..40]).unwrap_err();
        assert!(error.contains("openssl x509 -noout -fingerprint -sha256"), "{error}");
    }

    #[test]
    fn a_part_of_a_fingerprint_is_not_taken_for_a_missing_file() {
        for text in [&HEX[..16], "3F:9C:1A:2B:77:AA:00:11", &HEX[..62]] {
            let error = Expect::parse(text).unwrap_err();
            assert!(error.contains("64 hex digits") && error.contains("openssl x509"), "{text}: {error}");
        }
        assert!(Expect::parse("").unwrap_err().contains("empty"));
    }

    #[test]
    fn a_file_without_a_certificate_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pem");
        std::fs::write(&path, "hello").unwrap();
        let error = Expect::parse(path.to_str().unwrap()).unwrap_err();
        assert!(error.contains("no certificate"), "{error}");
        assert!(Expect::parse("/does/not/exist.pem").unwrap_err().contains("/does/not/exist.pem"));
    }
}
