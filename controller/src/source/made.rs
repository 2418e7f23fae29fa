//! Certificates made for tests of this crate.
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use x509_parser::time::ASN1Time;

/// The time the made certificates are valid around: 2026-11-24T00:00:00Z.
pub(crate) const NOW: certdrift_contract::UnixTime =
    certdrift_contract::UnixTime::from_seconds(1_795_478_400);

/// So many days from [`NOW`], in the type that rcgen takes (of the crate `time`, which is no dependency of ours).
macro_rules! days {
    ($days:expr) => {
        ASN1Time::from_timestamp(NOW.plus(86_400i64.saturating_mul($days)).seconds()).unwrap().to_datetime()
    };
}

/// A root, an intermediate below it.
pub(crate) struct Authority {
    pub(crate) root: CertifiedIssuer<'static, KeyPair>,
    pub(crate) intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// A leaf and its key, as PEM.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let params = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params.not_before, params.not_after) = (days!(-1_000), days!(1_000));
            params
        };
        let root = CertifiedIssuer::self_signed(params("Test Root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate =
            CertifiedIssuer::signed_by(params("Test Intermediate"), KeyPair::generate().unwrap(), &root)
                .unwrap();
        Self { root, intermediate }
    }

    /// A leaf of the intermediate, valid from and to so many days from [`NOW`].
    pub(crate) fn leaf(&self, names: &[&str], from: i64, to: i64) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        (params.not_before, params.not_after) = (days!(from), days!(to));
        let certificate = params.signed_by(&key, &self.intermediate).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }

    /// Leaf and intermediate, in order.
    pub(crate) fn bundle(&self, leaf: &Leaf) -> String {
        format!("{}{}", leaf.certificate, self.intermediate.pem())
    }
}

/// A self-signed certificate with its key.
pub(crate) fn self_signed(common_name: &str, names: &[&str], ca: bool) -> Leaf {
    let key = KeyPair::generate().unwrap();
    let mut params =
        CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    (params.not_before, params.not_after) = (days!(-1), days!(90));
    Leaf { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// A self-signed certificate as OpenSSL makes it: certificate and key.
pub(crate) fn openssl(newkey: &[&str], names: &str) -> Leaf {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "36500", "-subj", "/CN=openssl", "-addext"])
        .arg("basicConstraints=critical,CA:FALSE")
        .args(["-addext", &format!("subjectAltName={names}"), "-keyout", &path("key"), "-out", &path("crt")])
        .arg("-newkey")
        .args(newkey)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
    Leaf { certificate: read("crt"), key: read("key") }
}
