//! One worker's state, shared by all its filter chains, and what each of the host's callbacks does to it.
//!
//! Callbacks may come in any order and name contexts nobody created: a context that is not known goes by the
//! newest configuration.
use crate::clock::{Clock, SECOND, passed, seconds};
use crate::config::{Certificate, Configuration, HeaderOn, HeaderTo, HostKind};
use crate::contexts::Contexts;
use crate::health::{self, Hosts, Route};
use crate::host::{Host, Level, Map};
use crate::metrics::Metrics;
use crate::observe::{self, Judged, Unjudged};
use crate::poll::Poller;
use crate::seen::Turn;
use crate::state::{Condition, condition, observations};
use certdrift_contract::header::Header;
use certdrift_contract::names::{HEADER, REPORT_SCHEMA, TOKEN_HEADER};
use certdrift_contract::report::{LedgerInUse, Report};
use certdrift_contract::verdict::Windows;
use certdrift_contract::{Evidence, Fingerprint, Verdict};

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
/// Lines about drift in a minute.
const MAX_LINES: u32 = 10;

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

/// How many lines about drift were written since when.
#[derive(Debug, Default)]
struct Lines {
    since: Option<u64>,
    written: u32,
    left_out: u32,
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
        let path = host.header(Map::Request, ":path").ok().flatten().unwrap_or_default();
        if let Some(route) = health::route(&root.config.prefix, &path)
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

    /// Judges a request's connection. One that cannot be judged is not counted for a health request: probes are no traffic.
    fn judge(&mut self, host: &impl Host, context: u32, id: u32, health: bool) {
        let Some(root) = self.roots.get_mut(id) else { return };
        if !root.error.is_empty() {
            return;
        }
        if root.certificate.is_none() {
            root.certificate = match (&root.config.certificate, root.config.host, self.kind) {
                (Some(certificate), ..) => Some(certificate.clone()),
                (_, HostKind::Envoy, _) | (_, HostKind::Auto, Some(HostKind::Envoy)) => {
                    Some(Certificate::envoy())
                }
                (_, HostKind::Kong, _) | (_, HostKind::Auto, Some(_)) => Some(Certificate::kong()),
                (_, HostKind::Auto, None) => None,
            };
        }
        let Some(certificate) = &root.certificate else {
            if !health {
                self.metrics.unjudged(Unjudged::Unknown);
            }
            return;
        };
        let told = observe::ask(host, certificate);
        let served = match told.read() {
            Ok(served) => served,
            Err((why, error)) => {
                if !health {
                    self.metrics.unjudged(why);
                }
                if let Some(error) = error
                    && self.tap_error != error.as_str()
                {
                    self.tap_error = error.as_str();
                    host.log(
                        Level::Warn,
                        &format!("certdrift: the certificate's property cannot be read: {error}"),
                    );
                }
                let evidence = match told {
                    observe::Told::Declared(..) => Evidence::Declared,
                    _ => Evidence::Filter,
                };
                let header = Header { verdict: Verdict::Unobserved, served: None, expected: None, evidence };
                self.promise(host, context, id, &header);
                return;
            }
        };
        self.tap_error = "";
        let (served_print, evidence) = (served.fingerprint, served.evidence);
        let Some(ledger) = &mut self.poller.ledger else {
            if !health {
                self.metrics.unjudged(Unjudged::NoLedger);
            }
            let header = Header {
                verdict: Verdict::Unobserved,
                served: Some(&served_print),
                expected: None,
                evidence,
            };
            self.promise(host, context, id, &header);
            return;
        };
        let judged =
            observe::observe(ledger, &served, host, &mut self.clock, &self.windows, self.poller.epoch);
        match judged.verdict {
            Verdict::Unlisted => self.metrics.unlisted(),
            Verdict::Drift(class) => {
                self.metrics.judged();
                self.metrics.drift(class);
            }
            _ => self.metrics.judged(),
        }
        if let Some((turn, listed)) = &judged.turn {
            self.lines.turn(host, *turn, listed, &judged, &served_print, self.clock.last());
        }
        let (verdict, expected) = (judged.verdict, judged.expected.as_ref());
        self.promise(host, context, id, &Header { verdict, served: Some(&served_print), expected, evidence });
    }

