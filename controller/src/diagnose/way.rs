//! All that is broken on the way of a gateway's certificates, hop by hop: findings and drifts, each with its cause. Pure.
use super::cause::{Cause, Hop};
use super::lack::{Lack, cannot_tell};
use crate::finding::{Finding, Severity};
use serde::{Deserialize, Serialize};

/// One thing that is broken, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnosis {
    /// At which hop.
    pub hop: Hop,
    /// Why.
    pub cause: Cause,
    /// Where an issuance stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What is to be mended; of a drift, the endpoint.
    pub object: String,
    /// Of a drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Of a finding: `CD-172`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// With the facts of this case.
    pub why: String,
    /// What to do.
    pub mend: String,
}

/// A drift, as far as a diagnosis asks.
#[derive(Clone, Copy, Debug)]
pub struct Drifting<'a> {
    /// Where.
    pub endpoint: &'a str,
    /// Of what.
    pub host: &'a str,
    /// `previous`, `other` …
    pub class: &'static str,
    /// Why.
    pub cause: Cause,
    /// What is missing to tell.
    pub lacks: &'a [Lack],
}

/// All that is broken, by hop.
#[must_use]
pub fn diagnose<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    drifts: impl IntoIterator<Item = Drifting<'a>>,
) -> Vec<Diagnosis> {
    let found = findings.into_iter().filter(|f| f.severity > Severity::Info).filter_map(of_finding);
    let mut all: Vec<Diagnosis> = found.chain(drifts.into_iter().map(of_drift)).collect();
    all.sort();
    all.dedup();
    all
}

fn of_finding(finding: &Finding) -> Option<Diagnosis> {
    let cause = cause_of(&finding.code)?;
    Some(Diagnosis {
        hop: cause.hop(),
        cause,
        state: finding.state.clone(),
        object: finding.object.clone(),
        host: None,
        code: Some(finding.code.clone()),
        why: finding.why.clone(),
        mend: finding.mend.clone(),
    })
}

fn of_drift(drift: Drifting<'_>) -> Diagnosis {
    let Drifting { endpoint, host, class, cause, lacks } = drift;
    let (why, mend) = if lacks.is_empty() {
        (format!("drift ({class})"), cause.by_hand().to_owned())
    } else {
        let mends: Vec<&str> = lacks.iter().map(|lack| lack.mend()).collect();
        (
            format!("drift ({class}); {}", cannot_tell(lacks)),
            format!("{}; to have it told: {}", cause.by_hand(), mends.join("; ")),
        )
    };
    Diagnosis {
        hop: cause.hop(),
        cause,
        state: None,
        object: endpoint.to_owned(),
        host: Some(host.to_owned()),
        code: None,
        why,
        mend,
    }
}

/// Which cause a finding is of; `None`: it tells of something beside the way of a certificate, or (CD-40x) of a drift, whose
/// cause is its own.
#[must_use]
pub fn cause_of(code: &str) -> Option<Cause> {
    let number: u16 = code.strip_prefix("CD-")?.parse().ok()?;
    Some(match number {
        // A file that cannot be read, is torn, or holds what is worse; a pair of which one is.
        101..=109 | 110..=114 | 116..=119 | 122 | 133 | 163 => Cause::InvalidNew,
        115 | 154 | 155 => Cause::Shadowed,
        150..=153 | 156..=162 => Cause::NotBound,
        170 | 171 | 173..=175 => Cause::IssuanceStuck,
        172 | 176 => Cause::NotStored,
        320 => Cause::PodEmpty,
        321 => Cause::PodBehind,
        322 => Cause::PushFailing,
        323 => Cause::Fallback,
        324 => Cause::HeldBack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::CATALOGUE;

    #[test]
    fn every_finding_about_the_way_of_a_certificate_has_a_cause() {
        // Of what cannot be looked at, of the cluster itself, and of what a drift tells on its own.
        let beside =
            ["CD-120", "CD-121", "CD-123", "CD-130", "CD-131", "CD-132", "CD-134", "CD-135", "CD-136"];
        for kind in CATALOGUE.iter().filter(|k| k.code < "CD-180") {
            assert_eq!(cause_of(kind.code).is_none(), beside.contains(&kind.code), "{}", kind.code);
        }
        let later: Vec<&str> = CATALOGUE.iter().map(|k| k.code).filter(|c| *c > "CD-180").collect();
        let with: Vec<&&str> = later.iter().filter(|code| cause_of(code).is_some()).collect();
        assert_eq!(with, [&"CD-320", &"CD-321", &"CD-322", &"CD-323", &"CD-324"]);
        assert_eq!((cause_of("CD"), cause_of("CD-x")), (None, None));
    }

    #[test]
    fn what_is_broken_is_told_in_the_order_of_the_way() {
        let stuck = crate::issuance::findings::STUCK.on("Certificate demo/web", "it waits");
        let refused = crate::loaded::findings::REFUSED.on("KongPlugin demo/limits", "unknown field");
        let info = Finding { severity: Severity::Info, ..crate::source::findings::EXPIRED.on("x", "") };
        let drift = Drifting {
            endpoint: "kong/a",
            host: "demo.example.com",
            class: "previous",
            cause: Cause::Unexplained,
            lacks: &[Lack::Workers],
        };
        let told = diagnose([&refused, &info, &stuck, &stuck], [drift]);
        let hops: Vec<(Hop, Cause)> = told.iter().map(|d| (d.hop, d.cause)).collect();
        assert_eq!(
            hops,
            [
                (Hop::Issued, Cause::IssuanceStuck),
                (Hop::Loaded, Cause::PushFailing),
                (Hop::Served, Cause::Unexplained)
            ]
        );
        assert!(told[2].why.contains("cannot tell, because its workers"), "{}", told[2].why);
    }
}
