//! The filter's word: what one worker served. Pure.
use super::expectations::Expectations;
use super::{Observation, Outcome};
use crate::converge::Millis;
use certdrift_contract::names::REPORT_SCHEMA;
use certdrift_contract::report::{HostReport, Report};
use certdrift_contract::{Evidence, Fingerprint, UnixTime};

/// Reads the filter's report.
///
/// # Errors
/// In words: no JSON, another schema.
pub fn read(body: &[u8]) -> Result<Report, String> {
    let report: Report =
        serde_json::from_slice(body).map_err(|e| format!("not a report of the filter: {e}"))?;
    if report.schema != REPORT_SCHEMA {
        return Err(format!("its schema is {}, known is {REPORT_SCHEMA}", report.schema));
    }
    Ok(report)
}

/// What the worker that answered served for hosts the ledger lists. A worker that saw no client yet says nothing.
#[must_use]
pub fn observations(
    report: &Report,
    endpoint: &str,
    expectations: &Expectations,
    now: UnixTime,
) -> Vec<Observation> {
    let mut index = expectations.index();
    let mut is_listed =
        |host: &str| super::expectations::find(&mut index, host).is_some_and(|f| f.listed == host);
    report
        .observations
        .iter()
        .filter(|row| is_listed(&row.host))
        .filter_map(|row| observation(row, report, endpoint, now))
        .collect()
}

fn observation(row: &HostReport, report: &Report, endpoint: &str, now: UnixTime) -> Option<Observation> {
    let leaf: Fingerprint = row.served.as_deref()?.parse().ok()?;
    let evidence = match row.evidence.as_str() {
        "filter" => Evidence::Filter,
        "tap" => Evidence::Tap,
        // What is not known to be proof is none.
        _ => Evidence::Declared,
    };
    Some(Observation {
        endpoint: endpoint.to_owned(),
        host: row.host.clone(),
        family: None,
        worker: Some(report.worker.id.clone()),
        at: UnixTime::from_seconds(row.last_seen).min(now),
        began: Millis::from_seconds(row.began),
        evidence,
        outcome: Outcome::Served {
            leaf,
            chain: None,
            placeholder: row.class.as_deref() == Some("default"),
            first_seen: UnixTime::from_seconds(row.first_seen),
            not_after: None,
            possession: None,
        },
    })
}
