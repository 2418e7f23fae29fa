//! Checks of certdrift's own objects: Deployment, Lease, ledgers. Pure.
use super::super::facts::Facts;
use super::super::findings::{LEASE_FREE, LEDGER_STALE, NOT_READY};
use super::super::report::Outcome;

/// A revision so many seconds ahead of the clock is refused by the filter.
const MOST_AHEAD: i64 = 86_400;

/// Whether the configuration is one of a controller outside the cluster: there it has no Deployment.
fn runs_outside(facts: &Facts) -> bool {
    facts.here.config.as_ref().is_some_and(|config| {
        config.kubernetes.as_ref().is_none_or(|k| k.kubeconfig.is_some() || k.context.is_some())
    })
}

/// The replicas are ready.
#[must_use]
pub fn deployment(facts: &Facts) -> Vec<Outcome> {
    let n = &facts.here.namespace;
    let found = match &facts.deployment {
        Ok(found) => found,
        Err(why) => {
            let mend = format!("kubectl get deployments -n {n} -l app.kubernetes.io/name=certdrift");
            return vec![Outcome::unknown("", why, mend)];
        }
    };
    let Some(found) = found else {
        if runs_outside(facts) {
            return Vec::new();
        }
        let what = "no Deployment is labelled app.kubernetes.io/name=certdrift";
        let mend = format!(
            "certdrift doctor --pre --namespace {n}    # may it be installed here?\nhelm install certdrift deploy/chart --namespace {n} --create-namespace --values values.yaml\nif it is elsewhere: certdrift doctor --namespace NAMESPACE"
        );
        return vec![Outcome::failed(&NOT_READY, format!("namespace {n}"), what, mend)];
    };
    let (ready, wanted) = (found.status.ready_replicas, found.spec.replicas.unwrap_or(1));
    let object = format!("deployment {}", found.metadata.object());
    if ready >= wanted && wanted > 0 {
        return vec![Outcome::passed(format!("{object}: {ready} of {wanted} are ready"))];
    }
    let name = &found.metadata.name;
    let mend = if wanted == 0 {
        format!("kubectl scale deployment {name} -n {n} --replicas=2")
    } else {
        format!("kubectl describe deployment {name} -n {n}\nkubectl logs deployment/{name} -n {n} --tail=30")
    };
    let what = format!("{ready} of {wanted} replicas are ready");
    vec![match ready {
        0 => Outcome::failed(&NOT_READY, object, what, mend),
        _ => Outcome::warning(&NOT_READY, object, what, mend),
    }]
}

/// Somebody leads.
#[must_use]
pub fn lease(facts: &Facts) -> Vec<Outcome> {
    let kubernetes = facts.here.kubernetes();
    if !kubernetes.leader_election || facts.here.config.is_none() {
        return Vec::new();
    }
    let (n, name) = (&facts.here.namespace, &kubernetes.lease);
    let object = format!("lease {n}/{name}");
    let logs =
        facts.here.deployment.as_ref().map(|d| format!("\nkubectl logs deployment/{d} -n {n} --tail=30"));
    let mend = format!("kubectl get lease {name} -n {n} -o yaml{}", logs.unwrap_or_default());
    let failed = |what: String| vec![Outcome::failed(&LEASE_FREE, &object, what, &mend)];
    match &facts.lease {
        Err(why) => vec![Outcome::unknown(&object, why, &mend)],
        Ok(None) => failed("it is not there: no replica has ever led".to_owned()),
        Ok(Some(held)) if held.holder.is_empty() => failed("nobody holds it".to_owned()),
        Ok(Some(held)) => {
            let age = held.renewed.map(|renewed| facts.now.since(renewed));
            match age {
                // Clocks may differ by what the check of the clock lets pass.
                Some(age) if age <= held.lasts.saturating_add(5) => {
                    vec![Outcome::passed(format!("{} holds {object}", held.holder))]
                }
                Some(age) => failed(format!("{} held it and has not renewed it for {age} s", held.holder)),
                None => failed(format!("{} holds it and has never renewed it", held.holder)),
            }
        }
    }
}

/// Every gateway's ledger is published.
#[must_use]
pub fn ledgers(facts: &Facts) -> Vec<Outcome> {
    let gateways = facts.here.config.iter().flat_map(|config| &config.gateways);
    let in_cluster = gateways.filter_map(|g| Some((&g.name, &g.kubernetes.as_ref()?.namespace)));
    in_cluster.map(|(name, n)| ledger(facts, name, n)).collect()
}

