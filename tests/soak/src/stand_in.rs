//! A gateway that does what it is told, with faults: it serves what it has loaded, loads what was stored when somebody
//! posts to it, and writes down every handshake and every post.
use certdrift_contract::Fingerprint;
use certdrift_harness::certs::Leaf;
use rustls::ServerConnection;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How it answers who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It shakes hands.
    Serves,
    /// It closes each connection at once.
    Away,
    /// It takes connections and says nothing on them, for ever.
    Hangs,
    /// It says something that is no TLS.
    Garbage,
}

/// What it does when somebody posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    /// Loads what is stored, and answers 200.
    Loads,
    /// Answers 200, and has loaded after so long what was stored when it was told.
    LoadsAfter(Duration),
    /// As [`Post::LoadsAfter`], and answers only then.
    LoadsSlowly(Duration),
    /// Answers 200 and does nothing.
    Lies,
    /// Answers 500 and does nothing.
    Refuses,
    /// Answers nothing, ever.
    Hangs,
    /// Answers 200, is away for so long, and comes back with what it had.
    DiesFor(Duration),
    /// Answers 200, and only one of its workers has loaded.
    OneWorker,
}

/// A handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shake {
    pub(crate) at: Instant,
    pub(crate) served: Fingerprint,
}

/// A post of a remedy.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) at: Instant,
    /// Which intent: `idempotency-key`.
    pub(crate) intent: String,
    /// How it answered handshakes just then.
    pub(crate) mode: Mode,
}

/// It runs until the process ends.
#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    /// Where it serves TLS.
    pub(crate) address: SocketAddr,
    /// Where it takes posts.
    pub(crate) hook: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    posts: VecDeque<Post>,
    then: Post,
    /// By host and worker.
    loaded: BTreeMap<String, Vec<One>>,
    stored: BTreeMap<String, One>,
    turn: usize,
    shakes: Vec<Shake>,
    acts: Vec<Act>,
}

/// A certificate that can be served.
#[derive(Clone, Debug)]
struct One {
    leaf: Fingerprint,
    key: Arc<CertifiedKey>,
}

impl One {
    fn of(leaf: &Leaf) -> Self {
        let chain = leaf.chain_pem();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
        let key = ring::sign::any_supported_type(&key).expect("a key that signs");
        Self { leaf: leaf.fingerprint, key: Arc::new(CertifiedKey::new(chain.expect("certificates"), key)) }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut state = self.state();
        state.turn = state.turn.wrapping_add(1);
        let turn = state.turn;
        let of = state.loaded.get(hello.server_name()?)?;
        let one = of.get(turn % of.len())?.clone();
        state.shakes.push(Shake { at: Instant::now(), served: one.leaf });
        Some(one.key)
    }
}

fn each(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
            std::thread::spawn(move || serve(stream));
        }
    });
}

