//! What all gateways of a cluster share: the way to its API server, what is watched there, and the Lease. It outlives a
//! reload of the configuration that leaves all this as it is.
use super::events::{self, Told};
use crate::clock;
use crate::cluster::ObjectName;
use crate::cluster::connect;
use crate::cluster::watch::machine::Pace;
use crate::cluster::watches::{Needs, Watches};
use crate::config::{self, Config};
use crate::finding::Finding;
use crate::issuance::permission::ServiceAccount;
use crate::lead::election::Terms;
use crate::lead::lease::{self, Leadership};
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Giving the Lease up takes a request; whoever does not get it waits for its end.
const GIVES_UP_WITHIN: Duration = Duration::from_secs(3);

/// All that a configuration says of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    of: config::kubernetes::Kubernetes,
    needs: Needs,
}

impl Wanted {
    /// `None` where no gateway is in a cluster.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let of = config.kubernetes.clone()?;
        let all: Vec<_> = config.gateways.iter().filter_map(|g| g.kubernetes.as_ref()).collect();
        if all.is_empty() {
            return None;
        }
        let bindings: Vec<_> = all.iter().map(|own| &own.bindings).collect();
        let apis = || bindings.iter().filter_map(|b| b.gateway_api.as_ref());
        let needs = Needs {
            reach: of.reach(),
            selection: of.selection(),
            ingresses: bindings.iter().any(|b| b.kong_ingress.is_some()),
            gateway_api: apis().next().is_some(),
            listener_sets: apis().any(|api| api.dialect == config::kubernetes::Dialect::Standard),
            pods: all.iter().flat_map(|own| own.finder().into_iter().chain(own.pushers())).collect(),
            pushed_from: all
                .iter()
                .filter(|own| own.ingress_controller.as_ref().is_some_and(|of| of.events))
                .filter_map(|own| own.pushed_from().map(str::to_owned))
                .collect(),
        };
        Some(Self { of, needs })
    }

    /// What has to be watched for it.
    #[must_use]
    pub const fn needs(&self) -> &Needs {
        &self.needs
    }
}

/// A cluster that is watched.
pub struct Cluster {
    wanted: Wanted,
    /// To its API server.
    pub client: kube::Client,
    /// What is watched.
    pub watches: Watches,
    /// Whether this replica leads.
    pub leads: watch::Receiver<bool>,
    /// None where there is no election.
    pub leadership: Option<Leadership>,
    /// Who we are among the replicas.
    pub identity: String,
    /// What is to be told as Events.
    pub told: Told,
    /// Writes them.
    _events: JoinSet<()>,
    /// Tells the candidate to give up; where there is no election, what says that we lead.
    resigns: watch::Sender<bool>,
    candidate: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Whether something may be told as Events.
    #[must_use]
    pub fn tells_events(&self) -> bool {
        self.wanted.of.events
    }

    /// Begins to watch, and to stand for election. That the API server is away is no error.
    ///
    /// # Errors
    /// There is no way to it.
    pub async fn join(wanted: Wanted) -> Result<Self, Finding> {
        let client = connect::client(wanted.of.kubeconfig.as_deref(), wanted.of.context.as_deref()).await?;
        let namespace = wanted.of.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let identity = identity();
        let (leads, leadership, resigns, candidate) = if wanted.of.leader_election {
            let place = lease::Place { namespace, name: wanted.of.lease.clone() };
            let (leadership, candidate) =
                lease::candidate(client.clone(), place, &identity, Terms::default());
            let (resigns, mut resigned) = watch::channel(false);
            let running = tokio::spawn(candidate.run(async move {
                // Also when nobody is left to say so.
                let _ = resigned.wait_for(|resigned| *resigned).await;
            }));
            (leadership.changes(), Some(leadership), resigns, Some(running))
        } else {
            let (always, leads) = watch::channel(true);
            (leads, None, always, None)
        };
        let watches = Watches::begin(client.clone(), &wanted.needs, Pace::default());
        let (told, mut events) = (Told::default(), JoinSet::new());
        if wanted.of.events {
            events.spawn(events::write(client.clone(), told.clone(), leads.clone(), identity.clone()));
        }
        Ok(Self {
            told,
            _events: events,
            wanted,
            client,
            watches,
            leads,
            leadership,
            identity,
            resigns,
            candidate,
        })
    }

    /// One of which only that is seen which a test shows it.
    #[cfg(test)]
    pub(crate) fn shown(wanted: Wanted, client: kube::Client) -> Self {
        let (always, leads) = watch::channel(true);
        Self {
            told: Told::default(),
            _events: JoinSet::new(),
            watches: Watches::begin(client.clone(), &wanted.needs, Pace::default()),
            wanted,
            client,
            leads,
            leadership: None,
            identity: "test".to_owned(),
            resigns: always,
            candidate: None,
        }
    }

    /// Whether it is what this configuration asks for, too.
    #[must_use]
    pub fn serves(&self, wanted: &Wanted) -> bool {
        self.wanted == *wanted
    }

    /// Whether this replica writes ledgers and heals now.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leadership.as_ref().map_or_else(|| *self.leads.borrow(), Leadership::leads)
    }

    /// Whether the API server may be asked what cert-manager may do.
    #[must_use]
    pub fn reviews(&self) -> bool {
        self.wanted.of.cert_manager.reviews
    }

    /// The account of cert-manager.
    #[must_use]
    pub fn cert_manager(&self) -> ServiceAccount {
        // The configuration was checked.
        ServiceAccount(ObjectName::parse(&self.wanted.of.cert_manager.service_account).unwrap_or_default())
    }

    /// Gives the Lease up, so that another replica need not wait for its end.
    pub async fn leave(cluster: Arc<Self>) {
        let Ok(mut cluster) = Arc::try_unwrap(cluster) else {
            tracing::warn!("the cluster is in use still; the Lease is left to end by itself");
            return;
        };
        let Some(candidate) = cluster.candidate.take() else { return };
        cluster.resigns.send_replace(true);
        let _ = clock::timeout(GIVES_UP_WITHIN, candidate).await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            candidate.abort();
        }
    }
}

/// A name that no other replica has and none had before: the machine's (in a pod: the pod's) and a random number.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{:016x}", host.trim(), RandomState::new().build_hasher().finish())
}
