//! Which hosts another revision of a ledger expects something else of. Pure.
//!
//! Revisions share the entries that did not change, so that a renewal costs a look at each pair of pointers.
use certdrift_contract::Ledger;
use certdrift_contract::index::DEFAULT;
use certdrift_contract::ledger::{Content, Entry};
use certdrift_contract::verdict::Expecting;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The entries of a ledger; none of an index.
#[must_use]
pub fn entries(ledger: &Ledger) -> &[Arc<Entry>] {
    match &ledger.content {
        Content::Entries(entries) => entries,
        Content::Parts(_) => &[],
    }
}

/// Entries that are only in the one or only in the other, or differ.
#[must_use]
pub fn other_entries<'a>(
    before: Option<&'a Ledger>,
    after: &'a Ledger,
) -> (Vec<&'a Arc<Entry>>, Vec<&'a Arc<Entry>>) {
    let (mut old, mut new) = (before.map_or(&[][..], entries), entries(after));
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    // Both are sorted by source.
    loop {
        match (old.split_first(), new.split_first()) {
            (Some((was, olds)), Some((is, news))) => match was.source.cmp(&is.source) {
                Ordering::Equal => {
                    if !Arc::ptr_eq(was, is) && was != is {
                        gone.push(was);
                        come.push(is);
                    }
                    (old, new) = (olds, news);
                }
                Ordering::Less => {
                    gone.push(was);
                    old = olds;
                }
                Ordering::Greater => {
                    come.push(is);
                    new = news;
                }
            },
            (Some((was, olds)), None) => {
                gone.push(was);
                old = olds;
            }
            (None, Some((is, news))) => {
                come.push(is);
                new = news;
            }
            (None, None) => return (gone, come),
        }
    }
}

/// Hosts of which `part` of what is expected is new or another, and hosts that are no longer listed; both sorted.
#[must_use]
pub fn difference<'a, P: PartialEq>(
    before: Option<&'a Ledger>,
    after: &'a Ledger,
    part: impl Fn(Expecting<'a>) -> P,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (gone, come) = other_entries(before, after);
    // A host stands in one entry: those of entries that stayed have not moved.
    let hosts = |entries: Vec<&'a Arc<Entry>>, ledger: Option<&'a Ledger>| -> BTreeMap<&'a str, P> {
        let listed =
            entries.into_iter().flat_map(|e| e.hosts.iter().map(|h| (h.as_str(), part(e.expecting()))));
        let default = ledger.and_then(|l| l.default.as_ref()).filter(|d| !d.current.is_empty());
        listed.chain(default.map(|d| (DEFAULT, part(d.expecting())))).collect()
    };
    let (old, new) = (hosts(gone, before), hosts(come, Some(after)));
    let changed = new.iter().filter(|(host, is)| old.get(*host) != Some(is)).map(|(host, _)| *host);
    let removed = old.keys().filter(|host| !new.contains_key(*host)).copied();
    (changed.collect(), removed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use certdrift_contract::ledger::Expected;
    use certdrift_contract::{Fingerprint, Revision, Rules, UnixTime};
    use proptest::prelude::*;

    /// (source, host, leaf); a host goes to the first that wants it.
    fn ledger(wishes: &[(u8, u8, u8)]) -> Ledger {
        let mut taken = std::collections::BTreeSet::new();
        let mut all: BTreeMap<u8, Entry> = BTreeMap::new();
        for (source, host, leaf) in wishes {
            if !taken.insert(host) {
                continue;
            }
            let entry = all.entry(*source).or_insert_with(|| Entry {
                source: format!("file:{source:03}"),
                hosts: Vec::new(),
                since: UnixTime::from_seconds(0),
                current: vec![Expected {
                    sha256: Fingerprint::of(&[*leaf]),
                    chain: Vec::new(),
                    not_after: UnixTime::from_seconds(1),
                }],
                incoming: Vec::new(),
                retiring: Vec::new(),
            });
            entry.hosts.push(format!("h{host:03}.example").parse().unwrap());
            entry.hosts.sort();
        }
        Ledger {
            gateway: "g".into(),
            rules: Rules::Kong,
            revision: Revision(1),
            published_at: UnixTime::from_seconds(0),
            content: Content::of(all.into_values()),
            default: None,
        }
    }

    fn slow(ledger: &Ledger) -> BTreeMap<&str, Vec<Fingerprint>> {
        let leaves = |e: &Arc<Entry>| -> Vec<Fingerprint> { e.current.iter().map(|c| c.sha256).collect() };
        entries(ledger).iter().flat_map(|e| e.hosts.iter().map(move |h| (h.as_str(), leaves(e)))).collect()
    }

    #[test]
    fn a_host_has_changed_when_its_certificate_has() {
        let before = ledger(&[(1, 1, 1), (2, 2, 1), (3, 3, 1)]);
        let after = ledger(&[(1, 1, 1), (2, 2, 2), (4, 4, 1)]);
        let (changed, removed) = difference(Some(&before), &after, |e| e.current[0].sha256);
        assert_eq!(changed, ["h002.example", "h004.example"]);
        assert_eq!(removed, ["h003.example"]);
        assert_eq!(difference(None, &before, |e| e.current.len()).0.len(), 3);
    }

    proptest! {
        #[test]
        fn it_is_what_comparing_each_host_gives(
            before in prop::collection::vec((0u8..8, 0u8..12, 0u8..3), 0..12),
            after in prop::collection::vec((0u8..8, 0u8..12, 0u8..3), 0..12),
        ) {
            let (before, after) = (ledger(&before), ledger(&after));
            let leaves = |e: Expecting<'_>| -> Vec<Fingerprint> { e.current.iter().map(|c| c.sha256).collect() };
            let (changed, removed) = difference(Some(&before), &after, leaves);
            let (old, new) = (slow(&before), slow(&after));
            let other: Vec<&str> = new.iter().filter(|(h, l)| old.get(*h) != Some(l)).map(|(h, _)| *h).collect();
            let gone: Vec<&str> = old.keys().filter(|h| !new.contains_key(*h)).copied().collect();
            prop_assert_eq!((changed, removed), (other, gone));
        }
    }
}
