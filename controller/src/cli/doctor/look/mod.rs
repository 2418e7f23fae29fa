//! The rim: asks the cluster for what the wanted checks look at. Nothing is written anywhere.
mod answers;
mod find;
mod gateways;
mod rights;

use super::check::{Ask, Check};
use super::facts::{Facts, Held, Looked, Seen};
use crate::clock;
use crate::cluster::call::{Call, Refusal};
use crate::cluster::server;
use crate::cluster::workload::{ConfigMap, List, Template};
use crate::config::Config;
use certdrift_contract::json::Limits;
use certdrift_contract::{Ledger, UnixTime};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the command line says of where to look.
#[derive(Debug, Default)]
pub struct Where {
    /// certdrift's own namespace.
    pub namespace: Option<String>,
    /// The name of its Deployment; found by its label when absent.
    pub deployment: Option<String>,
    /// Its configuration, where a file has it.
    pub config: Option<Config>,
}

/// Reads one object; none where it is not there.
async fn get<T: DeserializeOwned>(client: &kube::Client, path: String) -> Looked<Option<T>> {
    match Call::get(path).send(client, PATIENCE).await {
        Ok(found) => Ok(Some(found)),
        Err(Refusal::Absent(_)) => Ok(None),
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// Asks for all that these checks look at.
pub async fn look(client: &kube::Client, at: Where, checks: &[&Check]) -> Facts {
    let asks: BTreeSet<Ask> = checks.iter().flat_map(|check| check.asks).copied().collect();
    let wants = |ask: Ask| asks.contains(&ask);
    let server = server::look(client).await;
    let away = server.as_ref().err().map(|why| format!("the API server gives no answer: {why}"));
    if let Some(why) = away {
        // Each question would take its time, and come to the same.
        let here = find::offline(client, at);
        return silent(Facts { server, ..Facts::of(here, clock::now().seconds()) }, &why);
    }
    let (here, deployment) = find::here(client, at).await;
    let mut facts = Facts { server, deployment, ..Facts::of(here, clock::now().seconds()) };
    if wants(Ask::Kinds) {
        facts.cert_manager_kinds = server::kinds(client, "cert-manager.io", "v1").await;
        facts.gateway_api_kinds = server::kinds(client, "gateway.networking.k8s.io", "v1").await;
    }
    if wants(Ask::Rights) {
        facts.rights = rights::ours(client, &facts.here).await;
    }
    if wants(Ask::Installer) {
        facts.installer = rights::installer(client, &facts.here).await;
    }
    if wants(Ask::Storing) {
        facts.storing = rights::storing(client, &facts.here).await;
    }
    if wants(Ask::CertManager) {
        let namespace = facts.here.cert_manager().namespace;
        let pods: Looked<Option<List<Template>>> =
            get(client, format!("/api/v1/namespaces/{namespace}/pods")).await;
        facts.cert_manager = pods.map(|list| list.unwrap_or_default().items);
    }
    if wants(Ask::Lease) {
        facts.lease = lease(client, &facts).await;
    }
    if wants(Ask::Ledgers) {
        let gateways = facts.here.config.iter().flat_map(|config| &config.gateways);
        let places: Vec<(String, String)> = gateways
            .filter_map(|g| Some((g.name.clone(), g.kubernetes.as_ref()?.namespace.clone())))
            .collect();
        for (gateway, namespace) in places {
            let ledger = ledger(client, &namespace, &gateway).await;
            facts.ledgers.insert(gateway, ledger);
        }
    }
    if wants(Ask::Plugins) {
        facts.plugins = gateways::plugins(client).await;
    }
    gateways::look(client, &mut facts, wants).await;
    facts
}

/// Nothing else can be told.
fn silent(facts: Facts, why: &str) -> Facts {
    let places = facts.here.config.iter().flat_map(|config| &config.gateways);
    let gateways: Vec<String> = places.filter(|g| g.kubernetes.is_some()).map(|g| g.name.clone()).collect();
    let seen = || Seen {
        pods: Err(why.to_owned()),
        fixed: BTreeMap::new(),
        renewed: Err(why.to_owned()),
        findings: Err(why.to_owned()),
    };
    Facts {
        cert_manager_kinds: Err(why.to_owned()),
        gateway_api_kinds: Err(why.to_owned()),
        rights: Err(why.to_owned()),
        installer: Err(why.to_owned()),
        storing: [(String::new(), Err(why.to_owned()))].into(),
        cert_manager: Err(why.to_owned()),
        deployment: Err(why.to_owned()),
        lease: Err(why.to_owned()),
        plugins: Err(why.to_owned()),
        gateways: gateways.iter().map(|gateway| (gateway.clone(), seen())).collect(),
        ledgers: gateways.into_iter().map(|gateway| (gateway, Err(why.to_owned()))).collect(),
        ..facts
    }
}

#[derive(Deserialize)]
struct Lease {
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseSpec {
    holder_identity: Option<String>,
    renew_time: Option<String>,
    lease_duration_seconds: Option<i64>,
}

/// To the second: `2026-11-24T00:00:00.123000Z`.
fn to_the_second(text: &str) -> Option<UnixTime> {
    let whole = text.split(['.', 'Z']).next()?;
    UnixTime::parse(format!("{whole}Z").as_bytes()).ok()
}

async fn lease(client: &kube::Client, facts: &Facts) -> Looked<Option<Held>> {
    let (n, name) = (&facts.here.namespace, facts.here.kubernetes().lease);
    let found: Option<Lease> =
        get(client, format!("/apis/coordination.k8s.io/v1/namespaces/{n}/leases/{name}")).await?;
    Ok(found.map(|lease| Held {
        holder: lease.spec.holder_identity.unwrap_or_default(),
        renewed: lease.spec.renew_time.as_deref().and_then(to_the_second),
        lasts: lease.spec.lease_duration_seconds.unwrap_or_default(),
    }))
}

async fn ledger(client: &kube::Client, namespace: &str, gateway: &str) -> Looked<Option<Ledger>> {
    // Listed and not got: certdrift's own account may not get.
    let path = format!(
        "/api/v1/namespaces/{namespace}/configmaps?fieldSelector=metadata.name%3Dcertdrift-ledger-{gateway}"
    );
    let list: Option<List<ConfigMap>> = get(client, path).await?;
    let map = list.into_iter().flat_map(|list| list.items).next();
    let Some(text) = map.and_then(|mut map| map.data.remove("ledger.json")) else { return Ok(None) };
    Ledger::parse(text.as_bytes(), &Limits::default())
        .map(Some)
        .map_err(|e| format!("it cannot be read: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_micro_time_is_read_to_the_second() {
        let time = to_the_second("2026-11-24T00:00:09.123000Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-24T00:00:09Z");
        assert_eq!(to_the_second("2026-11-24T00:00:09Z").unwrap(), time);
        assert_eq!(to_the_second("soon"), None);
    }
}
