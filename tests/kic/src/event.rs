//! Events as KIC writes them: source `kong-client`; a repeated one counts.
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use std::collections::BTreeMap;

/// What has been posted: its name and how often.
#[derive(Debug, Default)]
pub(crate) struct Events {
    posted: BTreeMap<(String, String), (String, i32)>,
}

impl Events {
    /// Posts one, or counts it. That it cannot be posted stops nobody.
    pub(crate) async fn post(
        &mut self,
        client: &Client,
        on: &ObjectReference,
        kind: &str,
        reason: &str,
        message: &str,
    ) {
        let namespace = on.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let name = on.name.clone().unwrap_or_default();
        let key = (
            format!("{} {namespace}/{name}", on.kind.clone().unwrap_or_default()),
            format!("{reason} {message}"),
        );
        let now = Time(Timestamp::now());
        let done = if let Some((event, count)) = self.posted.get_mut(&key) {
            *count += 1;
            let patch = serde_json::json!({"count": count, "lastTimestamp": now});
            events.patch(event, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        } else {
            let event = Event {
                metadata: ObjectMeta {
                    name: Some(format!("{name}.{:x}", now.0.as_nanosecond())),
                    namespace: Some(namespace.clone()),
                    ..ObjectMeta::default()
                },
                involved_object: on.clone(),
                type_: Some(kind.to_owned()),
                reason: Some(reason.to_owned()),
                message: Some(message.to_owned()),
                source: Some(EventSource { component: Some("kong-client".to_owned()), host: None }),
                first_timestamp: Some(now.clone()),
                last_timestamp: Some(now),
                count: Some(1),
                ..Event::default()
            };
            self.posted.insert(key, (event.metadata.name.clone().unwrap_or_default(), 1));
            events.create(&PostParams::default(), &event).await.map(drop)
        };
        if let Err(error) = done {
            println!("error: an Event on {namespace}/{name}: {error}");
        }
    }
}
