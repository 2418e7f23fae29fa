//! TLS server names: concrete ones as a client sends them, and patterns as a ledger lists them.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;

/// The longest name DNS allows, without the trailing dot.
pub const MAX_NAME: usize = 253;
/// The longest label DNS allows.
pub const MAX_LABEL: usize = 63;

/// A concrete host name: lower case, no trailing dot, A-labels; or an IP address in its canonical text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

/// A host as the ledger lists it: a name, `*.parent`, `name.*`, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern(Arc<str>);

/// Which of the forms a [`HostPattern`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A concrete name or IP address.
    Exact,
    /// `*.parent`
    LeadingWildcard,
    /// `name.*`
    TrailingWildcard,
    /// `*`
    Any,
}

/// Why a text is no host name or pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Nothing is left once the trailing dot is off.
    Empty,
    /// Over 253 bytes.
    TooLong,
    /// A label is empty (`a..b`, a leading dot).
    EmptyLabel,
    /// A label has over 63 bytes.
    LabelTooLong,
    /// Not ASCII: internationalised names are turned into A-labels (`xn--…`) before they come here.
    NotAscii,
    /// A byte other than letters, digits, `-` and `_`.
    Byte(u8),
    /// A label begins or ends with `-`.
    Hyphen,
    /// A `*` that is not the whole first or the whole last label, or more than one, or one in a concrete name.
    Wildcard,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the host name is empty"),
            Self::TooLong => write!(f, "the host name has over {MAX_NAME} bytes"),
            Self::EmptyLabel => f.write_str("the host name has an empty label"),
            Self::LabelTooLong => write!(f, "a label of the host name has over {MAX_LABEL} bytes"),
            Self::NotAscii => f.write_str("the host name is not ASCII; write it with A-labels (xn--…)"),
            Self::Byte(b) => write!(f, "the host name has the byte 0x{b:02x}"),
            Self::Hyphen => f.write_str("a label of the host name begins or ends with a hyphen"),
            Self::Wildcard => f.write_str("a * stands alone as the first or as the last label, once"),
        }
    }
}

impl std::error::Error for HostError {}

/// What [`LOWER`] has for a byte that no name has.
const NONE: u8 = 0;

/// A byte as it stands in a name: letters in lower case, digits, `-`, `_` and `.` as they are, [`NONE`] for all
/// others. A table, since every request's name goes through it.
const LOWER: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut left: &mut [u8] = &mut table;
    let mut byte: u8 = 0;
    while let Some((slot, rest)) = left.split_first_mut() {
        if matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.') {
            *slot = byte.to_ascii_lowercase();
        }
        byte = byte.wrapping_add(1);
        left = rest;
    }
    table
};

/// Takes one trailing dot off and lowers the case, into `buffer`; checks that it is a name. No allocation.
///
/// # Errors
/// What the text breaks, as [`HostError`] says.
pub fn normalize<'b>(text: &[u8], buffer: &'b mut [u8; MAX_NAME]) -> Result<&'b str, HostError> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if is_ip(text) {
        let out = buffer.get_mut(..text.len()).ok_or(HostError::TooLong)?;
        out.copy_from_slice(text);
        out.make_ascii_lowercase();
        return std::str::from_utf8(out).map_err(|_| HostError::NotAscii);
    }
    let out = buffer.get_mut(..text.len()).ok_or(HostError::TooLong)?;
    let mut label: usize = 0;
    let mut before = b'.';
    for (byte, slot) in text.iter().zip(out.iter_mut()) {
        let lower = LOWER.get(usize::from(*byte)).copied().unwrap_or(NONE);
        match lower {
            b'.' if label == 0 => return Err(HostError::EmptyLabel),
            b'.' if before == b'-' => return Err(HostError::Hyphen),
            b'.' => label = 0,
            b'-' if label == 0 => return Err(HostError::Hyphen),
            NONE => {
                return Err(match byte {
                    b'*' => HostError::Wildcard,
                    128.. => HostError::NotAscii,
                    other => HostError::Byte(*other),
                });
            }
            _ => {
                label = label.saturating_add(1);
                if label > MAX_LABEL {
                    return Err(HostError::LabelTooLong);
                }
            }
        }
        *slot = lower;
        before = lower;
    }
    if label == 0 {
        return Err(HostError::EmptyLabel);
    }
    if before == b'-' {
        return Err(HostError::Hyphen);
    }
    std::str::from_utf8(out).map_err(|_| HostError::NotAscii)
}

