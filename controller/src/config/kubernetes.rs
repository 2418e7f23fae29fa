//! A cluster in the configuration: how far certdrift looks in it, and which of its objects make a gateway.
use super::{ProxyProtocol, TokenFrom};
use crate::binding::annotation::Extent;
use crate::binding::{assemble, gateway_api, kong_ingress};
use crate::cluster::ObjectName;
use crate::cluster::selector::Selector;
use crate::observe::pods::{Finder, Which};
use crate::source::kubernetes::secret::Selection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The cluster that gateways with a section `kubernetes` are in, and how far certdrift may look and act there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// File that says how to reach the API server. When absent, a pod's own ServiceAccount, else what KUBECONFIG names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// certdrift's own namespace, where its Lease is; that of its ServiceAccount, or of the context, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How far certdrift looks: the same word as the chart's.
    pub reach: Reach,
    /// The namespaces of `reach: namespaces`: those of the certificates and of what binds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Which Secrets are looked at.
    pub secrets: Secrets,
    /// Whether several replicas agree by a Lease on the one that writes ledgers and heals. Without, each does: run one only.
    pub leader_election: bool,
    /// Name of the Lease.
    pub lease: String,
    /// Whether what is wrong is told as an Event on the object that is to be mended.
    pub events: bool,
    /// What issues the certificates.
    pub cert_manager: CertManager,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            reach: Reach::Cluster,
            namespaces: Vec::new(),
            secrets: Secrets::default(),
            leader_election: true,
            lease: "certdrift".to_owned(),
            events: true,
            cert_manager: CertManager::default(),
        }
    }
}

/// How far certdrift looks in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Secrets of all namespaces.
    #[default]
    Cluster,
    /// Only what is in the namespaces that are listed.
    Namespaces,
    /// No Secrets at all: cert-manager's CertificateRequests tell what is stored.
    Keyless,
}

/// Which Secrets are looked at. Their type is `kubernetes.io/tls`, and their keys are never read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// Only those that say `certdrift.dev/secret: watch`, as annotation or label. Otherwise all but those that say `ignore`.
    pub chosen_only: bool,
    /// `--secret-label-selector` of Kong's ingress controller, where it has one: it reads only Secrets with this label and the value `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What issues the certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CertManager {
    /// `NAMESPACE/NAME` of the ServiceAccount of cert-manager's controller.
    pub service_account: String,
    /// Whether the API server may be asked what that account may do (SubjectAccessReviews), once a certificate was signed and not stored.
    pub reviews: bool,
}

impl Default for CertManager {
    fn default() -> Self {
        Self { service_account: "cert-manager/cert-manager".to_owned(), reviews: true }
    }
}

/// A gateway that runs in the cluster: what gives it its certificates, and where its pods are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InCluster {
    /// Namespace of its pods. The ConfigMaps with its ledger are put there, so that the pods can mount them.
    pub namespace: String,
    /// What binds Secrets to its hosts; at least one.
    pub bindings: Bindings,
    /// `NAMESPACE/NAME` of the Secret of its default certificate, served where no host matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_secret: Option<String>,
    /// Its pods, each of them an endpoint as long as it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Pods>,
    /// Kong's ingress controller, which pushes its configuration to the pods: what it says of its pushes tells why a pod has not loaded a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_controller: Option<IngressController>,
}

/// Kong's ingress controller: what it says of its pushes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IngressController {
    /// Namespace of its pods; the gateway's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether its Events are read: they name the object that keeps a push from being taken.
    pub events: bool,
    /// Where its metrics are: they tell of refused pushes that no Event tells of, and when that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<PushMetrics>,
}

impl Default for IngressController {
    fn default() -> Self {
        Self { namespace: None, events: true, metrics: None }
    }
}

/// Where each pod of an ingress controller answers with its metrics (plain HTTP).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushMetrics {
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// Number of the port.
    #[serde(default = "PushMetrics::usual_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
}

impl PushMetrics {
    /// `--metrics-bind-address` of the ingress controller, when nothing else is said.
    const fn usual_port() -> u16 {
        10_255
    }
}

/// What binds Secrets to a gateway's hosts. Ingresses come before listeners, and both before what Secrets say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bindings {
    /// Ingresses, by the rules of Kong's ingress controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kong_ingress: Option<KongIngress>,
    /// Listeners of Gateways and ListenerSets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_api: Option<GatewayApi>,
    /// Secrets that say themselves which hosts they answer for. That is a claim: it takes no host from another namespace's binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Own>,
}

/// Ingresses, by the rules of Kong's ingress controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KongIngress {
    /// `--ingress-class` of the ingress controller.
    pub class: String,
    /// `--watch-namespace` of the ingress controller; all namespaces when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

impl Default for KongIngress {
    fn default() -> Self {
        Self { class: kong_ingress::Rules::default().class, namespaces: Vec::new() }
    }
}

/// Listeners of Gateways and ListenerSets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayApi {
    /// `spec.controllerName` of the GatewayClasses, as in `konghq.com/kic-gateway-controller`.
    pub controller: String,
    /// Whose rules hold where the standard leaves a choice.
    #[serde(default)]
    pub dialect: Dialect,
    /// `NAMESPACE/NAME` of the Gateways; all of the class when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
}

