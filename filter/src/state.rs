//! The state of a worker as health tells it: the worst verdict, and the report.
use crate::clock::seconds;
use crate::health::Hosts;
use crate::poll::Poller;
use crate::seen::{Frame, Seen, Sight};
use certdrift_contract::index::Index;
use certdrift_contract::report::HostReport;
use certdrift_contract::verdict::{Expecting, Windows};
use certdrift_contract::{UnixTime, Verdict};

/// What a worker as a whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The configuration cannot be used.
    Misconfigured,
    /// There was no ledger yet.
    NoLedger,
    /// A host drifts.
    Drift,
    /// No host drifts, but the ledger was not confirmed for too long.
    StaleLedger,
    /// The worst of the hosts' verdicts, none of them drift.
    Hosts(Verdict),
}

impl Condition {
    /// As health and report show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Misconfigured => "misconfigured",
            Self::NoLedger => "no-ledger",
            Self::Drift => "drift",
            Self::StaleLedger => "stale-ledger",
            Self::Hosts(verdict) => verdict.as_str(),
        }
    }

    /// What `healthz` answers: 503 where a person should look.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Hosts(_) => 200,
            _ => 503,
        }
    }
}

/// The worst of all.
#[must_use]
pub fn condition(misconfigured: bool, poller: &Poller, windows: &Windows, now: Option<u64>) -> Condition {
    if misconfigured {
        return Condition::Misconfigured;
    }
    let Some(ledger) = &poller.ledger else { return Condition::NoLedger };
    let frame = Frame { now: seconds(now.unwrap_or(0)), windows, epoch: poller.epoch };
    let verdicts =
        ledger.each().filter_map(|(_, expecting, seen)| standing(ledger, &expecting, seen, &frame));
    match verdicts.map(|(_, verdict)| verdict).max() {
        Some(Verdict::Drift(_)) => Condition::Drift,
        _ if poller.stale(now) => Condition::StaleLedger,
        other => Condition::Hosts(other.unwrap_or(Verdict::Unobserved)),
    }
}

/// The report's observations.
#[must_use]
pub fn observations(poller: &mut Poller, hosts: &Hosts, windows: &Windows, now: UnixTime) -> Vec<HostReport> {
    let frame = Frame { now, windows, epoch: poller.epoch };
    let Some(ledger) = &mut poller.ledger else { return Vec::new() };
    let (mut out, mut wanted) = (Vec::new(), None);
    if let Hosts::Named(names) = hosts {
        let mut listed: Vec<String> = Vec::new();
        for name in names {
            let name = ledger.find(name.as_bytes()).map_or(name.as_str(), |found| found.listed);
            if !listed.iter().any(|already| already == name) {
                listed.push(name.to_owned());
            }
        }
        wanted = Some(listed);
    }
    for (host, expecting, seen) in ledger.iter() {
        if let Some(wanted) = &mut wanted {
            let Some(position) = wanted.iter().position(|name| name == host) else { continue };
            wanted.swap_remove(position);
        }
        let standing = standing(ledger, &expecting, seen, &frame);
        if *hosts == Hosts::Trouble && standing.is_none_or(|(_, verdict)| verdict == Verdict::Match) {
            continue;
        }
        out.push(host_report(host, Some(&expecting), standing));
    }
    for stranger in wanted.into_iter().flatten() {
        out.push(host_report(&stranger, None, None));
    }
    out
}

fn standing<'a>(
    ledger: &Index<Seen>,
    expecting: &Expecting<'_>,
    seen: &'a Seen,
    frame: &Frame<'_>,
) -> Option<(&'a Sight, Verdict)> {
    seen.standing(expecting, &|fingerprint| ledger.known(fingerprint), frame)
}

fn host_report(
    host: &str,
    expecting: Option<&Expecting<'_>>,
    standing: Option<(&Sight, Verdict)>,
) -> HostReport {
    let nothing = if expecting.is_some() { Verdict::Unobserved } else { Verdict::Unlisted };
    let (sight, verdict) = standing.unzip();
    let verdict = verdict.unwrap_or(nothing);
    let time = |of: fn(&Sight) -> UnixTime| sight.map_or(0, |sight| of(sight).seconds());
    HostReport {
        host: host.to_owned(),
        verdict: verdict.as_str().to_owned(),
        class: match verdict {
            Verdict::Drift(class) => Some(class.as_str().to_owned()),
            _ => None,
        },
        served: sight.map(|sight| sight.fingerprint.to_string()),
        expected: expecting
            .map(|e| e.current.iter().map(|c| c.sha256.to_string()).collect())
            .unwrap_or_default(),
        evidence: sight.map_or("", |sight| sight.evidence.as_str()).to_owned(),
        first_seen: time(|s| s.first_seen),
        last_seen: time(|s| s.last_seen),
        began: time(|s| s.began),
    }
}
