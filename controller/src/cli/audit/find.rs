//! Which pods are gateways, and by which rules their hosts are bound: as the flags or a configuration say, else as images,
//! ports and classes tell. Pure; what was chosen is always said.
use super::read::{SeenPod, World};
use crate::binding::assemble::Rules;
use crate::binding::{gateway_api, kong_ingress};
use crate::cluster::ObjectName;
use crate::cluster::object::Labels;
use crate::cluster::pod::Port;
use crate::cluster::selector::Selector;
use crate::cluster::workload::Container;
use crate::config::{Config, ProxyProtocol};
use crate::observe::pods::{Finder, Which};
use certdrift_contract::Rules as Matching;
use std::collections::{BTreeMap, BTreeSet};

/// `spec.controller` of an IngressClass of Kong's ingress controller.
const KONG_INGRESS: &str = "ingress-controllers.konghq.com/kong";
/// `spec.controllerName` of a GatewayClass of it.
const KONG_GATEWAY: &str = "konghq.com/kic-gateway-controller";
/// What Envoy Gateway writes on the pods of a Gateway: its name, and its namespace.
const OWNING: [&str; 2] =
    ["gateway.envoyproxy.io/owning-gateway-name", "gateway.envoyproxy.io/owning-gateway-namespace"];
/// Labels that tell one pod, or one generation of pods, from its fellows.
const OWN_LABELS: [&str; 5] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];

/// Of which make a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Kong, given its configuration by Kong's ingress controller
    Kong,
    /// Envoy, by an implementation of Gateway API
    Envoy,
}

/// What was typed of the gateways.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Namespace of the pods.
    pub namespace: Option<String>,
    /// Labels of the pods.
    pub labels: Labels,
    /// The Service that they are behind.
    pub service: Option<String>,
    /// Which of their ports.
    pub port: Option<Port>,
    /// What they expect before TLS.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Of which make.
    pub kind: Option<Kind>,
    /// Of their ingress controller.
    pub class: Option<String>,
}

/// A gateway that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// What it is called.
    pub name: String,
    /// How its hosts are bound.
    pub rules: Rules,
    /// How its pods are found.
    pub finder: Finder,
    /// Why this one, and why so: one line.
    pub why: String,
    /// Which Ingresses are its was guessed: nobody says of which class they are, and there are several.
    pub guessed: bool,
}

/// The gateways of a configuration that are in a cluster.
#[must_use]
pub fn configured(config: &Config) -> Vec<Chosen> {
    let of = |gateway: &crate::config::Gateway| {
        let own = gateway.kubernetes.as_ref()?;
        Some(Chosen {
            name: gateway.name.clone(),
            rules: own.rules(gateway.rules),
            finder: own.finder()?,
            why: "as the configuration says".to_owned(),
            guessed: false,
        })
    };
    config.gateways.iter().filter_map(of).collect()
}

/// The gateways that were named, or those that are there.
#[must_use]
pub fn choose(named: &Named, world: &World) -> Vec<Chosen> {
    if named.service.is_none() && named.labels.is_empty() {
        return discovered(named, world);
    }
    let namespace = named.namespace.clone().unwrap_or_default();
    let which = match &named.service {
        Some(service) => Which::Service(service.clone()),
        None => Which::Labels(Selector { match_labels: named.labels.clone(), match_expressions: Vec::new() }),
    };
    let name = named.service.clone().unwrap_or_else(|| {
        named.labels.values().next().map_or_else(|| namespace.clone(), ToString::to_string)
    });
    let finder = finder(named, &namespace, which);
    let pods: Vec<&SeenPod> = its_pods(&finder, world);
    let kind = named.kind.or_else(|| pods.iter().find_map(|pod| kind(pod))).unwrap_or(Kind::Kong);
    let (rules, by, guessed) = rules(kind, named, &namespace, &pods, world);
    vec![Chosen { name, rules, finder, why: format!("as it was named; {by}"), guessed }]
}

fn finder(named: &Named, namespace: &str, which: Which) -> Finder {
    Finder {
        namespace: namespace.to_owned(),
        which,
        port: named.port.clone(),
        proxy_protocol: named.proxy_protocol,
        tap: None,
        report: None,
        status: None,
        token: None,
    }
}

/// Those that a finder would find.
fn its_pods<'a>(finder: &Finder, world: &'a World) -> Vec<&'a SeenPod> {
    let here = world.pods.iter().filter(|p| *p.pod.metadata.namespace == *finder.namespace);
    let labels = match &finder.which {
        Which::Labels(selector) => selector.match_labels.clone(),
        Which::Service(name) => {
            let service = ObjectName::new(&finder.namespace, name);
            let service = world.services.iter().find(|s| s.metadata.object() == service);
            service.and_then(|s| s.spec.selector.clone()).unwrap_or_default()
        }
    };
    here.filter(|p| !labels.is_empty() && has(&p.pod.metadata.labels, &labels)).collect()
}

fn has(all: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| all.get(key) == Some(value))
}

