//! Certificates of scenarios, made when they are first named: `web-2`, `web-3 expired`, `web-4 for=shop.example.com`.
use certdrift_contract::{Fingerprint, UnixTime};
use std::collections::BTreeMap;

/// One.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// PEM.
    pub(super) pem: String,
    /// Of its DER.
    pub(super) leaf: Fingerprint,
    /// Its end.
    pub(super) not_after: UnixTime,
}

/// All that were named.
#[derive(Default)]
pub(super) struct Certificates(BTreeMap<String, Made>);

const DAY: i64 = 86_400;

impl Certificates {
    /// The one of this name; words after the name say what is unusual about it.
    pub(super) fn named(&mut self, text: &str, start: UnixTime) -> Made {
        if let Some(made) = self.0.get(text) {
            return made.clone();
        }
        let mut words = text.split(' ').skip(1);
        let (mut host, mut from, mut until) = ("demo.example.com", -DAY, 90 * DAY);
        for word in &mut words {
            match word.split_once('=') {
                Some(("for", name)) => host = name,
                None if word == "expired" => (from, until) = (-91 * DAY, -DAY),
                None if word == "later" => from = DAY,
                _ => panic!("{text}: {word} is not understood"),
            }
        }
        let time = |seconds: i64| {
            let at = start.plus(seconds).seconds();
            rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(at.unsigned_abs())
        };
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        // The default of a gateway is told by this name.
        if text.starts_with("placeholder") {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
        }
        (params.not_before, params.not_after) = (time(from), time(until));
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let issuer_key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(issuer, issuer_key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let made = Made {
            pem: certificate.pem(),
            leaf: Fingerprint::of(certificate.der()),
            not_after: start.plus(until),
        };
        self.0.insert(text.to_owned(), made.clone());
        made
    }
}
