//! A workload's pods as their template describes them: images, environment, probes, volumes. Read once by who inspects a
//! gateway, never watched: [`super::pod::Pod`] is what is kept of thousands.
use super::Meta;
use super::object::{is_true, list};
use super::pod::{PodStatus, Port};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Deployment, as far as it is inspected.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Name and labels.
    pub metadata: Meta,
    /// Replicas and template.
    pub spec: DeploymentSpec,
    /// How many are ready.
    pub status: DeploymentStatus,
}

/// `spec` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DeploymentSpec {
    /// How many pods are wanted; 1 when absent.
    pub replicas: Option<u32>,
    /// What each is like.
    pub template: Template,
}

/// `status` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// Pods that are ready.
    pub ready_replicas: u32,
}

/// A pod's template, or a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Labels, and a pod's name.
    pub metadata: Meta,
    /// Containers and volumes.
    pub spec: TemplateSpec,
    /// Of a pod.
    pub status: PodStatus,
}

impl Template {
    /// Whether it is a pod that takes connections by its own word.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        is_true(&self.status.conditions, "Ready")
    }
}

/// `spec` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateSpec {
    /// Whose rights it has.
    pub service_account_name: Box<str>,
    /// In order.
    #[serde(deserialize_with = "list")]
    pub containers: Vec<Container>,
    /// In order.
    #[serde(deserialize_with = "list")]
    pub volumes: Vec<Volume>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: Box<str>,
    /// `REGISTRY/REPOSITORY:TAG@DIGEST`
    pub image: Box<str>,
    /// Its arguments.
    #[serde(deserialize_with = "list")]
    pub args: Vec<Box<str>>,
    /// In order; the last of a name wins.
    #[serde(deserialize_with = "list")]
    pub env: Vec<Variable>,
    /// Where volumes are.
    #[serde(deserialize_with = "list")]
    pub volume_mounts: Vec<Mount>,
    /// Restarts it.
    pub liveness_probe: Option<Probe>,
    /// Takes its traffic.
    pub readiness_probe: Option<Probe>,
    /// Holds the others back.
    pub startup_probe: Option<Probe>,
}

/// A variable of its environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// Its name.
    pub name: Box<str>,
    /// Empty where it comes from elsewhere (`valueFrom`).
    pub value: Box<str>,
}

/// Where a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Which volume.
    pub name: Box<str>,
    /// Where.
    pub mount_path: Box<str>,
    /// One file or folder of the volume only; empty: all of it.
    pub sub_path: Box<str>,
}

/// A probe of the kubelet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// By HTTP.
    pub http_get: Option<HttpGet>,
}

/// What an HTTP probe asks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HttpGet {
    /// Path.
    pub path: Box<str>,
    /// Port.
    pub port: Option<Port>,
}

/// A volume, as far as it is a Secret, a ConfigMap, or has several sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name.
    pub name: Box<str>,
    /// Of a Secret.
    pub secret: Option<SecretSource>,
    /// Of a ConfigMap.
    pub config_map: Option<NamedSource>,
}

/// A Secret as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretSource {
    /// In the pod's namespace.
    pub secret_name: Box<str>,
}

/// A ConfigMap as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamedSource {
    /// In the pod's namespace.
    pub name: Box<str>,
}

impl Container {
    /// What a variable says; none where it is not set, or not here.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|v| &*v.name == name).map(|v| &*v.value)
    }

    /// The name of the image without registry and version, and its tag: `kong`, `3.9.1`.
    #[must_use]
    pub fn image(&self) -> (&str, Option<&str>) {
        let image = self.image.split('@').next().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        match last.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (last, None),
        }
    }

    /// Its probes, by the word that Kubernetes has for each.
    pub fn probes(&self) -> impl Iterator<Item = (&'static str, &Probe)> {
        let all = [
            ("livenessProbe", &self.liveness_probe),
            ("readinessProbe", &self.readiness_probe),
            ("startupProbe", &self.startup_probe),
        ];
        all.into_iter().filter_map(|(word, probe)| Some((word, probe.as_ref()?)))
    }
}

impl TemplateSpec {
    /// The Secret whose volume holds this path, as a container sees it.
    #[must_use]
    pub fn secret_at<'a>(&'a self, container: &Container, path: &str) -> Option<&'a str> {
        let mount = mount_of(container, path)?;
        let volume = self.volumes.iter().find(|volume| volume.name == mount.name)?;
        volume.secret.as_ref().map(|secret| &*secret.secret_name)
    }

    /// Whether a path is in a mount that the kubelet never updates.
    #[must_use]
    pub fn is_sub_path(&self, container: &Container, path: &str) -> bool {
        mount_of(container, path).is_some_and(|mount| !mount.sub_path.is_empty())
    }
}

/// The deepest mount that holds a path.
fn mount_of<'a>(container: &'a Container, path: &str) -> Option<&'a Mount> {
    let holds = |mount: &&Mount| {
        let rest = path.strip_prefix(mount.mount_path.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    container.volume_mounts.iter().filter(holds).max_by_key(|m| m.mount_path.len())
}

/// A list of objects of one kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct List<T> {
    /// All of them.
    #[serde(default = "Vec::new")]
    pub items: Vec<T>,
}

/// A ConfigMap with what it holds as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Name.
    pub metadata: Meta,
    /// By key.
    pub data: BTreeMap<Box<str>, Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_its_last_name_and_its_tag_whatever_the_registry() {
        let image = |image: &str| {
            let container = Container { image: image.into(), ..Container::default() };
            let (name, tag) = container.image();
            format!("{name} {}", tag.unwrap_or("-"))
        };
        assert_eq!(image("kong:3.9.1"), "kong 3.9.1");
        assert_eq!(
            image("registry.local:5000/kong/kubernetes-ingress-controller:3.5.13@sha256:abc"),
            "kubernetes-ingress-controller 3.5.13"
        );
        assert_eq!(image("registry.local:5000/kong@sha256:abc"), "kong -");
    }

    #[test]
    fn the_secret_of_a_path_is_that_of_the_deepest_mount() {
        let spec: TemplateSpec = serde_json::from_str(
            r#"{"containers": [{"volumeMounts": [{"name": "a", "mountPath": "/etc"}, {"name": "b", "mountPath": "/etc/secrets/d"}]}],
                "volumes": [{"name": "a", "configMap": {"name": "x"}}, {"name": "b", "secret": {"secretName": "default-tls"}}]}"#,
        )
        .unwrap();
        let at = |path: &str| spec.secret_at(&spec.containers[0], path);
        assert_eq!(at("/etc/secrets/d/tls.crt"), Some("default-tls"));
        assert_eq!(at("/etc/other"), None);
    }
}
