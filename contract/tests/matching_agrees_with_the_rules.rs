//! The matching, held against a second implementation that is slow and obvious: walk over every listed pattern,
//! say whether and how well it matches, take the best.
#![cfg(not(target_arch = "wasm32"))]

use certdrift_contract::host::{MAX_NAME, normalize};
use certdrift_contract::{HostPattern, Rules};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// How well a pattern matches, best first; `None`: not at all. Written from the rules in words.
fn rank(rules: Rules, pattern: &str, name: &str) -> Option<usize> {
    let labels: Vec<&str> = name.split('.').collect();
    let ip = name.parse::<std::net::IpAddr>().is_ok();
    if pattern == name {
        return Some(0);
    }
    if pattern == "*" {
        return Some(10_000);
    }
    if ip {
        return None;
    }
    let parts: Vec<&str> = pattern.split('.').collect();
    match rules {
        // Kong: *.parent stands for exactly one label, and only under names of three labels or more.
        Rules::Kong if parts[0] == "*" => {
            (labels.len() >= 3 && parts.len() == labels.len() && parts[1..] == labels[1..]).then_some(1)
        }
        // Kong: name.* stands for exactly one last label.
        Rules::Kong if parts.last() == Some(&"*") => {
            let stem = parts.len() - 1;
            (parts.len() == labels.len() && parts[..stem] == labels[..stem]).then_some(2)
        }
        // Envoy: *.suffix stands for one label or more; the longest suffix wins.
        Rules::Envoy if parts[0] == "*" => {
            let suffix = &parts[1..];
            (labels.len() > suffix.len() && labels.ends_with(suffix)).then_some(1_000 - suffix.len())
        }
        _ => None,
    }
}

fn slow(rules: Rules, listed: &BTreeSet<String>, name: &str) -> Option<String> {
    let ranked = listed.iter().filter_map(|pattern| Some((rank(rules, pattern, name)?, pattern)));
    ranked.min().map(|(_, pattern)| pattern.clone())
}

/// Few labels, so that names and patterns meet often.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "xn--bcher-kva", "com", "1"]), 1..5)
        .prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        3 => name().prop_map(|n| format!("*.{n}")),
        2 => name().prop_map(|n| format!("{n}.*")),
        1 => Just("*".to_owned()),
        1 => Just("10.0.0.1".to_owned()),
    ]
}

const CASES: u32 = 4_000;

#[test]
fn the_fast_way_finds_what_the_slow_one_finds() {
    both_find_the_same();
    certdrift_guarantee::record("matching", format_args!("{CASES} random ledgers and names"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    fn both_find_the_same(listed in prop::collection::btree_set(pattern(), 0..12), name in prop_oneof![9 => name(), 1 => Just("10.0.0.1".to_owned())], envoy: bool) {
        let rules = if envoy { Rules::Envoy } else { Rules::Kong };
        // A name that the parser refuses (an odd IP-like one such as `1.1`) is no test of matching.
        let listed: BTreeSet<String> = listed.into_iter().filter_map(|p| p.parse::<HostPattern>().ok()).map(|p| p.to_string()).collect();
        let mut buffer = [0u8; MAX_NAME];
        let name = normalize(name.as_bytes(), &mut buffer).expect("a name").to_owned();
        let fast = rules.find(&name, |key| listed.get(key).cloned());
        prop_assert_eq!(fast, slow(rules, &listed, &name));
    }

    #[test]
    fn normalising_is_total_and_stable(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = [0u8; MAX_NAME];
        if let Ok(name) = normalize(&bytes, &mut buffer) {
            let name = name.to_owned();
            let mut again = [0u8; MAX_NAME];
            prop_assert_eq!(normalize(name.as_bytes(), &mut again), Ok(name.as_str()));
            prop_assert!(!name.ends_with('.') && name.bytes().all(|b| !b.is_ascii_uppercase()));
        }
    }

    #[test]
    fn a_pattern_reads_back_as_itself(text in pattern()) {
        if let Ok(pattern) = text.parse::<HostPattern>() {
            prop_assert_eq!(pattern.to_string().parse::<HostPattern>(), Ok(pattern));
        }
    }
}
