//! Where a gateway serves: the configured endpoints, and the pods that live now.
use super::origin::Origin;
use super::{Effect, Gateway};
use crate::cluster::pod::ReadOnce;
use crate::cluster::{self, ObjectName};
use crate::config::Endpoint;
use crate::converge::{Event, Intent, Millis, Status, Workload};
use crate::diagnose::Given;
use crate::remedy::{Pod, Target};
use certdrift_contract::index::DEFAULT;
use std::collections::BTreeSet;

/// What begins the key of a finding about pods.
const PODS: &str = "pods: ";

/// Milliseconds for which a pod that is not ready counts as starting: it may have no configuration yet, and what it
/// serves then is nothing to be healed. One that never becomes ready is looked at like any other after that.
const STARTS_WITHIN: i64 = 120_000;

/// One place where it serves.
#[derive(Clone, Debug)]
pub struct Place {
    /// As configured, or as its pod says.
    pub endpoint: Endpoint,
    /// Of its pod; empty for a configured one. A pod of the same name and address may be another.
    pub uid: Box<str>,
    /// When the kubelet took it.
    pub started: Option<Millis>,
    /// It takes connections, by its own word.
    pub ready: bool,
    /// Of which revision of its workload its pod is.
    pub revision: Box<str>,
    /// What makes its pod.
    pub workload: Option<cluster::pod::Workload>,
    /// What only a restart of its pod brings.
    pub read_once: ReadOnce,
}

/// Whether it is the same, ready or not.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint && self.uid == other.uid
    }
}

impl Place {
    /// Whether it may have no configuration yet.
    pub(super) fn is_starting(&self, now: Millis) -> bool {
        !self.ready && self.started.is_some_and(|at| now.since(at) < STARTS_WITHIN)
    }
}

impl Gateway {
    /// Pods may have come or gone.
    pub fn pods(&mut self, now: Millis) -> Vec<Effect> {
        let Origin::Cluster(of) = &self.origin else { return Vec::new() };
        let Some(finder) = of.finder() else { return Vec::new() };
        let Some((pods, told)) = of.cluster().watches.pods(finder) else { return Vec::new() };
        let told: Vec<_> = told.into_iter().map(|f| (format!("{PODS}{} {}", f.code, f.object), f)).collect();
        self.own.retain(|key, _| !key.starts_with(PODS) || told.iter().any(|(still, _)| still == key));
        for (key, finding) in told {
            self.hold(&key, finding);
        }
        let places = pods.into_values().map(|pod| Place {
            endpoint: pod.endpoint,
            uid: pod.uid,
            started: pod.started,
            ready: pod.ready,
            revision: pod.revision,
            workload: pod.workload,
            read_once: pod.read_once,
        });
        let mut effects = self.serves_at(places.collect(), now);
        effects.extend(self.tell_workload(now));
        effects
    }

    /// What a remedy for a drift acts on, and the way to it.
    pub(in crate::run) fn target(&self, intent: &Intent) -> Option<Target> {
        let client = self.cluster()?.client.clone();
        let place = self.place(&intent.endpoint).filter(|place| !place.uid.is_empty());
        let name = ObjectName::parse(&intent.endpoint);
        let pod = place.zip(name).map(|(place, name)| Pod { name, uid: place.uid.clone() });
        Some(Target {
            client,
            pod,
            workload: place.and_then(|place| place.workload.clone()),
            template_is_owned: self.template_is_owned,
            secret: self.secret_of(&intent.host),
        })
    }

    /// The Secret that a host's certificate is from.
    fn secret_of(&self, host: &str) -> Option<ObjectName> {
        ObjectName::parse(&self.expectations.as_ref()?.source(host)?)
    }

    /// How an endpoint gets a host's certificate. The default certificate is no object of a binding: it is always a file.
    pub(super) fn gives(&self, endpoint: &str, host: &str) -> Given {
        if self.reads_once(endpoint, host) {
            Given::Once
        } else if host == DEFAULT || self.reads_files() {
            Given::File
        } else {
            Given::Pushed
        }
    }

    /// Whether an endpoint reads a host's certificate once, at its start.
    fn reads_once(&self, endpoint: &str, host: &str) -> bool {
        let Some(place) = self.place(endpoint) else { return false };
        let ReadOnce { secrets, default } = &place.read_once;
        if host == DEFAULT && *default {
            return true;
        }
        let pod = ObjectName::parse(endpoint);
        let is_here = |secret: &ObjectName| pod.as_ref().is_some_and(|pod| pod.namespace == secret.namespace);
        !secrets.is_empty() && self.secret_of(host).is_some_and(|s| is_here(&s) && secrets.contains(&s.name))
    }

    /// Somebody else writes the template of its pods: nobody of ours changes it from here on.
    pub(in crate::run) fn has_owned_template(&mut self, now: Millis) -> Vec<Effect> {
        self.template_is_owned = true;
        self.tell_workload(now)
    }

    fn tell_workload(&mut self, now: Millis) -> Vec<Effect> {
        let workload = Workload {
            template_is_owned: self.template_is_owned,
            files_are_mounted: self.reads_files(),
            ..workload(&self.places)
        };
        if self.machine.as_ref().is_some_and(|machine| machine.workload != workload) {
            return self.event(Event::Workload(workload), now);
        }
        Vec::new()
    }

