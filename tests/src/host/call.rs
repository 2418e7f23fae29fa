//! HTTP calls of the filter's own (`proxy_http_call`) and how they are answered.
use super::abi::{Headers, header};
use super::profile::{Profile, Target, TimeoutOf};
use std::time::Duration;

/// A call the filter made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which the answer will carry.
    pub token: u32,
    /// The context that made it.
    pub context: u32,
    /// `host:port`, or a cluster's name.
    pub upstream: String,
    /// As sent, `:method` and `:path` among them.
    pub headers: Headers,
    /// As sent.
    pub body: Vec<u8>,
    /// As asked for.
    pub timeout: Duration,
    /// When, in seconds since 1970.
    pub at: u64,
}

impl Call {
    /// The value of a header; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        String::from_utf8_lossy(header(&self.headers, name.as_bytes()).unwrap_or_default()).into_owned()
    }

    /// `:path`.
    #[must_use]
    pub fn path(&self) -> String {
        self.header(":path")
    }
}

/// How a call is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    kind: Kind,
    after: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Response { status: u16, headers: Headers, body: Vec<u8>, framing: Framing },
    Refused,
    Silent,
    Raw { headers: Headers, body: Result<Vec<u8>, u32> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    CloseDelimited,
    ClosedEarly { body_status: u32 },
}

impl Answer {
    fn of(kind: Kind) -> Self {
        Self { kind, after: Duration::ZERO }
    }

    /// A response with Content-Length.
    #[must_use]
    pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        Self::of(Kind::Response { status, headers, body: body.into(), framing: Framing::Length })
    }

    /// 200 with this body and this ETag.
    #[must_use]
    pub fn document(body: impl Into<Vec<u8>>, etag: &str) -> Self {
        Self::response(200, &[("content-type", "application/json"), ("etag", etag)], body)
    }

    /// 304.
    #[must_use]
    pub fn not_modified() -> Self {
        Self::response(304, &[], [])
    }

    /// 200, no Content-Length, the connection's end ends the body.
    #[must_use]
    pub fn close_delimited(body: impl Into<Vec<u8>>) -> Self {
        let framing = Framing::CloseDelimited;
        Self::of(Kind::Response { status: 200, headers: Vec::new(), body: body.into(), framing })
    }

    /// 200, then the peer closes before the body is whole: reading the body answers `body_status`
    /// (the notes say that the SDK traps on it, so it is neither `OK` nor `NOT_FOUND`).
    #[must_use]
    pub fn closed_early(body_status: u32) -> Self {
        let framing = Framing::ClosedEarly { body_status };
        Self::of(Kind::Response { status: 200, headers: Vec::new(), body: Vec::new(), framing })
    }

    /// Nobody listens.
    #[must_use]
    pub fn refused() -> Self {
        Self::of(Kind::Refused)
    }

    /// The peer accepts and says nothing: the call times out.
    #[must_use]
    pub fn silent() -> Self {
        Self::of(Kind::Silent)
    }

    /// Exactly these headers (`:status` only if it is among them), and a body or the status that reading it answers.
    #[must_use]
    pub fn raw(headers: Headers, body: Result<Vec<u8>, u32>) -> Self {
        Self::of(Kind::Raw { headers, body })
    }

    /// The same, so much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// What the filter gets to see of it, and when.
    pub(crate) fn outcome(self, call: &Call, profile: &Profile) -> (Duration, Outcome) {
        if profile.target == Target::HostPort && !is_ip_target(&call.upstream) {
            return (Duration::ZERO, Outcome::failed("resolver failure", profile));
        }
        let timed_out = || (call.timeout, Outcome::failed("timeout", profile));
        if profile.timeout == TimeoutOf::Call && self.after > call.timeout {
            return timed_out();
        }
        let outcome = match self.kind {
            Kind::Silent => return timed_out(),
            Kind::Refused => Outcome::failed("connection refused", profile),
            Kind::Raw { headers, body } => Outcome { headers, pseudo: Vec::new(), body },
            Kind::Response { status, mut headers, body, framing } => {
                headers.insert(0, (b":status".to_vec(), status.to_string().into_bytes()));
                let size: usize = headers.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
                if profile.call_header_limit.is_some_and(|limit| size > limit) {
                    return (self.after, Outcome::failed("invalid response", profile));
                }
                let body = match framing {
                    Framing::Length => Ok(body),
                    Framing::CloseDelimited if profile.close_delimited_body => Ok(body),
                    Framing::CloseDelimited => Ok(Vec::new()),
                    Framing::ClosedEarly { body_status } => Err(body_status),
                };
                if framing == Framing::Length && !has(&headers, "content-length") {
                    let length = body.as_ref().map_or(0, Vec::len).to_string();
                    headers.push((b"content-length".to_vec(), length.into_bytes()));
                }
                Outcome { headers, pseudo: dispatch_status("ok", profile), body }
            }
        };
        (self.after, outcome)
    }
}

/// What the filter gets to see of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) headers: Headers,
    /// Readable by name, not counted among the headers.
    pub(crate) pseudo: Headers,
    pub(crate) body: Result<Vec<u8>, u32>,
}

impl Outcome {
    fn failed(why: &str, profile: &Profile) -> Self {
        Self { headers: Vec::new(), pseudo: dispatch_status(why, profile), body: Ok(Vec::new()) }
    }
}

fn dispatch_status(why: &str, profile: &Profile) -> Headers {
    if profile.dispatch_status {
        vec![(b":dispatch_status".to_vec(), why.as_bytes().to_vec())]
    } else {
        Vec::new()
    }
}

fn has(headers: &Headers, name: &str) -> bool {
    header(headers, name.as_bytes()).is_some()
}

/// Whether a target is an IP literal with or without a port.
fn is_ip_target(upstream: &str) -> bool {
    upstream.parse::<std::net::SocketAddr>().is_ok() || upstream.parse::<std::net::IpAddr>().is_ok()
}
