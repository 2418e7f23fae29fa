//! Bindings `annotation` and `any`: Secrets that say themselves which hosts they answer for. Pure.
//!
//! `annotation`: those of `certdrift.dev/hosts`. `any`: those, else the DNS names of the certificate. Both are claims
//! about a gateway, not its rules: they never take a host from another namespace's binding.
use super::claims::{By, Claim, Claims, Weight};
use super::findings as kinds;
use crate::cluster::ObjectName;
use crate::source::names;
use certdrift_contract::{HostPattern, UnixTime};
use std::collections::BTreeSet;

/// Annotation: the hosts a Secret answers for, separated by commas or blanks.
pub const HOSTS: &str = "certdrift.dev/hosts";

/// A Secret that may make claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Which.
    pub secret: ObjectName,
    /// When it was made.
    pub created: UnixTime,
    /// Its annotation `certdrift.dev/hosts`.
    pub hosts: Option<String>,
    /// The names that all its certificates share.
    pub names: Vec<HostPattern>,
}

/// How far Secrets may speak for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// By annotation only.
    Annotation,
    /// By annotation, else by the names in the certificate.
    Any,
}

/// The claims of Secrets, best first: an annotation before a name, who has the host already, the oldest, the lower name.
#[must_use]
pub fn claims(
    claimants: &[Claimant],
    extent: Extent,
    holds: &dyn Fn(&HostPattern, &ObjectName) -> bool,
) -> Claims {
    let mut out = Claims::default();
    let mut ranked = Vec::new();
    for claimant in claimants {
        let by = By { kind: "Secret", object: claimant.secret.clone() };
        let (weight, hosts) = match &claimant.hosts {
            Some(text) => (Weight::Annotation, read(text, &by, &mut out)),
            None if extent == Extent::Any => (Weight::Name, claimant.names.iter().cloned().collect()),
            None => continue,
        };
        for host in hosts {
            let rank = (weight, !holds(&host, &claimant.secret), claimant.created, claimant.secret.clone());
            let secrets = vec![claimant.secret.clone()];
            ranked.push((rank, Claim { host, secrets, by: by.clone(), weight }));
        }
    }
    ranked.sort_by(|(a, x), (b, y)| (a, &x.host).cmp(&(b, &y.host)));
    out.list = ranked.into_iter().map(|(_, claim)| claim).collect();
    out
}

fn read(text: &str, by: &By, out: &mut Claims) -> BTreeSet<HostPattern> {
    let mut hosts = BTreeSet::new();
    for word in text.split([',', ' ', '\t', '\n', '\r']).filter(|w| !w.is_empty()) {
        match names::host(word) {
            Ok(host) => {
                hosts.insert(host);
            }
            Err(why) => {
                let word: String = word.chars().take(80).collect();
                out.findings.push(kinds::BAD_HOST.on(by.to_string(), format!("{HOSTS}: `{word}`: {why}")));
            }
        }
    }
    hosts
}
