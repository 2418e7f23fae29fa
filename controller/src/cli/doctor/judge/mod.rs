//! From facts to outcomes: a pure function a check, with a test that makes it fail.
pub mod answers;
pub mod bindings;
pub mod cluster;
pub mod gateway;
pub mod own;
pub mod plugins;
pub mod rights;
pub mod versions;

#[cfg(test)]
pub(super) mod tests {
    use super::super::facts::{Facts, Here, Said, Seen, SeenPod};
    use super::super::report::{Outcome, State};
    use crate::cluster::ObjectName;
    use crate::cluster::workload::Template;
    use crate::config::Overrides;
    use crate::config::load::parse;
    use certdrift_contract::UnixTime;
    use serde_json::{Value, json};
    use std::collections::{BTreeMap, BTreeSet};

    /// 2026-11-25T00:00:00Z.
    pub(in super::super) const NOW: UnixTime = UnixTime::from_seconds(1_795_564_800);

    const CONFIG: &str = "kubernetes: {reach: namespaces, namespaces: [web]}
gateways:
- name: kong
  kubernetes: {namespace: gateway, bindings: {kong_ingress: {}, gateway_api: {controller: a/b}}, pods: {labels: {app: kong}}}
";

    /// An installation in the namespace `own` with a gateway `kong` whose pods are in the namespace `gateway`.
    pub(in super::super) fn facts() -> Facts {
        let here = Here {
            namespace: "own".to_owned(),
            account: Some(ObjectName::new("own", "cd-certdrift")),
            deployment: Some("cd-certdrift".to_owned()),
            release: Some("cd".to_owned()),
            user: Some("alice".to_owned()),
            config: Some(parse(CONFIG, "test", &Overrides::default()).unwrap()),
            unread: None,
        };
        Facts::of(here, NOW)
    }

    /// A pod of the Deployment `kong` in the namespace `gateway` with these containers.
    pub(in super::super) fn pod(containers: &Value) -> Template {
        serde_json::from_value(json!({
            "metadata": {"name": "kong-5d9c-x", "namespace": "gateway", "labels": {"pod-template-hash": "5d9c"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "kong-5d9c", "uid": "1", "controller": true}]},
            "spec": {"containers": containers, "volumes": [{"name": "d", "secret": {"secretName": "default-tls"}}]}}))
        .unwrap()
    }

    /// With a gateway that has this pod, which says this.
    pub(in super::super) fn seen(template: Template, said: Said) -> Facts {
        let seen = Seen {
            pods: Ok(vec![SeenPod { template, said }]),
            fixed: BTreeMap::new(),
            renewed: Ok(BTreeSet::new()),
            findings: Ok(Vec::new()),
        };
        Facts { gateways: [("kong".to_owned(), seen)].into(), ..facts() }
    }

    /// The same with more of the gateway's pods in the configuration: `report: /certdrift/report`.
    pub(in super::super) fn with_pods(mut facts: Facts, more: &str) -> Facts {
        let text = CONFIG.replace("labels: {app: kong}", &format!("labels: {{app: kong}}, {more}"));
        facts.here.config = Some(parse(&text, "test", &Overrides::default()).unwrap());
        facts
    }

    /// The states of what came out.
    pub(in super::super) fn states(outcomes: &[Outcome]) -> Vec<State> {
        outcomes.iter().map(|outcome| outcome.state).collect()
    }
}
