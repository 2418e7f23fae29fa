//! From what the host tells of a connection to a verdict.
use crate::clock::Clock;
use crate::config::{Certificate, Source};
use crate::host::Host;
use crate::seen::{Frame, Seen, Turn};
use certdrift_contract::index::{Found, Index};
use certdrift_contract::tap::{Connection, Kind, TapError};
use certdrift_contract::verdict::{self, Expecting, Known, Windows, judge};
use certdrift_contract::{Evidence, Fingerprint, UnixTime, Verdict};
use std::borrow::Cow;

/// What a connection was served.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// Of the leaf.
    pub fingerprint: Fingerprint,
    /// Self-signed for `localhost`.
    pub placeholder: bool,
    /// When the connection began; `None` where the host does not tell: now.
    pub began: Option<UnixTime>,
    /// As the client sent it.
    pub sni: Option<&'a [u8]>,
    /// How it is known.
    pub evidence: Evidence,
}

/// Why a connection cannot be judged; in the order of [`certdrift_contract::names::UNJUDGED_REASONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// No TLS.
    Plain,
    /// A resumed session.
    Resumed,
    /// The host does not tell.
    Unknown,
    /// There is no ledger yet.
    NoLedger,
}

/// What came of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// `unlisted` too.
    pub verdict: Verdict,
    /// The first of what is expected.
    pub expected: Option<Fingerprint>,
    /// Where drift began or ended: what of which host.
    pub turn: Option<(Turn, String)>,
}

/// What the host told, before it is read.
#[derive(Debug)]
pub enum Told<'a> {
    /// The tap's line.
    Tap(Vec<u8>),
    /// Fingerprint and server name, as declared.
    Declared(Cow<'a, [u8]>, Cow<'a, [u8]>),
    /// Nothing.
    Nothing,
}

/// Asks the host what the connection was served.
pub fn ask<'a>(host: &impl Host, certificate: &'a Certificate) -> Told<'a> {
    let property = |path: &[u8]| host.property(path).ok().flatten().unwrap_or_default();
    let from = |source: &'a Source| match source {
        Source::Property(path) => Cow::Owned(property(path)),
        Source::Text(text) => Cow::Borrowed(text.as_slice()),
    };
    match certificate {
        Certificate::Tap(path) => match property(path) {
            line if line.is_empty() => Told::Nothing,
            line => Told::Tap(line),
        },
        Certificate::Declared { fingerprint, sni } => match from(fingerprint) {
            declared if declared.is_empty() => Told::Nothing,
            declared => Told::Declared(declared, from(sni)),
        },
    }
}

impl Told<'_> {
    /// Reads it. The second of the pair is what is wrong with the line, where something is.
    ///
    /// # Errors
    /// Why it cannot be judged.
    pub fn read(&self) -> Result<Served<'_>, (Unjudged, Option<TapError>)> {
        match self {
            Self::Nothing => Err((Unjudged::Unknown, None)),
            Self::Tap(line) => match Connection::parse(line) {
                Err(error) => Err((Unjudged::Unknown, Some(error))),
                Ok(Connection { kind, began, fingerprint: Some(fingerprint), sni }) => Ok(Served {
                    fingerprint,
                    placeholder: kind == Kind::Placeholder,
                    began: Some(began),
                    sni,
                    evidence: Evidence::Filter,
                }),
                Ok(Connection { kind: Kind::Plain, .. }) => Err((Unjudged::Plain, None)),
                Ok(Connection { kind: Kind::Resumed, .. }) => Err((Unjudged::Resumed, None)),
                Ok(_) => Err((Unjudged::Unknown, None)),
            },
            Self::Declared(fingerprint, sni) => match Fingerprint::parse(fingerprint) {
                Err(_) => Err((Unjudged::Unknown, Some(TapError::Fingerprint))),
                Ok(fingerprint) => Ok(Served {
                    fingerprint,
                    placeholder: false,
                    began: None,
                    sni: if sni.is_empty() { None } else { Some(sni) },
                    evidence: Evidence::Declared,
                }),
            },
        }
    }
}

