//! The controller's one HTTP client: HTTP/1.1, a connection a request, bounded in time and size, no redirects.
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where a request goes: `http://…` or `https://…`, never with a user, a password or a fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Uri);

/// Why a text is no URL of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text is no URI at all.
    #[error("it is not a URL: {0}")]
    Syntax(String),
    /// Neither http nor https.
    #[error("a URL begins with http:// or https://")]
    Scheme,
    /// No host, or a user and password before it.
    #[error("a URL names a host, without user and password")]
    Authority,
}

impl std::str::FromStr for Url {
    type Err = UrlError;
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri =
            text.parse().map_err(|e: hyper::http::uri::InvalidUri| match text.split_once("://") {
                Some(_) => UrlError::Syntax(e.to_string()),
                // `127.0.0.1:9480`, the usual slip: no URI, and "invalid format" tells nobody why.
                None => UrlError::Scheme,
            })?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(UrlError::Scheme);
        }
        match uri.authority() {
            Some(a) if !a.host().is_empty() && !a.as_str().contains('@') => Ok(Self(uri)),
            _ => Err(UrlError::Authority),
        }
    }
}

impl Url {
    /// Whether it asks for TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Name or address, an IPv6 one without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// As given, else 80 or 443.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |p| p.as_str())
    }

    fn authority(&self) -> &str {
        self.0.authority().map_or("", |a| a.as_str())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How much time and how many bytes an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For the whole of it: resolving, connecting, TLS, request, answer.
    pub timeout: Duration,
    /// Of the answer's body.
    pub body: usize,
}

impl Default for Bounds {
    /// Five seconds, 4 MiB.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), body: 4 << 20 }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, at most as long as [`Bounds::body`].
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The name has no address.
    #[error("{0} has no address: {1}")]
    Resolve(String, String),
    /// No address took the connection.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, String),
    /// The TLS handshake failed, or the certificate is not trusted.
    #[error("TLS with {0} failed: {1}")]
    Tls(String, String),
    /// A header has bytes that HTTP forbids.
    #[error("the request cannot be written: {0}")]
    Request(String),
    /// The peer broke off, or does not speak HTTP/1.
    #[error("no HTTP answer: {0}")]
    Protocol(String),
    /// The body is longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// Time ran out.
    #[error("no complete answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    tls: Arc<ClientConfig>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, HEAD, POST …
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Beyond Host and User-Agent, which are set here.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Empty for GET and HEAD.
    pub body: Bytes,
    /// Connect here whatever the URL's host resolves to.
    pub connect: Option<SocketAddr>,
}

impl Request {
    /// A GET.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), body: Bytes::new(), connect: None }
    }

    /// A POST of JSON.
    #[must_use]
    pub fn post_json(url: Url, body: impl Into<Bytes>) -> Self {
        let json = (hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, url, headers: vec![json], body: body.into(), connect: None }
    }

    /// With one header more; a value that HTTP forbids is an error.
    ///
    /// # Errors
    /// The value has control characters.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HttpError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| HttpError::Request(e.to_string()))?;
        let mut value = HeaderValue::from_str(value).map_err(|e| HttpError::Request(e.to_string()))?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }
}

impl Client {
    /// A client whose https uses this configuration: the system's or a file's roots ([`super::tls::verified`]), or any certificate ([`super::tls::any`]).
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls }
    }

    /// Sends it and takes the answer, whatever its status.
    ///
    /// # Errors
    /// There is no whole answer within the bounds.
    pub async fn send(&self, request: Request, bounds: Bounds) -> Result<Answer, HttpError> {
        let work = async {
            let stream = connect(&request.url, request.connect).await?;
            if !request.url.is_tls() {
                return exchange(stream, request, bounds.body).await;
            }
            let host = request.url.host().to_owned();
            let tls = |e: String| HttpError::Tls(host.clone(), e);
            let name = ServerName::try_from(host.clone()).map_err(|e| tls(e.to_string()))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(name, stream).await.map_err(|e| tls(e.to_string()))?;
            exchange(stream, request, bounds.body).await
        };
        crate::clock::timeout(bounds.timeout, work).await.unwrap_or(Err(HttpError::Timeout(bounds.timeout)))
    }
}

