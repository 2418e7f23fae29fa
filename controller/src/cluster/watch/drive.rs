//! The I/O of a watch: sends what the machine asks, takes the answer apart, keeps the store, rings when it changed.
use super::machine::{Act, Ask, Failure, Heard, Machine, Pace, Problem};
use super::request::Resource;
use super::store::Store;
use super::wire::{self, Item, Line, Reader};
use crate::clock;
use crate::cluster::kinds::Missing;
use http_body_util::BodyExt as _;
use kube::client::Body;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroize as _;

/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(60);

/// A line or page of more bytes is not read: an object is 1.5 MiB at most, base64 makes 2 of it, a page has 50.
const MAX_LINE: usize = 4 << 20;
const MAX_PAGE: usize = 128 << 20;

/// A line buffer that has grown beyond this is given back after the line.
const KEPT_BUFFER: usize = 64 << 10;

/// What is known of a kind, and what keeps it from being up to date.
#[derive(Debug)]
pub struct Known<T> {
    /// The objects.
    pub store: Store<T>,
    /// What is wrong now.
    pub problem: Option<Problem>,
}

/// A watch that runs; shared by who reads and who writes.
#[derive(Debug)]
pub struct Watch<T> {
    /// What is watched.
    pub resource: Resource,
    known: Mutex<Known<T>>,
    bell: watch::Sender<u64>,
}

impl<T: PartialEq + Send + 'static> Watch<T> {
    /// Before its first request.
    #[must_use]
    pub fn new(resource: Resource) -> Arc<Self> {
        Self::with(resource, Store::default())
    }

    /// As [`Watch::new`], with a store that is empty still.
    #[must_use]
    pub fn with(resource: Resource, store: Store<T>) -> Arc<Self> {
        let known = Mutex::new(Known { store, problem: None });
        Arc::new(Self { resource, known, bell: watch::Sender::new(0) })
    }

    /// What is known now.
    pub fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings when something has changed, a problem included.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Watches for ever; to be spawned.
    pub async fn run(self: Arc<Self>, client: kube::Client, read: Reader<T>, spread: u64, pace: Pace) {
        self.run_beside(client, read, spread, pace, Missing::default()).await;
    }

    /// As [`Watch::run`], beside others of whose kinds some may be missing.
    pub async fn run_beside(
        self: Arc<Self>,
        client: kube::Client,
        read: Reader<T>,
        spread: u64,
        pace: Pace,
        missing: Missing,
    ) {
        let mut machine = Machine::new(spread, pace);
        let mut is_missing = false;
        loop {
            let (ask, wait) = machine.ask();
            match wait {
                Some(longest) if is_missing => missing.wait(longest).await,
                Some(wait) => clock::sleep(wait).await,
                None => {}
            }
            if machine.begins() {
                self.known().store.begin();
            }
            let mut hands = Hands { watch: &self, machine: &mut machine, read: &read, pace };
            let heard = hands.ask(&client, &ask).await;
            is_missing = heard == Heard::Failed(Failure::Absent);
            hands.hear(heard);
        }
    }

    fn ring(&self) {
        self.bell.send_modify(|n| *n = n.wrapping_add(1));
    }
}

struct Hands<'a, T> {
    watch: &'a Watch<T>,
    machine: &'a mut Machine,
    read: &'a Reader<T>,
    pace: Pace,
}

impl<T: PartialEq + Send + 'static> Hands<'_, T> {
    fn hear(&mut self, heard: Heard) {
        let act = self.machine.hear(heard);
        let mut known = self.watch.known();
        let mut changed = match act {
            Act::None => false,
            Act::EndList => known.store.end(),
            Act::Absent => known.store.absent(),
        };
        if known.problem.as_ref() != self.machine.problem() {
            known.problem = self.machine.problem().cloned();
            changed = true;
        }
        drop(known);
        if changed {
            self.watch.ring();
        }
    }

