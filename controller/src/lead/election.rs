//! Who leads, by client-go's rules for a Lease. Pure: time is passed in.
//!
//! - Who leads renews every [`Terms::retry`]. It leads for [`Terms::renew_within`] from the moment **before** its last
//!   successful write was sent, and not one instant longer, whatever is on its way.
//! - Who does not lead takes the Lease once it has seen it **unchanged for [`Terms::lasts`] by its own clock**; what the
//!   Lease says of times is another machine's clock, and for people.
//! - Every write is on condition of the version that was read, so of two that take it one fails.
//!
//! The other saw the Lease change no earlier than it was written, and that was no earlier than it was sent; so it waits
//! until after the leader has given up as long as `lasts` by the fastest clock is longer than `renew_within` by the
//! slowest: with 15 s and 10 s, clocks may run 20 % too fast and too slow.
use crate::converge::Millis;
use std::time::Duration;

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whoever has not seen the Lease change for so long may take it.
    pub lasts: Duration,
    /// The leader steps down when it could not renew for so long; shorter than `lasts`.
    pub renew_within: Duration,
    /// Between two requests.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(15),
            renew_within: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// Now, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Never steps, and stands still while the machine is suspended.
    pub steady: Duration,
    /// May step, and goes on meanwhile. A leader gives up by whichever says so first.
    pub wall: Millis,
}

/// The Lease as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Nobody: empty.
    pub holder: String,
    /// As its holder wrote it.
    pub lasts: Duration,
    /// How often it changed hands.
    pub transitions: u32,
    /// Of the object.
    pub version: String,
}

/// What to ask the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Read the Lease.
    Read,
    /// Write it.
    Write(Write),
}

/// A Lease to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Only onto this version; `None`: there must be none.
    pub version: Option<String>,
    /// Us; empty when it is given up.
    pub holder: String,
    /// It was not ours before.
    pub takes: bool,
    /// How often it changed hands.
    pub transitions: u32,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is this; `None`: there is none.
    Read(Option<Lease>),
    /// Written; its version now.
    Written(String),
    /// Not written: it is not the version that we know.
    Changed,
    /// No answer, or another refusal: it may have been written.
    Failed,
}

/// One replica's view of the election.
#[derive(Clone, Debug)]
pub struct Election {
    us: String,
    terms: Terms,
    /// The Lease as it was seen last, and since when it has been as it is, by our clock.
    seen: Option<(Option<Lease>, Duration)>,
    /// Whether what was seen is what is there, as far as we know.
    fresh: bool,
    /// The last request.
    asked: Option<(Act, Now)>,
    leads: Option<Until>,
}

/// When leading ends by either clock.
#[derive(Clone, Copy, Debug)]
struct Until {
    steady: Duration,
    wall: Millis,
}

impl Election {
    /// For a replica of this name, which no other has and none had before (a pod that starts anew takes another).
    #[must_use]
    pub fn new(us: impl Into<String>, terms: Terms) -> Self {
        Self { us: us.into(), terms, seen: None, fresh: false, asked: None, leads: None }
    }

    /// Whether we lead.
    #[must_use]
    pub fn leads(&self, now: Now) -> bool {
        self.leads.is_some_and(|until| {
            // A wall clock that was set back says nothing; one that was set forward costs a leader its office.
            now.steady < until.steady && now.wall < until.wall
        })
    }

    /// Until when we lead by the steady clock, if nothing more is heard.
    #[must_use]
    pub fn until(&self) -> Option<Duration> {
        self.leads.map(|until| until.steady)
    }

