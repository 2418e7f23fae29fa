//! The checks that the controller makes itself: bindings that are skipped in silence, pods that are none. Pure.
use super::super::facts::{Facts, Seen};
use super::super::report::Outcome;
use crate::finding::{CATALOGUE, Finding, Severity};

/// About pods, and not about bindings.
fn is_of_pods(finding: &Finding) -> bool {
    matches!(&*finding.code, "CD-340" | "CD-341")
}

fn told(finding: &Finding) -> Outcome {
    let Some(kind) = CATALOGUE.iter().find(|kind| kind.code == finding.code) else {
        return Outcome::unknown(&finding.object, &finding.what, &finding.mend);
    };
    let mend = filled(finding);
    match finding.severity {
        Severity::Error => Outcome::failed(kind, &finding.object, &finding.what, mend),
        Severity::Warning => Outcome::warning(kind, &finding.object, &finding.what, mend),
        Severity::Info => Outcome::passed(format!("{}: {} ({})", finding.object, finding.what, finding.why)),
    }
    .because(&finding.why)
}

/// The mend, after a command that shows the object as it is.
fn filled(finding: &Finding) -> String {
    let named = finding.object.split_once([' ', ':']).unwrap_or(("", ""));
    let (kind, Some((namespace, name))) = (named.0.to_lowercase(), named.1.split_once('/')) else {
        return finding.mend.clone();
    };
    let known = ["ingress", "gateway", "listenerset", "secret", "certificate", "pod", "service"];
    if !known.contains(&&*kind) {
        return finding.mend.clone();
    }
    let name = name.split('+').next().unwrap_or(name);
    let mend = finding.mend.replace("NAMESPACE", namespace).replace(" NAME", &format!(" {name}"));
    format!("{mend}\nkubectl get {kind} {name} -n {namespace} -o yaml")
}

fn each(
    facts: &Facts,
    wanted: impl Fn(&Finding) -> bool,
    good: impl Fn(&str, &Seen) -> Option<String>,
) -> Vec<Outcome> {
    let mut out = Vec::new();
    for (gateway, seen) in &facts.gateways {
        match &seen.findings {
            Ok(findings) => {
                let bad: Vec<Outcome> = findings.iter().filter(|f| wanted(f)).map(told).collect();
                if bad.is_empty() {
                    out.extend(good(gateway, seen).map(Outcome::passed));
                }
                out.extend(bad);
            }
            Err(why) => {
                let mend = "certdrift doctor --only rights    # what may not be listed is named there";
                out.push(Outcome::unknown(format!("gateway {gateway}"), why, mend));
            }
        }
    }
    out
}

/// Nothing is skipped in silence.
#[must_use]
pub fn bindings(facts: &Facts) -> Vec<Outcome> {
    each(facts, |f| !is_of_pods(f), |gateway, _| Some(format!("every binding of {gateway} counts")))
}

/// The gateway has pods, and each has a port.
#[must_use]
pub fn pods(facts: &Facts) -> Vec<Outcome> {
    let good = |gateway: &str, seen: &Seen| {
        let n = seen.pods.as_ref().map(Vec::len).unwrap_or_default();
        (n > 0).then(|| format!("{gateway} has {}", crate::cli::output::count(n, "pod", "pods")))
    };
    each(facts, is_of_pods, good)
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{Looked, Said};
    use super::super::super::report::State;
    use super::super::tests::{pod, seen, states};
    use super::*;
    use crate::binding::findings::{SECRET_MISSING, WITHOUT_HOSTS, WITHOUT_SECRET};
    use crate::observe::findings::NO_PODS;

    fn with(findings: Looked<Vec<Finding>>) -> Facts {
        let mut facts = seen(pod(&serde_json::json!([])), Said::default());
        facts.gateways.get_mut("kong").unwrap().findings = findings;
        facts
    }

    #[test]
    fn a_tls_section_without_hosts_warns_and_a_missing_secret_fails_with_commands_for_the_object() {
        let all = with(Ok(vec![
            WITHOUT_HOSTS.on("Ingress web/shop", "the section of Secret web/s"),
            SECRET_MISSING.on("Ingress web/shop", "Secret web/none"),
            WITHOUT_SECRET.on("Ingress web/other", "a.example"),
        ]));
        let said = bindings(&all);
        assert_eq!(states(&said), [State::Warning, State::Failed, State::Passed]);
        assert!(said[1].mend.ends_with("kubectl get ingress shop -n web -o yaml"), "{said:#?}");
        assert_eq!(states(&bindings(&with(Ok(Vec::new())))), [State::Passed]);
        assert_eq!(states(&bindings(&with(Err("secrets cannot be listed".to_owned())))), [State::Unknown]);
    }

    #[test]
    fn a_selector_that_chooses_no_pod_warns_or_fails_as_the_controller_says() {
        let none = with(Ok(vec![NO_PODS.on("namespace:gateway", "the selector chooses none")]));
        assert_ne!(states(&pods(&none)), [State::Passed]);
        assert_eq!(states(&bindings(&none)), [State::Passed], "it is no binding");
        assert_eq!(states(&pods(&with(Ok(Vec::new())))), [State::Passed]);
    }
}
