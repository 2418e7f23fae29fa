//! Claims: one object's word that a Secret answers for a host; and how they are settled. Pure.
//!
//! Strong claims are the gateway's own rules (Ingress, listeners), best first; weak ones are words about them
//! (an annotation, the names in a certificate). Every host has one winner, every loser is told who won.
use super::findings as kinds;
use crate::cluster::ObjectName;
use crate::finding::{Finding, Kind};
use certdrift_contract::host::Form;
use certdrift_contract::{HostPattern, Rules};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The object that makes a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct By {
    /// `Ingress`, `Gateway`, `ListenerSet`, `Secret`
    pub kind: &'static str,
    /// Which.
    pub object: ObjectName,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.object)
    }
}

/// How much a claim weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// A rule of the gateway: it serves so.
    Strong,
    /// The annotation `certdrift.dev/hosts`: somebody says that it serves so.
    Annotation,
    /// A name in the certificate.
    Name,
}

/// A claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The host.
    pub host: HostPattern,
    /// The Secrets that answer for it; two for a pair.
    pub secrets: Vec<ObjectName>,
    /// Who says so.
    pub by: By,
    /// How much it weighs.
    pub weight: Weight,
}

/// What the objects of one kind of binding come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Best first.
    pub list: Vec<Claim>,
    /// Hosts whose TLS the gateway does not end: what is served there is somebody else's.
    pub passthrough: BTreeSet<HostPattern>,
    /// What binds nothing, and why.
    pub findings: Vec<Finding>,
}

/// Who won a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Won {
    /// Where its certificates are.
    pub secrets: Vec<ObjectName>,
    /// By whose word.
    pub by: By,
    /// With what weight.
    pub weight: Weight,
}

/// Hosts and their winners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Every host that anybody may have.
    pub hosts: BTreeMap<HostPattern, Won>,
    /// Who lost, to whom, and why; sorted.
    pub findings: Vec<Finding>,
}

/// Gives each host to the first that claims it. `claims` are best first, all strong ones before the weak.
#[must_use]
pub fn settle(claims: impl IntoIterator<Item = Claim>, rules: Rules) -> Settled {
    let mut hosts: BTreeMap<HostPattern, Won> = BTreeMap::new();
    let mut lost: BTreeMap<Loss, Vec<HostPattern>> = BTreeMap::new();
    for claim in claims {
        let rival = match hosts.get(&claim.host) {
            Some(won) => Some((won, claim.host.clone())),
            None if claim.weight == Weight::Strong => None,
            None => foreign(&hosts, &claim, rules),
        };
        let Some((won, pattern)) = rival else {
            let Claim { host, secrets, by, weight } = claim;
            hosts.insert(host, Won { secrets, by, weight });
            continue;
        };
        if won.secrets == claim.secrets {
            continue;
        }
        let contested = claim.weight != Weight::Strong && !same_tenant(&won.secrets, &claim.secrets);
        let loss = Loss {
            contested,
            loser: claim.by,
            secrets: claim.secrets,
            winner: won.by.clone(),
            with: won.secrets.clone(),
            pattern: (pattern != claim.host).then_some(pattern),
        };
        lost.entry(loss).or_default().push(claim.host);
    }
    let findings = lost.into_iter().map(|(loss, hosts)| loss.finding(&hosts)).collect();
    Settled { hosts, findings }
}

/// What another namespace's binding already serves a claimed host by, with a wildcard or for every name.
fn foreign<'a>(
    hosts: &'a BTreeMap<HostPattern, Won>,
    claim: &Claim,
    rules: Rules,
) -> Option<(&'a Won, HostPattern)> {
    let host = claim.host.as_str();
    // A name below the wildcard stands for it: what answers for any such name answers for the wildcard.
    let probe = match claim.host.form() {
        Form::Exact => host.to_owned(),
        Form::LeadingWildcard => host.replacen('*', "certdrift-probe", 1),
        Form::TrailingWildcard | Form::Any => "*".to_owned(),
    };
    let (won, pattern) = rules.find(&probe, |key| {
        let pattern: HostPattern = key.parse().ok()?;
        let (pattern, won) = hosts.get_key_value(&pattern)?;
        (won.weight == Weight::Strong).then(|| (won, pattern.clone()))
    })?;
    (!same_tenant(&won.secrets, &claim.secrets)).then_some((won, pattern))
}

fn same_tenant(a: &[ObjectName], b: &[ObjectName]) -> bool {
    let namespace = |all: &[ObjectName]| all.first().map(|name| name.namespace.clone());
    namespace(a) == namespace(b)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Loss {
    contested: bool,
    loser: By,
    secrets: Vec<ObjectName>,
    winner: By,
    with: Vec<ObjectName>,
    pattern: Option<HostPattern>,
}

impl Loss {
    fn finding(&self, hosts: &[HostPattern]) -> Finding {
        let kind: &Kind = if self.contested { &kinds::CONTESTED } else { &kinds::SHADOWED };
        let (named, winner, with) = (some(hosts), &self.winner, secrets(&self.with));
        let how = self.pattern.as_ref().map(|p| format!(" (as {p})")).unwrap_or_default();
        let why =
            format!("{named}: {winner} serves it with Secret {with}{how}, not {}", secrets(&self.secrets));
        kind.on(self.loser.to_string(), why)
    }
}

/// Up to three of them, and how many more.
pub(super) fn some<T: fmt::Display>(all: &[T]) -> String {
    let first: Vec<String> = all.iter().take(3).map(ToString::to_string).collect();
    match all.len().saturating_sub(3) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

pub(super) fn secrets(names: &[ObjectName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
}
