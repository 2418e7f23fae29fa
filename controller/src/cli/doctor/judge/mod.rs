//! From facts to outcomes: a pure function a check, with a test that makes it fail.
pub mod cluster;
pub mod own;
pub mod rights;

#[cfg(test)]
pub(super) mod tests {
    use super::super::facts::{Facts, Here};
    use super::super::report::{Outcome, State};
    use crate::cluster::ObjectName;
    use crate::config::Overrides;
    use crate::config::load::parse;
    use certdrift_contract::UnixTime;

    /// 2026-11-25T00:00:00Z.
    pub(in super::super) const NOW: UnixTime = UnixTime::from_seconds(1_795_564_800);

    /// An installation in the namespace `own` with a gateway `kong` whose pods are in the namespace `gateway`.
    pub(in super::super) fn facts() -> Facts {
        let text = "kubernetes: {reach: namespaces, namespaces: [web]}
gateways:
- name: kong
  kubernetes: {namespace: gateway, bindings: {kong_ingress: {}, gateway_api: {controller: a/b}}, pods: {labels: {app: kong}}}
";
        let here = Here {
            namespace: "own".to_owned(),
            account: Some(ObjectName::new("own", "cd-certdrift")),
            deployment: Some("cd-certdrift".to_owned()),
            release: Some("cd".to_owned()),
            user: Some("alice".to_owned()),
            config: Some(parse(text, "test", &Overrides::default()).unwrap()),
        };
        Facts::of(here, NOW)
    }

    /// The states of what came out.
    pub(in super::super) fn states(outcomes: &[Outcome]) -> Vec<State> {
        outcomes.iter().map(|outcome| outcome.state).collect()
    }
}
