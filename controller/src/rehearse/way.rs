//! How far a re-issue has come, by what is seen of it again and again. Pure.
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::converge::Millis;
use crate::loaded::configuration::Loaded;
use crate::run::state::{Gateway, Host};
use certdrift_contract::Fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Seconds that the API server's clock may be behind that of who asked.
const SKEW: i64 = 30;

/// A hop of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    /// The request was signed.
    Issued,
    /// The Secret has it.
    Stored,
    /// The ledger expects it.
    Published,
    /// Every endpoint that tells has a configuration that is as new.
    Loaded,
    /// Every endpoint serves it, proven by handshakes.
    Served,
}

impl Hop {
    /// In the order of the way.
    pub const ALL: [Self; 5] = [Self::Issued, Self::Stored, Self::Published, Self::Loaded, Self::Served];

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Stored => "stored",
            Self::Published => "published",
            Self::Loaded => "loaded",
            Self::Served => "served",
        }
    }
}

/// What is seen at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Certificate.
    pub certificate: Option<Certificate>,
    /// All requests of its namespace.
    pub requests: Vec<CertificateRequest>,
    /// What the controller knows of the gateways, where one answers.
    pub gateways: Option<Vec<Gateway>>,
}

/// The way of one re-issue.
#[derive(Clone, Debug)]
pub struct Way {
    secret: String,
    /// Of the request before it.
    before: u64,
    begun: Millis,
    /// When each hop was seen to be done.
    pub done: BTreeMap<Hop, Millis>,
    /// The new leaf, once it is signed.
    pub leaf: Option<Fingerprint>,
    /// Its revision, once it is signed.
    pub revision: Option<u64>,
    /// What it was signed as: the request's name.
    pub request: Option<ObjectName>,
    /// Why its request will never be signed.
    pub failed: Option<String>,
    /// Hops that nothing here can show.
    pub blind: Vec<Hop>,
}

impl Way {
    /// It was asked for at this time; the Certificate as it was before.
    #[must_use]
    pub fn begin(certificate: &Certificate, begun: Millis) -> Self {
        Self::after(certificate, certificate.status.revision.unwrap_or(0), begun)
    }

    /// That of the revision after this one, which was asked for at this time.
    #[must_use]
    pub fn after(certificate: &Certificate, before: u64, begun: Millis) -> Self {
        Self {
            secret: certificate.secret().to_string(),
            before,
            begun,
            done: BTreeMap::new(),
            leaf: None,
            revision: None,
            request: None,
            failed: None,
            blind: Vec::new(),
        }
    }

    /// Takes in what is seen now.
    pub fn take(&mut self, seen: &Seen, now: Millis) {
        let Some(certificate) = &seen.certificate else { return };
        let newer = |r: &&CertificateRequest| {
            r.belongs_to(certificate) && r.is_issued() && r.revision().is_some_and(|n| n > self.before)
        };
        if let Some((request, (leaf, _))) = seen
            .requests
            .iter()
            .filter(newer)
            .filter_map(|r| Some((r, r.signing()?)))
            .max_by_key(|(r, _)| r.revision())
        {
            (self.leaf, self.revision) = (Some(leaf), request.revision());
            self.request = Some(request.metadata.object());
            self.done.entry(Hop::Issued).or_insert(now);
        }
        self.failed = seen.requests.iter().filter(|r| r.belongs_to(certificate)).find_map(|request| {
            // One that failed before this one was asked for may still be there.
            let made = request.metadata.creation_timestamp;
            let is_its = made.is_none_or(|at| self.begun.seconds().since(at) <= SKEW)
                && request.revision().is_some_and(|n| n > self.before);
            let end = ended_badly(request).filter(|_| is_its)?;
            Some(format!("CertificateRequest {}: {end}", request.metadata.object()))
        });
        let (Some(leaf), Some(revision)) = (self.leaf, self.revision) else { return };
        if certificate.status.revision.is_some_and(|n| n >= revision) && certificate.issuing().is_none() {
            self.done.entry(Hop::Stored).or_insert(now);
        }
        let Some(gateways) = &seen.gateways else { return };
        let served = served_by(gateways, &self.secret);
        self.blind.clear();
        if served.is_empty() {
            self.blind = vec![Hop::Published, Hop::Loaded, Hop::Served];
            return;
        }
        let text = leaf.to_string();
        if served.iter().all(|(_, host)| host.expected.contains(&text)) {
            self.done.entry(Hop::Published).or_insert(now);
        }
        self.loaded(&served, now);
        let is_served = |(gateway, host): &(&Gateway, &Host)| {
            !gateway.endpoints.is_empty()
                && gateway.endpoints.iter().all(|endpoint| {
                    let seen = host.seen.iter().find(|seen| seen.endpoint == endpoint.name);
                    endpoint.answers == Some(true)
                        && seen.is_some_and(|s| {
                            s.right()
                                && s.blind.is_none()
                                && s.evidence != "declared"
                                && s.proven
                                && s.served.as_deref() == Some(&text)
                        })
                })
        };
        if served.iter().all(is_served) {
            self.done.entry(Hop::Served).or_insert(now);
            // What is served is loaded, whoever tells it first.
            if !self.blind.contains(&Hop::Loaded) {
                self.done.entry(Hop::Loaded).or_insert(now);
            }
        }
    }

