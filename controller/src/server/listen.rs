//! Takes connections, bounded in number and time, so that no stranger can hold the controller up.
use super::access::Visitor;
use super::seats::Seats;
use super::tls::Tls;
use super::{Shared, findings, router};
use crate::clock;
use crate::config::{Listen, Token};
use crate::finding::Finding;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A connection that takes longer for its TLS handshake is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A connection that takes longer for the head of a request is dropped, also one that drips bytes.
const HEAD: Duration = Duration::from_secs(10);
/// No connection lives longer, also one that does not read its answer.
const LIFE: Duration = Duration::from_secs(600);
/// So long a connection may still ask when serving ends.
const ASKS: Duration = Duration::from_millis(250);
/// While draining, so long for what is under way.
const DRAIN: Duration = Duration::from_secs(5);

/// A port that is held. Who connects while nobody serves it waits in the kernel, so that a reload refuses nobody.
#[derive(Clone, Debug)]
pub struct Port {
    asked: SocketAddr,
    listener: Arc<TcpListener>,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    port: Port,
    tls: Option<Arc<Tls>>,
    token: Option<Arc<Token>>,
}

impl Server {
    /// Takes the address, unless `held` is it already.
    ///
    /// # Errors
    /// CD-506, CD-510, CD-511.
    pub async fn bind(listen: &Listen, held: Option<&Port>) -> Result<Self, Finding> {
        let token = match &listen.token {
            Some(from) => Some(Arc::new(
                from.read().map_err(|why| crate::config::findings::TOKEN.on("listen.token", why))?,
            )),
            None => None,
        };
        let tls = listen.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
        let asked = listen.address;
        let port = match held.filter(|port| port.asked == asked) {
            Some(port) => port.clone(),
            None => {
                let listener = TcpListener::bind(asked)
                    .await
                    .map_err(|e| findings::CANNOT_LISTEN.on(asked.to_string(), e.to_string()))?;
                Port { asked, listener: Arc::new(listener) }
            }
        };
        Ok(Self { port, tls, token })
    }

    /// Where it listens; the port is the one the system chose when 0 was asked for.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.port.listener.local_addr()
    }

    /// What it listens on, for the next server to go on with.
    #[must_use]
    pub fn port(&self) -> Port {
        self.port.clone()
    }

    /// Serves until `stop` is true, then lets what is under way end.
    pub async fn serve(self, shared: Shared, mut stop: watch::Receiver<bool>) {
        let router = router(shared);
        let seats = Seats::new();
        loop {
            let next = async {
                let free = seats.free().await;
                (free, self.port.listener.accept().await)
            };
            let (free, accepted) = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                next = next => next,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: give others time to end.
                    tracing::warn!(why = %error, "a connection could not be taken");
                    clock::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // One who has too many already is closed.
            let Some(seat) = seats.take(free, peer.ip()) else { continue };
            let connection =
                connection(stream, peer, self.tls.clone(), self.token.clone(), router.clone(), stop.clone());
            tokio::spawn(async move {
                let _seat = seat;
                // A peer that breaks off is no concern of ours.
                let _ = clock::timeout(LIFE, connection).await;
            });
        }
        drop(self.port);
        seats.all_free(DRAIN).await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    token: Option<Arc<Token>>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return http(stream, Visitor::new(peer.ip(), false, token), router, stop).await;
    };
    let acceptor = tokio_rustls::TlsAcceptor::from(tls.current());
    if let Ok(Ok(stream)) = clock::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        let certificate = stream.get_ref().1.peer_certificates().is_some_and(|c| !c.is_empty());
        http(stream, Visitor::new(peer.ip(), certificate, token), router, stop).await;
    }
}

async fn http<S>(stream: S, visitor: Visitor, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(axum::Extension(visitor)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&mut stop) => {}
    }
    // Whoever was let in a moment ago has had no time to ask, and would be turned away.
    if clock::timeout(ASKS, connection.as_mut()).await.is_ok() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
