//! TLS of the controller's own port: read again when its files have changed, since that is what this program is about.
use super::findings;
use crate::config::ListenTls;
use crate::finding::Finding;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The set-up in use.
pub struct Tls {
    files: ListenTls,
    now: Mutex<(Vec<Option<SystemTime>>, Arc<ServerConfig>)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// CD-511.
    pub fn new(files: ListenTls) -> Result<Self, Finding> {
        let config = read(&files)?;
        Ok(Self { now: Mutex::new((stamps(&files), config)), files })
    }

    /// What to serve a new connection with. Files that changed but cannot be used leave what was, and that is logged.
    pub fn current(&self) -> Arc<ServerConfig> {
        let stamps = stamps(&self.files);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != stamps {
            now.0 = stamps;
            match read(&self.files) {
                Ok(config) => now.1 = config,
                Err(finding) => crate::log::finding("", &finding),
            }
        }
        Arc::clone(&now.1)
    }
}

fn stamps(files: &ListenTls) -> Vec<Option<SystemTime>> {
    [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
        .into_iter()
        .flatten()
        .map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
        .collect()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Finding> {
    let wrong = |why: String| findings::TLS.on(path.display().to_string(), why);
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(e.to_string()))?;
    if all.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(all) }
}

fn read(files: &ListenTls) -> Result<Arc<ServerConfig>, Finding> {
    let wrong = |path: &Path, why: String| findings::TLS.on(path.display().to_string(), why);
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong(&files.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&files.certificate, e.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| wrong(path, e.to_string()))?;
            }
            // Probes come without a certificate, so it is asked for and not demanded.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|e| wrong(path, e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|e| wrong(&files.certificate, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
