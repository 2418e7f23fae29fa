//! Restarts the workload of a gateway's pods as `kubectl rollout restart` does, and waits for the end of it.
//!
//! It is looked at before: another rollout, a paused one, a strategy that replaces nothing by itself. Where somebody else
//! writes the template of the pods that is left alone, and pods are evicted one by one instead.
use super::{Acted, NotStarted, Target, evict};
use crate::clock;
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, FIELD_MANAGER, Refusal};
use crate::cluster::object::list;
use crate::cluster::pod::{Kind, Workload};
use crate::converge::Intent;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the API server may take, each time.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether the rollout is over.
const EVERY: Duration = Duration::from_secs(2);
/// The annotation that `kubectl rollout restart` sets.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// A Deployment, StatefulSet or DaemonSet, as far as it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    resource_version: String,
    generation: i64,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "list")]
    owner_references: Vec<Owner>,
    #[serde(deserialize_with = "list")]
    managed_fields: Vec<Manager>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
    controller: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Manager {
    manager: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i64>,
    paused: bool,
    update_strategy: Strategy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    r#type: String,
    rolling_update: Rolling,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rolling {
    partition: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    ready_replicas: i64,
    current_revision: String,
    update_revision: String,
    desired_number_scheduled: i64,
    updated_number_scheduled: i64,
    number_available: i64,
    #[serde(deserialize_with = "list")]
    conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    reason: String,
}

/// What stands against a restart.
#[derive(Debug, PartialEq, Eq)]
enum Against {
    /// It may be otherwise in a while.
    Now(String),
    /// It will not do.
    Ever(String),
    /// This one writes the template.
    Owned(String),
}

/// Restarts it and waits for the end. It is not started while another rollout runs, nor where somebody else writes the template.
pub(super) async fn restart(target: &Target, intent: &Intent) -> Acted {
    let Some(workload) = &target.workload else {
        let why =
            "the pod belongs to no Deployment, StatefulSet or DaemonSet; evict replaces it, if anything does";
        return Ok(Err(why.to_owned()));
    };
    if target.template_is_owned {
        return evict::evict(target).await;
    }
    let object = match read(target, workload).await {
        Ok(object) => object,
        Err(refusal) => return refused(workload, "get", refusal),
    };
    match against(workload.kind, &object) {
        None => {}
        Some(Against::Ever(why)) => return Ok(Err(format!("{workload}: {why}"))),
        Some(Against::Now(why)) => return Err(format!("{workload}: {why}").into()),
        Some(Against::Owned(by)) => {
            let why =
                format!("{by} writes the template of {workload}: its pods are evicted one by one instead");
            return Err(NotStarted { why, template_is_owned: true });
        }
    }
    let at = intent.at.seconds().to_string();
    let patch = serde_json::json!({"metadata": {"resourceVersion": object.metadata.resource_version},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}});
    let call = Call::merge(format!("{}?fieldManager={FIELD_MANAGER}", path(workload)), &patch);
    if let Err(refusal) = call.send::<Object>(&target.client, PATIENCE).await {
        return refused(workload, "patch", refusal);
    }
    let time = Duration::from_millis(intent.timeout_ms);
    Ok(match clock::timeout(time, ended(target, workload)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("{workload} was restarted, and its rollout has not ended in {time:?}")),
    })
}

async fn ended(target: &Target, workload: &Workload) -> Result<String, String> {
    loop {
        clock::sleep(EVERY).await;
        // One answer that does not come changes nothing about the rollout.
        let Ok(object) = read(target, workload).await else { continue };
        if is_stuck(&object) {
            return Err(format!("{workload} was restarted, and its rollout goes on no further"));
        }
        if is_settled(workload.kind, &object) {
            return Ok(format!("{workload} was restarted, and all its pods are new"));
        }
    }
}

async fn read(target: &Target, workload: &Workload) -> Result<Object, Refusal> {
    Call::get(path(workload)).send(&target.client, PATIENCE).await
}

