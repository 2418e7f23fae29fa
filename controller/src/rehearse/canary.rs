//! When a canary's certificate is asked for, and whether what was asked for came the whole way. Pure.
//!
//! All that the schedule needs stands on the Certificate and its newest request, so that a restart or another leader changes
//! nothing about when the next is due: `every` after the last was asked for, by whomever. Every replica follows each way that
//! it sees begin, also one that cert-manager or somebody with `certdrift drill` has begun; only who leads asks.
use super::way::{Hop, Seen, Way};
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::cluster::object::condition;
use crate::config;
use crate::converge::Millis;
use certdrift_contract::UnixTime;

/// How often, and how long a way may take; in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// From one request to the next.
    pub every: i64,
    /// For the whole way.
    pub within: i64,
}

/// What is refused is not asked for again for so long.
const AGAIN: i64 = 60_000;

impl From<&config::canary::Canary> for Terms {
    fn from(canary: &config::canary::Canary) -> Self {
        let millis =
            |period: crate::converge::period::Period| i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
        Self { every: millis(canary.every), within: millis(canary.within) }
    }
}

/// The Certificate and its requests, as they are known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The Certificate; none where there is none.
    pub certificate: Option<&'a Certificate>,
    /// Those that belong to it.
    pub requests: &'a [CertificateRequest],
}

/// A way that was proven on every endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// When it was proven; where that was before this process began: when it was signed, at the latest.
    pub at: Millis,
    /// From the request to the proof, where this process saw all of it; in milliseconds.
    pub took: Option<i64>,
}

/// A way that was not proven in time, or never will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The first hop that is not done.
    pub hop: Hop,
    /// When it was asked for.
    pub asked: Millis,
    /// Why its request will never be signed, if that is it.
    pub why: Option<String>,
}

/// What has come of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is proven on every endpoint.
    Worked(Success),
    /// It was given up.
    Failed(Failure),
}

/// Why none is asked for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Another replica leads.
    Following,
    /// The Certificate is not there.
    NoCertificate,
    /// No ledger entry lists its host from its Secret: nothing could be proven.
    NotBound,
    /// One is on its way.
    UnderWay,
    /// It was refused: why, and what to do.
    Refused(String, String),
    /// It is not time yet: when it is.
    NotDue(Millis),
}

/// A way under way.
#[derive(Clone, Debug)]
struct Following {
    way: Way,
    /// From when on its time counts.
    since: Millis,
    /// Whether this process saw it begin.
    from_its_start: bool,
    given_up: bool,
}

/// What is remembered of a canary.
#[derive(Clone, Debug, Default)]
pub struct Canary {
    uid: Box<str>,
    /// The revision that was proven last.
    proven: Option<u64>,
    following: Option<Following>,
    /// Cert-manager is being asked.
    asking: bool,
    /// When this process asked last.
    asked: Option<Millis>,
    refused: Option<(Millis, String, String)>,
    last: Option<Success>,
    failed: Option<Failure>,
}

impl Canary {
    /// What a reload of the configuration goes on with: nothing is waited for that was asked before it.
    #[must_use]
    pub fn kept(&self) -> Self {
        Self { asking: false, refused: None, ..self.clone() }
    }

    /// The Certificate and its requests are these: a way may have begun.
    pub fn hears(&mut self, known: Known<'_>, now: Millis) {
        let Some(certificate) = known.certificate else {
            self.following = None;
            return;
        };
        if self.uid != certificate.metadata.uid {
            *self = Self { uid: certificate.metadata.uid.clone(), asking: self.asking, ..Self::default() };
        }
        let follow = |way, from_its_start| Following { way, since: now, from_its_start, given_up: false };
        if let Some(issuing) = certificate.issuing() {
            let at = issuing.last_transition_time.map_or(now, Millis::from);
            // Ours is known to the millisecond.
            let begun = self.asked.filter(|asked| asked.seconds() == at.seconds()).unwrap_or(at);
            if self.following.as_ref().is_none_or(|of| of.way.begun().seconds() < at.seconds()) {
                self.following = Some(follow(Way::begin(certificate, begun), true));
            }
            return;
        }
        let Some(revision) = certificate.status.revision.filter(|r| self.proven.is_none_or(|p| p < *r))
        else {
            return;
        };
        // What was given up and never issued is over, once a later one was.
        let is_over = |of: &Following| of.given_up && of.way.revision.is_none_or(|r| r < revision);
        if self.following.as_ref().is_none_or(is_over) {
            // Stored already: between two looks, or before this process began.
            let request = known.requests.iter().find(|r| r.revision() == Some(revision));
            let made = request.and_then(|r| r.metadata.creation_timestamp).or(certificate.status.not_before);
            let way = Way::after(certificate, revision.saturating_sub(1), made.map_or(now, Millis::from));
            self.following = Some(follow(way, self.proven.is_some()));
        }
    }

