//! From what has to be served and what was served to rows. Pure.
use super::expect::{Expected, is_keyless};
use super::find::Chosen;
use super::read::World;
use super::report::{Gateway, Hop, Host, Pod, Seen, Verdict};
use crate::binding::Bound;
use crate::diagnose::{self, Cause};
use crate::finding::{Finding, Severity};
use crate::issuance::findings::NOT_STORED;
use crate::observe::endpoint::Sight;
use crate::observe::handshake::Look;
use crate::observe::judge::{Judged, judged, worst};
use crate::observe::{Observation, Outcome};
use crate::source::Certificate;
use certdrift_contract::index::DEFAULT;
use certdrift_contract::{DriftClass, Evidence, Fingerprint, HostPattern, UnixTime, Verdict as Wire};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one look at all pods has seen: by pod and host, a handshake for each family that is expected.
pub type Sights = BTreeMap<(String, Arc<str>), Vec<Sight>>;

/// A gateway, host by host.
#[must_use]
pub fn gateway(
    world: &World,
    chosen: &Chosen,
    expected: &Expected,
    pods: Vec<Pod>,
    told: Vec<Finding>,
    sights: &Sights,
    now: UnixTime,
) -> Gateway {
    let rows = Rows::new(world, expected, &pods, sights, now);
    let mut hosts: Vec<Host> = Vec::new();
    for (source, by, group) in expected.memory.claimed() {
        hosts.extend(group.iter().map(|host| rows.host(host.as_str(), Some(host), source, &by.to_string())));
    }
    if let Some(default) = &expected.assembled.binding.default {
        hosts.push(rows.host(DEFAULT, None, &default.source, "the gateway's own configuration"));
    }
    for host in hosts.iter_mut().filter(|_| chosen.guessed) {
        // Another gateway's hosts may have been taken for this one's.
        host.verdict = Verdict::Unknown;
        let why = "which Ingresses are this gateway's was guessed: name their class with --ingress-class";
        host.detail = [host.detail.as_str(), why]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("; ");
    }
    hosts.sort_by(|a, b| {
        (std::cmp::Reverse(a.verdict), &a.host).cmp(&(std::cmp::Reverse(b.verdict), &b.host))
    });
    let assembled = &expected.assembled;
    let mut findings: Vec<Finding> = assembled
        .binding
        .findings
        .iter()
        .chain(&assembled.inventory.findings)
        .chain(&expected.issuance.findings)
        .cloned()
        .chain(told)
        .collect();
    findings.sort_by(|a, b| (&a.object, &a.code, &a.why).cmp(&(&b.object, &b.code, &b.why)));
    findings.dedup();
    Gateway { name: chosen.name.clone(), chosen: chosen.why.clone(), pods, hosts, findings }
}

/// What a gateway comes to: its worst host, or what is wrong beside them.
#[must_use]
pub fn comes_to(gateway: &Gateway) -> Verdict {
    let worst = gateway.hosts.iter().map(|host| host.verdict).max().unwrap_or(Verdict::Unknown);
    // A binding that binds nothing, to a Secret that is not there for one, is no host's row; how a certificate is issued is
    // (CD-17x).
    let hurts = |finding: &&Finding| {
        let is_row = finding.code.starts_with("CD-17");
        finding.severity == Severity::Error && finding.code.starts_with("CD-1") && !is_row
    };
    match gateway.findings.iter().find(hurts) {
        Some(_) => worst.max(Verdict::Invalid),
        None if gateway.pods.is_empty() => worst.max(Verdict::Unknown),
        None => worst,
    }
}

struct Rows<'a> {
    world: &'a World,
    expected: &'a Expected,
    pods: &'a [Pod],
    sights: &'a Sights,
    now: UnixTime,
    /// What each source has, by its name.
    bound: BTreeMap<&'a str, &'a Bound>,
    /// Certificates by the Secret that they are stored in, as findings name them.
    certificates: BTreeMap<String, Vec<String>>,
    /// Secrets whose next certificate is signed and not stored.
    not_stored: BTreeSet<String>,
    /// Certificates that something else is told of.
    stuck: BTreeSet<&'a str>,
}

