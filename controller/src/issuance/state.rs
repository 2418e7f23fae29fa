//! Where an issuance stands: one state, one sentence, one mend.
//!
//! The states are those in which cert-manager's controllers wait (its issuing, trigger and request controllers, 1.21),
//! and those it knows nothing of: signed and not stored, `Ready` on an expired certificate.
use super::facts::{Facts, NextKey, Target};
use crate::cluster::cert_manager::CertificateRequest;
use crate::cluster::object::{Condition, condition, is_true};
use certdrift_contract::{Fingerprint, UnixTime};

/// Where an issuance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Issued, stored, and nothing is due.
    Done,
    /// `renewalTime` has passed and nobody has begun.
    Due,
    /// `spec.renewal.policy` is `Disabled`.
    RenewalDisabled,
    /// A renewal is due, and `spec.renewal.windows` does not let it begin now.
    OutsideWindow,
    /// After a failure: the next attempt is at this time.
    BackingOff {
        /// Issuances that failed in a row.
        attempts: u32,
        /// When the next begins.
        until: UnixTime,
        /// Why the last failed: reason and message of the condition.
        last: String,
    },
    /// The issuer returned a certificate that cannot be used: another key's, or an expired one.
    BadCertificate {
        /// When the next attempt begins.
        until: UnixTime,
        /// cert-manager's words.
        last: String,
    },
    /// Another Certificate owns the Secret.
    SecretOfAnother(String),
    /// It is `Ready`, and what is stored has expired.
    ReadyButExpired(UnixTime),
    /// It is not `Ready`, nothing is being issued; cert-manager's reason and message.
    NotReady(String),
    /// Being issued: `status.nextPrivateKeySecretName` is not set.
    AwaitsNextKey,
    /// Being issued: the Secret of the next key is not there.
    NextKeyMissing(String),
    /// Being issued: the Secret of the next key lacks its label or owner.
    NextKeyForeign(String),
    /// Being issued: there is no CertificateRequest of the next revision.
    AwaitsRequest(u64),
    /// Being issued: there are several of it.
    SeveralRequests(u64, usize),
    /// The request is neither approved nor denied.
    AwaitsApproval(String),
    /// The request was denied; by whom and why.
    Denied(String, String),
    /// The issuer cannot read the request.
    Invalid(String, String),
    /// The issuer failed.
    Failed(String, String),
    /// The issuer is at work, or is not there; its reason and message.
    AwaitsIssuer(String, String),
    /// Signed, and on its way into the Secret.
    Signed(Signed),
    /// The Secret holds another certificate than the one that was stored last.
    Overwritten(Signed),
}

/// A certificate that was signed and is not what the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The request's name.
    pub request: String,
    /// Its revision.
    pub revision: u64,
    /// What was signed.
    pub leaf: Fingerprint,
    /// What the Secret holds, where that is known.
    pub stored: Option<Fingerprint>,
}

/// cert-manager's defaults: the wait after a failure doubles from one to the other.
const FIRST_BACKOFF: i64 = 3_600;
const LONGEST_BACKOFF: i64 = 32 * 3_600;

/// Where the issuance stands at `now`.
#[must_use]
pub fn state(facts: &Facts<'_>, now: UnixTime) -> State {
    let status = &facts.certificate.status;
    if let Some(signed) = signed(facts) {
        return signed;
    }
    if facts.certificate.issuing().is_some() {
        return issuing(facts);
    }
    if let Some(other) = owner(facts) {
        return State::SecretOfAnother(other);
    }
    if let Some(back_off) = backing_off(facts, now) {
        return back_off;
    }
    if let Some(ends) = status.not_after.filter(|ends| now >= *ends)
        && is_true(&status.conditions, "Ready")
    {
        return State::ReadyButExpired(ends);
    }
    let due = status.renewal_time.is_some_and(|due| now >= due);
    if due {
        let renewal = facts.certificate.spec.renewal.as_ref();
        if renewal.is_some_and(|r| r.policy.as_deref() == Some("Disabled")) {
            return State::RenewalDisabled;
        }
        if renewal.is_some_and(|r| !r.windows.is_empty()) {
            return State::OutsideWindow;
        }
        return State::Due;
    }
    match condition(&status.conditions, "Ready") {
        Some(ready) if &*ready.status != "True" => State::NotReady(told(ready)),
        None => State::NotReady("cert-manager has said nothing of it".to_owned()),
        Some(_) => State::Done,
    }
}

