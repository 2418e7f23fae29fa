//! Watches one endpoint: looks at hosts as the plan says and the pace allows, reads tap and report, and tells what it saw.
//!
//! One task an endpoint. It ends when nobody expects anything any more (the sender of expectations is gone) or
//! nobody listens.
use super::endpoint::{Endpoint, Looked, Polled, Sight};
use super::expectations::Expectations;
use super::handshake::Look;
use super::judge::{self, Judged};
use super::pace::Pace;
use super::plan::{Next, Plan, Reason};
use super::workers::{Coverage, Proof};
use super::{Observation, Outcome, findings, report, tap};
use crate::finding::Finding;
use certdrift_contract::{Evidence, Fingerprint, UnixTime, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
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
            () = tokio::time::sleep(pause) => {}
        }
    }
}

enum Done {
    Looked { host: Arc<str>, reason: Reason, looked: Looked },
    Polled(Polled),
}

struct Watcher {
    endpoint: Arc<Endpoint>,
    settings: Settings,
    out: mpsc::Sender<Seen>,
    started: Instant,
    expectations: Option<Arc<Expectations>>,
    plan: Plan,
    pace: Pace,
    running: JoinSet<Done>,
    looking: usize,
    polling: bool,
    next_poll: Duration,
    looks: usize,
    /// Of hosts that are open.
    coverage: BTreeMap<Arc<str>, Coverage>,
    total: Option<u32>,
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
            endpoint: Arc::new(endpoint),
            plan: Plan::new(sweep),
            pace: Pace::new(settings.per_second),
            settings,
            out,
            started: Instant::now(),
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
        self.started.elapsed()
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
        let mut pause = self.start_poll(now);
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
        self.running.spawn(async move { Done::Polled(endpoint.poll(timeout).await) });
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
            Done::Polled(polled) => {
                self.polling = false;
                self.next_poll = self.now().saturating_add(self.settings.poll);
                let expectations = self.expectations.clone();
                self.polled(expectations.as_deref(), polled).await;
            }
        }
    }

    async fn looked(&mut self, host: Arc<str>, reason: Reason, expectations: &Expectations, looked: Looked) {
        let now = clock();
        let mut coverage = self.coverage.remove(&host).unwrap_or_default();
        coverage.total = self.total;
        coverage.connections = coverage.connections.saturating_add(1);
        let unreachable = looked.looks.iter().find_map(|s| match &s.look {
            Look::Unreachable(why) => Some(why.clone()),
            _ => None,
        });
        // That it is up is told before anything that was seen there.
        self.reach(unreachable).await;
        let mut judged = Vec::new();
        for sight in &looked.looks {
            let seen = judge::judged(self.observation(&host, sight, expectations, now), expectations, now);
            if let (true, Some(worker)) = (seen.proves(), &seen.observation.worker) {
                coverage.seen.insert(worker.clone());
            }
            if let Some(Ok(report)) = &sight.report {
                self.report(report, expectations, now).await;
            }
            judged.push(seen);
        }
        match &looked.tap {
            Some(Ok(report)) => {
                self.source("tap", None).await;
                let (live, total) = tap::workers(report);
                self.total = Some(total);
                coverage.keep(&live, total);
                for seen in tap::observations(report, &self.endpoint.name, expectations, now) {
                    let seen = judge::judged(seen, expectations, now);
                    if let (true, true, Some(worker)) =
                        (seen.observation.host == *host, seen.proves(), &seen.observation.worker)
                    {
                        coverage.seen.insert(worker.clone());
                    }
                    self.second_hand(seen).await;
                }
            }
            Some(Err(why)) => self.source("tap", Some(why)).await,
            None => {}
        }
        let Some(worst) = judge::worst(judged) else { return };
        let is_open = worst.is_open();
        let revision = worst.revision.0;
        self.tell(Seen::Judged(Box::new(worst))).await;
        self.proceed(host, reason, coverage, is_open, revision).await;
    }

    /// What comes next for a host: nothing, more connections, or another look later.
    async fn proceed(
        &mut self,
        host: Arc<str>,
        reason: Reason,
        coverage: Coverage,
        is_open: bool,
        revision: u64,
    ) {
        let named = self.endpoint.names_workers();
        let wants_more = !is_open && coverage.wants_more(named);
        let settled = !is_open && !wants_more;
        if reason == Reason::Sweep && !is_open {
            if self.plan.is_open(&host) {
                self.coverage.insert(host, coverage);
            }
            return;
        }
        self.tell(Seen::Proven {
            endpoint: self.endpoint.name.clone(),
            host: host.to_string(),
            proof: coverage.proof(named),
            workers: coverage.seen.iter().cloned().collect(),
            settled,
            revision,
        })
        .await;
        let now = self.millis();
        if settled {
            self.plan.settled(&host);
        } else {
            self.plan.again(&host, wants_more, now);
            // In trouble, connections prove nothing; they are counted anew once it is over.
            let connections = if is_open { 0 } else { coverage.connections };
            self.coverage.insert(host, Coverage { connections, ..coverage });
        }
    }

    fn observation(
        &mut self,
        host: &Arc<str>,
        sight: &Sight,
        expectations: &Expectations,
        now: UnixTime,
    ) -> Observation {
        let worker = sight.report.as_ref().and_then(|r| r.as_ref().ok()).map(|r| r.worker.id.clone());
        let outcome = match &sight.look {
            Look::Unreachable(why) => Outcome::Unreachable { why: why.clone() },
            Look::Unobservable(why) => Outcome::Unobservable { why: why.clone() },
            Look::FamilyNotServed(why) => Outcome::FamilyNotServed { why: why.clone() },
            Look::Served(served) if served.possession == super::verifier::Possession::Refuted => {
                Outcome::Unobservable {
                    why: format!("the peer shows {} but does not hold its key", served.leaf.short()),
                }
            }
            Look::Served(served) => {
                let key = (Arc::clone(host), served.leaf);
                let first_seen = *self.strangers.entry(key).or_insert(now);
                let facts = served.facts.as_ref().ok();
                Outcome::Served {
                    leaf: served.leaf,
                    chain: Some(served.chain.clone()),
                    placeholder: facts.is_some_and(super::leaf::Facts::is_placeholder),
                    first_seen,
                    not_after: facts.map(|f| f.not_after),
                }
            }
        };
        // Only what the ledger does not know needs to be remembered, and it only while it is served.
        let served = match &outcome {
            Outcome::Served { leaf, .. } => Some(*leaf),
            _ => None,
        };
        let is_expected = served.is_some_and(|leaf| expectations.knows(host, &leaf));
        if is_expected {
            self.strangers.retain(|(h, _), _| h != host);
        }
        Observation {
            endpoint: self.endpoint.name.clone(),
            host: host.to_string(),
            family: sight.offer.family(),
            worker,
            at: now,
            began: now,
            evidence: Evidence::Handshake,
            outcome,
        }
    }

    async fn polled(&mut self, expectations: Option<&Expectations>, polled: Polled) {
        let now = clock();
        match polled.tap {
            Some(Ok(report)) => {
                self.source("tap", None).await;
                let (live, total) = tap::workers(&report);
                let oldest = tap::started(&report, now);
                let news = self.total != Some(total) || self.oldest != oldest;
                (self.total, self.oldest) = (Some(total), oldest);
                for coverage in self.coverage.values_mut() {
                    coverage.keep(&live, total);
                }
                self.troubled.retain(|(_, worker)| live.contains(worker));
                if news && self.up == Some(true) {
                    self.say_up().await;
                }
                if let Some(expectations) = expectations {
                    for seen in tap::observations(&report, &self.endpoint.name, expectations, now) {
                        self.second_hand(judge::judged(seen, expectations, now)).await;
                    }
                }
            }
            Some(Err(why)) => self.source("tap", Some(&why)).await,
            None => {}
        }
        match polled.report {
            Some(Ok(report)) => {
                self.source("report", None).await;
                if let Some(expectations) = expectations {
                    self.report(&report, expectations, now).await;
                }
            }
            Some(Err(why)) => self.source("report", Some(&why)).await,
            None => {}
        }
        match polled.status {
            Some(Ok(live)) => {
                self.source("status", None).await;
                let total = u32::try_from(live.len()).unwrap_or(u32::MAX);
                self.total = Some(total);
                for coverage in self.coverage.values_mut() {
                    coverage.keep(&live, total);
                }
            }
            Some(Err(why)) => self.source("status", Some(&why)).await,
            None => {}
        }
    }

    async fn report(
        &mut self,
        report: &certdrift_contract::report::Report,
        expectations: &Expectations,
        now: UnixTime,
    ) {
        for seen in report::observations(report, &self.endpoint.name, expectations, now) {
            self.second_hand(judge::judged(seen, expectations, now)).await;
        }
    }

    /// What filter or tap say: told when it is not good, and when it is good again. Drift is looked at with our own eyes.
    async fn second_hand(&mut self, seen: Judged) {
        if self.up != Some(true) {
            return;
        }
        let key = (seen.observation.host.clone(), seen.observation.worker.clone().unwrap_or_default());
        let good = seen.proves() || !seen.verdict.judged();
        let is_news = if good { self.troubled.remove(&key) } else { true };
        if !good {
            let new = self.troubled.insert(key);
            if new && matches!(seen.verdict, Verdict::Drift(_)) {
                let host: Arc<str> = Arc::from(seen.observation.host.as_str());
                let now = self.millis();
                self.plan.urge(&host, now);
            }
        }
        if is_news {
            self.tell(Seen::Judged(Box::new(seen))).await;
        }
    }

    async fn reach(&mut self, unreachable: Option<String>) {
        match unreachable {
            Some(why) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(5)).min(LONGEST_PAUSE);
                self.failures = self.failures.saturating_add(1);
                self.resume = self.now().saturating_add(pause);
                if self.up != Some(false) {
                    self.up = Some(false);
                    self.tell(Seen::Unreachable { endpoint: self.endpoint.name.clone(), why }).await;
                }
            }
            None => {
                self.failures = 0;
                if self.up != Some(true) {
                    self.up = Some(true);
                    self.say_up().await;
                }
            }
        }
    }

    async fn say_up(&self) {
        self.tell(Seen::Up {
            endpoint: self.endpoint.name.clone(),
            edge: self.endpoint.edge,
            workers: self.total,
            started: self.oldest,
        })
        .await;
    }

    async fn source(&mut self, what: &'static str, wrong: Option<&String>) {
        let changed = match wrong {
            Some(_) => self.broken.insert(what),
            None => self.broken.remove(what),
        };
        if changed {
            let object = format!("{} {what}", self.endpoint.name);
            let finding = wrong.map(|why| findings::SOURCE_UNREADABLE.on(object, why.as_str()));
            self.tell(Seen::Source { endpoint: self.endpoint.name.clone(), what, finding }).await;
        }
    }

    async fn tell(&self, seen: Seen) {
        // Nobody listens: the loop ends.
        let _ = self.out.send(seen).await;
    }
}

fn clock() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_seconds(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}