impl<'a> Rows<'a> {
    fn new(
        world: &'a World,
        expected: &'a Expected,
        pods: &'a [Pod],
        sights: &'a Sights,
        now: UnixTime,
    ) -> Self {
        let mut certificates: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for certificate in &world.certificates {
            let object = format!("Certificate {}", certificate.metadata.object());
            certificates.entry(certificate.secret().to_string()).or_default().push(object);
        }
        let issuance = &expected.issuance;
        let told = issuance.findings.iter().filter(|finding| finding.code != NOT_STORED.code);
        let entries = &expected.assembled.binding.entries;
        Self {
            world,
            expected,
            pods,
            sights,
            now,
            bound: entries.iter().map(|bound| (&*bound.source, &**bound)).collect(),
            certificates,
            not_stored: issuance.not_stored.iter().map(ToString::to_string).collect(),
            stuck: told.map(|finding| finding.object.as_str()).collect(),
        }
    }

    fn host(&self, name: &str, pattern: Option<&HostPattern>, source: &str, by: &str) -> Host {
        let binding = &self.expected.assembled.binding;
        let members: Vec<&str> = source.split('+').collect();
        let bound = match pattern {
            Some(_) => self.bound.get(source).copied(),
            None => binding.default.as_ref(),
        };
        let held = binding.held.contains(source) || members.iter().any(|m| binding.held.contains(*m));
        let covered = bound.is_some_and(|b| pattern.is_none_or(|host| b.hosts.contains(host)));
        let not_stored = members.iter().any(|member| self.not_stored.contains(*member));
        // What is held there is bad; where nothing may be read, it is only not known.
        let bad = bound.is_some() && !covered || held && !is_keyless(self.world);
        let stored = if not_stored || bad {
            Hop::Bad
        } else if covered && !held {
            Hop::Good
        } else {
            Hop::Unknown
        };
        let certificates = bound.filter(|_| covered).map(|b| b.certificates.as_slice()).unwrap_or_default();
        let seen = self.seen(name, certificates);
        let served = served(&seen, self.pods);
        let expired = seen.iter().any(|s| s.not_after.is_some_and(|end| end < self.now));
        let issued = self.issued(&members);
        let hop = if binding.complete { Hop::Good } else { Hop::Unknown };
        let verdict = if served == Hop::Bad {
            Verdict::Drift
        } else if stored == Hop::Bad || issued == Hop::Bad || expired {
            Verdict::Invalid
        } else if [stored, hop, served, issued].contains(&Hop::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Match
        };
        let cause = (served == Hop::Bad).then(|| cause(&seen, stored, self.pods)).flatten();
        let mut host = Host {
            host: name.to_owned(),
            verdict,
            issued,
            stored,
            bound: hop,
            served,
            source: source.to_owned(),
            by: by.to_owned(),
            expected: certificates.iter().map(|c| c.leaf).collect(),
            not_after: certificates.iter().map(|c| c.not_after).min(),
            cause,
            detail: String::new(),
            seen,
        };
        host.detail = self.detail(&host, not_stored, expired);
        host
    }

    fn issued(&self, members: &[&str]) -> Hop {
        if self.world.is_unread("certificates") || self.world.is_unread("certificaterequests") {
            return Hop::Unknown;
        }
        let mut its = members.iter().filter_map(|member| self.certificates.get(*member)).flatten().peekable();
        if its.peek().is_none() {
            return Hop::None;
        }
        if its.any(|certificate| self.stuck.contains(certificate.as_str())) { Hop::Bad } else { Hop::Good }
    }

