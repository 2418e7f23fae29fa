//! Where certdrift is in the cluster: its Deployment, and the configuration that this was given.
use super::super::facts::{Here, Looked};
use super::{Where, get};
use crate::cluster::ObjectName;
use crate::cluster::review::whoami;
use crate::cluster::workload::{ConfigMap, Deployment, List};
use crate::config::Config;
use crate::config::load::elsewhere;

/// The chart's label.
const LABEL: &str = "app.kubernetes.io%2Fname%3Dcertdrift";
/// The chart's label of the release.
const RELEASE: &str = "app.kubernetes.io/instance";
/// Where the chart mounts the configuration.
const KEY: &str = "certdrift.yaml";

/// As far as it is known without a server.
pub(super) fn offline(client: &kube::Client, at: Where) -> Here {
    let own = at.config.as_ref().and_then(|c| c.kubernetes.as_ref()).and_then(|k| k.namespace.clone());
    let namespace = at.namespace.or(own).unwrap_or_else(|| client.default_namespace().to_owned());
    Here { namespace, config: at.config, ..Here::default() }
}

/// This installation, and its Deployment.
pub(super) async fn here(client: &kube::Client, at: Where) -> (Here, Looked<Option<Deployment>>) {
    let named = at.namespace.is_some()
        || at.config.as_ref().is_some_and(|c| c.kubernetes.as_ref().is_some_and(|k| k.namespace.is_some()));
    let name = at.deployment.clone();
    let mut here = offline(client, at);
    here.user = whoami(client).await.ok().filter(|user| !user.is_empty());
    let found = deployment(client, &here, named, name.as_deref()).await;
    if let Ok(Some(deployment)) = &found {
        here.namespace = deployment.metadata.namespace.to_string();
        here.deployment = Some(deployment.metadata.name.to_string());
        here.release = deployment.metadata.labels.get(RELEASE).map(ToString::to_string);
        let account = match &*deployment.spec.template.spec.service_account_name {
            "" => "default",
            name => name,
        };
        here.account = Some(ObjectName::new(&here.namespace, account));
        if here.config.is_none() {
            match config(client, deployment).await {
                Ok(config) => here.config = Some(config),
                Err(why) => here.unread = Some(why),
            }
        }
    }
    if here.account.is_none()
        && let Some(account) = here.user.as_deref().and_then(service_account)
    {
        // In its own pod it may not look for its Deployment.
        here.account = Some(account);
    }
    (here, found)
}

/// `system:serviceaccount:NAMESPACE:NAME`
fn service_account(user: &str) -> Option<ObjectName> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    Some(ObjectName::new(namespace, name))
}

/// The Deployment by its name; where none is given by its label, here and then, when no namespace was named, anywhere.
async fn deployment(
    client: &kube::Client,
    here: &Here,
    named: bool,
    name: Option<&str>,
) -> Looked<Option<Deployment>> {
    let n = &here.namespace;
    if let Some(name) = name {
        return get(client, format!("/apis/apps/v1/namespaces/{n}/deployments/{name}")).await;
    }
    let here = format!("/apis/apps/v1/namespaces/{n}/deployments?labelSelector={LABEL}");
    let found: List<Deployment> = get(client, here).await?.unwrap_or_default();
    if named || !found.items.is_empty() {
        return only(found);
    }
    let anywhere = format!("/apis/apps/v1/deployments?labelSelector={LABEL}");
    match get::<List<Deployment>>(client, anywhere).await {
        Ok(found) => only(found.unwrap_or_default()),
        // Who may not look elsewhere has looked here.
        Err(_) => Ok(None),
    }
}

fn only(found: List<Deployment>) -> Looked<Option<Deployment>> {
    let names: Vec<String> = found.items.iter().map(|d| d.metadata.object().to_string()).collect();
    match names.len() {
        0 | 1 => Ok(found.items.into_iter().next()),
        _ => Err(format!("there are several, {}: name one with --namespace", names.join(", "))),
    }
}

/// The configuration that the Deployment mounts.
async fn config(client: &kube::Client, of: &Deployment) -> Looked<Config> {
    let mut why = "its Deployment mounts no ConfigMap with certdrift.yaml".to_owned();
    for volume in &of.spec.template.spec.volumes {
        let Some(map) = &volume.config_map else { continue };
        let path = format!("/api/v1/namespaces/{}/configmaps/{}", of.metadata.namespace, map.name);
        match get::<ConfigMap>(client, path).await {
            Ok(Some(map)) => {
                if let Some(text) = map.data.get(KEY) {
                    let name = format!("configmap {}", map.metadata.object());
                    return elsewhere(text, &name).map_err(|finding| finding.to_string());
                }
            }
            Ok(None) => why = format!("the ConfigMap {} is not there", map.name),
            Err(refused) => why = refused,
        }
    }
    Err(why)
}
