//! Watches one endpoint: looks at hosts as the plan says and the pace allows, reads tap and report, and tells what it saw.
//!
//! One task an endpoint. It ends when nobody expects anything any more (the sender of expectations is gone) or
//! nobody listens.
mod take;
mod unlisted;

use super::endpoint::{Endpoint, Looked, Polled};
use super::expectations::Expectations;
use super::former::Former;
use super::judge::Judged;
use super::pace::Pace;
use super::plan::{Next, Plan, Reason};
use super::workers::{Coverage, Proof};
use crate::clock;
use crate::finding::Finding;
use crate::loaded::metrics::Page;
use certdrift_contract::{Fingerprint, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// So many hosts of one endpoint are looked at at a time: enough to keep the pace over a long way.
const IN_FLIGHT: usize = 8;
/// An endpoint that does not answer is asked again after this long, then twice as long …
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// … but at least this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How to watch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For one handshake or report.
    pub timeout: Duration,
    /// All hosts once in this time.
    pub sweep: Duration,
    /// Between two readings of tap and report.
    pub poll: Duration,
    /// Handshakes a second.
    pub per_second: u32,
    /// Shared by all endpoints: handshakes in flight at all.
    pub gate: Arc<Semaphore>,
}

/// What the observer tells.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Something was observed and judged.
    Judged(Box<Judged>),
    /// The endpoint answers, or something about it is news.
    Up {
        /// Its name.
        endpoint: String,
        /// It stands in front of the gateway.
        edge: bool,
        /// How many workers it has, where that is known.
        workers: Option<u32>,
        /// When its oldest worker started, where the tap tells.
        started: Option<UnixTime>,
    },
    /// Nobody answers there.
    Unreachable {
        /// Its name.
        endpoint: String,
        /// In words.
        why: String,
    },
    /// How far a host is proven there.
    Proven {
        /// Name of the endpoint.
        endpoint: String,
        /// The host as listed.
        host: String,
        /// How far.
        proof: Proof,
        /// The workers that were seen to serve what is expected, by pid.
        workers: Vec<String>,
        /// No more looks are made for it, but for the sweep's.
        settled: bool,
        /// Revision of the ledger it is proven against.
        revision: u64,
        /// What that expects of the host.
        expected: Vec<Fingerprint>,
    },
    /// It runs by another configuration than before; or it was asked for the first time.
    Configuration {
        /// Name of the endpoint.
        endpoint: String,
        /// By Kong's status.
        hash: Box<str>,
    },
    /// What its tap counts of the connections of its workers.
    Connections {
        /// Its name.
        endpoint: String,
        /// Full handshakes, resumed sessions, without TLS, unknown.
        by_kind: [u64; 4],
    },
    /// What it serves for a host that the ledger does not list.
    Unlisted {
        /// Name of the endpoint.
        endpoint: String,
        /// The host, as a ledger listed it, or `default`.
        host: String,
        /// End of validity; none once nothing is served that covers the host.
        not_after: Option<UnixTime>,
    },
    /// It takes a request and does not answer; or it answers again.
    Silent {
        /// Name of the endpoint.
        endpoint: String,
        /// It does not answer.
        silent: bool,
    },
    /// What a pod of an ingress controller counts of its pushes, or why that cannot be read.
    Pushes {
        /// `NAMESPACE/POD` of the ingress controller.
        endpoint: String,
        /// Its page.
        page: Result<Page, String>,
    },
    /// Tap, report or status cannot be read, or can be again (`None`).
    Source {
        /// Name of the endpoint.
        endpoint: String,
        /// `tap`, `report`, `status`
        what: &'static str,
        /// What is wrong with it.
        finding: Option<Finding>,
    },
}

impl Seen {
    /// The endpoint that it is about.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Judged(judged) => &judged.observation.endpoint,
            Self::Up { endpoint, .. }
            | Self::Unreachable { endpoint, .. }
            | Self::Proven { endpoint, .. }
            | Self::Configuration { endpoint, .. }
            | Self::Connections { endpoint, .. }
            | Self::Unlisted { endpoint, .. }
            | Self::Silent { endpoint, .. }
            | Self::Pushes { endpoint, .. }
            | Self::Source { endpoint, .. } => endpoint,
        }
    }
}

