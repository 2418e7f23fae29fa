//! A kind of object that is watched, in all namespaces or in some: its watches as one.
use super::ObjectName;
use super::kinds::Missing;
use super::watch::drive::{Known, Watch};
use super::watch::machine::{Pace, Problem};
use super::watch::request::Resource;
use super::watch::store::Store;
use super::watch::wire::Reader;
use crate::finding::Finding;
use crate::source::kubernetes::Reach;
use crate::source::kubernetes::findings as kinds;
use std::sync::{Arc, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A kind of object: one watch, or one a namespace.
#[derive(Debug)]
pub(super) struct Watched<T>(Vec<Arc<Watch<T>>>);

impl<T: PartialEq + Send + 'static> Watched<T> {
    pub(super) fn guards(&self) -> Vec<MutexGuard<'_, Known<T>>> {
        self.0.iter().map(|w| w.known()).collect()
    }

    pub(super) fn uid(&self, name: &ObjectName, of: impl Fn(&T) -> &str) -> Option<String> {
        self.0.iter().find_map(|watch| watch.known().store.get(name).map(|object| of(object).to_owned()))
    }

    /// The sum of its watches' shapes, which only rise.
    pub(super) fn shape(&self) -> u64 {
        self.0.iter().map(|watch| watch.known().store.shape()).fold(0, u64::wrapping_add)
    }

    /// Whether it is watched at all.
    pub(super) const fn is_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether all was seen. Where it need not be there, one that may not be looked at counts as empty.
    pub(super) fn is_complete(&self, needed: bool) -> bool {
        self.0.iter().all(|w| {
            let known = w.known();
            known.store.is_complete() || (!needed && matches!(known.problem, Some(Problem::Forbidden(_))))
        })
    }

    /// What a list would bring, without a server.
    #[cfg(test)]
    pub(super) fn show(&self, kind: &str, read: &Reader<T>, objects: &[serde_json::Value]) {
        for watch in &self.0 {
            let mut known = watch.known();
            known.store.begin();
            let within = watch.resource.namespace.as_deref();
            let ours = objects.iter().filter(|o| o["kind"] == kind);
            for object in ours.filter(|o| within.is_none_or(|n| o["metadata"]["namespace"] == n)) {
                let item = read(object.to_string().as_bytes()).unwrap();
                known.store.put(item.name, item.kept.unwrap());
            }
            known.store.end();
        }
    }

    pub(super) fn findings(&self, out: &mut Vec<Finding>) {
        for watch in &self.0 {
            let known = watch.known();
            let place = watch.resource.path();
            match &known.problem {
                Some(Problem::Forbidden(why)) => out.push(kinds::FORBIDDEN.on(&place, why)),
                Some(Problem::Broken(why)) => out.push(kinds::NOT_UP_TO_DATE.on(&place, why)),
                None => {}
            }
            for (name, why) in known.store.faults() {
                out.push(kinds::OBJECT_UNREADABLE.on(format!("{place} {name}"), why));
            }
        }
    }
}

pub(super) fn refs<'a, T: PartialEq>(guards: &'a [MutexGuard<'_, Known<T>>]) -> Vec<&'a T> {
    guards.iter().flat_map(|known| known.store.iter().map(|(_, object)| object)).collect()
}

/// Starts watches, and hears their bells.
pub(super) struct Starter {
    pub(super) client: kube::Client,
    pub(super) missing: Missing,
    pub(super) reach: Reach,
    pub(super) pace: Pace,
    pub(super) bell: watch::Sender<u64>,
    pub(super) tasks: JoinSet<()>,
    pub(super) started: u64,
}

impl Starter {
    pub(super) fn start<T>(&mut self, resources: Vec<Resource>, read: impl Fn() -> Reader<T>) -> Watched<T>
    where
        T: PartialEq + Send + 'static,
    {
        self.start_with(resources, read, Store::default)
    }

    pub(super) fn start_with<T>(
        &mut self,
        resources: Vec<Resource>,
        read: impl Fn() -> Reader<T>,
        store: impl Fn() -> Store<T>,
    ) -> Watched<T>
    where
        T: PartialEq + Send + 'static,
    {
        let all = resources.into_iter().map(|resource| {
            let watch = Watch::with(resource, store());
            self.started = self.started.wrapping_add(1);
            // Watches of one process must part ways, and those of several replicas too.
            let spread = self.started ^ u64::from(std::process::id()).wrapping_mul(0x9e37_79b9);
            let missing = self.missing.clone();
            let running = Arc::clone(&watch);
            self.tasks.spawn(running.run_beside(self.client.clone(), read(), spread, self.pace, missing));
            let (mut changes, bell) = (watch.changes(), self.bell.clone());
            self.tasks.spawn(async move {
                while changes.changed().await.is_ok() {
                    bell.send_modify(|n| *n = n.wrapping_add(1));
                }
            });
            watch
        });
        Watched(all.collect())
    }

    /// A kind that lives in namespaces: of all of them, or of those that the reach names.
    pub(super) fn namespaced(&self, wanted: bool, resource: &Resource) -> Vec<Resource> {
        match &self.reach {
            _ if !wanted => Vec::new(),
            Reach::Namespaces(names) => names.iter().map(|n| resource.clone().within(n)).collect(),
            Reach::Cluster | Reach::Keyless => vec![resource.clone()],
        }
    }
}
