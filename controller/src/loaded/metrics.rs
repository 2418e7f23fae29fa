//! The push metrics of Kong's ingress controller: read from its page, and what they say when asked again and again. Pure.
use crate::converge::Millis;
use std::collections::BTreeMap;
use std::net::IpAddr;

const PREFIX: &str = "ingress_controller_";
/// So many gateways' pods are followed; what is beyond is not read.
const MOST: usize = 4_096;

/// What one page says of pushes to one gateway's pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Line {
    refused: f64,
    succeeded: Option<Millis>,
    fallback: Option<Millis>,
}

/// What was read of one pod of an ingress controller, by the address that it pushes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page(BTreeMap<IpAddr, Line>);

/// Reads the page: `ingress_controller_configuration_push_count{dataplane="https://10.0.0.1:8444",…,success="false"} 7`
/// and its like. Lines that are anything else, or have no address, are passed over.
#[must_use]
pub fn read(text: &str) -> Page {
    let mut page = Page::default();
    for line in text.lines() {
        let Some((name, rest)) = line.strip_prefix(PREFIX).and_then(|line| line.split_once('{')) else {
            continue;
        };
        // Nothing of what is read here has a brace in a label.
        let Some((labels, value)) = rest.rsplit_once('}') else { continue };
        let value = value.split_ascii_whitespace().next().and_then(|value| value.parse::<f64>().ok());
        let Some((value, address)) = value.zip(label(labels, "dataplane").and_then(address)) else {
            continue;
        };
        if page.0.len() >= MOST && !page.0.contains_key(&address) {
            continue;
        }
        // What could not be reached has refused nothing.
        let is_failure = || {
            label(labels, "success") == Some("false") && label(labels, "failure_reason") != Some("network")
        };
        let line = page.0.entry(address).or_default();
        match name {
            "configuration_push_count" if is_failure() => line.refused += value,
            "configuration_push_last_successful" => line.succeeded = line.succeeded.max(seconds(value)),
            "fallback_configuration_push_last" => line.fallback = line.fallback.max(seconds(value)),
            _ => {}
        }
    }
    page
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, next) = after.split_once('"')?;
        if key.trim_start_matches(',').trim() == name {
            return Some(value);
        }
        rest = next;
    }
}

/// Of `https://10.0.0.1:8444`, `https://[fd00::1]:8444`, `https://10-0-0-1.kong.svc:8444`.
fn address(dataplane: &str) -> Option<IpAddr> {
    let host = dataplane.split_once("://").map_or(dataplane, |(_, rest)| rest);
    let host = host.split('/').next()?;
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return inside.parse().ok();
    }
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let first = host.split('.').next()?;
    let written = [".", ":"].iter().find_map(|by| first.replace('-', by).parse().ok());
    host.parse().ok().or(written)
}

/// As Prometheus has times.
fn seconds(value: f64) -> Option<Millis> {
    #[allow(clippy::cast_possible_truncation, reason = "checked to be a time of this millennium or the next")]
    (0.0..1e11).contains(&value).then_some(Millis((value * 1000.0) as i64))
}

/// What is known of pushes to one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushes {
    /// When more of them were seen to be refused than before; none once one went well after it.
    pub refused: Option<Millis>,
    /// When the last one went well, by the controller's clock.
    pub succeeded: Option<Millis>,
    /// When the last fallback went well, by the controller's clock.
    pub fallback: Option<Millis>,
    /// When [`Self::succeeded`] was seen to rise, by our own clock.
    seen_to_succeed: Option<Millis>,
}

/// What the pages of a controller's pods have said, one after another.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pages: BTreeMap<String, Page>,
    pushes: BTreeMap<IpAddr, Pushes>,
}

impl Counted {
    /// A pod's page, read now.
    pub fn saw(&mut self, pod: &str, page: Page, now: Millis) {
        let before = self.pages.insert(pod.to_owned(), page.clone());
        for (address, line) in page.0 {
            let pushes = self.pushes.entry(address).or_default();
            // A count that was never seen before says nothing of when; one of a controller that began anew is smaller.
            let counted = before.as_ref().map(|page| page.0.get(&address).map_or(0.0, |old| old.refused));
            let refused = counted.is_some_and(|counted| line.refused > counted);
            if line.succeeded > pushes.succeeded {
                pushes.succeeded = line.succeeded;
                pushes.seen_to_succeed = Some(now);
            }
            if refused {
                pushes.refused = Some(now);
            } else if pushes.seen_to_succeed >= pushes.refused {
                // What is refused is tried again every few seconds: a page without a further refusal, and a success no
                // older than the last one, say that it is over.
                pushes.refused = None;
            }
            pushes.fallback = pushes.fallback.max(line.fallback);
        }
    }

    /// Forgets a controller's pods and gateways' pods that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool, is_pushed_to: impl Fn(IpAddr) -> bool) {
        self.pages.retain(|pod, _| is_there(pod));
        self.pushes.retain(|address, _| is_pushed_to(*address));
    }

    /// Of a gateway's pod.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<Pushes> {
        self.pushes.get(&address).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Lines as KIC 3.5 writes them.
    const PAGE: &str = r#"# HELP ingress_controller_configuration_push_count Count of successful/failed pushes
