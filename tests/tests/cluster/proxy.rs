//! A proxy before the API server: what a replica asks goes through it, is written down, and meets a fault where the test
//! wants one. Replicas ask it in the clear and by a user's name; it asks the real server as the administrator, who may
//! speak for others.
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use certdrift_cluster::Cluster;
use certdrift_harness::wait;
use hyper::body::{Body as HttpBody, Frame};
use kube::client::Body as Upstream;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A request, as it came to the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) uri: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn is_watch(&self) -> bool {
        self.uri.contains("watch=1")
    }

    /// Of the Lease.
    pub(crate) fn is_lease(&self) -> bool {
        self.uri.contains("/leases")
    }

    /// A remedy's intent that is to be written down.
    pub(crate) fn is_intent(&self) -> bool {
        self.is_lease() && self.body.contains("intent.certdrift.dev/") && !self.body.contains(":null")
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is handed on after so long.
    Slow(Duration),
    /// It is not handed on before the fault ends.
    HoldRequest,
    /// It is handed on, and what the server answers is kept back until the fault ends.
    HoldAnswer,
    /// It is answered with this status; 429 says to wait a second.
    Status(u16),
    /// The answer to a watch is that its version is too old (410), in the stream.
    Gone,
    /// The answer begins, and never goes on.
    Silence,
}

type Concerns = Box<dyn Fn(&Asked) -> bool + Send + Sync>;

struct Rule {
    concerns: Concerns,
    fault: Fault,
    id: usize,
    met: Arc<AtomicUsize>,
    over: watch::Receiver<bool>,
}

/// A fault that lasts until it is dropped.
#[derive(Debug)]
pub(crate) struct Lasting {
    shared: Arc<Shared>,
    id: usize,
    met: Arc<AtomicUsize>,
    over: watch::Sender<bool>,
}

impl Lasting {
    /// How many requests have met it.
    pub(crate) fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }

    /// Waits for the first of them.
    #[track_caller]
    pub(crate) fn until_met(&self, patience: Duration) {
        wait::until(
            "a request to meet the fault",
            patience,
            || if self.met() > 0 { Ok(()) } else { Err(()) },
        );
    }

    pub(crate) fn ends(self) {}
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.shared.rules.lock().unwrap().retain(|rule| rule.id != self.id);
        self.over.send_replace(true);
    }
}