    /// It serves at the configured endpoints and at these from now on: who is not there any more is forgotten, who is
    /// new is watched.
    pub(super) fn serves_at(&mut self, pods: Vec<Place>, now: Millis) -> Vec<Effect> {
        let configured = self.config.endpoints.iter().map(|endpoint| Place {
            endpoint: endpoint.clone(),
            uid: Box::default(),
            started: None,
            ready: true,
            revision: Box::default(),
            workload: None,
            read_once: ReadOnce::default(),
        });
        let places: Vec<Place> = configured.chain(pods).collect();
        let mut effects = self.became_ready(&places, now);
        if places == self.places && !places.is_empty() {
            self.places = places;
            return effects;
        }
        let before = std::mem::replace(&mut self.places, places);
        let stays = |name: &str| {
            let of = |all: &[Place]| all.iter().find(|p| p.endpoint.name == name).cloned();
            match (of(&before), of(&self.places)) {
                // It was there before this process was: what is remembered of it holds.
                (None, Some(_)) => before.is_empty(),
                (old, new) => new.is_some() && old == new,
            }
        };
        let machine = self.machine.as_ref();
        let known = machine.into_iter().flat_map(|m| m.endpoints.keys().cloned());
        let known: BTreeSet<String> = known.chain(before.iter().map(|p| p.endpoint.name.clone())).collect();
        let gone: Vec<String> = known.into_iter().filter(|name| !stays(name)).collect();
        for endpoint in gone {
            self.answers.remove(&endpoint);
            self.workers.remove(&endpoint);
            self.connections.remove(&endpoint);
            self.loaded.keep(|name| name != endpoint);
            self.pushes.silent.remove(&endpoint);
            let of_it = format!(" of {endpoint}");
            self.own.retain(|key, _| !key.ends_with(&of_it));
            self.sights.keep(|name| name != endpoint);
            self.renewals.keep(|_| true, |name, _| name != endpoint);
            tracing::info!(gateway = self.config.name, endpoint, "the endpoint is gone");
            effects.extend(self.event(Event::EndpointGone { endpoint }, now));
        }
        let there: BTreeSet<&str> = self.places.iter().map(|p| p.endpoint.name.as_str()).collect();
        self.sights.keep(|name| there.contains(name));
        self.unlisted.keep(|name| there.contains(name));
        let ours: BTreeSet<&str> =
            self.places.iter().filter(|p| !p.endpoint.edge).map(|p| p.endpoint.name.as_str()).collect();
        self.renewals.keep(|_| true, |name, _| ours.contains(name));
        for place in &self.places {
            if let Some(workers) = place.endpoint.workers {
                self.workers.entry(place.endpoint.name.clone()).or_insert(workers);
            }
        }
        effects.push(Effect::Watch(self.places.clone()));
        effects
    }

    /// Pods that answer and are ready now are up.
    fn became_ready(&mut self, places: &[Place], now: Millis) -> Vec<Effect> {
        let was_not = |new: &&Place| self.places.iter().any(|old| old == *new && !old.ready);
        let ready: Vec<Place> = places.iter().filter(|new| new.ready).filter(was_not).cloned().collect();
        self.are_up(ready, now)
    }

    /// Pods that answer and do not become ready have had their time to start.
    pub(super) fn tend_pods(&mut self, now: Millis) -> Vec<Effect> {
        let late = |p: &&Place| !p.ready && !p.is_starting(now);
        let late: Vec<Place> = self.places.iter().filter(late).cloned().collect();
        self.are_up(late, now)
    }

    fn are_up(&mut self, places: Vec<Place>, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        for Place { endpoint, started, .. } in places {
            let known = self.machine.as_ref().and_then(|m| m.endpoints.get(&endpoint.name));
            if known.is_some_and(|known| known.status == Status::Starting) {
                let workers = self.workers(&endpoint.name);
                let up = Event::EndpointUp { endpoint: endpoint.name, edge: endpoint.edge, workers, started };
                effects.extend(self.event(up, now));
            }
        }
        effects
    }

    /// Whether its certificates are files to it. A gateway whose hosts are bound by Ingresses or listeners is given them by
    /// its controller: when it started says nothing of how new they are.
    pub(super) fn reads_files(&self) -> bool {
        let bindings = self.config.kubernetes.as_ref().map(|cluster| &cluster.bindings);
        bindings.is_none_or(|b| b.kong_ingress.is_none() && b.gateway_api.is_none())
    }

    /// Whether it serves there now.
    pub(super) fn place(&self, endpoint: &str) -> Option<&Place> {
        self.places.iter().find(|p| p.endpoint.name == endpoint)
    }
}

/// What runs the gateway, by its pods alone: nothing else of it is read. While pods are of two revisions, somebody is
/// at work on it; one that is not ready does not count; of a disruption budget the API server tells, once it is asked.
fn workload(places: &[Place]) -> Workload {
    let pods = || places.iter().filter(|place| !place.uid.is_empty());
    let revisions: BTreeSet<&str> = pods().map(|place| &*place.revision).collect();
    let ready = pods().filter(|place| place.ready).count();
    Workload {
        rollout_running: revisions.len() > 1,
        replicas: Some(u32::try_from(ready).unwrap_or(u32::MAX)),
        disruptions_allowed: None,
        template_is_owned: false,
        files_are_mounted: false,
    }
}
