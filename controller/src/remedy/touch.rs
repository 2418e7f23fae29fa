//! Changes the tags of a Secret, so that Kong's ingress controller makes another configuration of it and pushes that. No other
//! annotation does (measured: design.md, `touch`).
use super::{Acted, Target};
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, FIELD_MANAGER, Refusal};
use crate::converge::Intent;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The annotation that Kong's ingress controller makes tags of: a list with commas.
const TAGS: &str = "konghq.com/tags";
/// What our own tag begins with; seconds follow.
const OURS: &str = "certdrift-";
/// How long the API server may take, each time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Names and annotations only: what is in the Secret is not asked for.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Changes the tags of the host's Secret; it is not started where somebody else has just written it.
pub(super) async fn touch(target: &Target, intent: &Intent) -> Acted {
    let Some(secret) = &target.secret else {
        return Ok(Err(format!("no Secret is known that {} is served from", intent.host)));
    };
    let ObjectName { namespace, name } = secret;
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
    let refused = |verb: &str, refusal: Refusal| match refusal {
        Refusal::Changed(_) | Refusal::Busy(_) => Err(format!("Secret {secret}: {refusal}").into()),
        Refusal::Forbidden(why) => Ok(Err(format!(
            "{why}; grant {verb} on secrets in namespace {namespace} to certdrift's ServiceAccount; the chart does"
        ))),
        other => Ok(Err(format!("Secret {secret}: {other}"))),
    };
    let metadata =
        match Call::get(path.clone()).accept(METADATA).send::<Object>(&target.client, PATIENCE).await {
            Ok(object) => object.metadata,
            Err(refusal) => return refused("get", refusal),
        };
    let tags = tagged(metadata.annotations.get(TAGS).map(String::as_str), intent.at.0 / 1_000);
    let patch = serde_json::json!({"metadata": {
        "resourceVersion": metadata.resource_version, "annotations": {TAGS: tags}}});
    let call = Call::merge(format!("{path}?fieldManager={FIELD_MANAGER}"), &patch).accept(METADATA);
    match call.send::<Object>(&target.client, PATIENCE).await {
        Ok(_) => Ok(Ok(format!("Secret {secret} has the tags {tags}"))),
        Err(refusal) => refused("patch", refusal),
    }
}

/// The tags that are there, with ours in place of an older one.
fn tagged(before: Option<&str>, seconds: i64) -> String {
    let is_ours = |tag: &str| {
        tag.strip_prefix(OURS)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let tags = before.unwrap_or_default().split(',').map(str::trim);
    let mut tags: Vec<String> =
        tags.filter(|tag| !tag.is_empty() && !is_ours(tag)).map(str::to_owned).collect();
    tags.push(format!("{OURS}{seconds}"));
    tags.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_others_stay_and_ours_is_another_each_time() {
        assert_eq!(tagged(None, 5), "certdrift-5");
        assert_eq!(tagged(Some("team-a, certdrift-4 ,b"), 5), "team-a,b,certdrift-5");
        assert_eq!(
            tagged(Some("certdrift-is-good,certdrift-"), 5),
            "certdrift-is-good,certdrift-,certdrift-5"
        );
    }
}
