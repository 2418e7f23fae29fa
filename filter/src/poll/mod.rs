//! Gets the ledger: one poll per interval, the locations in order, by ETag, whole or in parts.
//!
//! Whatever comes back, the ledger in use stays until a better one is there as a whole. A poll asks the first
//! location; where that brings nothing good, the next, at once. One call is under way at any time.
mod parts;

use crate::answer::{self, Answer};
use crate::clock::{Clock, SECOND, passed, seconds};
use crate::config::{LedgerSettings, Location};
use crate::host::{Host, Level};
use crate::metrics::{Metrics, PollResult};
use crate::revision::{Decision, POLLS_TO_STAND, Standing};
use crate::seen::Seen;
use certdrift_contract::index::Index;
use certdrift_contract::json::Limits;
use certdrift_contract::ledger::Ledger;
use certdrift_contract::names::TOKEN_HEADER;
use certdrift_contract::{Revision, json::ParseError};
use parts::Pending;

/// The ledger in use, and what it takes to keep it so.
#[derive(Debug, Default)]
pub struct Poller {
    settings: Option<LedgerSettings>,
    /// The ledger in use.
    pub ledger: Option<Index<Seen>>,
    /// Counts the ledgers that were taken.
    pub epoch: u32,
    /// Of each location.
    memory: Vec<Memory>,
    flight: Option<Flight>,
    pending: Option<Pending>,
    /// When the last poll began.
    began: Option<u64>,
    /// When the ledger in use was last confirmed.
    confirmed: Option<u64>,
    /// Where the ledger in use came from.
    source: Option<usize>,
    standing: Standing,
    failures: String,
    /// From which location the ledger in use is.
    pub location: String,
    /// Why the last poll brought nothing usable; empty when it did.
    pub last_error: String,
}

/// What is remembered of a location.
#[derive(Debug, Default)]
struct Memory {
    etag: String,
    /// What the ETag stands for.
    revision: Revision,
    /// What was last wrong with it; empty when nothing was.
    error: String,
}

/// A call that is under way.
#[derive(Debug)]
struct Flight {
    token: u32,
    location: usize,
    sent: Option<u64>,
    /// Whether an ETag was sent.
    conditional: bool,
}

/// A location that brought nothing.
struct Failure(PollResult, String);

impl Failure {
    fn bad(error: &ParseError) -> Self {
        Self(PollResult::Bad, error.to_string())
    }
}

/// How it goes on with a location.
enum Step {
    /// A part is fetched, or the ledger again without an ETag.
    Waiting,
    /// It confirmed or brought a ledger.
    Done(PollResult),
}

impl Poller {
    /// Takes over settings. The ledger in use stays.
    pub fn set(&mut self, settings: &LedgerSettings) {
        if self.settings.as_ref().is_none_or(|old| old.locations != settings.locations) {
            self.memory = settings.locations.iter().map(|_| Memory::default()).collect();
            self.flight = None;
            self.pending = None;
            self.began = None;
            self.source = None;
            self.failures.clear();
        }
        self.settings = Some(settings.clone());
    }

    /// Seconds since the ledger in use was last confirmed.
    #[must_use]
    pub fn age(&self, now: Option<u64>) -> Option<u64> {
        let (confirmed, now) = (self.confirmed?, now?);
        now.saturating_sub(confirmed).checked_div(SECOND)
    }

    /// Whether the ledger in use was not confirmed for too long.
    #[must_use]
    pub fn stale(&self, now: Option<u64>) -> bool {
        let limit = self.settings.as_ref().map_or(u64::MAX, |s| s.stale_after);
        self.age(now).is_some_and(|age| age > limit)
    }

    /// Begins a poll when one is due, or gives up one whose answer does not come.
    pub fn tick(&mut self, host: &impl Host, clock: &Clock, metrics: &mut Metrics) {
        let Some((interval, timeout)) = self.settings.as_ref().map(|s| (s.interval, s.timeout)) else {
            return;
        };
        let now = clock.last();
        if let Some(flight) = &self.flight {
            // The host's timeout is per socket operation: a server that drips bytes never runs into it. And a root
            // context that was removed gets no answers.
            let patience = timeout.saturating_mul(10).saturating_add(30);
            if passed(flight.sent, now, patience.saturating_mul(SECOND)) {
                let location = flight.location;
                let failure = Failure(PollResult::Unreachable, format!("no answer within {patience} s"));
                self.next(host, clock, metrics, location, Err(failure));
            }
            return;
        }
        // Ticks do not come to the nanosecond: one that is a twentieth early is on time.
        let interval = interval.saturating_mul(SECOND / 20 * 19);
        if passed(self.began, now, interval) {
            self.began = now;
            self.failures.clear();
            self.ask(host, clock, metrics, 0);
        }
    }

    /// An answer to a call of ours, or to one that was given up.
    pub fn answer(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        metrics: &mut Metrics,
        token: u32,
        headers: usize,
        body: usize,
    ) {
        if self.flight.as_ref().is_none_or(|flight| flight.token != token) {
            return;
        }
        let Some(flight) = self.flight.take() else { return };
        let answer = answer::read(host, headers, body);
        let step = match answer {
            Err(why) => Err(Failure(why.0, why.1)),
            Ok(answer) => match self.pending.take() {
                Some(pending) => self.part(host, clock, &flight, pending, answer),
                None => self.whole(host, clock, &flight, answer),
            },
        };
        self.next(host, clock, metrics, flight.location, step);
    }

