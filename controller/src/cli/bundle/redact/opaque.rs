//! What looks like a key or a token by itself: random base64, long hex, a list of bytes.
use super::Span;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A line of a PEM block is longer, a name with capitals and digits hardly ever.
const SHORTEST: usize = 32;
/// A fingerprint has 64 hex digits, and stays.
const LONGEST_HEX: usize = 64;
/// A wrapped line: what stands alone on the next one is its rest.
const WRAPPED: usize = 48;
/// A shorter list of numbers is no key.
const SHORTEST_LIST: usize = 32;
const WORDS: &str = "what may be a key or a token";

/// What stands at a place, as a reader of base64 takes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A character of base64 of either alphabet, `=` included.
    Char(u8),
    /// The end of a line, as it is or escaped.
    Break,
    /// Anything else.
    Other,
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// The unit at a place and its length in bytes: JSON's and URLs' escapes are one. Of other text it is a whole character.
pub(super) fn unit(text: &[u8], at: usize) -> (Unit, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let Some(first) = rest.first().copied() else { return (Unit::Other, 1) };
    match first {
        b'\n' | b'\r' => (Unit::Break, 1),
        b'\\' => {
            // JSON in JSON has several.
            let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
            match rest.get(slashes) {
                Some(b'n' | b'r' | b't') => (Unit::Break, slashes + 1),
                Some(b'/') => (Unit::Char(b'/'), slashes + 1),
                Some(b'u') => match hex(rest.get(slashes + 1..slashes + 5)) {
                    Some(byte @ (b'+' | b'/' | b'=')) => (Unit::Char(byte), slashes + 5),
                    Some(b'\n' | b'\r') => (Unit::Break, slashes + 5),
                    _ => (Unit::Other, slashes),
                },
                _ => (Unit::Other, slashes),
            }
        }
        b'%' => match hex(rest.get(1..3)) {
            Some(byte @ (b'+' | b'/' | b'=')) => (Unit::Char(byte), 3),
            Some(b'\n' | b'\r') => (Unit::Break, 3),
            _ => (Unit::Other, 1),
        },
        byte if is_base64(byte) => (Unit::Char(byte), 1),
        byte if byte < 0x80 => (Unit::Other, 1),
        _ => {
            let rest = rest.get(1..).unwrap_or_default();
            (Unit::Other, 1 + rest.iter().take_while(|byte| **byte & 0xc0 == 0x80).count())
        }
    }
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    let text = std::str::from_utf8(digits?).ok()?;
    u32::from_str_radix(text, 16).ok().and_then(|value| u8::try_from(value).ok())
}

/// Characters that stand together.
struct Piece {
    from: usize,
    to: usize,
    chars: Vec<u8>,
    /// Begins a line, after nothing but white space.
    first: bool,
    /// Ends one.
    last: bool,
}

pub(super) fn cut(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    // How long the line above was, if it was cut and nothing stood behind it.
    let mut above = 0;
    for piece in pieces(text.as_bytes()) {
        let rest_of_it = above >= WRAPPED && piece.first && piece.last;
        if is_opaque(&piece.chars) || rest_of_it {
            let cut = Span::of(piece.from, piece.to, WORDS);
            spans.push(Span {
                counts: !rest_of_it,
                by: if rest_of_it { String::new() } else { cut.by },
                ..cut
            });
            above = if piece.last { piece.chars.len() } else { 0 };
        } else {
            above = 0;
        }
    }
    spans.extend(lists(text));
    spans.sort_by_key(|span| span.from);
    spans
}

fn pieces(text: &[u8]) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    let mut open: Option<Piece> = None;
    // At the start of a line, or of a string.
    let (mut at, mut fresh, mut padded) = (0, true, false);
    while at < text.len() {
        let (unit, length) = unit(text, at);
        match unit {
            Unit::Char(byte) => {
                if padded && byte != b'=' {
                    all.extend(open.take());
                }
                let first = std::mem::take(&mut fresh);
                let piece = open.get_or_insert_with(|| Piece {
                    from: at,
                    to: at,
                    chars: Vec::new(),
                    first,
                    last: false,
                });
                piece.chars.push(byte);
                piece.to = at + length;
                padded = byte == b'=';
            }
            Unit::Break => {
                if let Some(piece) = &mut open {
                    piece.last = true;
                }
                all.extend(open.take());
                (fresh, padded) = (true, false);
            }
            Unit::Other => {
                let byte = text.get(at).copied().unwrap_or_default();
                let quote = matches!(byte, b'"' | b'\'' | b'\\');
                if let Some(piece) = &mut open {
                    piece.last = quote;
                }
                all.extend(open.take());
                // White space leaves a line fresh.
                fresh = (fresh && matches!(byte, b' ' | b'\t')) || quote;
                padded = false;
            }
        }
        at += length;
    }
    if let Some(piece) = &mut open {
        piece.last = true;
    }
    all.extend(open);
    // What has the marks of both alphabets is a path or a name, with what is base64 between its dashes.
    all.into_iter().flat_map(apart).collect()
}

