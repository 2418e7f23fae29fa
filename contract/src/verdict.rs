//! The verdict of an observation: the table of design.md section 4, in its order.
use crate::ledger::{Expected, Retiring};
use crate::{Fingerprint, UnixTime};
use std::fmt;

/// A fingerprint the ledger does not know is `ahead`, not drift, for so many seconds: the ledger may be slower than the gateway.
pub const AHEAD_WINDOW: i64 = 180;
/// Clocks of gateway and controller may differ by so many seconds.
pub const SKEW_TOLERANCE: i64 = 5;

/// How an observation was made; it always travels with the observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Evidence {
    /// A full TLS handshake of ours.
    Handshake,
    /// The filter, from the gateway's own TLS connection.
    Filter,
    /// The nginx include, from the gateway's own TLS connection.
    Tap,
    /// What the gateway was configured with: never proof.
    Declared,
}

impl Evidence {
    /// As header, report and status show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Filter => "filter",
            Self::Tap => "tap",
            Self::Declared => "declared",
        }
    }

    /// Whether a `match` by this evidence proves anything.
    #[must_use]
    pub const fn proves(self) -> bool {
        !matches!(self, Self::Declared)
    }
}

/// What is served when it is drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DriftClass {
    /// A predecessor whose grace is over.
    Previous,
    /// What another entry expects.
    Other,
    /// The gateway's default certificate, or a placeholder.
    Default,
    /// None of these.
    Unknown,
}

impl DriftClass {
    /// All of them, in the order of metrics.
    pub const ALL: [Self; 4] = [Self::Previous, Self::Other, Self::Default, Self::Unknown];

    /// As header, report, status and metrics show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Previous => "previous",
            Self::Other => "other",
            Self::Default => "default",
            Self::Unknown => "unknown",
        }
    }
}

/// Of one observation. Ordered from best to worst, so that the worst is the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Plain HTTP, a resumed session, or the host does not tell: not judged, counted.
    Unobserved,
    /// The ledger does not list the host: not judged, counted.
    Unlisted,
    /// Served what is expected.
    Match,
    /// Served what is issued and on its way.
    Incoming,
    /// Served the predecessor within its grace.
    Retiring,
    /// Served the predecessor after its grace, on a connection that began within it.
    Carried,
    /// Served what the ledger does not know, for less than [`AHEAD_WINDOW`].
    Ahead,
    /// Served what it should not.
    Drift(DriftClass),
}

impl Verdict {
    /// As report, status and logs show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unobserved => "unobserved",
            Self::Unlisted => "unlisted",
            Self::Match => "match",
            Self::Incoming => "incoming",
            Self::Retiring => "retiring",
            Self::Carried => "carried",
            Self::Ahead => "ahead",
            Self::Drift(_) => "drift",
        }
    }

    /// Whether the observation was judged at all.
    #[must_use]
    pub const fn judged(self) -> bool {
        !matches!(self, Self::Unobserved | Self::Unlisted)
    }

    /// False for drift alone: unobserved and unlisted are not judged, which is not unhealthy.
    #[must_use]
    pub const fn healthy(self) -> bool {
        !matches!(self, Self::Drift(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift(class) => write!(f, "drift ({})", class.as_str()),
            other => f.write_str(other.as_str()),
        }
    }
}

/// What was served, and what is known of the circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// Of the leaf.
    pub fingerprint: Fingerprint,
    /// The gateway's placeholder: self-signed for `localhost`.
    pub placeholder: bool,
    /// When the connection began.
    pub began: UnixTime,
    /// When this fingerprint was first seen for this host.
    pub first_seen: UnixTime,
}

/// The expectation that answers for a host.
#[derive(Clone, Copy, Debug)]
pub struct Expecting<'a> {
    /// Expected now.
    pub current: &'a [Expected],
    /// On its way.
    pub incoming: &'a [Expected],
    /// Predecessors, newest first.
    pub retiring: &'a [Retiring],
}

/// To whom else in the ledger a fingerprint belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// To nobody: the ledger does not know it.
    No,
    /// To another entry (current, incoming or retiring).
    OtherEntry,
    /// To the gateway's default entry.
    Default,
}

/// The periods a verdict depends on, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// See [`AHEAD_WINDOW`].
    pub ahead: i64,
    /// See [`SKEW_TOLERANCE`].
    pub skew: i64,
}

impl Default for Windows {
    fn default() -> Self {
        Self { ahead: AHEAD_WINDOW, skew: SKEW_TOLERANCE }
    }
}

/// Judges what was served for a host the ledger lists. `known` is asked only when the entry itself does not know the fingerprint.
#[must_use]
pub fn judge(
    served: &Served,
    expecting: &Expecting<'_>,
    known: impl FnOnce(&Fingerprint) -> Known,
    now: UnixTime,
    windows: &Windows,
) -> Verdict {
    let is = |expected: &Expected| expected.sha256 == served.fingerprint;
    if expecting.current.iter().any(is) {
        return Verdict::Match;
    }
    if expecting.incoming.iter().any(is) {
        return Verdict::Incoming;
    }
    if let Some(retiring) = expecting.retiring.iter().find(|r| r.sha256 == served.fingerprint) {
        let began_within_grace = served.began.since(retiring.until) < windows.skew;
        return match (began_within_grace, now < retiring.until) {
            (true, true) => Verdict::Retiring,
            (true, false) => Verdict::Carried,
            (false, _) => Verdict::Drift(DriftClass::Previous),
        };
    }
    match known(&served.fingerprint) {
        Known::Default => Verdict::Drift(DriftClass::Default),
        Known::OtherEntry => Verdict::Drift(DriftClass::Other),
        // A placeholder is no renewal that the ledger could be late for.
        Known::No if served.placeholder => Verdict::Drift(DriftClass::Default),
        Known::No if now.since(served.first_seen) < windows.ahead => Verdict::Ahead,
        Known::No => Verdict::Drift(DriftClass::Unknown),
    }
}