struct Shared {
    upstream: kube::Client,
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<Vec<Asked>>,
    next: AtomicUsize,
    /// Answers under way.
    flows: Mutex<Vec<Weak<Flow>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// It runs until the test's process ends.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// One before this cluster's API server; to be called in its network.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let kubeconfig = cluster.kubeconfig();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let read = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
                let mut config =
                    kube::Config::from_custom_kubeconfig(read, &Default::default()).await.unwrap();
                config.default_retry = false;
                config.read_timeout = None;
                let shared = Arc::new(Shared {
                    upstream: kube::Client::try_from(config).unwrap(),
                    rules: Mutex::default(),
                    asked: Mutex::default(),
                    next: AtomicUsize::new(0),
                    flows: Mutex::default(),
                });
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let proxy = Proxy { address: listener.local_addr().unwrap(), shared: Arc::clone(&shared) };
                tell.send(proxy).unwrap();
                let service = axum::Router::new().fallback(handle).with_state(shared);
                axum::serve(listener, service).await.unwrap();
            });
        });
        told.recv().unwrap()
    }

    /// Writes a kubeconfig for this user, whose way goes through here.
    pub(crate) fn kubeconfig(&self, folder: &Path, user: &str) -> PathBuf {
        let file = folder.join(format!("{user}.kubeconfig"));
        let server = format!("http://{}", self.address);
        let text = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"as": user, "as-groups": ["system:masters"]}}]});
        std::fs::write(&file, text.to_string()).unwrap();
        file
    }

    /// From now on requests of this kind meet this fault.
    pub(crate) fn fault(
        &self,
        fault: Fault,
        concerns: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    ) -> Lasting {
        let (over, ends) = watch::channel(false);
        let id = self.shared.next.fetch_add(1, Ordering::SeqCst);
        let met = Arc::new(AtomicUsize::new(0));
        let rule = Rule { concerns: Box::new(concerns), fault, id, met: Arc::clone(&met), over: ends };
        self.shared.rules.lock().unwrap().push(rule);
        Lasting { shared: Arc::clone(&self.shared), id, met, over }
    }

    /// What is being answered now is never gone on with, while the connection stays as it is.
    pub(crate) fn mute(&self) {
        self.each_answer(MUTED);
    }

    /// What is being answered now ends here: of a watch, in good order.
    pub(crate) fn end_answers(&self) {
        self.each_answer(ENDED);
    }

    fn each_answer(&self, mode: u8) {
        let flows = std::mem::take(&mut *self.shared.flows.lock().unwrap());
        for flow in flows.iter().filter_map(Weak::upgrade) {
            flow.mode.store(mode, Ordering::SeqCst);
            if let Some(waker) = flow.waker.lock().unwrap().take() {
                waker.wake();
            }
        }
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap_or_default();
    let asked = Asked {
        at: Instant::now(),
        method: head.method.to_string(),
        uri: head.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let met = {
        let rules = shared.rules.lock().unwrap();
        let rule = rules.iter().find(|rule| (rule.concerns)(&asked));
        rule.map(|rule| (rule.fault, Arc::clone(&rule.met), rule.over.clone()))
    };
    shared.asked.lock().unwrap().push(asked);
    let (fault, met, mut over) = match met {
        Some((fault, met, over)) => (Some(fault), Some(met), Some(over)),
        None => (None, None, None),
    };
    let note = || {
        if let Some(met) = &met {
            met.fetch_add(1, Ordering::SeqCst);
        }
    };
    let mut until_over = async || {
        if let Some(over) = &mut over {
            let _ = over.wait_for(|over| *over).await;
        }
    };
    match fault {
        Some(Fault::HoldAnswer) => {
            let answer = forward(&shared, head, body).await;
            note();
            until_over().await;
            return Ok(answer);
        }
        _ => note(),
    }
    match fault {
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        // It arrives although who has asked waits no longer: a network does not take back what it was given.
        Some(Fault::HoldRequest) => {
            let Some(mut over) = over else { return Ok(refusal(502)) };
            let late = tokio::spawn(async move {
                let _ = over.wait_for(|over| *over).await;
                forward(&shared, head, body).await
            });
            return Ok(late.await.unwrap_or_else(|_| refusal(502)));
        }
        Some(Fault::Status(code)) => return Ok(refusal(code)),
        Some(Fault::Gone) => {
            let line = serde_json::json!({"type": "ERROR", "object": status(410)});
            return Ok(Response::new(Body::from(format!("{line}\n"))));
        }
        Some(Fault::Silence) => {
            return Ok(Response::new(Body::new(Piped { from: None, flow: Arc::default() })));
        }
        Some(Fault::HoldAnswer) | None => {}
    }
    Ok(forward(&shared, head, body).await)
}

fn status(code: u16) -> serde_json::Value {
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": match code { 410 => "Expired", 429 => "TooManyRequests", _ => "InternalError" }, "message": format!("the test says {code}")})
}

fn refusal(code: u16) -> Response {
    let mut response = Response::new(Body::from(status(code).to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    if code == 429 {
        response.headers_mut().insert("retry-after", "1".parse().unwrap());
    }
    response
}

async fn forward(shared: &Shared, head: axum::http::request::Parts, body: Bytes) -> Response {
    let mut request = axum::http::Request::from_parts(head, Upstream::from(body.to_vec()));
    request.headers_mut().remove("host");
    match shared.upstream.send(request).await {
        Ok(answer) => {
            let flow = Arc::new(Flow::default());
            let mut flows = shared.flows.lock().unwrap();
            flows.retain(|flow| flow.strong_count() > 0);
            flows.push(Arc::downgrade(&flow));
            answer.map(|body| Body::new(Piped { from: Some(Box::pin(body)), flow }))
        }
        Err(_) => refusal(502),
    }
}

/// Of an answer: it goes on, it says nothing any more, it has ended.
#[derive(Debug, Default)]
struct Flow {
    mode: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

const MUTED: u8 = 1;
const ENDED: u8 = 2;

/// An answer on its way; with nothing to come from, it says nothing, for ever.
struct Piped {
    from: Option<Pin<Box<Upstream>>>,
    flow: Arc<Flow>,
}

impl HttpBody for Piped {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, kube::Error>>> {
        *self.flow.waker.lock().unwrap() = Some(context.waker().clone());
        let polled = match &mut self.from {
            Some(from) => from.as_mut().poll_frame(context),
            None => Poll::Pending,
        };
        match self.flow.mode.load(Ordering::SeqCst) {
            MUTED => Poll::Pending,
            ENDED => Poll::Ready(None),
            _ => polled,
        }
    }
}
