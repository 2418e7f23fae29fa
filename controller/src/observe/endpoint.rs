//! One endpoint of a gateway, and the I/O of looking at it.
use super::handshake::{self, Look, Target};
use super::http::{Bounds, Client, HttpError, Request, Url};
use super::proxy_protocol::ProxyProtocol;
use super::verifier::Offer;
use super::{report, tap, workers};
use crate::clock;
use crate::config;
use crate::config::check::host_and_port;
use crate::converge::Millis;
use certdrift_contract::names::TOKEN_HEADER;
use certdrift_contract::report::Report;
use certdrift_contract::tap::TapReport;
use hyper::Method;
use std::net::SocketAddr;
use std::time::Duration;

/// The most of an answer's body: a report's size follows trouble, a tap's the number of names.
const MOST_OF_A_BODY: usize = 16 << 20;

/// One address where a gateway serves.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Name or address to connect to.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// What it expects before TLS.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// A load balancer or CDN.
    pub edge: bool,
    /// How many workers it has, as configured.
    pub workers: Option<u32>,
    /// The tap's report.
    pub tap: Option<Url>,
    /// The filter's report.
    pub report: Option<Url>,
    /// Kong's status.
    pub status: Option<Url>,
    /// For tap and report.
    pub token: Option<config::Token>,
}

/// What came of looking at one host.
#[derive(Debug)]
pub struct Looked {
    /// One per family.
    pub looks: Vec<Sight>,
    /// What the tap said of the host afterwards.
    pub tap: Option<Result<TapReport, String>>,
}

/// One handshake, and who answered on its connection.
#[derive(Debug)]
pub struct Sight {
    /// What was asked for.
    pub offer: Offer,
    /// When it began, before anything was sent: what a gateway did later, this cannot have seen.
    pub began: Millis,
    /// What was seen.
    pub look: Look,
    /// The filter's word from the very worker that served it.
    pub report: Option<Result<Report, String>>,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Unread {
    why: String,
    /// There was no answer in time.
    silent: bool,
}

/// What the endpoint says of itself.
#[derive(Debug, Default)]
pub struct Polled {
    /// All that the tap knows.
    pub tap: Option<Result<TapReport, String>>,
    /// What one worker's filter knows.
    pub report: Option<Result<Report, String>>,
    /// Kong's status.
    pub status: Option<Result<workers::KongSays, String>>,
    /// It was asked for its status, and did not answer in time.
    pub silent: bool,
}

impl Endpoint {
    /// From the configuration; reads the token.
    ///
    /// # Errors
    /// In words; `certdrift config check` finds the same.
    pub fn new(config: &config::Endpoint) -> Result<Self, String> {
        let (host, port) = host_and_port(&config.address)?;
        let url = |text: &Option<String>| {
            text.as_deref().map(|t| t.parse::<Url>().map_err(|e| format!("{t}: {e}"))).transpose()
        };
        Ok(Self {
            name: config.name.clone(),
            host: host.to_owned(),
            port,
            proxy_protocol: config.proxy_protocol,
            edge: config.edge,
            workers: config.workers,
            tap: url(&config.tap)?,
            report: url(&config.report)?,
            status: url(&config.status)?,
            token: config.token.as_ref().map(config::TokenFrom::read).transpose()?,
        })
    }

    /// Whether filter or tap tell its workers apart.
    #[must_use]
    pub fn names_workers(&self) -> bool {
        self.tap.is_some() || self.report_is_here()
    }

    /// Whether the filter's report is answered where we shake hands, so that it speaks of that very connection.
    fn report_is_here(&self) -> bool {
        self.report.as_ref().is_some_and(|r| r.is_tls() && r.port() == self.port && r.host() == self.host)
    }

