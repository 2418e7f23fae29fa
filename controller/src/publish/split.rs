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
/// So many parts that are others keep their bytes until the next ledger.
const MOST_KEPT: usize = 2;
/// No more parts than this: their names have four digits.
const MAX_PARTS: usize = 4096;

/// One document: what is in it, and the digest of its bytes. Of a part the bytes are made when they are asked for: they
/// are as much again as the entries, which are kept anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// SHA-256 of its bytes; quoted, the ETag.
    pub digest: Fingerprint,
    /// How many bytes it has.
    pub length: usize,
    made_of: MadeOf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MadeOf {
    Bytes(Arc<[u8]>),
    /// With its bytes, as long as they are still to be written.
    Part(Part, Option<Arc<[u8]>>),
}

impl Document {
    fn whole(bytes: Vec<u8>) -> Self {
        let (digest, length) = (Fingerprint::of(&bytes), bytes.len());
        Self { digest, length, made_of: MadeOf::Bytes(bytes.into()) }
    }

    /// A part; `before` is what stood in its place so far.
    fn part(part: Part, before: Option<&Self>) -> Self {
        if let Some(same) = before.filter(|before| before.is_of(&part)) {
            let (digest, length) = (same.digest, same.length);
            return Self { digest, length, made_of: MadeOf::Part(part, None) };
        }
        let bytes = part.to_bytes();
        let (digest, length) = (Fingerprint::of(&bytes), bytes.len());
        Self { digest, length, made_of: MadeOf::Part(part, Some(bytes.into())) }
    }

    /// Its bytes are made anew when they are asked for.
    fn forget_bytes(&mut self) {
        if let MadeOf::Part(_, bytes) = &mut self.made_of {
            *bytes = None;
        }
    }

    /// Whether its bytes are there.
    fn has_bytes(&self) -> bool {
        matches!(self.made_of, MadeOf::Part(_, Some(_)))
    }

    /// Whether it is of the very same entries. Equal ones that are others are not looked for: the bytes tell.
    fn is_of(&self, part: &Part) -> bool {
        let MadeOf::Part(mine, _) = &self.made_of else { return false };
        mine.gateway == part.gateway
            && mine.name == part.name
            && mine.entries.len() == part.entries.len()
            && mine.entries.iter().zip(&part.entries).all(|(mine, other)| Arc::ptr_eq(mine, other))
    }

    /// Those of a part.
    fn entries(&self) -> &[Arc<Entry>] {
        match &self.made_of {
            MadeOf::Bytes(_) => &[],
            MadeOf::Part(part, _) => &part.entries,
        }
    }

