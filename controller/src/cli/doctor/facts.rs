//! What was asked of a cluster, with its answers. An answer that could not be had is its reason, never an empty one.
use crate::cluster::ObjectName;
use crate::cluster::review::Right;
use crate::cluster::server::Server;
use crate::cluster::workload::{Deployment, Template};
use crate::config::Config;
use crate::issuance::permission::Verb;
use certdrift_contract::{Ledger, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

/// An answer, or why there is none.
pub type Looked<T> = Result<T, String>;

/// What was never asked.
fn not_asked<T>() -> Looked<T> {
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