    /// What each pod served of a host, judged.
    fn seen(&self, name: &str, certificates: &[Arc<Certificate>]) -> Vec<Seen> {
        let of = |pod: &Pod| {
            let sights = self.sights.get(&(pod.name.clone(), Arc::from(name)));
            let looks: Vec<Judged> = sights
                .into_iter()
                .flatten()
                .map(|sight| {
                    judged(self.observation(pod, name, sight), &self.expected.expectations, self.now)
                })
                .collect();
            let facts = |leaf: Fingerprint| {
                sights.into_iter().flatten().find_map(|sight| match &sight.look {
                    Look::Served(served) if served.leaf == leaf => served.facts.as_ref().ok(),
                    _ => None,
                })
            };
            let Some(worst) = worst(looks) else {
                let why = pod.why.clone().unwrap_or_else(|| "it was not looked at".to_owned());
                return Seen {
                    pod: pod.name.clone(),
                    verdict: "unobserved",
                    class: None,
                    served: None,
                    not_after: None,
                    why: Some(why),
                };
            };
            let (served, not_after, why) = match &worst.observation.outcome {
                Outcome::Served { leaf, not_after, .. } => (Some(*leaf), *not_after, None),
                Outcome::Unreachable { why }
                | Outcome::Unobservable { why }
                | Outcome::FamilyNotServed { why } => (None, None, Some(why.clone())),
            };
            let class = match worst.verdict {
                Wire::Drift(DriftClass::Unknown) => {
                    let older = served.and_then(facts).is_some_and(|facts| {
                        let begins = certificates.iter().map(|c| c.not_before).min();
                        begins.is_some_and(|begins| facts.not_before < begins)
                            && certificates.iter().any(|c| names(c) == facts.names.iter().cloned().collect())
                    });
                    Some(if older { DriftClass::Previous } else { DriftClass::Unknown })
                }
                Wire::Drift(class) => Some(class),
                _ => None,
            };
            Seen {
                pod: pod.name.clone(),
                verdict: worst.verdict.as_str(),
                class: class.map(DriftClass::as_str),
                served,
                not_after,
                why,
            }
        };
        self.pods.iter().map(of).collect()
    }

    fn observation(&self, pod: &Pod, name: &str, sight: &Sight) -> Observation {
        Observation {
            endpoint: pod.name.clone(),
            host: name.to_owned(),
            family: sight.offer.family(),
            worker: None,
            at: self.now,
            began: sight.began,
            evidence: Evidence::Handshake,
            // Whatever looks wrong is looked at a second time, with everything read anew: nobody is ahead of that.
            outcome: Outcome::of(&sight.look, |_| UnixTime::from_seconds(0)),
        }
    }

    fn detail(&self, host: &Host, not_stored: bool, expired: bool) -> String {
        let mut parts = Vec::new();
        let mut wrong: BTreeMap<(&str, Option<Fingerprint>), Vec<&Seen>> = BTreeMap::new();
        for seen in host.seen.iter().filter(|seen| seen.verdict == "drift") {
            wrong.entry((seen.class.unwrap_or("unknown"), seen.served)).or_default().push(seen);
        }
        for ((class, served), pods) in wrong {
            let who = match pods.as_slice() {
                [one] => format!("{} serves", one.pod),
                several => format!("{} of {} pods serve", several.len(), host.seen.len()),
            };
            let what = match class {
                "previous" => "an earlier certificate",
                "other" => "another host's certificate",
                "default" => "the default certificate",
                _ => "a certificate that nothing here knows",
            };
            let leaf = served.map(|leaf| format!(" {}", leaf.short())).unwrap_or_default();
            parts.push(format!("{who} {what}{leaf}"));
        }
        if let (Some(cause), false) = (host.cause, parts.is_empty()) {
            parts.push(format!("{}: {}", cause.as_str(), cause.by_hand()));
        }
        if expired {
            parts.push("what is served has expired".to_owned());
        }
        if not_stored {
            parts.push("its next certificate is signed and not stored".to_owned());
        } else if host.stored == Hop::Bad {
            let object = |finding: &&Finding| finding.object == host.source || finding.object == host.by;
            let binding = &self.expected.assembled;
            let mut told = binding.inventory.findings.iter().chain(&binding.binding.findings);
            let why = told.find(|finding| object(finding) && finding.severity == Severity::Error);
            parts.push(match why {
                Some(finding) => format!("Secret {}: {}", host.source, finding.what),
                None => format!("Secret {} holds no good certificate for it", host.source),
            });
        } else if host.stored == Hop::Unknown {
            parts.push(format!("what Secret {} holds could not be read", host.source));
        }
        if host.issued == Hop::Bad {
            parts.push("its renewal does not come along".to_owned());
        }
        if host.served == Hop::Unknown {
            let blind: Vec<&Seen> = host.seen.iter().filter(|seen| seen.why.is_some()).collect();
            match (blind.as_slice(), host.seen.len()) {
                ([], _) => parts.push("no pod was looked at".to_owned()),
                ([first, ..], all) => {
                    let why = first.why.as_deref().unwrap_or_default();
                    parts.push(format!("{} of {all} pods not seen: {}: {why}", blind.len(), first.pod));
                }
            }
        }
        parts.join("; ")
    }
}

