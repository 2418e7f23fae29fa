//! Reads what came back for a call: a body that is whole, "not modified", or why it is neither.
use crate::host::{Host, Map};
use crate::metrics::PollResult;
use certdrift_contract::json::Limits;

/// A good answer.
#[derive(Debug)]
pub enum Answer {
    /// 304
    NotModified,
    /// 200
    Body {
        /// All of it.
        body: Vec<u8>,
        /// Empty where there is none that could be sent back.
        etag: String,
    },
}

/// Reads the answer that is being called back, of so many headers and so many bytes of body.
///
/// # Errors
/// How the poll of this location ended, and why.
pub fn read(host: &impl Host, headers: usize, body: usize) -> Result<Answer, (PollResult, String)> {
    let header = |name: &str| host.header(Map::Call, name).ok().flatten();
    if headers == 0 {
        // Refused, timed out, name not resolved: the callback comes all the same (kong-host-notes).
        return Err((PollResult::Unreachable, "nobody answered".to_owned()));
    }
    match header(":status").as_deref() {
        Some(b"304") => return Ok(Answer::NotModified),
        Some(b"200") => {}
        Some(other) => {
            let code = other.iter().take(3).filter(|b| b.is_ascii_digit()).map(|b| char::from(*b));
            return Err((PollResult::Unreachable, "it answered ".chars().chain(code).collect()));
        }
        None => return Err((PollResult::Unreachable, "it answered without a status".to_owned())),
    }
    let bad = |what: &str| Err((PollResult::Bad, what.to_owned()));
    // A close-delimited response comes as 200 with an empty body, and the body of one whose sender closed early
    // must not be asked for (kong-host-notes, traps 3 and 4).
    if body == 0 {
        return bad("the answer is empty");
    }
    if body > Limits::default().bytes {
        return bad("the answer is longer than the limit");
    }
    let promised =
        header("content-length").and_then(|text| std::str::from_utf8(&text).ok()?.parse::<usize>().ok());
    if promised.is_some_and(|promised| promised != body) {
        return bad("the answer is shorter than it says");
    }
    match host.call_body(body) {
        Err(status) => Err((
            PollResult::Bad,
            format!("the gateway does not give the answer's body (status {})", status.0),
        )),
        Ok(text) if text.len() != body => bad("the answer's body is not whole"),
        Ok(text) => Ok(Answer::Body { body: text, etag: header("etag").and_then(etag).unwrap_or_default() }),
    }
}

/// An ETag that can be sent back.
fn etag(text: Vec<u8>) -> Option<String> {
    let good = text.len() <= 256 && text.iter().all(|b| b.is_ascii_graphic());
    if good { String::from_utf8(text).ok() } else { None }
}
