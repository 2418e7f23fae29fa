//! What is secret by its name: `token: …`, `"password": "…"`, `authorization: …`, `bearer …`, `https://user:password@…`.
use super::{BEGIN, Span};

/// A name that ends so has a secret as its value.
const NAMES: [&str; 29] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "private_key",
    "private-key",
    "privatekey",
    "secret_key",
    "secret-key",
    "secretkey",
    "client_secret",
    "client-secret",
    "tls.key",
    "key-data",
    "api_key",
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "hmac",
    "license_data",
    "secret",
    "credential",
    "credentials",
    "auth-key",
    "auth_key",
    "access-key",
    "access_key",
];

/// Of these the value goes on to the end of the line.
const LINES: [&str; 2] = ["authorization", "cookie"];

pub(super) fn cut(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begin = at;
        while bytes.get(at).is_some_and(|byte| is_name(*byte)) {
            at += 1;
        }
        if at == begin {
            if let Some((from, to)) = user(text, at) {
                spans.push(Span::of(from, to, "user and password"));
                at = to;
                continue;
            }
            at += 1;
            continue;
        }
        let name = text.get(begin..at).unwrap_or_default().to_ascii_lowercase();
        let value = match () {
            () if NAMES.iter().any(|secret| name.ends_with(secret)) => value(bytes, at, &name),
            () if name == "bearer" => bearer(bytes, at),
            () => None,
        };
        if let Some((from, to)) = value
            && !text.get(from..to).is_some_and(|value| value.starts_with(BEGIN))
        {
            spans.push(Span::of(from, to, &format!("the value of {}", what(&name))));
            at = to;
        }
    }
    spans
}

/// Of a name that somebody else chose, only the part that is known.
fn what(name: &str) -> &str {
    NAMES.iter().find(|secret| name.ends_with(**secret)).copied().unwrap_or("a bearer token")
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn skip(bytes: &[u8], mut at: usize, is: fn(u8) -> bool) -> usize {
    while bytes.get(at).is_some_and(|byte| is(*byte)) {
        at += 1;
    }
    at
}

/// The quotation mark at a place: how many backslashes escape it, which it is, and behind it.
fn quote(bytes: &[u8], at: usize) -> Option<(usize, u8, usize)> {
    let behind = skip(bytes, at, |byte| byte == b'\\');
    let mark = bytes.get(behind).copied().filter(|byte| matches!(byte, b'"' | b'\''))?;
    Some((behind - at, mark, behind + 1))
}

fn value(bytes: &[u8], at: usize, name: &str) -> Option<(usize, usize)> {
    let blank = |byte| matches!(byte, b' ' | b'\t');
    let at = quote(bytes, at).map_or(at, |(_, _, behind)| behind);
    let at = skip(bytes, at, blank);
    let at = match bytes.get(at)? {
        b':' | b'=' => at + 1,
        // An option and its value, as words or in a list: `--token x`, `"--token", "x"`.
        _ if name.starts_with('-') => skip(bytes, at, |byte| byte == b','),
        _ => return None,
    };
    let at = skip(bytes, at, blank);
    if let Some((escapes, mark, from)) = quote(bytes, at) {
        let to = closing(bytes, from, escapes, mark);
        return (to > from).then_some((from, to));
    }
    let line = LINES.iter().any(|whole| name.ends_with(whole));
    let to = if line {
        skip(bytes, at, |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\'))
    } else {
        skip(bytes, at, |byte| {
            !byte.is_ascii_whitespace()
                && !matches!(
                    byte,
                    b',' | b';' | b'&' | b'"' | b'\'' | b'\\' | b')' | b'}' | b']' | b'<' | b'{' | b'['
                )
        })
    };
    let value = bytes.get(at..to)?;
    // A Secret's name is no secret: `shop/web-tls`.
    let is_object = |value: &[u8]| {
        let is = |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'/')
        };
        name.ends_with("secret")
            && value.iter().filter(|byte| **byte == b'/').count() == 1
            && value.iter().all(is)
    };
    let plain =
        is_object(value) || matches!(value, b"" | b"null" | b"true" | b"false" | b"~" | b"|" | b">" | b"|-");
    (!plain && !value.iter().all(u8::is_ascii_digit)).then_some((at, to))
}

/// Where the string ends that began with so many escapes: at its own mark, or at that of a string around it. Of backslashes before a
/// mark some are escaped ones of the text: JSON doubles them with each level, so that of level 0 the mark has 0 of 2, of level 1 it has
/// 1 of 4, of level 2 it has 3 of 8.
fn closing(bytes: &[u8], from: usize, escapes: usize, mark: u8) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let slashes = skip(bytes, at, |byte| byte == b'\\') - at;
        if bytes.get(at + slashes) == Some(&mark) {
            let levels = [0, 1, 3, 7, 15].into_iter().filter(|level| *level <= escapes);
            let mut own = levels.filter(|level| slashes % (2 * (level + 1)) == *level);
            if let Some(level) = own.next() {
                return at + slashes - level;
            }
        } else if *byte == b'\n' {
            return at;
        }
        at += slashes + 1;
    }
    bytes.len()
}

fn bearer(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let from = skip(bytes, at, |byte| byte == b' ');
    let to = skip(bytes, from, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    });
    (from > at && to >= from + 8).then_some((from, to))
}

/// `://USER:PASSWORD@`, without its marks.
fn user(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?.strip_prefix("://")?;
    let authority =
        rest.find(|c: char| matches!(c, '/' | '?' | '#' | '"' | '\'' | '\\') || c.is_whitespace());
    let to = rest.get(..authority.unwrap_or(rest.len()))?.rfind('@')?;
    let from = at + "://".len();
    (to > 0 && !rest.starts_with(BEGIN)).then_some((from, from + to))
}
