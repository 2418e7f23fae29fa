//! Every natural renewal, timed hop by hop: issued → stored, where cert-manager does it → published → loaded, where gateways tell → proven on the wire. Pure.
use crate::cluster::cert_manager::Signing;
use crate::converge::Millis;
use certdrift_contract::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// So many are followed at one time, and so many that have ended are remembered.
const MOST: usize = 1_000;
const REMEMBERED: usize = 20;

/// One renewal under way.
#[derive(Clone, Debug)]
struct UnderWay {
    signing: Option<Signing>,
    stored: Millis,
    published: Millis,
    /// Endpoint and host, where it has not been proven yet.
    missing: BTreeSet<(String, String)>,
    /// Endpoints that have not loaded another configuration yet.
    loading: BTreeSet<String>,
    /// When the last of them did.
    loaded: Option<Millis>,
}

impl UnderWay {
    /// This endpoint has loaded it. Gives the seconds since what was stored changed, if it was the last.
    fn loaded_by(&mut self, endpoint: &str, now: Millis) -> Option<f64> {
        if !self.loading.remove(endpoint) || !self.loading.is_empty() {
            return None;
        }
        self.loaded = Some(now);
        Some(super::gateway::seconds_between(self.stored, now))
    }
}

/// A renewal that has ended: what each hop took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// `file:PATH` or `NAMESPACE/SECRET`
    pub source: String,
    /// When the certificate was asked for, and when it was signed, where cert-manager did it; to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Millis>,
    /// See `requested`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Millis>,
    /// When the file changed, or the Secret was heard of, milliseconds since 1970.
    pub stored: Millis,
    /// When the ledger that lists it was published.
    pub published: Millis,
    /// When the last endpoint was known to have loaded another configuration, where all of them tell (Kong's status): by
    /// its hash, or by a proof that came before it was asked.
    #[serde(default)]
    pub loaded: Option<Millis>,
    /// When every endpoint was proven to serve it.
    pub served: Millis,
}

/// What a proof brings about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// As [`Renewals::loaded`] gives it.
    pub loaded: Vec<f64>,
    /// Renewals that ended with it.
    pub ended: Vec<Ended>,
}

/// All of one gateway.
#[derive(Clone, Debug, Default)]
pub struct Renewals {
    under_way: BTreeMap<String, UnderWay>,
    ended: VecDeque<Ended>,
}

impl Renewals {
    /// A source has another certificate. `where_` lists endpoint and host; a renewal that overtakes another starts anew.
    pub fn begin(
        &mut self,
        source: &str,
        signing: Option<Signing>,
        stored: Millis,
        published: Millis,
        where_: BTreeSet<(String, String)>,
    ) {
        if where_.is_empty() || (self.under_way.len() >= MOST && !self.under_way.contains_key(source)) {
            return;
        }
        let loading = where_.iter().map(|(endpoint, _)| endpoint.clone()).collect();
        let renewal = UnderWay { signing, stored, published, missing: where_, loading, loaded: None };
        self.under_way.insert(source.to_owned(), renewal);
    }

    /// This endpoint runs by another configuration now. Gives the seconds since what was stored changed, of renewals that
    /// all endpoints have loaded with it. That they serve it is another question.
    pub fn loaded(&mut self, endpoint: &str, now: Millis) -> Vec<f64> {
        let mut all = Vec::new();
        for renewal in self.under_way.values_mut() {
            all.extend(renewal.loaded_by(endpoint, now));
        }
        all
    }

    /// Proven at this endpoint for this host. What it serves it has loaded, where it `tells` what it runs by: its status is
    /// asked every few seconds, and a handshake may be sooner.
    pub fn proven(&mut self, endpoint: &str, host: &str, tells: bool, now: Millis) -> Progress {
        let key = (endpoint.to_owned(), host.to_owned());
        let Progress { mut loaded, mut ended } = Progress::default();
        self.under_way.retain(|source, renewal| {
            if !renewal.missing.remove(&key) {
                return true;
            }
            if tells {
                loaded.extend(renewal.loaded_by(endpoint, now));
            }
            if !renewal.missing.is_empty() {
                return true;
            }
            let UnderWay { signing, stored, published, loaded, .. } = *renewal;
            let at = |time: fn(Signing) -> UnixTime| {
                signing.map(|s| Millis(time(s).seconds().saturating_mul(1000)))
            };
            let (requested, issued) = (at(|s| s.requested), at(|s| s.signed));
            let source = source.clone();
            ended.push(Ended { source, requested, issued, stored, published, loaded, served: now });
            false
        });
        for one in &ended {
            self.ended.truncate(REMEMBERED - 1);
            self.ended.push_front(one.clone());
        }
        Progress { loaded, ended }
    }

    /// A source or an endpoint is no longer there; what it was waited for ends untold.
    pub fn keep(&mut self, source: impl Fn(&str) -> bool, place: impl Fn(&str, &str) -> bool) {
        self.under_way.retain(|name, renewal| {
            renewal.missing.retain(|(endpoint, host)| place(endpoint, host));
            renewal.loading.retain(|endpoint| renewal.missing.iter().any(|(missing, _)| missing == endpoint));
            source(name) && !renewal.missing.is_empty()
        });
    }

