//! Evicts a pod: its workload makes another, which has what its fellows have. By the Eviction API, which respects
//! disruption budgets.
use super::{Acted, Pod, Target};
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, Refusal};
use serde::de::IgnoredAny;
use std::time::Duration;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Evicts the pod of the endpoint; it is not started where a disruption budget lets none go, or the API server is busy.
pub(super) async fn evict(target: &Target) -> Acted {
    let Some(Pod { name: pod, uid }) = &target.pod else {
        return Ok(Err("the endpoint is no pod".to_owned()));
    };
    let ObjectName { namespace, name } = pod;
    let body = serde_json::json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace}, "deleteOptions": {"preconditions": {"uid": uid}}});
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    let call = Call::json(http::Method::POST, uri, &body);
    match call.send::<IgnoredAny>(&target.client, PATIENCE).await {
        Ok(_) => Ok(Ok(format!("pod {pod} is evicted"))),
        // It is gone, or another has its name: what was wanted.
        Err(Refusal::Absent(_) | Refusal::Changed(_)) => Ok(Ok(format!("pod {pod} is gone already"))),
        Err(Refusal::Busy(_)) => {
            Err(format!("a disruption budget lets pod {pod} not go now, or the API server is busy").into())
        }
        Err(Refusal::Forbidden(why)) => Ok(Err(format!(
            "{why}; grant create on pods/eviction in namespace {namespace} to certdrift's ServiceAccount; the chart does"
        ))),
        Err(refusal) => Ok(Err(refusal.to_string())),
    }
}
