//! What can be wrong with the sections `kubernetes`.
use super::{Told, is_name};
use crate::cluster::ObjectName;
use crate::config::kubernetes::{Dialect, InCluster, IngressController, Kubernetes, Pods, Port, Reach};
use crate::config::{Config, Gateway};
use crate::publish::config_map::map::Place;
use crate::remedy::config::Act;

const NAMESPACE: &str = "write the name of a namespace, as kubectl get namespaces lists it";
const OBJECT: &str = "write NAMESPACE/NAME";

pub(super) fn cluster(cluster: &Kubernetes, told: &mut Told) {
    let at = "kubernetes";
    match (cluster.reach, cluster.namespaces.is_empty()) {
        (Reach::Namespaces, true) => told.tell(
            &format!("{at}.namespaces"),
            "reach is namespaces, and none is listed",
            "list the namespaces of the certificates, or say reach: cluster",
        ),
        (Reach::Cluster | Reach::Keyless, false) => told.tell(
            &format!("{at}.namespaces"),
            "namespaces are listed, and reach is not namespaces: all would be looked at",
            "say reach: namespaces, or take the list away",
        ),
        _ => {}
    }
    let own = cluster.namespace.iter().map(|name| (format!("{at}.namespace"), name));
    let listed =
        cluster.namespaces.iter().enumerate().map(|(n, name)| (format!("{at}.namespaces[{n}]"), name));
    for (place, name) in own.chain(listed) {
        if !is_name(name) {
            told.tell(&place, &format!("{name:?} is no namespace"), NAMESPACE);
        }
    }
    if !is_name(&cluster.lease) {
        told.tell(
            &format!("{at}.lease"),
            &format!("{:?} is no name", cluster.lease),
            "certdrift is a good name",
        );
    }
    let account = &cluster.cert_manager.service_account;
    if ObjectName::parse(account).is_none() {
        let why = format!("{account:?} is no NAMESPACE/NAME");
        told.tell(
            &format!("{at}.cert_manager.service_account"),
            &why,
            "cert-manager/cert-manager is the usual one",
        );
    }
}

/// What `touch` needs: Secrets that may be looked at, and Kong's ingress controller, which takes tags from them.
fn touch(own: &InCluster, reach: Option<Reach>, at: &str, told: &mut Told) {
    let api = own.bindings.gateway_api.as_ref();
    if own.bindings.kong_ingress.is_none() && api.is_none_or(|api| api.dialect != Dialect::Kong) {
        let why = "it changes what Kong's ingress controller reads, and that binds nothing to this gateway";
        told.tell(at, why, "use another remedy");
    } else if reach == Some(Reach::Keyless) {
        let why = "with reach: keyless no Secret may be looked at or changed";
        told.tell(at, why, "leave it out, or say reach: namespaces");
    }
}

pub(super) fn gateway(config: &Config, gateway: &Gateway, own: &InCluster, at: &str, told: &mut Told) {
    let reach = config.kubernetes.as_ref().map(|cluster| cluster.reach);
    if reach.is_none() {
        let mend = "add `kubernetes: {}` at the top; docs/configuration.md says what can be in it";
        told.tell(
            at,
            "the gateway is in a cluster, and the section `kubernetes` of the whole file is missing",
            mend,
        );
    }
    if is_name(&gateway.name) && Place::new(&own.namespace, &gateway.name).is_none() {
        let why = format!("certdrift-ledger-{} could be a part of another gateway's ledger", gateway.name);
        let place = at.strip_suffix(".kubernetes").map_or_else(|| at.to_owned(), |at| format!("{at}.name"));
        told.tell(&place, &why, "let the name not end with - and digits only");
    }
    if !is_name(&own.namespace) {
        told.tell(&format!("{at}.namespace"), &format!("{:?} is no namespace", own.namespace), NAMESPACE);
    }
    let remedies = gateway.policy.remedies.iter().enumerate();
    for (n, _) in remedies.filter(|(_, remedy)| matches!(remedy.act, Act::Touch(_))) {
        let gateway = at.strip_suffix(".kubernetes").unwrap_or(at);
        touch(own, reach, &format!("{gateway}.policy.remedies[{n}].touch"), told);
    }
    let bindings = &own.bindings;
    if bindings.kong_ingress.is_none() && bindings.gateway_api.is_none() && bindings.secrets.is_none() {
        told.tell(
            &format!("{at}.bindings"),
            "there is no binding: nothing would be expected",
            "name at least one: `kong_ingress: {}`, `gateway_api: {controller: …}`, `secrets: annotation`",
        );
    }
    if bindings.secrets.is_some() && reach == Some(Reach::Keyless) {
        let why = "with reach: keyless no Secret is looked at, so none can say which hosts it answers for";
        told.tell(&format!("{at}.bindings.secrets"), why, "leave it out, or say reach: namespaces");
    }
    if let Some(kong) = &bindings.kong_ingress
        && kong.class.is_empty()
    {
        told.tell(
            &format!("{at}.bindings.kong_ingress.class"),
            "the class is empty",
            "kong is the usual one",
        );
    }
    if let Some(api) = &bindings.gateway_api {
        if api.controller.is_empty() {
            let mend = "kubectl get gatewayclasses shows it; Kong's is konghq.com/kic-gateway-controller";
            told.tell(&format!("{at}.bindings.gateway_api.controller"), "the controller is empty", mend);
        }
        for (n, name) in api.gateways.iter().enumerate().filter(|(_, name)| ObjectName::parse(name).is_none())
        {
            let place = format!("{at}.bindings.gateway_api.gateways[{n}]");
            told.tell(&place, &format!("{name:?} is no NAMESPACE/NAME"), OBJECT);
        }
    }
    if let Some(text) = &own.default_secret {
        default_secret(config, text, &format!("{at}.default_secret"), told);
    }
    if let Some(found) = &own.pods {
        pods(found, &format!("{at}.pods"), told);
    }
    if let Some(of) = &own.ingress_controller {
        ingress_controller(own, of, &format!("{at}.ingress_controller"), told);
    }
}

