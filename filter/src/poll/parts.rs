//! Takes a ledger over: at once when it is whole, else once the parts that changed are there, all of them.
use super::{Failure, Flight, Poller, Step};
use crate::answer::Answer;
use crate::clock::Clock;
use crate::host::{Host, Level};
use crate::metrics::PollResult;
use crate::revision::POLLS_TO_STAND;
use certdrift_contract::index::Index;
use certdrift_contract::json::{Limits, ParseError};
use certdrift_contract::ledger::{Content, Ledger, Part, PartRef};
use certdrift_contract::names::part_path;

/// All parts of a ledger together have at most so many bytes.
const MAX_PARTS_BYTES: usize = 32 << 20;

/// An index whose changed parts are being fetched.
#[derive(Debug)]
pub(super) struct Pending {
    ledger: Ledger,
    etag: String,
    needed: Vec<PartRef>,
    parts: Vec<Part>,
    bytes: usize,
}

impl Poller {
    /// Takes a whole ledger over, or begins to fetch what parts of it changed.
    pub(super) fn begin(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        location: usize,
        ledger: Ledger,
        etag: String,
    ) -> Result<Step, Failure> {
        let mut needed = Vec::new();
        if let Content::Parts(refs) = &ledger.content {
            let have = self.ledger.as_ref().map(Index::parts).unwrap_or_default();
            needed.extend(refs.iter().filter(|part| !have.contains(part)).rev().cloned());
        }
        let pending = Pending { ledger, etag, needed, parts: Vec::new(), bytes: 0 };
        self.advance(host, clock, location, pending)
    }

    /// Fetches the next part that is needed; with none left, takes the ledger over.
    fn advance(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        location: usize,
        pending: Pending,
    ) -> Result<Step, Failure> {
        let Some(part) = pending.needed.last() else {
            return self.take(host, location, pending).map_err(|error| Failure::bad(&error));
        };
        let path = part_path(self.place(location).map_or("", |l| &l.path), &part.name);
        self.call(host, clock, location, &path, false)?;
        self.pending = Some(pending);
        Ok(Step::Waiting)
    }

    /// What a location answered when asked for a part.
    pub(super) fn part(
        &mut self,
        host: &impl Host,
        clock: &Clock,
        flight: &Flight,
        mut pending: Pending,
        answer: Answer,
    ) -> Result<Step, Failure> {
        let Some(wanted) = pending.needed.pop() else { return Ok(Step::Waiting) };
        let bad = |what: &str| Failure(PollResult::Bad, format!("the part {}: {what}", wanted.name));
        let Answer::Body { body, .. } = answer else { return Err(bad("304 though no ETag was sent")) };
        pending.bytes = pending.bytes.saturating_add(body.len());
        if pending.bytes > MAX_PARTS_BYTES {
            return Err(bad("the parts together are longer than the limit"));
        }
        if !wanted.is(&body) {
            return Err(bad("its SHA-256 is not what the index says"));
        }
        let part = Part::parse(&body, &Limits::default()).map_err(|error| bad(&error.to_string()))?;
        pending.parts.push(part);
        self.advance(host, clock, flight.location, pending)
    }

    fn take(&mut self, host: &impl Host, location: usize, pending: Pending) -> Result<Step, ParseError> {
        let Pending { ledger, etag, parts, .. } = pending;
        let revision = ledger.revision;
        let before = self.ledger.as_ref().map(Index::revision);
        match &mut self.ledger {
            Some(index) => index.update(ledger, parts)?,
            none => *none = Some(Index::new(ledger, parts)?),
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.remember(location, etag, revision);
        let hosts = self.ledger.as_ref().map_or(0, Index::hosts);
        match before {
            Some(before) if before > revision => {
                let stood = format!(
                    "went back from revision {} to {}: it stood for {POLLS_TO_STAND} polls",
                    before.0, revision.0
                );
                host.log(Level::Warn, &format!("certdrift: the ledger {stood} ({hosts} hosts)"));
            }
            _ => host.log(
                Level::Info,
                &format!("certdrift: ledger revision {} taken ({hosts} hosts)", revision.0),
            ),
        }
        Ok(Step::Done(PollResult::Changed))
    }
}
