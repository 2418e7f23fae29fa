//! Checks of what gateways answer: status, the filter's report, the tap. Pure.
use super::super::facts::{Facts, Looked, Said};
use super::super::findings::{FILTER_PROBLEM, FILTER_VERSION, SILENT};
use super::super::report::Outcome;
use crate::config::Gateway;

/// One of the things a gateway can be asked.
struct Thing<'a> {
    gateway: &'a Gateway,
    /// `pod kong/kong-0`
    object: String,
    said: &'a Said,
}

/// All that answer, and what keeps them from being known.
fn things(facts: &Facts) -> (Vec<Thing<'_>>, Vec<Outcome>) {
    let (mut things, mut out) = (Vec::new(), Vec::new());
    for gateway in facts.here.config.iter().flat_map(|config| &config.gateways) {
        let Some(seen) = facts.gateways.get(&gateway.name) else { continue };
        match &seen.pods {
            Ok(pods) => things.extend(pods.iter().map(|pod| {
                let object = format!("pod {}", pod.template.metadata.object());
                Thing { gateway, object, said: &pod.said }
            })),
            Err(why) => out.push(Outcome::unknown(format!("gateway {}", gateway.name), why, "")),
        }
        things.extend(seen.fixed.iter().map(|(name, said)| Thing {
            gateway,
            object: format!("endpoint {name} of {}", gateway.name),
            said,
        }));
    }
    (things, out)
}

/// Where they are asked from.
fn inside(facts: &Facts, check: &str) -> String {
    match &facts.here.deployment {
        Some(deployment) => format!(
            "if it is out of reach from here, ask from within the cluster:\nkubectl -n {} exec deploy/{deployment} -- /certdrift doctor --config /etc/certdrift/config/certdrift.yaml --only {check}",
            facts.here.namespace
        ),
        None => "ask from where certdrift runs".to_owned(),
    }
}

/// A check of one kind of answer: what is good of it, and what is wrong with it.
fn each<T>(
    facts: &Facts,
    check: &str,
    get: impl Fn(&Said) -> Option<&Looked<T>>,
    say: impl Fn(&Thing<'_>, &T) -> Option<Outcome>,
    sum: impl Fn(usize) -> String,
) -> Vec<Outcome> {
    let (things, mut out) = things(facts);
    let mut good = 0usize;
    for thing in &things {
        match get(thing.said) {
            None => {}
            Some(Ok(answer)) => match say(thing, answer) {
                None => good = good.saturating_add(1),
                Some(outcome) => out.push(outcome),
            },
            // No connection, no answer: that may be the way from here. An answer that is none is the gateway's.
            Some(Err(why)) if is_away(why) => {
                out.push(Outcome::unknown(&thing.object, why, inside(facts, check)));
            }
            Some(Err(why)) => {
                let mend = format!(
                    "compare port and path with what {} listens on; the token too, where there is one",
                    thing.object
                );
                out.push(Outcome::failed(&SILENT, &thing.object, why, mend));
            }
        }
    }
    if good > 0 {
        out.insert(0, Outcome::passed(sum(good)));
    }
    out
}

/// Whether nothing was answered at all: these are the words for answers that are none (`observe`).
pub(in super::super) fn is_away(why: &str) -> bool {
    let answered = ["answers with status", "not an answer of Kong's", "not a report of the", "its schema is"];
    !answered.iter().any(|words| why.contains(words))
}

/// Kong's status answers.
#[must_use]
pub fn status(facts: &Facts) -> Vec<Outcome> {
    each(
        facts,
        "status",
        |said| said.status.as_ref(),
        |_, _| None,
        |n| format!("the status of {n} is answered"),
    )
}

/// The filter is loaded, and of this version.
#[must_use]
pub fn filter(facts: &Facts) -> Vec<Outcome> {
    let ours = env!("CARGO_PKG_VERSION");
    let say = |thing: &Thing<'_>, (version, problems): &(String, Vec<String>)| {
        if let Some(problem) = problems.first() {
            let mend = format!(
                "correct the filter's configuration on the services of {}: docs/filter.md",
                thing.gateway.name
            );
            return Some(Outcome::failed(&FILTER_PROBLEM, &thing.object, problem, mend));
        }
        if version == ours {
            return None;
        }
        let what = format!("its filter is {version}, certdrift is {ours}");
        let n = thing.gateway.kubernetes.as_ref().map(|own| own.namespace.as_str()).unwrap_or_default();
        let mend = format!(
            "cargo xtask filter\nkubectl -n {n} create configmap certdrift-filter --from-file=target/filter/certdrift.wasm --from-file=target/filter/certdrift.meta.json --dry-run=client -o yaml | kubectl apply -f -\nthen restart the gateway's pods"
        );
        Some(Outcome::warning(&FILTER_VERSION, &thing.object, what, mend))
    };
    each(facts, "filter", |said| said.report.as_ref(), say, |n| format!("the filter {ours} answers in {n}"))
}

