//! All that is watched of a cluster, for all gateways: each kind once, whatever the number of gateways.
use super::ObjectName;
use super::cert_manager::{Certificate, CertificateRequest, Signing};
use super::event::{self, Event};
use super::gateway::{Gateway, GatewayClass, ListenerSet, Namespace, ReferenceGrant, TlsRoute};
use super::ingress::{Ingress, IngressClass};
use super::kinds::Missing;
use super::pod::{Pod, Service};
use super::watch::machine::Pace;
use super::watch::request::Resource;
use super::watch::store::Store;
use super::watch::wire::objects;
use super::watched::{Starter, Watched, refs};
use crate::binding::assemble::{Assembled, Cluster, Memory, Rules, Secrets, assemble};
use crate::binding::gateway_api;
use crate::events::plan::Regarding;
use crate::finding::Finding;
use crate::issuance::facts::Target;
use crate::issuance::follow::{self, Issuance, follow};
use crate::issuance::not_stored::Suspects;
use crate::observe::pods::{self, Finder, Pods, Which};
use crate::source::kubernetes::Reach;
use crate::source::kubernetes::requests::Issued;
use crate::source::kubernetes::secret::{Secret, Selection, reader};
use certdrift_contract::{Fingerprint, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What has to be watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// How far.
    pub reach: Reach,
    /// Which Secrets.
    pub selection: Selection,
    /// Some gateway is bound by Ingresses.
    pub ingresses: bool,
    /// Some gateway is bound by Gateway API.
    pub gateway_api: bool,
    /// Some gateway takes ListenerSets.
    pub listener_sets: bool,
    /// How gateways' pods are found, and those of their ingress controllers.
    pub pods: Vec<Finder>,
    /// Namespaces of the ingress controllers whose Events are read.
    pub pushed_from: BTreeSet<String>,
}