/// Of which make a pod is; none where it is no gateway that is known.
fn kind(seen: &SeenPod) -> Option<Kind> {
    let labels = &seen.pod.metadata.labels;
    let images = || seen.template.spec.containers.iter().map(|c| c.image().0);
    let is_kong = |image: &str| matches!(image, "kong" | "kong-gateway" | "kong-ee");
    // `proxy-tls` is what Kong's charts call the port.
    if images().any(is_kong) || seen.pod.port("proxy-tls").is_some() {
        return Some(Kind::Kong);
    }
    let is_proxy = images().any(|image| image == "envoy" || image.starts_with("envoy-"));
    (labels.contains_key(OWNING[0]) || (is_proxy && seen.pod.port("https").is_some())).then_some(Kind::Envoy)
}

/// The gateways that images, ports and labels tell, one a workload.
fn discovered(named: &Named, world: &World) -> Vec<Chosen> {
    let mut groups: BTreeMap<(String, String), (Kind, Vec<&SeenPod>)> = BTreeMap::new();
    for seen in world.pods.iter().filter(|seen| seen.pod.is_alive()) {
        let meta = &seen.pod.metadata;
        if named.namespace.as_ref().is_some_and(|wanted| *wanted != *meta.namespace) {
            continue;
        }
        let Some(kind) = kind(seen).filter(|kind| named.kind.is_none_or(|wanted| wanted == *kind)) else {
            continue;
        };
        let workload = seen.pod.workload().map_or_else(|| meta.name.to_string(), |w| w.name.name.to_string());
        let of = groups.entry((meta.namespace.to_string(), workload));
        of.or_insert_with(|| (kind, Vec::new())).1.push(seen);
    }
    let several: BTreeSet<String> = {
        let mut seen = BTreeSet::new();
        groups.keys().filter(|(_, workload)| !seen.insert(workload.clone())).map(|(_, w)| w.clone()).collect()
    };
    let mut all = Vec::new();
    for ((namespace, workload), (kind, pods)) in groups {
        let (rules, by, guessed) = rules(kind, named, &namespace, &pods, world);
        let mut finder = finder(named, &namespace, Which::Labels(shared_labels(&pods)));
        let usual = |p: &&SeenPod| p.pod.port("proxy-tls").or_else(|| p.pod.port("https")).is_some();
        if finder.port.is_none()
            && !pods.iter().all(usual)
            && let Some((service, port)) = service_of(&pods, world)
        {
            finder.which = Which::Service(service);
            finder.port = Some(port);
        }
        let name = if several.contains(&workload) { format!("{namespace}/{workload}") } else { workload };
        let made = match kind {
            Kind::Kong => "Kong by image or port",
            Kind::Envoy => "Envoy by label or image",
        };
        all.push(Chosen { name, rules, finder, why: format!("{made}; {by}"), guessed });
    }
    all
}

/// What all of a workload's pods are labelled, and no generation of them alone.
fn shared_labels(pods: &[&SeenPod]) -> Selector {
    let mut labels: Labels = pods.first().map(|p| p.pod.metadata.labels.clone()).unwrap_or_default();
    labels.retain(|key, value| {
        !OWN_LABELS.contains(&&**key) && pods.iter().all(|p| p.pod.metadata.labels.get(key) == Some(value))
    });
    Selector { match_labels: labels, match_expressions: Vec::new() }
}

/// A Service before these pods, and its port for TLS.
fn service_of(pods: &[&SeenPod], world: &World) -> Option<(String, Port)> {
    let first = pods.first()?;
    let before = world.services.iter().filter(|service| {
        let selector = service.spec.selector.as_ref().filter(|selector| !selector.is_empty());
        service.metadata.namespace == first.pod.metadata.namespace
            && selector.is_some_and(|selector| pods.iter().all(|p| has(&p.pod.metadata.labels, selector)))
    });
    let tls = before.filter_map(|service| {
        let port = service.spec.ports.iter().find(|p| p.port == 443 || p.name.starts_with("https"))?;
        Some((service.metadata.name.to_string(), Port::Number(port.port)))
    });
    tls.min_by(|a, b| a.0.cmp(&b.0))
}

/// By which rules hosts are bound, how that is known, and whether it was guessed.
fn rules(
    kind: Kind,
    named: &Named,
    namespace: &str,
    pods: &[&SeenPod],
    world: &World,
) -> (Rules, String, bool) {
    match kind {
        Kind::Kong => kong(named, namespace, pods, world),
        Kind::Envoy => {
            let (rules, by) = envoy(pods, world);
            (rules, by, false)
        }
    }
}