    /// Keeps the header for the response, where one is due.
    fn promise(&mut self, host: &impl Host, context: u32, root: u32, header: &Header<'_>) {
        let Some(config) = self.roots.get(root).map(|root| &root.config) else { return };
        let due = match config.header {
            HeaderOn::Never => false,
            HeaderOn::Drift => !header.verdict.healthy(),
            HeaderOn::Always => true,
        };
        if due && (config.header_to == HeaderTo::All || may_see_health(host, config, self.kind)) {
            let header = Some(header.to_string());
            self.requests.put(context, Request { root, header });
        }
    }

    /// A response's headers are there.
    pub fn response(&mut self, host: &impl Host, context: u32) {
        if let Some(header) = self.requests.get_mut(context).and_then(|request| request.header.take()) {
            let _ = host.set_header(Map::Response, HEADER, &header);
        }
    }

    /// Answers a health request of a client that may see it.
    fn health(&mut self, host: &impl Host, root: u32, route: Route) -> Action {
        let now = self.clock.ask(host);
        let method = host.header(Map::Request, ":method").ok().flatten().unwrap_or_default();
        let mut headers = health::HEADERS.to_vec();
        let (code, body) = if method != b"GET" && method != b"HEAD" {
            headers.push(("allow", "GET, HEAD"));
            (405, r#"{"error":"method not allowed"}"#.to_owned())
        } else {
            self.answer_health(host, root, route, now)
        };
        let body = if method == b"HEAD" { "" } else { &body };
        match host.respond(code, &headers, body.as_bytes()) {
            Ok(()) => Action::Pause,
            Err(_) => Action::Continue,
        }
    }

    fn answer_health(
        &mut self,
        host: &impl Host,
        root: u32,
        route: Route,
        now: Option<u64>,
    ) -> (u32, String) {
        let condition = self.condition(root, now);
        let told =
            |key: &str, value: &str| format!(r#"{{"{key}":{value},"verdict":"{}"}}"#, condition.as_str());
        match route {
            Route::Livez => (200, r#"{"live":true}"#.to_owned()),
            Route::Readyz => {
                let patience = self.roots.get(root).map_or(0, |root| root.config.ready_after);
                let waited = passed(self.started, now, patience.saturating_mul(SECOND));
                let ready = self.poller.ledger.is_some() || waited;
                if ready { (200, told("ready", "true")) } else { (503, told("ready", "false")) }
            }
            Route::Healthz => {
                let healthy = condition.code() == 200;
                (condition.code(), told("healthy", if healthy { "true" } else { "false" }))
            }
            Route::Report(hosts) => (200, self.report(host, root, &hosts, now, condition).to_json()),
            Route::Unknown => {
                (404, r#"{"error":"not found","paths":["livez","readyz","healthz","report"]}"#.to_owned())
            }
        }
    }

    fn condition(&self, root: u32, now: Option<u64>) -> Condition {
        let wrong = |id: &u32| self.roots.get(*id).is_none_or(|root| !root.error.is_empty());
        condition(wrong(&root) || wrong(&self.newest), &self.poller, &self.windows, now)
    }

    fn report(
        &mut self,
        host: &impl Host,
        root: u32,
        hosts: &Hosts,
        now: Option<u64>,
        condition: Condition,
    ) -> Report {
        if self.pid.is_empty() && self.kind != Some(HostKind::Envoy) {
            self.kind = self.kind.or(find_out(host, &mut self.pid));
        }
        let started = self.started.unwrap_or(0);
        let mut ids = vec![root, self.newest];
        ids.dedup();
        let mut problems = Vec::new();
        for root in ids.iter().filter_map(|id| self.roots.get(*id)) {
            if !root.error.is_empty() {
                problems.push(format!("the configuration is wrong, the filter is passive: {}", root.error));
            }
            problems.extend(root.config.unknown.iter().cloned());
        }
        if !self.tap_error.is_empty() {
            problems.push(format!("the certificate's property cannot be read: {}", self.tap_error));
        }
        let ledger = self.poller.ledger.as_ref().map(|ledger| LedgerInUse {
            gateway: ledger.gateway().to_owned(),
            revision: ledger.revision().0,
            age_seconds: self.poller.age(now).unwrap_or(0),
            hosts: u64::try_from(ledger.hosts()).unwrap_or(u64::MAX),
            location: self.poller.location.clone(),
            last_error: self.poller.last_error.clone(),
        });
        if ledger.is_none() && !self.poller.last_error.is_empty() {
            problems.push(format!("no ledger: {}", self.poller.last_error));
        }
        Report {
            schema: REPORT_SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            worker: certdrift_contract::report::Worker {
                id: if self.pid.is_empty() { format!("w{started:x}") } else { self.pid.clone() },
                started: seconds(started).seconds(),
            },
            ledger,
            verdict: condition.as_str().to_owned(),
            problems,
            counters: self.metrics.sums(),
            observations: observations(&mut self.poller, hosts, &self.windows, seconds(now.unwrap_or(0))),
        }
    }
}

/// Before the `realip` module put a forwarded address in its place.
const KONG_PEER: &[u8] = b"ngx\0realip_remote_addr";
const ENVOY_PEER: &[u8] = b"source\0address";

/// The peer is the connection's own, never a forwarded one (ngx_wasm_module maps `source.address` to one that may be).
/// An unreadable peer is not allowed.
fn may_see_health(host: &impl Host, config: &Configuration, kind: Option<HostKind>) -> bool {
    let kind = if config.host == HostKind::Auto { kind } else { Some(config.host) };
    let property = |path: &[u8]| host.property(path).ok().flatten().filter(|text| !text.is_empty());
    let peer = || match kind {
        Some(HostKind::Envoy) => property(ENVOY_PEER),
        Some(_) => property(KONG_PEER),
        None => None,
    };
    health::allowed(config, peer, || host.header(Map::Request, TOKEN_HEADER).ok().flatten())
}

/// nginx always has a process id and, in Kong, the peer before `realip` changed it; Envoy has no `ngx` at all. `None`:
/// the host does not say either.
fn find_out(host: &impl Host, pid: &mut String) -> Option<HostKind> {
    let text = host.property(b"ngx\0pid").ok()?.unwrap_or_default();
    *pid = text.iter().filter(|b| b.is_ascii_digit()).take(20).map(|b| char::from(*b)).collect();
    if pid.is_empty() && host.property(KONG_PEER).ok()?.is_none() {
        return Some(HostKind::Envoy);
    }
    Some(HostKind::Kong)
}

impl Lines {
    /// Begins a new minute, and says what the last one left out.
    fn tick(&mut self, host: &impl Host, now: Option<u64>) {
        if passed(self.since, now, SECOND.saturating_mul(60)) {
            if self.left_out > 0 {
                let left_out = self.left_out;
                host.log(Level::Warn, &format!("certdrift: {left_out} more hosts began or ended to drift"));
            }
            *self = Self { since: now, written: 0, left_out: 0 };
        }
    }

    fn turn(
        &mut self,
        host: &impl Host,
        turn: Turn,
        listed: &str,
        judged: &Judged,
        served: &Fingerprint,
        now: Option<u64>,
    ) {
        self.tick(host, now);
        if self.written >= MAX_LINES {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.written = self.written.saturating_add(1);
        let verdict = judged.verdict;
        match turn {
            Turn::Began => {
                let expected = judged.expected.map(|e| e.short().to_string()).unwrap_or_default();
                let served = served.short();
                let line = format!("certdrift: {verdict} of {listed}: served {served}, expected {expected}");
                host.log(Level::Warn, &line);
            }
            Turn::Ended => host.log(Level::Info, &format!("certdrift: {listed} drifts no more: {verdict}")),
        }
    }
}