# TYPE ingress_controller_configuration_push_count counter
ingress_controller_configuration_push_count{dataplane="https://198.18.0.11:8444",failure_reason="",instance_id="37f8e7d5-…",protocol="db-less",success="true"} 11
ingress_controller_configuration_push_count{dataplane="https://198.18.0.11:8444",failure_reason="other",instance_id="37f8e7d5-…",protocol="db-less",success="false"} 7
ingress_controller_configuration_push_count{dataplane="https://198.18.0.11:8444",failure_reason="network",instance_id="37f8e7d5-…",protocol="db-less",success="false"} 1
ingress_controller_configuration_push_last_successful{dataplane="https://198.18.0.11:8444",instance_id="37f8e7d5-…"} 1.7955560574428687e+09
ingress_controller_translation_broken_resource_count{instance_id="37f8e7d5-…"} 0
ingress_controller_fallback_configuration_push_last{dataplane="https://[fd00::1]:8444",instance_id="6f1a6160-…"} 1.7955561833752728e+09
go_goroutines 312
"#;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_page_is_read_line_by_line() {
        let page = read(PAGE);
        assert_eq!(page.0.len(), 2);
        let first = page.0[&ip("198.18.0.11")];
        assert_eq!((first.refused, first.succeeded), (7.0, Some(Millis(1_795_556_057_442))));
        assert_eq!(page.0[&ip("fd00::1")].fallback, Some(Millis(1_795_556_183_375)));
    }

    #[test]
    fn odd_lines_are_passed_over() {
        for odd in [
            "ingress_controller_configuration_push_count",
            "ingress_controller_configuration_push_count{} 1",
            "ingress_controller_configuration_push_count{dataplane=\"https://x\"} 1",
            "ingress_controller_configuration_push_count{dataplane=\"https://10.0.0.1:8444\"",
            "ingress_controller_configuration_push_count{dataplane=\"https://10.0.0.1:8444\"} many",
            "ingress_controller_configuration_push_count{dataplane=\"} 1",
        ] {
            assert_eq!(read(odd), Page::default(), "{odd}");
        }
        let never = read(
            "ingress_controller_configuration_push_last_successful{dataplane=\"https://10.0.0.1:8444\"} NaN",
        );
        assert_eq!(never.0[&ip("10.0.0.1")], Line::default());
    }

    #[test]
    fn an_address_may_be_written_as_a_name() {
        assert_eq!(address("https://10-0-0-1.kong-admin.kong.svc:8444"), Some(ip("10.0.0.1")));
        assert_eq!(address("https://fd00--1.kong-admin.kong.svc:8444"), Some(ip("fd00::1")));
        assert_eq!(address("http://localhost:8001"), None);
    }

    fn counted(refused: u32) -> Page {
        read(&format!(
            "ingress_controller_configuration_push_count{{dataplane=\"https://10.0.0.1:8444\",success=\"false\"}} {refused}"
        ))
    }

    #[test]
    fn only_a_count_that_rises_says_that_a_push_was_refused_just_now() {
        let mut all = Counted::default();
        let refused = |all: &Counted| all.of(ip("10.0.0.1")).and_then(|p| p.refused);
        all.saw("kong/kic-1", counted(7), Millis(1_000));
        assert_eq!(refused(&all), None, "when these were nobody knows");
        all.saw("kong/kic-1", counted(7), Millis(2_000));
        assert_eq!(refused(&all), None);
        all.saw("kong/kic-1", counted(8), Millis(3_000));
        assert_eq!(refused(&all), Some(Millis(3_000)));
        all.saw("kong/kic-1", counted(1), Millis(4_000));
        assert_eq!(refused(&all), Some(Millis(3_000)), "it began anew");
        all.saw("kong/kic-2", counted(100), Millis(5_000));
        assert_eq!(refused(&all), Some(Millis(3_000)), "another replica has counts of its own");
    }

    #[test]
    fn a_success_ends_a_refusal_also_when_both_came_between_two_looks() {
        let page = |refused: u32, succeeded: u32| {
            let mut page = counted(refused);
            page.0.get_mut(&ip("10.0.0.1")).unwrap().succeeded = Some(Millis(i64::from(succeeded)));
            page
        };
        let refused = |all: &Counted| all.of(ip("10.0.0.1")).unwrap().refused;
        let mut all = Counted::default();
        all.saw("kong/kic-1", page(7, 500), Millis(1_000));
        all.saw("kong/kic-1", page(8, 500), Millis(2_000));
        all.saw("kong/kic-1", page(8, 500), Millis(3_000));
        assert_eq!(refused(&all), Some(Millis(2_000)), "nothing went well since");
        all.saw("kong/kic-1", page(8, 3_500), Millis(4_000));
        assert_eq!(refused(&all), None);
        // Which of the two was first is not known; the next look knows.
        all.saw("kong/kic-1", page(9, 4_500), Millis(5_000));
        assert_eq!(refused(&all), Some(Millis(5_000)));
        all.saw("kong/kic-1", page(10, 4_500), Millis(6_000));
        assert_eq!(refused(&all), Some(Millis(6_000)), "it is refused still");
        all.saw("kong/kic-1", page(10, 4_500), Millis(7_000));
        assert_eq!(refused(&all), Some(Millis(6_000)));
        all.saw("kong/kic-1", page(11, 7_500), Millis(8_000));
        all.saw("kong/kic-1", page(11, 7_500), Millis(9_000));
        assert_eq!(refused(&all), None);
    }

    #[test]
    fn a_first_refusal_after_an_empty_page_is_one() {
        let mut all = Counted::default();
        all.saw("kong/kic-1", Page::default(), Millis(1_000));
        all.saw("kong/kic-1", counted(1), Millis(2_000));
        assert_eq!(all.of(ip("10.0.0.1")).unwrap().refused, Some(Millis(2_000)));
        all.keep(|_| true, |_| false);
        assert_eq!(all.of(ip("10.0.0.1")), None);
    }
}
