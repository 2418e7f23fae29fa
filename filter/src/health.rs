//! Health: which path is asked for, what it answers.
use crate::config::Configuration;
use certdrift_contract::names::path;

/// What is asked for under the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `livez`
    Livez,
    /// `readyz`
    Readyz,
    /// `healthz`
    Healthz,
    /// `report`
    Report(Hosts),
    /// Something else.
    Unknown,
}

/// Which hosts a report lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Those that were seen and are not in `match`.
    Trouble,
    /// All the ledger lists.
    All,
    /// These, by `?hosts=a,b`.
    Named(Vec<String>),
}

/// At most so many hosts can be asked for by name.
const MAX_NAMED: usize = 256;

/// What is asked for, when the path is under the prefix; a prefix ends where a segment does.
#[must_use]
pub fn route(prefix: &str, target: &[u8]) -> Option<Route> {
    let rest = target.strip_prefix(prefix.as_bytes())?;
    let (place, query) = match rest.iter().position(|b| *b == b'?') {
        Some(at) => (rest.get(..at)?, rest.get(at.saturating_add(1)..)?),
        None => (rest, &[][..]),
    };
    if !place.is_empty() && !place.starts_with(b"/") {
        return None;
    }
    let name = place.get(1..).unwrap_or_default();
    Some(if name == path::LIVEZ.as_bytes() {
        Route::Livez
    } else if name == path::READYZ.as_bytes() {
        Route::Readyz
    } else if name == path::HEALTHZ.as_bytes() {
        Route::Healthz
    } else if name == path::REPORT.as_bytes() {
        Route::Report(hosts(query))
    } else {
        Route::Unknown
    })
}

fn hosts(query: &[u8]) -> Hosts {
    let Some(wanted) = query.split(|b| *b == b'&').find_map(|pair| pair.strip_prefix(b"hosts=")) else {
        return Hosts::Trouble;
    };
    let wanted = decoded(wanted);
    if wanted == "all" {
        return Hosts::All;
    }
    let names = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
    Hosts::Named(names.take(MAX_NAMED).map(|name| name.to_ascii_lowercase()).collect())
}

/// Percent-decoded; an escape that is none stays as it is, and what is not UTF-8 then is nothing.
fn decoded(text: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let code = tail.get(..2).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(code) => {
                out.push(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => out.push(*byte),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The headers of every health answer.
pub const HEADERS: [(&str, &str); 2] = [("content-type", "application/json"), ("cache-control", "no-store")];

/// Whether a client may see health, by its peer address or its token; each is asked for only if needed.
pub fn allowed(
    config: &Configuration,
    peer: impl FnOnce() -> Option<Vec<u8>>,
    token: impl FnOnce() -> Option<Vec<u8>>,
) -> bool {
    let near = !config.allow.is_empty()
        && peer()
            .and_then(|text| crate::peer::address(&text))
            .is_some_and(|peer| config.allow.iter().any(|range| range.holds(peer)));
    near || (!config.token.is_empty()
        && token().is_some_and(|given| crate::peer::same_token(&given, config.token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Option<Route> {
        Some(Route::Report(Hosts::Named(names.iter().map(|n| (*n).to_owned()).collect())))
    }

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        assert_eq!(route("/certdrift", b"/certdriftx"), None);
        assert_eq!(route("/certdrift", b"/certdrif"), None);
        assert_eq!(route("/certdrift", b"/x/certdrift/healthz"), None);
        assert_eq!(route("/certdrift", b"/certdrift"), Some(Route::Unknown));
        assert_eq!(route("/certdrift", b"/certdrift/"), Some(Route::Unknown));
        assert_eq!(route("/certdrift", b"/certdrift/healthz/"), Some(Route::Unknown));
        assert_eq!(route("/certdrift", b"/certdrift/healthz"), Some(Route::Healthz));
        assert_eq!(route("/certdrift", b"/certdrift/livez?x=/certdrift/readyz"), Some(Route::Livez));
        assert_eq!(route("/a/b", b"/a/b/readyz"), Some(Route::Readyz));
    }

    #[test]
    fn a_report_can_be_asked_for_hosts() {
        assert_eq!(route("/c", b"/c/report"), Some(Route::Report(Hosts::Trouble)));
        assert_eq!(route("/c", b"/c/report?x=1&hosts=all"), Some(Route::Report(Hosts::All)));
        assert_eq!(route("/c", b"/c/report?hosts=B.example,,a.example"), named(&["b.example", "a.example"]));
        assert_eq!(route("/c", b"/c/report?hosts=%2a.example.com&y"), named(&["*.example.com"]));
        assert_eq!(route("/c", b"/c/report?hosts=%zz,%2"), named(&["%zz", "%2"]));
        assert_eq!(route("/c", b"/c/report?hosts="), named(&[]));
    }
}