fn ledger(facts: &Facts, name: &str, n: &str) -> Outcome {
    let object = format!("configmap {n}/certdrift-ledger-{name}");
    let logs = match &facts.here.deployment {
        Some(d) => format!("kubectl logs deployment/{d} -n {} --tail=30", facts.here.namespace),
        None => format!("certdrift doctor --only rights    # may it write ConfigMaps in {n}?"),
    };
    let failed = |what: String| Outcome::failed(&LEDGER_STALE, &object, what, &logs);
    match facts.ledgers.get(name) {
        None => Outcome::unknown(&object, "it was not asked for", ""),
        Some(Err(why)) => {
            Outcome::unknown(&object, why, format!("kubectl get configmap certdrift-ledger-{name} -n {n}"))
        }
        Some(Ok(None)) => failed("it is not there, or holds no ledger".to_owned()),
        Some(Ok(Some(ledger))) => {
            let ahead =
                i64::try_from(ledger.revision.0).unwrap_or(i64::MAX).saturating_sub(facts.now.seconds());
            if ahead > MOST_AHEAD {
                return failed(format!(
                    "its revision lies {} h ahead of the clock: filters refuse it",
                    ahead / 3600
                ));
            }
            Outcome::passed(format!("{object}: revision {}, of {}", ledger.revision.0, ledger.published_at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::Held;
    use super::super::super::report::State;
    use super::super::tests::{NOW, facts, states};
    use super::*;
    use certdrift_contract::Ledger;
    use serde_json::json;

    #[test]
    fn a_deployment_that_is_absent_or_not_ready_fails_and_one_of_two_warns() {
        let with = |ready: u32, wanted: u32| {
            let found = json!({"metadata": {"name": "cd-certdrift", "namespace": "own"},
                "spec": {"replicas": wanted}, "status": {"readyReplicas": ready}});
            deployment(&Facts { deployment: Ok(Some(serde_json::from_value(found).unwrap())), ..facts() })
        };
        assert_eq!(states(&with(2, 2)), [State::Passed]);
        assert_eq!(states(&with(1, 2)), [State::Warning]);
        assert_eq!(states(&with(0, 2)), [State::Failed]);
        assert!(with(0, 2)[0].mend.contains("kubectl logs deployment/cd-certdrift -n own"));
        assert!(with(0, 0)[0].mend.contains("kubectl scale"));
        assert_eq!(states(&deployment(&Facts { deployment: Ok(None), ..facts() })), [State::Failed]);
        let mut outside = Facts { deployment: Ok(None), ..facts() };
        outside.here.config.as_mut().unwrap().kubernetes.as_mut().unwrap().context = Some("a".to_owned());
        assert!(deployment(&outside).is_empty(), "it runs on this machine");
        let forbidden = Facts { deployment: Err("forbidden".to_owned()), ..facts() };
        assert_eq!(states(&deployment(&forbidden)), [State::Unknown]);
    }

    #[test]
    fn a_lease_that_nobody_renews_fails() {
        let with = |held: Option<(&str, i64)>| {
            let held = held.map(|(holder, ago)| Held {
                holder: holder.to_owned(),
                renewed: Some(NOW.plus(-ago)),
                lasts: 15,
            });
            lease(&Facts { lease: Ok(held), ..facts() })
        };
        assert_eq!(states(&with(Some(("a", 9)))), [State::Passed]);
        assert_eq!(states(&with(Some(("a", 60)))), [State::Failed]);
        assert!(with(Some(("a", 60)))[0].what.contains("not renewed it for 60 s"));
        assert_eq!(states(&with(Some(("", 1)))), [State::Failed]);
        assert_eq!(states(&with(None)), [State::Failed]);
        assert_eq!(
            states(&lease(&Facts { lease: Err("forbidden".to_owned()), ..facts() })),
            [State::Unknown]
        );
    }

    #[test]
    fn a_ledger_that_is_not_there_or_of_tomorrow_fails() {
        let with = |ledger: Option<i64>| {
            let of = |seconds: i64| -> Ledger {
                let text = json!({"schema": "certdrift.dev/ledger/v1", "gateway": "kong", "match": "kong",
                    "revision": seconds, "published_at": "2026-11-24T00:00:00Z", "entries": []});
                Ledger::parse(text.to_string().as_bytes(), &certdrift_contract::json::Limits::default())
                    .unwrap()
            };
            let ledgers = [("kong".to_owned(), Ok(ledger.map(of)))].into();
            ledgers_of(ledgers)
        };
        assert_eq!(states(&with(Some(NOW.seconds() - 90))), [State::Passed]);
        assert_eq!(states(&with(Some(NOW.seconds() + 100_000))), [State::Failed]);
        assert_eq!(states(&with(None)), [State::Failed]);
        let forbidden = [("kong".to_owned(), Err("forbidden".to_owned()))].into();
        assert_eq!(states(&ledgers_of(forbidden)), [State::Unknown]);
    }

    fn ledgers_of(
        all: std::collections::BTreeMap<String, super::super::super::facts::Looked<Option<Ledger>>>,
    ) -> Vec<Outcome> {
        ledgers(&Facts { ledgers: all, ..facts() })
    }
}
