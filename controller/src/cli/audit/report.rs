//! What an audit has to say: every host, hop by hop, and what could not be looked at.
use crate::cli::Exit;
use crate::cli::output::View;
use crate::diagnose::Cause;
use crate::finding::Finding;
use certdrift_contract::{Fingerprint, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What something comes to, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every pod serves what is stored.
    Match,
    /// Not all of it could be looked at.
    Unknown,
    /// What is stored, or served, is worse than it has to be.
    Invalid,
    /// A pod serves something else than what is stored.
    Drift,
}

impl Verdict {
    /// What the shell gets.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Match => Exit::Good,
            Self::Unknown => Exit::Unknown,
            Self::Invalid | Self::Drift => Exit::Drift,
        }
    }

    /// As `-o short` writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Drift => "drift",
        }
    }
}

/// How one hop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    /// As it has to be.
    Good,
    /// Not so.
    Bad,
    /// It could not be told.
    Unknown,
    /// There is none: nobody of cert-manager's issues the certificate.
    None,
}

/// What one pod served for a host.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Seen {
    /// `NAMESPACE/POD`
    pub pod: String,
    /// `match`, `incoming`, `drift`, `unobserved`.
    pub verdict: &'static str,
    /// Of a drift: `previous`, `other`, `default`, `unknown`.
    pub class: Option<&'static str>,
    /// Fingerprint of the leaf that was served.
    #[schemars(with = "Option<String>")]
    pub served: Option<Fingerprint>,
    /// When that ends.
    #[schemars(with = "Option<String>")]
    pub not_after: Option<UnixTime>,
    /// Why nothing was seen, where it was not.
    pub why: Option<String>,
}

/// A host, hop by hop.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Host {
    /// As it is bound; `default` is the gateway's default certificate.
    pub host: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// cert-manager has issued what is due.
    pub issued: Hop,
    /// The Secret holds what was issued, and it is good.
    pub stored: Hop,
    /// An Ingress or a listener gives the host this Secret.
    pub bound: Hop,
    /// Every pod serves it.
    pub served: Hop,
    /// `NAMESPACE/NAME` of the Secret, or of both of a pair.
    pub source: String,
    /// What binds it: `Ingress NAMESPACE/NAME`.
    pub by: String,
    /// Fingerprints of what has to be served.
    #[schemars(with = "Vec<String>")]
    pub expected: Vec<Fingerprint>,
    /// When the first of these ends.
    #[schemars(with = "Option<String>")]
    pub not_after: Option<UnixTime>,
    /// Why a pod drifts, where one look can tell.
    pub cause: Option<Cause>,
    /// What is wrong, in words; empty when nothing is.
    pub detail: String,
    /// By pod.
    pub seen: Vec<Seen>,
}

/// A pod that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pod {
    /// `NAMESPACE/POD`
    pub name: String,
    /// Of the pod.
    pub port: u16,
    /// By its own word.
    pub ready: bool,
    /// Whether Kong says there that it has no configuration; none where it was not asked: all that is served is right, or its
    /// status is not to be found.
    pub empty: Option<bool>,
    /// Why it does not answer, where it does not.
    pub why: Option<String>,
}

/// A gateway.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Gateway {
    /// What it is called here.
    pub name: String,
    /// Why it was taken for one, and by what its hosts are bound.
    pub chosen: String,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// What is wrong with bindings, Secrets and issuance.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub findings: Vec<Finding>,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unread {
    /// `CD-580`
    pub code: &'static str,
    /// Plural.
    pub kind: String,
    /// None for all namespaces, or a kind that is in none.
    pub namespace: Option<String>,
    /// In the server's words.
    pub why: String,
    /// What of the answer is not known for that; none when it changes nothing here.
    pub costs: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The worst of all.
    pub verdict: Verdict,
    /// As the shell gets it.
    pub exit_code: u8,
    /// When it was looked.
    #[schemars(with = "String")]
    pub at: UnixTime,
    /// How many objects were read of each kind.
    pub read: BTreeMap<String, usize>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// By which way pods were reached: `port-forward` or `direct`.
    pub way: &'static str,
    /// So many handshakes a second and pod, at most.
    pub per_second: u32,
    /// Handshakes that were made.
    pub handshakes: usize,
    /// By name.
    pub gateways: Vec<Gateway>,
    /// What keeps the whole of it from an answer.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub findings: Vec<Finding>,
    /// Certificates that no host of these gateways is bound to.
    pub unbound: Vec<String>,
}

/// The schema of the JSON form, as `deploy/schema/audit.schema.json` has it.
#[must_use]
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".to_owned(), "https://certdrift.dev/schema/audit.schema.json".into());
    let tag = serde_json::json!({"const": <Report as View>::SCHEMA});
    if let Some(properties) = schema.get_mut("properties").and_then(|p| p.as_object_mut()) {
        properties.insert("schema".to_owned(), tag);
    }
    if let Some(required) = schema.get_mut("required").and_then(|r| r.as_array_mut()) {
        required.insert(0, "schema".into());
    }
    format!("{:#}\n", schema.as_value())
}