    /// Goes on after what a location brought.
    fn next(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        metrics: &mut Metrics,
        location: usize,
        step: Result<Step, Failure>,
    ) {
        let name = self.place(location).map(|l| format!("{}{}", l.upstream, l.path)).unwrap_or_default();
        match step {
            Ok(Step::Waiting) => {}
            Ok(Step::Done(result)) => {
                metrics.poll(result);
                if let Some(memory) = self.memory.get_mut(location)
                    && !std::mem::take(&mut memory.error).is_empty()
                {
                    host.log(Level::Info, &format!("certdrift: {name} gives a good ledger again"));
                }
                self.source = Some(location);
                self.location = name;
                self.confirmed = clock.last();
                self.finish(true);
            }
            Err(Failure(result, what)) => {
                metrics.poll(result);
                self.flight = None;
                self.pending = None;
                if let Some(memory) = self.memory.get_mut(location) {
                    // Said when it begins, not at each poll.
                    if memory.error.is_empty() {
                        host.log(Level::Warn, &format!("certdrift: no ledger from {name}: {what}"));
                    }
                    memory.error.clone_from(&what);
                }
                if !self.failures.is_empty() {
                    self.failures.push_str("; ");
                }
                self.failures.push_str(&name);
                self.failures.push_str(": ");
                self.failures.push_str(&what);
                self.ask(host, clock, metrics, location.saturating_add(1));
            }
        }
    }

    fn finish(&mut self, confirmed: bool) {
        self.standing.end_poll(confirmed);
        self.flight = None;
        self.pending = None;
        self.last_error = if confirmed { String::new() } else { std::mem::take(&mut self.failures) };
    }

    fn place(&self, location: usize) -> Option<&Location> {
        self.settings.as_ref()?.locations.get(location)
    }

    /// Asks a location for its ledger; where there is none left, the poll is over.
    fn ask(&mut self, host: &impl Host, clock: &Clock, metrics: &mut Metrics, location: usize) {
        let Some(path) = self.place(location).map(|l| l.path.clone()) else {
            return self.finish(false);
        };
        if let Err(failure) = self.call(host, clock, location, &path, true) {
            self.next(host, clock, metrics, location, Err(failure));
        }
    }

    fn call(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        location: usize,
        path: &str,
        conditional: bool,
    ) -> Result<(), Failure> {
        let unreachable = |what: &str| Failure(PollResult::Unreachable, what.to_owned());
        let (Some(place), Some(settings)) = (self.place(location), &self.settings) else {
            return Err(unreachable("there is no such location"));
        };
        let etag =
            self.memory.get(location).map(|m| m.etag.as_str()).filter(|etag| conditional && !etag.is_empty());
        // No header that is not needed: ngx_wasm_module copies each into a pool that lives as long as the worker.
        let mut headers = vec![(":method", "GET"), (":path", path), (":authority", &place.authority)];
        headers.extend(etag.map(|etag| ("if-none-match", etag)));
        if !place.token.is_empty() {
            headers.push((TOKEN_HEADER, &place.token));
        }
        let timeout = u32::try_from(settings.timeout.saturating_mul(1000)).unwrap_or(u32::MAX);
        let conditional = etag.is_some();
        match host.get(&place.upstream, &headers, timeout) {
            Ok(token) => {
                self.flight = Some(Flight { token, location, sent: clock.last(), conditional });
                Ok(())
            }
            Err(status) => Err(unreachable(&format!("the gateway refused the call (status {})", status.0))),
        }
    }

    /// What a location answered when asked for its ledger.
    fn whole(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        flight: &Flight,
        answer: Answer,
    ) -> Result<Step, Failure> {
        let location = flight.location;
        let ledger = match answer {
            Answer::NotModified if !flight.conditional => {
                return Err(Failure(PollResult::Bad, "304 though no ETag was sent".to_owned()));
            }
            Answer::NotModified => None,
            Answer::Body { body, etag } => {
                let ledger =
                    Ledger::parse(&body, &Limits::default()).map_err(|error| Failure::bad(&error))?;
                Some((ledger, etag))
            }
        };
        let offered = match &ledger {
            Some((ledger, _)) => ledger.revision,
            None => self.memory.get(location).map(|m| m.revision).unwrap_or_default(),
        };
        let in_use = self.ledger.as_ref().map(Index::revision);
        let entitled = self.source.is_none_or(|source| source == location) || self.stale(clock.last());
        match (self.standing.decide(offered, in_use, entitled, clock.last().map(seconds)), ledger) {
            (Decision::Same, ledger) => {
                if let Some((_, etag)) = ledger {
                    self.remember(location, etag, offered);
                }
                Ok(Step::Done(PollResult::Unchanged))
            }
            // The ETag stands for a ledger that is not the one in use (any more): its text is needed after all.
            (Decision::Take, None) => {
                let path = self.place(location).map(|l| l.path.clone()).unwrap_or_default();
                self.call(host, clock, location, &path, false).map(|()| Step::Waiting)
            }
            (Decision::Take, Some((ledger, etag))) => self.begin(host, clock, location, ledger, etag),
            (Decision::Older, _) => Err(Failure(
                PollResult::Refused,
                format!(
                    "its revision {} is older than {}, in use (poll {} of {POLLS_TO_STAND})",
                    offered.0,
                    in_use.unwrap_or_default().0,
                    self.standing.poll()
                ),
            )),
            (Decision::Ahead, _) => Err(Failure(
                PollResult::Refused,
                format!("its revision {} is more than a day ahead of the gateway's clock", offered.0),
            )),
        }
    }

    fn remember(&mut self, location: usize, etag: String, revision: Revision) {
        if let Some(memory) = self.memory.get_mut(location) {
            memory.etag = etag;
            memory.revision = revision;
        }
    }
}
