//! From what was seen at one address to a verdict. Pure: the time is an argument.
use super::expect::Expect;
use super::view::{Address, Certificate, Unseen, Verdict};
use crate::finding::{Finding, Severity};
use crate::observe::handshake::{self, Look, Served};
use crate::observe::leaf::Facts;
use crate::observe::verifier::Possession;
use crate::observe::{chain, findings};
use crate::source::KeyFamily;
use certdrift_contract::{Fingerprint, HostName, UnixTime};
use std::collections::BTreeSet;

/// What is asked of an address.
#[derive(Debug)]
pub struct Question<'a> {
    /// The name that must be covered.
    pub host: &'a HostName,
    /// All of these must be served, and nothing else; nothing is expected when empty.
    pub expect: &'a [Expect],
    /// A failed path to a root makes the certificate invalid.
    pub trust_is_judged: bool,
    /// Now.
    pub now: UnixTime,
}

/// Judges an address by one look per family. `trust` says whether a chain leads to a root, where there are roots.
#[must_use]
pub fn address(
    name: &str,
    looks: &[(KeyFamily, Look)],
    question: &Question<'_>,
    trust: impl Fn(&Served) -> Option<Result<(), String>>,
) -> Address {
    let mut result = Address {
        address: name.to_owned(),
        verdict: Verdict::Unknown,
        certificates: Vec::new(),
        unseen: Vec::new(),
        findings: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    let mut not_told = false;
    for (family, look) in looks {
        match look {
            Look::Served(served) => {
                if seen.insert(served.leaf) {
                    let certificate =
                        certificate(name, *family, served, question, &trust, &mut result.findings);
                    result.certificates.push(certificate);
                }
            }
            Look::FamilyNotServed(why) => result.unseen.push(Unseen::new(*family, "family-not-served", why)),
            Look::Unreachable(why) => {
                not_told = true;
                result.unseen.push(Unseen::new(*family, "unreachable", why));
            }
            Look::Unobservable(why) => {
                not_told = true;
                result.unseen.push(Unseen::new(*family, "unobservable", why));
            }
        }
    }
    if !seen.is_empty() && !not_told {
        missing(name, &seen, question, &mut result.findings);
    }
    untold(name, &result.unseen, seen.is_empty(), &mut result.findings);
    result.verdict = verdict(&result, question, not_told);
    result
}

fn verdict(result: &Address, question: &Question<'_>, not_told: bool) -> Verdict {
    let error = |f: &&Finding| f.severity == Severity::Error;
    let drift = [findings::DRIFT.code, findings::HALF_MISSING.code];
    if result.findings.iter().filter(error).any(|f| drift.contains(&f.code.as_str())) {
        Verdict::Drift
    } else if result.findings.iter().any(|f| f.severity == Severity::Error) {
        Verdict::Invalid
    } else if not_told || result.certificates.is_empty() {
        Verdict::Unknown
    } else if question.expect.is_empty() {
        Verdict::Valid
    } else {
        Verdict::Match
    }
}

fn certificate(
    name: &str,
    family: KeyFamily,
    served: &Served,
    question: &Question<'_>,
    trust: &impl Fn(&Served) -> Option<Result<(), String>>,
    findings: &mut Vec<Finding>,
) -> Certificate {
    let object = format!("{name} ({})", handshake::name(family));
    let expected = question.expect.iter().find(|e| e.leaf == served.leaf);
    let before = findings.len();
    if !question.expect.is_empty() {
        match expected {
            None => findings.push(findings::DRIFT.on(&*object, drift(served, question))),
            Some(expected) => {
                if let Some(difference) = chain::compare(&expected.chain, &served.chain, expected.root_last) {
                    let why = format!(
                        "{} expected after the leaf, {} sent: {}",
                        expected.chain.len(),
                        served.chain.len(),
                        difference.as_str()
                    );
                    let finding = findings::CHAIN_DIFFERS.on(&*object, why);
                    findings.push(if difference.hurts() { finding } else { softened(finding) });
                }
            }
        }
    }
    // What an expectation does not say, anybody can see; but then it is told and not judged, the date aside.
    let told = |finding: Finding| if question.expect.is_empty() { finding } else { softened(finding) };
    if served.possession == Possession::Refuted {
        findings.push(
            findings::NO_POSSESSION
                .on(&*object, "the signature over this handshake does not fit the certificate's key"),
        );
    }
    if let Possession::Unproven(why) = &served.possession {
        findings.push(findings::UNPROVEN.on(&*object, why.clone()));
    }
    match &served.facts {
        Ok(facts) => {
            if !facts.in_date(question.now) {
                findings.push(
                    findings::NOT_IN_DATE.on(&*object, date(facts.not_before, facts.not_after, question.now)),
                );
            }
            if !facts.covers(question.host) {
                let names = if facts.names.is_empty() {
                    format!("it has no subject alternative name at all (subject {})", facts.subject)
                } else {
                    format!("it is for {}", list(&facts.names))
                };
                findings.push(told(
                    findings::NOT_COVERED.on(&*object, format!("{} is asked for, {names}", question.host)),
                ));
            }
        }
        Err(why) => findings.push(told(
            findings::NOT_COVERED.on(&*object, format!("the certificate was received, but {why}")),
        )),
    }
    let order = chain::in_order(&served.certificates);
    if let Err(misplaced) = &order {
        findings.push(told(findings::CHAIN_ORDER.on(&*object, misplaced.why.clone())));
    }
    findings.extend(out_of_date(&object, served, question.now));
    let trusted = trust(served);
    if let (Some(Err(why)), true) = (&trusted, question.trust_is_judged) {
        findings.push(findings::NOT_TRUSTED.on(&*object, why.clone()));
    }
    let facts = served.facts.as_ref().ok();
    Certificate {
        family,
        sha256: served.leaf,
        expected: (!question.expect.is_empty()).then_some(expected.is_some()),
        good: !findings.iter().skip(before).any(|f| f.severity == Severity::Error),
        not_before: facts.map(|f| f.not_before),
        not_after: facts.map(|f| f.not_after),
        days_left: facts.map(|f| f.not_after.since(question.now).div_euclid(86_400)),
        subject: facts.map(|f| f.subject.clone()),
        issuer: facts.map(|f| f.issuer.clone()),
        names: facts.map(|f| f.names.clone()).unwrap_or_default(),
        key: facts.map(|f| f.key.clone()),
        chain: served.chain.clone(),
        chain_in_order: order.is_ok(),
        trusted: trusted.as_ref().map(Result::is_ok),
        trust: trusted.map(|t| t.err().unwrap_or_else(|| "a path leads to a known root".to_owned())),
        possession: served.possession.clone(),
        tls: served.version,
        broke_off: served.broke_off.clone(),
    }
}

/// Intermediates outside their dates: a client that knows no other path to a root refuses the leaf with them.
fn out_of_date(object: &str, served: &Served, now: UnixTime) -> Vec<Finding> {
    let after_the_leaf = served.certificates.iter().enumerate().skip(1).take(chain::LONGEST);
    let told = after_the_leaf.filter_map(|(n, der)| {
        let facts = Facts::of(der).ok().filter(|facts| !facts.in_date(now))?;
        let why = format!(
            "certificate {n} of those sent ({}): {}",
            facts.subject,
            date(facts.not_before, facts.not_after, now)
        );
        Some(softened(findings::NOT_IN_DATE.on(object, why)))
    });
    told.collect()
}

fn drift(served: &Served, question: &Question<'_>) -> String {
    let until = match &served.facts {
        Ok(facts) => format!(", valid until {}", facts.not_after),
        Err(_) => String::new(),
    };
    let expected: Vec<String> = question.expect.iter().map(|e| e.leaf.short().to_string()).collect();
    format!("served {}{until}; expected {}", served.leaf.short(), expected.join(" and "))
}

/// Expectations that nobody was shown, while all that was shown is expected: half of a pair.
fn missing(name: &str, seen: &BTreeSet<Fingerprint>, question: &Question<'_>, findings: &mut Vec<Finding>) {
    let expected: BTreeSet<Fingerprint> = question.expect.iter().map(|e| e.leaf).collect();
    if seen.iter().any(|s| !expected.contains(s)) {
        return;
    }
    for expect in question.expect.iter().filter(|e| !seen.contains(&e.leaf)) {
        let family = expect.family.map_or(String::new(), |f| format!("the {} one, ", handshake::name(f)));
        let why = format!(
            "{family}{} ({}), was shown on none of the handshakes",
            expect.leaf.short(),
            expect.given
        );
        findings.push(findings::HALF_MISSING.on(name, why));
    }
}

/// What could not be seen, once per reason and not once per family.
fn untold(name: &str, unseen: &[Unseen], nothing_seen: bool, findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    let all_refused = nothing_seen && unseen.iter().all(|u| u.outcome == "family-not-served");
    for Unseen { outcome, why, .. } in unseen {
        let kind = match *outcome {
            "unreachable" => &findings::UNREACHABLE,
            "unobservable" => &findings::UNOBSERVABLE,
            // That there is no Ed25519 certificate is news only where there is none at all.
            _ if all_refused => &findings::UNOBSERVABLE,
            _ => continue,
        };
        let why = if *outcome == "family-not-served" {
            "the peer refuses every handshake we can make, for RSA, ECDSA and Ed25519 (handshake_failure)"
        } else {
            why
        };
        if told.insert(why.to_owned()) {
            findings.push(kind.on(name, why));
        }
    }
}

fn softened(finding: Finding) -> Finding {
    Finding { severity: Severity::Warning, ..finding }
}

fn date(not_before: UnixTime, not_after: UnixTime, now: UnixTime) -> String {
    if now < not_before {
        format!("not valid before {not_before}; now is {now}")
    } else {
        format!("expired at {not_after}, {} ago", days(now.since(not_after)))
    }
}

fn days(seconds: i64) -> String {
    if seconds < 3_600 {
        format!("{} min", seconds.div_euclid(60))
    } else if seconds < 172_800 {
        format!("{} h", seconds.div_euclid(3_600))
    } else {
        format!("{} days", seconds.div_euclid(86_400))
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_refuses_all_only_when_all_families_were_refused() {
        let host: HostName = "shop.example.com".parse().unwrap();
        let question =
            Question { host: &host, expect: &[], trust_is_judged: false, now: UnixTime::from_seconds(0) };
        let codes = |second: Look| {
            let looks = [(KeyFamily::Ecdsa, Look::FamilyNotServed("alert".into())), (KeyFamily::Rsa, second)];
            let judged = address("192.0.2.1:443", &looks, &question, |_| None);
            assert_eq!(judged.verdict, Verdict::Unknown);
            judged.findings.into_iter().map(|f| f.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(Look::FamilyNotServed("alert".into())), ["CD-308"]);
        assert_eq!(codes(Look::Unreachable("no answer within 5 s".into())), ["CD-307"]);
    }
}
