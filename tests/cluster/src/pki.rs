//! The cluster's certificate authority, one certificate per part, and the kubeconfig files made of them.
use crate::network::{API_PORT, API_SERVICE, NODE, NODE_NAME};
use crate::place::Place;
use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut wish = CertificateParams::default();
        wish.distinguished_name.push(DnType::CommonName, "certdrift-cluster");
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wish.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = wish.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(wish, key), pem })
    }

    fn sign(&self, mut wish: CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        wish.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = wish.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }

    /// For a client: the common name is its user, the organisation its group.
    fn client(&self, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut wish = CertificateParams::default();
        wish.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            wish.distinguished_name.push(DnType::OrganizationName, group);
        }
        wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(wish)
    }

    fn server(&self, names: &[&str], addresses: &[&str]) -> Result<Pair> {
        let mut wish =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        for address in addresses {
            wish.subject_alt_names.push(SanType::IpAddress(address.parse()?));
        }
        wish.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(wish)
    }

    /// A kubeconfig with everything inside it.
    fn kubeconfig(&self, pair: &Pair) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(&serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": {
                "server": format!("https://{NODE}:{API_PORT}"),
                "certificate-authority-data": base64(self.pem.as_bytes()),
            }}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "user"}}],
            "users": [{"name": "user", "user": {
                "client-certificate-data": base64(pair.certificate.as_bytes()),
                "client-key-data": base64(pair.key.as_bytes()),
            }}],
        }))?)
    }
}

/// Makes it all: `pki/` and `kubeconfig` in the cluster's folder.
pub(crate) fn make(place: &Place) -> Result<()> {
    let folder = place.at("pki");
    std::fs::create_dir_all(&folder)?;
    let authority = Authority::new()?;
    write(&folder.join("ca.crt"), authority.pem.as_bytes())?;
    let server = authority.server(
        &[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
        ],
        &["127.0.0.1", NODE, API_SERVICE],
    )?;
    let node = format!("system:node:{NODE_NAME}");
    let kubelet_client = authority.client("kube-apiserver-kubelet-client", Some("system:masters"))?;
    for (name, pair) in [("apiserver", &server), ("apiserver-kubelet", &kubelet_client)] {
        write(&folder.join(format!("{name}.crt")), pair.certificate.as_bytes())?;
        write(&folder.join(format!("{name}.key")), pair.key.as_bytes())?;
    }
    let accounts = KeyPair::generate()?;
    write(&folder.join("accounts.key"), accounts.serialize_pem().as_bytes())?;
    write(&folder.join("accounts.pub"), accounts.public_key_pem().as_bytes())?;
    for (name, user, group) in [
        ("controller-manager", "system:kube-controller-manager", None),
        ("scheduler", "system:kube-scheduler", None),
        ("kubelet", node.as_str(), Some("system:nodes")),
        ("proxy", "system:kube-proxy", None),
        ("dns", "system:coredns", None),
    ] {
        let pair = authority.client(user, group)?;
        write(&folder.join(format!("{name}.kubeconfig")), &authority.kubeconfig(&pair)?)?;
    }
    let admin = authority.client("admin", Some("system:masters"))?;
    write(&place.at("kubeconfig"), &authority.kubeconfig(&admin)?)
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(file)?.write_all(bytes)?;
    Ok(())
}

/// Standard base64, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let of = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4_usize {
            if place > chunk.len() {
                text.push('=');
            } else {
                text.push(char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_as_the_rfc_has_it() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