fn path(workload: &Workload) -> String {
    let ObjectName { namespace, name } = &workload.name;
    format!("/apis/apps/v1/namespaces/{namespace}/{}/{name}", workload.kind.plural())
}

fn refused(workload: &Workload, verb: &str, refusal: Refusal) -> Acted {
    match refusal {
        Refusal::Changed(_) | Refusal::Busy(_) => Err(format!("{workload}: {refusal}").into()),
        Refusal::Forbidden(why) => Ok(Err(format!(
            "{why}; grant {verb} on {}.apps in namespace {} to certdrift's ServiceAccount; the chart does",
            workload.kind.plural(),
            workload.name.namespace
        ))),
        other => Ok(Err(format!("{workload}: {other}"))),
    }
}

fn against(kind: Kind, object: &Object) -> Option<Against> {
    if let Some(by) = owner(&object.metadata) {
        return Some(Against::Owned(by));
    }
    let Strategy { r#type, rolling_update } = &object.spec.update_strategy;
    if kind != Kind::Deployment && r#type == "OnDelete" {
        let why = "its strategy is OnDelete: a restart replaces no pod; evict does";
        return Some(Against::Ever(why.to_owned()));
    }
    if kind == Kind::StatefulSet && rolling_update.partition > 0 {
        let why = "its strategy has a partition: a restart leaves pods as they are; evict does not";
        return Some(Against::Ever(why.to_owned()));
    }
    if object.spec.paused {
        return Some(Against::Now("it is paused; kubectl rollout resume goes on with it".to_owned()));
    }
    (!is_settled(kind, object)).then(|| Against::Now("a rollout of it runs".to_owned()))
}

/// Who writes the template beside people and Helm: what we wrote there would be taken back, or fought over.
fn owner(metadata: &Metadata) -> Option<String> {
    let has = |keys: [&str; 2]| {
        keys.iter().any(|key| metadata.labels.contains_key(*key) || metadata.annotations.contains_key(*key))
    };
    let manages =
        |names: &[&str]| metadata.managed_fields.iter().any(|m| names.contains(&m.manager.as_str()));
    if has(["argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"])
        || manages(&["argocd-controller", "argocd-application-controller"])
    {
        return Some("Argo CD".to_owned());
    }
    if has(["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"])
        || manages(&["kustomize-controller", "helm-controller"])
    {
        return Some("Flux".to_owned());
    }
    let owner = metadata.owner_references.iter().find(|owner| owner.controller)?;
    Some(format!("{} {}", owner.kind, owner.name))
}

/// Whether all its pods are of its newest template, and serve.
fn is_settled(kind: Kind, object: &Object) -> bool {
    let Object { metadata, spec, status } = object;
    if status.observed_generation < metadata.generation {
        return false;
    }
    let wanted = spec.replicas.unwrap_or(1);
    match kind {
        Kind::Deployment => {
            [status.replicas, status.updated_replicas, status.available_replicas].map(|n| n == wanted)
                == [true; 3]
        }
        Kind::StatefulSet => {
            // `updatedReplicas` is not counted any more once the revision is the current one.
            status.current_revision == status.update_revision
                && [status.replicas, status.ready_replicas].map(|n| n == wanted) == [true; 2]
        }
        Kind::DaemonSet => {
            let wanted = status.desired_number_scheduled;
            [status.updated_number_scheduled, status.number_available].map(|n| n == wanted) == [true; 2]
        }
    }
}