    /// Looks at one host: a handshake per offer, and who took the connection. `first`: the tap is told of the host before.
    pub async fn look(
        &self,
        listed: &str,
        offers: &[Offer],
        first: bool,
        nth: usize,
        timeout: Duration,
    ) -> Looked {
        if first && self.tap.is_some() {
            let _ = self.ask_tap(Some(listed), timeout).await;
        }
        let mut looks: Vec<Sight> = Vec::new();
        for offer in offers {
            let sight = match self.address(nth, timeout).await {
                Ok(address) => self.handshake(address, listed, *offer, timeout).await,
                Err(why) => {
                    let look = Look::Unreachable(why);
                    Sight { offer: *offer, began: clock::now(), look, report: None }
                }
            };
            let unreachable = matches!(sight.look, Look::Unreachable(_));
            looks.push(sight);
            if unreachable {
                break;
            }
        }
        let tap = match &self.tap {
            Some(_) => Some(self.ask_tap(Some(listed), timeout).await),
            None => None,
        };
        Looked { looks, tap }
    }

    async fn handshake(&self, address: SocketAddr, listed: &str, offer: Offer, timeout: Duration) -> Sight {
        let (sni, _) = handshake::sni_for(listed);
        let ask = self.on_connection(listed, sni.as_deref());
        let target = Target { address, sni, proxy_protocol: self.proxy_protocol, timeout };
        let began = clock::now();
        let (look, answer) = handshake::look_and_ask(&target, offer, ask).await;
        let report = match answer {
            Some(Ok(answer)) if self.report_is_here() => Some(match answer.status {
                200 => report::read(&answer.body),
                status => Err(format!("status {status}")),
            }),
            Some(Err(e)) if self.report_is_here() => Some(Err(e.to_string())),
            _ => None,
        };
        Sight { offer, began, look, report }
    }

    /// What to ask on the handshake's own connection: the filter's report; or, for the tap to count the connection, anything at all.
    fn on_connection(&self, listed: &str, sni: Option<&str>) -> Option<handshake::Ask> {
        if self.report_is_here() {
            return Some((self.request(&with_hosts(self.report.as_ref()?, Some(listed))?), 1 << 20));
        }
        self.tap.as_ref()?;
        let url = format!("https://{}/", sni.unwrap_or("localhost")).parse().ok()?;
        Some((Request { method: Method::HEAD, ..Request::get(url) }, 1 << 16))
    }

    fn request(&self, url: &Url) -> Request {
        let request = Request::get(url.clone());
        match &self.token {
            Some(token) => request.clone().header(TOKEN_HEADER, token.text()).unwrap_or(request),
            None => request,
        }
    }

    /// The `nth` of its addresses, round and round: a name may have several.
    async fn address(&self, nth: usize, timeout: Duration) -> Result<SocketAddr, String> {
        let found = clock::timeout(timeout, tokio::net::lookup_host((&*self.host, self.port))).await;
        let all: Vec<SocketAddr> = match found {
            Ok(Ok(all)) => all.collect(),
            Ok(Err(e)) => return Err(format!("{} has no address: {e}", self.host)),
            Err(_) => return Err(format!("{}: the name server gives no answer in time", self.host)),
        };
        let nth = nth.checked_rem(all.len()).unwrap_or(0);
        all.get(nth).copied().ok_or_else(|| format!("{} has no address", self.host))
    }

    /// Asks whatever it has to ask.
    pub async fn poll(&self, timeout: Duration) -> Polled {
        let mut polled = Polled::default();
        if self.tap.is_some() {
            polled.tap = Some(self.ask_tap(None, timeout).await);
        }
        if let Some(url) = &self.report {
            let said = self.get(url, timeout).await.map_err(|e| e.to_string());
            polled.report = Some(said.and_then(|body| report::read(&body)));
        }
        if let Some(url) = &self.status {
            let said = self.get(url, timeout).await;
            polled.silent = matches!(said, Err(Unread { silent: true, .. }));
            polled.status =
                Some(said.map_err(|e| e.to_string()).and_then(|body| workers::kong_status(&body)));
        }
        polled
    }

    async fn ask_tap(&self, listed: Option<&str>, timeout: Duration) -> Result<TapReport, String> {
        let url = self.tap.as_ref().and_then(|url| with_hosts(url, listed)).ok_or("there is no tap")?;
        let body = self.get(&url, timeout).await.map_err(|e| e.to_string())?;
        tap::read(&body)
    }

