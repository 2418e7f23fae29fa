//! The rim: reads of a cluster what the user may read, by lists alone, and says of each kind what came of it.
use crate::cluster::call::Refusal;
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::cluster::gateway::{Gateway, GatewayClass, ListenerSet, Namespace, ReferenceGrant, TlsRoute};
use crate::cluster::ingress::{Ingress, IngressClass};
use crate::cluster::list::{Listed, list};
use crate::cluster::pod::{Pod, Service};
use crate::cluster::server;
use crate::cluster::watch::request::Resource;
use crate::cluster::watch::wire::{Reader, objects};
use crate::cluster::workload::Template;
use crate::source::kubernetes::secret::{Secret, Selection, reader};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A pod: where it serves, and what it is made of.
#[derive(Clone, Debug, Default)]
pub struct SeenPod {
    /// Ports, address, readiness.
    pub pod: Pod,
    /// Images and environment.
    pub template: Template,
}

impl<'de> Deserialize<'de> for SeenPod {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let all = Value::deserialize(from)?;
        let wrong = |e: serde_json::Error| serde::de::Error::custom(e);
        Ok(Self {
            pod: Pod::deserialize(&all).map_err(wrong)?,
            template: Template::deserialize(&all).map_err(wrong)?,
        })
    }
}

/// What came of reading a kind, in one namespace or all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Plural, as kubectl takes it.
    pub kind: &'static str,
    /// Where; none for all namespaces, or a kind that is in none.
    pub namespace: Option<String>,
    /// In the server's words.
    pub why: String,
}

/// All that was read.
#[derive(Debug, Default)]
pub struct World {
    /// Ingresses.
    pub ingresses: Vec<Ingress>,
    /// Their classes.
    pub classes: Vec<IngressClass>,
    /// Gateways.
    pub gateways: Vec<Gateway>,
    /// Their classes.
    pub gateway_classes: Vec<GatewayClass>,
    /// ListenerSets.
    pub sets: Vec<ListenerSet>,
    /// TLSRoutes.
    pub routes: Vec<TlsRoute>,
    /// ReferenceGrants.
    pub grants: Vec<ReferenceGrant>,
    /// Namespaces, with their labels.
    pub namespaces: Vec<Namespace>,
    /// Certificates.
    pub certificates: Vec<Certificate>,
    /// Their requests.
    pub requests: Vec<CertificateRequest>,
    /// TLS Secrets, without their keys.
    pub secrets: Vec<Secret>,
    /// Pods where gateways may be.
    pub pods: Vec<SeenPod>,
    /// Services there.
    pub services: Vec<Service>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// How many objects were read of each kind that the server knows.
    pub read: Vec<(&'static str, usize)>,
}

/// Where to read.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Of certificates and what binds them; empty: all.
    pub within: Vec<String>,
    /// Of gateways' pods; empty: all of `within`.
    pub pods: Vec<String>,
    /// Which Secrets.
    pub selection: Selection,
}

impl World {
    /// Whether nothing of a kind could be read, where something was tried.
    #[must_use]
    pub fn is_unread(&self, kind: &str) -> bool {
        self.unread.iter().any(|unread| unread.kind == kind)
    }

