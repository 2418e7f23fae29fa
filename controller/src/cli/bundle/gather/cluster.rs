//! What the cluster holds: the doctor's answer, versions, Events of ours, ledgers and histories in ConfigMaps, logs of our pods.
use super::super::piece::{Missing, Piece};
use crate::cli::doctor::check;
use crate::cli::doctor::facts::{Facts, Looked};
use crate::cli::doctor::look::{self, Where};
use crate::cli::doctor::report::Report;
use crate::cli::ledger;
use crate::cli::output::json;
use crate::cluster::call::{Call, Refusal};
use crate::cluster::watch::request::escaped;
use crate::cluster::workload::{ConfigMap, List, Template};
use crate::events::post::CONTROLLER;
use crate::remedy::record;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of one log.
const LOG_BYTES: u32 = 8 << 20;
/// The chart's label of our pods.
const LABEL: &str = "app.kubernetes.io/name=certdrift";

/// What is asked of a cluster only.
pub(super) const NAMES: [&str; 5] = ["doctor.json", "versions.json", "events.json", "configmaps", "logs"];

/// Runs the doctor, as `certdrift doctor` does, and gives what it has seen.
pub(super) async fn examine(client: &kube::Client, at: Where) -> (Facts, Piece) {
    let checks: Vec<&check::Check> =
        check::CHECKS.iter().filter(|check| check.when != check::When::Before).collect();
    let facts = look::look(client, at, &checks).await;
    let report = Report::of(checks.iter().map(|check| (*check, (check.judge)(&facts))).collect());
    let text = json(&report).map_err(|e| e.to_string());
    (facts, Piece::tried("doctor.json", "certdrift doctor", text))
}

/// Our own pods.
pub(super) async fn pods(client: &kube::Client, facts: &Facts) -> Looked<Vec<Template>> {
    let n = &facts.here.namespace;
    let path = format!("/api/v1/namespaces/{n}/pods?labelSelector={}", escaped(LABEL));
    let list: List<Template> = get(client, path).await?;
    Ok(list.items)
}

async fn get<T: serde::de::DeserializeOwned>(client: &kube::Client, path: String) -> Looked<T> {
    Call::get(path).send(client, PATIENCE).await.map_err(|refusal| refusal.to_string())
}

/// All pieces but the doctor's.
pub(super) async fn pieces(
    client: &kube::Client,
    facts: &Facts,
    pods: &Looked<Vec<Template>>,
    lines: u32,
) -> Vec<Piece> {
    let mut pieces = vec![versions(facts, pods), events(client, facts).await];
    pieces.extend(maps(client, facts).await);
    pieces.extend(logs(client, pods, lines).await);
    pieces
}

/// Which software there is, by image.
fn versions(facts: &Facts, pods: &Looked<Vec<Template>>) -> Piece {
    let images = |pods: &Looked<Vec<Template>>| match pods {
        Ok(pods) => {
            let all = pods.iter().flat_map(|pod| &pod.spec.containers).map(|c| c.image.to_string());
            json!(all.collect::<BTreeSet<_>>())
        }
        Err(why) => json!({"not_known": why}),
    };
    let server = match &facts.server {
        Ok(server) => json!(server.version),
        Err(why) => json!({"not_known": why}),
    };
    let gateways: serde_json::Map<String, Value> =
        facts.pods.iter().map(|(namespace, pods)| (namespace.clone(), images(pods))).collect();
    let text = json!({"kubernetes": server, "cert_manager": images(&facts.cert_manager),
        "certdrift": images(pods), "pods_by_namespace": gateways});
    Piece::tried("versions.json", "the API server", Ok(format!("{text:#}\n")))
}

/// The namespaces that concern this installation.
fn places(facts: &Facts) -> BTreeSet<String> {
    let gateways = facts.here.config.iter().flat_map(|config| &config.gateways);
    let gateways = gateways.filter_map(|gateway| Some(gateway.kubernetes.as_ref()?.namespace.clone()));
    gateways.chain(facts.here.kubernetes().namespaces).chain([facts.here.namespace.clone()]).collect()
}

