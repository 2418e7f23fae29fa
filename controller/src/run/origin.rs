//! What a gateway's loop waits for where its certificates come from: files that change; in a cluster, what is watched
//! there, the ConfigMaps of its ledger, and the Lease.
use super::cluster::Cluster;
use super::gateway::config_maps;
use super::sources::Watched;
use super::{Locked, lock};
use crate::cluster::watch::machine::Pace;
use crate::config;
use crate::converge::Millis;
use crate::lead::lease::Leadership;
use crate::publish::coalesce::Coalesce;
use crate::publish::config_map::{ConfigMaps, Task};
use crate::source::inventory::Inventory;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// In a cluster, what follows so closely is published together: one renewal is a dozen changes in a tenth of a second.
const QUIET: Duration = Duration::from_millis(20);
/// A change is not held up for longer.
const LONGEST: Duration = Duration::from_millis(100);

/// Where a gateway's certificates come from, watched.
pub(super) enum Origin {
    /// Files.
    Files(Watched),
    /// A cluster.
    Cluster(Box<InCluster>),
}

/// What the loop waits for in a cluster.
pub(super) struct InCluster {
    changes: watch::Receiver<u64>,
    pods: watch::Receiver<u64>,
    leads: watch::Receiver<bool>,
    /// Rings when another replica has published something newer; none before the ledger was read.
    ahead: Option<watch::Receiver<u64>>,
    opening: JoinSet<(ConfigMaps, Task)>,
    keeping: JoinSet<()>,
    spread: u64,
    name: String,
    leadership: Option<Leadership>,
}

/// What has happened there.
pub(super) enum News {
    /// This is stored now.
    Stored(Arc<Inventory>),
    /// Something has changed in the cluster.
    Changed,
    /// Another replica has published something newer than ours.
    Newer,
    /// Pods have come or gone, or are others.
    Pods,
    /// The ledger of before was read.
    Opened(Box<ConfigMaps>),
    /// This replica leads, or does not any more.
    Leads {
        /// It does.
        leads: bool,
        /// Who led before left a remedy of this gateway under way.
        interrupted: bool,
        /// When remedies of this gateway were started within the last hour, whoever led.
        acts: Vec<Millis>,
    },
}

impl Origin {
    /// Begins to watch.
    pub(super) fn begin(gateway: &Locked, config: &config::Gateway) -> Self {
        let cluster = lock(gateway).cluster().cloned();
        match (cluster, config_maps(config)) {
            (Some(cluster), Some(place)) => {
                let mut opening = JoinSet::new();
                opening.spawn(ConfigMaps::open(
                    cluster.client.clone(),
                    place,
                    cluster.leads.clone(),
                    Pace::default(),
                ));
                let spread = spread(&cluster, &config.name);
                let (mut changes, mut leads) = (cluster.watches.changes(), cluster.leads.clone());
                let mut pods = cluster.watches.pod_changes();
                // What is known already is news, too.
                changes.mark_changed();
                pods.mark_changed();
                leads.mark_changed();
                let keeping = JoinSet::new();
                let (name, leadership) = (config.name.clone(), cluster.leadership.clone());
                Self::Cluster(Box::new(InCluster {
                    changes,
                    pods,
                    leads,
                    ahead: None,
                    opening,
                    keeping,
                    spread,
                    name,
                    leadership,
                }))
            }
            _ => Self::Files(Watched::begin(&config.sources)),
        }
    }

    /// When to publish what has changed.
    pub(super) fn coalesce(&self) -> Coalesce {
        match self {
            Self::Files(_) => Coalesce::default(),
            Self::Cluster(_) => Coalesce::new(QUIET, LONGEST),
        }
    }

    /// Waits for what happens next.
    pub(super) async fn news(&mut self) -> News {
        match self {
            Self::Files(watched) => loop {
                watched.changed().await;
                if let Some(inventory) = watched.inventory() {
                    return News::Stored(inventory);
                }
            },
            Self::Cluster(of) => of.news().await,
        }
    }
}

impl InCluster {
    async fn news(&mut self) -> News {
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.leads.changed() => {
                    let leads = *self.leads.borrow_and_update();
                    let intents = self.leadership.as_ref().map(Leadership::intents).unwrap_or_default();
                    let acts = self.leadership.as_ref().map(|l| l.acts(&self.name)).unwrap_or_default();
                    return News::Leads { leads, interrupted: intents.contains_key(&self.name), acts };
                }
                Some(Ok((ledger, task))) = self.opening.join_next() => {
                    self.keeping.spawn(task.run(self.spread));
                    self.ahead = Some(ledger.ahead());
                    return News::Opened(Box::new(ledger));
                }
                Some(()) = ring(&mut self.ahead) => return News::Newer,
                Ok(()) = self.pods.changed() => return News::Pods,
                Ok(()) = self.changes.changed() => return News::Changed,
                else => std::future::pending::<()>().await,
            }
        }
    }
}

async fn ring(bell: &mut Option<watch::Receiver<u64>>) -> Option<()> {
    bell.as_mut()?.changed().await.ok()
}

/// Parts the watches of gateways and of replicas in time.
fn spread(cluster: &Arc<Cluster>, gateway: &str) -> u64 {
    let digest = certdrift_contract::Fingerprint::of(format!("{}/{gateway}", cluster.identity).as_bytes());
    u64::from_str_radix(digest.to_string().get(..16).unwrap_or_default(), 16).unwrap_or_default()
}
