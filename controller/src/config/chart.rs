//! The values of the Helm chart, as far as a schema says what is right: `deploy/chart/values.schema.json` is generated from
//! here, and what is configuration is described by the configuration's own types.
use super::kubernetes::{CertManager, Reach, Secrets};
use super::{Gateway, LogLevel};
use crate::converge::period::Period;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Values of the chart `certdrift`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = go_together)]
pub struct Values {
    /// What is watched over, as in the configuration.
    pub gateways: Vec<Gateway>,
    /// How far certdrift looks; the roles grant no more.
    pub reach: Reach,
    /// Of `reach: namespaces`.
    pub namespaces: Vec<String>,
    /// More of the configuration's section `kubernetes`.
    pub kubernetes: Section,
    /// A host of our own whose certificate is issued anew on a schedule, to prove the whole way.
    pub canary: Canary,
    /// Of the Deployment. One of several leads, by a Lease.
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// The controller's image.
    pub image: Image,
    /// References to Secrets for the registry.
    pub image_pull_secrets: Vec<BTreeMap<String, String>>,
    /// The controller's port.
    pub listen: Listen,
    /// How to log.
    pub log: Log,
    /// Requests and limits of the container.
    pub resources: BTreeMap<String, Value>,
    /// More environment variables of the container.
    pub env: Vec<BTreeMap<String, Value>>,
    /// More volumes of the pod.
    pub volumes: Vec<BTreeMap<String, Value>>,
    /// Where in the container they are.
    pub volume_mounts: Vec<BTreeMap<String, Value>>,
    /// The account the pods are.
    pub service_account: Account,
    /// More annotations of the pods.
    pub pod_annotations: BTreeMap<String, String>,
    /// More labels of the pods.
    pub pod_labels: BTreeMap<String, String>,
    /// Where pods may run.
    pub node_selector: BTreeMap<String, String>,
    /// What pods put up with.
    pub tolerations: Vec<BTreeMap<String, Value>>,
    /// Where pods would rather run.
    pub affinity: BTreeMap<String, Value>,
    /// How pods are spread; over nodes, as far as can be, when empty.
    pub topology_spread_constraints: Vec<BTreeMap<String, Value>>,
    /// Name of a PriorityClass.
    pub priority_class_name: String,
    /// Whether at most one of several replicas may be taken away at a time.
    pub pod_disruption_budget: bool,
    /// Who may talk with the pods, and with whom they may.
    pub network_policy: NetworkPolicy,
    /// For Prometheus' operator: asks every replica.
    pub pod_monitor: Monitor,
    /// The same by the Service, where only ServiceMonitors are taken.
    pub service_monitor: Monitor,
    /// The alerts, for Prometheus' operator.
    pub prometheus_rule: Alerts,
    /// The dashboard, for Grafana's sidecar.
    pub dashboard: Labelled,
    /// The filter, for gateways that mount it.
    pub filter: Filter,
    /// Helm's own.
    #[serde(default)]
    pub global: BTreeMap<String, Value>,
}

/// A host of our own whose certificate is issued anew on a schedule, to prove the whole way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Canary {
    /// Whether there is one.
    pub enabled: bool,
    /// Name of its gateway; the first when empty.
    pub gateway: String,
    /// Its host.
    #[schemars(length(min = 1))]
    pub host: String,
    /// Where its Certificate is, which has to be within reach; the gateway's namespace when empty.
    pub namespace: String,
    /// Who signs; a self-signed Issuer of the chart's when empty.
    pub issuer: Issuer,
    /// How long after one the next is asked for.
    pub every: Period,
    /// How long the whole way may take.
    pub within: Period,
    /// Class of the Gateway that comes with the chart, for `dialect: kong`.
    pub gateway_class: String,
    /// `NAMESPACE/NAME` of the Gateway that a ListenerSet is added to, for `dialect: standard`.
    pub parent_gateway: String,
}

/// The section `kubernetes` of the configuration, without what the chart says.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// Which Secrets are looked at.
    pub secrets: Secrets,
    /// Whether several replicas agree by a Lease on the one that writes ledgers and heals. Without, run one only.
    pub leader_election: bool,
    /// Name of the Lease.
    #[schemars(length(min = 1))]
    pub lease: String,
    /// Whether what is wrong is told as an Event on the object that is to be mended.
    pub events: bool,
    /// What issues the certificates.
    pub cert_manager: CertManager,
}