/// A newest request that is signed and is not what is stored.
fn signed(facts: &Facts<'_>) -> Option<State> {
    let newest = facts.newest().filter(|r| r.is_issued() && !denied_or_invalid(r))?;
    let revision = newest.revision()?;
    let leaf = newest.status.certificate.0.as_ref()?.certificate.as_ref()?.leaf;
    let reached = facts.certificate.status.revision.is_some_and(|stored| stored >= revision);
    let name = newest.metadata.object().to_string();
    let of = |stored| Signed { request: name.clone(), revision, leaf, stored };
    match &facts.target {
        Target::Unknown if reached => None,
        Target::Unknown | Target::Absent => (!reached).then(|| State::Signed(of(None))),
        Target::There { leaf: Some(stored), .. } if *stored == leaf => None,
        Target::There { leaf: stored, .. } if reached => Some(State::Overwritten(of(*stored))),
        Target::There { leaf: stored, .. } => Some(State::Signed(of(*stored))),
    }
}

fn issuing(facts: &Facts<'_>) -> State {
    let Some(key) =
        facts.certificate.status.next_private_key_secret_name.as_deref().filter(|k| !k.is_empty())
    else {
        return State::AwaitsNextKey;
    };
    match facts.next_key {
        NextKey::Absent => return State::NextKeyMissing(key.to_owned()),
        NextKey::Foreign => return State::NextKeyForeign(key.to_owned()),
        NextKey::Unknown | NextKey::There => {}
    }
    let next = facts.next_requests();
    match next.as_slice() {
        [] => State::AwaitsRequest(facts.next_revision()),
        [request] => self::request(request),
        several => State::SeveralRequests(facts.next_revision(), several.len()),
    }
}

/// A request that is not signed. A denial comes before all else, as cert-manager has it.
fn request(request: &CertificateRequest) -> State {
    let (name, conditions) = (request.metadata.object().to_string(), &request.status.conditions);
    if let Some(denied) = condition(conditions, "Denied").filter(|c| &*c.status == "True") {
        return State::Denied(name, told(denied));
    }
    if let Some(invalid) = condition(conditions, "InvalidRequest").filter(|c| &*c.status == "True") {
        return State::Invalid(name, told(invalid));
    }
    match condition(conditions, "Ready") {
        Some(ready) if &*ready.reason == "Failed" => State::Failed(name, told(ready)),
        _ if !is_true(conditions, "Approved") => State::AwaitsApproval(name),
        Some(ready) => State::AwaitsIssuer(name, told(ready)),
        None => State::AwaitsIssuer(name, "the issuer has said nothing yet".to_owned()),
    }
}

fn denied_or_invalid(request: &CertificateRequest) -> bool {
    let conditions = &request.status.conditions;
    is_true(conditions, "Denied") || is_true(conditions, "InvalidRequest")
}

/// The other Certificate that owns the Secret.
fn owner(facts: &Facts<'_>) -> Option<String> {
    let named = match &facts.target {
        Target::There { owner: Some(owner), .. } if **owner != *facts.certificate.metadata.name => {
            Some(format!("{}/{owner}", facts.certificate.metadata.namespace))
        }
        _ => None,
    };
    let ready = condition(&facts.certificate.status.conditions, "Ready");
    let incorrect = ready.is_some_and(|c| &*c.reason == "IncorrectCertificate");
    let rival = || facts.rivals.first().map(ToString::to_string);
    match named {
        // The Secret of a Certificate that is gone is taken over: only a living one is in the way.
        Some(named) if incorrect || facts.rivals.iter().any(|r| r.to_string() == named) => Some(named),
        _ if incorrect => Some(rival().unwrap_or_else(|| "another Certificate".to_owned())),
        _ => None,
    }
}

