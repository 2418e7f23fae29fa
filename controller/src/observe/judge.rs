//! From an observation to a verdict. Pure: the time is an argument.
use super::chain;
use super::expectations::{Expectations, find};
use super::findings;
use super::{Observation, Outcome};
use crate::finding::{Finding, Severity};
use certdrift_contract::verdict::{Served, Windows, judge};
use certdrift_contract::{Evidence, Fingerprint, Revision, UnixTime, Verdict};
use serde::Serialize;

/// An observation with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// What was seen.
    pub observation: Observation,
    /// What to think of it. Unreachable, unobservable and half a pair are `unobserved`, never drift.
    #[serde(serialize_with = "verdict_text")]
    pub verdict: Verdict,
    /// Leaves expected now.
    pub expected: Vec<Fingerprint>,
    /// Against which revision.
    #[serde(skip)]
    pub revision: Revision,
    /// What else is to be said: the chain, half a pair, unreachable.
    pub findings: Vec<Finding>,
}

fn verdict_text<S: serde::Serializer>(verdict: &Verdict, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(verdict)
}

impl Judged {
    /// Whether it proves that what is expected is served: a `match` (or `incoming`) that is not merely declared.
    #[must_use]
    pub fn proves(&self) -> bool {
        matches!(self.verdict, Verdict::Match | Verdict::Incoming) && self.observation.evidence.proves()
    }

    /// Whether looking again soon makes sense: neither proven nor unlisted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.proves() && self.verdict != Verdict::Unlisted
    }
}

/// Judges what was observed against what is expected.
#[must_use]
pub fn judged(observation: Observation, expectations: &Expectations, now: UnixTime) -> Judged {
    let object = format!("{} {}", observation.endpoint, observation.host);
    let mut index = expectations.index();
    let revision = index.revision();
    let mut expected = Vec::new();
    let mut findings = Vec::new();
    let verdict = match (&observation.outcome, find(&mut index, &observation.host)) {
        (_, None) => Verdict::Unlisted,
        (Outcome::Unreachable { why }, _) => {
            findings.push(findings::UNREACHABLE.on(object, why.clone()));
            Verdict::Unobserved
        }
        (Outcome::Unobservable { why }, _) => {
            findings.push(findings::UNOBSERVABLE.on(object, why.clone()));
            Verdict::Unobserved
        }
        (Outcome::FamilyNotServed { why }, Some(found)) => {
            expected = found.expecting.current.iter().map(|e| e.sha256).collect();
            findings.push(findings::HALF_MISSING.on(object, why.clone()));
            Verdict::Unobserved
        }
        (Outcome::Served { leaf, chain, placeholder, first_seen, .. }, Some(found)) => {
            let expecting = found.expecting;
            expected = expecting.current.iter().map(|e| e.sha256).collect();
            let wanted = expecting.current.iter().chain(expecting.incoming).find(|e| e.sha256 == *leaf);
            if let (Some(wanted), Some(served)) = (wanted, chain)
                && let Some(difference) = chain::compare(&wanted.chain, served, false)
            {
                let why = format!(
                    "{} expected after the leaf, {} sent: {}",
                    wanted.chain.len(),
                    served.len(),
                    difference.as_str()
                );
                let finding = findings::CHAIN_DIFFERS.on(object, why);
                findings.push(if difference.hurts() {
                    finding
                } else {
                    Finding { severity: Severity::Warning, ..finding }
                });
            }
            let served = Served {
                fingerprint: *leaf,
                placeholder: *placeholder,
                began: observation.began,
                first_seen: *first_seen,
            };
            // `judge` asks the index while the entry is borrowed from it, so what it may ask is asked before.
            let verdict = {
                let (current, incoming, retiring) =
                    (expecting.current.to_vec(), expecting.incoming.to_vec(), expecting.retiring.to_vec());
                let expecting = certdrift_contract::verdict::Expecting {
                    current: &current,
                    incoming: &incoming,
                    retiring: &retiring,
                };
                judge(&served, &expecting, |f| index.known(f), now, &Windows::default())
            };
            verdict
        }
    };
    drop(index);
    Judged { observation, verdict, expected, revision, findings }
}

/// Of several looks at one host of one endpoint, one per family: the worst speaks for all, so that a match of one member of a pair does not hide the other's drift.
#[must_use]
pub fn worst(looks: Vec<Judged>) -> Option<Judged> {
    let rank = |j: &Judged| match (j.verdict, &j.observation.outcome) {
        (Verdict::Drift(_), _) => 4,
        (Verdict::Unobserved, Outcome::FamilyNotServed { .. }) => 3,
        (Verdict::Unobserved, _) => 2,
        (Verdict::Ahead | Verdict::Carried | Verdict::Retiring, _) => 1,
        _ => 0,
    };
    let mut findings = Vec::new();
    let mut worst: Option<Judged> = None;
    for look in looks {
        findings.extend(look.findings.iter().cloned());
        if worst.as_ref().is_none_or(|w| rank(&look) > rank(w)) {
            worst = Some(look);
        }
    }
    findings.dedup();
    worst.map(|w| Judged { findings, ..w })
}

/// Whether an evidence is a fresh handshake of ours.
#[must_use]
pub fn is_fresh(observation: &Observation) -> bool {
    observation.evidence == Evidence::Handshake
}
