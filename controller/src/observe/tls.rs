//! TLS client configurations: ring passed explicitly, never the process's default provider; sessions never resumed.
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// The provider for everything the controller does.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A configuration that trusts these roots and checks the name: for the webhook and the controller's own endpoints.
#[must_use]
pub fn verified(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = builder(provider()).with_root_certificates(roots).with_no_client_auth();
    Arc::new(without_resumption(config))
}

/// The system's roots, and how many of them could not be read.
#[must_use]
pub fn system_roots() -> (RootCertStore, usize) {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    (roots, ignored.saturating_add(found.errors.len()))
}

/// A configuration that takes any certificate of a peer: for reports of gateways that are observed, whose certificate is the question and not the answer.
#[must_use]
pub fn any() -> Arc<ClientConfig> {
    let verifier = Arc::new(super::verifier::Recorder::new(super::verifier::Offer::Any));
    Arc::new(with_verifier(provider(), verifier))
}

/// A configuration with a verifier of our own.
pub(super) fn with_verifier(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> ClientConfig {
    without_resumption(
        builder(provider).dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(),
    )
}

fn without_resumption(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}

/// TLS 1.2 and 1.3. ring has suites for both, so the builder cannot fail; a provider cut to one family keeps some of both.
fn builder(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
}