    /// Who holds the Lease, as far as was seen.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        let (lease, _) = self.seen.as_ref()?;
        lease.as_ref().map(|lease| lease.holder.as_str()).filter(|holder| !holder.is_empty())
    }

    /// The version a fenced write names; only while we lead and nothing is in doubt.
    #[must_use]
    pub fn version(&self, now: Now) -> Option<&str> {
        let (lease, _) = self.seen.as_ref()?;
        let lease = lease.as_ref().filter(|lease| lease.holder == self.us)?;
        (self.fresh && self.leads(now)).then_some(lease.version.as_str())
    }

    /// What to ask next, and when (by the steady clock; a moment that has passed means now).
    #[must_use]
    pub fn next(&self, now: Now) -> (Act, Duration) {
        let due = |after: Duration| {
            self.asked.as_ref().map_or(now.steady, |(_, at)| at.steady.saturating_add(after))
        };
        let Some((lease, since)) = &self.seen else { return (Act::Read, due(self.terms.retry)) };
        // Right after a look, what it allows is done at once.
        let looked = self.fresh && matches!(self.asked, Some((Act::Read, _)));
        let soon = due(if looked { Duration::ZERO } else { self.terms.retry });
        if !self.fresh {
            return (Act::Read, soon);
        }
        let write = |version: Option<&str>, takes, transitions| {
            Act::Write(Write {
                version: version.map(str::to_owned),
                holder: self.us.clone(),
                takes,
                transitions,
            })
        };
        match lease {
            None => (write(None, true, 0), soon),
            Some(lease) if lease.holder == self.us => {
                (write(Some(&lease.version), !self.leads(now), lease.transitions), soon)
            }
            Some(lease) => {
                let free = lease.holder.is_empty()
                    || since.saturating_add(lease.lasts.max(self.terms.lasts)) <= now.steady;
                if free {
                    (write(Some(&lease.version), true, lease.transitions.saturating_add(1)), soon)
                } else {
                    (Act::Read, due(self.terms.retry))
                }
            }
        }
    }

    /// A request is about to be sent. Nothing else is asked until it was heard of.
    pub fn asks(&mut self, act: Act, now: Now) {
        self.asked = Some((act, now));
    }

    /// What came of the request.
    pub fn hear(&mut self, heard: Heard, now: Now) {
        match heard {
            Heard::Read(lease) => {
                let same = self.seen.as_ref().is_some_and(|(before, _)| *before == lease);
                if !same {
                    self.seen = Some((lease, now.steady));
                }
                self.fresh = true;
                let ours =
                    self.seen.as_ref().and_then(|(l, _)| l.as_ref()).is_some_and(|l| l.holder == self.us);
                if !ours {
                    self.leads = None;
                }
            }
            Heard::Written(version) => {
                let Some((Act::Write(write), sent)) = self.asked.clone() else { return };
                let gives_up = write.holder != self.us;
                let lease = Lease {
                    holder: write.holder,
                    lasts: self.terms.lasts,
                    transitions: write.transitions,
                    version,
                };
                self.seen = Some((Some(lease), now.steady));
                self.fresh = true;
                let within = i64::try_from(self.terms.renew_within.as_millis()).unwrap_or(i64::MAX);
                self.leads = (!gives_up).then(|| Until {
                    steady: sent.steady.saturating_add(self.terms.renew_within),
                    wall: Millis(sent.wall.0.saturating_add(within)),
                });
            }
            Heard::Changed | Heard::Failed => self.fresh = false,
        }
    }

    /// A write on condition of [`Election::version`], beside the election, has given it this version.
    pub fn noted(&mut self, version: String) {
        if let Some((Some(lease), _)) = &mut self.seen {
            lease.version = version;
        }
    }

    /// Such a write failed, or nobody knows: we look before the next write.
    pub fn doubt(&mut self) {
        self.fresh = false;
    }

    /// What gives the Lease up, for a replica that ends. We lead no more from here on.
    #[must_use]
    pub fn give_up(&mut self, now: Now) -> Option<Act> {
        let version = self.version(now).map(str::to_owned)?;
        let transitions = self.seen.as_ref().and_then(|(l, _)| l.as_ref()).map_or(0, |l| l.transitions);
        self.leads = None;
        Some(Act::Write(Write { version: Some(version), holder: String::new(), takes: false, transitions }))
    }
}

#[cfg(test)]
mod tests;