fn is_stuck(object: &Object) -> bool {
    object.status.observed_generation >= object.metadata.generation
        && object.status.conditions.iter().any(|c| c.reason == "ProgressDeadlineExceeded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(change: &serde_json::Value) -> Object {
        let mut whole = json!({"metadata": {"generation": 3, "resourceVersion": "7"}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
                "readyReplicas": 2, "currentRevision": "a", "updateRevision": "a",
                "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}});
        for (part, fields) in change.as_object().unwrap() {
            for (key, value) in fields.as_object().unwrap() {
                whole[part][key] = value.clone();
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    const ALL: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];

    #[test]
    fn nothing_stands_against_the_restart_of_what_is_settled() {
        for kind in ALL {
            assert_eq!(against(kind, &object(&json!({}))), None, "{kind:?}");
        }
    }

    #[test]
    fn it_waits_for_another_rollout_and_for_one_that_is_paused() {
        let now = |kind, change: serde_json::Value| {
            matches!(against(kind, &object(&change)), Some(Against::Now(_)))
        };
        for kind in ALL {
            assert!(now(kind, json!({"metadata": {"generation": 4}})), "{kind:?}");
        }
        assert!(now(Kind::Deployment, json!({"status": {"replicas": 3}})));
        assert!(now(Kind::Deployment, json!({"status": {"updatedReplicas": 1}})));
        assert!(now(Kind::Deployment, json!({"status": {"availableReplicas": 1}})));
        assert!(now(Kind::Deployment, json!({"spec": {"paused": true}})));
        assert!(now(Kind::StatefulSet, json!({"status": {"updateRevision": "b"}})));
        assert!(now(Kind::StatefulSet, json!({"status": {"readyReplicas": 1}})));
        assert!(now(Kind::DaemonSet, json!({"status": {"updatedNumberScheduled": 1}})));
        assert!(now(Kind::DaemonSet, json!({"status": {"numberAvailable": 1}})));
    }

    #[test]
    fn a_strategy_that_replaces_no_pod_is_told() {
        let ever = |kind, strategy: serde_json::Value| {
            let change = json!({"spec": {"updateStrategy": strategy}});
            matches!(against(kind, &object(&change)), Some(Against::Ever(why)) if why.contains("evict"))
        };
        assert!(ever(Kind::DaemonSet, json!({"type": "OnDelete"})));
        assert!(ever(Kind::StatefulSet, json!({"type": "OnDelete"})));
        assert!(ever(Kind::StatefulSet, json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})));
        assert!(!ever(
            Kind::DaemonSet,
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}})
        ));
    }

    #[test]
    fn who_writes_the_template_is_named() {
        let by = |metadata: serde_json::Value| match against(
            Kind::Deployment,
            &object(&json!({"metadata": metadata})),
        ) {
            Some(Against::Owned(by)) => Some(by),
            _ => None,
        };
        assert_eq!(by(json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}})), Some("Flux".into()));
        assert_eq!(by(json!({"labels": {"helm.toolkit.fluxcd.io/name": "kong"}})), Some("Flux".into()));
        assert_eq!(by(json!({"managedFields": [{"manager": "helm-controller"}]})), Some("Flux".into()));
        assert_eq!(
            by(json!({"annotations": {"argocd.argoproj.io/tracking-id": "x"}})),
            Some("Argo CD".into())
        );
        assert_eq!(by(json!({"managedFields": [{"manager": "argocd-controller"}]})), Some("Argo CD".into()));
        let owned = json!({"ownerReferences": [{"kind": "DataPlane", "name": "dp", "controller": true}]});
        assert_eq!(by(owned), Some("DataPlane dp".into()));
        // Helm writes it when somebody upgrades, and keeps what it does not know; kubectl does as well.
        assert_eq!(by(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}})), None);
        assert_eq!(by(json!({"managedFields": [{"manager": "helm"}, {"manager": "kubectl-rollout"}]})), None);
        assert_eq!(by(json!({"ownerReferences": [{"kind": "X", "name": "x", "controller": false}]})), None);
    }

    #[test]
    fn a_rollout_that_goes_on_no_further_is_seen() {
        let change = json!({"status": {"conditions": [{"reason": "ProgressDeadlineExceeded"}]}});
        assert!(is_stuck(&object(&change)));
        assert!(!is_stuck(&object(
            &json!({"status": {"conditions": [{"reason": "NewReplicaSetAvailable"}]}})
        )));
    }
}
