//! An API server on loopback for tests: objects of any kind, versions, watches, server-side apply of one data key, and
//! faults on demand. It does what a kube-apiserver 1.37.2 was seen to do with the requests that are made here.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What is answered instead of doing it.
pub(crate) struct Fault {
    /// Of the requests with this verb and this in their path.
    pub(crate) on: (&'static str, &'static str),
    /// So often.
    pub(crate) times: usize,
    /// Status and message.
    pub(crate) answer: (u16, String),
}

#[derive(Default)]
struct Objects {
    version: u64,
    objects: BTreeMap<String, Value>,
    watches: Vec<(String, String, mpsc::UnboundedSender<String>)>,
    faults: Vec<Fault>,
    requests: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Mutex<Objects>>,
    bell: Arc<watch::Sender<u64>>,
    url: String,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Self { inner: Arc::default(), bell: Arc::new(watch::Sender::new(0)), url };
        let router = Router::new().fallback(serve).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    pub(crate) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(self.url.parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.inner.lock().unwrap().objects.get(path).cloned()
    }

    /// Paths of all objects under this one.
    pub(crate) fn paths(&self, under: &str) -> Vec<String> {
        self.inner.lock().unwrap().objects.keys().filter(|path| path.starts_with(under)).cloned().collect()
    }

    /// Another hand changes or makes an object.
    pub(crate) fn hand(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.inner.lock().unwrap();
        let mut object = inner.objects.get(path).cloned().unwrap_or_else(|| fresh(path));
        change(&mut object);
        inner.put(path, object);
        drop(inner);
        self.ring();
    }

    /// Another hand deletes an object.
    pub(crate) fn delete(&self, path: &str) {
        self.inner.lock().unwrap().remove(path);
        self.ring();
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.inner.lock().unwrap().faults.push(fault);
    }

    pub(crate) fn mend(&self) {
        self.inner.lock().unwrap().faults.clear();
    }

    /// `VERB path` of all requests but reads, so far.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| !request.starts_with("GET")).collect()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.inner.lock().unwrap().requests.clone()
    }

    fn ring(&self) {
        self.bell.send_modify(|n| *n += 1);
    }

    /// Waits until it holds; looks again at each request and change.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut bell = self.bell.subscribe();
        let reached = async {
            while !holds() {
                // What is waited for may follow a request, on the other side.
                let _ = certdrift::clock::timeout(Duration::from_millis(20), bell.changed()).await;
            }
        };
        if certdrift::clock::timeout(Duration::from_secs(20), reached).await.is_err() {
            panic!("{what}: did not come; requests: {:#?}", self.requests());
        }
    }
}

fn fresh(path: &str) -> Value {
    let parts: Vec<&str> = path.split('/').collect();
    let namespace = parts.iter().position(|p| *p == "namespaces").map(|at| parts[at + 1]).unwrap_or_default();
    json!({"metadata": {"name": parts.last().unwrap(), "namespace": namespace}})
}

impl Objects {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let known = self.objects.get(path).cloned();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.objects.insert(path.to_owned(), object.clone());
        let list = path.rsplit_once('/').unwrap().0.to_owned();
        self.watches.retain(|(of, selector, out)| {
            let was = known.as_ref().is_some_and(|known| selected(known, selector));
            let kind = match (*of == list, was, selected(&object, selector)) {
                (false, ..) | (_, false, false) => return !out.is_closed(),
                (_, true, false) => "DELETED",
                (_, true, true) => "MODIFIED",
                (_, false, true) => "ADDED",
            };
            out.send(format!("{}\n", json!({"type": kind, "object": object}))).is_ok()
        });
        object
    }

    fn remove(&mut self, path: &str) {
        self.version += 1;
        let Some(mut object) = self.objects.remove(path) else { return };
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let list = path.rsplit_once('/').unwrap().0.to_owned();
        self.watches.retain(|(of, selector, out)| {
            if *of != list || !selected(&object, selector) {
                return !out.is_closed();
            }
            out.send(format!("{}\n", json!({"type": "DELETED", "object": object}))).is_ok()
        });
    }
}

fn selected(object: &Value, selector: &str) -> bool {
    let Some((key, value)) = selector.split_once('=') else { return true };
    object["metadata"]["labels"][key].as_str() == Some(value)
}

