//! Binding `gateway-api`: listeners of Gateways and ListenerSets, ReferenceGrants, Passthrough. Pure.
//!
//! Gateways stand by age, then by name (what Gateway API says of conflicts; Kong's ingress controller itself takes them
//! in no certain order); a Gateway's own listeners in their order, then its ListenerSets by age.
use super::claims::{By, Claim, Claims, Weight};
use super::findings as kinds;
use super::sight::{Look, Sight};
use crate::cluster::gateway::{
    Gateway, GatewayClass, Listener, ListenerSet, ListenersStatus, Namespace, ReferenceGrant, TlsRoute,
};
use crate::cluster::object::condition;
use crate::cluster::{Meta, ObjectName};
use crate::source::names;
use certdrift_contract::HostPattern;
use std::collections::BTreeSet;

/// Whose rules hold where the standard leaves a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Kong's ingress controller: one certificateRef or none; no ListenerSets; unmanaged Gateways must be `Programmed`.
    #[default]
    Kong,
    /// Others (Envoy Gateway, …): several certificateRefs are a pair; what is not said to be unprogrammed is served.
    Standard,
}

/// Which Gateways are this gateway's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whose rules hold.
    pub dialect: Dialect,
    /// `controllerName` of the GatewayClass.
    pub controller: String,
    /// Only these Gateways; empty: all of the class.
    pub gateways: BTreeSet<ObjectName>,
}

/// Objects of Gateway API; a kind whose CRD is not there is an empty list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Objects<'a> {
    /// Gateways.
    pub gateways: &'a [&'a Gateway],
    /// Their classes.
    pub classes: &'a [&'a GatewayClass],
    /// ListenerSets.
    pub sets: &'a [&'a ListenerSet],
    /// TLSRoutes.
    pub routes: &'a [&'a TlsRoute],
    /// ReferenceGrants.
    pub grants: &'a [&'a ReferenceGrant],
    /// Namespaces, for selectors of ListenerSets.
    pub namespaces: &'a [&'a Namespace],
}

/// KIC's annotation on a GatewayClass whose Gateways it manages itself.
const UNMANAGED: &str = "konghq.com/gatewayclass-unmanaged";

/// The claims of listeners, best first.
#[must_use]
pub fn claims(objects: &Objects<'_>, rules: &Rules, look: Look<'_>) -> Claims {
    let mut reader = Reader { objects, rules, look, out: Claims::default() };
    let mut gateways: Vec<&Gateway> = objects
        .gateways
        .iter()
        .copied()
        .filter(|g| rules.gateways.is_empty() || rules.gateways.contains(&g.metadata.object()))
        .collect();
    gateways.sort_by(|a, b| a.metadata.age().cmp(&b.metadata.age()));
    for gateway in gateways {
        let class = objects.classes.iter().find(|c| c.metadata.name == gateway.spec.gateway_class_name);
        let Some(class) = class.filter(|c| *c.spec.controller_name == *rules.controller) else { continue };
        // Gateways that an operator manages are translated whatever their status says (KIC#7666).
        let must_be_programmed =
            rules.dialect == Dialect::Kong && class.metadata.annotation(UNMANAGED).is_some();
        let (meta, spec) = (&gateway.metadata, &gateway.spec);
        reader.listeners("Gateway", meta, &spec.listeners, &gateway.status, must_be_programmed);
        if rules.dialect == Dialect::Standard {
            reader.sets(gateway);
        }
        reader.passthrough(gateway);
    }
    reader.out
}

struct Reader<'a> {
    objects: &'a Objects<'a>,
    rules: &'a Rules,
    look: Look<'a>,
    out: Claims,
}

