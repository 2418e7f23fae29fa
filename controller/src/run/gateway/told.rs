//! What the observer tells: of endpoints, of hosts, and of where it learns it from.
use super::{Effect, Gateway, seconds_between};
use crate::converge::{Event, Millis, Observed, Sight};
use crate::diagnose::Fellows;
use crate::metrics::catalogue as metric;
use crate::observe::Outcome;
use crate::observe::judge::Judged;
use crate::observe::watch::Seen;
use certdrift_contract::{Fingerprint, Verdict};

impl Gateway {
    /// What the observer tells.
    pub fn told(&mut self, seen: Seen, now: Millis) -> Vec<Effect> {
        if let Seen::Pushes { endpoint, page } = seen {
            self.counted(&endpoint, page, now);
            return Vec::new();
        }
        // What a pod's watcher saw last may be heard of after the pod.
        let Some(place) = self.place(seen.endpoint()) else { return Vec::new() };
        let (pod_started, starting) = (place.started, place.is_starting(now));
        match seen {
            Seen::Judged(judged) => self.judged(&judged, now),
            Seen::Up { endpoint, edge, workers, started } => {
                if self
                    .answers
                    .insert(endpoint.clone(), (true, String::new()))
                    .is_none_or(|(answered, _)| !answered)
                {
                    tracing::info!(gateway = self.config.name, endpoint, "the endpoint answers");
                }
                match workers {
                    Some(workers) => self.workers.insert(endpoint.clone(), workers),
                    None => self.workers.remove(&endpoint),
                };
                let started = started.map(Millis::from).or(pod_started);
                let starts = Event::EndpointStarting { endpoint: endpoint.clone() };
                let mut effects = self.event(Event::EndpointUp { endpoint, edge, workers, started }, now);
                if starting {
                    effects.extend(self.event(starts, now));
                }
                effects
            }
            Seen::Unreachable { endpoint, why } => {
                tracing::warn!(gateway = self.config.name, endpoint, why, "nobody answers at the endpoint");
                self.answers.insert(endpoint.clone(), (false, why));
                self.event(Event::EndpointUnreachable { endpoint }, now)
            }
            Seen::Proven { endpoint, host, proof, workers, settled, revision, expected } => {
                if self.is_of_now(&host, revision, &expected) {
                    self.sights.proven(&endpoint, &host, proof, &workers, settled);
                    if settled {
                        self.renewed(&endpoint, &host, now);
                        if self.config.canary.as_ref().is_some_and(|canary| canary.host == host) {
                            return self.tend_canary(now);
                        }
                    }
                }
                Vec::new()
            }
            Seen::Configuration { endpoint, hash } => {
                if self.loaded.saw(&endpoint, &hash, now) {
                    let took = self.renewals.loaded(&endpoint, now);
                    self.timed("loaded", &took);
                }
                Vec::new()
            }
            Seen::Connections { endpoint, by_kind } => {
                self.connections.insert(endpoint, by_kind);
                Vec::new()
            }
            Seen::Unlisted { endpoint, host, not_after } => {
                self.unlisted.saw(&endpoint, &host, not_after);
                Vec::new()
            }
            Seen::Silent { endpoint, silent } => {
                self.is_silent(endpoint, silent, now);
                Vec::new()
            }
            Seen::Pushes { .. } => Vec::new(),
            Seen::Source { endpoint, what, finding } => {
                let key = format!("{what} of {endpoint}");
                match finding {
                    Some(finding) => self.hold(&key, finding),
                    None => drop(self.own.remove(&key)),
                }
                Vec::new()
            }
        }
    }