    fn loaded(&mut self, served: &[(&Gateway, &Host)], now: Millis) {
        let told: Vec<Option<Millis>> = served
            .iter()
            .flat_map(|(gateway, _)| gateway.endpoints.iter().filter(|e| !e.edge))
            .filter_map(|endpoint| match endpoint.loaded.as_ref()? {
                Loaded::Current { changed } => Some(*changed),
                Loaded::Behind { .. } | Loaded::Empty { .. } => Some(None),
            })
            .collect();
        if told.is_empty() {
            self.blind.push(Hop::Loaded);
        } else if told.iter().all(|changed| changed.is_some_and(|changed| changed >= self.begun)) {
            self.done.entry(Hop::Loaded).or_insert(now);
        }
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.failed.is_some() || self.missing().is_none()
    }

    /// The first hop that can be seen and is not done.
    #[must_use]
    pub fn missing(&self) -> Option<Hop> {
        Hop::ALL.into_iter().find(|hop| !self.done.contains_key(hop) && !self.blind.contains(hop))
    }

    /// When it was asked for.
    #[must_use]
    pub const fn begun(&self) -> Millis {
        self.begun
    }

    /// Seconds from the beginning to this hop.
    #[must_use]
    pub fn took(&self, hop: Hop) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a drill")]
        self.done.get(&hop).map(|at| at.since(self.begun) as f64 / 1000.0)
    }
}

/// The hosts that are served from this Secret, with their gateways.
#[must_use]
pub fn served_by<'a>(gateways: &'a [Gateway], secret: &str) -> Vec<(&'a Gateway, &'a Host)> {
    let all = gateways.iter().flat_map(|gateway| gateway.hosts.iter().map(move |host| (gateway, host)));
    all.filter(|(_, host)| host.source == secret).collect()
}

/// What ends a request for good, in cert-manager's words.
fn ended_badly(request: &CertificateRequest) -> Option<String> {
    request.status.conditions.iter().find_map(|condition| {
        let is_end = match &*condition.kind {
            "Denied" | "InvalidRequest" => &*condition.status == "True",
            "Ready" => &*condition.status == "False" && matches!(&*condition.reason, "Failed" | "Denied"),
            _ => false,
        };
        is_end.then(|| format!("{}: {}", condition.reason, condition.message))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    //! Makers for whoever tests a way; the way itself is tested with the drill and with the canary.
    use crate::run::state::Gateway;
    use serde_json::{Value, json};

    pub(crate) const PEM: &str = include_str!("../../testdata/drill/leaf.pem");
    const NOW: &str = "2026-11-25T00:00:00Z";

    /// An endpoint, by name, that answers and is proven to serve this leaf: as an endpoint, and as what was seen there.
    pub(crate) fn endpoint_of(name: &str, served: &str) -> (Value, Value) {
        let seen = json!({"endpoint": name, "verdict": "match", "class": null, "evidence": "handshake", "served": served,
            "not_after": null, "possession": "proven", "at": NOW, "since": NOW, "blind": null, "proof": null, "proven": true,
            "workers": [], "cause": null, "waits": null, "acknowledged": null});
        let endpoint = json!({"name": name, "address": "10.0.0.1:8443", "edge": false, "answers": true, "why": "",
            "workers": null, "loaded": {"state": "current", "changed": 0}});
        (endpoint, seen)
    }

    /// A gateway with one host from this Secret.
    pub(crate) fn gateway_of(secret: &str, expected: &str, endpoints: &[(Value, Value)]) -> Gateway {
        let (endpoints, seen): (Vec<Value>, Vec<Value>) = endpoints.iter().cloned().unzip();
        let host = json!({"host": "x.example", "source": secret, "expected": [expected], "not_after": null,
            "stored": true, "seen": seen});
        serde_json::from_value(
            json!({"name": "kong", "mode": "observe", "ledger": null, "endpoints": endpoints,
            "hosts": [host], "remedy": null, "findings": [], "renewals": [], "history": []}),
        )
        .unwrap()
    }
}