    /// As published.
    #[must_use]
    pub fn bytes(&self) -> Arc<[u8]> {
        match &self.made_of {
            MadeOf::Bytes(bytes) => Arc::clone(bytes),
            MadeOf::Part(_, Some(bytes)) => Arc::clone(bytes),
            MadeOf::Part(part, None) => part.to_bytes().into(),
        }
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
    /// In which of them each entry is, in the order of the entries.
    placed: Arc<[u16]>,
}

impl Published {
    /// From a ledger with entries. `parts_before` is the number of parts it had so far (0: it was whole, or is new),
    /// which is kept; of `before`, what was published last, parts are taken that are the same.
    ///
    /// # Errors
    /// A reader would refuse it: too many entries or bytes.
    pub fn new(ledger: &Ledger, parts_before: usize, before: Option<&Self>) -> Result<Self, Finding> {
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
        let (gateway, revision) = (ledger.gateway.clone(), ledger.revision);
        let whole = || {
            let (gateway, index) = (gateway.clone(), Document::whole(ledger.to_bytes()));
            Self { gateway, revision, index, parts: Vec::new(), placed: Arc::default() }
        };
        if parts_before == 0 && at_least(entries) <= SPLIT_ABOVE {
            let whole = whole();
            if whole.index.length <= SPLIT_ABOVE {
                return Ok(whole);
            }
        }
        let mut count = parts_before.clamp(PARTS, MAX_PARTS).next_power_of_two();
        let (parts, placed) = loop {
            let placed = placed(entries, count, before);
            let parts = divide(&gateway, entries, &placed, count, before);
            let bytes: usize = parts.iter().map(|(_, part)| part.length).sum();
            if parts_before > 0 && bytes <= SPLIT_ABOVE / 2 {
                return Ok(whole());
            }
            if bytes / count <= GROW_ABOVE || count >= MAX_PARTS {
                break (parts, placed);
            }
            count *= 2;
        };
        if let Some((name, part)) = parts.iter().find(|(_, part)| part.length > limits.bytes) {
            return Err(kinds::TOO_LARGE.on(object(), format!("part {name} has {} bytes", part.length)));
        }
        let refs = parts.iter().map(|(name, d)| PartRef { name: name.clone(), sha256: d.digest }).collect();
        let default = ledger.default.clone();
        let (rules, published_at) = (ledger.rules, ledger.published_at);
        let index = Ledger {
            gateway: gateway.clone(),
            rules,
            revision,
            published_at,
            content: Content::Parts(refs),
            default,
        };
        Ok(Self { gateway, revision, index: Document::whole(index.to_bytes()), parts, placed })
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

    /// Whether its entries are of these sources, in this order.
    fn is_of_sources(&self, entries: &[Arc<Entry>]) -> bool {
        let mut rest: Vec<_> = self.parts.iter().map(|(_, part)| part.entries().iter()).collect();
        let mut placed = self.placed.iter();
        entries.len() == placed.len()
            && entries.iter().all(|entry| {
                let part = placed.next().and_then(|number| rest.get_mut(usize::from(*number)));
                let mine = part.and_then(Iterator::next);
                mine.is_some_and(|mine| Arc::ptr_eq(mine, entry) || mine.source == entry.source)
            })
    }

    /// The ETag of a document.
    #[must_use]
    pub fn etag(document: &Document) -> String {
        format!("\"{}\"", document.digest)
    }
}

/// No fewer bytes does a ledger of these entries have.
fn at_least(entries: &[Arc<Entry>]) -> usize {
    entries.iter().map(|e| e.source.len() + e.hosts.iter().map(|h| h.as_str().len()).sum::<usize>()).sum()
}

/// In which of `count` parts each entry is. Ten thousand digests are not made again because one certificate was renewed.
fn placed(entries: &[Arc<Entry>], count: usize, before: Option<&Published>) -> Arc<[u16]> {
    match before.filter(|before| before.parts.len() == count && before.is_of_sources(entries)) {
        Some(before) => Arc::clone(&before.placed),
        None => entries.iter().map(|e| u16::try_from(part_of(&e.source, count)).unwrap_or(0)).collect(),
    }
}

/// The entries in so many parts, by name.
fn divide(
    gateway: &str,
    entries: &[Arc<Entry>],
    placed: &[u16],
    count: usize,
    before: Option<&Published>,
) -> Vec<(String, Document)> {
    let mut divided: Vec<Vec<Arc<Entry>>> = vec![Vec::new(); count];
    for (entry, number) in entries.iter().zip(placed) {
        if let Some(part) = divided.get_mut(usize::from(*number)) {
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
    let document = |(number, mut entries): (usize, Vec<_>)| {
        entries.shrink_to_fit();
        let name = format!("{number:0width$}");
        let part = Part { gateway: gateway.to_owned(), name: name.clone(), entries };
        let document = Document::part(part, before.and_then(|before| before.part(&name)));
        (name, document)
    };
    let mut parts: Vec<(String, Document)> = divided.into_iter().enumerate().map(document).collect();
    // One renewal's are written at once. Those of all parts would be kept until the next.
    if parts.iter().filter(|(_, part)| part.has_bytes()).count() > MOST_KEPT {
        parts.iter_mut().for_each(|(_, part)| part.forget_bytes());
    }
    parts
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

#[cfg(test)]
mod tests {
    use super::*;
    use certdrift_contract::{Expected, Rules, UnixTime};

    fn entry(source: usize, leaf: u8) -> Arc<Entry> {
        Arc::new(Entry {
            source: format!("shop/web-{source:04}"),
            hosts: vec![format!("web-{source:04}.shop.example.com").parse().unwrap()],
            since: UnixTime::from_seconds(0),
            current: vec![Expected {
                sha256: Fingerprint::of(&[leaf]),
                chain: Vec::new(),
                not_after: UnixTime::from_seconds(0),
            }],
            incoming: Vec::new(),
            retiring: Vec::new(),
        })
    }

    fn published(entries: &[Arc<Entry>], before: Option<&Published>) -> Published {
        let ledger = Ledger {
            gateway: "g".into(),
            rules: Rules::Kong,
            revision: Revision(1),
            published_at: UnixTime::from_seconds(0),
            content: Content::Entries(entries.to_vec()),
            default: None,
        };
        Published::new(&ledger, before.map_or(0, |before| before.parts.len()), before).unwrap()
    }

    #[test]
    fn what_is_taken_over_from_before_is_what_would_be_made_anew() {
        let first: Vec<Arc<Entry>> = (0..900).map(|n| entry(n, 0)).collect();
        let before = published(&first, None);
        assert_eq!(before.parts.len(), PARTS);
        let changed = |change: &dyn Fn(&mut Vec<Arc<Entry>>)| {
            let mut next = first.clone();
            change(&mut next);
            next
        };
        let cases = [
            changed(&|_| {}),
            changed(&|next| next[7] = entry(7, 1)),
            changed(&|next| drop(next.remove(0))),
            changed(&|next| next.push(entry(900, 0))),
            // As many as before, and one of them another.
            changed(&|next| {
                next.remove(3);
                next.push(entry(900, 0));
            }),
            changed(&|next| next.iter_mut().take(500).enumerate().for_each(|(n, e)| *e = entry(n, 1))),
        ];
        for (n, next) in cases.iter().enumerate() {
            let (again, anew) = (published(next, Some(&before)), published(next, None));
            assert_eq!(again.index.bytes(), anew.index.bytes(), "{n}");
            for ((name, mine), (_, other)) in again.parts.iter().zip(&anew.parts) {
                assert_eq!((mine.bytes(), mine.digest), (other.bytes(), other.digest), "{n} {name}");
                assert_eq!(Fingerprint::of(&mine.bytes()), mine.digest, "{n} {name}");
            }
        }
    }
}
