//! What a worker saw of one host: the state that the ledger's index keeps for it.
//!
//! Two certificates are remembered, for an RSA + ECDSA pair: a stale one of the pair stays in sight while clients
//! of the other kind are served rightly. So memory is bounded by the ledger.
use crate::observe::Served;
use certdrift_contract::verdict::{self, Expecting, Known, Windows, judge};
use certdrift_contract::{Evidence, Fingerprint, UnixTime, Verdict};

/// What was seen of one host.
#[derive(Debug, Default)]
pub struct Seen {
    sights: Vec<Sight>,
    /// Whether drift was told and its end was not.
    drifting: bool,
}

/// One certificate that was served for the host.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Of the leaf.
    pub fingerprint: Fingerprint,
    /// Self-signed for `localhost`.
    pub placeholder: bool,
    /// How it was observed.
    pub evidence: Evidence,
    /// When it was first seen here.
    pub first_seen: UnixTime,
    /// When it was last seen.
    pub last_seen: UnixTime,
    /// When the newest connection it was served on began.
    pub began: UnixTime,
    /// As it was judged when it was last seen.
    verdict: Verdict,
    /// Which ledger that was.
    epoch: u32,
}

/// What a new sight changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Drift began.
    Began,
    /// Drift ended.
    Ended,
}

/// What a verdict depends on besides what was seen.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The time, in seconds.
    pub now: UnixTime,
    /// The periods.
    pub windows: &'a Windows,
    /// Counts the ledgers a worker has used.
    pub epoch: u32,
}

impl Seen {
    /// When this certificate was first seen for the host; `None`: never, as far as is remembered.
    #[must_use]
    pub fn first_seen(&self, fingerprint: &Fingerprint) -> Option<UnixTime> {
        self.sights.iter().find(|s| s.fingerprint == *fingerprint).map(|s| s.first_seen)
    }

    /// Remembers what was served and how it was judged. Allocates at a host's first two certificates only.
    pub fn note(&mut self, served: &Served<'_>, verdict: Verdict, frame: &Frame<'_>) {
        let began = served.began.unwrap_or(frame.now);
        if let Some(sight) = self.sights.iter_mut().find(|s| s.fingerprint == served.fingerprint) {
            sight.last_seen = frame.now;
            sight.began = sight.began.max(began);
            sight.verdict = verdict;
            sight.epoch = frame.epoch;
            return;
        }
        let new = Sight {
            fingerprint: served.fingerprint,
            placeholder: served.placeholder,
            evidence: served.evidence,
            first_seen: frame.now,
            last_seen: frame.now,
            began,
            verdict,
            epoch: frame.epoch,
        };
        if self.sights.len() < 2 {
            self.sights.push(new);
        } else if let Some(oldest) = self.sights.iter_mut().min_by_key(|s| (s.began, s.last_seen)) {
            *oldest = new;
        }
    }

    /// Whether that was the beginning or the end of drift; each is said once.
    pub fn turn(&mut self, verdict: Verdict, standing: impl FnOnce(&Self) -> bool) -> Option<Turn> {
        match (self.drifting, verdict.healthy()) {
            (false, false) => {
                self.drifting = true;
                Some(Turn::Began)
            }
            (true, true) if standing(self) => {
                self.drifting = false;
                Some(Turn::Ended)
            }
            _ => None,
        }
    }

    /// What stands for the host now, and its verdict: of a single certificate what the newest connection was served;
    /// of a pair the worse of both. `None`: nothing was seen yet.
    #[must_use]
    pub fn standing(
        &self,
        expecting: &Expecting<'_>,
        known: &dyn Fn(&Fingerprint) -> Known,
        frame: &Frame<'_>,
    ) -> Option<(&Sight, Verdict)> {
        let judged = self.sights.iter().map(|sight| (sight, sight.verdict_now(expecting, known, frame)));
        if expecting.current.len() > 1 {
            judged.max_by_key(|(_, verdict)| *verdict)
        } else {
            judged.max_by_key(|(sight, _)| (sight.began, sight.last_seen))
        }
    }
}

impl Sight {
    /// Judged by today's ledger. A ledger that came after the sight does not make drift of it: what the gateway
    /// serves since then nobody has seen.
    fn verdict_now(
        &self,
        expecting: &Expecting<'_>,
        known: &dyn Fn(&Fingerprint) -> Known,
        frame: &Frame<'_>,
    ) -> Verdict {
        let served = verdict::Served {
            fingerprint: self.fingerprint,
            placeholder: self.placeholder,
            began: self.began,
            first_seen: self.first_seen,
        };
        let verdict = judge(&served, expecting, known, frame.now, frame.windows);
        if !verdict.healthy() && self.verdict.healthy() && self.epoch != frame.epoch {
            return Verdict::Unobserved;
        }
        verdict
    }
}