fn apart(piece: Piece) -> Vec<Piece> {
    let has = |marks: &[u8]| piece.chars.iter().any(|byte| marks.contains(byte));
    let one_byte_each = piece.to - piece.from == piece.chars.len();
    if !(has(b"+/") && has(b"-_") && one_byte_each) {
        return vec![piece];
    }
    // A token of one alphabet may stand between the marks of the other: whatever is one by either way of taking it apart.
    let mut opaque = vec![false; piece.chars.len()];
    for marks in [b"-_", b"+/"] {
        let mut from = 0;
        for part in piece.chars.split(|byte| marks.contains(byte)) {
            if is_opaque(part) {
                opaque.iter_mut().skip(from).take(part.len()).for_each(|of| *of = true);
            }
            from += part.len() + 1;
        }
    }
    let mut all: Vec<Piece> = Vec::new();
    let mut begun = None;
    for (at, (byte, is)) in piece.chars.iter().zip(&opaque).enumerate() {
        // What is none by any way is taken in small pieces: together they would look like one.
        let is_mark = !is && matches!(byte, b'+' | b'/' | b'-' | b'_');
        if begun != Some(*is) || is_mark {
            let from = piece.from + at;
            all.push(Piece { from, to: from, chars: Vec::new(), first: false, last: false });
            begun = Some(*is);
        }
        if let Some(part) = all.last_mut() {
            part.chars.push(*byte);
            part.to += 1;
        }
    }
    if let Some(part) = all.last_mut() {
        part.last = piece.last;
    }
    all
}

fn is_opaque(chars: &[u8]) -> bool {
    if chars.iter().all(u8::is_ascii_hexdigit) {
        return chars.len() > LONGEST_HEX;
    }
    let has = |is: fn(&u8) -> bool| chars.iter().any(is);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    (chars.len() >= SHORTEST && mixed) || is_key(chars)
}

/// Whether it is the base64 of the beginning of a private key: PKCS#8, PKCS#1 or SEC1 are a SEQUENCE that begins with the INTEGER 0
/// or 1 (RFC 5958, RFC 8017 A.1.2, RFC 5915).
fn is_key(chars: &[u8]) -> bool {
    if chars.len() < 20 {
        return false;
    }
    let lax = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    // Sixteen characters are twelve bytes; a header has at most seven.
    let head = chars.get(..16).unwrap_or_default();
    [&STANDARD, &URL_SAFE].into_iter().any(|alphabet| {
        let Ok(der) = GeneralPurpose::new(alphabet, lax).decode(head) else { return false };
        let body = match der.as_slice() {
            [0x30, length, body @ ..] if *length < 0x80 => body,
            [0x30, 0x81, _, body @ ..] | [0x30, 0x82, _, _, body @ ..] => body,
            _ => return false,
        };
        matches!(body, [0x02, 0x01, 0 | 1, 0x02 | 0x04 | 0x30, ..])
    })
}

/// Lists of bytes in decimal, as `{:?}` writes them.
fn lists(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(from) = text.get(at..).and_then(|rest| rest.find('[')).map(|found| at + found + 1) {
        let inner = text.get(from..).unwrap_or_default();
        let is_list = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ' | '\n' | '\t');
        let length = inner.find(|c| !is_list(c)).unwrap_or(inner.len());
        let list = inner.get(..length).unwrap_or_default();
        let numbers: Vec<Option<u16>> = list.split(',').map(|number| number.trim().parse().ok()).collect();
        let bytes = numbers.iter().flatten().filter(|number| **number < 256).count();
        // A last one may have been torn off.
        if bytes >= SHORTEST_LIST && bytes + 1 >= numbers.len() && !numbers.iter().flatten().is_sorted() {
            let mut span = Span::of(from, from + length, "a list of bytes");
            span.by = format!("\"{}\"", span.by);
            spans.push(span);
        }
        at = from + length;
    }
    spans
}
