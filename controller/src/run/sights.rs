//! What was last seen of each host on each endpoint, for status and metrics: a board that judged observations are
//! pinned to. Pure. Hosts come and go with the ledger, so its size is bounded by that.
use crate::few::Few;
use crate::finding::Finding;
use crate::observe::Outcome;
use crate::observe::judge::Judged;
use crate::observe::verifier::Possession;
use crate::observe::workers::Proof;
use certdrift_contract::index::DEFAULT;
use certdrift_contract::{Evidence, Fingerprint, UnixTime, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many workers are remembered per host and endpoint.
const MOST_WORKERS: usize = 256;

/// What was seen of one host on one endpoint.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Of the newest handshake, else of the newest other observation.
    pub verdict: Verdict,
    /// How that was made.
    pub evidence: Evidence,
    /// What was served then.
    pub served: Option<Fingerprint>,
    /// End of its validity, where it is known.
    pub not_after: Option<UnixTime>,
    /// Whether the peer proved that it holds the key, where a handshake told.
    pub possession: Option<Possession>,
    /// When that was.
    pub at: UnixTime,
    /// Since when the verdict is what it is.
    pub since: UnixTime,
    /// How far it is proven, and whether no more is to be seen.
    pub proof: Option<(Proof, bool)>,
    /// Workers that filter or tap named, and the verdict on what they served last.
    pub workers: Few<Arc<str>, Verdict>,
    /// The worker that the verdict is about, where one is named.
    by: Option<Arc<str>>,
    /// What is there of few.
    wrong: Option<Box<Wrong>>,
}

/// What is wrong with one host on one endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wrong {
    blind: Option<String>,
    findings: Vec<Finding>,
}

impl Sight {
    /// Why no certificate could be seen, when the newest look showed none.
    #[must_use]
    pub fn blind(&self) -> Option<&str> {
        self.wrong.as_ref()?.blind.as_deref()
    }

    /// What else was seen to be wrong: half of a pair, the chain.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.wrong.as_ref().map_or(&[], |wrong| &wrong.findings)
    }

    fn set_wrong(&mut self, blind: Option<String>, findings: Vec<Finding>) {
        let wrong = Wrong { blind, findings };
        self.wrong = (wrong != Wrong::default()).then(|| Box::new(wrong));
    }
}

/// When what is served ends of hosts that no ledger lists (any more): endpoint → host → end. Bounded by what the observer remembers.
#[derive(Debug, Default)]
pub struct Unlisted(BTreeMap<String, BTreeMap<String, UnixTime>>);

impl Unlisted {
    /// Takes what was seen; without an end, nothing is served for it any more.
    pub fn saw(&mut self, endpoint: &str, host: &str, not_after: Option<UnixTime>) {
        let hosts = self.0.entry(endpoint.to_owned()).or_default();
        match not_after {
            Some(end) => drop(hosts.insert(host.to_owned(), end)),
            None => drop(hosts.remove(host)),
        }
    }

    /// These are listed: what is served for them is seen otherwise. So is what is served to no name, while any are.
    pub fn listed(&mut self, listed: &[Arc<str>]) {
        let known: BTreeSet<&str> = listed.iter().map(AsRef::as_ref).collect();
        for hosts in self.0.values_mut() {
            hosts.retain(|host, _| !known.contains(host.as_str()) && (known.is_empty() || host != DEFAULT));
        }
    }

    /// Only these endpoints are there still.
    pub fn keep(&mut self, endpoint: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| endpoint(name));
    }

    /// The earliest end at each endpoint.
    pub fn ends(&self) -> impl Iterator<Item = (&str, UnixTime)> {
        self.0.iter().filter_map(|(endpoint, hosts)| Some((endpoint.as_str(), *hosts.values().min()?)))
    }
}

/// All that was seen of one gateway: host → endpoint → what. Names are kept once: of hosts the ledger's, and of endpoints
/// and workers our own.
#[derive(Debug, Default)]
pub struct Sights {
    hosts: BTreeMap<Arc<str>, Few<Arc<str>, Sight>>,
    names: BTreeSet<Arc<str>>,
}