fn refuse(code: u16, message: &str, cause: Option<&str>) -> Response {
    let causes: Vec<Value> = cause.iter().map(|reason| json!({"reason": reason})).collect();
    let body = json!({"kind": "Status", "status": "Failure", "message": message, "code": code, "details": {"causes": causes}});
    (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response()
}

async fn serve(State(api): State<Api>, method: Method, uri: Uri, body: Bytes) -> Response {
    let answer = answer(&api, &method, &uri, &body);
    api.ring();
    answer
}

fn answer(api: &Api, method: &Method, uri: &Uri, body: &Bytes) -> Response {
    let path = uri.path().to_owned();
    let query: BTreeMap<String, String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("%3D", "=").replace("%2F", "/")))
        .collect();
    let mut inner = api.inner.lock().unwrap();
    inner.requests.push(format!("{method} {path}"));
    if let Some(fault) =
        inner.faults.iter_mut().find(|f| f.times > 0 && f.on.0 == method.as_str() && path.contains(f.on.1))
    {
        fault.times -= 1;
        return refuse(fault.answer.0, &fault.answer.1, None);
    }
    let selector = query.get("labelSelector").cloned().unwrap_or_default();
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let done = |object: Value| (StatusCode::OK, object.to_string()).into_response();
    let known = inner.objects.get(&path).cloned();
    let changed = |at: &Value, known: &Value| {
        at["resourceVersion"]
            .as_str()
            .is_some_and(|v| Some(v) != known["metadata"]["resourceVersion"].as_str())
    };
    match *method {
        Method::GET if query.contains_key("watch") => {
            let (out, lines) = mpsc::unbounded_channel();
            for object in inner
                .objects
                .iter()
                .filter(|(at, o)| at.rsplit_once('/').unwrap().0 == path && selected(o, &selector))
            {
                let _ = out.send(format!("{}\n", json!({"type": "ADDED", "object": object.1})));
            }
            let _ = out.send(format!("{}\n", json!({"type": "BOOKMARK", "object": {"metadata": {
                "resourceVersion": inner.version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}}}})));
            inner.watches.push((path, selector, out));
            let stream = Lines(lines);
            Body::new(stream).into_response()
        }
        Method::GET => match known {
            Some(object) => done(object),
            None if inner.objects.keys().any(|at| at.starts_with(&format!("{path}/")))
                || path.ends_with('s') =>
            {
                let items: Vec<&Value> = inner
                    .objects
                    .iter()
                    .filter(|(at, o)| at.rsplit_once('/').unwrap().0 == path && selected(o, &selector))
                    .map(|(_, object)| object)
                    .collect();
                done(json!({"metadata": {"resourceVersion": inner.version.to_string()}, "items": items}))
            }
            None => refuse(404, "not found", None),
        },
        Method::POST => {
            let at = format!("{path}/{}", said["metadata"]["name"].as_str().unwrap());
            if inner.objects.contains_key(&at) {
                return refuse(409, &format!("{at} already exists"), None);
            }
            done(inner.put(&at, said))
        }
        Method::PUT => match known {
            None => refuse(404, "not found", None),
            Some(known) if changed(&said["metadata"], &known) => {
                refuse(409, "the object has been modified", None)
            }
            Some(known) => {
                let mut new = said;
                new["metadata"]["uid"] = known["metadata"]["uid"].clone();
                done(inner.put(&path, new))
            }
        },
        Method::PATCH if query.contains_key("fieldManager") => {
            let mut object = known.clone().unwrap_or_else(|| fresh(&path));
            if known.is_some() && changed(&said["metadata"], &object) {
                return refuse(409, "the object has been modified", None);
            }
            let fields = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let others: Vec<&str> =
                fields.iter().filter_map(|f| f["manager"].as_str()).filter(|m| *m != "certdrift").collect();
            if !others.is_empty() && object["data"] != said["data"] && !query.contains_key("force") {
                let message = format!(
                    "Apply failed with 1 conflict: conflict with {:?} using v1: .data.ledger.json",
                    others[0]
                );
                return refuse(409, &message, Some("FieldManagerConflict"));
            }
            object["data"] = said["data"].clone();
            object["metadata"]["labels"] = said["metadata"]["labels"].clone();
            object["metadata"]["managedFields"] = managed("certdrift", "Apply");
            done(inner.put(&path, object))
        }
        Method::PATCH => match known {
            None => refuse(404, "not found", None),
            Some(known) if changed(&said["metadata"], &known) => {
                refuse(409, "the object has been modified", None)
            }
            Some(mut known) => {
                merge(&mut known, &said);
                done(inner.put(&path, known))
            }
        },
        Method::DELETE => match known {
            None => refuse(404, "not found", None),
            Some(known) if changed(&said["preconditions"], &known) => {
                refuse(409, "the object has been modified", None)
            }
            Some(_) => {
                inner.remove(&path);
                done(json!({"status": "Success"}))
            }
        },
        _ => refuse(405, "not here", None),
    }
}

/// Who wrote `ledger.json`.
pub(crate) fn managed(manager: &str, operation: &str) -> Value {
    json!([{"manager": manager, "operation": operation, "fieldsV1": {"f:data": {"f:ledger.json": {}}}}])
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else if value.is_object() && into[key].is_object() {
            merge(&mut into[key], value);
        } else {
            into[key] = value.clone();
        }
    }
}

struct Lines(mpsc::UnboundedReceiver<String>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(hyper::body::Frame::data(Bytes::from(line)))))
    }
}
