//! Whether a state is one: each step has a time it may take, and only what lasts longer is told. Time is passed in.
use super::facts::Facts;
use super::findings as kinds;
use super::not_stored::{self, Suspects};
use super::state::{State, state};
use crate::finding::{Finding, Kind};
use certdrift_contract::UnixTime;

/// Seconds a step of cert-manager's own may take: it takes less than one.
const STEP: i64 = 60;

/// Seconds an issuer or an approver may take: ACME waits for DNS.
const ISSUER: i64 = 300;

/// Seconds from `renewalTime` to the begin of a renewal.
const BEGIN: i64 = 60;

/// What is to be thought of a Certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Where it stands.
    pub state: State,
    /// What is wrong, once it has lasted.
    pub finding: Option<Finding>,
    /// When time alone changes the judgement.
    pub changes_at: Option<UnixTime>,
}

/// What was thought of it before: which state, since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// Name of the state, and of the request where one is meant.
    pub state: String,
    /// When it was first seen so.
    pub since: UnixTime,
}

/// Judges a Certificate. `before` is kept between calls by the caller, one a Certificate.
pub fn judge(facts: &Facts<'_>, before: &mut Option<Before>, suspects: &Suspects, now: UnixTime) -> Judged {
    let state = state(facts, now);
    let key = match &state {
        State::Signed(signed) | State::Overwritten(signed) => {
            format!("{} {} {}", state.name(), signed.request, signed.leaf)
        }
        other => other.name().to_owned(),
    };
    let since = match before {
        // A clock that was set back begins anew.
        Some(b) if b.state == key && b.since <= now => b.since,
        _ => now,
    };
    *before = Some(Before { state: key, since });
    // For a step that cert-manager says the begin of, that counts: a restart of ours begins nothing anew.
    let begun = facts
        .certificate
        .issuing()
        .and_then(|c| c.last_transition_time)
        .filter(|begun| *begun <= now)
        .map_or(since, |begun| begun.min(since));
    let status = &facts.certificate.status;
    let due = status.renewal_time.unwrap_or(since);
    let (kind, from, patience): (&Kind, UnixTime, i64) = match &state {
        State::Done => return Judged { state, finding: None, changes_at: status.renewal_time },
        State::Due => (&kinds::OVERDUE, due, BEGIN),
        State::RenewalDisabled | State::OutsideWindow => (&kinds::OVERDUE, due, BEGIN),
        State::BackingOff { .. }
        | State::BadCertificate { .. }
        | State::Denied(..)
        | State::Invalid(..)
        | State::Failed(..) => (&kinds::FAILED, since, 0),
        State::SecretOfAnother(_) => (&kinds::NOT_OWNER, since, 0),
        State::ReadyButExpired(_) => (&kinds::READY_BUT_EXPIRED, since, 0),
        State::NotReady(_) => (&kinds::STUCK, since, STEP),
        State::AwaitsNextKey
        | State::NextKeyMissing(_)
        | State::NextKeyForeign(_)
        | State::AwaitsRequest(_)
        | State::SeveralRequests(..) => (&kinds::STUCK, begun, STEP),
        State::AwaitsApproval(_) | State::AwaitsIssuer(..) => (&kinds::STUCK, begun, ISSUER),
        State::Signed(_) => (&kinds::NOT_STORED, since, not_stored::PATIENCE),
        State::Overwritten(_) => (&kinds::OVERWRITTEN, since, not_stored::PATIENCE),
    };
    let told_at = from.plus(patience);
    let finding = (now >= told_at).then(|| {
        let object = format!("Certificate {}", facts.certificate.metadata.object());
        let mut finding =
            Finding { state: Some(state.name().to_owned()), ..kind.on(object, state.sentence()) };
        if matches!(state, State::Signed(_)) {
            not_stored::explain(&mut finding, facts, suspects);
        } else {
            finding.mend = state.mend().replace("NAME", &facts.certificate.metadata.name);
        }
        if since < now && !matches!(state, State::Signed(_)) {
            finding.why = format!("{} (since {since} at the latest)", finding.why);
        }
        finding
    });
    let next = match &state {
        State::BackingOff { until, .. } | State::BadCertificate { until, .. } => Some(*until),
        _ => None,
    };
    let changes_at = if finding.is_none() { Some(told_at) } else { next };
    Judged { state, finding, changes_at }
}
