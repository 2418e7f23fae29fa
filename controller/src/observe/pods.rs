//! A gateway's pods as endpoints. Pure: what the cluster holds in, endpoints out.
//!
//! A pod is an endpoint as soon as it has an address, ready or not: a pod that never becomes ready may serve an old
//! certificate to those who still reach it. One that is being deleted or has ended is none any more.
use super::findings as kinds;
use crate::cluster::ObjectName;
use crate::cluster::object::Labels;
use crate::cluster::pod::{Pod, Port, ReadOnce, Service, Workload};
use crate::cluster::selector::Selector;
use crate::config::{Endpoint, ProxyProtocol, TokenFrom};
use crate::converge::Millis;
use crate::finding::Finding;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// On a pod or its Service: the PROXY protocol it expects before TLS, `v1` or `v2`.
pub const PROXY_PROTOCOL: &str = "certdrift.dev/proxy-protocol";
/// On a pod: the number or name of the port where it serves, if it is another than that of its fellows.
pub const PORT: &str = "certdrift.dev/port";

/// How a gateway's pods are found, and where they are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Finder {
    /// Of the pods, and of the Service.
    pub namespace: String,
    /// Which pods.
    pub which: Which,
    /// Which of their ports: that of the Service when it is named, else that of the containers. `None`: the Service's
    /// port 443 or its only one; the containers' `proxy-tls` (Kong's chart) or `https`.
    pub port: Option<Port>,
    /// Before TLS, unless an annotation says so.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Port and path of the tap's report on each pod.
    pub tap: Option<(u16, String)>,
    /// Path of the filter's report, on the serving port.
    pub report: Option<String>,
    /// Port and path of Kong's status.
    pub status: Option<(u16, String)>,
    /// For tap and report.
    pub token: Option<TokenFrom>,
}

/// Which pods are a gateway's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with these labels.
    Labels(Selector),
    /// Those of a Service.
    Service(String),
}

/// A pod as an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct PodEndpoint {
    /// As a configured one would be; its name is `NAMESPACE/POD`.
    pub endpoint: Endpoint,
    /// A pod of the same name may be another.
    pub uid: Box<str>,
    /// By its own word.
    pub ready: bool,
    /// When the kubelet took it.
    pub started: Option<Millis>,
    /// Of which revision of its workload it is, where its labels say so: while pods differ in it, a rollout runs.
    pub revision: Box<str>,
    /// What makes it.
    pub workload: Option<Workload>,
    /// What only a restart brings.
    pub read_once: ReadOnce,
}

/// What a Deployment, and what a StatefulSet or DaemonSet calls the revision of a pod.
const REVISIONS: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

/// Endpoints by name.
pub type Pods = BTreeMap<String, PodEndpoint>;

/// The gateway's pods, and why some are none.
#[must_use]
pub fn find(finder: &Finder, pods: &[&Pod], services: &[&Service]) -> (Pods, Vec<Finding>) {
    let mut told = Vec::new();
    let service = match &finder.which {
        Which::Labels(_) => None,
        Which::Service(name) => {
            let wanted = ObjectName::new(&finder.namespace, name);
            let Some(service) = services.iter().find(|s| s.metadata.object() == wanted) else {
                told.push(kinds::NO_PODS.on(format!("service:{wanted}"), "there is no such Service"));
                return (Pods::new(), told);
            };
            Some(*service)
        }
    };
    let chosen = |labels: &Labels| match (&finder.which, service.and_then(|s| s.spec.selector.as_ref())) {
        (Which::Labels(selector), _) => selector.matches(labels),
        (Which::Service(_), Some(selector)) if !selector.is_empty() => {
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        }
        (Which::Service(_), _) => false,
    };
    let mut found = Pods::new();
    let mut matching = 0usize;
    for pod in pods {
        if *pod.metadata.namespace != *finder.namespace || !pod.is_alive() || !chosen(&pod.metadata.labels) {
            continue;
        }
        matching += 1;
        // Not scheduled yet, or no network yet: it comes with the next change of the pod.
        let Ok(address) = pod.status.pod_ip.parse::<IpAddr>() else { continue };
        match endpoint(finder, pod, address, service) {
            Ok(endpoint) => {
                found.insert(endpoint.endpoint.name.clone(), endpoint);
            }
            Err(why) => told.push(kinds::POD_WITHOUT_PORT.on(format!("pod:{}", pod.metadata.object()), why)),
        }
    }
    if matching == 0 {
        let (object, why) = match &finder.which {
            Which::Service(name) => {
                (format!("service:{}/{name}", finder.namespace), "its selector chooses none")
            }
            Which::Labels(_) => (format!("namespace:{}", finder.namespace), "the selector chooses none"),
        };
        told.push(kinds::NO_PODS.on(object, why));
    }
    (found, told)
}

