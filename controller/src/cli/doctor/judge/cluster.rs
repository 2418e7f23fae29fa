//! Checks of the API server and of what is installed beside certdrift. Pure.
use super::super::facts::Facts;
use super::super::findings::{CLOCK, KIND_MISSING, NO_CERT_MANAGER};
use super::super::report::Outcome;
use crate::config::kubernetes::Reach;

/// A difference of so many seconds is worth a warning; the Lease lasts no shorter.
const SKEW_WARNS: i64 = 5;
/// With so many, graces of a minute mean nothing.
const SKEW_FAILS: i64 = 60;

/// It answers.
#[must_use]
pub fn api_server(facts: &Facts) -> Vec<Outcome> {
    vec![match &facts.server {
        Ok(server) => Outcome::passed(format!("the API server answers: {}", server.version)),
        Err(why) => Outcome::unknown(
            "",
            why,
            "kubectl version; with several clusters: kubectl config get-contexts, then --context NAME",
        ),
    }]
}

/// Our clock is that of the API server, as far as a header to the second can tell.
#[must_use]
pub fn clock(facts: &Facts) -> Vec<Outcome> {
    let server = match &facts.server {
        Ok(server) => server,
        Err(why) => return vec![Outcome::unknown("", why, "")],
    };
    let Some(date) = server.date else {
        return vec![Outcome::unknown("", "the answer has no Date header: a proxy takes it away", "")];
    };
    // The answer was written at some moment between the two, and the header has no fractions.
    let (asked, answered) = (server.asked.0.0.div_euclid(1000), server.asked.1.0.div_euclid(1000));
    let date = date.seconds();
    let ahead = asked.saturating_sub(date).saturating_sub(1).max(0);
    let behind = date.saturating_sub(answered).max(0);
    let (apart, word) = if ahead > 0 { (ahead, "ahead of") } else { (behind, "behind") };
    let what = format!("this machine's clock is {apart} s {word} the API server's");
    let mend = "chronyc tracking    # on this machine and on the nodes of the control plane";
    vec![match apart {
        0..=SKEW_WARNS => Outcome::passed(format!("the clocks agree within {} s", apart.saturating_add(1))),
        _ if apart > SKEW_FAILS => Outcome::failed(&CLOCK, "", what, mend),
        _ => Outcome::warning(&CLOCK, "", what, mend),
    }]
}

/// cert-manager's definitions.
#[must_use]
pub fn cert_manager_kinds(facts: &Facts) -> Vec<Outcome> {
    let kinds = match &facts.cert_manager_kinds {
        Ok(kinds) => kinds,
        Err(why) => return vec![Outcome::unknown("", why, "")],
    };
    let missing: Vec<&str> =
        ["certificates", "certificaterequests"].into_iter().filter(|kind| !kinds.contains(*kind)).collect();
    if missing.is_empty() {
        return vec![Outcome::passed("cert-manager's kinds are there")];
    }
    let keyless = facts.here.kubernetes().reach == Reach::Keyless;
    let what = format!("the API server does not know {} of cert-manager.io/v1", missing.join(", "));
    let mend = "helm install cert-manager oci://REGISTRY/cert-manager --namespace cert-manager --create-namespace --set crds.enabled=true";
    let outcome = if keyless {
        Outcome::failed(&KIND_MISSING, "", what, mend)
            .because("reach: keyless knows certificates by cert-manager's requests only")
    } else {
        Outcome::warning(&KIND_MISSING, "", what, mend)
            .because("without cert-manager the hops issued and stored cannot be told")
    };
    vec![outcome]
}

/// Gateway API's definitions, where a gateway is bound by it.
#[must_use]
pub fn gateway_api_kinds(facts: &Facts) -> Vec<Outcome> {
    let gateways = facts.here.config.iter().flat_map(|config| &config.gateways);
    let bound: Vec<&str> = gateways
        .filter(|g| g.kubernetes.as_ref().is_some_and(|own| own.bindings.gateway_api.is_some()))
        .map(|g| g.name.as_str())
        .collect();
    if bound.is_empty() {
        return Vec::new();
    }
    let kinds = match &facts.gateway_api_kinds {
        Ok(kinds) => kinds,
        Err(why) => return vec![Outcome::unknown("", why, "")],
    };
    let missing: Vec<&str> =
        ["gateways", "gatewayclasses"].into_iter().filter(|kind| !kinds.contains(*kind)).collect();
    if missing.is_empty() {
        return vec![Outcome::passed("Gateway API's kinds are there")];
    }
    let what = format!("the API server does not know {} of gateway.networking.k8s.io/v1", missing.join(", "));
    let mend = format!(
        "kubectl apply --server-side -f standard-install.yaml    # of Gateway API's release\nor take bindings.gateway_api out of the configuration of {}",
        bound.join(", ")
    );
    vec![Outcome::failed(&KIND_MISSING, "", what, mend).because(format!(
        "{} is bound by Gateway API: nothing is published before its kinds are seen",
        bound.join(", ")
    ))]
}