    /// Where a renewal under way has not been proven yet: endpoint and host.
    pub fn missing(&self) -> impl Iterator<Item = &(String, String)> {
        self.under_way.values().flat_map(|renewal| &renewal.missing)
    }

    /// Those that have ended, the newest first.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        all.iter().map(|(e, h)| ((*e).to_owned(), (*h).to_owned())).collect()
    }

    #[test]
    fn a_renewal_ends_when_every_endpoint_is_proven() {
        let mut renewals = Renewals::default();
        renewals.begin("file:a", None, Millis(1), Millis(2), places(&[("x", "a"), ("y", "a")]));
        assert_eq!(renewals.proven("x", "a", false, Millis(3)), Progress::default());
        assert_eq!(renewals.proven("x", "a", false, Millis(4)), Progress::default());
        let ended = renewals.proven("y", "a", false, Millis(5)).ended;
        let (stored, published, served) = (Millis(1), Millis(2), Millis(5));
        let all = Ended {
            source: "file:a".into(),
            requested: None,
            issued: None,
            stored,
            published,
            loaded: None,
            served,
        };
        assert_eq!(ended, std::slice::from_ref(&all));
        assert_eq!(renewals.ended().collect::<Vec<_>>(), [&all]);
        assert_eq!(renewals.proven("y", "a", false, Millis(6)), Progress::default());
    }

    #[test]
    fn a_renewal_is_loaded_when_every_endpoint_runs_by_another_configuration() {
        let mut renewals = Renewals::default();
        renewals.begin("file:a", None, Millis(1_000), Millis(1_100), places(&[("x", "a"), ("y", "a")]));
        assert_eq!(renewals.loaded("x", Millis(3_000)), [0.0; 0]);
        assert_eq!(renewals.loaded("x", Millis(3_500)), [0.0; 0], "that one is another change");
        assert_eq!(renewals.loaded("y", Millis(4_000)), [3.0]);
        renewals.proven("x", "a", true, Millis(5_000));
        let last = renewals.proven("y", "a", true, Millis(6_000));
        assert_eq!((last.loaded, last.ended[0].loaded), (Vec::new(), Some(Millis(4_000))));
    }

    #[test]
    fn what_is_served_is_loaded_though_nobody_was_asked_yet() {
        let mut renewals = Renewals::default();
        let begin = |all: &mut Renewals| {
            all.begin("file:a", None, Millis(1_000), Millis(1_100), places(&[("x", "a"), ("y", "a")]));
        };
        begin(&mut renewals);
        assert_eq!(renewals.loaded("x", Millis(3_000)), [0.0; 0]);
        renewals.proven("x", "a", true, Millis(3_100));
        let last = renewals.proven("y", "a", true, Millis(3_500));
        assert_eq!((last.loaded, last.ended[0].loaded), (vec![2.5], Some(Millis(3_500))));
        assert_eq!(renewals.loaded("y", Millis(4_000)), [0.0; 0], "counted once");
        begin(&mut renewals);
        renewals.proven("x", "a", true, Millis(3_100));
        let last = renewals.proven("y", "a", false, Millis(3_500));
        assert_eq!((last.loaded, last.ended[0].loaded), (Vec::new(), None), "one of them never tells");
    }

    #[test]
    fn one_that_cert_manager_signed_is_one_record_from_its_request_on() {
        let mut renewals = Renewals::default();
        let time = UnixTime::from_seconds;
        let signing = Signing { requested: time(7), signed: time(9) };
        renewals.begin("demo/web-tls", Some(signing), Millis(9_500), Millis(9_600), places(&[("x", "a")]));
        let ended = renewals.proven("x", "a", false, Millis(9_900)).ended;
        assert_eq!((ended[0].requested, ended[0].issued), (Some(Millis(7_000)), Some(Millis(9_000))));
    }

    #[test]
    fn a_renewal_that_overtakes_another_is_timed_from_its_own_file() {
        let mut renewals = Renewals::default();
        renewals.begin("file:a", None, Millis(1), Millis(2), places(&[("x", "a")]));
        renewals.begin("file:a", None, Millis(10), Millis(11), places(&[("x", "a")]));
        assert_eq!(renewals.proven("x", "a", false, Millis(12)).ended[0].stored, Millis(10));
    }

    #[test]
    fn an_endpoint_that_went_away_is_not_waited_for() {
        let mut renewals = Renewals::default();
        renewals.begin("file:a", None, Millis(1), Millis(2), places(&[("x", "a"), ("y", "a")]));
        renewals.keep(|_| true, |endpoint, _| endpoint != "y");
        assert_eq!(renewals.missing().count(), 1);
        assert_eq!(renewals.proven("x", "a", false, Millis(5)).ended.len(), 1);
    }
}
