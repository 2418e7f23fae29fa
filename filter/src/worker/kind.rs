//! What the kind of host tells of the client: whether it may see health, by the connection's own peer.
use crate::config::{Configuration, HostKind};
use crate::host::{Host, Map};
use certdrift_contract::names::TOKEN_HEADER;

/// Before the `realip` module put a forwarded address in its place.
const KONG_PEER: &[u8] = b"ngx\0realip_remote_addr";
const ENVOY_PEER: &[u8] = b"source\0address";

/// The peer is the connection's own, never a forwarded one (ngx_wasm_module maps `source.address` to one that may be).
/// An unreadable peer is not allowed.
pub(super) fn may_see_health(host: &impl Host, config: &Configuration, kind: Option<HostKind>) -> bool {
    let kind = if config.host == HostKind::Auto { kind } else { Some(config.host) };
    let property = |path: &[u8]| host.property(path).ok().flatten().filter(|text| !text.is_empty());
    let peer = || match kind {
        Some(HostKind::Envoy) => property(ENVOY_PEER),
        Some(_) => property(KONG_PEER),
        None => None,
    };
    crate::health::allowed(config, peer, || host.header(Map::Request, TOKEN_HEADER).ok().flatten())
}

/// nginx always has a process id and, in Kong, the peer before `realip` changed it; Envoy has no `ngx` at all. `None`:
/// the host does not say either.
pub(super) fn find_out(host: &impl Host, pid: &mut String) -> Option<HostKind> {
    let text = host.property(b"ngx\0pid").ok()?.unwrap_or_default();
    *pid = text.iter().filter(|b| b.is_ascii_digit()).take(20).map(|b| char::from(*b)).collect();
    if pid.is_empty() && host.property(KONG_PEER).ok()?.is_none() {
        return Some(HostKind::Envoy);
    }
    Some(HostKind::Kong)
}
