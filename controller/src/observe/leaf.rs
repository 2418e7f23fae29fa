//! What can be read in a certificate that was served. Pure; a certificate that cannot be read is a fact too.
use crate::source::KeyFamily;
use certdrift_contract::{HostName, UnixTime};
use serde::Serialize;
use x509_parser::asn1_rs::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// What one certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Distinguished name, shortened, without control characters.
    pub subject: String,
    /// Of whoever signed it; as `subject`.
    pub issuer: String,
    /// Begin of validity.
    pub not_before: UnixTime,
    /// End of validity, its last second.
    pub not_after: UnixTime,
    /// DNS names (may be wildcards) and IP addresses of the subject alternative name. The common name is none (RFC 9525).
    pub names: Vec<String>,
    /// `rsa 2048`, `ecdsa p-256`, `ed25519` …
    pub key: String,
    /// Of the key; absent for families we have no name for.
    pub family: Option<KeyFamily>,
    /// Its issuer is itself.
    pub self_issued: bool,
}

impl Facts {
    /// Reads a DER certificate.
    ///
    /// # Errors
    /// In words, when it is no certificate x509-parser can read.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, cert) = X509Certificate::from_der(der).map_err(|e| format!("it cannot be parsed: {e}"))?;
        let (key, family) = key(&cert);
        Ok(Self {
            subject: tidy(&cert.subject().to_string()),
            issuer: tidy(&cert.issuer().to_string()),
            not_before: UnixTime::from_seconds(cert.validity().not_before.timestamp()),
            not_after: UnixTime::from_seconds(cert.validity().not_after.timestamp()),
            names: names(&cert),
            key,
            family,
            self_issued: cert.subject().as_raw() == cert.issuer().as_raw(),
        })
    }

    /// Whether it covers the host: exact, a wildcard of one label, or its IP address.
    #[must_use]
    pub fn covers(&self, host: &HostName) -> bool {
        let is_ip = host.is_ip();
        let host = host.as_str();
        self.names.iter().any(|name| {
            name == host
                || !is_ip
                    && name.strip_prefix("*.").is_some_and(|parent| {
                        host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
                    })
        })
    }

    /// Kong's and nginx's placeholder: self-signed for `localhost`.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.self_issued && self.subject.split(", ").any(|part| part == "CN=localhost")
    }

    /// Whether `now` lies within its validity.
    #[must_use]
    pub fn in_date(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

fn names(cert: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(san)) = cert.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        // An address written as a DNS name covers nothing (RFC 6125 section 1.7.2): it must not look like one that does.
        GeneralName::DNSName(dns) if certdrift_contract::host::is_ip(dns.as_bytes()) => {
            Some(format!("DNS:{}", tidy(dns)))
        }
        GeneralName::DNSName(dns) => Some(tidy(&dns.trim_end_matches('.').to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            four.or(sixteen).ok().map(|ip| ip.to_string())
        }
        _ => None,
    };
    san.value.general_names.iter().filter_map(name).collect()
}

fn key(cert: &X509Certificate<'_>) -> (String, Option<KeyFamily>) {
    let spki = cert.public_key();
    let algorithm = &spki.algorithm;
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => (format!("rsa {}", key.key_size()), Some(KeyFamily::Rsa)),
        Ok(PublicKey::EC(point)) => {
            let curve = algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            let curve = match curve {
                Some(c) if c == oid!(1.2.840.10045.3.1.7) => "p-256".to_owned(),
                Some(c) if c == oid!(1.3.132.0.34) => "p-384".to_owned(),
                Some(c) if c == oid!(1.3.132.0.35) => "p-521".to_owned(),
                Some(c) => c.to_id_string(),
                None => format!("{} bits", point.key_size()),
            };
            (format!("ecdsa {curve}"), Some(KeyFamily::Ecdsa))
        }
        _ if algorithm.algorithm == oid!(1.3.101.112) => ("ed25519".to_owned(), Some(KeyFamily::Ed25519)),
        _ if algorithm.algorithm == oid!(1.3.101.113) => ("ed448".to_owned(), None),
        _ if algorithm.algorithm == oid!(1.2.840.113549.1.1.10) => {
            ("rsassa-pss".to_owned(), Some(KeyFamily::Rsa))
        }
        _ => (algorithm.algorithm.to_id_string(), None),
    }
}

/// A peer's text goes to terminals and logs: no control characters, no unbounded length.
fn tidy(text: &str) -> String {
    const LONGEST: usize = 256;
    let mut out: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str], cn: Option<&str>) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(cn) = cn {
            params.distinguished_name.push(rcgen::DnType::CommonName, cn);
        }
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn covers(names: &[&str], host: &str) -> bool {
        Facts::of(&certificate(names, None)).unwrap().covers(&host.parse().unwrap())
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(covers(&["*.example.com"], "a.example.com"));
        assert!(!covers(&["*.example.com"], "a.b.example.com"));
        assert!(!covers(&["*.example.com"], "example.com"));
        assert!(covers(&["A.Example.COM"], "a.example.com"));
    }

    #[test]
    fn an_ip_address_is_covered_by_an_ip_name_only() {
        assert!(covers(&["::1", "127.0.0.1"], "::1"));
        assert!(covers(&["127.0.0.1"], "127.0.0.1"));
        assert!(!covers(&["*.0.0.1"], "127.0.0.1"));
    }

    #[test]
    fn the_common_name_covers_nothing() {
        let facts = Facts::of(&certificate(&[], Some("a.example.com"))).unwrap();
        assert!(!facts.covers(&"a.example.com".parse().unwrap()));
    }

    #[test]
    fn a_self_signed_certificate_for_localhost_is_the_placeholder() {
        assert!(Facts::of(&certificate(&[], Some("localhost"))).unwrap().is_placeholder());
        assert!(!Facts::of(&certificate(&["localhost"], Some("other"))).unwrap().is_placeholder());
    }

    #[test]
    fn a_subject_cannot_write_to_the_terminal() {
        let facts = Facts::of(&certificate(&[], Some("a\u{1b}[2Jb\n"))).unwrap();
        assert!(!facts.subject.chars().any(char::is_control), "{:?}", facts.subject);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_said_so() {
        assert!(Facts::of(b"").is_err());
        assert!(Facts::of(&[0x30, 0x82, 0xff, 0xff, 0]).is_err());
    }
}
