//! The configured sources, watched: directories into inventories, and what the configuration lists for them.
use crate::binding::files::Rules;
use crate::config::Source;
use crate::source::directory::Directory;
use crate::source::inventory::{Inventory, Policy};
use crate::source::{names, watch};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// What the configuration lists.
#[must_use]
pub fn rules(sources: &[Source]) -> Rules {
    let mut rules = Rules::default();
    for source in sources {
        let directory = Directory::new(&source.directory);
        for (below, hosts) in &source.hosts {
            // The configuration was checked: each is a host.
            let hosts = hosts.iter().filter_map(|h| names::host(h).ok()).collect();
            rules.hosts.insert(directory.source(below), hosts);
        }
        if let Some(below) = &source.default {
            rules.default = Some(directory.source(below));
        }
    }
    rules
}

/// The inventories of all sources of a gateway, kept up to date by tasks that end with it.
#[derive(Debug)]
pub struct Watched {
    receivers: Vec<tokio::sync::watch::Receiver<Option<Arc<Inventory>>>>,
    changed: tokio::sync::watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

impl Watched {
    /// Begins to watch.
    #[must_use]
    pub fn begin(sources: &[Source]) -> Self {
        let all = rules(sources);
        let (bell, changed) = tokio::sync::watch::channel(0);
        let mut tasks = JoinSet::new();
        let mut receivers = Vec::new();
        for source in sources {
            let directory = Directory::new(&source.directory);
            let mine = |name: &str| {
                let root = directory.source(".");
                name.strip_prefix(&root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let hosts: BTreeMap<_, _> = all
                .hosts
                .iter()
                .filter(|(name, _)| mine(name))
                .map(|(n, h)| (n.clone(), h.clone()))
                .collect();
            let (to, from) = tokio::sync::watch::channel(None);
            tasks.spawn(watch::watch(directory, Policy { hosts, ..Policy::default() }, watch::POLL, to));
            let (mut seen, bell) = (from.clone(), bell.clone());
            tasks.spawn(async move {
                while seen.changed().await.is_ok() {
                    bell.send_modify(|n| *n += 1);
                }
            });
            receivers.push(from);
        }
        Self { receivers, changed, _tasks: tasks }
    }

    /// Waits until one of them has changed.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // All tasks have ended, and nothing will change any more.
            std::future::pending::<()>().await;
        }
    }

    /// All of them as one, once each was read.
    pub fn inventory(&mut self) -> Option<Arc<Inventory>> {
        let all: Option<Vec<Arc<Inventory>>> = self.receivers.iter().map(|r| r.borrow().clone()).collect();
        let all = all?;
        match all.as_slice() {
            [one] => Some(Arc::clone(one)),
            _ => Some(Arc::new(Inventory::merge(all.iter().map(|one| Inventory::clone(one))))),
        }
    }
}