/// Events that we posted: of all namespaces, where that may be read, else of those that concern us.
async fn events(client: &kube::Client, facts: &Facts) -> Piece {
    let of = |place: &str| {
        format!(
            "/api/v1/{place}events?fieldSelector={}",
            escaped(&format!("reportingComponent={CONTROLLER}"))
        )
    };
    let found = match get::<List<Value>>(client, of("")).await {
        Ok(list) => Ok(list.items),
        Err(_) => {
            let (mut all, mut refused) = (Vec::new(), Vec::new());
            for namespace in places(facts) {
                match get::<List<Value>>(client, of(&format!("namespaces/{namespace}/"))).await {
                    Ok(list) => all.extend(list.items),
                    Err(why) => refused.push(format!("{namespace}: {why}")),
                }
            }
            // Those of some namespaces would read like all of them.
            if refused.is_empty() { Ok(all) } else { Err(refused.join("; ")) }
        }
    };
    let text = found.map(|items| format!("{:#}\n", json!({"items": items})));
    Piece::tried("events.json", format!("Events of {CONTROLLER}"), text)
}

/// Ledgers and histories, as the ConfigMaps hold them.
async fn maps(client: &kube::Client, facts: &Facts) -> Vec<Piece> {
    let gateways = facts.here.config.iter().flat_map(|config| &config.gateways);
    let mut pieces = Vec::new();
    for (gateway, own) in gateways.filter_map(|g| Some((&g.name, g.kubernetes.as_ref()?))) {
        let n = &own.namespace;
        let index = format!("certdrift-ledger-{gateway}");
        let found = map(client, n, &index, "ledger.json").await;
        let parts = found.as_ref().map(|text| ledger::parts(text.as_bytes())).unwrap_or_default();
        pieces.push(kept(n, &index, "json", found));
        for part in parts {
            let name = format!("{index}-{part}");
            let found = map(client, n, &name, "ledger.json").await;
            pieces.push(kept(n, &name, "json", found));
        }
        let history = record::name(n, gateway);
        let found = map(client, n, &history.name, record::KEY).await;
        pieces.push(kept(n, &history.name, "jsonl", found));
    }
    pieces
}

fn kept(namespace: &str, name: &str, form: &str, found: Result<String, Missing>) -> Piece {
    Piece::new(format!("configmaps/{name}.{form}"), format!("configmap {namespace}/{name}"), found)
}

/// Listed and not got, as certdrift's own account may.
async fn map(client: &kube::Client, namespace: &str, name: &str, key: &str) -> Result<String, Missing> {
    let chosen = escaped(&format!("metadata.name={name}"));
    let path = format!("/api/v1/namespaces/{namespace}/configmaps?fieldSelector={chosen}");
    let list: List<ConfigMap> = get(client, path).await.map_err(Missing::Failed)?;
    let Some(map) = list.items.into_iter().next() else {
        return Err(Missing::NotHere("there is none of this name".to_owned()));
    };
    // A part has a key of its own name.
    let own = map.data.get(key).or_else(|| map.data.values().next());
    own.map(ToString::to_string).ok_or_else(|| Missing::Failed(format!("it has no {key}")))
}

async fn logs(client: &kube::Client, pods: &Looked<Vec<Template>>, lines: u32) -> Vec<Piece> {
    let pods = match pods {
        Ok(pods) if pods.is_empty() => {
            let why =
                Missing::Failed(format!("no pod has the label {LABEL}; name its namespace with --namespace"));
            return vec![Piece::new("logs", "the API server", Err(why))];
        }
        Ok(pods) => pods,
        Err(why) => return vec![Piece::tried("logs", "the API server", Err(why.clone()))],
    };
    let mut pieces = Vec::new();
    for pod in pods {
        for container in &pod.spec.containers {
            let object = pod.metadata.object();
            let name = format!("logs/{}.{}", object.name, container.name);
            for previous in [false, true] {
                let found = log(client, pod, &container.name, lines, previous).await;
                let (name, from) = match previous {
                    false => (format!("{name}.log"), format!("pods/log of {object}")),
                    true => {
                        (format!("{name}.previous.log"), format!("pods/log of {object}, before its restart"))
                    }
                };
                pieces.push(Piece::new(name, from, found));
            }
        }
    }
    pieces
}

/// The newest lines of a container, or of the one that it replaced.
async fn log(
    client: &kube::Client,
    pod: &Template,
    container: &str,
    lines: u32,
    previous: bool,
) -> Result<String, Missing> {
    let object = pod.metadata.object();
    let uri = format!(
        "/api/v1/namespaces/{}/pods/{}/log?container={container}&tailLines={lines}&limitBytes={LOG_BYTES}&previous={previous}",
        object.namespace, object.name
    );
    match Call::get(uri).accept("*/*").text(client, PATIENCE).await {
        Ok(text) => Ok(text),
        // The kubelet's word for a container that was never restarted.
        Err(Refusal::Invalid(_)) if previous => Err(Missing::NotHere("it was not restarted".to_owned())),
        Err(refusal) => Err(Missing::Failed(refusal.to_string())),
    }
}