    /// One request, to its end; what is heard on the way is taken in, the last word returned.
    async fn ask(&mut self, client: &kube::Client, ask: &Ask) -> Heard {
        // Between 4 and 5 minutes, as client-go does it between 5 and 10: so many seconds a silent failure can last at most.
        let uri = self.watch.resource.uri(ask, 290);
        let request = match http::Request::get(uri).header("accept", "application/json").body(Body::empty()) {
            Ok(request) => request,
            Err(error) => return Heard::Failed(Failure::Broken(error.to_string())),
        };
        let response = match clock::timeout(self.pace.head, client.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Heard::Failed(Failure::Broken(brief(&error))),
            Err(_) => return Heard::Failed(Failure::Broken(format!("no answer in {:?}", self.pace.head))),
        };
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let wait = head
                .headers
                .get("retry-after")
                .and_then(|v| v.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let said = match clock::timeout(self.pace.head, whole(body, 64 << 10)).await {
                Ok(Ok(body)) => wire::message(&body),
                _ => String::new(),
            };
            return Heard::Failed(wire::failure(head.status.as_u16(), &said, wait));
        }
        match ask {
            Ask::Page(_) => self.page(body).await,
            Ask::Stream | Ask::Watch(_) => self.lines(body).await,
        }
    }

    async fn page(&mut self, body: Body) -> Heard {
        let mut bytes = match clock::timeout(PAGE_TIME, whole(body, MAX_PAGE)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(why)) => return Heard::Failed(Failure::Broken(why)),
            Err(_) => {
                return Heard::Failed(Failure::Broken(format!("no page in {} s", PAGE_TIME.as_secs())));
            }
        };
        let page = wire::page(&bytes, self.read);
        bytes.zeroize();
        match page {
            Ok((items, version, next)) => {
                let mut changed = false;
                for item in items {
                    changed |= self.put(item);
                }
                if changed {
                    self.watch.ring();
                }
                Heard::Page { version, next }
            }
            Err(why) => Heard::Failed(Failure::Broken(why)),
        }
    }

    async fn lines(&mut self, mut body: Body) -> Heard {
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let frame = match clock::timeout(self.machine.patience(), body.frame()).await {
                Err(_) => return Heard::Failed(Failure::Silent),
                Ok(None) => return Heard::Closed,
                Ok(Some(Err(error))) => return Heard::Failed(Failure::Broken(brief(&error))),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            let mut rest: &[u8] = &data;
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let (head, tail) = rest.split_at(end);
                rest = tail.get(1..).unwrap_or_default();
                let heard = if buffer.is_empty() {
                    self.line(head)
                } else {
                    buffer.extend_from_slice(head);
                    let heard = self.line(&buffer);
                    buffer.zeroize();
                    if buffer.capacity() > KEPT_BUFFER {
                        buffer = Vec::new();
                    }
                    heard
                };
                match heard {
                    Some(Heard::Failed(failure)) => return Heard::Failed(failure),
                    Some(heard) => self.hear(heard),
                    None => {}
                }
            }
            if buffer.len().saturating_add(rest.len()) > MAX_LINE {
                return Heard::Failed(Failure::Broken("a line of over 4 MiB".to_owned()));
            }
            buffer.extend_from_slice(rest);
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Option<Heard> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(match wire::line(bytes, self.read) {
            Ok(Line::There(item)) => {
                let version = item.version.clone();
                if self.put(item) {
                    self.watch.ring();
                }
                Heard::Event(version)
            }
            Ok(Line::Gone(name, version)) => {
                if self.watch.known().store.remove(&name) {
                    self.watch.ring();
                }
                Heard::Event(version)
            }
            Ok(Line::Bookmark(version, list_ends)) => Heard::Bookmark { version, list_ends },
            Ok(Line::Wrong(failure)) => Heard::Failed(failure),
            Err(why) => Heard::Failed(Failure::Broken(why)),
        })
    }

    fn put(&self, item: Item<T>) -> bool {
        let mut known = self.watch.known();
        let Item { name, kept, .. } = item;
        match kept {
            Ok(kept) => known.store.put(name, kept),
            Err(why) => {
                tracing::warn!(object = %name, why, "passed over");
                known.store.unreadable(name, why);
                true
            }
        }
    }
}

/// A body as one, up to a bound.
pub(crate) async fn whole(mut body: Body, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| brief(&e))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len().saturating_add(data.len()) > limit {
                return Err(format!("an answer of over {limit} bytes"));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// An error and what it comes from, in one line.
pub(crate) fn brief(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text.chars().take(300).collect()
}
