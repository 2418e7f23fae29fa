//! Which revision is taken: never one from far ahead, and an older one only when it has stood its ground.
//!
//! A revision says nothing when the clock that made it was wrong. One from more than a day ahead is refused. An
//! older one than that in use is taken after it stood for three polls, so that one wrong clock does not freeze a
//! fleet; and only from the location the ledger in use came from, or once that ledger is stale, so that two
//! locations of which one is slower never make the filter go back and forth.
use certdrift_contract::ledger::MAX_AHEAD;
use certdrift_contract::{Revision, UnixTime};

/// An older revision is taken at the so-manieth poll that brings nothing newer.
pub const POLLS_TO_STAND: u32 = 3;

/// What is to be done with a revision that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take it.
    Take,
    /// It is the one in use.
    Same,
    /// Older than the one in use: not (yet).
    Older,
    /// More than a day ahead of the clock.
    Ahead,
}

/// How long an older revision has stood.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    polls: u32,
    seen: bool,
}

impl Standing {
    /// Decides. `entitled`: the offer comes from where the ledger in use came from, or that one is stale.
    /// `now` is `None` where the host has no clock.
    pub fn decide(
        &mut self,
        offered: Revision,
        in_use: Option<Revision>,
        entitled: bool,
        now: Option<UnixTime>,
    ) -> Decision {
        if in_use == Some(offered) {
            return Decision::Same;
        }
        let limit = now.map(|now| now.plus(MAX_AHEAD).seconds());
        if limit.is_some_and(|limit| i64::try_from(offered.0).map_or(true, |offered| offered > limit)) {
            return Decision::Ahead;
        }
        match in_use {
            Some(in_use) if offered < in_use => {
                self.seen |= entitled;
                let stood = self.polls.saturating_add(1) >= POLLS_TO_STAND;
                if entitled && stood { Decision::Take } else { Decision::Older }
            }
            _ => Decision::Take,
        }
    }

    /// Which poll of how many this is for an older revision that was offered.
    #[must_use]
    pub const fn poll(&self) -> u32 {
        self.polls.saturating_add(1)
    }

    /// Ends a poll. A poll in which nobody answered counts neither way.
    pub fn end_poll(&mut self, confirmed: bool) {
        if confirmed {
            self.polls = 0;
        } else if self.seen {
            self.polls = self.polls.saturating_add(1);
        }
        self.seen = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Option<UnixTime> = Some(UnixTime::from_seconds(1_795_478_400));
    const BASE: u64 = 1_795_478_400;

    fn decide(standing: &mut Standing, offered: u64, in_use: Option<u64>, entitled: bool) -> Decision {
        standing.decide(Revision(offered), in_use.map(Revision), entitled, NOW)
    }

    #[test]
    fn a_revision_more_than_a_day_ahead_is_refused() {
        let mut standing = Standing::default();
        assert_eq!(decide(&mut standing, BASE + 86_400, None, true), Decision::Take);
        assert_eq!(decide(&mut standing, BASE + 86_401, None, true), Decision::Ahead);
        assert_eq!(decide(&mut standing, u64::MAX, Some(BASE), true), Decision::Ahead);
        assert_eq!(
            standing.decide(Revision(u64::MAX), None, true, None),
            Decision::Take,
            "no clock, no limit"
        );
    }

    #[test]
    fn an_older_revision_is_taken_at_the_third_poll() {
        let mut standing = Standing::default();
        for _ in 0..2 {
            assert_eq!(decide(&mut standing, BASE - 5, Some(BASE), true), Decision::Older);
            standing.end_poll(false);
        }
        assert_eq!(decide(&mut standing, BASE - 5, Some(BASE), true), Decision::Take);
    }

    #[test]
    fn a_poll_that_confirms_begins_the_count_anew_and_a_failed_one_does_not() {
        let mut standing = Standing::default();
        for confirmed in [false, true, false, false] {
            assert_eq!(decide(&mut standing, BASE - 5, Some(BASE), true), Decision::Older);
            standing.end_poll(confirmed);
        }
        standing.end_poll(false);
        assert_eq!(decide(&mut standing, BASE - 5, Some(BASE), true), Decision::Take);
    }

    #[test]
    fn a_slower_location_never_brings_an_older_revision_back() {
        let mut standing = Standing::default();
        for _ in 0..100 {
            assert_eq!(decide(&mut standing, BASE - 5, Some(BASE), false), Decision::Older);
            standing.end_poll(false);
        }
    }
}
