//! Pod and Service (core/v1), as far as it takes to know where a gateway serves.
use super::Meta;
use super::object::{Condition, Labels, is_true, list};
use certdrift_contract::UnixTime;
use serde::Deserialize;

/// A Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Name, labels, whether it is being deleted.
    pub metadata: Meta,
    /// Containers.
    pub spec: PodSpec,
    /// Addresses and conditions.
    pub status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// In order.
    #[serde(deserialize_with = "list")]
    pub containers: Vec<Container>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Ports it says it has; it may have others.
    #[serde(deserialize_with = "list")]
    pub ports: Vec<ContainerPort>,
}

/// A port of a container. With `hostNetwork` it is the node's, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// What a Service may call it.
    pub name: Box<str>,
    /// Its number.
    pub container_port: u16,
}

/// `status` of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Running`, `Succeeded`, …
    pub phase: Box<str>,
    /// Absent until it has a network; the node's with `hostNetwork`.
    #[serde(rename = "podIP")]
    pub pod_ip: Box<str>,
    /// `Ready` among them.
    #[serde(deserialize_with = "list")]
    pub conditions: Vec<Condition>,
    /// When the kubelet took it.
    pub start_time: Option<UnixTime>,
}

impl Pod {
    /// Whether it serves or will: it is not being deleted and has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.metadata.deletion_timestamp.is_none() && !matches!(&*self.status.phase, "Succeeded" | "Failed")
    }

    /// Whether it takes connections by its own word.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        is_true(&self.status.conditions, "Ready")
    }

    /// The number of the port that has this name.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<u16> {
        let mut ports = self.spec.containers.iter().flat_map(|container| &container.ports);
        ports.find(|port| &*port.name == name).map(|port| port.container_port)
    }
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Name and annotations.
    pub metadata: Meta,
    /// Selector and ports.
    pub spec: ServiceSpec,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    /// Its pods; `None` or empty: not by labels.
    pub selector: Option<Labels>,
    /// In order.
    #[serde(deserialize_with = "list")]
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Its name; may be empty where there is one.
    pub name: Box<str>,
    /// Its number.
    pub port: u16,
    /// The pods' port; absent: the same number.
    pub target_port: Option<Port>,
}

/// A port by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Port {
    /// `8443`
    Number(u16),
    /// `proxy-tls`
    Name(Box<str>),
}
