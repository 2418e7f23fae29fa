//! The one configuration file (YAML), overridden by flags and `CERTDRIFT_…` variables.
//!
//! These types are the only description of it: the JSON schema (`deploy/schema/config.schema.json`) and
//! `docs/configuration.md` are generated from them, and tests keep both true. Unknown keys are refused.
pub mod canary;
pub mod chart;
pub mod check;
pub mod findings;
pub mod kubernetes;
pub mod load;
pub mod place;
pub mod reference;
pub mod secret;
#[cfg(test)]
pub(crate) mod tests;

pub use load::{Overrides, load};
pub use secret::{Token, TokenFrom};

use crate::converge::Policy;
use crate::converge::period::Period;
use certdrift_contract::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The configuration of `certdrift run`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Directory for what must outlive a restart: the last good certificates, revisions, remedies under way.
    #[serde(default = "state_dir")]
    pub state_dir: PathBuf,
    /// Where probes, metrics, ledgers and state are answered.
    #[serde(default)]
    pub listen: Listen,
    /// How to log, on stderr.
    #[serde(default)]
    pub log: Log,
    /// The cluster, for gateways that are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<kubernetes::Kubernetes>,
    /// The gateways to watch over.
    pub gateways: Vec<Gateway>,
}

/// Where probes, metrics, ledgers and state are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port. On another address than loopback, `/ledger` answers only with the token or a client certificate.
    #[serde(default = "address")]
    pub address: SocketAddr,
    /// Token that opens `/ledger` to others than loopback, sent as `x-certdrift-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFrom>,
    /// Whether `/metrics` answers others than loopback without token or client certificate.
    #[serde(default)]
    pub open_metrics: bool,
    /// TLS; plain HTTP when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenTls>,
}

/// TLS of the controller's own port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// PEM file: leaf, then its intermediates. Read again when a connection comes after it has changed.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the authorities whose client certificates open `/ledger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// How to log, on stderr.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Form of a line.
    #[serde(default)]
    pub format: LogFormat,
    /// From which level on; can be changed at run time: `curl -X PUT -d debug http://127.0.0.1:9480/log-level`.
    #[serde(default)]
    pub level: LogLevel,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `plain` on a terminal, `json` otherwise.
    #[default]
    Auto,
    /// For people.
    Plain,
    /// For programs: one JSON object a line.
    Json,
}

/// From which level on to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What hurts now.
    Error,
    /// What will hurt if left alone.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// What is looked at.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A gateway: where its certificates come from, where it serves them, and how far certdrift may go for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Its name, in ledger, metrics and status: lower-case letters, digits and `-`.
    pub name: String,
    /// Whose wildcard rules hold: `kong` (one label; also right for nginx) or `envoy` (`*.x` spans labels).
    #[serde(rename = "match", default = "rules")]
    pub rules: Rules,
    /// Where its certificates are stored; not for a gateway that is in a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// For a gateway that is in a cluster, in place of `sources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<kubernetes::InCluster>,
    /// Where its ledger goes.
    #[serde(default)]
    pub publish: Publish,
    /// How it is looked at.
    #[serde(default)]
    pub observe: Observe,
    /// How far certdrift may go: tell only (the default), or heal.
    #[serde(default)]
    pub policy: Policy,
    /// A host of our own whose certificate is issued anew on a schedule, for a gateway that is in a cluster with cert-manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<canary::Canary>,
    /// Drifts that somebody knows of and lets be: they stay visible, are not alerted and not healed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<Acknowledged>,
    /// Where it serves: each address that takes TLS connections. With `kubernetes.pods`, what there is besides the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
}

/// Whose wildcard rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// Exact; `*.parent` for one label; `name.*`; `*`.
    Kong,
    /// Exact; `*.suffix` for any number of labels, longest first; `*`.
    Envoy,
}