/// cert-manager's controller runs.
#[must_use]
pub fn cert_manager(facts: &Facts) -> Vec<Outcome> {
    if facts.cert_manager_kinds.as_ref().is_ok_and(std::collections::BTreeSet::is_empty) {
        // Said already, by its kinds.
        return Vec::new();
    }
    let account = facts.here.cert_manager();
    let pods = match &facts.cert_manager {
        Ok(pods) => pods,
        Err(why) => {
            let mend = format!("kubectl get pods -n {}", account.namespace);
            return vec![Outcome::unknown("", why, mend)];
        }
    };
    let controllers: Vec<_> =
        pods.iter().filter(|pod| *pod.spec.service_account_name == *account.name).collect();
    let object = format!("serviceaccount {account}");
    let mend = format!(
        "kubectl get pods -n {0}\nif cert-manager is elsewhere: kubernetes.cert_manager.service_account: NAMESPACE/NAME in the configuration (chart: kubernetes.cert_manager.service_account)",
        account.namespace
    );
    match controllers.iter().find(|pod| pod.is_ready()) {
        Some(pod) => {
            let image = pod.spec.containers.first().map(|c| c.image.to_string()).unwrap_or_default();
            vec![Outcome::passed(format!("cert-manager's controller is ready: {image}"))]
        }
        None if controllers.is_empty() => {
            vec![Outcome::warning(&NO_CERT_MANAGER, object, "no pod runs as cert-manager's account", mend)]
        }
        None => vec![Outcome::failed(&NO_CERT_MANAGER, object, "none of its pods is ready", mend)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::State;
    use super::super::tests::{NOW, facts, states};
    use super::*;
    use crate::cluster::server::Server;
    use crate::converge::Millis;

    fn at(seconds_ahead: i64) -> Facts {
        let ours = Millis(NOW.plus(seconds_ahead).seconds() * 1000);
        let server = Server { version: "v1.37.2".to_owned(), date: Some(NOW), asked: (ours, ours) };
        Facts { server: Ok(server), ..facts() }
    }

    #[test]
    fn an_api_server_that_does_not_answer_is_not_looked_at() {
        assert_eq!(states(&api_server(&at(0))), [State::Passed]);
        let facts = Facts { server: Err("connection refused".to_owned()), ..facts() };
        let [said] = &api_server(&facts)[..] else { panic!() };
        assert_eq!(
            (said.state, said.what.as_str()),
            (State::Unknown, "could not look, because connection refused")
        );
        assert_eq!(states(&clock(&facts)), [State::Unknown]);
    }

    #[test]
    fn clocks_that_differ_warn_over_five_seconds_and_fail_over_sixty() {
        for (ahead, state) in [
            (0, State::Passed),
            (5, State::Passed),
            (7, State::Warning),
            (-7, State::Warning),
            (62, State::Failed),
            (-3600, State::Failed),
        ] {
            assert_eq!(states(&clock(&at(ahead))), [state], "{ahead}");
        }
        assert!(clock(&at(-7))[0].what.contains("7 s behind"));
        let mut no_date = at(0);
        no_date.server.as_mut().unwrap().date = None;
        assert_eq!(states(&clock(&no_date)), [State::Unknown]);
    }

    #[test]
    fn without_cert_managers_kinds_keyless_fails_and_others_are_warned() {
        let missing = Facts { cert_manager_kinds: Ok(["certificates".to_owned()].into()), ..facts() };
        let [said] = &cert_manager_kinds(&missing)[..] else { panic!() };
        assert_eq!(said.state, State::Warning);
        assert!(said.what.contains("know certificaterequests of"), "{}", said.what);
        let mut keyless = missing;
        let section = keyless.here.config.as_mut().and_then(|c| c.kubernetes.as_mut()).unwrap();
        section.reach = Reach::Keyless;
        assert_eq!(states(&cert_manager_kinds(&keyless)), [State::Failed]);
    }

    #[test]
    fn a_gateway_bound_by_gateway_api_fails_without_its_kinds() {
        let missing = Facts { gateway_api_kinds: Ok([].into()), ..facts() };
        let [said] = &gateway_api_kinds(&missing)[..] else { panic!() };
        assert_eq!(said.state, State::Failed);
        assert!(said.mend.contains("of kong"), "{}", said.mend);
        let mut none = missing;
        none.here.config = None;
        assert!(gateway_api_kinds(&none).is_empty(), "nobody is bound by it");
    }

    fn pod(account: &str, ready: &str) -> crate::cluster::workload::Template {
        serde_json::from_value(serde_json::json!({"metadata": {"name": "cm-0"},
            "spec": {"serviceAccountName": account, "containers": [{"image": "cert-manager-controller:v1.21.2"}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}}))
        .unwrap()
    }

    #[test]
    fn cert_manager_is_there_once_a_pod_of_its_account_is_ready() {
        let with = |pods| {
            let kinds = Ok(["certificates".to_owned()].into());
            states(&cert_manager(&Facts { cert_manager: Ok(pods), cert_manager_kinds: kinds, ..facts() }))
        };
        assert_eq!(
            with(vec![pod("cert-manager", "True"), pod("cert-manager-webhook", "False")]),
            [State::Passed]
        );
        assert_eq!(with(vec![pod("cert-manager", "False")]), [State::Failed]);
        assert_eq!(with(vec![pod("cert-manager-webhook", "True")]), [State::Warning]);
        let forbidden = Facts { cert_manager: Err("cannot list pods".to_owned()), ..facts() };
        assert_eq!(states(&cert_manager(&forbidden)), [State::Unknown]);
    }
}
