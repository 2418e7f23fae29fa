//! What each endpoint runs by, and what keeps a change from it: by Kong's status, and by what its ingress controller says
//! of its pushes. Looked at once a second.
use super::origin::Origin;
use super::{Effect, Gateway};
use crate::config;
use crate::converge::{Event, Millis};
use crate::diagnose::{Cause, Loading};
use crate::finding::{Finding, Kind};
use crate::loaded::configuration::Loaded;
use crate::loaded::findings as kinds;
use crate::loaded::metrics::{Counted, Page};
use crate::loaded::pushes::{self, Pushed, Said, Trouble};
use crate::observe::findings::SOURCE_UNREADABLE;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// So many hosts that wait for a push are named.
const NAMED: usize = 3;

/// What is known of pushes to a gateway's pods.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    counted: Counted,
    /// Since when an endpoint takes requests and does not answer.
    pub(super) silent: BTreeMap<String, Millis>,
    /// The ingress controller's pods, and where each is asked.
    asked: Vec<(String, String)>,
}

/// What a finding about the configuration that an endpoint has loaded is held by.
pub(super) fn configuration_of(endpoint: &str) -> String {
    format!("configuration of {endpoint}")
}

impl Gateway {
    /// What is wrong with what endpoints run by, and what keeps changes from them.
    pub(super) fn tend_loaded(&mut self, now: Millis) -> Vec<Effect> {
        let names: Vec<String> = self.places.iter().map(|p| p.endpoint.name.clone()).collect();
        for name in &names {
            let finding = self.loaded.finding(name, now);
            self.hold_or_drop(&configuration_of(name), finding);
        }
        let mut effects = self.ask_pushers();
        let troubles = self.troubles(now);
        for endpoint in names {
            let starts = matches!(self.loaded.of(&endpoint, now), Some(Loaded::Empty { .. }));
            let trouble = troubles.get(&endpoint).map(|trouble| trouble.loading);
            let starting = starts.then_some(Loading::Starting);
            let free = || self.pushes_are_told(&endpoint).then_some(Loading::Free);
            let loading = trouble.or(starting).or_else(free);
            let runs_by = self.loaded.runs_by(&endpoint, now);
            let known = self.machine().and_then(|m| m.endpoints.get(&endpoint));
            if known.is_some_and(|known| (known.loading, known.runs_by) != (loading, runs_by)) {
                effects.extend(self.event(Event::Loading { endpoint, loading, runs_by }, now));
            }
        }
        for (loading, kind) in [
            (Loading::Refused, &kinds::REFUSED),
            (Loading::Fallback, &kinds::FALLBACK),
            (Loading::HeldBack, &kinds::HELD_BACK),
        ] {
            let finding = self.told_of(loading, kind, &troubles);
            self.hold_or_drop(kind.title, finding);
        }
        effects
    }

    fn hold_or_drop(&mut self, key: &str, finding: Option<Finding>) {
        match finding {
            Some(finding) => self.hold(key, finding),
            None => drop(self.own.remove(key)),
        }
    }

    /// What keeps changes from which endpoint now.
    fn troubles(&self, now: Millis) -> BTreeMap<String, Trouble> {
        let pushed: Vec<Pushed<'_>> = self
            .places
            .iter()
            .filter_map(|place| {
                let endpoint = place.endpoint.name.as_str();
                Some(Pushed {
                    endpoint,
                    address: address(&place.endpoint.address)?,
                    changed: self.loaded.changed(endpoint),
                    empty: self.loaded.is_empty(endpoint, now),
                    silent: self.pushes.silent.get(endpoint).copied().filter(|_| self.is_pushed_to()),
                })
            })
            .collect();
        let counted = Some(&self.pushes.counted);
        match self.cluster().filter(|_| self.is_pushed_to()) {
            Some(cluster) => {
                cluster.watches.of_events(|events| pushes::troubles(&pushed, Said { events, counted }, now))
            }
            None => pushes::troubles(&pushed, Said::default(), now),
        }
    }

    /// Whether it would be known if something kept a push from an endpoint. Only Kong's ingress controller is known to hold
    /// back what others are given.
    fn pushes_are_told(&self, endpoint: &str) -> bool {
        if self.config.rules == config::Rules::Envoy {
            return true;
        }
        let Some(cluster) = self.cluster().filter(|_| self.is_pushed_to()) else { return false };
        let own = self.config.kubernetes.as_ref().and_then(|own| own.ingress_controller.as_ref());
        if own.is_none_or(|of| of.metrics.is_none()) {
            return cluster.watches.tells_of_pushes();
        }
        // Some refusals are no Event: where metrics are to be read they have to be.
        let is_read = self.pushes.asked.iter().all(|(pod, _)| !self.own.contains_key(&metrics_of(pod)));
        let address = self.place(endpoint).and_then(|place| address(&place.endpoint.address));
        is_read && address.is_some_and(|address| self.pushes.counted.of(address).is_some())
    }

