//! What was asked of a cluster, with its answers. An answer that could not be had is its reason, never an empty one.
use crate::cluster::review::Right;
use crate::cluster::server::Server;
use crate::cluster::workload::{Deployment, Template};
use crate::cluster::{Meta, ObjectName};
use crate::config::Config;
use crate::finding::Finding;
use crate::issuance::permission::Verb;
use certdrift_contract::{Ledger, UnixTime};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// An answer, or why there is none.
pub type Looked<T> = Result<T, String>;

/// What was never asked.
pub(super) fn not_asked<T>() -> Looked<T> {
    Err("it was not asked for".to_owned())
}

/// This installation: what mends are written with.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// certdrift's own namespace.
    pub namespace: String,
    /// Its ServiceAccount; none where it runs outside the cluster.
    pub account: Option<ObjectName>,
    /// The Deployment; none where there is none, or it may not be looked for.
    pub deployment: Option<String>,
    /// The Helm release, by its label.
    pub release: Option<String>,
    /// As whom the API server knows us.
    pub user: Option<String>,
    /// Its configuration; none where none was named or found.
    pub config: Option<Config>,
    /// Why none was found, where one was looked for.
    pub unread: Option<String>,
}

/// A right that a feature needs, and whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The feature, as docs/permissions.md calls it.
    pub by: &'static str,
    /// What was asked for.
    pub right: Right,
    /// The answer.
    pub allowed: Looked<bool>,
}

/// Who holds the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Empty: nobody.
    pub holder: String,
    /// When it was last renewed.
    pub renewed: Option<UnixTime>,
    /// How long it lasts, in seconds.
    pub lasts: i64,
}

/// What one endpoint says of itself; each is none where it was not to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Kong's status: the number of its workers.
    pub status: Option<Looked<usize>>,
    /// The filter's report: its version, and what it has to say against its configuration.
    pub report: Option<Looked<(String, Vec<String>)>>,
    /// The tap's report: the number of its workers.
    pub tap: Option<Looked<usize>>,
}

/// A gateway's pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenPod {
    /// As the API server has it.
    pub template: Template,
    /// What it says.
    pub said: Said,
}

/// What was seen of a gateway in the cluster.
#[derive(Debug)]
pub struct Seen {
    /// Its pods; an error where they may not be listed.
    pub pods: Looked<Vec<SeenPod>>,
    /// Its other endpoints, by name.
    pub fixed: BTreeMap<String, Said>,
    /// Names of the Secrets in its namespace that a Certificate keeps.
    pub renewed: Looked<BTreeSet<String>>,
    /// What the controller's own rules say of its bindings and its pods.
    pub findings: Looked<Vec<Finding>>,
}

/// A KongPlugin or KongClusterPlugin, as far as it may be the filter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Plugin {
    /// Its name.
    pub metadata: Meta,
    /// Of what.
    pub plugin: Box<str>,
    /// As the filter reads it.
    pub config: serde_json::Value,
}

impl Plugin {
    /// Whether it is our filter.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        &*self.plugin == "certdrift"
    }

    /// `kongplugin/certdrift -n shop`, as kubectl takes it.
    #[must_use]
    pub fn kubectl(&self) -> String {
        match &*self.metadata.namespace {
            "" => format!("kongclusterplugin/{}", self.metadata.name),
            namespace => format!("kongplugin/{} -n {namespace}", self.metadata.name),
        }
    }

    /// The ranges that may see health.
    pub fn allows(&self) -> impl Iterator<Item = &str> {
        let allow = self.config.pointer("/health/allow").and_then(serde_json::Value::as_array);
        allow.into_iter().flatten().filter_map(serde_json::Value::as_str)
    }
}

/// All that was asked.
#[derive(Debug)]
pub struct Facts {
    /// This installation.
    pub here: Here,
    /// Now, by our clock.
    pub now: UnixTime,
    /// Version and time.
    pub server: Looked<Server>,
    /// Plurals of the kinds of cert-manager.io/v1; empty where it is not installed.
    pub cert_manager_kinds: Looked<BTreeSet<String>>,
    /// Of gateway.networking.k8s.io/v1.
    pub gateway_api_kinds: Looked<BTreeSet<String>>,
    /// What certdrift needs; an error where its account is not known.
    pub rights: Looked<Vec<Asked>>,
    /// What who installs needs.
    pub installer: Looked<Vec<Asked>>,
    /// What cert-manager may do to Secrets, by namespace; the empty one is all.
    pub storing: BTreeMap<String, Looked<Vec<Verb>>>,
    /// The pods in cert-manager's namespace.
    pub cert_manager: Looked<Vec<Template>>,
    /// certdrift's own.
    pub deployment: Looked<Option<Deployment>>,
    /// Its Lease.
    pub lease: Looked<Option<Held>>,
    /// By gateway.
    pub ledgers: BTreeMap<String, Looked<Option<Ledger>>>,
    /// All pods in the namespaces of gateways and their ingress controllers.
    pub pods: BTreeMap<String, Looked<Vec<Template>>>,
    /// By gateway.
    pub gateways: BTreeMap<String, Seen>,
    /// Plugins of Kong's ingress controller; empty where it has none of that kind.
    pub plugins: Looked<Vec<Plugin>>,
}

impl Facts {
    /// Nothing asked yet.
    #[must_use]
    pub fn of(here: Here, now: UnixTime) -> Self {
        Self {
            here,
            now,
            server: not_asked(),
            cert_manager_kinds: not_asked(),
            gateway_api_kinds: not_asked(),
            rights: not_asked(),
            installer: not_asked(),
            storing: BTreeMap::new(),
            cert_manager: not_asked(),
            deployment: not_asked(),
            lease: not_asked(),
            ledgers: BTreeMap::new(),
            pods: BTreeMap::new(),
            gateways: BTreeMap::new(),
            plugins: not_asked(),
        }
    }
}

impl Here {
    /// The section `kubernetes` of its configuration, or what it is when nothing is said.
    #[must_use]
    pub fn kubernetes(&self) -> crate::config::kubernetes::Kubernetes {
        self.config.as_ref().and_then(|c| c.kubernetes.clone()).unwrap_or_default()
    }

    /// cert-manager's ServiceAccount.
    #[must_use]
    pub fn cert_manager(&self) -> ObjectName {
        // The configuration was checked.
        ObjectName::parse(&self.kubernetes().cert_manager.service_account).unwrap_or_default()
    }

    /// As kubectl binds roles to it: the ServiceAccount, or the user.
    #[must_use]
    pub fn subject(&self) -> String {
        match (&self.account, &self.user) {
            (Some(account), _) => format!("--serviceaccount={}:{}", account.namespace, account.name),
            (None, Some(user)) => format!("--user={user}"),
            (None, None) => "--user=USER".to_owned(),
        }
    }
}
