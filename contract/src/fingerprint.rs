//! The SHA-256 of a leaf certificate's DER.
use std::fmt;
use std::str::FromStr;

/// SHA-256 of a leaf's DER encoding; written as 64 lower-case hex digits everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why a text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintError {
    /// It does not have 64 characters (bytes); holds how many it has.
    Length(usize),
    /// The byte at this offset (from 0) is no lower-case hex digit.
    Digit(usize),
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(n) => write!(f, "a fingerprint has 64 lower-case hex digits, this has {n} bytes"),
            Self::Digit(at) => write!(f, "a fingerprint has lower-case hex digits only, byte {at} is none"),
        }
    }
}

impl std::error::Error for FingerprintError {}

impl Fingerprint {
    /// Wraps a digest that was computed elsewhere.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The fingerprint of a certificate: SHA-256 of its DER bytes. Also used for the digest of a ledger part.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(der).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads exactly 64 lower-case hex digits; allocates nothing.
    ///
    /// # Errors
    /// Another length, or a byte that is no lower-case hex digit.
    pub fn parse(text: &[u8]) -> Result<Self, FingerprintError> {
        if text.len() != 64 {
            return Err(FingerprintError::Length(text.len()));
        }
        // Plain iterators: the module is built for size, and each adapter would be a call per byte (tests/budget.json).
        let mut out = [0u8; 32];
        let mut digits = text.iter();
        for byte in &mut out {
            let (Some(high), Some(low)) = (digits.next(), digits.next()) else {
                return Err(FingerprintError::Length(text.len()));
            };
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                let at = text.iter().position(|byte| digit(*byte).is_none()).unwrap_or_default();
                return Err(FingerprintError::Digit(at));
            };
            *byte = (high << 4) | low;
        }
        Ok(Self(out))
    }

    /// The first 16 hex digits, as the header shows it.
    #[must_use]
    pub fn short(&self) -> Short {
        Short(*self)
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

/// A fingerprint shown by its first 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short(Fingerprint);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, self.0.0.split_at(8).0)
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    use fmt::Write as _;
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            f.write_char(DIGITS.get(usize::from(nibble)).copied().unwrap_or('0'))?;
        }
    }
    Ok(())
}

#[cfg(feature = "serde")]
mod by_serde {
    use super::Fingerprint;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    impl Serialize for Fingerprint {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Fingerprint {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
            text.parse().map_err(serde::de::Error::custom)
        }
    }
}
