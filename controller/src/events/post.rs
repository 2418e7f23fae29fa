//! Events on the API server: written, and their series continued.
use super::plan::{Act, Event, Heard};
use crate::cluster::call::{Call, Refusal};
use crate::converge::Millis;
use certdrift_contract::UnixTime;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who we are among those who write Events.
pub const CONTROLLER: &str = "certdrift.dev/certdrift";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    event_time: Option<String>,
    series: Option<Series>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    count: u32,
    last_observed_time: Option<String>,
}

/// Does what was planned; `instance` is this replica. Needs `create`, `get` and `patch` on events.events.k8s.io.
pub async fn post(client: &kube::Client, act: &Act, instance: &str, now: Millis) -> Heard {
    let (event, count) = match act {
        Act::Create(event) => (event, None),
        Act::Repeat(event, count) => (event, Some(*count)),
    };
    let list = format!("/apis/events.k8s.io/v1/namespaces/{}/events", event.namespace);
    let path = format!("{list}/{}", event.name);
    let call = match count {
        None => Call::json(http::Method::POST, list, &body(event, instance, now)),
        Some(count) => Call::merge(
            path.clone(),
            &json!({"series": {"count": count, "lastObservedTime": now.micro_time()}}),
        ),
    };
    match call.send::<serde::de::IgnoredAny>(client, PATIENCE).await {
        Ok(_) => Heard::Done,
        Err(Refusal::Changed(_)) if count.is_none() => {
            match Call::get(path).send::<Object>(client, PATIENCE).await {
                Ok(object) => exists(&object, now),
                Err(_) => Heard::Failed,
            }
        }
        // A namespace that is being deleted takes no Events, and its objects go with it.
        Err(Refusal::Absent(_)) if count.is_some() => Heard::Gone,
        Err(refusal) => {
            tracing::warn!(event = event.name, namespace = event.namespace, why = %refusal, "the Event is not written");
            Heard::Failed
        }
    }
}

fn exists(object: &Object, now: Millis) -> Heard {
    let count = object.series.as_ref().map_or(1, |series| series.count);
    let last = object.series.as_ref().and_then(|series| series.last_observed_time.as_deref());
    let last = last.or(object.event_time.as_deref()).and_then(|text| {
        // Parts of a second are left out.
        let whole = text.split_once('.').map_or_else(|| text.to_owned(), |(whole, _)| format!("{whole}Z"));
        UnixTime::parse(whole.as_bytes()).ok()
    });
    Heard::Exists(count, last.map_or(now, Millis::from))
}

fn body(event: &Event, instance: &str, now: Millis) -> Value {
    let on = &event.regarding;
    let mut regarding = json!({"apiVersion": on.api_version, "kind": on.kind, "name": on.object.name});
    if let Some(fields) = regarding.as_object_mut() {
        for (key, value) in [("namespace", &*on.object.namespace), ("uid", &*on.uid)] {
            if !value.is_empty() {
                fields.insert(key.to_owned(), value.into());
            }
        }
    }
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": event.name, "namespace": event.namespace}, "eventTime": now.micro_time(),
        "reportingController": CONTROLLER, "reportingInstance": instance, "action": "Observe",
        "reason": event.reason, "type": if event.warning { "Warning" } else { "Normal" },
        "note": event.note, "regarding": regarding})
}
