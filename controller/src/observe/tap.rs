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
            began: ours(row.began, report, now).into(),
            evidence: Evidence::Tap,
            outcome: Outcome::Served {
                leaf: row.sha256,
                chain: None,
                placeholder: row.placeholder,
                first_seen: ours(row.first_seen, report, now),
                not_after: None,
                possession: None,
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

/// What the workers that live count of their connections: full handshakes, resumed, plain, unknown.
#[must_use]
pub fn connections(report: &TapReport) -> [u64; 4] {
    report.workers.iter().fold([0; 4], |all, worker| {
        let more = [worker.full, worker.resumed, worker.plain, worker.unknown];
        std::array::from_fn(|kind| {
            let (sum, more) = (all.get(kind).copied(), more.get(kind).copied());
            sum.unwrap_or_default().saturating_add(more.unwrap_or_default())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::expectations::families;
    use certdrift_contract::ledger::{Content, Entry, Expected, Retiring};
    use certdrift_contract::tap::TapWorker;
    use certdrift_contract::{Fingerprint, Ledger, Revision, Rules};

    const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

    fn print(n: u8) -> Fingerprint {
        Fingerprint::from_digest([n; 32])
    }

    /// `*.example.com` expects 1 (ECDSA) and 2 (RSA), and was 9.
    fn expectations() -> Expectations {
        let expected = |n| Expected { sha256: print(n), chain: Vec::new(), not_after: NOW.plus(1) };
        let entry = Entry {
            source: "file:a".to_owned(),
            hosts: vec!["*.example.com".parse().unwrap()],
            since: NOW,
            current: vec![expected(1), expected(2)],
            incoming: Vec::new(),
            retiring: vec![Retiring { sha256: print(9), until: NOW }],
        };
        let ledger = Ledger {
            gateway: "g".to_owned(),
            rules: Rules::Kong,
            revision: Revision(1),
            published_at: NOW,
            content: Content::of([entry]),
            default: None,
        };
        let families = families([(print(1), KeyFamily::Ecdsa), (print(2), KeyFamily::Rsa)]);
        Expectations::new(ledger.into(), families, None).unwrap()
    }

    fn row(pid: u32, asked: Asked, host: Option<&str>, leaf: u8, began: i64) -> TapObservation {
        TapObservation {
            pid,
            asked,
            host: host.map(str::to_owned),
            sha256: print(leaf),
            placeholder: false,
            first_seen: NOW.seconds() - 1_000,
            last_seen: NOW.seconds(),
            began: NOW.seconds() + began,
            count: 1,
        }
    }

    fn report(now: i64, observations: Vec<TapObservation>) -> TapReport {
        let worker =
            |pid| TapWorker { pid, started: NOW.seconds(), full: 1, resumed: 0, plain: 0, unknown: 0 };
        TapReport {
            schema: TAP_SCHEMA.to_owned(),
            now: NOW.seconds() + now,
            pid: 10,
            worker_processes: 3,
            workers: vec![worker(10), worker(11)],
            observations,
            dropped: 0,
            displaced: 0,
        }
    }

    fn leaves(rows: Vec<TapObservation>) -> Vec<(String, u8)> {
        let leaf = |o: &Observation| match &o.outcome {
            Outcome::Served { leaf, .. } => leaf.as_bytes()[0],
            other => panic!("{other:?}"),
        };
        observations(&report(0, rows), "e", &expectations(), NOW)
            .iter()
            .map(|o| (o.host.clone(), leaf(o)))
            .collect()
    }

    #[test]
    fn of_each_worker_and_name_the_newest_of_each_family_speaks() {
        let a = Some("a.example.com");
        let rows = vec![
            row(10, Asked::Name, a, 9, -50),
            row(10, Asked::Name, a, 1, -10),
            row(10, Asked::Name, a, 2, -30),
        ];
        let both: Vec<u8> = leaves(rows).into_iter().map(|l| l.1).collect();
        assert_eq!(both, [2, 1], "a pair's members do not supersede each other; the predecessor is over");
        let rows = vec![row(10, Asked::Name, a, 9, -5), row(10, Asked::Name, a, 1, -10)];
        assert!(
            leaves(rows).iter().any(|l| l.1 == 9),
            "a predecessor served after the new one is still served"
        );
        let rows = vec![row(10, Asked::Name, a, 1, -10), row(11, Asked::Name, a, 9, -50)];
        assert!(leaves(rows).iter().any(|l| l.1 == 9), "another worker's row is no successor");
    }

    #[test]
    fn rows_are_told_of_hosts_the_ledger_lists_only() {
        let rows = vec![
            row(10, Asked::Name, Some("a.example.com"), 1, 0),
            row(10, Asked::Wildcard, Some("*.example.com"), 1, 0),
            row(10, Asked::Wildcard, Some("*.example.net"), 3, 0),
            row(10, Asked::Name, Some("stranger.example.net"), 3, 0),
            row(10, Asked::None, None, 3, 0),
            row(10, Asked::Uncovered, None, 3, 0),
        ];
        let hosts: Vec<String> = leaves(rows).into_iter().map(|l| l.0).collect();
        assert_eq!(hosts, ["*.example.com", "*.example.com"]);
    }

    #[test]
    fn a_pods_clock_is_turned_into_ours() {
        let rows = || vec![row(10, Asked::Name, Some("a.example.com"), 1, 3_590)];
        let began =
            |ahead| observations(&report(ahead, rows()), "e", &expectations(), NOW)[0].began.seconds();
        assert_eq!(began(3_600), NOW.plus(-10));
        assert_eq!(began(1), NOW.plus(3_590), "a second is the way's, not the clock's");
    }

    #[test]
    fn a_worker_that_served_nothing_yet_is_counted_though_it_has_no_row() {
        assert_eq!(workers(&report(0, Vec::new())), (["10".to_owned(), "11".to_owned()].into(), 3));
        assert!(read(b"{}").is_err() && read(b"<html>").is_err());
    }
}