/// All watches of a cluster; they end with it.
#[derive(Debug)]
pub struct Watches {
    keyless: bool,
    selection: Selection,
    secrets: Watched<Secret>,
    ingresses: Watched<Ingress>,
    ingress_classes: Watched<IngressClass>,
    gateways: Watched<Gateway>,
    gateway_classes: Watched<GatewayClass>,
    sets: Watched<ListenerSet>,
    routes: Watched<TlsRoute>,
    grants: Watched<ReferenceGrant>,
    namespaces: Watched<Namespace>,
    certificates: Watched<Certificate>,
    requests: Watched<CertificateRequest>,
    pods: Watched<Pod>,
    services: Watched<Service>,
    events: Watched<Event>,
    changes: watch::Receiver<u64>,
    pod_changes: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

/// The watches of pods that it takes to find all: of a namespace, or of those in it with certain labels.
fn pods_of(finders: &[Finder]) -> Vec<Resource> {
    let all = |namespace: &str| Resource::new("", "v1", "pods").within(namespace);
    let whole: BTreeSet<&str> = finders
        .iter()
        .filter(|f| matches!(f.which, Which::Service(_)))
        .map(|f| f.namespace.as_str())
        .collect();
    let mut resources: Vec<Resource> = whole.iter().map(|namespace| all(namespace)).collect();
    for finder in finders.iter().filter(|f| !whole.contains(f.namespace.as_str())) {
        let Which::Labels(selector) = &finder.which else { continue };
        let labels: Vec<String> =
            selector.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let resource = all(&finder.namespace).labelled(&labels.join(","));
        if !resources.contains(&resource) {
            resources.push(resource);
        }
    }
    resources
}

/// Those of Services.
fn services_of(finders: &[Finder]) -> Vec<Resource> {
    let by_service = finders.iter().filter(|f| matches!(f.which, Which::Service(_)));
    let namespaces: BTreeSet<&str> = by_service.map(|f| f.namespace.as_str()).collect();
    namespaces.into_iter().map(|n| Resource::new("", "v1", "services").within(n)).collect()
}

/// The watches of ingress controllers' Events: about their own pods, and about objects within reach.
fn events_of(needs: &Needs) -> Vec<Resource> {
    let all = Resource::new("", "v1", "events").select(event::SOURCE);
    match &needs.reach {
        _ if needs.pushed_from.is_empty() => Vec::new(),
        Reach::Cluster | Reach::Keyless => vec![all],
        Reach::Namespaces(names) => {
            let names: BTreeSet<&String> = names.iter().chain(&needs.pushed_from).collect();
            names.into_iter().map(|namespace| all.clone().within(namespace)).collect()
        }
    }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

impl Watches {
    /// Begins to watch.
    #[must_use]
    pub fn begin(client: kube::Client, needs: &Needs, pace: Pace) -> Self {
        let (bell, changes) = watch::channel(0);
        let (pod_bell, pod_changes) = watch::channel(0);
        let (reach, missing) = (needs.reach.clone(), Missing::default());
        let mut s = Starter { client, missing, reach, pace, bell, tasks: JoinSet::new(), started: 0 };
        s.tasks.spawn(s.missing.clone().look(s.client.clone()));
        let keyless = needs.reach == Reach::Keyless;
        let tls = Resource::new("", "v1", "secrets").select("type=kubernetes.io/tls");
        let once = |wanted: bool, resource: Resource| if wanted { vec![resource] } else { Vec::new() };
        let api = |version: &str, plural: &str| Resource::new(GATEWAY_API, version, plural);
        let cert_manager = |plural: &str| Resource::new("cert-manager.io", "v1", plural);
        let networking = |plural: &str| Resource::new("networking.k8s.io", "v1", plural);
        let (ingress, gateway, sets) = (needs.ingresses, needs.gateway_api, needs.listener_sets);
        let bell = std::mem::replace(&mut s.bell, pod_bell);
        let pods = s.start(pods_of(&needs.pods), || objects(|o: &mut Pod| &mut o.metadata));
        let services = s.start(services_of(&needs.pods), || objects(|o: &mut Service| &mut o.metadata));
        // They are looked at every second, whether they have changed or not.
        s.bell = watch::channel(0).0;
        let events = s.start(events_of(needs), || objects(|o: &mut Event| &mut o.metadata));
        s.bell = bell;
        Self {
            keyless,
            pods,
            services,
            events,
            pod_changes,
            selection: needs.selection.clone(),
            secrets: s.start_with(
                s.namespaced(!keyless, &tls),
                || reader(needs.selection.clone()),
                || Store::shaped(Secret::binds_like),
            ),
            ingresses: s.start(s.namespaced(ingress, &networking("ingresses")), || {
                objects(|o: &mut Ingress| &mut o.metadata)
            }),
            ingress_classes: s.start(once(ingress, networking("ingressclasses")), || {
                objects(|o: &mut IngressClass| &mut o.metadata)
            }),
            gateways: s.start(s.namespaced(gateway, &api("v1", "gateways")), || {
                objects(|o: &mut Gateway| &mut o.metadata)
            }),
            gateway_classes: s.start(once(gateway, api("v1", "gatewayclasses")), || {
                objects(|o: &mut GatewayClass| &mut o.metadata)
            }),
            sets: s.start(s.namespaced(sets, &api("v1", "listenersets")), || {
                objects(|o: &mut ListenerSet| &mut o.metadata)
            }),
            routes: s.start(s.namespaced(gateway, &api("v1", "tlsroutes")), || {
                objects(|o: &mut TlsRoute| &mut o.metadata)
            }),
            grants: s.start(s.namespaced(gateway, &api("v1beta1", "referencegrants")), || {
                objects(|o: &mut ReferenceGrant| &mut o.metadata)
            }),
            namespaces: s.start(once(sets, Resource::new("", "v1", "namespaces")), || {
                objects(|o: &mut Namespace| &mut o.metadata)
            }),
            certificates: s.start(s.namespaced(true, &cert_manager("certificates")), || {
                objects(|o: &mut Certificate| &mut o.metadata)
            }),
            requests: s.start(s.namespaced(true, &cert_manager("certificaterequests")), || {
                objects(|o: &mut CertificateRequest| &mut o.metadata)
            }),
            changes,
            _tasks: s.tasks,
        }
    }

    /// These are all objects that there are, without a server.
    #[cfg(test)]
    pub(crate) fn show(&self, all: &[serde_json::Value]) {
        self.secrets.show("Secret", &reader(self.selection.clone()), all);
        self.ingresses.show("Ingress", &objects(|o: &mut Ingress| &mut o.metadata), all);
        self.ingress_classes.show("IngressClass", &objects(|o: &mut IngressClass| &mut o.metadata), all);
        self.gateways.show("Gateway", &objects(|o: &mut Gateway| &mut o.metadata), all);
        self.gateway_classes.show("GatewayClass", &objects(|o: &mut GatewayClass| &mut o.metadata), all);
        self.sets.show("ListenerSet", &objects(|o: &mut ListenerSet| &mut o.metadata), all);
        self.routes.show("TLSRoute", &objects(|o: &mut TlsRoute| &mut o.metadata), all);
        self.grants.show("ReferenceGrant", &objects(|o: &mut ReferenceGrant| &mut o.metadata), all);
        self.namespaces.show("Namespace", &objects(|o: &mut Namespace| &mut o.metadata), all);
        self.certificates.show("Certificate", &objects(|o: &mut Certificate| &mut o.metadata), all);
        self.requests.show("CertificateRequest", &objects(|o: &mut CertificateRequest| &mut o.metadata), all);
        self.pods.show("Pod", &objects(|o: &mut Pod| &mut o.metadata), all);
        self.services.show("Service", &objects(|o: &mut Service| &mut o.metadata), all);
        self.events.show("Event", &objects(|o: &mut Event| &mut o.metadata), all);
    }

    /// Rings when pods or Services have changed.
    #[must_use]
    pub fn pod_changes(&self) -> watch::Receiver<u64> {
        self.pod_changes.clone()
    }

    /// The pods of a gateway, and why some are none; `None` before all were seen.
    #[must_use]
    pub fn pods(&self, finder: &Finder) -> Option<(Pods, Vec<Finding>)> {
        if !self.pods.is_complete(true) || !self.services.is_complete(true) {
            return None;
        }
        let (pods, services) = (self.pods.guards(), self.services.guards());
        Some(pods::find(finder, &refs(&pods), &refs(&services)))
    }

    /// What ingress controllers' Events come to.
    pub fn of_events<R>(&self, look: impl FnOnce(&[&Event]) -> R) -> R {
        let events = self.events.guards();
        look(&refs(&events))
    }

    /// Whether ingress controllers' Events are read, and all of them that are there were.
    #[must_use]
    pub fn tells_of_pushes(&self) -> bool {
        self.events.is_there() && self.events.is_complete(true)
    }

    /// Rings when anything else has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Whether all was seen that it takes to bind certificates.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.secrets.is_complete(true)
            && self.ingresses.is_complete(true)
            && self.ingress_classes.is_complete(false)
            && self.gateways.is_complete(true)
            && self.gateway_classes.is_complete(true)
            && self.sets.is_complete(false)
            && self.routes.is_complete(false)
            && self.grants.is_complete(false)
            && self.namespaces.is_complete(false)
            && self.certificates.is_complete(self.keyless)
            && self.requests.is_complete(self.keyless)
    }

    /// What keeps any kind from being up to date.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        self.secrets.findings(&mut out);
        self.ingresses.findings(&mut out);
        self.ingress_classes.findings(&mut out);
        self.gateways.findings(&mut out);
        self.gateway_classes.findings(&mut out);
        self.sets.findings(&mut out);
        self.routes.findings(&mut out);
        self.grants.findings(&mut out);
        self.namespaces.findings(&mut out);
        self.certificates.findings(&mut out);
        self.requests.findings(&mut out);
        self.pods.findings(&mut out);
        self.services.findings(&mut out);
        self.events.findings(&mut out);
        out
    }

