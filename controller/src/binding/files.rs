//! Binding by file: the hosts the configuration lists for a source, else those its certificates name. Pure.
//!
//! Of two sources that name one host one wins: first the one the configuration lists it for; then the one that has
//! it in the ledger already, unless its certificate has expired (a new file must not take a host over by being
//! there); then the one that ends later; then the lower name. So the same inventory and ledger give the same answer.
use super::{Binding, Bound};
use crate::source::findings as kinds;
use crate::source::inventory::Inventory;
use crate::source::{Certificate, Stored};
use certdrift_contract::ledger::Content;
use certdrift_contract::{HostPattern, Ledger, UnixTime};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What the configuration says of a gateway's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Hosts listed for a source, by its full name.
    pub hosts: BTreeMap<String, Vec<HostPattern>>,
    /// Full name of the source of the gateway's default certificate.
    pub default: Option<String>,
}

/// A source's claim to a host; the greatest wins.
type Claim<'a> = (bool, bool, UnixTime, Reverse<&'a str>);

/// Binds what is stored to hosts. `previous` is the gateway's ledger with its entries (never an index).
#[must_use]
pub fn bind(inventory: &Inventory, rules: &Rules, previous: Option<&Ledger>, now: UnixTime) -> Binding {
    let mut out =
        Binding { held: inventory.held.clone(), complete: inventory.complete, ..Binding::default() };
    let incumbents = incumbents(previous);
    let mut winners: BTreeMap<&HostPattern, Claim<'_>> = BTreeMap::new();
    let mut claims: Vec<(&Stored, Vec<HostPattern>)> = Vec::with_capacity(inventory.stored.len());
    for stored in &inventory.stored {
        let is_default = rules.default.as_deref() == Some(&*stored.source);
        if is_default {
            let (source, certificates) = (stored.source.clone(), stored.certificates.clone());
            out.default = Some(Bound { source, hosts: Vec::new(), certificates, incoming: Vec::new() });
        }
        let hosts = match rules.hosts.get(&*stored.source) {
            Some(listed) => listed.clone(),
            None => {
                let (names, differ) = shared_names(&stored.certificates);
                if let Some(name) = differ {
                    let why = format!("{name} is named by one of them only");
                    out.findings.push(kinds::PAIR_NAMES.on(&*stored.source, why));
                }
                if names.is_empty() && !is_default {
                    let why =
                        "it has no subject alternative name, and the configuration lists no host for it";
                    out.findings.push(kinds::NO_NAMES.on(&*stored.source, why));
                }
                names
            }
        };
        claims.push((stored, hosts));
    }
    for (stored, hosts) in &claims {
        let listed = rules.hosts.contains_key(&*stored.source);
        let ends = stored.certificates.iter().map(|c| c.not_after).min().unwrap_or(now);
        for host in hosts {
            let incumbent =
                now < ends && incumbents.get(host).is_some_and(|source| **source == *stored.source);
            let claim = (listed, incumbent, ends, Reverse(&*stored.source));
            winners.entry(host).and_modify(|best| *best = (*best).max(claim)).or_insert(claim);
        }
    }
    let mut shadowed: BTreeMap<(&str, &str), Vec<&HostPattern>> = BTreeMap::new();
    for (stored, hosts) in &claims {
        let mut won = Vec::with_capacity(hosts.len());
        for host in hosts {
            match winners.get(host) {
                Some((.., Reverse(winner))) if **winner != *stored.source => {
                    shadowed.entry((&stored.source, winner)).or_default().push(host);
                }
                _ => won.push(host.clone()),
            }
        }
        won.sort();
        won.dedup();
        if !won.is_empty() {
            let (source, certificates) = (stored.source.clone(), stored.certificates.clone());
            out.entries.push(Arc::new(Bound { source, hosts: won, certificates, incoming: Vec::new() }));
        }
    }
    for ((loser, winner), hosts) in shadowed {
        let first: Vec<&str> = hosts.iter().take(3).map(|h| h.as_str()).collect();
        let more = hosts.len().saturating_sub(3);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let why = format!("{winner} answers for {}{more}", first.join(", "));
        out.findings.push(kinds::SHADOWED.on(loser, why));
    }
    for named in rules.hosts.keys().chain(&rules.default) {
        let there = inventory.held.contains(named) || inventory.stored.iter().any(|s| *s.source == **named);
        if inventory.complete && !there {
            out.findings.push(kinds::NO_SUCH_SOURCE.on(named.clone(), "nothing is stored under that name"));
        }
    }
    out
}

/// Which source has each host in the ledger.
fn incumbents(previous: Option<&Ledger>) -> HashMap<&HostPattern, &str> {
    let Some(Ledger { content: Content::Entries(entries), .. }) = previous else { return HashMap::new() };
    entries.iter().flat_map(|e| e.hosts.iter().map(|h| (h, e.source.as_str()))).collect()
}

