//! Whether a chain leads to a root: reported always, judged only when roots were named.
use crate::observe::tls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// The roots that `--roots` names, `system` or a PEM file, and the file's certificates as they stand in it.
///
/// # Errors
/// In words, when there is none.
pub fn roots(named: &str) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let (mut roots, mut pinned) = (RootCertStore::empty(), Vec::new());
    if named == "system" {
        roots = tls::system_roots().0;
    } else {
        pinned = super::expect::certificates(named)?;
        roots.add_parsable_certificates(pinned.iter().cloned());
    }
    match (roots.is_empty(), named) {
        (false, _) => Ok((roots, pinned)),
        (true, "system") => {
            Err("this system has no root certificates; install ca-certificates, or name a file".into())
        }
        (true, path) => Err(format!("{path} has no root certificate")),
    }
}

/// Roots to lead to.
#[derive(Debug)]
pub struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    /// Certificates of the file that was named: one that is served as it stands there needs no path.
    pinned: Vec<CertificateDer<'static>>,
    /// Named by the user, and so judged.
    pub judged: bool,
}

impl Trust {
    /// `None`: the system's, reported only. `system` or a PEM file: judged.
    ///
    /// # Errors
    /// In words, when what was named gives no root.
    pub fn new(named: Option<&str>) -> Result<Option<Self>, String> {
        let (roots, pinned) = match (roots(named.unwrap_or("system")), named) {
            (Err(_), None) => return Ok(None),
            (found, _) => found?,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider())
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Some(Self { verifier, pinned, judged: named.is_some() }))
    }

    /// Whether a path leads from the leaf to a root, names aside (they are judged by themselves).
    ///
    /// # Errors
    /// Why not, in words.
    pub fn path(&self, chain: &[CertificateDer<'static>], now: i64) -> Result<(), String> {
        let (leaf, rest) = chain.split_first().ok_or("there is no certificate")?;
        if self.pinned.contains(leaf) {
            return Ok(());
        }
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or_default()));
        // The name is looked at last, so a complaint about it means that all else is well.
        let name = ServerName::try_from("certdrift-probe.invalid").map_err(|e| e.to_string())?;
        match self.verifier.verify_server_cert(leaf, rest, &name, &[], now) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                Err("no path to a known root".to_owned())
            }
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if why.to_string() == "CaUsedAsEndEntity" =>
            {
                Err("it is an authority's own certificate, and none of the roots".to_owned())
            }
            Err(Error::InvalidCertificate(why)) => Err(why.to_string()),
            Err(other) => Err(other.to_string()),
        }
    }
}
