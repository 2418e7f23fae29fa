//! Chains as they are served: whether each certificate is signed by the next, and whether it is the chain that was expected.
use certdrift_contract::Fingerprint;
use serde::Serialize;
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Longer chains are judged by their first so many certificates.
pub const LONGEST: usize = 16;

/// What is wrong with the order of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misplaced {
    /// Which certificate (0 is the leaf) is not signed by the one after it.
    pub position: usize,
    /// In words.
    pub why: String,
}

/// Whether each certificate is signed by the next one, as TLS 1.2 demands and many clients still need.
///
/// # Errors
/// The first place where it is not so.
pub fn in_order(chain: &[impl AsRef<[u8]>]) -> Result<(), Misplaced> {
    for (position, pair) in chain.windows(2).take(LONGEST).enumerate() {
        let [child, parent] = pair else { continue };
        let child = parse(position, child.as_ref())?;
        let parent = parse(position.saturating_add(1), parent.as_ref())?;
        if child.issuer().as_raw() != parent.subject().as_raw() {
            let why = format!(
                "certificate {position} is issued by \"{}\", but \"{}\" follows it",
                short(&child.issuer().to_string()),
                short(&parent.subject().to_string())
            );
            return Err(Misplaced { position, why });
        }
        // An algorithm that cannot be checked here is no accusation.
        if child.verify_signature(Some(parent.public_key())) == Err(X509Error::SignatureVerificationError) {
            let why = format!("certificate {position} is not signed by the key of the one that follows it");
            return Err(Misplaced { position, why });
        }
    }
    Ok(())
}

fn parse(position: usize, der: &[u8]) -> Result<X509Certificate<'_>, Misplaced> {
    match X509Certificate::from_der(der) {
        Ok((_, cert)) => Ok(cert),
        Err(e) => Err(Misplaced { position, why: format!("certificate {position} cannot be parsed: {e}") }),
    }
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect()
}

/// How the intermediates served differ from those expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// None is sent that is not expected, but some that are expected are missing: many clients fail.
    Missing,
    /// The same ones in another order: some clients fail.
    Order,
    /// All expected ones are there in order, and others besides: wasteful, and told.
    Extra,
    /// Others are sent in place of expected ones: a chain left over from another certificate.
    Other,
}

impl Difference {
    /// Whether clients are likely to fail.
    #[must_use]
    pub const fn hurts(self) -> bool {
        !matches!(self, Self::Extra)
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "intermediates are missing",
            Self::Order => "the intermediates are in another order",
            Self::Extra => "more certificates are sent than expected",
            Self::Other => "other intermediates are sent than expected",
        }
    }
}

/// Compares intermediates. An empty expectation says nothing; nor does a gateway that leaves off the last, self-signed one say anything (`expected_root` tells that the last expected one is such).
#[must_use]
pub fn compare(expected: &[Fingerprint], served: &[Fingerprint], expected_root: bool) -> Option<Difference> {
    let without_root = match expected.split_last() {
        Some((_, rest)) if expected_root => rest,
        _ => expected,
    };
    if expected.is_empty() || served == expected || served == without_root {
        return None;
    }
    let all_there = without_root.iter().all(|e| served.contains(e));
    let none_foreign = served.iter().all(|s| expected.contains(s));
    Some(match (all_there, none_foreign) {
        (true, true) => Difference::Order,
        (true, false) if served.starts_with(without_root) => Difference::Extra,
        (true, false) => Difference::Order,
        (false, true) => Difference::Missing,
        (false, false) => Difference::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    fn authority(name: &str, by: Option<&Issuer<'_, KeyPair>>) -> (Vec<u8>, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let cert = match by {
            Some(issuer) => params.signed_by(&key, issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        (cert.der().to_vec(), Issuer::new(params, key))
    }

    fn leaf(by: &Issuer<'_, KeyPair>) -> Vec<u8> {
        let params = CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
        params.signed_by(&KeyPair::generate().unwrap(), by).unwrap().der().to_vec()
    }

    #[test]
    fn a_chain_in_order_passes_and_a_shuffled_one_names_the_place() {
        let (root, root_issuer) = authority("root", None);
        let (two, two_issuer) = authority("two", Some(&root_issuer));
        let (one, one_issuer) = authority("one", Some(&two_issuer));
        let leaf = leaf(&one_issuer);
        assert_eq!(in_order(&[leaf.clone(), one.clone(), two.clone(), root.clone()]), Ok(()));
        assert_eq!(in_order(&[leaf.clone(), one.clone()]), Ok(()));
        assert_eq!(in_order(std::slice::from_ref(&leaf)), Ok(()));
        assert_eq!(in_order(&[leaf.clone(), two.clone(), one.clone()]).unwrap_err().position, 0);
        assert_eq!(in_order(&[leaf, one, root, two]).unwrap_err().position, 1);
    }

    #[test]
    fn an_intermediate_of_the_right_name_and_another_key_is_found() {
        let (_, real) = authority("one", None);
        let (impostor, _) = authority("one", None);
        let error = in_order(&[leaf(&real), impostor]).unwrap_err();
        assert!(error.why.contains("not signed"), "{error:?}");
    }

    #[test]
    fn each_difference_has_its_name() {
        let [a, b, c, x] = [1u8, 2, 3, 4].map(|n| Fingerprint::from_digest([n; 32]));
        assert_eq!(compare(&[], &[x], false), None, "no expectation");
        assert_eq!(compare(&[a, b], &[a, b], false), None);
        assert_eq!(compare(&[a, b, c], &[a, b], true), None, "a root may be left off");
        assert_eq!(compare(&[a, b, c], &[a, b], false), Some(Difference::Missing));
        assert_eq!(compare(&[a, b], &[], false), Some(Difference::Missing));
        assert_eq!(compare(&[a, b], &[b, a], false), Some(Difference::Order));
        assert_eq!(compare(&[a, b], &[a, b, x], false), Some(Difference::Extra));
        assert_eq!(compare(&[a, b], &[x, a, b], false), Some(Difference::Order));
        assert_eq!(compare(&[a, b], &[x], false), Some(Difference::Other));
    }
}