    /// Where the issuance of these Secrets' certificates stands, as of now. `suspects` are by namespace.
    #[must_use]
    pub fn issuance(
        &self,
        secrets: &[ObjectName],
        suspects: &BTreeMap<Box<str>, Suspects>,
        memory: &mut follow::Memory,
        now: UnixTime,
    ) -> Issuance {
        let unseen = self.keyless || self.selection.chosen_only || !self.secrets.is_complete(true);
        let (certificates, requests) = (self.certificates.guards(), self.requests.guards());
        let issued = Issued::new(refs(&certificates), refs(&requests));
        let known = self.secrets.guards();
        let look = |name: &ObjectName| match known.iter().find_map(|known| known.store.get(name)) {
            Some(secret) => Target::There {
                leaf: secret.reading.certificate.as_ref().map(|c| c.leaf),
                owner: secret.certificate.clone(),
                immutable: secret.immutable,
            },
            None if unseen => Target::Unknown,
            None => Target::Absent,
        };
        let suspects = |name: &ObjectName| suspects.get(&name.namespace).cloned().unwrap_or_default();
        follow(secrets, &issued, &look, &suspects, memory, now)
    }

    /// How these leaves were signed, as far as their requests are there still.
    #[must_use]
    pub fn signings(&self, leaves: &BTreeSet<Fingerprint>) -> BTreeMap<Fingerprint, Signing> {
        let requests = self.requests.guards();
        let all = refs(&requests).into_iter().filter_map(CertificateRequest::signing);
        all.filter(|(leaf, _)| leaves.contains(leaf)).collect()
    }

