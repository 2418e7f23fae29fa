//! Which certificates a pod reads once, at its start: what is in its environment, what is mounted by `subPath` (the kubelet
//! never renews that), and what a vault gives.
use super::super::object::list;
use super::{Container, ContainerPort, PodSpec};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The variables that name Kong's default certificate.
const DEFAULT: [&str; 2] = ["KONG_SSL_CERT", "KONG_SSL_CERT_KEY"];

/// What only a restart brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOnce {
    /// Names of Secrets, in the pod's namespace.
    pub secrets: BTreeSet<Box<str>>,
    /// The certificate that Kong serves where no host matches.
    pub default: bool,
}

/// `spec`, as far as it is read; not kept.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    #[serde(deserialize_with = "list")]
    containers: Vec<Written>,
    #[serde(deserialize_with = "list")]
    volumes: Vec<Volume>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    #[serde(deserialize_with = "list")]
    ports: Vec<ContainerPort>,
    #[serde(deserialize_with = "list")]
    env: Vec<Variable>,
    #[serde(deserialize_with = "list")]
    env_from: Vec<EveryVariable>,
    #[serde(deserialize_with = "list")]
    volume_mounts: Vec<Mount>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Variable {
    name: Box<str>,
    value: Option<Box<str>>,
    value_from: ValueFrom,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ValueFrom {
    secret_key_ref: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EveryVariable {
    secret_ref: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Mount {
    name: Box<str>,
    mount_path: Box<str>,
    sub_path: Box<str>,
    sub_path_expr: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Volume {
    name: Box<str>,
    secret: Option<SecretVolume>,
    projected: Option<Projected>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SecretVolume {
    secret_name: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Projected {
    #[serde(deserialize_with = "list")]
    sources: Vec<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    secret: Option<Named>,
}

impl Mount {
    fn is_by_sub_path(&self) -> bool {
        !self.sub_path.is_empty() || !self.sub_path_expr.is_empty()
    }

    /// Whether a file lies in it.
    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&*self.mount_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Volume {
    fn secrets(&self) -> impl Iterator<Item = &Box<str>> {
        let projected = self.projected.iter().flat_map(|p| &p.sources).filter_map(|s| s.secret.as_ref());
        self.secret.iter().map(|s| &s.secret_name).chain(projected.map(|s| &s.name))
    }
}

impl From<Spec> for PodSpec {
    fn from(spec: Spec) -> Self {
        let mut read_once = ReadOnce::default();
        for container in &spec.containers {
            let by_variable = container.env.iter().filter_map(|v| v.value_from.secret_key_ref.as_ref());
            let all = container.env_from.iter().filter_map(|from| from.secret_ref.as_ref());
            read_once.secrets.extend(by_variable.chain(all).map(|secret| secret.name.clone()));
            let frozen = || container.volume_mounts.iter().filter(|mount| mount.is_by_sub_path());
            for mount in frozen() {
                let volume = spec.volumes.iter().filter(|volume| volume.name == mount.name);
                read_once.secrets.extend(volume.flat_map(Volume::secrets).cloned());
            }
            let default = container.env.iter().filter(|v| DEFAULT.contains(&&*v.name));
            let inline = |text: &str| text.contains("-----BEGIN") || text.trim_start().starts_with("{vault:");
            read_once.default |= default.into_iter().any(|variable| {
                variable.value_from.secret_key_ref.is_some()
                    || variable.value.as_deref().is_some_and(|value| {
                        inline(value)
                            || value.split(',').any(|path| frozen().any(|mount| mount.holds(path.trim())))
                    })
            });
        }
        let containers =
            spec.containers.into_iter().map(|container| Container { ports: container.ports }).collect();
        Self { containers, read_once }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(container: &serde_json::Value) -> (Vec<String>, bool) {
        let spec = json!({"containers": [container], "volumes": [
            {"name": "tls", "secret": {"secretName": "web-tls"}},
            {"name": "all", "projected": {"sources": [{"secret": {"name": "one"}}, {"configMap": {"name": "two"}}]}},
            {"name": "empty", "emptyDir": {}}]});
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        (spec.read_once.secrets.iter().map(ToString::to_string).collect(), spec.read_once.default)
    }

    fn none() -> (Vec<String>, bool) {
        (Vec::new(), false)
    }

    #[test]
    fn a_mount_of_a_whole_volume_is_renewed_and_one_by_sub_path_is_not() {
        let mount = |name: &str, sub: &str| json!({"volumeMounts": [{"name": name, "mountPath": "/tls", "subPath": sub}]});
        assert_eq!(read(&mount("tls", "")), none());
        assert_eq!(read(&mount("tls", "tls.crt")), (vec!["web-tls".to_owned()], false));
        assert_eq!(read(&mount("all", "x")), (vec!["one".to_owned()], false));
        assert_eq!(read(&mount("empty", "x")), none());
    }

    #[test]
    fn what_is_in_the_environment_is_read_once() {
        let by_key = json!({"env": [{"name": "CERT", "valueFrom": {"secretKeyRef": {"name": "web-tls", "key": "tls.crt"}}}]});
        assert_eq!(read(&by_key), (vec!["web-tls".to_owned()], false));
        assert_eq!(read(&json!({"envFrom": [{"secretRef": {"name": "a"}}]})), (vec!["a".to_owned()], false));
        assert_eq!(read(&json!({"env": [{"name": "CERT", "value": "x"}], "envFrom": null})), none());
    }

    #[test]
    fn kongs_default_certificate_is_read_once_where_it_is_no_file_that_is_renewed() {
        let kong = |value: &str, sub: &str| {
            read(&json!({"env": [{"name": "KONG_SSL_CERT", "value": value}],
                "volumeMounts": [{"name": "tls", "mountPath": "/tls", "subPath": sub}]}))
            .1
        };
        assert!(!kong("/tls/tls.crt", ""));
        assert!(kong("/tls/tls.crt", "tls.crt"));
        assert!(kong("/other.crt, /tls", "tls.crt"));
        assert!(!kong("/tlsx/tls.crt", "tls.crt"), "another folder");
        assert!(kong("-----BEGIN CERTIFICATE-----", ""));
        assert!(kong("{vault://env/cert}", ""));
    }
}