impl Reader<'_> {
    fn sets(&mut self, gateway: &Gateway) {
        let own = &*gateway.metadata.namespace;
        let mut sets: Vec<&ListenerSet> = self
            .objects
            .sets
            .iter()
            .copied()
            .filter(|s| {
                let parent = &s.spec.parent_ref;
                parent.is("gateway.networking.k8s.io", "Gateway")
                    && parent.object(&s.metadata.namespace) == gateway.metadata.object()
            })
            .collect();
        sets.sort_by(|a, b| a.metadata.age().cmp(&b.metadata.age()));
        for set in sets {
            let namespace = &set.metadata.namespace;
            let labels = self
                .objects
                .namespaces
                .iter()
                .find(|n| n.metadata.name == *namespace)
                .map(|n| &n.metadata.labels);
            let allowed = gateway.spec.allowed_listeners.as_ref();
            if allowed.is_some_and(|a| a.namespaces.admits(namespace, own, labels)) {
                self.listeners("ListenerSet", &set.metadata, &set.spec.listeners, &set.status, false);
            } else {
                let by = By { kind: "ListenerSet", object: set.metadata.object() };
                let why =
                    format!("Gateway {} does not admit namespace {namespace}", gateway.metadata.object());
                self.out.findings.push(kinds::NOT_ATTACHED.on(by.to_string(), why));
            }
        }
    }

    fn listeners(
        &mut self,
        kind: &'static str,
        meta: &Meta,
        listeners: &[Listener],
        status: &ListenersStatus,
        must_be_programmed: bool,
    ) {
        let by = By { kind, object: meta.object() };
        for listener in listeners {
            let Some(tls) = listener.tls.as_ref().filter(|tls| !tls.certificate_refs.is_empty()) else {
                continue;
            };
            if listener.passes_through() {
                continue;
            }
            let said = status
                .listeners
                .iter()
                .find(|s| s.name == listener.name)
                .and_then(|s| condition(&s.conditions, "Programmed"));
            let programmed = said.map(|c| &*c.status == "True");
            if programmed == Some(false) || (must_be_programmed && programmed.is_none()) {
                let why = match said {
                    Some(c) => format!("listener {}: {} {}", listener.name, c.reason, c.message),
                    None => format!("listener {}: its controller has said nothing yet", listener.name),
                };
                self.out.findings.push(kinds::NOT_PROGRAMMED.on(by.to_string(), why.trim_end()));
                continue;
            }
            if self.rules.dialect == Dialect::Kong && tls.certificate_refs.len() > 1 {
                let why = format!("listener {} has {}", listener.name, tls.certificate_refs.len());
                self.out.findings.push(kinds::SEVERAL_REFS.on(by.to_string(), why));
                continue;
            }
            let text = listener.hostname.as_deref().filter(|h| !h.is_empty()).unwrap_or("*");
            let host = match names::host(text) {
                Ok(host) => host,
                Err(why) => {
                    self.out.findings.push(kinds::BAD_HOST.on(by.to_string(), format!("`{text}`: {why}")));
                    continue;
                }
            };
            let secrets: Vec<ObjectName> =
                tls.certificate_refs.iter().filter_map(|r| self.secret(r, listener, &by)).collect();
            if !secrets.is_empty() {
                self.out.list.push(Claim { host, secrets, by: by.clone(), weight: Weight::Strong });
            }
        }
    }

    /// The Secret a certificateRef leads to, unless something forbids it.
    fn secret(
        &mut self,
        reference: &crate::cluster::gateway::Reference,
        listener: &Listener,
        by: &By,
    ) -> Option<ObjectName> {
        let on = &listener.name;
        let secret = reference.object(&by.object.namespace);
        let told = if !reference.is("", "Secret") {
            let kind = reference.kind.as_deref().unwrap_or_default();
            kinds::NOT_A_SECRET.on(by.to_string(), format!("listener {on}: {kind} {secret}"))
        } else if secret.namespace != by.object.namespace
            && !self.objects.grants.iter().any(|g| g.allows(by.kind, &by.object.namespace, &secret))
        {
            kinds::NO_GRANT.on(by.to_string(), format!("listener {on}: Secret {secret}"))
        } else {
            match (self.look)(&secret) {
                Sight::There => return Some(secret),
                Sight::Missing => {
                    kinds::SECRET_MISSING.on(by.to_string(), format!("listener {on}: Secret {secret}"))
                }
                Sight::NotIngested => {
                    kinds::NOT_INGESTED.on(by.to_string(), format!("listener {on}: Secret {secret}"))
                }
            }
        };
        self.out.findings.push(told);
        None
    }

    /// Hosts that Passthrough listeners hand on: those of the TLSRoutes that attach to them.
    fn passthrough(&mut self, gateway: &Gateway) {
        let own = gateway.metadata.object();
        for listener in gateway.spec.listeners.iter().filter(|l| l.passes_through()) {
            let names: BTreeSet<HostPattern> = self
                .objects
                .routes
                .iter()
                .filter(|route| {
                    route.spec.parent_refs.iter().any(|p| {
                        p.is("gateway.networking.k8s.io", "Gateway")
                            && p.object(&route.metadata.namespace) == own
                            && p.section_name.as_ref().is_none_or(|s| *s == listener.name)
                    })
                })
                .flat_map(|route| match (route.spec.hostnames.as_slice(), listener.hostname.as_deref()) {
                    ([], Some(hostname)) => vec![hostname],
                    (hostnames, _) => hostnames.iter().map(|h| &**h).collect(),
                })
                .filter_map(|h| names::host(h).ok())
                .collect();
            self.out.passthrough.extend(names);
        }
    }
}
