//! An index that was updated a hundred times answers as one that is made anew, and hosts that stay keep their states.
#![cfg(not(target_arch = "wasm32"))]
use certdrift_contract::index::Index;
use certdrift_contract::ledger::{Content, Entry, Expected, Ledger, Part, PartRef, Revision};
use certdrift_contract::{Fingerprint, Rules, UnixTime};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PARTS: usize = 4;
const HOSTS: u8 = 40;

fn name(host: u8) -> String {
    if host.is_multiple_of(5) { format!("*.w{host}.example.com") } else { format!("h{host}.example.com") }
}

fn print(n: u8) -> Fingerprint {
    Fingerprint::of(&[n])
}

/// Which hosts an entry has, of which part it is, and what it expects. A host goes to the first that wants it.
type Wish = (usize, BTreeSet<u8>, u8);

fn parts(wishes: &[Wish]) -> Vec<Part> {
    let mut taken = BTreeSet::new();
    let mut parts: Vec<Part> = (0..PARTS)
        .map(|n| Part { gateway: "kong".to_owned(), name: format!("{n:02}"), entries: Vec::new() })
        .collect();
    for (number, (part, hosts, current)) in wishes.iter().enumerate() {
        let hosts: Vec<_> = hosts.iter().filter(|host| taken.insert(**host)).collect();
        parts[*part].entries.push(Arc::new(Entry {
            source: format!("kong/s{number}"),
            hosts: hosts.iter().map(|host| name(**host).parse().unwrap()).collect(),
            since: UnixTime::from_seconds(0),
            current: vec![Expected {
                sha256: print(*current),
                chain: Vec::new(),
                not_after: UnixTime::from_seconds(1),
            }],
            incoming: Vec::new(),
            retiring: Vec::new(),
        }));
    }
    parts
}

fn ledger(revision: u64, parts: &[Part], whole: bool) -> Ledger {
    let refs = parts.iter().map(|part| PartRef {
        name: part.name.clone(),
        sha256: Fingerprint::of(format!("{:?}", part.entries).as_bytes()),
    });
    Ledger {
        gateway: "kong".to_owned(),
        rules: Rules::Kong,
        revision: Revision(revision),
        published_at: UnixTime::from_seconds(0),
        content: if whole {
            Content::Entries(parts.iter().flat_map(|part| part.entries.clone()).collect())
        } else {
            Content::Parts(refs.collect())
        },
        default: None,
    }
}

/// The parts an index lacks.
fn lacking<S: Default>(index: &Index<S>, ledger: &Ledger, parts: &[Part]) -> Vec<Part> {
    let Content::Parts(refs) = &ledger.content else { return Vec::new() };
    parts
        .iter()
        .zip(refs)
        .filter(|(_, one)| !index.parts().contains(one))
        .map(|(part, _)| part.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_updated_index_answers_as_one_made_anew(
        rounds in proptest::collection::vec((
            proptest::collection::vec((0..PARTS, proptest::collection::btree_set(0..HOSTS, 0..12), 0..8u8), 0..8),
            proptest::bool::weighted(0.2),
        ), 1..12),
    ) {
        let mut index = Index::<u32>::new(ledger(0, &[], true), Vec::new()).unwrap();
        // How often each host was looked at since it is listed.
        let mut looked: BTreeMap<u8, u32> = BTreeMap::new();
        for (revision, (wishes, whole)) in rounds.iter().enumerate() {
            let parts = parts(wishes);
            let next = ledger(revision as u64 + 1, &parts, *whole);
            let lacking = lacking(&index, &next, &parts);
            index.update(next.clone(), lacking).unwrap();
            let mut anew = Index::<u32>::new(next, if *whole { Vec::new() } else { parts }).unwrap();
            prop_assert_eq!(index.hosts(), anew.hosts());
            for host in 0..HOSTS {
                let asked = name(host).replace('*', "a");
                let there = anew.find(asked.as_bytes()).map(|f| (f.listed.to_owned(), f.expecting.current.to_vec()));
                let found = index.find(asked.as_bytes());
                prop_assert_eq!(found.as_ref().map(|f| (f.listed.to_owned(), f.expecting.current.to_vec())), there);
                match found {
                    None => { looked.remove(&host); }
                    Some(found) => {
                        let times = looked.entry(host).or_default();
                        prop_assert_eq!(*found.state, *times, "the state of {}", asked);
                        *times += 1;
                        *found.state += 1;
                    }
                }
            }
            for n in 0..8 {
                prop_assert_eq!(index.known(&print(n)), anew.known(&print(n)));
            }
            let names = |index: &Index<u32>| index.iter().map(|(name, ..)| name.to_owned()).collect::<Vec<_>>();
            prop_assert_eq!(names(&index), names(&anew));
            prop_assert!(names(&index).is_sorted());
        }
    }
}