/// Which entry of the ledger a connection is judged against.
#[derive(Clone, Copy)]
enum Against<'a> {
    Name(&'a [u8]),
    Default,
}

impl Against<'_> {
    fn find(self, ledger: &mut Index<Seen>) -> Option<Found<'_, Seen>> {
        match self {
            Self::Name(sni) => ledger.find(sni),
            Self::Default => ledger.default_entry(),
        }
    }
}

/// Judges a connection, and remembers it with its host.
///
/// Without a server name (clients send none for an IP address) the gateway serves its default certificate. A name
/// that is listed nowhere is a stranger's, unless what it was served is the default entry's.
pub fn observe(
    ledger: &mut Index<Seen>,
    served: &Served<'_>,
    host: &impl Host,
    clock: &mut Clock,
    windows: &Windows,
    epoch: u32,
) -> Judged {
    let named = served.sni.filter(|sni| !certdrift_contract::host::is_ip(sni));
    let judged = match named {
        Some(sni) => against(ledger, Against::Name(sni), served, host, clock, windows, epoch),
        None => against(ledger, Against::Default, served, host, clock, windows, epoch),
    };
    if let Some(judged) = judged {
        return judged;
    }
    let the_default = named.is_some() && ledger.default_entry().is_some_and(|d| knows(&d.expecting, served));
    let judged = if the_default {
        against(ledger, Against::Default, served, host, clock, windows, epoch)
    } else {
        None
    };
    judged.unwrap_or(Judged { verdict: Verdict::Unlisted, expected: None, turn: None })
}

fn against(
    ledger: &mut Index<Seen>,
    entry: Against<'_>,
    served: &Served<'_>,
    host: &impl Host,
    clock: &mut Clock,
    windows: &Windows,
    epoch: u32,
) -> Option<Judged> {
    let found = entry.find(ledger)?;
    let known = if found.expecting.current.iter().any(|e| e.sha256 == served.fingerprint) {
        // The way of nearly all requests: no second look-up, and the tick's time will do.
        let frame = Frame { now: clock.seconds(), windows, epoch };
        return Some(settle(found, served, Verdict::Match, &frame));
    } else if knows(&found.expecting, served) {
        Known::No
    } else {
        ledger.known(&served.fingerprint)
    };
    clock.ask(host);
    let now = clock.seconds();
    let found = entry.find(ledger)?;
    let first_seen = found.state.first_seen(&served.fingerprint).unwrap_or(now);
    let began = served.began.unwrap_or(now);
    let (fingerprint, placeholder) = (served.fingerprint, served.placeholder);
    let sight = verdict::Served { fingerprint, placeholder, began, first_seen };
    let verdict = judge(&sight, &found.expecting, |_| known, now, windows);
    Some(settle(found, served, verdict, &Frame { now, windows, epoch }))
}

/// Remembers what was seen, and tells whether that is a turn.
fn settle(found: Found<'_, Seen>, served: &Served<'_>, verdict: Verdict, frame: &Frame<'_>) -> Judged {
    let Found { listed, expecting, state } = found;
    state.note(served, verdict, frame);
    // A certificate the entry does not know is no end of drift, whoever knows it.
    let over = |seen: &Seen| {
        seen.standing(&expecting, &|_| Known::OtherEntry, frame).is_none_or(|(_, v)| v.healthy())
    };
    let turn = state.turn(verdict, over).map(|turn| (turn, listed.to_owned()));
    Judged { verdict, expected: expecting.current.first().map(|e| e.sha256), turn }
}

/// Whether the entry itself knows what was served.
fn knows(expecting: &Expecting<'_>, served: &Served<'_>) -> bool {
    let mut expected = expecting.current.iter().chain(expecting.incoming);
    expected.any(|e| e.sha256 == served.fingerprint)
        || expecting.retiring.iter().any(|r| r.sha256 == served.fingerprint)
}