    /// A Certificate with the requests that belong to it; `None` where it is not known.
    #[must_use]
    pub fn certificate(&self, name: &ObjectName) -> Option<(Certificate, Vec<CertificateRequest>)> {
        let certificates = self.certificates.guards();
        let certificate = certificates.iter().find_map(|known| known.store.get(name))?.clone();
        drop(certificates);
        let requests = self.requests.guards();
        let its = refs(&requests).into_iter().filter(|request| request.belongs_to(&certificate));
        let its = its.cloned().collect();
        Some((certificate, its))
    }

    /// The object that a finding names, for an Event; `None` where it is none that is watched.
    #[must_use]
    pub fn regarding(&self, object: &str) -> Option<Regarding> {
        let (kind, name) = object.split_once([' ', ':']).unwrap_or(("Secret", object));
        // Of a pair of Secrets, on the first.
        let name = ObjectName::parse(name.split('+').next()?)?;
        let (api_version, kind, uid) = match kind {
            "Ingress" => ("networking.k8s.io/v1", "Ingress", self.ingresses.uid(&name, |o| &o.metadata.uid)),
            "Gateway" => {
                ("gateway.networking.k8s.io/v1", "Gateway", self.gateways.uid(&name, |o| &o.metadata.uid))
            }
            "ListenerSet" => {
                ("gateway.networking.k8s.io/v1", "ListenerSet", self.sets.uid(&name, |o| &o.metadata.uid))
            }
            "Certificate" => {
                ("cert-manager.io/v1", "Certificate", self.certificates.uid(&name, |o| &o.metadata.uid))
            }
            "Secret" => ("v1", "Secret", self.secrets.uid(&name, |o| &o.uid)),
            "pod" => ("v1", "Pod", self.pods.uid(&name, |o| &o.metadata.uid)),
            "service" => ("v1", "Service", self.services.uid(&name, |o| &o.metadata.uid)),
            _ => return None,
        };
        Some(Regarding {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            object: name,
            uid: uid?,
        })
    }

    /// Another number when anything has changed that claims are made of.
    fn shape(&self) -> u64 {
        [
            self.secrets.shape(),
            self.ingresses.shape(),
            self.ingress_classes.shape(),
            self.gateways.shape(),
            self.gateway_classes.shape(),
            self.sets.shape(),
            self.routes.shape(),
            self.grants.shape(),
            self.namespaces.shape(),
        ]
        .into_iter()
        .fold(0, u64::wrapping_add)
    }

    /// One gateway's binding, as of now.
    #[must_use]
    pub fn assemble(&self, rules: &Rules, memory: &mut Memory, now: UnixTime) -> Assembled {
        // Both before anything is looked at: what changes meanwhile has another shape the next time.
        let (complete, shape) = (self.is_complete(), self.shape());
        let (ingresses, ingress_classes) = (self.ingresses.guards(), self.ingress_classes.guards());
        let (gateways, gateway_classes) = (self.gateways.guards(), self.gateway_classes.guards());
        let (sets, routes) = (self.sets.guards(), self.routes.guards());
        let (grants, namespaces) = (self.grants.guards(), self.namespaces.guards());
        let (certificates, requests) = (self.certificates.guards(), self.requests.guards());
        let secrets = self.secrets.guards();
        let all: BTreeMap<&ObjectName, &Secret> =
            secrets.iter().flat_map(|known| known.store.iter()).collect();
        let cluster = Cluster {
            ingresses: refs(&ingresses),
            classes: refs(&ingress_classes),
            gateway_api: gateway_api::Objects {
                gateways: &refs(&gateways),
                classes: &refs(&gateway_classes),
                sets: &refs(&sets),
                routes: &refs(&routes),
                grants: &refs(&grants),
                namespaces: &refs(&namespaces),
            },
            secrets: if self.keyless {
                Secrets::Keyless
            } else {
                Secrets::Read { all, selection: &self.selection }
            },
            issued: Issued::new(refs(&certificates), refs(&requests)),
            complete,
            shape: Some(shape),
        };
        let mut out = assemble(&cluster, rules, memory, now);
        drop((secrets, ingresses, ingress_classes, gateways, gateway_classes, sets));
        drop((routes, grants, namespaces, certificates, requests));
        out.inventory.findings.extend(self.findings());
        out
    }
}