fn endpoint(
    finder: &Finder,
    pod: &Pod,
    address: IpAddr,
    service: Option<&Service>,
) -> Result<PodEndpoint, String> {
    let port = match pod.metadata.annotation(PORT) {
        Some(text) => number(pod, &text.parse().map_or_else(|_| Port::Name(text.into()), Port::Number))?,
        None => match service {
            Some(service) => service_port(finder, pod, service)?,
            None => match &finder.port {
                Some(port) => number(pod, port)?,
                None => {
                    let usual = pod.port("proxy-tls").or_else(|| pod.port("https"));
                    usual.ok_or("none of its containers has a port proxy-tls or https")?
                }
            },
        },
    };
    let said = pod.metadata.annotation(PROXY_PROTOCOL);
    let said = said.or_else(|| service.and_then(|service| service.metadata.annotation(PROXY_PROTOCOL)));
    let proxy_protocol = match said {
        None => finder.proxy_protocol,
        Some("v1") => Some(ProxyProtocol::V1),
        Some("v2") => Some(ProxyProtocol::V2),
        Some(other) => return Err(format!("{PROXY_PROTOCOL} is {other:?}, neither v1 nor v2")),
    };
    let url = |scheme: &str, port: u16, path: &str| {
        format!("{scheme}://{}/{}", SocketAddr::new(address, port), path.trim_start_matches('/'))
    };
    let at = |place: &Option<(u16, String)>| place.as_ref().map(|(port, path)| url("http", *port, path));
    let endpoint = Endpoint {
        name: pod.metadata.object().to_string(),
        address: SocketAddr::new(address, port).to_string(),
        proxy_protocol,
        edge: false,
        workers: None,
        tap: at(&finder.tap),
        report: finder.report.as_ref().map(|path| url("https", port, path)),
        status: at(&finder.status),
        token: finder.token.clone(),
    };
    Ok(PodEndpoint {
        endpoint,
        uid: pod.metadata.uid.clone(),
        ready: pod.is_ready(),
        started: pod.status.start_time.map(Millis::from),
        workload: pod.workload(),
        read_once: pod.spec.read_once.clone(),
        revision: REVISIONS
            .iter()
            .find_map(|label| pod.metadata.labels.get(*label))
            .cloned()
            .unwrap_or_default(),
    })
}

fn service_port(finder: &Finder, pod: &Pod, service: &Service) -> Result<u16, String> {
    let ports = &service.spec.ports;
    let chosen = match (&finder.port, ports.as_slice()) {
        (Some(Port::Number(number)), _) => ports.iter().find(|p| p.port == *number),
        (Some(Port::Name(name)), _) => ports.iter().find(|p| p.name == *name),
        (None, [only]) => Some(only),
        (None, _) => ports.iter().find(|p| p.port == 443),
    };
    let chosen = chosen.ok_or("its Service has no such port")?;
    number(pod, chosen.target_port.as_ref().unwrap_or(&Port::Number(chosen.port)))
}

fn number(pod: &Pod, port: &Port) -> Result<u16, String> {
    match port {
        Port::Number(number) => Ok(*number),
        Port::Name(name) => pod.port(name).ok_or_else(|| format!("none of its containers has a port {name}")),
    }
}

#[cfg(test)]
mod tests;