/// The controller's image.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Image {
    /// Without tag.
    #[schemars(length(min = 1))]
    pub repository: String,
    /// The chart's appVersion when empty.
    pub tag: String,
    /// `sha256:…`; wins over the tag.
    #[schemars(regex(pattern = r"^(sha256:[0-9a-f]{64})?$"))]
    pub digest: String,
    /// When the kubelet fetches it.
    pub pull_policy: PullPolicy,
}

/// When the kubelet fetches an image.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Before each start.
    Always,
    /// When it is not there.
    IfNotPresent,
    /// Never: it is there.
    Never,
}

/// The controller's port.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listen {
    /// Its number.
    #[schemars(range(min = 1024, max = 65535))]
    pub port: u16,
    /// Whether it is open for IPv6 too.
    pub ipv6: bool,
    /// Its certificate.
    pub tls: Tls,
    /// What opens `/ledger`.
    pub token: Secret,
    /// Whether `/metrics` answers without the token; it does where a monitor is on.
    pub open_metrics: bool,
}

/// The certificate of the controller's port.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A Secret that is there already; when empty, cert-manager makes one.
    pub secret: String,
    /// Who signs that; a self-signed Issuer of the chart's when empty.
    pub issuer: Issuer,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Issuer {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// `Issuer`, `ClusterIssuer`, or another's.
    pub kind: String,
    /// API group of another's.
    pub group: String,
}

/// A Secret of the release's namespace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its name; the chart makes one when empty.
    pub secret: String,
}

/// How to log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// From which level on.
    pub level: LogLevel,
}

/// The account the pods are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// One that is there already, with roles of its own; the chart makes both when empty.
    pub name: String,
    /// Of the one that the chart makes.
    pub annotations: BTreeMap<String, String>,
}

/// Who may talk with the pods, and with whom they may.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether there is one.
    pub enabled: bool,
    /// Who may reach the port, as `from` of a NetworkPolicy; all when empty.
    pub from: Vec<BTreeMap<String, Value>>,
    /// Networks the API server is in; all, on ports 443 and 6443, when empty.
    pub api_server: Vec<String>,
    /// More rules of egress, besides DNS, API server and the gateways' namespaces.
    pub egress: Vec<BTreeMap<String, Value>>,
}

/// What Prometheus' operator is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// Whether there is one.
    pub enabled: bool,
    /// How often it asks.
    #[schemars(regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub interval: String,
    /// Labels by which Prometheus chooses it.
    pub labels: BTreeMap<String, String>,
}

/// Something that others find by its labels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// Whether it is there.
    pub enabled: bool,
    /// Labels by which it is chosen.
    pub labels: BTreeMap<String, String>,
}

/// The alerts, and from when on they fire.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Alerts {
    /// Whether they are there.
    pub enabled: bool,
    /// Labels by which Prometheus' operator chooses them.
    pub labels: BTreeMap<String, String>,
    /// A certificate that is served ends within so many days.
    pub served_ends_within_days: Days,
    /// A certificate that is stored ends within so many days and is not renewed.
    pub stored_ends_within_days: Days,
    /// Where the pages of codes are: what `runbook_url` begins with, with its last `/`.
    pub runbooks: String,
}

/// From when on an alert warns, and from when on it is critical.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// Warns.
    #[schemars(range(min = 1, max = 365))]
    pub warning: u16,
    /// Is critical.
    #[schemars(range(min = 1, max = 365))]
    pub critical: u16,
}

/// The filter, for gateways that mount it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Filter {
    /// Whether a ConfigMap with it is put into each gateway's namespace.
    pub config_map: bool,
}

/// What no single value can tell. What `certdrift config check` would refuse in the pod, helm refuses beforehand.
fn go_together(schema: &mut Schema) {
    let when = |key: &str, value: Value| json!({"properties": {key: value}, "required": [key]});
    let all = json!([
        {
            "if": when("reach", json!({"const": "namespaces"})),
            "then": {"properties": {"namespaces": {"minItems": 1}}},
            "else": {"properties": {"namespaces": {"maxItems": 0}}},
        },
        {
            "if": when("kubernetes", when("leader_election", json!({"const": false}))),
            "then": {"properties": {"replicas": {"maximum": 1}}},
        },
    ]);
    schema.insert("allOf".to_owned(), all);
}

/// The schema, as `deploy/chart/values.schema.json` has it.
#[must_use]
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(Values);
    schema.insert("$id".to_owned(), "https://certdrift.dev/schema/chart-values.schema.json".into());
    format!("{:#}\n", schema.as_value())
}
