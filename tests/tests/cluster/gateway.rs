//! A gateway in the test's hands: it serves what it has loaded, and loads what it was given when somebody posts to it.
//! What is posted is kept: these are the acts that a remedy has really done.
use super::made;
use rustls::ServerConnection;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request of a remedy, as it has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// Which intent: `idempotency-key`.
    pub(crate) intent: String,
    /// When, as the API server writes times.
    pub(crate) at: String,
}

/// It runs until the test's process ends.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    /// Where it serves TLS.
    pub(crate) address: SocketAddr,
    /// Where it takes posts.
    pub(crate) hook: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    loaded: Mutex<Arc<CertifiedKey>>,
    stored: Mutex<Arc<CertifiedKey>>,
    acts: Mutex<Vec<Act>>,
    takes: Mutex<Duration>,
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.loaded.lock().unwrap()))
    }
}

fn certified(certificate: &str, key: &str) -> Arc<CertifiedKey> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate], ring::sign::any_supported_type(&key).unwrap()))
}

fn each(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            std::thread::spawn(move || serve(stream));
        }
    });
}

impl Gateway {
    /// One that has loaded a certificate of its own.
    pub(crate) fn start() -> Self {
        let (certificate, key, _) = made("x.example");
        let first = certified(&certificate, &key);
        let shared = Arc::new(Shared {
            loaded: Mutex::new(Arc::clone(&first)),
            stored: Mutex::new(first),
            acts: Mutex::default(),
            takes: Mutex::default(),
        });
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shared) as Arc<dyn ResolvesServerCert>);
        let (tls, hook) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let gateway = Self {
            address: tls.local_addr().unwrap(),
            hook: hook.local_addr().unwrap(),
            shared: Arc::clone(&shared),
        };
        let config = Arc::new(config);
        each(tls, move |mut stream| {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let _ = rustls::Stream::new(&mut connection, &mut stream).read(&mut [0; 16]);
        });
        each(hook, move |mut stream| shared.posted(&mut stream));
        gateway
    }

    /// Gives it another certificate, which it loads when it is told to.
    pub(crate) fn store(&self, certificate: &str, key: &str) {
        *self.shared.stored.lock().unwrap() = certified(certificate, key);
    }

    /// It loads what it was given.
    pub(crate) fn load(&self) {
        self.shared.load();
    }

    /// From now on it takes so long to load what it is told to, and answers before.
    pub(crate) fn takes(&self, time: Duration) {
        *self.shared.takes.lock().unwrap() = time;
    }

    /// What was posted so far.
    pub(crate) fn acts(&self) -> Vec<Act> {
        self.shared.acts.lock().unwrap().clone()
    }
}

impl Shared {
    fn load(&self) {
        let stored = Arc::clone(&self.stored.lock().unwrap());
        *self.loaded.lock().unwrap() = stored;
    }

    fn posted(&self, stream: &mut TcpStream) {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let header = |name: &str| {
                    head.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned())
                };
                let length: usize =
                    header("content-length:").and_then(|v| v.parse().ok()).unwrap_or_default();
                if body.len() >= length {
                    let at = certdrift::clock::now().micro_time();
                    let intent = header("idempotency-key:").unwrap_or_default();
                    self.acts.lock().unwrap().push(Act { intent, at });
                    let takes = *self.takes.lock().unwrap();
                    if takes.is_zero() {
                        self.load();
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                    // It works for so long.
                    std::thread::park_timeout(takes);
                    self.load();
                    return;
                }
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(n) => request.extend_from_slice(&buffer[..n]),
            }
        }
    }
}
