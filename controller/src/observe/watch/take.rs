//! What becomes of a look or a poll: judged, told, and what it means for the next looks.
use super::super::endpoint::{Looked, Polled, Sight};
use super::super::expectations::Expectations;
use super::super::handshake::Look;
use super::super::judge::{self, Judged};
use super::super::plan::Reason;
use super::super::workers::Coverage;
use super::super::{Observation, Outcome, findings, report, tap};
use super::{FIRST_PAUSE, LONGEST_PAUSE, Seen, Watcher};
use crate::clock;
use certdrift_contract::report::Report;
use certdrift_contract::{Evidence, Fingerprint, UnixTime, Verdict};
use std::sync::Arc;

impl Watcher {
    pub(super) async fn looked(
        &mut self,
        host: Arc<str>,
        reason: Reason,
        expectations: &Expectations,
        looked: Looked,
    ) {
        let now = clock::now().seconds();
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
        let by = (worst.revision.0, worst.expected.clone());
        self.tell(Seen::Judged(Box::new(worst))).await;
        self.proceed(host, reason, coverage, is_open, by).await;
    }

    /// What comes next for a host: nothing, more connections, or another look later.
    async fn proceed(
        &mut self,
        host: Arc<str>,
        reason: Reason,
        coverage: Coverage,
        is_open: bool,
        (revision, expected): (u64, Vec<Fingerprint>),
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
            expected,
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
        let outcome =
            Outcome::of(&sight.look, |leaf| *self.strangers.entry((Arc::clone(host), leaf)).or_insert(now));
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
            began: sight.began,
            evidence: Evidence::Handshake,
            outcome,
        }
    }

    pub(super) async fn polled(&mut self, expectations: Option<&Expectations>, polled: Polled) {
        let now = clock::now().seconds();
        match polled.tap {
            Some(Ok(report)) => {
                self.source("tap", None).await;
                let (live, total) = tap::workers(&report);
                let (endpoint, by_kind) = (self.endpoint.name.clone(), tap::connections(&report));
                self.tell(Seen::Connections { endpoint, by_kind }).await;
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
        if self.silent != polled.silent {
            self.silent = polled.silent;
            let (endpoint, silent) = (self.endpoint.name.clone(), polled.silent);
            self.tell(Seen::Silent { endpoint, silent }).await;
        }
        match polled.status {
            Some(Ok(says)) => {
                self.source("status", None).await;
                if let Some(hash) =
                    says.configuration.filter(|hash| self.configuration.as_ref() != Some(hash))
                {
                    self.configuration = Some(hash.clone());
                    self.tell(Seen::Configuration { endpoint: self.endpoint.name.clone(), hash }).await;
                }
                let live = says.workers;
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

    async fn report(&mut self, report: &Report, expectations: &Expectations, now: UnixTime) {
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
        // Beside a worker in trouble it counts that others are right: that is why they are told of again and again.
        let (host, _) = &key;
        let is_beside = || {
            self.troubled
                .range((host.clone(), String::new())..)
                .next()
                .is_some_and(|(other, _)| other == host)
        };
        let is_news = !good || is_beside();
        if good {
            self.troubled.remove(&key);
        }
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

    pub(super) async fn reach(&mut self, unreachable: Option<String>) {
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

    pub(super) async fn tell(&self, seen: Seen) {
        // Nobody listens: the loop ends.
        let _ = self.out.send(seen).await;
    }
}
