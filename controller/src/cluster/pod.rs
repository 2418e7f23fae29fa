//! Pod and Service (core/v1), as far as it takes to know where a gateway serves.
mod read_once;

use super::Meta;
use super::ObjectName;
use super::object::{Condition, Labels, is_true, list};
use certdrift_contract::UnixTime;
pub use read_once::ReadOnce;
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
#[serde(from = "read_once::Spec")]
pub struct PodSpec {
    /// In order.
    pub containers: Vec<Container>,
    /// What only a restart brings.
    pub read_once: ReadOnce,
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

    /// What makes it and its fellows.
    #[must_use]
    pub fn workload(&self) -> Option<Workload> {
        let owner = self.metadata.owner_references.iter().find(|owner| owner.controller)?;
        let (kind, name) = match &*owner.kind {
            // A ReplicaSet of a Deployment is called by that and the hash of the template.
            "ReplicaSet" => {
                let hash = self.metadata.labels.get("pod-template-hash")?;
                (Kind::Deployment, owner.name.strip_suffix(&**hash)?.strip_suffix('-')?.into())
            }
            "StatefulSet" => (Kind::StatefulSet, owner.name.clone()),
            "DaemonSet" => (Kind::DaemonSet, owner.name.clone()),
            _ => return None,
        };
        Some(Workload { kind, name: ObjectName { namespace: self.metadata.namespace.clone(), name } })
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

/// What makes pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Of which kind.
    pub kind: Kind,
    /// Which.
    pub name: ObjectName,
}

/// Kinds that make pods and can be restarted (apps/v1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Several pods that are alike.
    Deployment,
    /// Pods with names of their own.
    StatefulSet,
    /// A pod a node.
    DaemonSet,
}

impl Kind {
    /// As in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    /// As `kind` of its objects.
    #[must_use]
    pub const fn written(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
        }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
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
