//! The hosts a certificate names: DNS names and IP addresses of its subject alternative names, IDN as A-labels.
use certdrift_contract::HostPattern;
use certdrift_contract::host::{Form, HostError};
use std::collections::BTreeSet;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// At most so many names of one certificate are kept; the contract's bound for an entry.
pub const MAX_NAMES: usize = 10_000;

/// The names of a certificate.
pub struct Names {
    /// Sorted, each once.
    pub good: Vec<HostPattern>,
    /// The first one that is no host name, with why.
    pub bad: Option<(String, String)>,
    /// There were more than [`MAX_NAMES`].
    pub too_many: bool,
}

/// Turns a host as people write it (U-labels, any case, a wildcard) into the ledger's form.
///
/// # Errors
/// What is wrong with the name.
pub fn host(text: &str) -> Result<HostPattern, HostError> {
    if text.is_ascii() {
        return text.parse();
    }
    let (prefix, rest) = text.strip_prefix("*.").map_or(("", text), |rest| ("*.", rest));
    let (rest, suffix) = rest.strip_suffix(".*").map_or((rest, ""), |rest| (rest, ".*"));
    let ascii = idna::domain_to_ascii(rest).map_err(|_| HostError::NotAscii)?;
    format!("{prefix}{ascii}{suffix}").parse()
}

/// The names among a certificate's subject alternative names; its common name does not count (RFC 9525, 2).
#[must_use]
pub fn of(certificate: &X509Certificate<'_>) -> Names {
    let mut names = Names { good: Vec::new(), bad: None, too_many: false };
    let mut seen = BTreeSet::new();
    let san = match certificate.subject_alternative_name() {
        Ok(Some(san)) => san,
        Ok(None) => return names,
        Err(error) => {
            names.bad = Some(("subjectAltName".to_owned(), error.to_string()));
            return names;
        }
    };
    for name in &san.value.general_names {
        let parsed = match name {
            GeneralName::DNSName(text) => host(text).map_err(|why| (shown(text.as_bytes()), why.to_string())),
            GeneralName::IPAddress(bytes) => address(bytes)
                .and_then(|ip| ip.to_string().parse().ok())
                .ok_or_else(|| (format!("{bytes:02x?}"), "no IP address has so many bytes".to_owned())),
            GeneralName::Invalid(tag, bytes) if tag.0 == 2 => match std::str::from_utf8(bytes) {
                // An IA5String by the standard; some CAs wrote UTF-8 all the same.
                Ok(text) => host(text).map_err(|why| (shown(bytes), why.to_string())),
                Err(_) => Err((shown(bytes), "not text".to_owned())),
            },
            _ => continue,
        };
        match parsed {
            Ok(pattern) => {
                if seen.len() >= MAX_NAMES {
                    names.too_many = true;
                    break;
                }
                seen.insert(pattern);
            }
            Err(bad) => names.bad = names.bad.or(Some(bad)),
        }
    }
    names.good = seen.into_iter().collect();
    names.good.shrink_to_fit();
    names
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Foreign bytes for a message: printable, and short.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(80).flat_map(|b| std::ascii::escape_default(*b)).map(char::from).collect()
}

/// Whether a certificate with these names is good for a listed host. A pattern no certificate can name (`*`, `name.*`) is not judged.
#[must_use]
pub fn covers(names: &[HostPattern], listed: &HostPattern) -> bool {
    match listed.form() {
        Form::Any | Form::TrailingWildcard => true,
        Form::LeadingWildcard => names.binary_search(listed).is_ok(),
        Form::Exact => {
            names.binary_search(listed).is_ok()
                || listed.as_str().split_once('.').is_some_and(|(_, parent)| {
                    let wildcard = format!("*.{parent}");
                    names.iter().any(|n| n.as_str() == wildcard)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internationalised_name_becomes_a_labels() {
        assert_eq!(host("*.Bücher.example").unwrap().as_str(), "*.xn--bcher-kva.example");
        assert_eq!(host("bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
        assert!(host("b\u{0}ü.example").is_err());
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = [host("*.example.com").unwrap(), host("10.0.0.1").unwrap()];
        let mut sorted = names.to_vec();
        sorted.sort();
        for (listed, covered) in [
            ("a.example.com", true),
            ("a.b.example.com", false),
            ("example.com", false),
            ("*.example.com", true),
            ("10.0.0.1", true),
            ("example.*", true),
        ] {
            assert_eq!(covers(&sorted, &host(listed).unwrap()), covered, "{listed}");
        }
    }
}
