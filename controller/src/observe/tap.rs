//! The tap's word: what all workers of one pod served. Pure.
use super::expectations::Expectations;
use super::{Observation, Outcome};
use crate::source::KeyFamily;
use certdrift_contract::index::DEFAULT;
use certdrift_contract::names::TAP_SCHEMA;
use certdrift_contract::tap::{Asked, TapObservation, TapReport};
use certdrift_contract::{Evidence, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

/// Reads the tap's answer.
///
/// # Errors
/// In words: no JSON, another schema.
pub fn read(body: &[u8]) -> Result<TapReport, String> {
    let report: TapReport =
        serde_json::from_slice(body).map_err(|e| format!("not a report of the tap: {e}"))?;
    if report.schema != TAP_SCHEMA {
        return Err(format!("its schema is {}, known is {TAP_SCHEMA}", report.schema));
    }
    Ok(report)
}

/// Process ids of the workers that live, and how many there should be.
#[must_use]
pub fn workers(report: &TapReport) -> (BTreeSet<String>, u32) {
    let live: BTreeSet<String> = report.workers.iter().map(|w| w.pid.to_string()).collect();
    let known = u32::try_from(live.len()).unwrap_or(u32::MAX);
    (live, report.worker_processes.max(known))
}

/// When the oldest worker started: the last time all configuration and every file was read.
#[must_use]
pub fn started(report: &TapReport, now: UnixTime) -> Option<UnixTime> {
    report.workers.iter().map(|w| ours(w.started, report, now)).min()
}

/// What the workers served for hosts the ledger lists: of each worker, name and key family the newest.
#[must_use]
pub fn observations(
    report: &TapReport,
    endpoint: &str,
    expectations: &Expectations,
    now: UnixTime,
) -> Vec<Observation> {
    let mut newest: BTreeMap<(u32, Option<&str>, Option<KeyFamily>), &TapObservation> = BTreeMap::new();
    for row in report.observations.iter().filter(|r| r.asked != Asked::Uncovered) {
        // A renewal's predecessor has its family too, or none that we know: then the newest of all speaks.
        let key = (row.pid, row.host.as_deref(), expectations.family(&row.sha256));
        let kept = newest.entry(key).or_insert(row);
        if row.began > kept.began {
            *kept = row;
        }
    }
    let mut latest: BTreeMap<(u32, Option<&str>), i64> = BTreeMap::new();
    for ((pid, host, _), row) in &newest {
        let began = latest.entry((*pid, *host)).or_insert(row.began);
        *began = row.began.max(*began);
    }
    let superseded = |pid: &u32, host: &Option<&str>, family: &Option<KeyFamily>, row: &TapObservation| {
        family.is_none() && latest.get(&(*pid, *host)).is_some_and(|l| row.began < *l)
    };
    let mut out = Vec::new();
    for ((pid, host, family), row) in &newest {
        if superseded(pid, host, family, row) {
            continue;
        }
        let Some(listed) = listed(row, expectations) else { continue };
        out.push(Observation {
            endpoint: endpoint.to_owned(),
            host: listed,
            family: *family,
            worker: Some(pid.to_string()),
            at: ours(row.last_seen, report, now),
            began: ours(row.began, report, now),
            evidence: Evidence::Tap,
            outcome: Outcome::Served {
                leaf: row.sha256,
                chain: None,
                placeholder: row.placeholder,
                first_seen: ours(row.first_seen, report, now),
                not_after: None,
            },
        });
    }
    out
}

fn listed(row: &TapObservation, expectations: &Expectations) -> Option<String> {
    let mut index = expectations.index();
    match (row.asked, &row.host) {
        (Asked::Name, Some(host)) => index.find(host.as_bytes()).map(|f| f.listed.to_owned()),
        // All names under it together: it speaks for the ledger's entry of that very wildcard only.
        (Asked::Wildcard, Some(host)) => {
            super::expectations::find(&mut index, host).map(|f| f.listed.to_owned()).filter(|l| l == host)
        }
        (Asked::None, _) => index.default_entry().map(|_| DEFAULT.to_owned()),
        _ => None,
    }
}

/// A time of the pod's clock in ours. Below two seconds the difference is the way's, not the clocks'.
fn ours(theirs: i64, report: &TapReport, now: UnixTime) -> UnixTime {
    let ahead = report.now.saturating_sub(now.seconds());
    let shift = if ahead.abs() < 2 { 0 } else { ahead };
    UnixTime::from_seconds(theirs.saturating_sub(shift))
}
