//! Runs a program in a pod, by the API server's `exec`: no shell, no terminal, nothing on its stdin.
use super::config::KubeExec;
use super::{Acted, Pod, Target};
use crate::clock;
use crate::cluster::ObjectName;
use crate::converge::Intent;
use k8s_openapi::api::core::v1::Pod as Object;
use kube::Api;
use kube::api::AttachParams;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// So many bytes of each stream are kept; what is beyond is read and let go, so that the program does not hang on it.
const KEPT: u64 = 4_096;

/// Runs it in the pod of the endpoint. Whether that is still the same pod is not asked: a reload harms none. What has not ended
/// in its time goes on in the pod, and nobody listens to it any more.
pub(super) async fn run(exec: &KubeExec, target: &Target, intent: &Intent) -> Acted {
    let time = Duration::from_millis(intent.timeout_ms);
    match clock::timeout(time, begin(exec, target)).await {
        Ok(acted) => acted,
        Err(_) => Ok(Err(format!("{} has not ended in {time:?}", exec.argv.join(" ")))),
    }
}

async fn begin(exec: &KubeExec, target: &Target) -> Acted {
    let Some(Pod { name: pod, .. }) = &target.pod else {
        return Ok(Err("the endpoint is no pod".to_owned()));
    };
    let ObjectName { namespace, name } = pod;
    let pods: Api<Object> = Api::namespaced(target.client.clone(), namespace);
    let mut how = AttachParams::default().stdin(false).stdout(true).stderr(true);
    how.container.clone_from(&exec.container);
    let mut process = match pods.exec(name, exec.argv.iter().map(String::as_str), &how).await {
        Ok(process) => process,
        Err(error) => return refused(&error, pod),
    };
    let (out, err) = (process.stdout(), process.stderr());
    let status = process.take_status();
    let (out, err) = tokio::join!(beginning(out), beginning(err));
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let said = [out, err].map(|text| text.trim().to_owned()).join("\n");
    let said = said.trim();
    let argv = exec.argv.join(" ");
    let Some(status) = status else {
        return Ok(Err(format!("{argv} in pod {pod}: the connection broke before it ended; {said}")));
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(Ok(format!("{argv} in pod {pod}: done; {said}").trim_end_matches("; ").to_owned()));
    }
    let why = status.message.unwrap_or_else(|| "it failed".to_owned());
    Ok(Err(format!("{argv} in pod {pod}: {why}; {said}").trim_end_matches("; ").to_owned()))
}

/// Nothing was begun.
fn refused(error: &kube::Error, pod: &ObjectName) -> Acted {
    let text = error.to_string();
    let status = match error {
        kube::Error::Api(status) => status.code,
        kube::Error::UpgradeConnection(kube::client::UpgradeConnectionError::ProtocolSwitch(code)) => {
            code.as_u16()
        }
        _ => return Err(format!("pod {pod}: {text}").into()),
    };
    match status {
        401 | 403 => Ok(Err(format!(
            "{text}; grant get and create on pods/exec in namespace {} to certdrift's ServiceAccount; the chart does",
            pod.namespace
        ))),
        404 => Ok(Ok(format!("pod {pod} is gone already"))),
        400 => Ok(Err(format!("pod {pod}: {text}; is there a container of this name?"))),
        _ => Err(format!("pod {pod}: {text}").into()),
    }
}

async fn beginning(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Vec::new();
    let _ = (&mut from).take(KEPT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
