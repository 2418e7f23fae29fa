//! One request over TLS, whatever certificate is served: the controller's own client.
use anyhow::{Context as _, Result};
use certdrift::observe::http::{Answer, Bounds, Client, Request};
use certdrift::observe::tls;
use std::net::SocketAddr;

/// Asks `address` for `path` under this server name, on a connection of its own.
pub(crate) fn get(address: SocketAddr, name: &str, path: &str) -> Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut request = Request::get(format!("https://{name}:{}{path}", address.port()).parse()?);
    request.connect = Some(address);
    runtime
        .block_on(Client::new(tls::any()).send(request, Bounds::default()))
        .with_context(|| format!("{address}{path}"))
}