/// The names all of them share, and one that not all have.
fn shared_names(certificates: &[Arc<Certificate>]) -> (Vec<HostPattern>, Option<&HostPattern>) {
    let Some((first, rest)) = certificates.split_first() else { return (Vec::new(), None) };
    let everywhere = |name: &HostPattern| certificates.iter().all(|c| c.names.binary_search(name).is_ok());
    let differ = std::iter::once(first).chain(rest).flat_map(|c| &c.names).find(|n| !everywhere(n));
    (first.names.iter().filter(|n| everywhere(n)).cloned().collect(), differ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::KeyFamily;
    use certdrift_contract::{Entry, Fingerprint, Revision};

    const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

    fn stored(source: &str, names: &[&str], days: i64) -> Stored {
        let mut names: Vec<HostPattern> = names.iter().map(|n| n.parse().unwrap()).collect();
        names.sort();
        let certificate = Certificate {
            leaf: Fingerprint::of(source.as_bytes()),
            chain: Vec::new(),
            not_before: NOW.plus(-86_400),
            not_after: NOW.plus(days * 86_400),
            names,
            family: KeyFamily::Ecdsa,
        };
        Stored { source: source.into(), certificates: vec![Arc::new(certificate)] }
    }

    fn inventory(stored: Vec<Stored>) -> Inventory {
        Inventory { stored, complete: true, ..Inventory::default() }
    }

    fn owner<'a>(binding: &'a Binding, host: &str) -> Option<&'a str> {
        let owners: Vec<_> =
            binding.entries.iter().filter(|e| e.hosts.iter().any(|h| h.as_str() == host)).collect();
        assert!(owners.len() <= 1, "{host} stands in {} entries", owners.len());
        owners.first().map(|e| &*e.source)
    }

    fn ledger(source: &str, host: &str) -> Ledger {
        Ledger {
            gateway: "g".into(),
            rules: certdrift_contract::Rules::Kong,
            revision: Revision(1),
            published_at: NOW,
            content: Content::of(vec![Entry {
                source: source.into(),
                hosts: vec![host.parse().unwrap()],
                since: NOW,
                current: Vec::new(),
                incoming: Vec::new(),
                retiring: Vec::new(),
            }]),
            default: None,
        }
    }

    #[test]
    fn of_two_sources_the_one_that_ends_later_answers_and_the_other_is_told() {
        let both = inventory(vec![
            stored("file:a", &["x.example", "y.example"], 10),
            stored("file:b", &["x.example"], 90),
        ]);
        let bound = bind(&both, &Rules::default(), None, NOW);
        assert_eq!(owner(&bound, "x.example"), Some("file:b"));
        assert_eq!(owner(&bound, "y.example"), Some("file:a"));
        assert_eq!(bound.findings.len(), 1);
        assert_eq!(
            (bound.findings[0].code.as_str(), bound.findings[0].object.as_str()),
            ("CD-115", "file:a")
        );
    }

    #[test]
    fn a_new_file_takes_no_host_over_from_the_one_that_has_it() {
        let both =
            inventory(vec![stored("file:a", &["x.example"], 10), stored("file:b", &["x.example"], 90)]);
        let before = ledger("file:a", "x.example");
        assert_eq!(owner(&bind(&both, &Rules::default(), Some(&before), NOW), "x.example"), Some("file:a"));
        let later = NOW.plus(11 * 86_400);
        let expired = bind(&both, &Rules::default(), Some(&before), later);
        assert_eq!(owner(&expired, "x.example"), Some("file:b"), "an expired one yields");
    }

    #[test]
    fn a_listed_host_wins_over_a_name_in_a_certificate() {
        let both =
            inventory(vec![stored("file:a", &["x.example"], 10), stored("file:b", &["x.example"], 90)]);
        let listed = BTreeMap::from([("file:a".to_owned(), vec!["x.example".parse().unwrap()])]);
        let rules = Rules { hosts: listed, default: Some("file:none".into()) };
        let bound = bind(&both, &rules, Some(&ledger("file:b", "x.example")), NOW);
        assert_eq!(owner(&bound, "x.example"), Some("file:a"));
        assert!(bound.findings.iter().any(|f| f.code == "CD-123" && f.object == "file:none"));
    }

    #[test]
    fn the_default_certificate_needs_no_names() {
        let one = inventory(vec![stored("file:d", &[], 10)]);
        let bound = bind(&one, &Rules { default: Some("file:d".into()), ..Rules::default() }, None, NOW);
        assert_eq!(bound.default.as_ref().map(|d| &*d.source), Some("file:d"));
        assert!(bound.entries.is_empty() && bound.findings.is_empty());
        let named = bind(&one, &Rules::default(), None, NOW);
        assert_eq!(named.findings[0].code, "CD-108");
    }

    #[test]
    fn of_a_pair_only_hosts_that_both_name_are_expected() {
        let mut pair = stored("file:p", &["a.example", "b.example"], 10);
        let mut rsa = stored("file:q", &["a.example"], 10).certificates.remove(0);
        Arc::make_mut(&mut rsa).family = KeyFamily::Rsa;
        pair.certificates.push(rsa);
        let bound = bind(&inventory(vec![pair]), &Rules::default(), None, NOW);
        assert_eq!(owner(&bound, "b.example"), None);
        assert_eq!(owner(&bound, "a.example"), Some("file:p"));
        assert_eq!(bound.findings[0].code, "CD-122");
    }
}