/// What can be asked of the observer.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Look at these hosts now, from the beginning: all workers are to be seen anew.
    Probe(Vec<String>),
}

/// Watches an endpoint until `expectations` or `out` closes.
pub async fn endpoint(
    endpoint: Endpoint,
    settings: Settings,
    mut expectations: watch::Receiver<Option<Arc<Expectations>>>,
    mut wishes: mpsc::Receiver<Wish>,
    out: mpsc::Sender<Seen>,
) {
    let mut watcher = Watcher::new(endpoint, settings, out);
    let mut wishes_open = true;
    watcher.expect(expectations.borrow_and_update().clone());
    while !watcher.out.is_closed() {
        let pause = watcher.start_what_is_due();
        tokio::select! {
            changed = expectations.changed() => match changed {
                Ok(()) => watcher.expect(expectations.borrow_and_update().clone()),
                Err(_) => return,
            },
            wish = wishes.recv(), if wishes_open => match wish {
                Some(Wish::Probe(hosts)) => watcher.urge(&hosts),
                None => wishes_open = false,
            },
            Some(done) = watcher.running.join_next() => if let Ok(done) = done {
                watcher.take(done).await;
            },
            () = clock::sleep(pause) => {}
        }
    }
}

enum Done {
    Looked { host: Arc<str>, reason: Reason, looked: Looked },
    Former { host: Arc<str>, looked: Looked },
    Polled(Box<Polled>),
}

struct Watcher {
    endpoint: Arc<Endpoint>,
    settings: Settings,
    out: mpsc::Sender<Seen>,
    started: Instant,
    expectations: Option<Arc<Expectations>>,
    plan: Plan,
    former: Former,
    pace: Pace,
    running: JoinSet<Done>,
    looking: usize,
    polling: bool,
    next_poll: Duration,
    looks: usize,
    /// Of hosts that are open.
    coverage: BTreeMap<Arc<str>, Coverage>,
    total: Option<u32>,
    configuration: Option<Box<str>>,
    silent: bool,
    up: Option<bool>,
    oldest: Option<UnixTime>,
    failures: u32,
    resume: Duration,
    /// When what a host serves, and the ledger does not know, was first seen.
    strangers: BTreeMap<(Arc<str>, Fingerprint), UnixTime>,
    /// By host and worker, what tap or report said last and that was not good.
    troubled: BTreeSet<(String, String)>,
    broken: BTreeSet<&'static str>,
}

impl Watcher {
    fn new(endpoint: Endpoint, settings: Settings, out: mpsc::Sender<Seen>) -> Self {
        let sweep = u64::try_from(settings.sweep.as_millis()).unwrap_or(u64::MAX);
        Self {
            total: endpoint.workers,
            configuration: None,
            silent: false,
            endpoint: Arc::new(endpoint),
            plan: Plan::new(sweep),
            former: Former::new(sweep),
            pace: Pace::new(settings.per_second),
            settings,
            out,
            started: clock::instant(),
            expectations: None,
            running: JoinSet::new(),
            looking: 0,
            polling: false,
            next_poll: Duration::ZERO,
            looks: 0,
            coverage: BTreeMap::new(),
            up: None,
            oldest: None,
            failures: 0,
            resume: Duration::ZERO,
            strangers: BTreeMap::new(),
            troubled: BTreeSet::new(),
            broken: BTreeSet::new(),
        }
    }

