//! Which rights a configuration needs: docs/permissions.md as code. Pure. Tests hold it to that page, and the chart's roles
//! are held to the same page.
use crate::cluster::ObjectName;
use crate::cluster::review::Right;
use crate::config::Config;
use crate::config::kubernetes::{Dialect, Reach};
use crate::converge::Mode;
use std::collections::BTreeSet;

const CORE: &str = "";
const LEASES: &str = "coordination.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
const CERT_MANAGER: &str = "cert-manager.io";
const EVENTS: &str = "events.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// What needs a right, as the page calls it, and the right.
pub type Need = (&'static str, Right);

/// All that certdrift's account needs; `own` is its namespace.
#[must_use]
pub fn of(config: &Config, own: &str) -> Vec<Need> {
    let mut all = Needs::default();
    let Some(cluster) = &config.kubernetes else { return all.0 };
    let gateways: Vec<_> = config.gateways.iter().filter_map(|g| Some((g, g.kubernetes.as_ref()?))).collect();
    if gateways.is_empty() {
        return all.0;
    }
    if cluster.leader_election {
        let by = "kubernetes.leader_election";
        all.add(by, own, LEASES, &["leases"], &["create"]);
        all.named(by, own, LEASES, "leases", &cluster.lease, &["get", "patch"]);
    }
    let everywhere = [String::new()];
    let reach: &[String] = if cluster.reach == Reach::Namespaces { &cluster.namespaces } else { &everywhere };
    let mut told: BTreeSet<&str> = reach.iter().map(String::as_str).collect();
    for (gateway, place) in &gateways {
        let n = place.namespace.as_str();
        all.add("every gateway in a cluster", n, CORE, &["configmaps"], &["list", "watch", "create"]);
        let ledger = format!("certdrift-ledger-{}", gateway.name);
        all.named("every gateway in a cluster", n, CORE, "configmaps", &ledger, &["patch", "delete"]);
        if let Some(pods) = &place.pods {
            all.add("kubernetes.pods of a gateway", n, CORE, &["pods"], &["list", "watch"]);
            if pods.service.is_some() {
                all.add("pods.service", n, CORE, &["services"], &["list", "watch"]);
            }
        }
        let heals = gateway.policy.mode == Mode::Heal;
        let remedies = gateway.policy.remedies.iter().filter(|_| heals);
        for kind in remedies.map(|remedy| remedy.act.kind()) {
            all.remedy(kind, n, reach);
        }
        if let Some(canary) = gateway.canary.as_ref().and_then(|c| ObjectName::parse(&c.certificate)) {
            let (by, place) = ("canary of a gateway", &*canary.namespace);
            all.named(by, place, CERT_MANAGER, "certificates", &canary.name, &["get"]);
            all.named(by, place, CERT_MANAGER, "certificates/status", &canary.name, &["patch"]);
            // That of a ClusterIssuer is not known from the configuration.
            all.add(by, place, CERT_MANAGER, &["issuers"], &["get"]);
        }
        if cluster.events && cluster.reach == Reach::Namespaces && told.insert(n) {
            all.add("kubernetes.events", n, EVENTS, &["events"], &["create", "get", "patch"]);
        }
        if let Some(of) = &place.ingress_controller {
            let from = place.pushed_from().unwrap_or(n);
            if of.metrics.is_some() {
                all.add("ingress_controller.metrics", from, CORE, &["pods"], &["list", "watch"]);
            }
            if of.events {
                let by = "ingress_controller.events";
                let within = reach.iter().map(String::as_str);
                let here = (cluster.reach == Reach::Namespaces).then_some(from);
                for namespace in within.chain(here) {
                    all.add(by, namespace, CORE, &["events"], &["list", "watch"]);
                }
            }
        }
    }
    let bindings = || gateways.iter().map(|(_, place)| &place.bindings);
    let ingresses = bindings().any(|b| b.kong_ingress.is_some());
    let api = bindings().any(|b| b.gateway_api.is_some());
    let standard =
        bindings().any(|b| b.gateway_api.as_ref().is_some_and(|api| api.dialect == Dialect::Standard));
    let follow = ["list", "watch"];
    for n in reach {
        if cluster.reach != Reach::Keyless {
            all.add("reach: cluster and reach: namespaces; not keyless", n, CORE, &["secrets"], &follow);
        }
        if ingresses {
            all.add("bindings.kong_ingress", n, NETWORKING, &["ingresses"], &follow);
        }
        if api {
            let kinds = ["gateways", "tlsroutes", "referencegrants"];
            all.add("bindings.gateway_api", n, GATEWAY_API, &kinds, &follow);
        }
        if standard {
            all.add("gateway_api.dialect: standard", n, GATEWAY_API, &["listenersets"], &follow);
        }
        let by = "certificates that cert-manager issues; always with keyless";
        all.add(by, n, CERT_MANAGER, &["certificates", "certificaterequests"], &follow);
        if cluster.events {
            all.add("kubernetes.events", n, EVENTS, &["events"], &["create", "get", "patch"]);
        }
    }
    if ingresses {
        all.add("bindings.kong_ingress", "", NETWORKING, &["ingressclasses"], &follow);
    }
    if api {
        all.add("bindings.gateway_api", "", GATEWAY_API, &["gatewayclasses"], &follow);
    }
    if standard {
        all.add("gateway_api.dialect: standard", "", CORE, &["namespaces"], &follow);
    }
    if cluster.cert_manager.reviews {
        all.add("cert_manager.reviews", "", AUTHORIZATION, &["subjectaccessreviews"], &["create"]);
    }
    all.0
}

/// What it takes to install the chart into a namespace, beside what the roles grant (see [`granting`]).
#[must_use]
pub fn to_install(config: Option<&Config>, own: &str) -> Vec<Need> {
    let mut all = Needs::default();
    let create = ["create"];
    all.add("the chart", own, "apps", &["deployments"], &create);
    all.add("the chart", own, CORE, &["serviceaccounts", "services", "configmaps", "secrets"], &create);
    all.add("the chart, with replicas: 2", own, "policy", &["poddisruptionbudgets"], &create);
    all.add("the chart's certificate", own, CERT_MANAGER, &["certificates", "issuers"], &create);
    all.add("the chart's roles", own, RBAC, &["roles", "rolebindings"], &create);
    let gateways = config.iter().flat_map(|c| &c.gateways).filter_map(|g| g.kubernetes.as_ref());
    for place in gateways {
        all.add("the chart's roles", &place.namespace, RBAC, &["roles", "rolebindings"], &create);
    }
    let reach = config.and_then(|c| c.kubernetes.as_ref()).map_or(&[][..], |k| &k.namespaces);
    for namespace in reach {
        all.add("the chart's roles", namespace, RBAC, &["roles", "rolebindings"], &create);
    }
    all.add("the chart's roles", "", RBAC, &["clusterroles", "clusterrolebindings"], &create);
    all.0
}

/// What lets somebody grant what he does not have himself; who lacks it needs each of [`of`] himself.
#[must_use]
pub fn granting() -> Vec<Need> {
    let mut all = Needs::default();
    all.add("granting", "", RBAC, &["clusterroles"], &["escalate", "bind"]);
    all.0
}

#[derive(Default)]
struct Needs(Vec<Need>);

impl Needs {
    fn put(&mut self, by: &'static str, right: Right) {
        if !self.0.iter().any(|(_, known)| *known == right) {
            self.0.push((by, right));
        }
    }

    /// What a remedy needs of a gateway whose pods are in `n`.
    fn remedy(&mut self, kind: &str, n: &str, reach: &[String]) {
        match kind {
            "evict" => {
                self.add("evict among the remedies", n, CORE, &["pods/eviction"], &["create"]);
            }
            "rollout" => {
                let by = "rollout among the remedies";
                // Where somebody else writes the template, it evicts.
                self.add(by, n, CORE, &["pods/eviction"], &["create"]);
                self.add(by, n, "apps", &["deployments", "statefulsets", "daemonsets"], &["get", "patch"]);
            }
            "kube-exec" => {
                self.add("kube_exec among the remedies", n, CORE, &["pods/exec"], &["get", "create"]);
            }
            "touch" => {
                for namespace in reach {
                    self.add("touch among the remedies", namespace, CORE, &["secrets"], &["get", "patch"]);
                }
            }
            // On this machine, or somebody else's: nothing of the API server.
            _ => {}
        }
    }

    fn add(
        &mut self,
        by: &'static str,
        namespace: &str,
        group: &'static str,
        kinds: &[&'static str],
        verbs: &[&'static str],
    ) {
        for resource in kinds {
            for verb in verbs {
                self.put(by, Right { namespace: namespace.into(), group, resource, name: None, verb });
            }
        }
    }

    fn named(
        &mut self,
        by: &'static str,
        namespace: &str,
        group: &'static str,
        resource: &'static str,
        name: &str,
        verbs: &[&'static str],
    ) {
        for verb in verbs {
            let name = Some(name.into());
            self.put(by, Right { namespace: namespace.into(), group, resource, name, verb });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::config::load::parse;

    const GATEWAY: &str = "
gateways:
- name: kong
  kubernetes:
    namespace: gateway
    bindings: {kong_ingress: {}, gateway_api: {controller: a/b, dialect: standard}}
    pods: {service: kong}
    ingress_controller: {metrics: {labels: {app: kic}}}
  policy: {mode: heal, remedies: [{name: a, evict: {}}, {name: b, touch: {}}, {name: c, rollout: {}}, {name: d, kube_exec: {}}]}
  canary: {certificate: web/canary, host: c.example}
";

    fn needs(kubernetes: &str) -> BTreeSet<String> {
        let gateway = if kubernetes.contains("keyless") {
            // It may not look at Secrets, so it may not touch them.
            GATEWAY.replace(" {name: b, touch: {}},", "")
        } else {
            GATEWAY.to_owned()
        };
        let text = format!("kubernetes: {kubernetes}{gateway}");
        let config = parse(&text, "test", &Overrides::default()).unwrap();
        let word = |place: &str| match place {
            "" => "cluster".to_owned(),
            place => place.to_owned(),
        };
        of(&config, "own")
            .into_iter()
            .map(|(_, r)| format!("{} {} {}/{}", word(&r.namespace), r.verb, r.group, r.resource))
            .collect()
    }

    /// The rows of docs/permissions.md, where every feature is used.
    fn page(reach: &str) -> BTreeSet<String> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
        let page = std::fs::read_to_string(page).unwrap();
        let mut all = BTreeSet::new();
        for line in page.lines().filter(|line| line.starts_with("| ")).skip(1) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [by, place, group, kinds, verbs] = cells[..] else { panic!("five cells: {line}") };
            if by.contains("helm test") || by.contains("ClusterIssuer") {
                continue;
            }
            let places: &[&str] = match place {
                "reach" => &[reach],
                "reach and gateway" if reach == "cluster" => &[reach],
                "reach and gateway" => &[reach, "gateway"],
                "canary" => &["web"],
                other => &[other],
            };
            let group = if group == "core" { "" } else { group };
            for place in places {
                for kind in kinds.split(' ') {
                    all.extend(verbs.split(' ').map(|verb| format!("{place} {verb} {group}/{kind}")));
                }
            }
        }
        all
    }

    #[test]
    fn a_configuration_that_uses_all_needs_every_row_of_the_permissions_page_and_nothing_else() {
        assert_eq!(needs("{}"), page("cluster"));
        assert_eq!(needs("{reach: namespaces, namespaces: [web]}"), page("web"));
    }

    #[test]
    fn keyless_asks_for_no_secret_and_what_is_switched_off_needs_nothing() {
        let needs =
            needs("{reach: keyless, events: false, leader_election: false, cert_manager: {reviews: false}}");
        for word in ["secrets", "leases", "events.k8s.io", "subjectaccessreviews"] {
            assert!(!needs.iter().any(|need| need.contains(word)), "{word}: {needs:#?}");
        }
        assert!(needs.contains("cluster watch cert-manager.io/certificates"));
    }

    #[test]
    fn who_installs_needs_roles_where_gateways_are() {
        let config = parse(&format!("kubernetes: {{}}{GATEWAY}"), "test", &Overrides::default()).unwrap();
        let all: Vec<String> = to_install(Some(&config), "own").iter().map(|(_, r)| r.to_string()).collect();
        for right in [
            "create roles.rbac.authorization.k8s.io in gateway",
            "create clusterroles.rbac.authorization.k8s.io",
            "create deployments.apps in own",
        ] {
            assert!(all.iter().any(|r| r == right), "{right}: {all:#?}");
        }
    }
}
