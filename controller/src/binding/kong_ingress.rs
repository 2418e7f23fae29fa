//! Binding `kong-ingress`: the rules of Kong's ingress controller for Ingresses. Pure.
//!
//! Read in its source (3.5) and measured: an Ingress is its own by the annotation `kubernetes.io/ingress.class`, else by
//! `spec.ingressClassName`, else if its IngressClass is the default one. Ingresses stand by age, then by name; the
//! first to name a host has it, even where its Secret cannot be loaded (no other Ingress gets it then, but a Gateway's listener does).
use super::claims::{By, Claim, Claims, Weight, some};
use super::findings as kinds;
use super::sight::{Look, Sight};
use crate::cluster::ObjectName;
use crate::cluster::ingress::{Ingress, IngressClass, IngressTls};
use crate::source::names;
use certdrift_contract::HostPattern;
use std::collections::{BTreeMap, BTreeSet};

/// How the ingress controller was told to look (its flags).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `--ingress-class`; `kong`.
    pub class: String,
    /// `--watch-namespace`; empty: all.
    pub namespaces: BTreeSet<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { class: "kong".to_owned(), namespaces: BTreeSet::new() }
    }
}

/// Whose an Ingress is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Ours,
    Other,
    None,
}

/// The claims of Ingresses, best first.
#[must_use]
pub fn claims(ingresses: &[&Ingress], classes: &[&IngressClass], rules: &Rules, look: Look<'_>) -> Claims {
    let mut out = Claims::default();
    let default = classes.iter().any(|c| *c.metadata.name == *rules.class && c.is_default());
    let mut sorted: Vec<&Ingress> = ingresses
        .iter()
        .copied()
        .filter(|i| rules.namespaces.is_empty() || rules.namespaces.contains(&*i.metadata.namespace))
        .collect();
    sorted.sort_by(|a, b| a.metadata.age().cmp(&b.metadata.age()));
    // Which Secret has each host among Ingresses, loadable or not.
    let mut seen: BTreeMap<HostPattern, (ObjectName, Sight)> = BTreeMap::new();
    for ingress in sorted {
        let by = By { kind: "Ingress", object: ingress.metadata.object() };
        match class(ingress, &rules.class, default) {
            Class::Ours => {}
            Class::Other => continue,
            Class::None => {
                if !ingress.spec.tls.is_empty() {
                    let why = format!("IngressClass {} is not the default one", rules.class);
                    out.findings.push(kinds::WITHOUT_CLASS.on(by.to_string(), why));
                }
                continue;
            }
        }
        for section in &ingress.spec.tls {
            self::section(&mut out, &mut seen, section, &by, look);
        }
    }
    out
}

fn class(ingress: &Ingress, ours: &str, default: bool) -> Class {
    let named = ingress
        .metadata
        .annotation("kubernetes.io/ingress.class")
        .or(ingress.spec.ingress_class_name.as_deref());
    match named {
        Some(class) if class == ours => Class::Ours,
        Some(_) => Class::Other,
        None if default => Class::Ours,
        None => Class::None,
    }
}

fn section(
    out: &mut Claims,
    seen: &mut BTreeMap<HostPattern, (ObjectName, Sight)>,
    section: &IngressTls,
    by: &By,
    look: Look<'_>,
) {
    let secret = section.secret_name.as_deref().filter(|name| !name.is_empty());
    let Some(secret) = secret.map(|name| ObjectName::new(&by.object.namespace, name)) else {
        if !section.hosts.is_empty() {
            out.findings.push(kinds::WITHOUT_SECRET.on(by.to_string(), some(&section.hosts)));
        }
        return;
    };
    if section.hosts.is_empty() {
        out.findings.push(kinds::WITHOUT_HOSTS.on(by.to_string(), format!("the section of Secret {secret}")));
        return;
    }
    let sight = look(&secret);
    let mut unserved = Vec::new();
    for text in &section.hosts {
        let host = match names::host(text) {
            Ok(host) => host,
            Err(why) => {
                out.findings.push(kinds::BAD_HOST.on(by.to_string(), format!("`{text}`: {why}")));
                continue;
            }
        };
        let (first, first_sight) = seen.entry(host.clone()).or_insert_with(|| (secret.clone(), sight));
        if *first == secret && sight != Sight::There {
            unserved.push(host.clone());
        }
        // The first has the host among Ingresses even where its Secret cannot be loaded: then none of them is served.
        if *first_sight == Sight::There || *first != secret {
            let claim = Claim { host, secrets: vec![secret.clone()], by: by.clone(), weight: Weight::Strong };
            if *first_sight == Sight::There {
                out.list.push(claim);
            } else {
                let why = format!(
                    "{}: an older Ingress gives it to Secret {first}, which cannot be loaded, so neither is served",
                    claim.host
                );
                out.findings.push(kinds::SHADOWED.on(by.to_string(), why));
            }
        }
    }
    if !unserved.is_empty() {
        let why = format!("Secret {secret}, for {}", some(&unserved));
        let kind = if sight == Sight::NotIngested { &kinds::NOT_INGESTED } else { &kinds::SECRET_MISSING };
        out.findings.push(kind.on(by.to_string(), why));
    }
}
