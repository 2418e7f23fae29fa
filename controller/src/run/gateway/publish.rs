//! What is stored becomes what is expected: the ledger is published, and everybody is told what has changed.
use super::{Effect, Gateway, seconds_between};
use crate::converge::{Event, Millis};
use crate::finding::{Finding, Severity};
use crate::metrics::catalogue as metric;
use crate::observe::expectations::{Expectations, families};
use crate::publish::difference::{difference, entries, other_entries};
use crate::run::stored_at;
use certdrift_contract::verdict::Expecting;
use certdrift_contract::{Expected, Fingerprint, Ledger, UnixTime};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Of one renewal, so many hosts are followed to the wire; they share one certificate.
const FOLLOWED_HOSTS: usize = 20;

/// Seconds for which a replica that does not lead waits for the leader's ledger, before it serves one of its own.
pub(super) const FOLLOWS: i64 = 5;

impl Gateway {
    /// Publishes what is stored. What follows from that takes longer than the ledger may wait to be written: it is left to
    /// [`Gateway::announce`], as an effect.
    pub fn publish(&mut self, now: Millis) -> Vec<Effect> {
        let before = self.publisher.ledger().cloned();
        let heard = self.heard.take().unwrap_or(now);
        let taken_up = self.publisher.catch_up(now.seconds());
        let Some(binding) = self.bind(now.seconds()) else { return Vec::new() };
        let complete = binding.complete;
        let outcome = if taken_up && !self.leads {
            // Who leads may have seen more than we have. If it stays ahead of what we see, we go our own way.
            self.look_again(now.seconds().plus(FOLLOWS));
            self.publisher.follow(binding.findings)
        } else {
            self.publisher.publish(binding, now.seconds())
        };
        let failed = outcome.findings.iter().any(|f| f.code == crate::publish::findings::NOT_WRITTEN.code);
        let result = match (failed, outcome.changed) {
            (true, _) => "failed",
            (false, true) => "written",
            (false, false) => "unchanged",
        };
        self.hub.store().add(&metric::PUBLISHES, &[&self.config.name, result], 1);
        self.published = outcome.findings;
        // A directory that is not mounted yet gives an empty ledger, which is not the first complete one.
        if self.publisher.ledger().is_some()
            && (complete || before.as_ref().is_some_and(|before| !entries(before).is_empty()))
        {
            self.hub.ready(&self.config.name);
        }
        vec![Effect::Announce { before, heard }]
    }

    /// Tells everybody what has changed with what was published. `before` is the ledger until then, `heard` when the first
    /// change was heard of that is in it.
    pub fn announce(&mut self, before: Option<Arc<Ledger>>, heard: Millis, now: Millis) -> Vec<Effect> {
        self.tell_new_findings();
        let Some(ledger) = self.publisher.ledger().cloned() else { return Vec::new() };
        let invalid = invalid_hosts(&ledger, &self.findings_of_storage());
        let mut effects = Vec::new();
        // A ledger of another replica may have been taken up since anything was told.
        let told = self.expectations.as_ref().map(|told| Arc::clone(told.ledger()));
        if told.as_ref().is_none_or(|told| !Arc::ptr_eq(told, &ledger)) {
            // What was renewed before this run began is not timed by it.
            let followed = told.is_some();
            let before = told.or(before);
            let leaves =
                |e: Expecting<'_>| -> Vec<Fingerprint> { e.current.iter().map(|c| c.sha256).collect() };
            let (changed, removed) = difference(before.as_deref(), &ledger, leaves);
            let owned = |hosts: Vec<&str>| -> Vec<String> { hosts.into_iter().map(str::to_owned).collect() };
            let (changed, removed) = (owned(changed), owned(removed));
            let stored = self.inventory.iter().flat_map(|inventory| &inventory.stored);
            let families = families(stored.flat_map(|s| &s.certificates).map(|c| (c.leaf, c.family)));
            match Expectations::new(Arc::clone(&ledger), families, self.expectations.as_deref()) {
                Ok(new) => {
                    self.sights.hosts(&new.hosts, &changed);
                    self.unlisted.listed(&new.hosts);
                    let new = Arc::new(new);
                    self.expectations = Some(Arc::clone(&new));
                    effects.push(Effect::Expect(new));
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::error!(
                        gateway = self.config.name,
                        why,
                        "the ledger contradicts itself; this is a bug of certdrift"
                    );
                    return effects;
                }
            }
            tracing::info!(
                gateway = self.config.name,
                revision = ledger.revision.0,
                hosts = entries(&ledger).iter().map(|e| e.hosts.len()).sum::<usize>(),
                changed = changed.len(),
                "ledger published"
            );
            if let Some(before) = &before {
                self.renewals_of(before, &ledger, followed, heard, now);
            }
            self.invalid = invalid.iter().cloned().collect();
            let revision = ledger.revision.0;
            effects.extend(self.event(Event::Published { revision, changed, removed, invalid }, now));
            effects.extend(self.tend_canary(now));
        } else if self.invalid != invalid.iter().cloned().collect() {
            self.invalid = invalid.iter().cloned().collect();
            let revision = ledger.revision.0;
            let event = Event::Published { revision, changed: Vec::new(), removed: Vec::new(), invalid };
            effects.extend(self.event(event, now));
        }
        effects
    }

