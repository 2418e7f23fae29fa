//! The SHA-256 of a leaf certificate's DER.
use std::fmt;
use std::str::FromStr;

/// SHA-256 of a leaf's DER encoding; written as 64 lower-case hex digits everywhere.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// By eight bytes at a time: a derived comparison is wasm32's `memcmp`, which goes byte by byte, and each request
/// compares some (tests/budget.json).
impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.0.as_chunks::<8>().0, other.0.as_chunks::<8>().0);
        ours.iter().zip(theirs).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
    }
}

impl std::hash::Hash for Fingerprint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

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
        let Ok(digits) = <&[u8; 64]>::try_from(text) else {
            return Err(FingerprintError::Length(text.len()));
        };
        let mut out = [0u8; 32];
        for (digits, bytes) in digits.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
            let Some(four) = eight_digits(*digits) else {
                let at = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                return Err(FingerprintError::Digit(at.unwrap_or_default()));
            };
            *bytes = four;
        }
        Ok(Self(out))
    }

    /// The first 16 hex digits, as the header shows it.
    #[must_use]
    pub fn short(&self) -> Short {
        Short(*self)
    }
}

/// The four bytes that eight lower-case hex digits stand for. All eight at once, each in its byte of one word: digit
/// by digit, this was a third of what a request costs.
const fn eight_digits(digits: [u8; 8]) -> Option<[u8; 4]> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH << 7;
    /// The top bit of each byte that is `least` or more; the bytes are below 128.
    const fn from(text: u64, least: u8) -> u64 {
        text.wrapping_add(EACH.wrapping_mul(0x80_u8.wrapping_sub(least) as u64)) & TOP
    }
    let text = u64::from_le_bytes(digits);
    let number = from(text, b'0') & !from(text, b'9'.wrapping_add(1));
    let letter = from(text, b'a') & !from(text, b'f'.wrapping_add(1));
    if text & TOP != 0 || number | letter != TOP {
        return None;
    }
    // 'a' ends in 1, and is ten.
    let halves = (text & EACH.wrapping_mul(15)).wrapping_add((letter >> 7).wrapping_mul(9));
    let bytes = (halves << 4 | halves >> 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    let [a, b, c, d, ..] = (pairs | pairs >> 16).to_le_bytes();
    Some([a, b, c, d])
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
            // A ledger is mostly fingerprints: digit by digit through a formatter costs many times as much.
            let mut text = [b'0'; 64];
            for (two, byte) in text.chunks_exact_mut(2).zip(self.0) {
                for (digit, nibble) in two.iter_mut().zip([byte >> 4, byte & 15]) {
                    *digit = match nibble {
                        0..=9 => b'0'.wrapping_add(nibble),
                        _ => b'a'.wrapping_sub(10).wrapping_add(nibble),
                    };
                }
            }
            to.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
        }
    }

    impl<'de> Deserialize<'de> for Fingerprint {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
            text.parse().map_err(serde::de::Error::custom)
        }
    }
}