/// Whose rules hold where Gateway API leaves a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Kong's ingress controller: one certificateRef a listener, no ListenerSets.
    #[default]
    Kong,
    /// Others: several certificateRefs are a pair, ListenerSets are taken.
    Standard,
}

/// How far Secrets may speak for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Own {
    /// By their annotation `certdrift.dev/hosts`.
    Annotation,
    /// By that annotation, else by the names in the certificate.
    Any,
}

/// A gateway's pods: by labels or by Service. Annotations of a pod say what is different there: `certdrift.dev/port`, `certdrift.dev/proxy-protocol`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pods {
    /// Labels that they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The Service that they are behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Port of the Service where it is named, else of the containers. When absent, the Service's only one or 443; the containers' `proxy-tls` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// PROXY protocol they expect before TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Where each answers the tap's report (plain HTTP).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap: Option<At>,
    /// Path of the filter's report on the TLS port: `/certdrift/report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Where each answers Kong's status (plain HTTP); tells the number of workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<At>,
    /// Token for `tap` and `report`, sent as `x-certdrift-token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFrom>,
}

/// A port by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Port {
    /// `8443`
    Number(u16),
    /// `proxy-tls`
    Name(String),
}

/// A place on each pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// Number of the port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Path: `/tap`, `/status`.
    pub path: String,
}

impl Kubernetes {
    /// How far it looks, with the namespaces where they are named.
    #[must_use]
    pub fn reach(&self) -> crate::source::kubernetes::Reach {
        use crate::source::kubernetes::Reach as To;
        match self.reach {
            Reach::Cluster => To::Cluster,
            Reach::Namespaces => To::Namespaces(self.namespaces.clone()),
            Reach::Keyless => To::Keyless,
        }
    }

    /// Which Secrets are looked at.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection { chosen_only: self.secrets.chosen_only, ingest_label: self.secrets.label.clone() }
    }
}

impl InCluster {
    /// By which rules its hosts get their Secrets.
    #[must_use]
    pub fn rules(&self, matching: super::Rules) -> assemble::Rules {
        let Bindings { kong_ingress, gateway_api, secrets } = &self.bindings;
        // The configuration was checked: each is NAMESPACE/NAME.
        let objects = |all: &[String]| all.iter().filter_map(|name| ObjectName::parse(name)).collect();
        assemble::Rules {
            kong_ingress: kong_ingress.as_ref().map(|k| kong_ingress::Rules {
                class: k.class.clone(),
                namespaces: k.namespaces.iter().cloned().collect(),
            }),
            gateway_api: gateway_api.as_ref().map(|g| gateway_api::Rules {
                dialect: match g.dialect {
                    Dialect::Kong => gateway_api::Dialect::Kong,
                    Dialect::Standard => gateway_api::Dialect::Standard,
                },
                controller: g.controller.clone(),
                gateways: objects(&g.gateways),
            }),
            own: secrets.map(|own| match own {
                Own::Annotation => Extent::Annotation,
                Own::Any => Extent::Any,
            }),
            default: self.default_secret.as_deref().and_then(ObjectName::parse),
            matching: Some(matching.into()),
        }
    }

    /// Where its ingress controller is; none where nothing is read of it.
    #[must_use]
    pub fn pushed_from(&self) -> Option<&str> {
        let of = self.ingress_controller.as_ref()?;
        Some(of.namespace.as_ref().unwrap_or(&self.namespace))
    }

    /// How the pods of its ingress controller are found, where their metrics are read.
    #[must_use]
    pub fn pushers(&self) -> Option<Finder> {
        let metrics = self.ingress_controller.as_ref()?.metrics.as_ref()?;
        Some(Finder {
            namespace: self.pushed_from()?.to_owned(),
            which: labelled(&metrics.labels),
            port: Some(crate::cluster::pod::Port::Number(metrics.port)),
            proxy_protocol: None,
            tap: None,
            report: None,
            status: None,
            token: None,
        })
    }

    /// How its pods are found; none where only fixed endpoints are.
    #[must_use]
    pub fn finder(&self) -> Option<Finder> {
        let pods = self.pods.as_ref()?;
        let at = |at: &Option<At>| at.as_ref().map(|at| (at.port, at.path.clone()));
        Some(Finder {
            namespace: self.namespace.clone(),
            which: match &pods.service {
                Some(service) => Which::Service(service.clone()),
                None => labelled(&pods.labels),
            },
            port: pods.port.as_ref().map(|port| match port {
                Port::Number(number) => crate::cluster::pod::Port::Number(*number),
                Port::Name(name) => crate::cluster::pod::Port::Name(name.as_str().into()),
            }),
            proxy_protocol: pods.proxy_protocol,
            tap: at(&pods.tap),
            report: pods.report.clone(),
            status: at(&pods.status),
            token: pods.token.clone(),
        })
    }
}

fn labelled(labels: &BTreeMap<String, String>) -> Which {
    let match_labels =
        labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
    Which::Labels(Selector { match_labels, match_expressions: Vec::new() })
}