/// The tap answers.
#[must_use]
pub fn tap(facts: &Facts) -> Vec<Outcome> {
    let say = |thing: &Thing<'_>, workers: &usize| {
        let what = "the tap answers, and no worker is in its report";
        let mend = "is nginx_proxy_include set beside nginx_http_include? deploy/kong/README.md";
        (*workers == 0).then(|| Outcome::failed(&SILENT, &thing.object, what, mend))
    };
    each(facts, "tap-report", |said| said.tap.as_ref(), say, |n| format!("the tap answers in {n}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::report::State;
    use super::super::tests::{pod, seen, states};
    use super::*;
    use serde_json::json;

    fn with(said: Said) -> Facts {
        seen(pod(&json!([])), said)
    }

    #[test]
    fn a_gateway_that_answers_something_else_fails_and_one_out_of_reach_was_not_looked_at() {
        let status = |status: Looked<usize>| status_of(Said { status: Some(status), ..Said::default() });
        assert_eq!(states(&status(Ok(2))), [State::Passed]);
        let other = status(Err("http://10.0.0.1:8100/status answers with status 404".to_owned()));
        assert_eq!((states(&other), other[0].code), (vec![State::Failed], Some("CD-604")));
        let away = status(Err("http://10.0.0.1:8100/status: connection refused".to_owned()));
        assert_eq!(states(&away), [State::Unknown]);
        assert!(
            away[0].mend.contains("kubectl -n own exec deploy/cd-certdrift -- /certdrift doctor"),
            "{away:#?}"
        );
        assert!(status_of(Said::default()).is_empty(), "nobody wants it");
    }

    #[test]
    fn an_answer_that_is_none_is_told_from_no_answer() {
        let words = [
            crate::observe::workers::kong_status(b"{}").unwrap_err(),
            crate::observe::report::read(b"{}").unwrap_err(),
            crate::observe::tap::read(b"<html>").unwrap_err(),
        ];
        assert!(!words.iter().any(|why| is_away(why)), "{words:?}");
        assert!(is_away("https://127.0.0.1:9/x: cannot connect to 127.0.0.1:9: Connection refused"));
    }

    fn status_of(said: Said) -> Vec<Outcome> {
        status(&with(said))
    }

    #[test]
    fn a_filter_of_another_version_warns_and_one_that_complains_fails() {
        let report = |version: &str, problems: &[&str]| {
            let problems = problems.iter().map(|p| (*p).to_owned()).collect();
            let said = Said { report: Some(Ok((version.to_owned(), problems))), ..Said::default() };
            states(&filter(&with(said)))
        };
        let ours = env!("CARGO_PKG_VERSION");
        assert_eq!(report(ours, &[]), [State::Passed]);
        assert_eq!(report("0.0.9", &[]), [State::Warning]);
        assert_eq!(report(ours, &["no location"]), [State::Failed]);
    }

    #[test]
    fn a_tap_without_workers_fails() {
        let with_tap = |workers| states(&tap(&with(Said { tap: Some(Ok(workers)), ..Said::default() })));
        assert_eq!(with_tap(2), [State::Passed]);
        assert_eq!(with_tap(0), [State::Failed]);
    }
}
