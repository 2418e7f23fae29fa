//! What a gateway has to serve, by the controller's own rules; and what could not be read costs. Pure.
use super::find::Chosen;
use super::findings::UNREAD;
use super::read::World;
use super::report::Unread;
use crate::binding::assemble::{Assembled, Cluster, Memory, Secrets, assemble};
use crate::binding::gateway_api;
use crate::issuance::facts::Target;
use crate::issuance::follow::{self, Issuance, follow};
use crate::issuance::not_stored::Suspects;
use crate::observe::expectations::{Expectations, families};
use crate::publish::build::{Policy, build};
use crate::source::Certificate;
use crate::source::kubernetes::requests::Issued;
use crate::source::kubernetes::secret::{Secret, Selection};
use certdrift_contract::UnixTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether no Secret at all could be read, so that cert-manager's requests have to tell what is stored.
#[must_use]
pub fn is_keyless(world: &World) -> bool {
    world.is_unread("secrets") && world.secrets.is_empty()
}

/// What of the answer is not known because of what could not be read; nothing where it changes nothing here.
#[must_use]
pub fn costs(world: &World) -> Vec<Unread> {
    let unclassed = world.ingresses.iter().any(|ingress| {
        ingress.spec.ingress_class_name.is_none()
            && ingress.metadata.annotation("kubernetes.io/ingress.class").is_none()
    });
    let selected = world.gateways.iter().any(|gateway| {
        let allowed = gateway.spec.allowed_listeners.as_ref();
        allowed.is_some_and(|allowed| allowed.namespaces.from.as_deref() == Some("Selector"))
    });
    let cost = |kind: &str| -> Option<&'static str> {
        match kind {
            "secrets" if is_keyless(world) => Some(
                "what is stored is told by cert-manager's CertificateRequests; of other Secrets nothing is known",
            ),
            "secrets" => Some("of hosts bound to these Secrets it is not known what has to be served"),
            "ingresses" => Some("hosts that these Ingresses bind are not looked at"),
            "ingressclasses" if unclassed => Some("whose the Ingresses without a class are is not known"),
            "gateways" | "listenersets" => Some("hosts that their listeners bind are not looked at"),
            "gatewayclasses" if !world.gateways.is_empty() => {
                Some("which of the Gateways are of these gateways is not known")
            }
            "referencegrants" if !world.gateways.is_empty() => {
                Some("which listeners may use Secrets of other namespaces is not known")
            }
            "namespaces" if selected => Some("which ListenerSets may attach is not known"),
            "certificates" | "certificaterequests" => {
                Some("whether renewals are issued, and stored once they are, is not known")
            }
            "pods" => Some("these gateways' pods are not known, so nothing of theirs is seen"),
            _ => None,
        }
    };
    let told = world.unread.iter().map(|unread| Unread {
        code: UNREAD.code,
        kind: unread.kind.to_owned(),
        namespace: unread.namespace.clone(),
        why: unread.why.clone(),
        costs: cost(unread.kind).map(str::to_owned),
    });
    told.collect()
}

/// One gateway as it has to be: what is bound, and what that makes of the wire.
#[derive(Debug)]
pub struct Expected {
    /// By the controller's own rules.
    pub assembled: Assembled,
    /// What was remembered while that was made: who has which host.
    pub memory: Memory,
    /// What has to be served.
    pub expectations: Expectations,
    /// Where issuance stands.
    pub issuance: Issuance,
}

/// What has to be served by a gateway, by the rules that the controller has. `unread`: of this world.
///
/// # Errors
/// What was bound makes no ledger: a mistake of ours.
pub fn expected(
    world: &World,
    unread: &[Unread],
    chosen: &Chosen,
    selection: &Selection,
    memory: &mut follow::Memory,
    now: UnixTime,
) -> Result<Expected, String> {
    let binds = |unread: &&Unread| {
        let issues = matches!(unread.kind.as_str(), "certificates" | "certificaterequests" | "pods");
        unread.costs.is_some() && !issues && !(unread.kind == "secrets" && is_keyless(world))
    };
    let complete = !unread.iter().any(|unread| binds(&unread));
    fn all<T>(items: &[T]) -> Vec<&T> {
        items.iter().collect()
    }
    let by_name: BTreeMap<_, &Secret> = world.secrets.iter().map(|secret| (&secret.name, secret)).collect();
    let target = |name: &crate::cluster::ObjectName| match by_name.get(name) {
        Some(secret) => Target::There {
            leaf: secret.reading.certificate.as_ref().map(|c| c.leaf),
            owner: secret.certificate.clone(),
            immutable: secret.immutable,
        },
        None if world.is_unread("secrets") || selection.chosen_only => Target::Unknown,
        None => Target::Absent,
    };
    let secrets = match is_keyless(world) {
        true => Secrets::Keyless,
        false => Secrets::Read { all: by_name.clone(), selection },
    };
    let issued = || Issued::new(&world.certificates, &world.requests);
    let cluster = Cluster {
        ingresses: all(&world.ingresses),
        classes: all(&world.classes),
        gateway_api: gateway_api::Objects {
            gateways: &all(&world.gateways),
            classes: &all(&world.gateway_classes),
            sets: &all(&world.sets),
            routes: &all(&world.routes),
            grants: &all(&world.grants),
            namespaces: &all(&world.namespaces),
        },
        secrets,
        issued: issued(),
        complete,
        shape: None,
    };
    let mut remembered = Memory::default();
    let assembled = assemble(&cluster, &chosen.rules, &mut remembered, now);
    let issuance = follow(&assembled.secrets, &issued(), &target, &|_| Suspects::Unknown, memory, now);
    let policy = Policy {
        gateway: chosen.name.clone(),
        rules: chosen.rules.matching.unwrap_or(certdrift_contract::Rules::Kong),
        grace: 0,
    };
    let (ledger, _) = build(&assembled.binding, None, None, &policy, now);
    let known = certificates(&assembled).map(|c| (c.leaf, c.family));
    let expectations = Expectations::new(ledger.into(), families(known), None).map_err(|e| e.to_string())?;
    Ok(Expected { assembled, memory: remembered, expectations, issuance })
}

fn certificates(assembled: &Assembled) -> impl Iterator<Item = &Arc<Certificate>> {
    let binding = &assembled.binding;
    let bound = binding.entries.iter().map(AsRef::as_ref).chain(&binding.default);
    bound.flat_map(|bound| bound.certificates.iter().chain(&bound.incoming))
}