    /// Reads all of it.
    pub async fn read(client: &kube::Client, scope: &Scope) -> Self {
        const GATEWAY_API: &str = "gateway.networking.k8s.io";
        let networking = |plural: &str| Resource::new("networking.k8s.io", "v1", plural);
        let api = |version: &str, plural: &str| Resource::new(GATEWAY_API, version, plural);
        let issued = |plural: &str| Resource::new("cert-manager.io", "v1", plural);
        let core = |plural: &str| Resource::new("", "v1", plural);
        // Who may do little is refused a kind that is not there as one that is: discovery tells them apart.
        let (api_kinds, issued_kinds) = tokio::join!(
            server::kinds(client, GATEWAY_API, "v1"),
            server::kinds(client, "cert-manager.io", "v1"),
        );
        let absent = |resource: &Resource| {
            let kinds = match resource.group.as_str() {
                GATEWAY_API => &api_kinds,
                "cert-manager.io" => &issued_kinds,
                _ => return false,
            };
            // ReferenceGrants are read in an older version, and are there where Gateways are.
            let plural = if resource.plural == "referencegrants" { "gateways" } else { &resource.plural };
            kinds.as_ref().is_ok_and(|kinds| !kinds.contains(plural))
        };
        let within = |resource: Resource| match absent(&resource) {
            true => Vec::new(),
            false => spread(&resource, &scope.within),
        };
        let once = |resource: Resource| if absent(&resource) { Vec::new() } else { vec![resource] };
        let near = |resource: Resource| {
            spread(&resource, if scope.pods.is_empty() { &scope.within } else { &scope.pods })
        };
        let tls = core("secrets").select("type=kubernetes.io/tls");
        let (first, second, third) = tokio::join!(
            async {
                tokio::join!(
                    all(
                        client,
                        "ingresses",
                        within(networking("ingresses")),
                        objects(|o: &mut Ingress| &mut o.metadata)
                    ),
                    all(
                        client,
                        "ingressclasses",
                        once(networking("ingressclasses")),
                        objects(|o: &mut IngressClass| &mut o.metadata)
                    ),
                    all(
                        client,
                        "gateways",
                        within(api("v1", "gateways")),
                        objects(|o: &mut Gateway| &mut o.metadata)
                    ),
                    all(
                        client,
                        "gatewayclasses",
                        once(api("v1", "gatewayclasses")),
                        objects(|o: &mut GatewayClass| &mut o.metadata)
                    ),
                    all(
                        client,
                        "listenersets",
                        within(api("v1", "listenersets")),
                        objects(|o: &mut ListenerSet| &mut o.metadata)
                    ),
                )
            },
            async {
                tokio::join!(
                    all(
                        client,
                        "tlsroutes",
                        within(api("v1", "tlsroutes")),
                        objects(|o: &mut TlsRoute| &mut o.metadata)
                    ),
                    all(
                        client,
                        "referencegrants",
                        within(api("v1beta1", "referencegrants")),
                        objects(|o: &mut ReferenceGrant| &mut o.metadata)
                    ),
                    all(
                        client,
                        "namespaces",
                        once(core("namespaces")),
                        objects(|o: &mut Namespace| &mut o.metadata)
                    ),
                    all(
                        client,
                        "certificates",
                        within(issued("certificates")),
                        objects(|o: &mut Certificate| &mut o.metadata)
                    ),
                )
            },
            async {
                tokio::join!(
                    all(
                        client,
                        "certificaterequests",
                        within(issued("certificaterequests")),
                        objects(|o: &mut CertificateRequest| &mut o.metadata)
                    ),
                    all(client, "secrets", within(tls), reader(scope.selection.clone())),
                    all(client, "pods", near(core("pods")), objects(|o: &mut SeenPod| &mut o.pod.metadata)),
                    all(
                        client,
                        "services",
                        near(core("services")),
                        objects(|o: &mut Service| &mut o.metadata)
                    ),
                )
            },
        );
        let mut world = Self::default();
        world.ingresses = world.take("ingresses", first.0);
        world.classes = world.take("ingressclasses", first.1);
        world.gateways = world.take("gateways", first.2);
        world.gateway_classes = world.take("gatewayclasses", first.3);
        world.sets = world.take("listenersets", first.4);
        world.routes = world.take("tlsroutes", second.0);
        world.grants = world.take("referencegrants", second.1);
        world.namespaces = world.take("namespaces", second.2);
        world.certificates = world.take("certificates", second.3);
        world.requests = world.take("certificaterequests", third.0);
        world.secrets = world.take("secrets", third.1);
        world.pods = world.take("pods", third.2);
        world.services = world.take("services", third.3);
        world
    }

    fn take<T>(&mut self, kind: &'static str, read: Read<T>) -> Vec<T> {
        if read.known {
            self.read.push((kind, read.items.len()));
        }
        self.unread.extend(read.unread);
        read.items
    }
}

/// The same in each of these namespaces; in all of them where none is named.
fn spread(resource: &Resource, namespaces: &[String]) -> Vec<Resource> {
    match namespaces {
        [] => vec![resource.clone()],
        some => some.iter().map(|namespace| resource.clone().within(namespace)).collect(),
    }
}

/// What was read of one kind.
struct Read<T> {
    items: Vec<T>,
    unread: Vec<Unread>,
    /// The server has the kind.
    known: bool,
}

async fn all<T>(
    client: &kube::Client,
    kind: &'static str,
    places: Vec<Resource>,
    reader: Reader<T>,
) -> Read<T> {
    let mut out = Read { items: Vec::new(), unread: Vec::new(), known: !places.is_empty() };
    for place in places {
        let unread = |why: String| Unread { kind, namespace: place.namespace.clone(), why };
        match list(client, &place, &reader).await {
            Ok(Listed { items, faults }) => {
                out.items.extend(items);
                out.unread.extend(faults.into_iter().map(|(name, why)| unread(format!("{name}: {why}"))));
            }
            // A kind that the server does not know has no objects.
            Err(Refusal::Absent(_)) => out.known = false,
            Err(refusal) => out.unread.push(unread(refusal.to_string())),
        }
    }
    out
}