    fn judged(&mut self, judged: &Judged, now: Millis) -> Vec<Effect> {
        let observation = &judged.observation;
        let (outcome, served) = match &observation.outcome {
            Outcome::Served { leaf, .. } => ("served", Some(*leaf)),
            Outcome::Unreachable { .. } => ("unreachable", None),
            Outcome::Unobservable { .. } | Outcome::FamilyNotServed { .. } => ("unobservable", None),
        };
        let labels = [self.config.name.as_str(), observation.evidence.as_str(), outcome];
        self.hub.store().add(&metric::OBSERVATIONS, &labels, 1);
        tracing::debug!(
            gateway = self.config.name,
            endpoint = observation.endpoint,
            host = observation.host,
            worker = observation.worker,
            evidence = observation.evidence.as_str(),
            verdict = judged.verdict.as_str(),
            "seen"
        );
        // One that was judged by what was expected before is on its way still; its host is looked at again.
        let of_now = self.is_of_now(&observation.host, judged.revision.0, &judged.expected);
        if of_now {
            self.sights.saw(judged);
        }
        let revision = self.expectations.as_ref().filter(|_| of_now).map_or(judged.revision, |e| e.revision);
        if served.is_none() {
            return Vec::new();
        }
        let observed = Observed {
            endpoint: observation.endpoint.clone(),
            host: observation.host.clone(),
            worker: observation.worker.clone(),
            evidence: observation.evidence,
            sight: Sight::from(judged.verdict),
            began: observation.began,
            revision: revision.0,
            expected_since: self
                .expectations
                .as_ref()
                .and_then(|e| e.since(&observation.host))
                .map(Millis::from),
            served,
            expected: judged.expected.clone(),
            given: self.gives(&observation.endpoint, &observation.host),
            fellows: match judged.verdict {
                Verdict::Drift(_) => self.fellows(&observation.endpoint, &observation.host),
                _ => Fellows::default(),
            },
        };
        self.event(Event::Observed(observed), now)
    }

    /// Whether what was judged by this revision was judged by what is expected of the host now. A newer revision that is
    /// about other hosts takes nothing away: this one is settled, and would not be looked at again before the next sweep.
    fn is_of_now(&self, host: &str, revision: u64, expected: &[Fingerprint]) -> bool {
        self.expectations.as_ref().is_some_and(|now| {
            now.revision.0 == revision || (!expected.is_empty() && now.current(host) == expected)
        })
    }

    /// How a host fares on the other endpoints of the gateway itself, by what was seen of it there last.
    fn fellows(&self, endpoint: &str, host: &str) -> Fellows {
        let (mut fellows, sights) = (Fellows::default(), self.sights.of(host));
        let others = self.places.iter().map(|p| &p.endpoint).filter(|e| !e.edge && e.name != endpoint);
        for other in others {
            let answers = self.answers.get(&other.name).is_some_and(|(answers, _)| *answers);
            let sight =
                sights.and_then(|of| of.get(other.name.as_str())).filter(|s| answers && s.evidence.proves());
            let count = match sight.map(|sight| sight.verdict) {
                Some(Verdict::Match | Verdict::Incoming) => &mut fellows.right,
                Some(Verdict::Drift(_)) => &mut fellows.wrong,
                _ => &mut fellows.unseen,
            };
            *count = count.saturating_add(1);
        }
        fellows
    }

    /// A host is proven on an endpoint: a renewal may have come to its end.
    fn renewed(&mut self, endpoint: &str, host: &str, now: Millis) {
        let tells = self.loaded.of(endpoint, now).is_some();
        let progress = self.renewals.proven(endpoint, host, tells, now);
        self.timed("loaded", &progress.loaded);
        for ended in progress.ended {
            let took = seconds_between(ended.stored, ended.served);
            self.timed("served", &[took]);
            tracing::info!(
                gateway = self.config.name,
                source = ended.source,
                published_after = seconds_between(ended.stored, ended.published),
                served_after = took,
                "renewal proven on the wire"
            );
        }
    }

    /// So many seconds after what was stored changed this hop was done, for each of several renewals.
    fn timed(&self, hop: &str, took: &[f64]) {
        for took in took {
            self.hub.store().observe(&metric::HOP, &[&self.config.name, hop], *took);
        }
    }
}