impl Sights {
    /// These are the hosts from now on, and nothing that was seen of `changed` says anything any more.
    pub fn hosts(&mut self, listed: &[Arc<str>], changed: &[String]) {
        // Each under the listed name, whose memory is shared with what is expected.
        let mut before = std::mem::take(&mut self.hosts);
        self.hosts = listed
            .iter()
            .map(|host| (Arc::clone(host), before.remove(host.as_ref()).unwrap_or_default()))
            .collect();
        for host in changed {
            for sight in self.hosts.get_mut(host.as_str()).into_iter().flat_map(Few::values_mut) {
                sight.proof = None;
                sight.workers.clear();
                // Until it is looked at again: what it served is judged anew then.
                sight.verdict = Verdict::Unobserved;
            }
        }
        self.names.retain(|name| Arc::strong_count(name) > 1);
    }

    /// Only these endpoints are there still.
    pub fn keep(&mut self, endpoint: impl Fn(&str) -> bool) {
        for sights in self.hosts.values_mut() {
            sights.retain(|name, _| endpoint(name));
        }
    }

    /// Pins a judged observation. One of a host that is not listed (any more) is dropped.
    pub fn saw(&mut self, judged: &Judged) {
        let observation = &judged.observation;
        let Some(endpoints) = self.hosts.get_mut(observation.host.as_str()) else { return };
        let endpoint = name(&mut self.names, &observation.endpoint);
        let worker = observation.worker.as_deref().map(|worker| name(&mut self.names, worker));
        let now = observation.at;
        let verdict = judged.verdict;
        let sight = endpoints.get_or_insert_with(&endpoint, || Sight {
            verdict,
            evidence: observation.evidence,
            served: None,
            not_after: None,
            possession: None,
            at: now,
            since: now,
            proof: None,
            workers: Few::default(),
            by: worker.clone(),
            wrong: None,
        });
        if let Some(worker) = &worker
            && verdict.judged()
            && (sight.workers.len() < MOST_WORKERS || sight.workers.get(worker).is_some())
        {
            *sight.workers.get_or_insert_with(worker, || verdict) = verdict;
        }
        // A handshake of ours outweighs what others say, until they say something worse; and what one worker does
        // right takes nothing from what another does wrong.
        let handshake = observation.evidence == Evidence::Handshake;
        let other = sight.by != worker || sight.evidence == Evidence::Handshake;
        // What is only declared is never proof, and takes none away: Envoy's word about connections that began before
        // its reload says nothing against a handshake after it.
        let proof_stands = sight.evidence == Evidence::Handshake
            && observation.evidence == Evidence::Declared
            && !matches!(verdict, Verdict::Drift(_));
        if !handshake && other && (verdict <= sight.verdict || proof_stands) {
            return;
        }
        sight.by = worker;
        if sight.verdict != verdict {
            sight.since = now;
        }
        sight.verdict = verdict;
        sight.evidence = observation.evidence;
        sight.at = now;
        let mut blind = None;
        match &observation.outcome {
            Outcome::Served { leaf, not_after, possession, .. } => {
                if handshake || sight.served != Some(*leaf) {
                    sight.possession.clone_from(possession);
                }
                sight.served = Some(*leaf);
                if not_after.is_some() {
                    sight.not_after = *not_after;
                }
            }
            Outcome::Unreachable { why }
            | Outcome::Unobservable { why }
            | Outcome::FamilyNotServed { why } => {
                blind = Some(why.clone());
            }
        }
        let findings = if handshake {
            // That nobody answers is told once for the endpoint.
            let unreachable = crate::observe::findings::UNREACHABLE.code;
            judged.findings.iter().filter(|f| f.code != unreachable).cloned().collect()
        } else {
            sight.findings().to_vec()
        };
        sight.set_wrong(blind, findings);
    }

    /// How far a host is proven, and by which workers.
    pub fn proven(&mut self, endpoint: &str, host: &str, proof: Proof, workers: &[String], settled: bool) {
        let Some(sight) = self.hosts.get_mut(host).and_then(|endpoints| endpoints.get_mut(endpoint)) else {
            return;
        };
        sight.proof = Some((proof, settled));
        if settled && matches!(proof, Proof::Every { .. }) {
            // All that live were seen; whoever is not among them lives no more.
            sight.workers.retain(|worker, _| workers.iter().any(|w| **w == **worker));
            for worker in workers {
                let worker = name(&mut self.names, worker);
                *sight.workers.get_or_insert_with(&worker, || sight.verdict) = sight.verdict;
            }
        }
    }