    fn renewals_of(&mut self, before: &Ledger, after: &Ledger, followed: bool, heard: Millis, now: Millis) {
        let (gone, come) = other_entries(Some(before), after);
        let old: HashMap<&str, &[Expected]> =
            gone.into_iter().map(|e| (e.source.as_str(), e.current.as_slice())).collect();
        let endpoints: Vec<&str> =
            self.places.iter().map(|p| &p.endpoint).filter(|e| !e.edge).map(|e| e.name.as_str()).collect();
        let renewed: Vec<_> = come
            .into_iter()
            .filter(|e| old.get(e.source.as_str()).is_none_or(|current| *current != e.current.as_slice()))
            .collect();
        let leaves = renewed.iter().flat_map(|e| &e.current).map(|c| c.sha256).collect();
        let cluster = self.cluster().filter(|_| followed);
        let signings = cluster.map(|of| of.watches.signings(&leaves)).unwrap_or_default();
        for entry in renewed {
            let stored = stored_at::of(&entry.source, heard);
            let hop = |hop: &str, from, to| {
                let took = seconds_between(from, to);
                self.hub.store().observe(&metric::HOP, &[&self.config.name, hop], took);
            };
            hop("published", stored, now);
            // Of a pair the one that was signed last.
            let signing =
                entry.current.iter().filter_map(|c| signings.get(&c.sha256)).max_by_key(|s| s.signed);
            if let Some(signing) = signing {
                let at = |time: UnixTime| Millis(time.seconds().saturating_mul(1000));
                hop("issued", at(signing.requested), at(signing.signed));
                hop("stored", at(signing.signed), stored);
            }
            let hosts = entry.hosts.iter().take(FOLLOWED_HOSTS);
            let places =
                hosts.flat_map(|h| endpoints.iter().map(move |e| ((*e).to_owned(), h.as_str().to_owned())));
            self.renewals.begin(&entry.source, signing.copied(), stored, now, places.collect());
        }
        let all = entries(after);
        let there = |source: &str| all.binary_search_by(|e| e.source.as_str().cmp(source)).is_ok();
        self.renewals.keep(there, |_, _| true);
    }
}

/// Hosts of entries whose source holds something worse now, so that the expectation was kept.
fn invalid_hosts(ledger: &Ledger, findings: &[Finding]) -> Vec<String> {
    // An object is its source or a file of it: `file:/t/demo`, `file:/t/demo/fullchain.pem`, `file:/t/demo.crt`. So a
    // source is looked up among all that an object may be of; comparing each with each is a hundred million
    // comparisons once ten thousand certificates have expired.
    let bad: HashSet<&str> = findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .flat_map(|f| {
            let ends = f.object.match_indices(['/', '.']).map(|(at, _)| at);
            ends.chain([f.object.len()]).filter_map(|end| f.object.get(..end))
        })
        .collect();
    if bad.is_empty() {
        return Vec::new();
    }
    let listed = entries(ledger).iter().filter(|e| bad.contains(e.source.as_str())).flat_map(|e| &e.hosts);
    let mut all: Vec<String> = listed.map(|h| h.as_str().to_owned()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use certdrift_contract::ledger::{Content, Entry};
    use certdrift_contract::{Revision, Rules};

    fn ledger(entries: &[(&str, &str, &str)]) -> Ledger {
        let entry = |(source, host, leaf): &(&str, &str, &str)| Entry {
            source: (*source).to_owned(),
            hosts: vec![host.parse().unwrap()],
            since: UnixTime::from_seconds(0),
            current: vec![Expected {
                sha256: Fingerprint::of(leaf.as_bytes()),
                chain: Vec::new(),
                not_after: UnixTime::from_seconds(0),
            }],
            incoming: Vec::new(),
            retiring: Vec::new(),
        };
        Ledger {
            gateway: "g".into(),
            rules: Rules::Kong,
            revision: Revision(1),
            published_at: UnixTime::from_seconds(0),
            content: Content::of(entries.iter().map(entry)),
            default: None,
        }
    }

    #[test]
    fn a_bad_file_makes_the_hosts_of_its_own_source_invalid_and_no_others() {
        let ledger = ledger(&[("file:/t/demo", "a.example", "1"), ("file:/t/demo2", "b.example", "1")]);
        let finding = |object: &str| crate::source::findings::TORN.on(object, "");
        assert_eq!(invalid_hosts(&ledger, &[finding("file:/t/demo/fullchain.pem")]), ["a.example"]);
        assert_eq!(invalid_hosts(&ledger, &[finding("file:/t/demo2.pem")]), ["b.example"]);
        assert_eq!(invalid_hosts(&ledger, &[finding("file:/t/demo")]), ["a.example"]);
        assert!(invalid_hosts(&ledger, &[finding("file:/t")]).is_empty());
        assert!(invalid_hosts(&ledger, &[finding("file:/t/other.pem")]).is_empty());
    }
}
