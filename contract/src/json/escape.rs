//! The escapes of a JSON string (RFC 8259 section 7).
use super::ParseError;

/// What a string says; `raw` is what stands between the quotes and `start` where that begins in the document.
///
/// # Errors
/// There is no such escape, or half a surrogate pair.
pub(super) fn unescape(raw: &str, start: usize) -> Result<String, ParseError> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let at = start.saturating_add(raw.len().saturating_sub(escape.len()));
        let broken = || ParseError::at(String::new(), at, "no such escape");
        let mut chars = escape.chars();
        let character = match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => unicode(&mut chars).ok_or_else(broken)?,
            Some(c @ ('"' | '\\' | '/')) => c,
            _ => return Err(broken()),
        };
        out.push(character);
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

/// Reads `XXXX`, or `XXXX\uXXXX` for a surrogate pair.
fn unicode(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = code_unit(chars)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first);
    }
    if chars.next() != Some('\\') || chars.next() != Some('u') {
        return None;
    }
    let second = code_unit(chars)?;
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    // RFC 8259 section 7: 0x10000 plus ten bits of each.
    char::from_u32(0x1_0000_u32.wrapping_add((first & 0x3FF) << 10).wrapping_add(second & 0x3FF))
}

fn code_unit(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut value = 0;
    for _ in 0..4 {
        value = (value << 4) | chars.next()?.to_digit(16)?;
    }
    Some(value)
}
