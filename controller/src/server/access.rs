//! Who a visitor is, and what he may see.
use crate::config::Token;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use certdrift_contract::names::TOKEN_HEADER;
use std::net::IpAddr;
use std::sync::Arc;

/// The other end of a connection, as the connection itself tells it: never a forwarded address.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// From this machine.
    loopback: bool,
    /// Showed a client certificate of a configured authority.
    certificate: bool,
    token: Option<Arc<Token>>,
}

impl Visitor {
    /// Nobody we know.
    pub const STRANGER: Self = Self { loopback: false, certificate: false, token: None };

    /// A visitor from `peer`; `token` is the one that opens ledgers.
    #[must_use]
    pub fn new(peer: IpAddr, certificate: bool, token: Option<Arc<Token>>) -> Self {
        Self { loopback: peer.to_canonical().is_loopback(), certificate, token }
    }

    /// May read ledgers: loopback, the token, or a client certificate.
    #[must_use]
    pub fn trusted(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(TOKEN_HEADER).map(axum::http::HeaderValue::as_bytes);
        let knows =
            sent.zip(self.token.as_deref()).is_some_and(|(sent, token)| same(sent, token.text().as_bytes()));
        self.local(headers) || self.certificate || knows
    }

    /// Is on this machine, and not a browser that was lured to a name which points here (DNS rebinding): that one sends the name.
    #[must_use]
    pub fn local(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        let name = match host.strip_prefix('[') {
            Some(inner) => inner.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        self.loopback && (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok())
    }
}

/// Compares in a time that depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0u8, |all, (x, y)| all | (x ^ y));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}
