//! From an observation to a verdict. Pure: the time is an argument.
use super::chain;
use super::expectations::{Expectations, find};
use super::findings;
use super::{Observation, Outcome};
use crate::finding::{Finding, Severity};
use certdrift_contract::verdict::{Expecting, Served, Windows, judge};
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
                began: observation.began.seconds(),
                first_seen: *first_seen,
            };
            // `judge` asks the index while the entry is borrowed from it, so the entry is copied.
            let (current, incoming, retiring) =
                (expecting.current.to_vec(), expecting.incoming.to_vec(), expecting.retiring.to_vec());
            let expecting = Expecting { current: &current, incoming: &incoming, retiring: &retiring };
            // Our own handshakes began by the clock that wrote the ledger: there is no skew to make room for.
            let skew = if observation.evidence == Evidence::Handshake { 0 } else { Windows::default().skew };
            judge(&served, &expecting, |f| index.known(f), now, &Windows { skew, ..Windows::default() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::expectations::families;
    use crate::source::KeyFamily;
    use certdrift_contract::ledger::{Content, Entry, Expectation, Expected, Retiring};
    use certdrift_contract::{DriftClass, Ledger, Rules};

    const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

    fn print(n: u8) -> Fingerprint {
        Fingerprint::from_digest([n; 32])
    }

    fn expected(n: u8, chain: &[u8]) -> Expected {
        Expected {
            sha256: print(n),
            chain: chain.iter().map(|n| print(*n)).collect(),
            not_after: NOW.plus(86_400),
        }
    }

    /// `a` expects 1 (chain 11, 12) and was 2; `*.b` expects 3; the default is 4.
    fn expectations() -> Expectations {
        let entry = |source: &str, host: &str, current, retiring| Entry {
            source: source.to_owned(),
            hosts: vec![host.parse().unwrap()],
            since: NOW,
            current,
            incoming: Vec::new(),
            retiring,
        };
        let old = Retiring { sha256: print(2), until: NOW };
        let ledger = Ledger {
            gateway: "g".to_owned(),
            rules: Rules::Kong,
            revision: Revision(7),
            published_at: NOW,
            content: Content::of(vec![
                entry("file:a", "a.example.com", vec![expected(1, &[11, 12])], vec![old]),
                entry("file:b", "*.b.example.com", vec![expected(3, &[])], Vec::new()),
            ]),
            default: Some(Expectation {
                source: "file:d".to_owned(),
                current: vec![expected(4, &[])],
                incoming: Vec::new(),
                retiring: Vec::new(),
            }),
        };
        Expectations::new(ledger.into(), families([]), None).unwrap()
    }

    fn look(host: &str, outcome: Outcome) -> Judged {
        let observation = Observation {
            endpoint: "e".to_owned(),
            host: host.to_owned(),
            family: None,
            worker: None,
            at: NOW,
            began: NOW.plus(60).into(),
            evidence: certdrift_contract::Evidence::Handshake,
            outcome,
        };
        judged(observation, &expectations(), NOW.plus(60))
    }

    fn served(n: u8, chain: &[u8]) -> Outcome {
        Outcome::Served {
            leaf: print(n),
            chain: Some(chain.iter().map(|n| print(*n)).collect()),
            placeholder: false,
            first_seen: NOW,
            not_after: None,
            possession: None,
        }
    }

    #[test]
    fn what_is_served_is_judged_by_the_entry_that_answers_for_the_host() {
        for (host, leaf, verdict) in [
            ("a.example.com", 1, Verdict::Match),
            ("*.b.example.com", 3, Verdict::Match),
            ("default", 4, Verdict::Match),
            ("a.example.com", 2, Verdict::Drift(DriftClass::Previous)),
            ("a.example.com", 3, Verdict::Drift(DriftClass::Other)),
            ("a.example.com", 4, Verdict::Drift(DriftClass::Default)),
            ("a.example.com", 9, Verdict::Ahead),
            ("c.example.com", 1, Verdict::Unlisted),
        ] {
            assert_eq!(look(host, served(leaf, &[11, 12])).verdict, verdict, "{host} {leaf}");
        }
    }

    #[test]
    fn what_was_not_seen_is_never_drift() {
        let why = || "why".to_owned();
        for (outcome, code) in [
            (Outcome::Unreachable { why: why() }, "CD-307"),
            (Outcome::Unobservable { why: why() }, "CD-308"),
            (Outcome::FamilyNotServed { why: why() }, "CD-306"),
        ] {
            let judged = look("a.example.com", outcome);
            assert_eq!(judged.verdict, Verdict::Unobserved);
            assert_eq!(judged.findings.iter().map(|f| &*f.code).collect::<Vec<_>>(), [code]);
            assert!(judged.is_open());
        }
    }

    #[test]
    fn a_right_leaf_with_a_wrong_chain_is_a_match_with_a_finding() {
        for (chain, finding) in [(&[11, 12][..], None), (&[11], Some("missing")), (&[12, 11], Some("order"))]
        {
            let judged = look("a.example.com", served(1, chain));
            assert_eq!(judged.verdict, Verdict::Match);
            match finding {
                None => assert!(judged.findings.is_empty(), "{judged:?}"),
                Some(word) => {
                    assert_eq!(judged.findings[0].code, "CD-302");
                    assert!(judged.findings[0].why.contains(word), "{judged:?}");
                }
            }
        }
        assert!(look("*.b.example.com", served(3, &[99])).findings.is_empty(), "no chain is expected");
    }

    #[test]
    fn the_worst_member_of_a_pair_speaks_for_it() {
        let good = || look("a.example.com", served(1, &[11, 12]));
        let drift = || look("a.example.com", served(2, &[]));
        let half = || look("a.example.com", Outcome::FamilyNotServed { why: String::new() });
        let verdict = |looks| worst(looks).unwrap().verdict;
        assert_eq!(verdict(vec![good(), drift()]), Verdict::Drift(DriftClass::Previous));
        assert_eq!(verdict(vec![drift(), half()]), Verdict::Drift(DriftClass::Previous));
        assert_eq!(verdict(vec![good(), half()]), Verdict::Unobserved);
        assert_eq!(verdict(vec![good(), good()]), Verdict::Match);
        assert_eq!(worst(vec![good(), half()]).unwrap().findings.len(), 1, "its findings stay");
        assert_eq!(worst(Vec::new()), None);
    }

    #[test]
    fn a_pair_is_looked_at_member_by_member() {
        use crate::observe::verifier::Offer;
        let expectations = expectations();
        assert_eq!(expectations.offers("a.example.com"), [Offer::Any], "one, of unknown family");
        let families = families([(print(1), KeyFamily::Rsa)]);
        let mut ledger_of_two = vec![expected(1, &[]), expected(5, &[])];
        ledger_of_two.sort_by_key(|e| e.sha256);
        let ledger = Ledger {
            gateway: "g".to_owned(),
            rules: Rules::Kong,
            revision: Revision(8),
            published_at: NOW,
            content: Content::of(vec![Entry {
                source: "file:a".to_owned(),
                hosts: vec!["a.example.com".parse().unwrap()],
                since: NOW,
                current: ledger_of_two,
                incoming: Vec::new(),
                retiring: Vec::new(),
            }]),
            default: None,
        };
        let pair = Expectations::new(ledger.into(), families, Some(&expectations)).unwrap();
        assert_eq!(
            pair.offers("a.example.com"),
            [Offer::Only(KeyFamily::Ecdsa), Offer::Only(KeyFamily::Rsa)]
        );
        assert_eq!(pair.generation, 2);
        assert_eq!(pair.changed.iter().map(|h| &**h).collect::<Vec<_>>(), ["a.example.com"]);
    }
}