    /// What was seen of one host.
    #[must_use]
    pub fn of(&self, host: &str) -> Option<&Few<Arc<str>, Sight>> {
        self.hosts.get(host)
    }

    /// All hosts with what was seen.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Few<Arc<str>, Sight>)> {
        self.hosts.iter().map(|(host, endpoints)| (host.as_ref(), endpoints))
    }
}

/// The name as it is kept already, so that it is kept once.
fn name(names: &mut BTreeSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let new: Arc<str> = name.into();
    names.insert(Arc::clone(&new));
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Observation;
    use certdrift_contract::{DriftClass, Revision};

    fn judged(evidence: Evidence, worker: Option<&str>, verdict: Verdict, at: i64) -> Judged {
        let at = UnixTime::from_seconds(at);
        let outcome = Outcome::Served {
            leaf: Fingerprint::of(verdict.as_str().as_bytes()),
            chain: None,
            placeholder: false,
            first_seen: at,
            not_after: None,
            possession: None,
        };
        let observation = Observation {
            endpoint: "a".into(),
            host: "h".into(),
            family: None,
            worker: worker.map(str::to_owned),
            at,
            began: at.into(),
            evidence,
            outcome,
        };
        Judged { observation, verdict, expected: Vec::new(), revision: Revision(1), findings: Vec::new() }
    }

    fn board() -> Sights {
        let mut sights = Sights::default();
        sights.hosts(&["h".into()], &[]);
        sights
    }

    fn verdict(sights: &Sights) -> Verdict {
        sights.iter().next().unwrap().1.get("a").unwrap().verdict
    }

    const DRIFT: Verdict = Verdict::Drift(DriftClass::Previous);

    #[test]
    fn what_one_worker_does_right_takes_nothing_from_what_another_does_wrong() {
        let mut sights = board();
        sights.saw(&judged(Evidence::Tap, Some("1"), DRIFT, 1));
        sights.saw(&judged(Evidence::Tap, Some("2"), Verdict::Match, 2));
        assert_eq!(verdict(&sights), DRIFT);
        sights.saw(&judged(Evidence::Tap, Some("1"), Verdict::Match, 3));
        assert_eq!(verdict(&sights), Verdict::Match);
    }

    #[test]
    fn a_handshake_of_ours_outweighs_what_others_say_until_they_say_something_worse() {
        let mut sights = board();
        sights.saw(&judged(Evidence::Tap, Some("1"), DRIFT, 1));
        sights.saw(&judged(Evidence::Handshake, None, Verdict::Match, 2));
        assert_eq!(verdict(&sights), Verdict::Match);
        sights.saw(&judged(Evidence::Tap, Some("2"), Verdict::Carried, 3));
        assert_eq!(verdict(&sights), Verdict::Carried);
        sights.saw(&judged(Evidence::Handshake, None, DRIFT, 4));
        sights.saw(&judged(Evidence::Filter, Some("2"), Verdict::Match, 5));
        assert_eq!(verdict(&sights), DRIFT);
    }

    #[test]
    fn what_is_only_declared_takes_no_proof_away() {
        let mut sights = board();
        sights.saw(&judged(Evidence::Handshake, None, Verdict::Match, 1));
        sights.saw(&judged(Evidence::Declared, Some("1"), Verdict::Carried, 2));
        assert_eq!(verdict(&sights), Verdict::Match);
        sights.saw(&judged(Evidence::Declared, Some("1"), DRIFT, 3));
        assert_eq!(verdict(&sights), DRIFT);
    }

    #[test]
    fn nothing_is_pinned_for_a_host_that_is_not_listed() {
        let mut sights = Sights::default();
        sights.saw(&judged(Evidence::Tap, Some("1"), DRIFT, 1));
        assert_eq!(sights.iter().count(), 0);
    }

    #[test]
    fn what_was_seen_of_a_host_whose_expectation_changed_says_nothing_any_more() {
        let mut sights = board();
        sights.saw(&judged(Evidence::Handshake, None, Verdict::Match, 1));
        sights.hosts(&["h".into()], &["h".to_owned()]);
        assert_eq!(verdict(&sights), Verdict::Unobserved);
    }
}
