//! PEM blocks of every kind, in whatever they were written: lines, one string with `\n`, a list of strings, log lines with a prefix.
use super::Span;
use super::opaque::{Unit, unit};

/// A longer block has no end that belongs to it.
const LONGEST: usize = 128 << 10;
const WORDS: &str = "a PEM block";

pub(super) fn cut(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(from) = text.get(at..).and_then(|rest| rest.find("-----BEGIN ")).map(|found| at + found) {
        let inner = from + "-----BEGIN ".len();
        let Some(to) = end(text, inner) else {
            // Torn: its lines are recognised by their look.
            at = inner;
            continue;
        };
        let block = text.get(from..to).unwrap_or_default();
        if is_one_string(block) {
            spans.push(Span::of(from, to, WORDS));
        } else {
            within(text, from, to, &mut spans);
        }
        at = to;
    }
    spans
}

/// Behind the last dash of its end.
fn end(text: &str, inner: usize) -> Option<usize> {
    let rest = text.get(inner..)?;
    let end = rest.find("-----END ").filter(|end| *end < LONGEST)?;
    let label = rest.get(end + "-----END ".len()..)?;
    let dashes = label.find("-----").filter(|length| *length < 64)?;
    Some(inner + end + "-----END ".len() + dashes + "-----".len())
}

/// Whether no quotation mark ends a string in it. One that is escaped does too: then the string is JSON in JSON.
fn is_one_string(block: &str) -> bool {
    !block.contains('"')
}

/// Takes only what can be base64 and leaves what holds it together, so that JSON stays JSON. Numbers, `true` and `null` stay:
/// nothing of a key can be read from them.
fn within(text: &str, from: usize, to: usize, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let (mut at, mut first) = (from, true);
    while at < to {
        let begin = at;
        while at < to {
            match unit(bytes, at) {
                (Unit::Char(_), length) => at += length,
                _ => break,
            }
        }
        if at > begin {
            let token = text.get(begin..at).unwrap_or_default();
            let is_value = matches!(token, "true" | "false" | "null");
            if !is_value && !token.bytes().all(|byte| byte.is_ascii_digit()) {
                let mut span = Span::of(begin, at, WORDS);
                if !std::mem::take(&mut first) {
                    (span.by, span.counts) = (String::new(), false);
                }
                spans.push(span);
            }
        } else {
            at += unit(bytes, at).1;
        }
    }
}