async fn connect(url: &Url, given: Option<SocketAddr>) -> Result<TcpStream, HttpError> {
    let addresses = match given {
        Some(address) => vec![address],
        None => tokio::net::lookup_host((url.host(), url.port()))
            .await
            .map_err(|e| HttpError::Resolve(url.host().to_owned(), e.to_string()))?
            .collect(),
    };
    let mut last = HttpError::Resolve(url.host().to_owned(), "none was found".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => last = HttpError::Connect(address, e.to_string()),
        }
    }
    Err(last)
}

/// One exchange on a connection that is already there. The caller bounds the time.
///
/// # Errors
/// The peer does not answer in HTTP/1, or with more than `limit` bytes of body.
pub async fn exchange<S>(stream: S, request: Request, limit: usize) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut message = hyper::Request::builder().method(request.method).uri(request.url.path());
    message = message
        .header(HOST, request.url.authority())
        .header(USER_AGENT, concat!("certdrift/", env!("CARGO_PKG_VERSION")));
    for (name, value) in request.headers {
        message = message.header(name, value);
    }
    let message = message.body(Full::new(request.body)).map_err(|e| HttpError::Request(e.to_string()))?;
    let protocol = |e: hyper::Error| HttpError::Protocol(e.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(64 << 10)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(protocol)?;
    let answer = async move {
        let answer = sender.send_request(message).await.map_err(protocol)?;
        let (head, body) = answer.into_parts();
        let body = collect(body, limit).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    // The connection must be driven beside the answer; what it has read when it ends is still to be taken.
    let drive = async move {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        () = drive => Err(HttpError::Protocol("the connection ended".to_owned())),
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, HttpError> {
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => Err(HttpError::TooLong(limit)),
        Err(e) => Err(HttpError::Protocol(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers one request with these bytes; then closes, or stays silent.
    async fn server(answer: &'static [u8], close: bool) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0u8; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if !close {
                std::future::pending::<()>().await;
            }
        });
        format!("http://127.0.0.1:{port}/x?hosts=all").parse().unwrap()
    }

    fn client() -> Client {
        Client::new(super::super::tls::any())
    }

    fn bounds(ms: u64, body: usize) -> Bounds {
        Bounds { timeout: Duration::from_millis(ms), body }
    }

    #[tokio::test]
    async fn an_answer_arrives_with_status_and_body() {
        let url = server(b"HTTP/1.1 503 X\r\ncontent-length: 2\r\n\r\nno", true).await;
        let answer = client().send(Request::get(url), bounds(5000, 100)).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (503, b"no".as_slice()));
    }

    #[tokio::test]
    async fn a_body_that_ends_with_the_connection_arrives_whole() {
        let url = server(b"HTTP/1.1 200 OK\r\n\r\nall of it", true).await;
        let answer = client().send(Request::get(url), bounds(5000, 100)).await.unwrap();
        assert_eq!(&*answer.body, b"all of it");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let url = server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789", true).await;
        let error = client().send(Request::get(url), bounds(5000, 8)).await.unwrap_err();
        assert_eq!(error, HttpError::TooLong(8));
    }

    #[tokio::test]
    async fn a_peer_that_goes_silent_in_the_body_costs_the_timeout_and_no_more() {
        let url = server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123", false).await;
        let error = client().send(Request::get(url), bounds(100, 100)).await.unwrap_err();
        assert_eq!(error, HttpError::Timeout(Duration::from_millis(100)));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_speak_http_is_said_so() {
        let url = server(b"SSH-2.0-x\r\n", true).await;
        let error = client().send(Request::get(url), bounds(5000, 100)).await.unwrap_err();
        assert!(matches!(error, HttpError::Protocol(_)), "{error}");
    }

    #[test]
    fn a_url_with_a_password_or_another_scheme_is_refused() {
        assert_eq!("ftp://x/".parse::<Url>().unwrap_err(), UrlError::Scheme);
        assert_eq!("/x".parse::<Url>().unwrap_err(), UrlError::Scheme);
        assert_eq!("127.0.0.1:9480".parse::<Url>().unwrap_err(), UrlError::Scheme);
        assert_eq!("http://a:b@x/".parse::<Url>().unwrap_err(), UrlError::Authority);
    }

    #[test]
    fn an_ipv6_url_gives_its_address_without_brackets_and_the_default_port() {
        let url: Url = "https://[::1]/a?b=c".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("::1", 443, "/a?b=c"));
    }
}