    fn now(&self) -> Duration {
        clock::since(self.started)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)
    }

    fn expect(&mut self, new: Option<Arc<Expectations>>) {
        let Some(new) = new else { return };
        let changed = match &self.expectations {
            Some(old) if new.generation == old.generation.saturating_add(1) => Arc::clone(&new.changed),
            Some(old) => new.differing(old),
            // The first ledger says nothing of what is served: all of it is to be seen.
            None => Arc::clone(&new.hosts),
        };
        for host in changed.iter() {
            self.coverage.remove(host);
        }
        self.plan.replace(Arc::clone(&new.hosts), changed);
        let before = self.expectations.as_ref().map(|before| Arc::clone(&before.hosts));
        self.former.replace(before.as_ref(), &new.hosts, self.millis());
        self.strangers.retain(|(host, _), _| new.hosts.contains(host));
        self.expectations = Some(new);
    }

    fn urge(&mut self, hosts: &[String]) {
        let now = self.millis();
        for host in hosts {
            let host: Arc<str> = Arc::from(host.as_str());
            self.coverage.remove(&host);
            self.plan.urge(&host, now);
        }
        // Somebody waits for the answer.
        self.failures = 0;
        self.resume = Duration::ZERO;
    }

    /// Starts what is due, and says how long nothing else will be.
    fn start_what_is_due(&mut self) -> Duration {
        let now = self.now();
        let mut pause = self.start_poll(now).min(self.start_former(now));
        while self.looking < IN_FLIGHT {
            if self.resume > now {
                pause = pause.min(self.resume.saturating_sub(now));
                break;
            }
            // One at a time until it is known to answer.
            if self.failures > 0 && self.looking > 0 {
                break;
            }
            let Some(expectations) = self.expectations.clone() else { break };
            // A handshake at least: who comes with more pays for more below.
            if let Err(wait) = self.pace.clone().take(2, now) {
                pause = pause.min(wait);
                break;
            }
            match self.plan.next(self.millis()) {
                Next::Look(host, reason) => self.start_look(host, reason, &expectations, now),
                Next::Wait(until) => {
                    let wait = Duration::from_millis(until.saturating_sub(self.millis()).min(3_600_000));
                    pause = pause.min(wait);
                    break;
                }
            }
        }
        pause.max(Duration::from_millis(1))
    }

    fn start_look(&mut self, host: Arc<str>, reason: Reason, expectations: &Expectations, now: Duration) {
        let offers = expectations.offers(&host);
        let _ = self.pace.take(u32::try_from(offers.len()).unwrap_or(1), now);
        let first = self.coverage.get(&host).is_none_or(|c| c.connections == 0);
        let (endpoint, timeout) = (Arc::clone(&self.endpoint), self.settings.timeout);
        let gate = Arc::clone(&self.settings.gate);
        self.looks = self.looks.wrapping_add(1);
        self.looking = self.looking.saturating_add(1);
        let nth = self.looks;
        self.running.spawn(async move {
            let _turn = gate.acquire().await;
            let looked = endpoint.look(&host, &offers, first, nth, timeout).await;
            Done::Looked { host, reason, looked }
        });
    }

    fn start_poll(&mut self, now: Duration) -> Duration {
        let has_any =
            self.endpoint.tap.is_some() || self.endpoint.report.is_some() || self.endpoint.status.is_some();
        if !has_any || self.polling {
            return LONGEST_PAUSE;
        }
        if now < self.next_poll {
            return self.next_poll.saturating_sub(now);
        }
        self.polling = true;
        let (endpoint, timeout) = (Arc::clone(&self.endpoint), self.settings.timeout);
        self.running.spawn(async move { Done::Polled(Box::new(endpoint.poll(timeout).await)) });
        LONGEST_PAUSE
    }

    async fn take(&mut self, done: Done) {
        match done {
            // Judged by what is expected now and not by what was expected when it began: else a look that was under
            // way would settle a host whose expectation has just changed.
            Done::Looked { host, reason, looked } => {
                self.looking = self.looking.saturating_sub(1);
                if let Some(expectations) = self.expectations.clone() {
                    self.looked(host, reason, &expectations, looked).await;
                }
            }
            Done::Former { host, looked } => {
                self.looking = self.looking.saturating_sub(1);
                self.former(&host, looked).await;
            }
            Done::Polled(polled) => {
                self.polling = false;
                self.next_poll = self.now().saturating_add(self.settings.poll);
                let expectations = self.expectations.clone();
                self.polled(expectations.as_deref(), *polled).await;
            }
        }
    }
}
