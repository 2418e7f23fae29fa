//! Evicts a pod: its workload makes another, which has what its fellows have. By the Eviction API, which respects
//! disruption budgets.
use crate::cluster::ObjectName;
use crate::cluster::call::{Call, Refusal};
use serde::de::IgnoredAny;
use std::fmt;
use std::time::Duration;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// That very pod, and the way to its API server.
#[derive(Clone)]
pub struct Pod {
    /// To the API server.
    pub client: kube::Client,
    /// Its name.
    pub name: ObjectName,
    /// Another of the same name is not meant.
    pub uid: Box<str>,
}

impl fmt::Debug for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pod").field("name", &self.name).field("uid", &self.uid).finish_non_exhaustive()
    }
}

/// Evicts it; gives what is to be told, of a failure as the inner error.
///
/// # Errors
/// It was refused for now: a disruption budget lets none go, or the API server is busy.
pub(super) async fn evict(pod: &Pod) -> Result<Result<String, String>, String> {
    let ObjectName { namespace, name } = &pod.name;
    let body = serde_json::json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace}, "deleteOptions": {"preconditions": {"uid": pod.uid}}});
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    let call = Call::json(http::Method::POST, uri, &body);
    match call.send::<IgnoredAny>(&pod.client, PATIENCE).await {
        Ok(_) => Ok(Ok(format!("pod {} is evicted", pod.name))),
        // It is gone, or another has its name: what was wanted.
        Err(Refusal::Absent(_) | Refusal::Changed(_)) => Ok(Ok(format!("pod {} is gone already", pod.name))),
        Err(Refusal::Busy(_)) => {
            Err(format!("a disruption budget lets pod {} not go now, or the API server is busy", pod.name))
        }
        Err(Refusal::Forbidden(why)) => Ok(Err(format!(
            "{why}; grant create on pods/eviction in namespace {namespace} to certdrift's ServiceAccount; the chart does"
        ))),
        Err(refusal) => Ok(Err(refusal.to_string())),
    }
}