    /// Whether an ingress controller is known to push to it.
    fn is_pushed_to(&self) -> bool {
        self.config.kubernetes.as_ref().is_some_and(|own| own.ingress_controller.is_some())
    }

    /// One finding for all endpoints that have this trouble.
    fn told_of(
        &self,
        loading: Loading,
        kind: &Kind,
        troubles: &BTreeMap<String, Trouble>,
    ) -> Option<Finding> {
        let these: Vec<(&str, &Trouble)> = troubles
            .iter()
            .filter(|(_, t)| t.loading == loading)
            .map(|(name, t)| (name.as_str(), t))
            .collect();
        let (_, newest) = these.iter().max_by_key(|(_, trouble)| trouble.at)?;
        // A pod that hangs harms nobody as long as nothing is to be pushed.
        if loading == Loading::HeldBack && self.renewals.missing().next().is_none() {
            return None;
        }
        let blamed = &newest.blamed;
        let object = blamed.first().map(|first| first.object.clone());
        let object = object.unwrap_or_else(|| format!("gateway:{}", self.config.name));
        let endpoints: Vec<&str> = these.iter().map(|(name, _)| *name).collect();
        let mut why = vec![newest.why.clone()];
        why.extend(blamed.iter().filter_map(|b| Some(format!("{}: {}", b.object, b.why.as_ref()?))));
        why.push(format!("on {}", endpoints.join(", ")));
        why.extend(self.waiting(loading, &endpoints));
        Some(kind.on(object, why.join("; ")))
    }

    /// Hosts that wait for it to be over, in words.
    fn waiting(&self, loading: Loading, endpoints: &[&str]) -> Option<String> {
        let cause = match loading {
            Loading::Refused => Cause::PushFailing,
            Loading::Fallback => Cause::Fallback,
            Loading::HeldBack => Cause::HeldBack,
            Loading::Empty => Cause::PodEmpty,
            Loading::Free | Loading::Starting => return None,
        };
        let drifts = self.machine().into_iter().flat_map(|machine| machine.drifts());
        let hosts: BTreeSet<&str> = drifts
            .filter(|(name, _, _, drift)| drift.cause == cause && endpoints.contains(name))
            .map(|(_, _, host, _)| host)
            .collect();
        let named: Vec<&str> = hosts.iter().copied().take(NAMED).collect();
        let more = hosts.len().saturating_sub(named.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (!named.is_empty()).then(|| format!("{}{more} waits for it", named.join(", ")))
    }

    /// Who of the ingress controller's pods is asked for its metrics; told when these are others.
    fn ask_pushers(&mut self) -> Vec<Effect> {
        let Some(finder) = self.config.kubernetes.as_ref().and_then(|own| own.pushers()) else {
            return Vec::new();
        };
        let Origin::Cluster(of) = &self.origin else { return Vec::new() };
        let Some((pods, _)) = of.cluster().watches.pods(&finder) else { return Vec::new() };
        let now: Vec<(String, String)> = pods
            .into_values()
            .map(|pod| (pod.endpoint.name, format!("http://{}/metrics", pod.endpoint.address)))
            .collect();
        // Also when the controller's pods are the same: another gateway's pod may get the address of one that went.
        let ours: BTreeSet<IpAddr> =
            self.places.iter().filter_map(|place| address(&place.endpoint.address)).collect();
        self.pushes
            .counted
            .keep(|pod| now.iter().any(|(name, _)| name == pod), |address| ours.contains(&address));
        if now == self.pushes.asked {
            return Vec::new();
        }
        let gone = self.pushes.asked.iter().filter(|asked| !now.contains(asked));
        for (pod, _) in gone {
            self.own.remove(&metrics_of(pod));
        }
        self.pushes.asked.clone_from(&now);
        vec![Effect::Ask(now)]
    }

    /// What a pod of the ingress controller counts.
    pub(super) fn counted(&mut self, pod: &str, page: Result<Page, String>, now: Millis) {
        let key = metrics_of(pod);
        match page {
            Ok(page) => {
                self.own.remove(&key);
                self.pushes.counted.saw(pod, page, now);
            }
            Err(why) => self.hold(&key, SOURCE_UNREADABLE.on(format!("{pod} metrics"), why)),
        }
    }

    /// An endpoint takes requests and does not answer, or answers again.
    pub(super) fn is_silent(&mut self, endpoint: String, silent: bool, now: Millis) {
        if silent {
            self.pushes.silent.entry(endpoint).or_insert(now);
        } else {
            self.pushes.silent.remove(&endpoint);
        }
    }
}

fn metrics_of(pod: &str) -> String {
    format!("metrics of {pod}")
}

fn address(of: &str) -> Option<IpAddr> {
    of.parse::<SocketAddr>().ok().map(|address| address.ip())
}