impl From<Rules> for certdrift_contract::Rules {
    fn from(rules: Rules) -> Self {
        match rules {
            Rules::Kong => Self::Kong,
            Rules::Envoy => Self::Envoy,
        }
    }
}

/// A directory of certificates (certbot's `live/`, lego's, a mounted Secret, PEM pairs), or a single file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its path. Keys are compared with their certificates where they can be read, and never kept.
    pub directory: PathBuf,
    /// Hosts a certificate answers for, by its path below the directory (`.` is the directory itself); all the names in it when not listed here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Vec<String>>,
    /// Path below the directory of the gateway's default certificate, served where no host matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// How a gateway is looked at. A handshake costs it 0.3 to 0.4 ms of CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observe {
    /// How long one handshake or report may take in all.
    pub timeout: Period,
    /// How often every host is looked at on every endpoint; changed and drifting hosts are looked at, at once.
    pub sweep: Period,
    /// How often tap and report are read.
    pub poll: Period,
    /// The most handshakes a second with one endpoint.
    #[schemars(range(min = 1, max = 1000))]
    pub per_second: u32,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            timeout: Period::seconds(5),
            sweep: Period::seconds(600),
            poll: Period::seconds(5),
            per_second: 20,
        }
    }
}

/// A drift that somebody knows of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// The host as the ledger lists it, on every endpoint.
    pub host: String,
    /// Why it is let be.
    pub reason: String,
    /// Until when, `2026-12-01T00:00:00Z`.
    #[schemars(with = "String")]
    pub until: UnixTime,
}

/// Where a gateway's ledger goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// File that the gateway's loopback server (the tap's include) hands to the filter. When absent, `STATE_DIR/NAME/ledger.json`, and for a gateway that is in a cluster none: there the ledger is in ConfigMaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Whether to answer `GET /ledger/NAME` too.
    #[serde(default = "yes")]
    pub serve: bool,
    /// How long a replaced certificate may still be served before that is drift.
    #[serde(default = "grace")]
    pub grace: Period,
}

impl Default for Publish {
    fn default() -> Self {
        Self { file: None, serve: true, grace: grace() }
    }
}

/// One address where a gateway serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name, in metrics and status.
    pub name: String,
    /// `HOST:PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`.
    pub address: String,
    /// PROXY protocol it expects before TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// A load balancer or CDN in front: observed and told, never healed.
    #[serde(default)]
    pub edge: bool,
    /// Number of its worker processes, where neither tap nor `status` tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u32>,
    /// URL of the tap's report, `http://127.0.0.1:8787/tap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<String>,
    /// URL of the filter's report, `https://127.0.0.1:8443/certdrift/report`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// URL of Kong's status API, `http://127.0.0.1:8100/status`; tells the number of workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Token for `tap` and `report`, sent as `x-certdrift-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFrom>,
}

/// Form of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

fn state_dir() -> PathBuf {
    PathBuf::from("/var/lib/certdrift")
}

/// Where `certdrift status` asks unless told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9480);

const fn address() -> SocketAddr {
    DEFAULT_ADDRESS
}

const fn rules() -> Rules {
    Rules::Kong
}

const fn grace() -> Period {
    Period::seconds(crate::publish::build::GRACE.unsigned_abs())
}

const fn yes() -> bool {
    true
}

impl Default for Listen {
    fn default() -> Self {
        Self { address: address(), token: None, open_metrics: false, tls: None }
    }
}

impl Config {
    /// The file a gateway's ledger goes to; none where it has ConfigMaps and no file is named.
    #[must_use]
    pub fn ledger_file(&self, gateway: &Gateway) -> Option<PathBuf> {
        let usual = || gateway.kubernetes.is_none().then(|| self.state_of(gateway).join("ledger.json"));
        gateway.publish.file.clone().or_else(usual)
    }

    /// A gateway's own directory of state.
    #[must_use]
    pub fn state_of(&self, gateway: &Gateway) -> PathBuf {
        Path::new(&self.state_dir).join(&gateway.name)
    }
}
