//! Asks for what the gateways are: their pods, what these answer, and what the controller's own rules say of the bindings.
use super::super::check::Ask;
use super::super::facts::{Facts, Looked, Plugin, Said, Seen, SeenPod, not_asked};
use super::{answers, get};
use crate::binding::assemble::Memory;
use crate::clock;
use crate::cluster::pod::{Pod, Service};
use crate::cluster::watch::machine::Pace;
use crate::cluster::watches::Watches;
use crate::cluster::workload::{List, Template};
use crate::config::{self, Gateway};
use crate::finding::Finding;
use crate::observe::pods::{self, Finder, Which};
use crate::run::cluster::Wanted;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many endpoints are asked at a time.
const AT_A_TIME: usize = 8;
/// How long all of a cluster may take to be seen: 10,000 Secrets take three seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks at whether it is.
const AGAIN: Duration = Duration::from_millis(100);

/// Looks at all gateways that are in the cluster.
pub(super) async fn look(client: &kube::Client, facts: &mut Facts, wants: impl Fn(Ask) -> bool) {
    let Some(config) = facts.here.config.clone() else { return };
    let places: Vec<(&Gateway, &config::kubernetes::InCluster)> =
        config.gateways.iter().filter_map(|g| Some((g, g.kubernetes.as_ref()?))).collect();
    let pods = wants(Ask::Pods) || wants(Ask::Answers);
    let mut listed: BTreeMap<String, Looked<Vec<Value>>> = BTreeMap::new();
    if pods {
        // Where certdrift's own account may list them, and nowhere else.
        let finders = places.iter().flat_map(|(_, own)| [own.finder(), own.pushers()]);
        for namespace in finders.flatten().map(|finder| finder.namespace).collect::<BTreeSet<_>>() {
            let all = list(client, format!("/api/v1/namespaces/{namespace}/pods")).await;
            let templates = all.as_ref().map_err(Clone::clone).map(|all| read::<Template>(all));
            facts.pods.insert(namespace.clone(), templates);
            listed.insert(namespace, all);
        }
    }
    let mut findings = if wants(Ask::Bindings) { bindings(client, &config).await } else { BTreeMap::new() };
    for (gateway, own) in places {
        let seen = Seen {
            pods: match own.finder() {
                None => Ok(Vec::new()),
                Some(finder) if pods => its_pods(client, &finder, &listed, wants(Ask::Answers)).await,
                Some(_) => not_asked(),
            },
            fixed: if wants(Ask::Answers) { fixed(gateway).await } else { BTreeMap::new() },
            renewed: if wants(Ask::Renewed) { renewed(client, &own.namespace).await } else { not_asked() },
            findings: findings.remove(&gateway.name).unwrap_or_else(not_asked),
        };
        facts.gateways.insert(gateway.name.clone(), seen);
    }
}

async fn list(client: &kube::Client, path: String) -> Looked<Vec<Value>> {
    Ok(get::<List<Value>>(client, path).await?.unwrap_or_default().items)
}

/// What of a list can be read so.
fn read<T: for<'de> Deserialize<'de>>(all: &[Value]) -> Vec<T> {
    all.iter().filter_map(|value| T::deserialize(value).ok()).collect()
}

async fn its_pods(
    client: &kube::Client,
    finder: &Finder,
    listed: &BTreeMap<String, Looked<Vec<Value>>>,
    answers: bool,
) -> Looked<Vec<SeenPod>> {
    let all = listed.get(&finder.namespace).cloned().unwrap_or_else(not_asked)?;
    let services: Vec<Service> = match &finder.which {
        Which::Labels(_) => Vec::new(),
        Which::Service(_) => {
            read(&list(client, format!("/api/v1/namespaces/{}/services", finder.namespace)).await?)
        }
    };
    let (pods, templates): (Vec<Pod>, Vec<Template>) = (read(&all), read(&all));
    let (found, _) =
        pods::find(finder, &pods.iter().collect::<Vec<_>>(), &services.iter().collect::<Vec<_>>());
    let of = |name: &String| templates.iter().find(|t| t.metadata.object().to_string() == *name).cloned();
    let look = |(name, pod): (&String, &pods::PodEndpoint)| {
        let (template, endpoint) = (of(name).unwrap_or_default(), pod.endpoint.clone());
        async move {
            let said = if answers { answers::of_pod(client, &endpoint).await } else { Said::default() };
            SeenPod { template, said }
        }
    };
    let looks: Vec<_> = found.iter().map(look).collect();
    Ok(stream::iter(looks).buffered(AT_A_TIME).collect().await)
}

async fn fixed(gateway: &Gateway) -> BTreeMap<String, Said> {
    let mut all = BTreeMap::new();
    for endpoint in &gateway.endpoints {
        all.insert(endpoint.name.clone(), answers::of(endpoint).await);
    }
    all
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Certificate {
    spec: CertificateSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CertificateSpec {
    secret_name: String,
}

async fn renewed(client: &kube::Client, namespace: &str) -> Looked<BTreeSet<String>> {
    let all = list(client, format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificates")).await?;
    Ok(read::<Certificate>(&all).into_iter().map(|c| c.spec.secret_name).collect())
}

/// What the controller would find, by its own watches and rules; nothing is published.
async fn bindings(client: &kube::Client, config: &config::Config) -> BTreeMap<String, Looked<Vec<Finding>>> {
    let Some(wanted) = Wanted::of(config) else { return BTreeMap::new() };
    let watches = Watches::begin(client.clone(), wanted.needs(), Pace::default());
    let places = || config.gateways.iter().filter_map(|g| Some((g, g.kubernetes.as_ref()?)));
    let finders: Vec<Finder> = places().filter_map(|(_, own)| own.finder()).collect();
    let complete = || watches.is_complete() && finders.iter().all(|finder| watches.pods(finder).is_some());
    let begun = clock::instant();
    while !complete() && clock::since(begun) < SEEN_WITHIN {
        // Who is refused once is refused again.
        if !watches.findings().is_empty() {
            break;
        }
        clock::sleep(AGAIN).await;
    }
    let refused: Vec<String> = watches.findings().iter().map(|f| f.why.clone()).collect();
    let now = clock::now().seconds();
    places()
        .map(|(gateway, own)| {
            let judge = || {
                let assembled = watches.assemble(&own.rules(gateway.rules), &mut Memory::default(), now);
                let pods = own.finder().and_then(|finder| watches.pods(&finder)).map(|(_, told)| told);
                let of_pods = pods.unwrap_or_default();
                assembled
                    .binding
                    .findings
                    .into_iter()
                    .chain(assembled.inventory.findings)
                    .chain(of_pods)
                    .collect()
            };
            let told = match (complete(), refused.first()) {
                (true, _) => Ok(judge()),
                (false, Some(why)) => Err(why.clone()),
                (false, None) => Err(format!("not all was seen within {} s", SEEN_WITHIN.as_secs())),
            };
            (gateway.name.clone(), told)
        })
        .collect()
}

/// Plugins of Kong's ingress controller.
pub(super) async fn plugins(client: &kube::Client) -> Looked<Vec<Plugin>> {
    let mut all = Vec::new();
    for kind in ["kongplugins", "kongclusterplugins"] {
        // A kind that is not there has no objects.
        all.extend(read::<Plugin>(&list(client, format!("/apis/configuration.konghq.com/v1/{kind}")).await?));
    }
    Ok(all)
}
