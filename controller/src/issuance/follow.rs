//! The Certificates behind a gateway's Secrets, judged whenever something has changed, with what is remembered between. Pure.
use super::facts::{Facts, NextKey, Target};
use super::judge::{Before, judge};
use super::not_stored::Suspects;
use super::state::State;
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::Certificate;
use crate::diagnose::{Hop, cause_of};
use crate::finding::{Finding, Severity};
use crate::source::kubernetes::requests::Issued;
use certdrift_contract::UnixTime;
use std::collections::{BTreeMap, BTreeSet};

/// What was thought of each Certificate before, by its UID.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<Box<str>, Before>);

/// Where the issuance of a gateway's certificates stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuance {
    /// What is wrong, sorted by object.
    pub findings: Vec<Finding>,
    /// Secrets whose certificate does not come to them, and the hop at which it stands.
    pub broken: BTreeMap<ObjectName, Hop>,
    /// Secrets that some Certificate is stored in.
    pub watched: BTreeSet<ObjectName>,
    /// Secrets whose next certificate is signed and not stored for too long: it is to be asked who may not store it.
    pub not_stored: Vec<ObjectName>,
    /// When time alone changes something.
    pub changes_at: Option<UnixTime>,
}

/// Judges the Certificates of these Secrets. `look` tells what is known of a Secret, `suspects` what of the permissions.
pub fn follow(
    secrets: &[ObjectName],
    issued: &Issued<'_>,
    look: &dyn Fn(&ObjectName) -> Target,
    suspects: &dyn Fn(&ObjectName) -> Suspects,
    memory: &mut Memory,
    now: UnixTime,
) -> Issuance {
    let mut owners: BTreeMap<ObjectName, Vec<&Certificate>> = BTreeMap::new();
    for certificate in issued.certificates() {
        let secret = certificate.secret();
        if secrets.binary_search(&secret).is_ok() {
            owners.entry(secret).or_default().push(certificate);
        }
    }
    let mut out = Issuance::default();
    let mut kept = Memory::default();
    for (secret, certificates) in &owners {
        out.watched.insert(secret.clone());
        for certificate in certificates {
            let uid = &certificate.metadata.uid;
            let rivals = certificates.iter().filter(|other| other.metadata.uid != *uid);
            let facts = Facts {
                certificate,
                requests: issued.requests(certificate),
                target: look(secret),
                next_key: NextKey::Unknown,
                rivals: rivals.map(|other| other.metadata.object()).collect(),
            };
            let mut before = memory.0.remove(uid);
            let judged = judge(&facts, &mut before, &suspects(secret), now);
            if let Some(before) = before {
                kept.0.insert(uid.clone(), before);
            }
            if judged.finding.is_some() && matches!(judged.state, State::Signed(_)) {
                out.not_stored.push(secret.clone());
            }
            let error = judged.finding.as_ref().filter(|finding| finding.severity == Severity::Error);
            let cause = error.and_then(|finding| cause_of(&finding.code));
            if let Some(cause) = cause {
                out.broken.insert(secret.clone(), cause.hop());
            }
            out.findings.extend(judged.finding);
            if let Some(at) = judged.changes_at {
                out.changes_at = Some(out.changes_at.map_or(at, |before| before.min(at)));
            }
        }
    }
    *memory = kept;
    out.findings.sort_by(|a, b| (&a.object, &a.code).cmp(&(&b.object, &b.code)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::cert_manager::CertificateRequest;
    use serde_json::json;

    const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

    fn certificate(name: &str) -> Certificate {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "demo", "uid": name},
            "spec": {"secretName": format!("{name}-tls")},
            "status": {"renewalTime": "2026-11-23T00:00:00Z", "conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap()
    }

    #[test]
    fn only_certificates_behind_the_gateways_secrets_are_judged_and_since_when_is_remembered() {
        let all = [certificate("web"), certificate("other")];
        let issued = Issued::new(&all, Vec::<&CertificateRequest>::new());
        let ours = [ObjectName::new("demo", "web-tls")];
        let mut memory = Memory::default();
        let mut told = |after: i64| {
            follow(&ours, &issued, &|_| Target::Unknown, &|_| Suspects::Unknown, &mut memory, NOW.plus(after))
        };
        // A day late, so it is told at once.
        let objects: Vec<String> = told(0).findings.into_iter().map(|f| f.object).collect();
        assert_eq!(objects, ["Certificate demo/web"]);
        let since = told(10).findings.remove(0).why;
        assert!(since.contains(&format!("since {NOW}")), "{since}");
    }
}
