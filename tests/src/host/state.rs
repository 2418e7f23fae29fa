//! What the host knows: the data behind the host calls of one worker.
use super::abi::{Headers, HostCall, buffer, map, status};
use super::call::{Call, Outcome};
use super::cost::Costs;
use super::fault::{Fault, Faults};
use super::metric::Metrics;
use super::profile::Profile;
use std::collections::HashMap;
use wasmtime::{Memory, TypedFunc};

/// 2026-11-24T00:00:00Z: when every worker begins.
pub const START: u64 = 1_795_478_400;
pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) struct State {
    pub(crate) profile: &'static Profile,
    pub(crate) memory: Option<Memory>,
    pub(crate) malloc: Option<TypedFunc<u32, u32>>,
    /// The fake clock, nanoseconds since 1970.
    pub(crate) now: u64,
    /// The context in whose name host calls are made.
    pub(crate) effective: u32,
    pub(crate) roots: Vec<Root>,
    pub(crate) streams: HashMap<u32, Stream>,
    /// While `proxy_on_http_call_response` runs.
    pub(crate) answer: Option<Outcome>,
    /// Properties of the worker, told in any context.
    pub(crate) properties: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) metrics: Metrics,
    pub(crate) logs: Vec<Line>,
    pub(crate) timers: Vec<Timer>,
    /// Made, not yet taken up by the worker.
    pub(crate) calls: Vec<Call>,
    pub(crate) next_token: u32,
    pub(crate) faults: Option<Box<Faults>>,
    pub(crate) costs: Costs,
    pub(crate) shared: HashMap<Vec<u8>, Vec<u8>>,
}

/// A line the filter logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical.
    pub level: u32,
    /// Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// When, seconds since 1970.
    pub at: u64,
}

pub(crate) struct Root {
    pub(crate) id: u32,
    pub(crate) config: Vec<u8>,
}

pub(crate) struct Timer {
    pub(crate) root: u32,
    pub(crate) period: u64,
    pub(crate) due: u64,
    /// Left over from before a trap: goes on for good, whatever its root context sets later (host notes, trap 2).
    pub(crate) stray: bool,
}

/// One client's request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) root: u32,
    pub(crate) request: Headers,
    pub(crate) request_body: Vec<u8>,
    pub(crate) response: Headers,
    pub(crate) response_body: Vec<u8>,
    pub(crate) properties: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) local: Option<LocalResponse>,
}

