//! What the tap (the nginx include) says of a connection: the variable the filter reads, and the observations of
//! all workers that the controller reads.
//!
//! The variable is one line, written once per connection:
//!
//! ```text
//! v1 KIND BEGAN FINGERPRINT SNI
//! v1 full 1795478400 3f9c…(64 hex) demo.example.com
//! v1 resumed 1795478400 - demo.example.com
//! v1 plain 1795478400 - -
//! ```
use crate::{Fingerprint, UnixTime};
use std::fmt;

/// What kind of connection it is, as far as its certificate goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Kind {
    /// A full handshake: the fingerprint is what was served.
    Full,
    /// A full handshake that served the gateway's placeholder, self-signed for `localhost`.
    Placeholder,
    /// A resumed session: no certificate was presented.
    Resumed,
    /// No TLS.
    Plain,
    /// TLS, but the certificate could not be had.
    Unknown,
}

/// One connection, borrowed from the variable's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// Whether a certificate was presented.
    pub kind: Kind,
    /// When the connection began.
    pub began: UnixTime,
    /// Present for [`Kind::Full`] and [`Kind::Placeholder`].
    pub fingerprint: Option<Fingerprint>,
    /// The server name as the client sent it, unchecked and at most 255 bytes; `None` when it sent none.
    pub sni: Option<&'a [u8]>,
}

/// Why a text is not the tap's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapError {
    /// It does not begin with `v1 `: the tap is of another version, or the variable is somebody else's.
    Version,
    /// Not five fields.
    Fields,
    /// The second field is no kind.
    Kind,
    /// The third field is no time in seconds.
    Began,
    /// The fourth field is no fingerprint, or is missing where the kind needs one.
    Fingerprint,
    /// The server name has over 255 bytes.
    Sni,
}

impl TapError {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Version => {
                "it does not begin with \"v1 \": the tap and the filter are of different versions"
            }
            Self::Fields => "it does not have five fields",
            Self::Kind => "its second field is none of full, placeholder, resumed, plain, unknown",
            Self::Began => "its third field is no time in seconds",
            Self::Fingerprint => "its fourth field is no fingerprint",
            Self::Sni => "its server name has over 255 bytes",
        }
    }
}

impl fmt::Display for TapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for TapError {}

impl<'a> Connection<'a> {
    /// Reads the variable's text; allocates nothing.
    ///
    /// # Errors
    /// Which of its five fields is wrong.
    pub fn parse(text: &'a [u8]) -> Result<Self, TapError> {
        let rest = text.strip_prefix(b"v1 ").ok_or(TapError::Version)?;
        let (kind, rest) = field(rest)?;
        let (began, rest) = field(rest)?;
        // A fingerprint has 64 digits: its field ends where it should, or it is none and the end is looked for.
        let (print, text, sni) =
            match rest.split_at_checked(64).map(|(text, rest)| (Fingerprint::parse(text), rest)) {
                Some((Ok(print), [b' ', sni @ ..])) => (Some(print), &[][..], sni),
                _ => field(rest).map(|(text, sni)| (None, text, sni))?,
            };
        let kind = match kind {
            b"full" => Kind::Full,
            b"placeholder" => Kind::Placeholder,
            b"resumed" => Kind::Resumed,
            b"plain" => Kind::Plain,
            b"unknown" => Kind::Unknown,
            _ => return Err(TapError::Kind),
        };
        if began.is_empty() || began.len() > 12 || !began.iter().all(u8::is_ascii_digit) {
            return Err(TapError::Began);
        }
        // Twelve digits fit; a checked product of 64 bits costs wasm32 a call per digit.
        let began = began
            .iter()
            .fold(0i64, |n, digit| n.wrapping_mul(10).wrapping_add(i64::from(digit.wrapping_sub(b'0'))));
        let fingerprint = match (kind, print, text) {
            (Kind::Full | Kind::Placeholder, Some(_), _) => print,
            (Kind::Resumed | Kind::Plain | Kind::Unknown, None, b"-") => None,
            _ => return Err(TapError::Fingerprint),
        };
        if sni.len() > 255 {
            return Err(TapError::Sni);
        }
        let sni = if sni == b"-" { None } else { Some(sni) };
        Ok(Self { kind, began: UnixTime::from_seconds(began), fingerprint, sni })
    }
}

/// What stands before the first space, and after it.
fn field(text: &[u8]) -> Result<(&[u8], &[u8]), TapError> {
    for (at, byte) in text.iter().enumerate() {
        if *byte == b' '
            && let Some((before, [_, after @ ..])) = text.split_at_checked(at)
        {
            return Ok((before, after));
        }
    }
    Err(TapError::Fields)
}

/// What the tap answers: raw observations of all workers of one pod.
#[cfg(feature = "serde")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TapReport {
    /// `certdrift.dev/tap/v1`
    pub schema: String,
    /// The pod's clock when it answered, seconds since 1970.
    pub now: i64,
    /// The worker that answered.
    pub pid: u32,
    /// How many workers the gateway is configured for; those that served nothing yet may be missing in `workers`.
    pub worker_processes: u32,
    /// The workers that live now, are not shutting down, and have served a request since they started.
    pub workers: Vec<TapWorker>,
    /// What they served.
    pub observations: Vec<TapObservation>,
    /// Connections of which no row could be kept, since the dictionary is full: it needs to be larger.
    pub dropped: u64,
    /// Rows of names no certificate lists, which made room for newer such names. No sign of trouble.
    pub displaced: u64,
}

/// One worker of the gateway.
#[cfg(feature = "serde")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TapWorker {
    /// Its process id in the pod.
    pub pid: u32,
    /// When it started, seconds since 1970.
    pub started: i64,
    /// Connections with a full handshake.
    pub full: u64,
    /// Connections with a resumed session.
    pub resumed: u64,
    /// Connections without TLS.
    pub plain: u64,
    /// TLS connections whose certificate could not be had.
    pub unknown: u64,
}

/// What a row of the tap is about: which names its connections asked for.
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Asked {
    /// `host` is the server name.
    Name,
    /// `host` is a wildcard (`*.parent`): of the certificate, or one a reader asked for; all names it covers together.
    Wildcard,
    /// The clients sent no server name; `host` is `null`.
    None,
    /// Names the certificate does not cover, together; `host` is `null`. Each may have a row of its own besides.
    Uncovered,
}

/// What one worker served for one host.
#[cfg(feature = "serde")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TapObservation {
    /// The worker.
    pub pid: u32,
    /// What `host` stands for.
    pub asked: Asked,
    /// The server name in lower case without a trailing dot, or a wildcard; `null` as [`Asked`] says.
    pub host: Option<String>,
    /// Of the leaf.
    pub sha256: Fingerprint,
    /// Self-signed for `localhost`.
    pub placeholder: bool,
    /// When it was first seen, seconds since 1970.
    pub first_seen: i64,
    /// When it was last seen, seconds since 1970.
    pub last_seen: i64,
    /// When the newest connection that was served it began, seconds since 1970.
    pub began: i64,
    /// Connections counted.
    pub count: u64,
}
