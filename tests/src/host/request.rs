//! A client's request through the filter, and the response the client gets.
use super::abi::{Callback, Headers, header};
use super::profile::Profile;
use super::state::Stream;
use super::worker::Worker;

const PAUSE: u32 = 1;

/// A request, sent by [`Self::send`]. By default `GET / HTTP/1.1` from 127.0.0.1, answered by the upstream with 200 and `upstream`.
#[derive(Debug)]
pub struct Request<'w> {
    worker: &'w mut Worker,
    stream: Stream,
    upstream: (u16, Headers, Vec<u8>),
}

/// What the client gets.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u32,
    /// Without `:status`.
    pub headers: Headers,
    /// As sent.
    pub body: Vec<u8>,
    /// Whether the filter answered itself.
    pub from_filter: bool,
}

impl<'w> Request<'w> {
    pub(crate) fn new(worker: &'w mut Worker, root: u32) -> Self {
        let profile = worker.store.data().profile;
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let request =
            vec![pair(":method", "GET"), pair(":path", "/"), pair(":authority", "demo.example.com")];
        let stream = Stream { root, request, ..Stream::default() };
        let upstream = (200, vec![pair("content-type", "text/plain")], b"upstream".to_vec());
        Self { worker, stream, upstream }.peer_of(profile, "127.0.0.1")
    }

    /// `:method`.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        self.header(":method", method)
    }

    /// `:path`, with its query.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        self.header(":path", path)
    }

    /// A header; one of that name that is already there is replaced.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut request = self.without_header(name);
        request.stream.request.push((name.as_bytes().to_vec(), value.as_ref().to_vec()));
        request
    }

    /// Takes a header away.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.stream.request.retain(|(n, _)| !n.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    /// A property, as `["ngx", "certdrift"]`.
    #[must_use]
    pub fn property<const N: usize>(mut self, path: [&str; N], value: impl AsRef<[u8]>) -> Self {
        set(&mut self.stream, &path, value.as_ref());
        self
    }

    /// Takes a property away: the gateway does not know it.
    #[must_use]
    pub fn without_property<const N: usize>(mut self, path: [&str; N]) -> Self {
        let path = path.join("\0").into_bytes();
        self.stream.properties.retain(|(name, _)| *name != path);
        self
    }

    /// What the tap says of the connection: the nginx variable `certdrift`.
    #[must_use]
    pub fn tap(self, says: &str) -> Self {
        self.property(["ngx", "certdrift"], says)
    }

    /// The address of the client's own connection, as the gateway's kind tells it.
    #[must_use]
    pub fn peer(self, address: &str) -> Self {
        let profile = self.worker.store.data().profile;
        self.peer_of(profile, address)
    }

    fn peer_of(mut self, profile: &Profile, address: &str) -> Self {
        let with_port = profile.peer_properties().iter().any(|path| path[0] == "source");
        let value = match address.contains(':') {
            _ if !with_port => address.to_owned(),
            true => format!("[{address}]:40000"),
            false => format!("{address}:40000"),
        };
        for path in profile.peer_properties() {
            set(&mut self.stream, path, value.as_bytes());
        }
        self
    }

    /// What the upstream answers, should the request get there.
    #[must_use]
    pub fn upstream(mut self, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        self.upstream = (status, headers, body.into());
        self
    }

    /// Opens the request without any callback, for hostile tests; returns its context's id.
    #[must_use]
    pub fn open(mut self) -> u32 {
        self.arrive();
        self.worker.open(self.stream)
    }

    /// The client goes away after its request's headers: no response is made, the context is closed.
    ///
    /// # Panics
    /// When the filter traps, unless the worker is forgiving.
    #[track_caller]
    pub fn abort(self) {
        let (worker, stream) = (self.worker, self.stream);
        let headers = count(&stream.request);
        let (root, id) = (stream.root, worker.open(stream));
        if worker.run(Callback::ContextCreate, &[id, root]).is_some()
            && worker.run(Callback::RequestHeaders, &[id, headers, 1]).is_some()
        {
            close(worker, id);
        }
        worker.settle();
    }

    /// Sends it and takes it through all its phases.
    ///
    /// # Panics
    /// When the filter traps, unless the worker is forgiving; when it pauses the request.
    #[track_caller]
    pub fn send(mut self) -> Response {
        if let Some(response) = self.unfiltered() {
            return response;
        }
        self.arrive();
        let worker = self.worker;
        let (root, request) = (self.stream.root, count(&self.stream.request));
        let id = worker.open(self.stream);
        let response =
            filtered(worker, id, root, request, self.upstream).unwrap_or_else(|| Response::bare(500));
        worker.settle();
        response
    }

    /// What the client gets where there is no filter any more.
    fn unfiltered(&self) -> Option<Response> {
        if self.worker.gone() {
            return Some(Response::bare(503));
        }
        self.worker.off()?;
        let (status, headers, body) = self.upstream.clone();
        Some(Response { status: status.into(), headers, body, from_filter: false })
    }

    fn arrive(&mut self) {
        if self.worker.store.data().roots.is_empty() {
            self.stream.root = 0;
        }
    }
}

/// `None` when the filter trapped.
#[track_caller]
fn filtered(
    worker: &mut Worker,
    id: u32,
    root: u32,
    request: u32,
    upstream: (u16, Headers, Vec<u8>),
) -> Option<Response> {
    worker.run(Callback::ContextCreate, &[id, root])?;
    let action = worker.run(Callback::RequestHeaders, &[id, request, 1])?;
    let local = worker.store.data().streams.get(&id).and_then(|stream| stream.local.clone());
    let from_filter = local.is_some();
    assert!(
        from_filter || action != PAUSE,
        "the filter paused a request and answered nothing: the client hangs"
    );
    let (status, headers, body) = match local {
        Some(local) => (local.status, local.headers, local.body),
        None => (upstream.0.into(), upstream.1, upstream.2),
    };
    if let Some(stream) = worker.store.data_mut().streams.get_mut(&id) {
        stream.response = headers;
        stream.response.insert(0, (b":status".to_vec(), status.to_string().into_bytes()));
        stream.response_body = body;
    }
    let (headers, size) =
        worker.store.data().streams.get(&id).map_or((0, 0), |s| {
            (count(&s.response), u32::try_from(s.response_body.len()).unwrap_or(u32::MAX))
        });
    worker.run(Callback::ResponseHeaders, &[id, headers, u32::from(size == 0)])?;
    if size > 0 {
        worker.run(Callback::ResponseBody, &[id, size, 1])?;
    }
    let stream = close(worker, id)?;
    let mut headers = stream.response;
    let status =
        header(&headers, b":status").and_then(|s| std::str::from_utf8(s).ok()?.parse().ok()).unwrap_or(0);
    headers.retain(|(name, _)| !name.starts_with(b":"));
    Some(Response { status, headers, body: stream.response_body, from_filter })
}

#[track_caller]
fn close(worker: &mut Worker, id: u32) -> Option<Stream> {
    worker.run(Callback::Done, &[id])?;
    worker.run(Callback::Log, &[id])?;
    worker.run(Callback::Delete, &[id])?;
    worker.store.data_mut().streams.remove(&id)
}

fn set(stream: &mut Stream, path: &[&str], value: &[u8]) {
    let path = path.join("\0").into_bytes();
    stream.properties.retain(|(name, _)| *name != path);
    stream.properties.push((path, value.to_vec()));
}

fn count(headers: &Headers) -> u32 {
    u32::try_from(headers.len()).unwrap_or(u32::MAX)
}

impl Response {
    fn bare(status: u32) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), from_filter: false }
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.headers, name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.text()))
    }
}