/// Kong's ingress controller beside the gateway, else the only one.
fn ingress_controller<'a>(namespace: &str, world: &'a World) -> Option<&'a Container> {
    let all: Vec<(&SeenPod, &Container)> = world
        .pods
        .iter()
        .filter(|seen| seen.pod.is_alive())
        .flat_map(|seen| seen.template.spec.containers.iter().map(move |c| (seen, c)))
        .filter(|(_, c)| c.image().0 == "kubernetes-ingress-controller")
        .collect();
    let near = all.iter().find(|(seen, _)| *seen.pod.metadata.namespace == *namespace);
    let classes: BTreeSet<Option<String>> = all.iter().map(|(_, c)| said(c, "INGRESS_CLASS")).collect();
    near.or_else(|| all.first().filter(|_| classes.len() == 1)).map(|(_, container)| *container)
}

/// An option of the ingress controller: `--ingress-class` or `CONTROLLER_INGRESS_CLASS`.
fn said(container: &Container, name: &str) -> Option<String> {
    let flag = format!("--{}=", name.to_ascii_lowercase().replace('_', "-"));
    let typed = container.args.iter().find_map(|argument| argument.strip_prefix(&flag));
    let set = container.variable(&format!("CONTROLLER_{name}"));
    typed.or(set).filter(|value| !value.is_empty()).map(str::to_owned)
}

fn kong(named: &Named, namespace: &str, pods: &[&SeenPod], world: &World) -> (Rules, String, bool) {
    let controller = ingress_controller(namespace, world);
    let own: Vec<&str> = world
        .classes
        .iter()
        .filter(|class| *class.spec.controller == *KONG_INGRESS)
        .map(|class| &*class.metadata.name)
        .collect();
    let asked = controller.and_then(|container| said(container, "INGRESS_CLASS"));
    // An ingress controller that was found and is told no class has the usual one.
    let guessed = named.class.is_none() && controller.is_none() && own.len() > 1;
    let (class, by) = match (&named.class, asked, own.as_slice()) {
        (Some(class), ..) => (class.clone(), "as it was named"),
        (None, Some(class), _) => (class, "as its ingress controller is told"),
        (None, None, [only]) => ((*only).to_owned(), "the only IngressClass of Kong's ingress controller"),
        (None, None, _) => (kong_ingress::Rules::default().class, "the usual one"),
    };
    let watched = controller.and_then(|container| said(container, "WATCH_NAMESPACE")).unwrap_or_default();
    let namespaces: BTreeSet<String> =
        watched.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let api = controller
        .and_then(|container| said(container, "GATEWAY_API_CONTROLLER_NAME"))
        .unwrap_or_else(|| KONG_GATEWAY.to_owned());
    let has_class = world.gateway_classes.iter().any(|class| *class.spec.controller_name == *api);
    let mut why = format!("Ingresses of class {class} ({by})");
    if !namespaces.is_empty() {
        why.push_str(&format!(" in {}", namespaces.iter().cloned().collect::<Vec<_>>().join(", ")));
    }
    if has_class {
        why.push_str(&format!(", Gateways of {api}"));
    }
    let rules = Rules {
        kong_ingress: Some(kong_ingress::Rules { class, namespaces }),
        gateway_api: has_class.then(|| gateway_api::Rules {
            dialect: gateway_api::Dialect::Kong,
            controller: api,
            gateways: BTreeSet::new(),
        }),
        own: None,
        default: default_secret(pods, world),
        matching: Some(Matching::Kong),
    };
    (rules, why, guessed)
}

/// The Secret that `KONG_SSL_CERT` is in, where it is one that was read.
fn default_secret(pods: &[&SeenPod], world: &World) -> Option<ObjectName> {
    pods.iter().find_map(|seen| {
        let spec = &seen.template.spec;
        let of = |c: &Container| spec.secret_at(c, c.variable("KONG_SSL_CERT")?).map(str::to_owned);
        let name = spec.containers.iter().find_map(of)?;
        let name = ObjectName::new(&seen.pod.metadata.namespace, &name);
        world.secrets.iter().any(|secret| secret.name == name).then_some(name)
    })
}

fn envoy(pods: &[&SeenPod], world: &World) -> (Rules, String) {
    let owner = pods.iter().find_map(|seen| {
        let labels = &seen.pod.metadata.labels;
        Some(ObjectName::new(labels.get(OWNING[1])?, labels.get(OWNING[0])?))
    });
    let gateway = owner.as_ref().and_then(|o| world.gateways.iter().find(|g| g.metadata.object() == *o));
    let class = gateway.map(|gateway| &gateway.spec.gateway_class_name);
    let controller = match class {
        Some(class) => world.gateway_classes.iter().find(|c| c.metadata.name == *class),
        None => world.gateway_classes.iter().find(|c| *c.spec.controller_name != *KONG_GATEWAY),
    };
    let controller = controller.map(|c| c.spec.controller_name.to_string()).unwrap_or_default();
    let why = match &owner {
        Some(owner) => format!("listeners of Gateway {owner}"),
        None => format!("Gateways of {controller}"),
    };
    let rules = Rules {
        gateway_api: Some(gateway_api::Rules {
            dialect: gateway_api::Dialect::Standard,
            controller,
            gateways: owner.into_iter().collect(),
        }),
        matching: Some(Matching::Envoy),
        ..Rules::default()
    };
    (rules, why)
}
