//! Gateway pods that take pushes as Kong does, and the stand-in for Kong's ingress controller that pushes to them.
use crate::cluster::Cluster;
use crate::image::Picture;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// Of the stand-in's metrics and faults.
const KIC_PORT: u16 = 10255;

/// Gateway pods and their ingress controller, installed by [`Cluster::kong`].
#[derive(Clone, Debug)]
pub struct Kong {
    cluster: Cluster,
    namespace: String,
}

/// A gateway's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPod {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

impl Cluster {
    /// Installs both in `namespace`: the Deployment `kong`, labelled `app: kong`, of so many gateway pods (TLS on 8443,
    /// `/status` on 8100, the tap on 8788 with the token that the Secret `certdrift-token` holds, if it is there), and the
    /// Deployment `kic`, which translates what is in the namespace `watched`. Does not wait: see [`Kong::ready`].
    ///
    /// # Errors
    /// The cluster has no node, an image cannot be made, or the API server refuses.
    pub fn kong(&self, namespace: &str, watched: &str, replicas: u32) -> Result<Kong> {
        for picture in [Picture::Gateway, Picture::Kic] {
            self.image(picture)?;
        }
        self.apply(&objects(namespace, watched, replicas))?;
        Ok(Kong { cluster: self.clone(), namespace: namespace.to_owned() })
    }
}

impl Kong {
    /// Waits until every gateway pod has a configuration.
    ///
    /// # Errors
    /// It takes longer than two minutes.
    pub fn ready(&self) -> Result<()> {
        for deployment in ["deployment/kic", "deployment/kong"] {
            let timeout = format!("--timeout={}s", PATIENCE.as_secs());
            let said =
                self.cluster.kubectl(&["rollout", "status", deployment, "-n", &self.namespace, &timeout]);
            if let Err(error) = said {
                bail!("{error:#}\n{}", self.log());
            }
        }
        Ok(())
    }

    /// The gateway's pods that are not on their way out, by name.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn pods(&self) -> Result<Vec<GatewayPod>> {
        let list =
            self.cluster.kubectl(&["get", "pods", "-n", &self.namespace, "-l", "app=kong", "-o", "json"])?;
        let list: Value = serde_json::from_str(&list)?;
        let text = |pod: &Value, path: &str| pod.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let mut pods: Vec<GatewayPod> = Vec::new();
        for pod in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            let found = (text(pod, "/metadata/name"), text(pod, "/status/podIP"));
            if let ((Some(name), Some(address)), None) = (found, text(pod, "/metadata/deletionTimestamp")) {
                pods.push(GatewayPod { name, address });
            }
        }
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pods)
    }

    /// Switches faults of the stand-in, all at once: `reject` (an Ingress that spoils the configuration), `fallback`,
    /// `lag` (seconds), `miss` (pods whose admin port refuses), `deaf` (Secrets whose changes are not heard of), `hang` (a
    /// pod); what is not named is off.
    ///
    /// # Errors
    /// It does not answer, or knows no such fault.
    pub fn faults(&self, faults: &Value) -> Result<()> {
        let said = self.ask(
            "/faults",
            &["-X", "PUT", "-H", "content-type: application/json", "-d", &faults.to_string()],
        )?;
        serde_json::from_str::<Value>(&said).with_context(|| said.clone()).map(drop)
    }

    /// The stand-in's metrics, by KIC's names.
    ///
    /// # Errors
    /// It does not answer.
    pub fn metrics(&self) -> Result<String> {
        self.ask("/metrics", &[])
    }

    fn ask(&self, path: &str, more: &[&str]) -> Result<String> {
        let address = self.cluster.kubectl(&[
            "get",
            "pods",
            "-n",
            &self.namespace,
            "-l",
            "app=kic",
            "-o",
            "jsonpath={.items[*].status.podIP}",
        ])?;
        let url = format!("http://{address}:{KIC_PORT}{path}");
        xtask::workspace::output(
            self.cluster
                .command("curl")?
                .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "10"])
                .args(more)
                .arg(url),
        )
    }

    /// What the stand-in has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let said = self.cluster.kubectl(&["logs", "deployment/kic", "-n", &self.namespace, "--tail=40"]);
        said.unwrap_or_else(|error| format!("{error:#}"))
    }
}

fn objects(namespace: &str, watched: &str, replicas: u32) -> String {
    let restricted = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = |picture: Picture, more: Value| {
        let mut container = json!({"name": "main", "image": picture.name(), "imagePullPolicy": "Never",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
        for (key, value) in more.as_object().into_iter().flatten() {
            container[key] = value.clone();
        }
        container
    };
    let deployment = |name: &str, replicas: u32, account: &str, container: Value, volumes: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"serviceAccountName": account, "automountServiceAccountToken": name == "kic",
                        "terminationGracePeriodSeconds": 1, "securityContext": restricted,
                        "containers": [container], "volumes": volumes}}}})
    };
    let http = |port: u16, path: &str| json!({"httpGet": {"port": port, "path": path}, "periodSeconds": 1});
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let role = |name: &str, place: &str, rules: Value| {
        [
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": name, "namespace": place}, "rules": rules}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": place},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "kic", "namespace": namespace}]}),
        ]
    };
    let events = json!({"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]});
    let mut items = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kic", "namespace": namespace}}),
        deployment(
            "kong",
            replicas,
            "default",
            container(
                Picture::Gateway,
                json!({
                "ports": [{"name": "proxy-tls", "containerPort": 8443}, {"name": "status", "containerPort": 8100}],
                "readinessProbe": http(8100, "/status/ready"),
                "volumeMounts": [{"name": "token", "mountPath": "/etc/certdrift-token"}]}),
            ),
            json!([{"name": "token", "secret": {"secretName": "certdrift-token", "optional": true}}]),
        ),
        deployment(
            "kic",
            1,
            "kic",
            container(
                Picture::Kic,
                json!({
                "env": [
                    {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                    {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
                    {"name": "KIC_GATEWAYS", "value": "app=kong"},
                    {"name": "KIC_NAMESPACE", "value": watched},
                ],
                "readinessProbe": http(KIC_PORT, "/readyz")}),
            ),
            json!([]),
        ),
    ];
    items.extend(role(
        "kic",
        namespace,
        json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}, events]),
    ));
    items.extend(role(
        "kic-watched",
        watched,
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["list"]}, events]),
    ));
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
