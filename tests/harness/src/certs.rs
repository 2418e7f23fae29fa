//! Certificates for tests: a CA, leaves of both key families, renewals, and the odd ones.
use anyhow::{Context as _, bail};
use certdrift_contract::Fingerprint;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Key families a gateway can serve side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// ECDSA on P-256.
    Ecdsa,
    /// RSA of 2048 bits.
    Rsa,
}

/// A certificate authority of the tests' own.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A leaf with its key, ready to be written where a gateway reads it.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The leaf alone.
    pub pem: String,
    /// What issued it; empty when it is self-signed.
    pub issuer_pem: String,
    /// PKCS#8.
    pub key_pem: String,
    /// DER of the leaf.
    pub der: Vec<u8>,
    /// SHA-256 of `der`.
    pub fingerprint: Fingerprint,
}

/// What a certificate shall say.
#[derive(Clone, Debug)]
pub struct Wish {
    hosts: Vec<String>,
    key: Key,
    common_name: Option<String>,
    not_before: i64,
    not_after: i64,
}

/// A certificate for these names (DNS names, wildcards, IP addresses): ECDSA, valid from an hour ago for 90 days.
#[must_use]
pub fn wish(hosts: &[&str]) -> Wish {
    let now = now();
    Wish {
        hosts: hosts.iter().map(|&h| h.to_owned()).collect(),
        key: Key::Ecdsa,
        common_name: hosts.first().map(|&h| h.to_owned()),
        not_before: now - 3_600,
        not_after: now + 90 * 86_400,
    }
}

/// What a gateway makes for itself when it is given nothing: self-signed for `localhost`, no alternative names.
///
/// # Errors
/// As [`Ca::issue`].
pub fn placeholder(key: Key) -> anyhow::Result<Leaf> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in
        [(DnType::CountryName, "US"), (DnType::OrganizationName, "Kong"), (DnType::CommonName, "localhost")]
    {
        params.distinguished_name.push(kind, value);
    }
    let pair = new_key(key)?;
    let certificate = params.self_signed(&pair)?;
    Ok(Leaf::of(certificate.pem(), String::new(), &pair, certificate.der()))
}

impl Wish {
    /// Another key family.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Another subject; by default the common name is the first host.
    #[must_use]
    pub fn common_name(mut self, name: &str) -> Self {
        self.common_name = Some(name.to_owned());
        self
    }

    /// Valid between these, in seconds since 1970.
    #[must_use]
    pub fn valid(mut self, not_before: i64, not_after: i64) -> Self {
        self.not_before = not_before;
        self.not_after = not_after;
        self
    }

    /// Its end was an hour ago.
    #[must_use]
    pub fn expired(self) -> Self {
        let now = now();
        self.valid(now - 90 * 86_400, now - 3_600)
    }

    /// Its beginning is in a day.
    #[must_use]
    pub fn not_yet_valid(self) -> Self {
        let now = now();
        self.valid(now + 86_400, now + 90 * 86_400)
    }

    /// End of validity, seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    fn params(&self) -> anyhow::Result<CertificateParams> {
        let mut params = CertificateParams::new(self.hosts.clone())?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = &self.common_name {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        let at = |seconds: i64| -> anyhow::Result<_> {
            Ok(date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds)?))
        };
        params.not_before = at(self.not_before)?;
        params.not_after = at(self.not_after)?;
        Ok(params)
    }
}

impl Ca {
    /// A new root.
    ///
    /// # Errors
    /// The library refuses, which it should not.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        Self::make(name, None)
    }

    /// An authority below this one; its leaves come with its certificate as their chain.
    ///
    /// # Errors
    /// As [`Ca::new`].
    pub fn intermediate(&self, name: &str) -> anyhow::Result<Self> {
        Self::make(name, Some(self))
    }

    fn make(name: &str, above: Option<&Self>) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key(Key::Ecdsa)?;
        let certificate = match above {
            Some(ca) => params.signed_by(&key, &ca.issuer)?,
            None => params.self_signed(&key)?,
        };
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues what is wished, with a new key each time: issuing the same wish again is a renewal.
    ///
    /// # Errors
    /// A name that no certificate can carry, or `openssl` is missing (RSA keys are made by it).
    pub fn issue(&self, wish: &Wish) -> anyhow::Result<Leaf> {
        self.issue_for(wish, &new_key(wish.key)?.serialize_pem())
    }

    /// Issues what is wished for this key (PKCS#8), whatever family is wished.
    ///
    /// # Errors
    /// As [`Ca::issue`], or it is no key.
    pub fn issue_for(&self, wish: &Wish, key_pem: &str) -> anyhow::Result<Leaf> {
        let key = KeyPair::from_pem(key_pem)?;
        let certificate = wish.params()?.signed_by(&key, &self.issuer)?;
        Ok(Leaf::of(certificate.pem(), self.pem.clone(), &key, certificate.der()))
    }
}

impl Leaf {
    fn of(pem: String, issuer_pem: String, key: &KeyPair, der: &[u8]) -> Self {
        Self {
            pem,
            issuer_pem,
            key_pem: key.serialize_pem(),
            der: der.to_vec(),
            fingerprint: Fingerprint::of(der),
        }
    }

    /// Leaf and issuer, as `tls.crt` and `fullchain.pem` have them.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        format!("{}{}", self.pem, self.issuer_pem)
    }

    /// Writes `NAME.crt` (with its chain) and `NAME.key` into `folder`, each by rename.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
        let certificate = folder.join(format!("{name}.crt"));
        let key = folder.join(format!("{name}.key"));
        replace(&certificate, &self.chain_pem())?;
        replace(&key, &self.key_pem)?;
        Ok((certificate, key))
    }
}

fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| path.display().to_string())
}

fn new_key(key: Key) -> anyhow::Result<KeyPair> {
    match key {
        Key::Ecdsa => Ok(KeyPair::generate()?),
        Key::Rsa => rsa_key(),
    }
}

/// ring makes no RSA keys, openssl does, slowly: the tests of a process share a few, which no fingerprint notices.
fn rsa_key() -> anyhow::Result<KeyPair> {
    static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if made.is_empty() {
        let out = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .context("openssl: install Debian's package openssl")?;
        if !out.status.success() {
            bail!("openssl genpkey: {}", String::from_utf8_lossy(&out.stderr));
        }
        made.push(String::from_utf8(out.stdout)?);
    }
    Ok(KeyPair::from_pem(&made[0])?)
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}
