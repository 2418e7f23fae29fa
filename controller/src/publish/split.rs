//! A ledger in the form it is published: whole, or above 100 KB as an index with parts. Pure.
//!
//! The number of parts is 32 (`00` to `31`), and an entry's part depends on its source's hash alone, so one renewal
//! changes one part and the index. **Growing:** while the parts average over 128 KB, their number doubles; it never
//! shrinks while the ledger is split, and the ledger is whole again below half of [`SPLIT_ABOVE`]. Each of these
//! rewrites all parts once.
use super::findings as kinds;
use crate::finding::Finding;
use certdrift_contract::index::Index;
use certdrift_contract::json::{Limits, ParseError};
use certdrift_contract::ledger::{Content, Part, PartRef, SPLIT_ABOVE};
use certdrift_contract::{Entry, Fingerprint, Ledger, Revision};
use std::sync::Arc;

/// Parts of a ledger when it is first split.
pub const PARTS: usize = 32;
/// Above this many bytes a part on average, their number doubles.
const GROW_ABOVE: usize = 128 * 1024;
/// No more parts than this: their names have four digits.
const MAX_PARTS: usize = 4096;

/// One document, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// As published.
    pub bytes: Arc<[u8]>,
    /// SHA-256 of them; quoted, the ETag.
    pub digest: Fingerprint,
}

impl Document {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Fingerprint::of(&bytes), bytes: bytes.into() }
    }
}

/// A ledger ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Name of the gateway.
    pub gateway: String,
    /// Of the ledger.
    pub revision: Revision,
    /// The ledger, or the index of its parts.
    pub index: Document,
    /// By name; empty when the ledger is whole.
    pub parts: Vec<(String, Document)>,
}

impl Published {
    /// From a ledger with entries. `parts_before` is the number of parts it had so far (0: it was whole, or is new), which is kept.
    ///
    /// # Errors
    /// A reader would refuse it: too many entries or bytes.
    pub fn new(ledger: &Ledger, parts_before: usize) -> Result<Self, Finding> {
        let object = || format!("ledger {}", ledger.gateway);
        let entries = match &ledger.content {
            Content::Entries(entries) => entries,
            Content::Parts(_) => return Err(kinds::TOO_LARGE.on(object(), "an index cannot be split again")),
        };
        let limits = Limits::default();
        if entries.len() > limits.items {
            return Err(kinds::TOO_LARGE.on(object(), format!("it has {} entries", entries.len())));
        }
        if let Some(entry) = entries.iter().find(|e| e.hosts.len() > limits.items) {
            return Err(
                kinds::TOO_LARGE.on(object(), format!("{} has {} hosts", entry.source, entry.hosts.len()))
            );
        }
        let whole = ledger.to_bytes();
        let above = if parts_before > 0 { SPLIT_ABOVE / 2 } else { SPLIT_ABOVE };
        let (gateway, revision) = (ledger.gateway.clone(), ledger.revision);
        if whole.len() <= above {
            return Ok(Self { gateway, revision, index: Document::new(whole), parts: Vec::new() });
        }
        let mut count = parts_before.clamp(PARTS, MAX_PARTS).next_power_of_two();
        while whole.len() / count > GROW_ABOVE && count < MAX_PARTS {
            count *= 2;
        }
        let mut divided: Vec<Vec<Arc<Entry>>> = vec![Vec::new(); count];
        for entry in entries {
            if let Some(part) = divided.get_mut(part_of(&entry.source, count)) {
                part.push(Arc::clone(entry));
            }
        }
        let width = if count > 1000 {
            4
        } else if count > 100 {
            3
        } else {
            2
        };
        let parts: Vec<(String, Document)> = divided
            .into_iter()
            .enumerate()
            .map(|(number, entries)| {
                let name = format!("{number:0width$}");
                let part = Part { gateway: gateway.clone(), name: name.clone(), entries };
                (name, Document::new(part.to_bytes()))
            })
            .collect();
        if let Some((name, part)) = parts.iter().find(|(_, part)| part.bytes.len() > limits.bytes) {
            return Err(kinds::TOO_LARGE.on(object(), format!("part {name} has {} bytes", part.bytes.len())));
        }
        let refs = parts.iter().map(|(name, d)| PartRef { name: name.clone(), sha256: d.digest }).collect();
        let index = Ledger { content: Content::Parts(refs), ..ledger.clone() };
        Ok(Self { gateway, revision, index: Document::new(index.to_bytes()), parts })
    }

    /// The bytes of a part.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&Document> {
        self.parts
            .binary_search_by(|(n, _)| n.as_str().cmp(name))
            .ok()
            .and_then(|at| self.parts.get(at))
            .map(|(_, d)| d)
    }

    /// The ETag of a document.
    #[must_use]
    pub fn etag(document: &Document) -> String {
        format!("\"{}\"", document.digest)
    }
}

/// In which of `count` parts a source's entry is.
fn part_of(source: &str, count: usize) -> usize {
    let digest = Fingerprint::of(source.as_bytes());
    let number = digest.as_bytes().iter().take(4).fold(0usize, |n, byte| (n << 8) | usize::from(*byte));
    number % count.max(1)
}

/// Puts an index and its parts together again, as a ledger with entries and the number of parts; `part` gives a part's bytes.
///
/// # Errors
/// What a reader would refuse: the index or a part does not parse, is missing, or has another digest; a host stands twice.
pub fn join(
    index: &[u8],
    mut part: impl FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<(Ledger, usize), ParseError> {
    let limits = Limits::default();
    let ledger = Ledger::parse(index, &limits)?;
    let mut parts = Vec::new();
    if let Content::Parts(refs) = &ledger.content {
        for one in refs {
            let fails = |what: String| ParseError::at(format!("parts[{}]", one.name), 0, what);
            let bytes = part(&one.name).map_err(fails)?;
            if !one.is(&bytes) {
                return Err(fails("its bytes are not those the index means".to_owned()));
            }
            let within = |error: ParseError| {
                ParseError::at(
                    format!("parts[{}].{}", one.name, error.place),
                    error.offset,
                    error.what.clone(),
                )
            };
            parts.push(Part::parse(&bytes, &limits).map_err(within)?);
        }
    }
    Index::<()>::new(ledger.clone(), parts.clone())?;
    let count = parts.len();
    let mut whole = ledger;
    if matches!(whole.content, Content::Parts(_)) {
        whole.content = Content::Entries(parts.into_iter().flat_map(|part| part.entries).collect());
    }
    whole.sort();
    Ok((whole, count))
}