fn ingress_controller(own: &InCluster, of: &IngressController, at: &str, told: &mut Told) {
    if let Some(namespace) = of.namespace.as_ref().filter(|namespace| !is_name(namespace)) {
        told.tell(&format!("{at}.namespace"), &format!("{namespace:?} is no namespace"), NAMESPACE);
    }
    if !of.events && of.metrics.is_none() {
        let why = "neither Events nor metrics are read: nothing would be known of it";
        told.tell(at, why, "leave events: false out, or name its metrics");
    }
    if own.pods.is_none() {
        let why = "what it pushes to are pods, and the gateway has none";
        told.tell(at, why, "add `pods`, which says which they are");
    }
    if let Some(metrics) = &of.metrics {
        if metrics.labels.is_empty() {
            let mend = "add its labels: app.kubernetes.io/component: controller, for instance";
            told.tell(&format!("{at}.metrics.labels"), "no label says which its pods are", mend);
        }
        if metrics.port == 0 {
            told.tell(&format!("{at}.metrics.port"), "0 is no port", "10255 is the usual one");
        }
    }
}

fn default_secret(config: &Config, text: &str, at: &str, told: &mut Told) {
    let Some(name) = ObjectName::parse(text) else {
        return told.tell(at, &format!("{text:?} is no NAMESPACE/NAME"), OBJECT);
    };
    if let Some(cluster) = &config.kubernetes
        && cluster.reach == Reach::Namespaces
        && !cluster.namespaces.iter().any(|n| **n == *name.namespace)
    {
        let why = format!("namespace {} is not one that certdrift looks at", name.namespace);
        told.tell(at, &why, "add it to kubernetes.namespaces");
    }
}

fn pods(pods: &Pods, at: &str, told: &mut Told) {
    match (&pods.service, pods.labels.is_empty()) {
        (None, true) => told.tell(
            at,
            "neither labels nor a Service says which pods they are",
            "add `labels: {app: kong}` or `service: kong-proxy`",
        ),
        (Some(_), false) => {
            told.tell(at, "labels and a Service both say which pods they are", "leave one out");
        }
        _ => {}
    }
    if matches!(&pods.port, Some(Port::Number(0)))
        || matches!(&pods.port, Some(Port::Name(name)) if name.is_empty())
    {
        told.tell(&format!("{at}.port"), "it is no port", "write its number or its name");
    }
    for (key, place) in [("tap", &pods.tap), ("status", &pods.status)] {
        if place.as_ref().is_some_and(|place| place.port == 0) {
            told.tell(&format!("{at}.{key}.port"), "0 is no port", "write its number");
        }
    }
    if let Some(token) = &pods.token
        && let Err(why) = token.read()
    {
        let mend = "put the token there that the gateway's tap or filter was given";
        told.tell(&format!("{at}.token"), &why, mend);
    }
}
