//! Gateway, GatewayClass, ListenerSet, TLSRoute, ReferenceGrant (Gateway API), and the labels of Namespaces.
//!
//! Fields that are used have the same names in v1 and in the older v1alpha2, v1beta1 and experimental versions.
use super::object::{Condition, Labels, list};
use super::selector::Selector;
use super::{Meta, ObjectName};
use serde::Deserialize;

/// A Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Gateway {
    /// Name, age.
    pub metadata: Meta,
    /// Class and listeners.
    pub spec: GatewaySpec,
    /// What its controller says of the listeners.
    pub status: ListenersStatus,
}

/// `spec` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Which GatewayClass.
    pub gateway_class_name: Box<str>,
    /// In order.
    #[serde(deserialize_with = "list")]
    pub listeners: Vec<Listener>,
    /// Which ListenerSets may attach; none unless it says so.
    pub allowed_listeners: Option<AllowedListeners>,
}

/// A ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ListenerSet {
    /// Name, age.
    pub metadata: Meta,
    /// Its Gateway and listeners.
    pub spec: ListenerSetSpec,
    /// What the Gateway's controller says of the listeners.
    pub status: ListenersStatus,
}

/// `spec` of a ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSetSpec {
    /// The Gateway it attaches to.
    pub parent_ref: Reference,
    /// In order.
    #[serde(deserialize_with = "list")]
    pub listeners: Vec<Listener>,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Unique in its Gateway or ListenerSet.
    pub name: Box<str>,
    /// Absent: every name.
    pub hostname: Option<Box<str>>,
    /// TCP port.
    pub port: u16,
    /// `HTTPS`, `TLS`, …
    pub protocol: Box<str>,
    /// Absent on plain listeners.
    pub tls: Option<ListenerTls>,
}

/// `tls` of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    /// `Terminate` (also when absent) or `Passthrough`.
    pub mode: Option<Box<str>>,
    /// Where the certificates are.
    #[serde(deserialize_with = "list")]
    pub certificate_refs: Vec<Reference>,
}

impl Listener {
    /// Whether the gateway hands the connection on without ending its TLS.
    #[must_use]
    pub fn passes_through(&self) -> bool {
        self.tls.as_ref().and_then(|tls| tls.mode.as_deref()) == Some("Passthrough")
    }
}

/// A reference to an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reference {
    /// Absent: the default of its place (core for certificates, Gateway API for parents).
    pub group: Option<Box<str>>,
    /// Absent: the default of its place.
    pub kind: Option<Box<str>>,
    /// Absent: that of the object which refers.
    pub namespace: Option<Box<str>>,
    /// Its name.
    pub name: Box<str>,
    /// A listener's name.
    pub section_name: Option<Box<str>>,
}

impl Reference {
    /// Namespace and name, as seen from an object in `from`.
    #[must_use]
    pub fn object(&self, from: &str) -> ObjectName {
        ObjectName::new(self.namespace.as_deref().unwrap_or(from), &self.name)
    }

    /// Whether it is of this kind; `group` and `kind` are also what absence means.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group.as_deref().unwrap_or(group) == group && self.kind.as_deref().unwrap_or(kind) == kind
    }
}

/// `spec.allowedListeners` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AllowedListeners {
    /// From which namespaces.
    pub namespaces: AllowedNamespaces,
}

/// Namespaces from which ListenerSets may attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AllowedNamespaces {
    /// `None` (also when absent), `Same`, `All`, `Selector`.
    pub from: Option<Box<str>>,
    /// For `Selector`.
    pub selector: Option<Selector>,
}

/// What a controller says of listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ListenersStatus {
    /// By name.
    #[serde(deserialize_with = "list")]
    pub listeners: Vec<ListenerStatus>,
}

/// What a controller says of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ListenerStatus {
    /// Of the listener.
    pub name: Box<str>,
    /// `Programmed`, `ResolvedRefs`, `Conflicted`, …
    #[serde(deserialize_with = "list")]
    pub conditions: Vec<Condition>,
}

/// A GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GatewayClass {
    /// Its name; KIC's mark of an unmanaged one.
    pub metadata: Meta,
    /// Who controls it.
    pub spec: GatewayClassSpec,
}

/// `spec` of a GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassSpec {
    /// `konghq.com/kic-gateway-controller`
    pub controller_name: Box<str>,
}

/// A TLSRoute: which names go to a listener that passes through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TlsRoute {
    /// Its name.
    pub metadata: Meta,
    /// Names and parents.
    pub spec: TlsRouteSpec,
}

/// `spec` of a TLSRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsRouteSpec {
    /// Absent: the listener's.
    #[serde(deserialize_with = "list")]
    pub hostnames: Vec<Box<str>>,
    /// Gateways, or listeners of them.
    #[serde(deserialize_with = "list")]
    pub parent_refs: Vec<Reference>,
}

/// A ReferenceGrant, in the namespace of what may be referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReferenceGrant {
    /// Its namespace is what counts.
    pub metadata: Meta,
    /// From whom, to what.
    pub spec: ReferenceGrantSpec,
}

/// `spec` of a ReferenceGrant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReferenceGrantSpec {
    /// Any of these may refer.
    #[serde(deserialize_with = "list")]
    pub from: Vec<GrantFrom>,
    /// To any of these.
    #[serde(deserialize_with = "list")]
    pub to: Vec<GrantTo>,
}

/// Who may refer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GrantFrom {
    /// `gateway.networking.k8s.io`
    pub group: Box<str>,
    /// `Gateway`
    pub kind: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
}

/// What may be referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GrantTo {
    /// Empty for core.
    pub group: Box<str>,
    /// `Secret`
    pub kind: Box<str>,
    /// Absent: all of the namespace.
    pub name: Option<Box<str>>,
}

impl ReferenceGrant {
    /// Whether it lets a `kind` of Gateway API in `from` refer to the Secret `to`.
    #[must_use]
    pub fn allows(&self, kind: &str, from: &str, to: &ObjectName) -> bool {
        self.metadata.namespace == to.namespace
            && self.spec.from.iter().any(|f| {
                &*f.group == "gateway.networking.k8s.io" && &*f.kind == kind && &*f.namespace == from
            })
            && self.spec.to.iter().any(|t| {
                t.group.is_empty() && &*t.kind == "Secret" && t.name.as_ref().is_none_or(|n| *n == to.name)
            })
    }
}

/// A Namespace: its labels choose ListenerSets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Name and labels.
    pub metadata: Meta,
}

impl AllowedNamespaces {
    /// Whether a ListenerSet in `namespace` (with these labels) may attach to a Gateway in `own`.
    #[must_use]
    pub fn admits(&self, namespace: &str, own: &str, labels: Option<&Labels>) -> bool {
        match self.from.as_deref() {
            Some("All") => true,
            Some("Same") => namespace == own,
            Some("Selector") => match (&self.selector, labels) {
                (Some(selector), Some(labels)) => selector.matches(labels),
                _ => false,
            },
            _ => false,
        }
    }
}
