//! An installation in a cluster without a node, and the doctor asked about it.
use certdrift_cluster::Cluster;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::program::run;
use certdrift_tests::wait;
use serde_json::{Value, json};
use std::path::PathBuf;

pub(super) const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");

/// As the chart writes it: files that are in the controller's pod only.
const ELSEWHERE: &str = "listen: {address: \"0.0.0.0:9480\", token: {file: /etc/certdrift/token/token}, tls: {certificate: /etc/certdrift/tls/tls.crt, key: /etc/certdrift/tls/tls.key}}
";

/// Stands in for the kubelet: waits for the one pod with this label, and says that it runs on this machine.
pub(super) fn kubelet_says(cluster: &Cluster, n: &str, label: &str, ready: bool) {
    let pod = wait::until("the pod", PATIENCE, || {
        let said = cluster
            .kubectl(&["get", "pods", "-n", n, "-l", label, "-o", "name"])
            .map_err(|e| e.to_string())?;
        said.lines().next().map(str::to_owned).ok_or(said.clone())
    });
    let ready = if ready { "True" } else { "False" };
    let status = json!({"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": [{"type": "Ready", "status": ready}]}});
    let status = status.to_string();
    let patch = ["patch", &pod, "-n", n, "--subresource=status", "--type=merge", "--patch", &status];
    cluster.kubectl(&patch).unwrap();
}

/// An installation, as the chart would make it, whose controller runs beside the cluster: there is no node.
pub(super) struct Installed<'a> {
    pub(super) cluster: &'a Cluster,
    own: String,
    pub(super) gateway: String,
    pub(super) folder: tempfile::TempDir,
    /// More keys of the gateway's section `kubernetes`.
    pub(super) more: String,
}

impl<'a> Installed<'a> {
    pub(super) fn new(cluster: &'a Cluster, own: &str, gateway: &str) -> Self {
        Self {
            cluster,
            own: own.to_owned(),
            gateway: gateway.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            more: String::new(),
        }
    }

    fn configuration(&self, kubeconfig: &str) -> String {
        let Self { own, gateway: n, more, .. } = self;
        format!(
            "kubernetes: {{{kubeconfig}namespace: {own}, reach: namespaces, namespaces: [{n}], lease: certdrift}}
gateways:
- name: kong
  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}{more}}}
  endpoints: [{{name: none, address: \"127.0.0.1:9\"}}]
"
        )
    }

    /// Account and roles, as docs/permissions.md has them, configuration, and a Deployment that says it is ready.
    pub(super) fn install(&self) {
        let Self { own, gateway, .. } = self;
        let rbac = "rbac.authorization.k8s.io/v1";
        let rule = |group: &str, kinds: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": kinds, "verbs": verbs});
        let follow = ["list", "watch"];
        let inner = json!([
            rule("coordination.k8s.io", &["leases"], &["get", "create", "patch"]),
            rule("", &["configmaps"], &["list", "watch", "create", "patch", "delete"]),
            rule("", &["secrets"], &follow),
            rule("networking.k8s.io", &["ingresses"], &follow),
            rule("cert-manager.io", &["certificates", "certificaterequests"], &follow),
            rule("events.k8s.io", &["events"], &["create", "get", "patch"]),
        ]);
        let outer = json!([
            rule("networking.k8s.io", &["ingressclasses"], &follow),
            rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
        ]);
        let subjects = json!([{"kind": "ServiceAccount", "name": "certdrift", "namespace": own}]);
        let wide = format!("{own}-certdrift");
        let mut items = vec![
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "certdrift", "namespace": own}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "certdrift", "namespace": own},
                "data": {"certdrift.yaml": format!("{ELSEWHERE}{}", self.configuration(""))}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "certdrift", "namespace": own, "labels": {"app.kubernetes.io/name": "certdrift", "app.kubernetes.io/instance": "certdrift"}},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                    "spec": {"serviceAccountName": "certdrift", "containers": [{"name": "certdrift", "image": "certdrift:0.1.0"}],
                        "volumes": [{"name": "config", "configMap": {"name": "certdrift"}}]}}}}),
            json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": wide}, "rules": outer}),
            json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": wide},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": wide}, "subjects": subjects}),
        ];
        for n in [own, gateway] {
            items.push(json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "certdrift", "namespace": n}, "rules": inner}));
            items.push(json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "certdrift", "namespace": n},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "certdrift"}, "subjects": subjects}));
        }
        self.cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
        self.says_it_is_ready(true);
    }

    /// Of its pod, by the kubelet that is not there.
    pub(super) fn says_it_is_ready(&self, ready: bool) {
        kubelet_says(self.cluster, &self.own, "a=b", ready);
    }

    /// The controller, as the account of the installation.
    pub(super) fn start(&self) -> Controller {
        let config = self.cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"]["as"] = format!("system:serviceaccount:{}:certdrift", self.own).into();
        let kubeconfig = self.file("kubeconfig", &config.to_string());
        let text = self.configuration(&format!("kubeconfig: {}, ", kubeconfig.display()));
        let (sections, gateways) = text.split_once("gateways:\n").unwrap();
        Controller::start_with(sections, gateways).unwrap()
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// What the doctor says, with its exit code, asked by an administrator who has nothing but a kubeconfig.
    pub(super) fn doctor(&self, more: &[&str]) -> Said {
        let kubeconfig = self.cluster.kubeconfig().display().to_string();
        let mut arguments =
            vec!["doctor", "--kubeconfig", &kubeconfig, "--namespace", &self.own, "-o", "json"];
        arguments.extend(more);
        let ran = run(CERTDRIFT, &arguments);
        let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        Said { code: ran.code, report }
    }

    /// Runs the lines of a mend, as they stand there.
    pub(super) fn do_as_it_says(&self, mend: &str) {
        for line in mend.lines() {
            // As a shell would take a word in single quotes away from them.
            let line = line.replace('\'', "");
            let words: Vec<&str> =
                line.strip_prefix("kubectl ").unwrap_or_else(|| panic!("{mend}")).split(' ').collect();
            self.cluster.kubectl(&words).unwrap();
        }
    }
}

#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: Option<i32>,
    report: Value,
}

impl Said {
    pub(super) fn of(&self, check: &str) -> Vec<&Value> {
        self.report["checks"].as_array().unwrap().iter().filter(|line| line["check"] == check).collect()
    }

    /// The one outcome of this check.
    #[track_caller]
    pub(super) fn one(&self, check: &str) -> &Value {
        let [one] = self.of(check)[..] else { panic!("{check}: {self:#?}") };
        one
    }

    /// The names of the checks with an outcome that is not `passed`.
    pub(super) fn not_passed(&self) -> Vec<&str> {
        let lines = self.report["checks"].as_array().unwrap();
        lines.iter().filter(|l| l["state"] != "passed").map(|l| l["check"].as_str().unwrap()).collect()
    }
}