    async fn get(&self, url: &Url, timeout: Duration) -> Result<Vec<u8>, Unread> {
        let bounds = Bounds { timeout, body: MOST_OF_A_BODY };
        // The gateway's certificate is the question here, not the answer: any is taken.
        let answer = Client::new(super::tls::any()).send(self.request(url), bounds).await;
        match answer {
            Ok(answer) if answer.status == 200 => Ok(answer.body.to_vec()),
            Ok(answer) => {
                Err(Unread { why: format!("{url} answers with status {}", answer.status), silent: false })
            }
            Err(e) => Err(Unread { why: format!("{url}: {e}"), silent: matches!(e, HttpError::Timeout(_)) }),
        }
    }
}

fn with_hosts(url: &Url, listed: Option<&str>) -> Option<Url> {
    let Some(listed) = listed.filter(|l| *l != certdrift_contract::index::DEFAULT) else {
        return Some(url.clone());
    };
    let text = url.to_string();
    let joint = if text.contains('?') { '&' } else { '?' };
    format!("{text}{joint}hosts={listed}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const REPORT: &str = r#"{"schema": "certdrift.dev/report/v1", "version": "0.1.0",
        "worker": {"id": "4711", "started": 1795478400}, "ledger": null, "verdict": "no-ledger", "problems": [],
        "counters": {"judged": 0, "unjudged": 0, "unlisted": 0, "drift": 0}, "observations": []}"#;

    /// A gateway with a filter: it answers every request with the report, and keeps what it was asked.
    async fn gateway() -> (u16, rcgen::CertifiedKey<rcgen::KeyPair>, Arc<Mutex<Vec<String>>>) {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "a.example.com".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(super::super::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut buffer = [0; 4096];
                let n = stream.read(&mut buffer).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&buffer[..n]).into_owned());
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{REPORT}", REPORT.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, made, asked)
    }

    fn endpoint(port: u16, report: &str) -> Endpoint {
        Endpoint {
            name: "e".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            proxy_protocol: None,
            edge: false,
            workers: None,
            tap: None,
            report: Some(report.parse().unwrap()),
            status: None,
            token: None,
        }
    }

    #[tokio::test]
    async fn the_filter_names_the_worker_on_the_handshakes_own_connection() {
        let (port, made, asked) = gateway().await;
        let endpoint = endpoint(port, &format!("https://127.0.0.1:{port}/certdrift/report"));
        assert!(endpoint.names_workers());
        let looked = endpoint.look("a.example.com", &[Offer::Any], true, 0, Duration::from_secs(10)).await;
        let [sight] = &looked.looks[..] else { panic!("{looked:?}") };
        let Look::Served(served) = &sight.look else { panic!("{looked:?}") };
        assert_eq!(served.leaf, certdrift_contract::Fingerprint::of(made.cert.der()));
        assert_eq!(sight.report.as_ref().unwrap().as_ref().unwrap().worker.id, "4711");
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 1, "one connection, one request: {asked:?}");
        assert!(asked[0].starts_with("GET /certdrift/report?hosts=a.example.com HTTP/1.1\r\n"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_report_on_another_port_names_no_worker_of_a_handshake() {
        let (port, _, _) = gateway().await;
        assert!(!endpoint(port, "https://127.0.0.1:1/certdrift/report").names_workers());
    }

    #[tokio::test]
    async fn a_report_is_polled_whatever_certificate_the_gateway_has() {
        let (port, _, _) = gateway().await;
        let polled = endpoint(port, &format!("https://127.0.0.1:{port}/certdrift/report"))
            .poll(Duration::from_secs(10))
            .await;
        assert_eq!(polled.report.unwrap().unwrap().worker.id, "4711");
    }

    #[tokio::test]
    async fn the_webhooks_client_takes_only_a_certificate_it_trusts() {
        let (port, made, _) = gateway().await;
        let url = |host: &str| format!("https://{host}:{port}/hook").parse::<Url>().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let trusting = Client::new(super::super::tls::verified(roots));
        let post = |url| Request::post_json(url, "{}");
        let bounds = Bounds::default();
        assert_eq!(trusting.send(post(url("localhost")), bounds).await.unwrap().status, 200);
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(other.cert.der().clone()).unwrap();
        let wary = Client::new(super::super::tls::verified(roots));
        let error = wary.send(post(url("localhost")), bounds).await.unwrap_err();
        assert!(matches!(error, super::super::http::HttpError::Tls(..)), "{error}");
    }
}