/// A response the filter sent itself.
#[derive(Clone, Debug)]
pub(crate) struct LocalResponse {
    pub(crate) status: u32,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// How a host call goes on after it was counted.
pub(crate) enum Step {
    Work,
    Stop(u32),
    Bytes(Vec<u8>),
    Number(u64),
}

impl State {
    pub(crate) fn new(profile: &'static Profile) -> Self {
        Self {
            profile,
            memory: None,
            malloc: None,
            now: START * SECOND,
            effective: 0,
            roots: Vec::new(),
            streams: HashMap::new(),
            answer: None,
            properties: profile
                .own_properties
                .iter()
                .map(|(path, value)| (path.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            metrics: Metrics::default(),
            logs: Vec::new(),
            timers: Vec::new(),
            calls: Vec::new(),
            next_token: 1,
            faults: None,
            costs: Costs::new(),
            shared: HashMap::new(),
        }
    }

    /// Counts a host call and asks the fault plan.
    pub(crate) fn enter(&mut self, call: HostCall) -> Step {
        self.costs.host_call(call);
        match self.faults.as_mut().and_then(|faults| faults.next(call)) {
            None => Step::Work,
            // A host that says it answered the client and did not would let it hang: none does.
            Some(Fault::Status(status::OK) | Fault::Nothing) if !call.gives() => Step::Work,
            Some(Fault::Status(status)) => Step::Stop(status),
            Some(Fault::Nothing) => Step::Stop(status::OK),
            Some(Fault::Bytes(bytes)) => Step::Bytes(bytes),
            Some(Fault::Number(number)) => Step::Number(number),
        }
    }

    pub(crate) fn in_root(&self) -> bool {
        !self.streams.contains_key(&self.effective)
    }

    /// The root context on whose behalf the effective context acts.
    pub(crate) fn effective_root(&self) -> u32 {
        self.streams.get(&self.effective).map_or(self.effective, |stream| stream.root)
    }

    pub(crate) fn property(&self, path: &[u8]) -> Result<&[u8], u32> {
        let family = self.profile.family(path).ok_or(status::NOT_FOUND)?;
        let find =
            |properties: &'_ [(Vec<u8>, Vec<u8>)]| properties.iter().position(|(name, _)| name == path);
        if let Some(stream) = self.streams.get(&self.effective) {
            if let Some(at) = find(&stream.properties) {
                return Ok(&stream.properties[at].1);
            }
        } else if family.in_root != status::NOT_FOUND {
            return Err(family.in_root);
        }
        find(&self.properties).map(|at| self.properties[at].1.as_slice()).ok_or(status::NOT_FOUND)
    }

    pub(crate) fn set_property(&mut self, path: &[u8], value: Vec<u8>) -> Result<(), u32> {
        if self.profile.family(path).is_none() {
            return Err(status::NOT_FOUND);
        }
        let stream = self.streams.get_mut(&self.effective).ok_or(status::BAD_ARGUMENT)?;
        stream.properties.retain(|(name, _)| name != path);
        stream.properties.push((path.to_vec(), value));
        Ok(())
    }

    pub(crate) fn map(&self, kind: u32) -> Result<&Headers, u32> {
        if kind == map::CALL_RESPONSE_HEADERS {
            return self.answer.as_ref().map(|a| &a.headers).ok_or(status::BAD_ARGUMENT);
        }
        let stream = self.streams.get(&self.effective).ok_or(status::BAD_ARGUMENT)?;
        match kind {
            map::REQUEST_HEADERS => Ok(&stream.request),
            map::RESPONSE_HEADERS => Ok(&stream.response),
            _ => Err(status::NOT_FOUND),
        }
    }

    pub(crate) fn map_mut(&mut self, kind: u32) -> Result<&mut Headers, u32> {
        let stream = self.streams.get_mut(&self.effective).ok_or(status::BAD_ARGUMENT)?;
        match kind {
            map::REQUEST_HEADERS => Ok(&mut stream.request),
            map::RESPONSE_HEADERS => Ok(&mut stream.response),
            _ => Err(status::BAD_ARGUMENT),
        }
    }

    pub(crate) fn header(&self, kind: u32, name: &[u8]) -> Result<&[u8], u32> {
        let find = |headers: &'_ Headers| headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
        let headers = self.map(kind)?;
        if let Some(at) = find(headers) {
            return Ok(&headers[at].1);
        }
        let pseudo = self.answer.as_ref().filter(|_| kind == map::CALL_RESPONSE_HEADERS).map(|a| &a.pseudo);
        pseudo.and_then(|p| find(p).map(|at| p[at].1.as_slice())).ok_or(status::NOT_FOUND)
    }

    pub(crate) fn buffer(&self, kind: u32) -> Result<&[u8], u32> {
        match kind {
            buffer::CALL_RESPONSE_BODY => match &self.answer {
                Some(Outcome { body: Ok(body), .. }) => Ok(body),
                Some(Outcome { body: Err(status), .. }) => Err(*status),
                None => Err(status::NOT_FOUND),
            },
            buffer::VM_CONFIGURATION => Ok(&[]),
            buffer::PLUGIN_CONFIGURATION => {
                let root = self.effective_root();
                let root = self.roots.iter().find(|r| r.id == root).ok_or(status::NOT_FOUND)?;
                Ok(&root.config)
            }
            buffer::REQUEST_BODY | buffer::RESPONSE_BODY => {
                let stream = self.streams.get(&self.effective).ok_or(status::BAD_ARGUMENT)?;
                Ok(if kind == buffer::REQUEST_BODY { &stream.request_body } else { &stream.response_body })
            }
            _ => Err(status::NOT_FOUND),
        }
    }

    pub(crate) fn set_tick_period(&mut self, milliseconds: u32) {
        let root = self.effective_root();
        self.timers.retain(|timer| timer.stray || timer.root != root);
        if milliseconds > 0 {
            let period = u64::from(milliseconds) * 1_000_000;
            self.timers.push(Timer { root, period, due: self.now + period, stray: false });
        }
    }
}
