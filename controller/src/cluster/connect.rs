//! The way to the API server: the pod's own ServiceAccount, or a kubeconfig.
use super::token::Token;
use crate::finding::{Finding, Kind, Severity};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use std::path::Path;
use std::time::Duration;
use tower::util::MapRequestLayer;
use tower::{BoxError, ServiceBuilder};

/// No way to an API server.
pub const NO_CLUSTER: Kind = Kind {
    code: "CD-136",
    title: "there is no way to a cluster",
    why: "What a cluster holds is asked for, and neither a ServiceAccount's token (in a pod) nor a usable kubeconfig is there.",
    mend: "in a pod mount the ServiceAccount's token; elsewhere set KUBECONFIG",
    severity: Severity::Error,
};

/// How the API server's audit log and its metrics name us.
const USER_AGENT: &str = concat!("certdrift/", env!("CARGO_PKG_VERSION"));

/// A client. Nothing is asked yet: a server that is away is no error. With a context, the kubeconfig is that of
/// KUBECONFIG where no file is named.
///
/// # Errors
/// Neither a ServiceAccount nor a usable kubeconfig.
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<kube::Client, Finding> {
    let place = kubeconfig.map_or_else(|| "this process".to_owned(), |path| path.display().to_string());
    let wrong = |why: String| NO_CLUSTER.on(&place, why);
    let read = match (kubeconfig, context) {
        (None, None) => None,
        (Some(path), _) => Some(kube::config::Kubeconfig::read_from(path)),
        (None, Some(_)) => Some(kube::config::Kubeconfig::read()),
    };
    let config = match read {
        Some(read) => {
            let options = kube::config::KubeConfigOptions {
                context: context.map(str::to_owned),
                ..kube::config::KubeConfigOptions::default()
            };
            let read = read.map_err(|e| wrong(e.to_string()))?;
            kube::Config::from_custom_kubeconfig(read, &options).await.map_err(|e| wrong(e.to_string()))?
        }
        None => kube::Config::infer().await.map_err(|e| wrong(e.to_string()))?,
    };
    from(config).map_err(|e| wrong(e.to_string()))
}

/// Bytes of an answer that a connection holds at most before they are taken: as much as a TLS record brings. hyper's own
/// bound is 400 KB, and what was read last stays in such a buffer for as long as the connection lives, keys of Secrets
/// included (docs/guarantees.md).
const MOST_BUFFERED: usize = 16 << 10;

/// A client that leaves waiting and trying again to the watches, which know when.
///
/// A server that has vanished without a word (a node that died, a firewall that forgot the connection) sends nothing on a
/// watch, as one does that has nothing to tell. So the system asks at the level of TCP, which is no request: a dead
/// connection is known after 25 s. Behind a proxy the connection is kube's own, and the watch's patience tells.
///
/// # Errors
/// Certificates, keys or tokens of the configuration cannot be used.
pub fn from(mut config: kube::Config) -> Result<kube::Client, kube::Error> {
    config.default_retry = false;
    if !config.headers.iter().any(|(name, _)| *name == http::header::USER_AGENT) {
        config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT)));
    }
    if config.proxy_url.is_some() {
        return kube::Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(config.connect_timeout);
    tcp.set_keepalive(Some(Duration::from_secs(10)));
    tcp.set_keepalive_interval(Some(Duration::from_secs(5)));
    tcp.set_keepalive_retries(Some(3));
    let tls = config.rustls_https_connector_with_connector(tcp)?;
    let token = config.auth_info.token_file.take().map(|file| Token::of(file.into()));
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .option_layer(token.map(|token| MapRequestLayer::new(move |request| token.put(request))))
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(
            Client::builder(TokioExecutor::new()).http1_max_buf_size(MOST_BUFFERED).build::<_, Body>(tls),
        );
    Ok(ClientBuilder::new(stack, config.default_namespace).build())
}
