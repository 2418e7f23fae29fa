//! Values that are known to be secret, as they are and as they are written elsewhere.
use super::Span;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;

/// A shorter value would be found in every word; a token of ours has 16 at least.
const SHORTEST: usize = 8;

/// The forms of all of them, the longest first.
#[derive(Clone, Default)]
pub(super) struct Known(Vec<String>);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({})", self.0.len())
    }
}

impl Known {
    pub(super) fn new(values: &[String]) -> Self {
        let mut forms = BTreeSet::new();
        for value in values.iter().filter(|value| value.len() >= SHORTEST) {
            let json = serde_json::Value::from(value.as_str()).to_string();
            forms.insert(json.trim_matches('"').to_owned());
            forms.insert(value.clone());
            forms.insert(STANDARD_NO_PAD.encode(value));
            forms.insert(URL_SAFE_NO_PAD.encode(value));
        }
        let mut forms: Vec<String> = forms.into_iter().collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    pub(super) fn cut(&self, text: &str) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for form in &self.0 {
            for (from, found) in text.match_indices(form.as_str()) {
                let to = from + found.len();
                if !spans.iter().any(|span| from < span.to && span.from < to) {
                    spans.push(Span::of(from, to, "a configured token"));
                }
            }
        }
        spans.sort_by_key(|span| span.from);
        spans
    }
}
