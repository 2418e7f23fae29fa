//! What leaves no secret in a text: a pure function, applied to every file of the archive.
//!
//! It rather takes too much than too little: whatever looks like random base64 goes, a certificate too. What stays is
//! readable: names, times, fingerprints (64 hex digits), revisions. JSON stays JSON.
pub mod hosts;
mod known;
mod named;
mod opaque;
mod pem;
#[cfg(test)]
mod tests;

pub use hosts::Pseudonyms;

/// What every redaction leaves in place of what it took begins so; a text is redacted once, however often it is done.
const BEGIN: &str = "(redacted";

/// A text without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// What is left.
    pub text: String,
    /// How many pieces were taken as secrets.
    pub secrets: usize,
    /// How many host names were replaced.
    pub hosts: usize,
}

/// How texts are redacted.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Values that must not show, whatever they look like: the configured tokens.
    known: known::Known,
    /// Where host names go too.
    hosts: Option<Pseudonyms>,
}

impl Redactor {
    /// These values never show; with pseudonyms, host names do not either.
    #[must_use]
    pub fn new(known: &[String], hosts: Option<Pseudonyms>) -> Self {
        Self { known: known::Known::new(known), hosts }
    }

    /// Takes the secrets out. The same name gets the same pseudonym in every text.
    #[must_use]
    pub fn redact(&mut self, text: &str) -> Redacted {
        let mut out = Cut { text: text.to_owned(), cuts: 0 };
        // Those that are recognised by what surrounds them come before those that are recognised by their own look.
        for rule in [pem::cut, named::cut, opaque::cut] {
            out = out.then(rule);
        }
        out = out.then(|text| self.known.cut(text));
        let (text, hosts) = match &mut self.hosts {
            Some(pseudonyms) => pseudonyms.replace(&out.text),
            None => (out.text, 0),
        };
        Redacted { text, secrets: out.cuts, hosts }
    }
}

/// A text with so many pieces cut out.
struct Cut {
    text: String,
    cuts: usize,
}

impl Cut {
    fn then(self, rule: impl Fn(&str) -> Vec<Span>) -> Self {
        let spans = rule(&self.text);
        let mut text = String::with_capacity(self.text.len());
        let (mut at, mut cuts) = (0, self.cuts);
        for span in spans {
            text.push_str(self.text.get(at..span.from).unwrap_or_default());
            text.push_str(&span.by);
            at = span.to;
            cuts += usize::from(span.counts);
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        Self { text, cuts }
    }
}

/// A piece that goes, at boundaries of characters; the spans of a rule are in order and do not overlap.
struct Span {
    from: usize,
    to: usize,
    by: String,
    counts: bool,
}

impl Span {
    fn of(from: usize, to: usize, what: &str) -> Self {
        Self { from, to, by: format!("{BEGIN}: {what})"), counts: true }
    }
}