fn names(certificate: &Certificate) -> BTreeSet<String> {
    certificate.names.iter().map(|name| name.as_str().to_owned()).collect()
}

fn served(seen: &[Seen], pods: &[Pod]) -> Hop {
    if seen.iter().any(|s| s.verdict == "drift") {
        Hop::Bad
    } else if !pods.is_empty() && seen.iter().all(|s| matches!(s.verdict, "match" | "incoming")) {
        Hop::Good
    } else {
        Hop::Unknown
    }
}

/// What one look can tell of why: that what is stored is bad, or a pod has no configuration. Which worker answered, and what
/// keeps a push away, it cannot.
fn cause(seen: &[Seen], stored: Hop, pods: &[Pod]) -> Option<Cause> {
    let is_empty = |seen: &Seen| pods.iter().any(|pod| pod.name == seen.pod && pod.empty == Some(true));
    let facts = diagnose::Facts {
        stored_is_worse: stored == Hop::Bad,
        given: diagnose::Given::Pushed,
        loading: seen.iter().any(|s| s.verdict == "drift" && is_empty(s)).then_some(diagnose::Loading::Empty),
        serves_default: seen.iter().any(|s| s.class == Some("default")),
        ..diagnose::Facts::default()
    };
    Some(diagnose::reason(&facts).cause).filter(|cause| *cause != Cause::Unexplained)
}

/// Certificates that no host of these gateways has.
#[must_use]
pub fn unbound(world: &World, expected: &[&Expected]) -> Vec<String> {
    let bound: BTreeSet<String> = expected
        .iter()
        .flat_map(|e| {
            let default = e.assembled.binding.default.iter().map(|d| d.source.to_string());
            let members = e.memory.claimed().flat_map(|(source, ..)| source.split('+').map(str::to_owned));
            members.chain(default).collect::<Vec<_>>()
        })
        .collect();
    let free = world.certificates.iter().filter(|c| !bound.contains(&c.secret().to_string()));
    let mut names: Vec<String> = free.map(|c| c.metadata.object().to_string()).collect();
    names.sort();
    names
}

/// Why a pod was not seen at all, where no handshake with it got an answer.
#[must_use]
pub fn silence(sights: &Sights, pod: &str) -> Option<String> {
    let its = || sights.iter().filter(|((name, _), _)| name == pod).flat_map(|(_, sights)| sights);
    let why = |sight: &Sight| match &sight.look {
        Look::Unreachable(why) => Some(why.clone()),
        _ => None,
    };
    let first = its().next().and_then(why)?;
    its().all(|sight| why(sight).is_some()).then_some(first)
}
