//! The record of what was done, in the cluster: the newest acts of a gateway and what came of each, in one ConfigMap beside its
//! ledger, so that they outlive the pod that did them. Who leads writes it; whoever shows a history reads it.
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, Refusal};
use crate::cluster::watch::request::escaped;
use crate::converge::{Record, What};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The key of the ConfigMap: one JSON object a line, the newest last.
pub const KEY: &str = "history.jsonl";
/// What its name begins with; the gateway's follows.
const PREFIX: &str = "certdrift-history-";
/// Says of which gateway it is; another label than the ledger's, whose ConfigMaps are watched.
const LABEL: &str = "certdrift.dev/history";
/// So many of the newest records are kept.
const KEPT: usize = 200;
/// And no more than so many bytes of them.
const MOST_BYTES: usize = 256 << 10;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ConfigMap of a gateway whose pods are in this namespace.
#[must_use]
pub fn name(namespace: &str, gateway: &str) -> ObjectName {
    ObjectName::new(namespace, &format!("{PREFIX}{gateway}"))
}

#[derive(Deserialize)]
struct List {
    items: Vec<Map>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Map {
    data: BTreeMap<String, String>,
}

/// Adds what we know to what is there, and gives both together. Nothing is written where there is nothing to add.
///
/// # Errors
/// The API server refuses, or does not answer.
pub async fn keep(
    client: &kube::Client,
    map: &ObjectName,
    ours: Vec<Record>,
) -> Result<Vec<Record>, Refusal> {
    let ObjectName { namespace, name } = map;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let chosen = escaped(&format!("metadata.name={name}"));
    let list: List = Call::get(format!("{path}?fieldSelector={chosen}")).send(client, PATIENCE).await?;
    let text = list.items.first().and_then(|map| map.data.get(KEY)).map(String::as_str).unwrap_or_default();
    let there = read(text);
    let all = together(there.clone(), ours);
    if all != there {
        let gateway = name.strip_prefix(PREFIX).unwrap_or(name);
        let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: gateway}},
            "data": {KEY: written(&all)}});
        let call = Call::apply(&format!("{path}/{name}"), true, &body);
        call.send::<serde::de::IgnoredAny>(client, PATIENCE).await?;
    }
    Ok(all)
}

/// Of a history, what was done and what came of it. What was refused before the act is none: nothing was done.
#[must_use]
pub fn acts(history: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut acts: Vec<Record> = Vec::new();
    for record in history {
        match &record.what {
            What::NotStarted { id, .. } => {
                let intent = |r: &Record| matches!(&r.what, What::Remedy { intent } if intent.id == *id);
                if let Some(at) = acts.iter().rposition(intent) {
                    acts.remove(at);
                }
            }
            What::Converged { after: Some(_), .. }
            | What::Remedy { .. }
            | What::Ended { .. }
            | What::NotHelped { .. }
            | What::NotProven { .. }
            | What::Exhausted { .. } => acts.push(record),
            What::Drifted { .. }
            | What::Converged { after: None, .. }
            | What::Acknowledged { .. }
            | What::AcknowledgementEnded { .. } => {}
        }
    }
    acts
}

/// Both, each record once, in the order of time; the newest of them.
#[must_use]
pub fn together(there: Vec<Record>, ours: Vec<Record>) -> Vec<Record> {
    let mut all = there;
    for record in ours {
        if !all.contains(&record) {
            all.push(record);
        }
    }
    all.sort_by_key(|record| record.at);
    let mut bytes = 0usize;
    let fits = |record: &&Record| {
        bytes = bytes.saturating_add(line(record).len());
        bytes <= MOST_BYTES
    };
    let newest = all.iter().rev().take(KEPT).take_while(fits).count();
    all.split_off(all.len().saturating_sub(newest))
}

/// What another version wrote is left out.
fn read(text: &str) -> Vec<Record> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn line(record: &Record) -> String {
    serde_json::to_string(record).map(|line| line + "\n").unwrap_or_default()
}

fn written(records: &[Record]) -> String {
    records.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge::Millis;

    fn record(at: i64, what: What) -> Record {
        Record { at: Millis(at), gateway: "kong".into(), what }
    }

    fn ended(at: i64, id: u64) -> Record {
        let said = "done".to_owned();
        record(at, What::Ended { id, remedy: "reload".into(), ok: true, said, took_ms: 5 })
    }

    #[test]
    fn each_record_is_kept_once_in_the_order_of_time() {
        let all = together(vec![ended(1, 1), ended(3, 3)], vec![ended(2, 2), ended(3, 3), ended(4, 4)]);
        assert_eq!(all.iter().map(|r| r.at.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(read(&written(&all)), all);
    }

    #[test]
    fn only_the_newest_are_kept_by_number_and_by_size() {
        let many: Vec<Record> = (0..300).map(|n| ended(n, 1)).collect();
        let kept = together(Vec::new(), many);
        assert_eq!((kept.len(), kept[0].at.0), (KEPT, 100));
        let long = |at| {
            let said = "x".repeat(4_000);
            record(at, What::Ended { id: 1, remedy: "a".into(), ok: false, said, took_ms: 1 })
        };
        let kept = together((0..100).map(long).collect(), vec![ended(100, 1)]);
        assert!(written(&kept).len() <= MOST_BYTES && kept.len() > 50, "{}", kept.len());
        assert_eq!(kept.last().unwrap().at.0, 100);
    }

    #[test]
    fn lines_of_another_version_are_left_out() {
        let text = format!("{}{{\"at\": 1, \"what\": \"of-tomorrow\"}}\nnonsense\n", written(&[ended(1, 1)]));
        assert_eq!(read(&text), [ended(1, 1)]);
    }

    #[test]
    fn what_was_refused_before_the_act_is_no_act() {
        let not_started =
            |at, id| record(at, What::NotStarted { id, remedy: "a".into(), why: "busy".into() });
        let seen = What::Acknowledged { host: "h".into(), reason: "r".into(), until: Millis(9) };
        let history = vec![ended(1, 1), not_started(2, 2), record(3, seen)];
        assert_eq!(acts(history), [ended(1, 1)]);
    }
}
