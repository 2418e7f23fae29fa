//! One worker's state, shared by all its filter chains, and what each of the host's callbacks does to it.
//!
//! Callbacks may come in any order and name contexts nobody created: a context that is not known goes by the
//! newest configuration.
mod health;
mod judge;
mod kind;
mod lines;

use crate::clock::{Clock, SECOND, passed};
use crate::config::{Certificate, Configuration, HostKind};
use crate::contexts::Contexts;
use crate::health::{self as asked, Route};
use crate::host::{Host, Level, Map};
use crate::metrics::Metrics;
use crate::poll::Poller;
use certdrift_contract::names::HEADER;
use certdrift_contract::verdict::Windows;
use kind::{find_out, may_see_health};
use lines::Lines;

/// What the host does with the request after a callback; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// Goes on.
    Continue = 0,
    /// Waits; after a response of ours, ends.
    Pause = 1,
}

/// Milliseconds between ticks of one root context.
const TICK_MS: u32 = 1000;
/// Of several root contexts' ticks, one within this time does the work.
const TICK_APART: u64 = SECOND / 2;
/// Requests under way that are remembered; a host that never tells of an end must not fill the memory.
const MAX_REQUESTS: usize = 1 << 16;

/// One worker's state.
#[derive(Debug, Default)]
pub struct Worker {
    clock: Clock,
    started: Option<u64>,
    roots: Contexts<Root>,
    /// The root context that was configured last.
    newest: u32,
    requests: Contexts<Request>,
    poller: Poller,
    windows: Windows,
    metrics: Metrics,
    /// When the last tick's work was done.
    worked: Option<u64>,
    /// Found out at the first request.
    kind: Option<HostKind>,
    /// The worker's process id, where the host tells it.
    pid: String,
    /// What is wrong with what the tap says; empty when nothing is.
    tap_error: &'static str,
    lines: Lines,
}

/// One filter chain.
#[derive(Debug, Default)]
struct Root {
    config: Configuration,
    /// Why the configuration cannot be used; empty when it can.
    error: String,
    /// Where the certificate is read; `None` while the kind of host is not known.
    certificate: Option<Certificate>,
    ticking: bool,
}

/// One request under way.
#[derive(Debug)]
struct Request {
    root: u32,
    /// What the response's header will say.
    header: Option<String>,
}

impl Worker {
    /// A context begins; a root context where `root` is 0.
    pub fn create(&mut self, context: u32, root: u32) {
        if root == 0 {
            if !self.roots.has(context) {
                self.roots.put(context, Root::default());
            }
            return;
        }
        if self.requests.len() >= MAX_REQUESTS {
            self.requests.clear();
        }
        self.requests.put(context, Request { root, header: None });
    }

    /// A context ends.
    pub fn delete(&mut self, context: u32) {
        if !self.requests.take(context) && self.roots.take(context) {
            // The chain is gone: of those that are left the one with the highest number is the youngest.
            if self.newest == context {
                self.newest = self.roots.last().unwrap_or(0);
                self.take_settings();
            }
        }
    }

    /// A root context gets its configuration, of `size` bytes.
    pub fn configure(&mut self, host: &impl Host, context: u32, size: usize) {
        let now = self.clock.ask(host);
        self.started = self.started.or(now);
        let parsed = match host.configuration(size) {
            Ok(text) => Configuration::parse(&text).map_err(|error| error.to_string()),
            Err(status) => Err(format!("the gateway does not give it (status {})", status.0)),
        };
        if !self.roots.has(context) {
            self.roots.put(context, Root::default());
        }
        let Some(root) = self.roots.get_mut(context) else { return };
        // A second time is a trap in ngx_wasm_module.
        if !root.ticking {
            root.ticking = host.tick_every(TICK_MS).is_ok();
        }
        match parsed {
            Ok(config) => {
                for line in &config.unknown {
                    host.log(Level::Warn, &format!("certdrift: {line}"));
                }
                root.config = config;
                root.error.clear();
            }
            Err(error) => {
                host.log(
                    Level::Error,
                    &format!("certdrift: the configuration is wrong, the filter is passive: {error}"),
                );
                root.config = Configuration::default();
                root.error = error;
            }
        }
        root.certificate = None;
        self.newest = context;
        self.take_settings();
        self.metrics.define(host);
    }

    /// Of two configurations the newest holds for the ledger; one that is wrong has no say.
    fn take_settings(&mut self) {
        if let Some(root) = self.roots.get(self.newest).filter(|root| root.error.is_empty()) {
            self.poller.set(&root.config.ledger);
            self.windows = root.config.windows;
        }
    }

    /// A root context's tick. Removed chains of Kong go on ticking until a reload, so most have nothing to do.
    pub fn tick(&mut self, host: &impl Host, context: u32) {
        if !self.roots.has(context) {
            return;
        }
        let now = self.clock.ask(host);
        self.started = self.started.or(now);
        if !passed(self.worked, now, TICK_APART) {
            return;
        }
        self.worked = now;
        self.lines.tick(host, now);
        self.poller.tick(host, &self.clock, &mut self.metrics);
        let ledger = self.poller.ledger.as_ref().map(|l| (l.revision().0, self.poller.age(now).unwrap_or(0)));
        self.metrics.flush(host, ledger);
    }

    /// An answer to a call.
    pub fn answer(&mut self, host: &impl Host, token: u32, headers: usize, body: usize) {
        self.clock.ask(host);
        self.poller.answer(host, &self.clock, &mut self.metrics, token, headers, body);
    }

    /// A request's headers are there.
    pub fn request(&mut self, host: &impl Host, context: u32) -> Action {
        let id = self.requests.get(context).map_or(self.newest, |request| request.root);
        let id = if self.roots.has(id) { id } else { self.newest };
        let Some(root) = self.roots.get_mut(id) else { return Action::Continue };
        if self.kind.is_none() && root.config.host == HostKind::Auto {
            self.kind = find_out(host, &mut self.pid);
        }
        if !root.config.prefix.is_empty()
            && let Some(path) = host.header(Map::Request, ":path").ok().flatten()
            && let Some(route) = asked::route(&root.config.prefix, &path)
            && may_see_health(host, &root.config, self.kind)
        {
            // Who asks how this worker fares was served by it, too; so the answer never lags behind the asking.
            if matches!(route, Route::Healthz | Route::Report(_)) {
                self.judge(host, context, id, true);
            }
            return self.health(host, id, route);
        }
        self.judge(host, context, id, false);
        Action::Continue
    }

    /// A response's headers are there.
    pub fn response(&mut self, host: &impl Host, context: u32) {
        if let Some(header) = self.requests.get_mut(context).and_then(|request| request.header.take()) {
            let _ = host.set_header(Map::Response, HEADER, &header);
        }
    }
}
