//! A connection into a pod, by the API server's port-forward: as if it came from the pod itself, from its loopback.
use super::ObjectName;
use crate::clock;
use crate::observe::http::{Answer, HttpError, Request, Url, exchange};
use crate::observe::tls;
use k8s_openapi::api::core::v1::Pod as Object;
use kube::Api;
use rustls_pki_types::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long the pod's side may take to say why it has closed.
const SAYS_WHY_WITHIN: Duration = Duration::from_millis(500);

/// A connection, and what the pod's side may say against it.
pub struct Forwarded<S, E> {
    /// To be read and written.
    pub stream: S,
    /// For after the stream has ended too early.
    pub error: Said<E>,
}

/// What the pod's side may say of a connection.
pub struct Said<E>(E);

impl<E: Future<Output = Option<String>>> Said<E> {
    /// Why the stream has ended, where it is said.
    pub async fn why(self) -> Option<String> {
        let said = clock::timeout(SAYS_WHY_WITHIN, self.0).await.ok().flatten();
        said.map(|why| why.trim().to_owned()).filter(|why| !why.is_empty())
    }
}

/// Connects to a port of a pod. Needs `get` and `create` on pods/portforward.
///
/// # Errors
/// The API server refuses, or cannot reach the pod's kubelet.
pub async fn to(
    client: &kube::Client,
    pod: &ObjectName,
    port: u16,
) -> Result<
    Forwarded<impl AsyncRead + AsyncWrite + Unpin + use<>, impl Future<Output = Option<String>> + use<>>,
    String,
> {
    let pods: Api<Object> = Api::namespaced(client.clone(), &pod.namespace);
    let mut forwarder = pods.portforward(&pod.name, &[port]).await.map_err(|e| e.to_string())?;
    let stream = forwarder.take_stream(port).ok_or("the port was not forwarded")?;
    let error = forwarder.take_error(port).ok_or("the port was not forwarded")?;
    Ok(Forwarded { stream, error: Said(error) })
}

/// Asks a pod over HTTP on the URL's port, whatever its host is: it is asked at its own loopback. The answer's body has at
/// most so many bytes; how long it may take is for the caller to say.
///
/// # Errors
/// It cannot be reached, or gives no answer; in the pod's own words where it says any.
pub async fn get(client: &kube::Client, pod: &ObjectName, url: &Url, most: usize) -> Result<Answer, String> {
    let mut forwarded = to(client, pod, url.port()).await?;
    match over(&mut forwarded.stream, url, most).await {
        Ok(answer) => Ok(answer),
        Err(e) => Err(forwarded.error.why().await.unwrap_or_else(|| e.to_string())),
    }
}

async fn over<S>(stream: &mut S, url: &Url, most: usize) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = Request::get(url.clone());
    if !url.is_tls() {
        return exchange(stream, request, most).await;
    }
    let broken = |e: String| HttpError::Tls(url.host().to_owned(), e);
    let name = ServerName::try_from(url.host().to_owned()).map_err(|e| broken(e.to_string()))?;
    // Whose certificate it is says nothing on a loopback that the API server leads to: any is taken.
    let connector = tokio_rustls::TlsConnector::from(tls::any());
    let stream = connector.connect(name, stream).await.map_err(|e| broken(e.to_string()))?;
    exchange(stream, request, most).await
}
