//! Which listed pattern answers for a name: Kong's rules and Envoy's.
//!
//! A lookup is a handful of exact lookups: each rule turns the name into the keys that could be listed, best
//! first. So it costs the same in a ledger of one host and of ten thousand, and allocates nothing.
use crate::host::MAX_NAME;

/// Whose wildcard rules hold; the ledger's `match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Rules {
    /// Exact; `*.parent` for names of three labels or more (one label only); `name.*`; `*`.
    Kong,
    /// Exact; `*.suffix` spanning any number of labels, longest first; `*` (a filter chain without server names).
    Envoy,
}

impl Rules {
    /// As the ledger writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kong => "kong",
            Self::Envoy => "envoy",
        }
    }

    /// Finds the best listed pattern for `name` (normalised, see [`crate::host::normalize`]); `get` looks a pattern up.
    pub fn find<T>(self, name: &str, mut get: impl FnMut(&str) -> Option<T>) -> Option<T> {
        if let Some(found) = get(name) {
            return Some(found);
        }
        if !crate::host::is_ip(name.as_bytes()) {
            // The wildcard keys are written into one buffer: "*" + the name from one of its dots, and the name up to its last dot + "*".
            let mut buffer = [0u8; MAX_NAME + 2];
            match self {
                Self::Kong => {
                    let mut dots = name.match_indices('.').map(|(at, _)| at);
                    if let (Some(first), Some(_)) = (dots.next(), dots.next())
                        && let Some(found) = leading(name, first, &mut buffer).and_then(&mut get)
                    {
                        return Some(found);
                    }
                    if let Some(last) = name.rfind('.')
                        && let Some(found) = trailing(name, last, &mut buffer).and_then(&mut get)
                    {
                        return Some(found);
                    }
                }
                Self::Envoy => {
                    for (dot, _) in name.match_indices('.') {
                        if let Some(found) = leading(name, dot, &mut buffer).and_then(&mut get) {
                            return Some(found);
                        }
                    }
                }
            }
        }
        get("*")
    }
}

/// `*` and what follows from the dot at `dot`.
fn leading<'b>(name: &str, dot: usize, buffer: &'b mut [u8; MAX_NAME + 2]) -> Option<&'b str> {
    let rest = name.as_bytes().get(dot..)?;
    let length = rest.len().checked_add(1)?;
    let out = buffer.get_mut(..length)?;
    let (star, tail) = out.split_first_mut()?;
    *star = b'*';
    tail.copy_from_slice(rest);
    std::str::from_utf8(out).ok()
}

/// What stands up to and with the dot at `dot`, and `*`.
fn trailing<'b>(name: &str, dot: usize, buffer: &'b mut [u8; MAX_NAME + 2]) -> Option<&'b str> {
    let stem = name.as_bytes().get(..=dot)?;
    let length = stem.len().checked_add(1)?;
    let out = buffer.get_mut(..length)?;
    let (star, head) = out.split_last_mut()?;
    *star = b'*';
    head.copy_from_slice(stem);
    std::str::from_utf8(out).ok()
}