impl StandIn {
    /// One that has loaded nothing yet.
    pub(crate) fn start() -> Self {
        let state = State {
            mode: Mode::Serves,
            posts: VecDeque::new(),
            then: Post::Loads,
            loaded: BTreeMap::new(),
            stored: BTreeMap::new(),
            turn: 0,
            shakes: Vec::new(),
            acts: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shared) as Arc<dyn ResolvesServerCert>);
        let (config, tls) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").expect("a port"));
        let hook = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tls.local_addr().expect("its address");
        let gateway =
            Self { address, hook: hook.local_addr().expect("its address"), shared: Arc::clone(&shared) };
        let serving = Arc::clone(&shared);
        each(tls, move |mut stream| {
            let mode = serving.state().mode;
            match mode {
                Mode::Serves => {
                    let Ok(mut connection) = ServerConnection::new(Arc::clone(&config)) else { return };
                    let _ = rustls::Stream::new(&mut connection, &mut stream).read(&mut [0; 16]);
                }
                Mode::Away => {}
                Mode::Hangs => {
                    // It says nothing for as long as anybody stays on the line.
                    let _ = stream.set_read_timeout(None);
                    let mut sink = [0; 1024];
                    while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
                }
                Mode::Garbage => {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nThis is plain HTTP.\r\n");
                }
            }
        });
        each(hook, move |mut stream| shared.posted(&mut stream));
        gateway
    }

    /// What its next loading loads for a host.
    pub(crate) fn store(&self, host: &str, leaf: &Leaf) {
        self.shared.state().stored.insert(host.to_owned(), One::of(leaf));
    }

    /// It stores and loads it in one.
    pub(crate) fn loads(&self, host: &str, leaf: &Leaf) {
        let (one, mut state) = (One::of(leaf), self.shared.state());
        state.stored.insert(host.to_owned(), one.clone());
        state.loaded.insert(host.to_owned(), vec![one]);
    }

    /// It loads what is stored.
    pub(crate) fn load(&self) {
        self.shared.state().load();
    }

    /// From now on it answers so.
    pub(crate) fn is(&self, mode: Mode) {
        self.shared.state().mode = mode;
    }

    /// What it does at the next posts, one after the other, and at all after them.
    pub(crate) fn will(&self, posts: &[Post], then: Post) {
        let mut state = self.shared.state();
        (state.posts, state.then) = (posts.iter().copied().collect(), then);
    }

    /// What was posted so far.
    pub(crate) fn acts(&self) -> Vec<Act> {
        self.shared.state().acts.clone()
    }

    /// Handshakes so far.
    pub(crate) fn shakes(&self) -> Vec<Shake> {
        self.shared.state().shakes.clone()
    }
}

impl State {
    fn load(&mut self) {
        self.loaded = self.stored.iter().map(|(host, one)| (host.clone(), vec![one.clone()])).collect();
    }

    fn load_one_worker(&mut self) {
        for (host, one) in &self.stored {
            let of = self.loaded.entry(host.clone()).or_default();
            let old = of.first().cloned().unwrap_or_else(|| one.clone());
            *of = vec![one.clone(), old];
        }
    }
}

impl Shared {
    fn posted(&self, stream: &mut TcpStream) {
        let Some(intent) = intent(stream) else { return };
        let (post, stored) = {
            let mut state = self.state();
            let (at, mode) = (Instant::now(), state.mode);
            state.acts.push(Act { at, intent, mode });
            let then = state.then;
            (state.posts.pop_front().unwrap_or(then), state.stored.clone())
        };
        let answer = |stream: &mut TcpStream, status: &str| {
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes());
        };
        match post {
            Post::Loads => {
                self.state().load();
                answer(stream, "200 OK");
            }
            Post::LoadsAfter(time) | Post::LoadsSlowly(time) => {
                let slowly = matches!(post, Post::LoadsSlowly(_));
                if !slowly {
                    answer(stream, "200 OK");
                }
                std::thread::sleep(time);
                let loaded = stored.into_iter().map(|(host, one)| (host, vec![one])).collect();
                self.state().loaded = loaded;
                if slowly {
                    answer(stream, "200 OK");
                }
            }
            Post::Lies => answer(stream, "200 OK"),
            Post::Refuses => answer(stream, "500 Internal Server Error"),
            Post::Hangs => {
                let _ = stream.read(&mut [0; 16]);
            }
            Post::DiesFor(time) => {
                self.state().mode = Mode::Away;
                answer(stream, "200 OK");
                std::thread::sleep(time);
                self.state().mode = Mode::Serves;
            }
            Post::OneWorker => {
                self.state().load_one_worker();
                answer(stream, "200 OK");
            }
        }
    }
}

/// Reads a request to its end; the name of its intent.
fn intent(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                head.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned())
            };
            let length: usize = header("content-length:").and_then(|v| v.parse().ok()).unwrap_or_default();
            if body.len() >= length {
                return header("idempotency-key:");
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
}