fn backing_off(facts: &Facts<'_>, now: UnixTime) -> Option<State> {
    let status = &facts.certificate.status;
    let failed = status.last_failure_time?;
    let attempts = status.failed_issuance_attempts.unwrap_or(1).max(1);
    let doubled = FIRST_BACKOFF.saturating_mul(1i64 << (attempts - 1).min(5));
    let until = failed.plus(doubled.min(LONGEST_BACKOFF));
    if now >= until {
        return None;
    }
    let issuing = condition(&status.conditions, "Issuing");
    let last = issuing.map(told).unwrap_or_default();
    Some(match issuing {
        Some(c) if &*c.reason == "InvalidCertificate" => State::BadCertificate { until, last },
        _ => State::BackingOff { attempts, until, last },
    })
}

/// Reason and message of a condition, in one line.
fn told(condition: &Condition) -> String {
    let message: String = condition.message.chars().take(300).collect();
    match (&*condition.reason, message.as_str()) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

impl State {
    /// Its name, for status and metrics: a closed list.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Due => "due",
            Self::RenewalDisabled => "renewal-disabled",
            Self::OutsideWindow => "outside-window",
            Self::BackingOff { .. } => "backing-off",
            Self::BadCertificate { .. } => "bad-certificate",
            Self::SecretOfAnother(_) => "secret-of-another",
            Self::ReadyButExpired(_) => "ready-but-expired",
            Self::NotReady(_) => "not-ready",
            Self::AwaitsNextKey => "awaits-next-key",
            Self::NextKeyMissing(_) => "next-key-missing",
            Self::NextKeyForeign(_) => "next-key-foreign",
            Self::AwaitsRequest(_) => "awaits-request",
            Self::SeveralRequests(..) => "several-requests",
            Self::AwaitsApproval(_) => "awaits-approval",
            Self::Denied(..) => "denied",
            Self::Invalid(..) => "invalid-request",
            Self::Failed(..) => "failed",
            Self::AwaitsIssuer(..) => "awaits-issuer",
            Self::Signed(_) => "signed",
            Self::Overwritten(_) => "overwritten",
        }
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Done => "it is issued and stored, and nothing is due".to_owned(),
            Self::Due => "its renewalTime has passed and cert-manager has not begun: its controller is not running, or cannot see or update the Certificate".to_owned(),
            Self::RenewalDisabled => "its renewalTime has passed and spec.renewal.policy is Disabled".to_owned(),
            Self::OutsideWindow => "its renewalTime has passed and none of spec.renewal.windows is open".to_owned(),
            Self::BackingOff { attempts, until, last } => format!("{attempts} issuances failed in a row, the next begins at {until}; the last: {last}"),
            Self::BadCertificate { until, last } => format!("the issuer returned a certificate that cannot be used, the next attempt begins at {until}: {last}"),
            Self::SecretOfAnother(other) => format!("its Secret belongs to Certificate {other}, so cert-manager issues nothing for it"),
            Self::ReadyButExpired(ends) => format!("it says Ready, and what is stored expired at {ends}"),
            Self::NotReady(why) => format!("it is not Ready and nothing is being issued: {why}"),
            Self::AwaitsNextKey => "it waits for the next private key".to_owned(),
            Self::NextKeyMissing(key) => format!("the Secret of the next private key, {key}, is not there"),
            Self::NextKeyForeign(key) => format!("the Secret of the next private key, {key}, lacks the label cert-manager.io/next-private-key or its owner"),
            Self::AwaitsRequest(revision) => format!("the private key is there, and no CertificateRequest of revision {revision}"),
            Self::SeveralRequests(revision, n) => format!("there are {n} CertificateRequests of revision {revision}, and cert-manager waits until one is left"),
            Self::AwaitsApproval(request) => format!("CertificateRequest {request} is neither approved nor denied"),
            Self::Denied(request, why) => format!("CertificateRequest {request} was denied: {why}"),
            Self::Invalid(request, why) => format!("the issuer finds CertificateRequest {request} invalid: {why}"),
            Self::Failed(request, why) => format!("CertificateRequest {request} has failed: {why}"),
            Self::AwaitsIssuer(request, why) => format!("CertificateRequest {request} is approved and not signed: {why}"),
            Self::Signed(s) => format!("CertificateRequest {} (revision {}) is signed as {}, and {}", s.request, s.revision, s.leaf.short(), s.holds()),
            Self::Overwritten(s) => format!("revision {} was stored as {}, and {}", s.revision, s.leaf.short(), s.holds()),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn mend(&self) -> &'static str {
        match self {
            Self::Done => "nothing",
            Self::Due => {
                "look at cert-manager's controller: kubectl -n cert-manager get deploy,pods; kubectl -n cert-manager logs deploy/cert-manager"
            }
            Self::RenewalDisabled => {
                "set spec.renewal.policy to RenewBefore, or renew it by hand: cmctl renew NAME"
            }
            Self::OutsideWindow => {
                "wait for the window, widen spec.renewal.windows, or renew it by hand: cmctl renew NAME"
            }
            Self::BackingOff { .. } => {
                "mend what made it fail, then do not wait: cmctl renew NAME (or change the Certificate's spec)"
            }
            Self::BadCertificate { .. } => {
                "look at the issuer: it signs with an expired CA, or mixes requests up; mend it, then: cmctl renew NAME"
            }
            Self::SecretOfAnother(_) => "give each Certificate its own spec.secretName",
            Self::ReadyButExpired(_) => {
                "renew it: cmctl renew NAME; then look why the renewal did not begin at renewalTime (policy, windows, controller)"
            }
            Self::NotReady(_) => "read its conditions and Events: kubectl describe certificate NAME",
            Self::AwaitsNextKey => {
                "look at cert-manager's log for `certificates-key-manager`: it may lack create on Secrets"
            }
            Self::NextKeyMissing(_) => {
                "nothing if it was just deleted: cert-manager makes another; else look who deletes it"
            }
            Self::NextKeyForeign(_) => "delete that Secret; cert-manager makes another with label and owner",
            Self::AwaitsRequest(_) => {
                "look at cert-manager's log for `certificates-request-manager`: it may lack create on CertificateRequests, or a webhook refuses them"
            }
            Self::SeveralRequests(..) => "delete all but the newest: kubectl get certificaterequests",
            Self::AwaitsApproval(_) => {
                "look who approves: cert-manager's own approver needs the verb approve on signers; approver-policy needs a policy that fits"
            }
            Self::Denied(..) => {
                "ask who denied it (the condition says who and why), change the Certificate or the policy, then: cmctl renew NAME"
            }
            Self::Invalid(..) => "correct the Certificate's spec; the issuer cannot read what it asks for",
            Self::Failed(..) => {
                "read the issuer's words; with ACME look at the Order and its Challenges: kubectl describe order,challenge"
            }
            Self::AwaitsIssuer(..) => {
                "look at the issuer: kubectl describe issuer,clusterissuer; with ACME at the Order and its Challenges: kubectl describe order,challenge"
            }
            Self::Signed(_) => "nothing while it is a moment; see CD-172 when it lasts",
            Self::Overwritten(_) => {
                "find who else writes the Secret (kubectl get secret -o yaml --show-managed-fields), and let only cert-manager do it"
            }
        }
    }
}

impl Signed {
    fn holds(&self) -> String {
        match self.stored {
            Some(leaf) => format!("the Secret holds {}", leaf.short()),
            None => "it is not stored".to_owned(),
        }
    }
}