/// Whether the text is an IP address (no brackets, no zone).
#[must_use]
pub fn is_ip(text: &[u8]) -> bool {
    // Cheap look before the parser: an address ends in a digit, or has a colon and ends in one or in a hex digit.
    let maybe = match text.last() {
        Some(b'0'..=b'9') => true,
        Some(b'a'..=b'f' | b'A'..=b'F' | b':') => text.contains(&b':'),
        _ => false,
    };
    maybe && std::str::from_utf8(text).is_ok_and(|t| t.parse::<std::net::IpAddr>().is_ok())
}

/// An address as the standard library writes it (RFC 5952); its own code takes 2 KB of the filter's module.
fn canonical(ip: IpAddr) -> String {
    let mut out = String::new();
    let segments = match ip {
        IpAddr::V4(v4) => {
            dotted(v4, &mut out);
            return out;
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => {
                out.push_str("::ffff:");
                dotted(v4, &mut out);
                return out;
            }
            None => v6.segments(),
        },
    };
    // The longest run of zeros, the first of several, if it has two or more: where it begins, how long it is.
    let (mut longest, mut run) = ((0usize, 1usize), (0usize, 0usize));
    for (at, segment) in segments.iter().enumerate() {
        run = match (segment, run) {
            (0, (_, 0)) => (at, 1),
            (0, (begin, length)) => (begin, length.saturating_add(1)),
            _ => (0, 0),
        };
        if run.1 > longest.1 {
            longest = run;
        }
    }
    for (at, segment) in segments.iter().enumerate() {
        if longest.1 > 1 && (longest.0..longest.0.saturating_add(longest.1)).contains(&at) {
            if at == longest.0 {
                out.push_str("::");
            }
            continue;
        }
        if !out.is_empty() && !out.ends_with(':') {
            out.push(':');
        }
        let mut begun = false;
        for shift in [12, 8, 4, 0] {
            let digit = u32::from(*segment) >> shift & 15;
            begun |= digit != 0 || shift == 0;
            if begun {
                out.extend(char::from_digit(digit, 16));
            }
        }
    }
    out
}

fn dotted(v4: Ipv4Addr, out: &mut String) {
    for (position, octet) in v4.octets().iter().enumerate() {
        if position > 0 {
            out.push('.');
        }
        out.push_str(&octet.to_string());
    }
}

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an IP address: clients send no SNI for one.
    #[must_use]
    pub fn is_ip(&self) -> bool {
        is_ip(self.0.as_bytes())
    }
}

impl FromStr for HostName {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        let plain = text.strip_suffix('.').unwrap_or(text);
        if let Ok(ip) = plain.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            return Ok(Self(canonical(ip).into()));
        }
        let mut buffer = [0u8; MAX_NAME];
        normalize(text.as_bytes(), &mut buffer).map(|name| Self(name.into()))
    }
}

impl HostPattern {
    /// The pattern as the ledger writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text, to be kept without being copied.
    #[must_use]
    pub const fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Which form it has.
    #[must_use]
    pub fn form(&self) -> Form {
        match &*self.0 {
            "*" => Form::Any,
            p if p.starts_with("*.") => Form::LeadingWildcard,
            p if p.ends_with(".*") => Form::TrailingWildcard,
            _ => Form::Exact,
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        let plain = text.strip_suffix('.').unwrap_or(text);
        if plain == "*" {
            return Ok(Self("*".into()));
        }
        if plain.len() > MAX_NAME {
            return Err(HostError::TooLong);
        }
        if let Some(parent) = plain.strip_prefix("*.") {
            let parent = dns_name(parent)?;
            return Ok(Self(format!("*.{parent}").into()));
        }
        if let Some(stem) = plain.strip_suffix(".*") {
            let stem = dns_name(stem)?;
            return Ok(Self(format!("{stem}.*").into()));
        }
        text.parse::<HostName>().map(|name| Self(name.0))
    }
}

/// A DNS name (never an IP address) beside a wildcard label.
fn dns_name(text: &str) -> Result<HostName, HostError> {
    if text.ends_with('.') {
        return Err(HostError::EmptyLabel);
    }
    let name = text.parse::<HostName>()?;
    if name.is_ip() { Err(HostError::Wildcard) } else { Ok(name) }
}

impl From<HostName> for HostPattern {
    fn from(name: HostName) -> Self {
        Self(name.0)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "serde")]
mod by_serde {
    use super::{HostName, HostPattern};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    macro_rules! as_text {
        ($($name:ident),*) => {$(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    to.serialize_str(self.as_str())
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }
        )*};
    }
    as_text!(HostName, HostPattern);
}