    /// Whether there is a way to look at.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.following.is_some()
    }

    /// How far it has come.
    pub fn looks(&mut self, seen: &Seen, terms: Terms, now: Millis) -> Option<News> {
        let following = self.following.as_mut()?;
        following.way.take(seen, now);
        let way = &following.way;
        if way.done.contains_key(&Hop::Served) && way.missing().is_none() {
            let begun = way.begun();
            let signed = seen.requests.iter().find(|r| r.revision() == way.revision);
            let signed = signed.and_then(|r| r.signing()).map_or(begun, |(_, s)| Millis::from(s.signed));
            let success = if following.from_its_start {
                Success { at: now, took: Some(now.since(begun).max(0)) }
            } else {
                Success { at: signed.min(now), took: None }
            };
            self.proven = way.revision;
            (self.following, self.failed) = (None, None);
            self.last = Some(success.clone());
            return Some(News::Worked(success));
        }
        let over = way.failed.is_some() || now.since(following.since) > terms.within;
        if following.given_up || !over {
            return None;
        }
        following.given_up = true;
        // Where nothing is seen at all, it is not done either.
        let undone = || Hop::ALL.into_iter().find(|hop| !way.done.contains_key(hop));
        let hop = way.missing().or_else(undone).unwrap_or(Hop::Served);
        let failure = Failure { hop, asked: way.begun(), why: way.failed.clone() };
        self.failed = Some(failure.clone());
        Some(News::Failed(failure))
    }

    /// Whether one is to be asked for now. `bound`: a ledger entry lists its host from its Secret.
    ///
    /// # Errors
    /// Why not.
    pub fn may_ask(
        &self,
        known: Known<'_>,
        leads: bool,
        bound: bool,
        terms: Terms,
        now: Millis,
    ) -> Result<(), Wait> {
        let certificate = known.certificate.ok_or(Wait::NoCertificate)?;
        if !bound {
            return Err(Wait::NotBound);
        }
        if !leads {
            return Err(Wait::Following);
        }
        let on_its_way = self.following.as_ref().is_some_and(|following| !following.given_up);
        if self.asking || on_its_way || certificate.issuing().is_some() {
            return Err(Wait::UnderWay);
        }
        if let Some((_, why, mend)) = self.refused.as_ref().filter(|(at, ..)| now.since(*at) < AGAIN) {
            return Err(Wait::Refused(why.clone(), mend.clone()));
        }
        match self.due(known, terms) {
            Some(due) if now < due => Err(Wait::NotDue(due)),
            _ => Ok(()),
        }
    }

    /// When the next is due; none where it never was asked for.
    #[must_use]
    pub fn due(&self, known: Known<'_>, terms: Terms) -> Option<Millis> {
        let certificate = known.certificate?;
        let made = known.requests.iter().filter_map(|request| request.metadata.creation_timestamp).max();
        let issuing =
            condition(&certificate.status.conditions, "Issuing").and_then(|c| c.last_transition_time);
        let told: Option<UnixTime> =
            [made, issuing, certificate.status.not_before].into_iter().flatten().max();
        let last = told.map(Millis::from).into_iter().chain(self.asked).max()?;
        Some(Millis(last.0.saturating_add(terms.every)))
    }

    /// cert-manager is being asked.
    pub const fn asks(&mut self) {
        self.asking = true;
    }

    /// It was asked, or why not and what to do.
    pub fn was_asked(&mut self, result: Result<Millis, (String, String)>, now: Millis) {
        self.asking = false;
        match result {
            Ok(at) => (self.asked, self.refused) = (Some(at), None),
            Err((why, mend)) => self.refused = Some((now, why, mend)),
        }
    }

    /// The last way that was proven.
    #[must_use]
    pub const fn last(&self) -> Option<&Success> {
        self.last.as_ref()
    }

    /// The way that was given up, until another is proven.
    #[must_use]
    pub const fn failed(&self) -> Option<&Failure> {
        self.failed.as_ref()
    }

    /// The hop that is waited for, and since when.
    #[must_use]
    pub fn waits_for(&self) -> Option<(Hop, Millis)> {
        let way = &self.following.as_ref()?.way;
        Some((way.missing()?, way.begun()))
    }

    /// Why it was not asked for the last time, until it is.
    #[must_use]
    pub fn refused(&self) -> Option<(&str, &str)> {
        self.refused.as_ref().map(|(_, why, mend)| (&**why, &**mend))
    }
}

#[cfg(test)]
mod tests;
