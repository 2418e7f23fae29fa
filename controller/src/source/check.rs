//! Whether a reading may become an expectation now: the faults that depend on time and on configured hosts. Pure.
use super::Certificate;
use super::findings as kinds;
use super::names::covers;
use super::reading::{Fault, Reading};
use certdrift_contract::{HostPattern, UnixTime};
use std::sync::Arc;

/// What is to be thought of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The certificate, when nothing refuses it.
    pub good: Option<Arc<Certificate>>,
    /// All faults, notes among them.
    pub faults: Vec<Fault>,
    /// When the assessment changes by the passing of time alone.
    pub changes_at: Option<UnixTime>,
}

/// Judges a reading at `now`; `hosts` are those the configuration lists for its source.
#[must_use]
pub fn assess(reading: &Reading, hosts: Option<&[HostPattern]>, now: UnixTime) -> Assessment {
    let mut faults = reading.faults.clone();
    let mut changes_at = None;
    if let Some(certificate) = &reading.certificate {
        if now < certificate.not_before {
            faults.push(Fault::refuse(
                &kinds::NOT_YET_VALID,
                format!("it begins at {}", certificate.not_before),
            ));
            changes_at = Some(certificate.not_before);
        } else if now >= certificate.not_after {
            faults.push(Fault::refuse(&kinds::EXPIRED, format!("it ended at {}", certificate.not_after)));
        } else {
            changes_at = Some(certificate.not_after);
        }
        for listed in hosts.unwrap_or_default() {
            if !covers(&certificate.names, listed) {
                faults.push(Fault::refuse(&kinds::NOT_COVERED, format!("{listed} is not among its names")));
            }
        }
    }
    let refused = faults.iter().any(|fault| fault.refuses);
    Assessment { good: reading.certificate.clone().filter(|_| !refused), faults, changes_at }
}
