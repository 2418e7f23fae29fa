//! What is wrong in a document, and where.
use std::borrow::Cow;
use std::fmt;

/// What is wrong in a document, and where; see [`Details`]. Boxed: a result that is passed on at a hundred places is
/// one word, and the filter some KB smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(Box<Details>);

/// What a [`ParseError`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The path of the value, `entries[3].current[0].sha256`; empty for the document itself.
    pub place: String,
    /// Offset in bytes from the document's beginning.
    pub offset: usize,
    /// In words.
    pub what: Cow<'static, str>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{} ", self.place)?;
        }
        write!(f, "(byte {}): {}", self.offset, self.what)
    }
}

impl std::error::Error for ParseError {}

impl std::ops::Deref for ParseError {
    type Target = Details;
    fn deref(&self) -> &Details {
        &self.0
    }
}

impl ParseError {
    /// An error about a place that is known by other means than reading.
    #[must_use]
    pub fn at(place: String, offset: usize, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details { place, offset, what: what.into() }))
    }

    /// The same error, seen from the object or array that `step` leads out of.
    #[must_use]
    pub(super) fn within(mut self, step: &str) -> Self {
        // A path deeper than any limit allows does not come; a key may be long, so it is cut.
        let step = step.get(..64).unwrap_or(step);
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.0.place.insert_str(0, dot);
        self.0.place.insert_str(0, step);
        self
    }
}
