//! The doctor beside a real API server: an installation as it has to be passes; whatever is taken away is named, and the
//! commands that it prints mend it.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Cluster, Kind, Own};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::program::run;
use certdrift_tests::wait;
use cluster::{ingress, inside_of, secret};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");

/// An installation, as the chart would make it, whose controller runs beside the cluster: there is no node.
struct Installed<'a> {
    cluster: &'a Cluster,
    own: String,
    gateway: String,
    folder: tempfile::TempDir,
}

impl<'a> Installed<'a> {
    fn new(cluster: &'a Cluster, own: &str, gateway: &str) -> Self {
        Self {
            cluster,
            own: own.to_owned(),
            gateway: gateway.to_owned(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn configuration(&self, kubeconfig: &str) -> String {
        let Self { own, gateway: n, .. } = self;
        format!(
            "kubernetes: {{{kubeconfig}namespace: {own}, reach: namespaces, namespaces: [{n}], lease: certdrift}}
gateways:
- name: kong
  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}}}
  endpoints: [{{name: none, address: \"127.0.0.1:9\"}}]
"
        )
    }

    /// Account and roles, as docs/permissions.md has them, configuration, and a Deployment that says it is ready.
    fn install(&self) {
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
                "data": {"certdrift.yaml": self.configuration("")}}),
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
        self.says_it_is_ready(1);
    }

    /// Stands in for the controllers of Deployments, which are not there.
    fn says_it_is_ready(&self, replicas: u32) {
        let patch =
            json!({"status": {"replicas": 1, "readyReplicas": replicas, "availableReplicas": replicas}})
                .to_string();
        let arguments = [
            "patch",
            "deployment/certdrift",
            "-n",
            &self.own,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &patch,
        ];
        self.cluster.kubectl(&arguments).unwrap();
    }

    /// The controller, as the account of the installation.
    fn start(&self) -> Controller {
        let config = self.cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"]["as"] = format!("system:serviceaccount:{}:certdrift", self.own).into();
        let kubeconfig = self.file("kubeconfig", &config.to_string());
        let text = self.configuration(&format!("kubeconfig: {}, ", kubeconfig.display()));
        let (sections, gateways) = text.split_once("gateways:\n").unwrap();
        Controller::start_with(sections, gateways).unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// What the doctor says, with its exit code, asked by an administrator who has nothing but a kubeconfig.
    fn doctor(&self, more: &[&str]) -> Said {
        let kubeconfig = self.cluster.kubeconfig().display().to_string();
        let mut arguments =
            vec!["doctor", "--kubeconfig", &kubeconfig, "--namespace", &self.own, "-o", "json"];
        arguments.extend(more);
        let ran = run(CERTDRIFT, &arguments);
        let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        Said { code: ran.code, report }
    }

    /// Runs the lines of a mend, as they stand there.
    fn do_as_it_says(&self, mend: &str) {
        for line in mend.lines() {
            let words: Vec<&str> =
                line.strip_prefix("kubectl ").unwrap_or_else(|| panic!("{mend}")).split(' ').collect();
            self.cluster.kubectl(&words).unwrap();
        }
    }
}

#[derive(Debug)]
struct Said {
    code: Option<i32>,
    report: Value,
}

impl Said {
    fn of(&self, check: &str) -> Vec<&Value> {
        self.report["checks"].as_array().unwrap().iter().filter(|line| line["check"] == check).collect()
    }

    /// The one outcome of this check.
    #[track_caller]
    fn one(&self, check: &str) -> &Value {
        let [one] = self.of(check)[..] else { panic!("{check}: {self:#?}") };
        one
    }

    /// The names of the checks with an outcome that is not `passed`.
    fn not_passed(&self) -> Vec<&str> {
        let lines = self.report["checks"].as_array().unwrap();
        lines.iter().filter(|l| l["state"] != "passed").map(|l| l["check"].as_str().unwrap()).collect()
    }
}

fn alone(name: &str, test: impl FnOnce(&Cluster) + Send + 'static) {
    let own = Own::start(name, Kind::ApiOnly).unwrap();
    own.cert_manager_crds().unwrap();
    inside_of((*own).clone(), move |cluster| test(&cluster));
}

/// As cert-manager's chart would: a ready controller, and its rights on Secrets.
fn cert_manager(cluster: &Cluster) {
    let _ = cluster.kubectl(&["create", "namespace", "cert-manager"]);
    let verbs = "--verb=get,list,watch,create,update,patch,delete";
    for arguments in [
        &["create", "serviceaccount", "cert-manager", "-n", "cert-manager"][..],
        &["create", "clusterrole", "cert-manager", verbs, "--resource=secrets"],
        &[
            "create",
            "clusterrolebinding",
            "cert-manager",
            "--clusterrole=cert-manager",
            "--serviceaccount=cert-manager:cert-manager",
        ],
    ] {
        cluster.kubectl(arguments).unwrap();
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cert-manager-0", "namespace": "cert-manager"},
        "spec": {"serviceAccountName": "cert-manager", "automountServiceAccountToken": false,
            "containers": [{"name": "c", "image": "quay.io/jetstack/cert-manager-controller:v1.21.2"}]}});
    cluster.apply(&pod.to_string()).unwrap();
    let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
        .to_string();
    let patch = [
        "patch",
        "pod/cert-manager-0",
        "-n",
        "cert-manager",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &ready,
    ];
    cluster.kubectl(&patch).unwrap();
}

#[test]
fn what_is_as_it_has_to_be_passes_and_what_is_taken_away_is_named_with_its_mend() {
    alone("doctor", |cluster| {
        cert_manager(cluster);
        let (own, gateway) = (cluster.namespace("own").unwrap(), cluster.namespace("gw").unwrap());
        let installed = Installed::new(cluster, own.name(), gateway.name());
        let none = installed.doctor(&[]);
        assert_eq!(
            (none.code, none.one("deployment")["code"].as_str()),
            (Some(1), Some("CD-549")),
            "{none:#?}"
        );
        installed.install();
        let (object, _) = secret(gateway.name(), "s", "x.example");
        cluster.apply(&object).unwrap();
        cluster.apply(&ingress(gateway.name(), "x.example", "s")).unwrap();
        let mut controller = installed.start();
        wait::until("all to pass", PATIENCE, || {
            let said = installed.doctor(&[]);
            if said.not_passed().is_empty() && said.code == Some(0) {
                Ok(())
            } else {
                Err(format!("{said:#?}\n{}", controller.log()))
            }
        });
        takes_rights_away(&installed);
        // The controller is gone: its Lease ends.
        controller.kill();
        installed.says_it_is_ready(0);
        cluster.kubectl(&["delete", "configmap", "certdrift-ledger-kong", "-n", gateway.name()]).unwrap();
        let said = installed.doctor(&["--only", "certdrift"]);
        assert_eq!(said.code, Some(1));
        assert_eq!(said.one("deployment")["what"], "0 of 1 replicas are ready");
        assert_eq!(said.one("ledgers")["code"], "CD-550", "{said:#?}");
        wait::until("the Lease to have ended", PATIENCE, || {
            let said = installed.doctor(&["--only", "lease"]);
            if said.one("lease")["code"] == "CD-551" { Ok(()) } else { Err(said) }
        });
    });
}

fn takes_rights_away(installed: &Installed<'_>) {
    let cluster = installed.cluster;
    // certdrift's: of the Role in the gateway's namespace the third rule, `secrets`.
    let n = installed.gateway.clone();
    let taken = json!([{"op": "remove", "path": "/rules/2"}]).to_string();
    cluster.kubectl(&["patch", "role/certdrift", "-n", &n, "--type=json", "--patch", &taken]).unwrap();
    let said = installed.doctor(&["--only", "rights"]);
    let line = said.one("rights");
    assert_eq!((said.code, &line["code"]), (Some(1), &json!("CD-541")), "{said:#?}");
    assert_eq!(line["what"], format!("may not list, watch secrets in {n}"));
    installed.do_as_it_says(line["mend"].as_str().unwrap());
    assert_eq!(installed.doctor(&["--only", "rights"]).code, Some(0));
    // cert-manager's: only the verb by which it stores.
    let verbs = json!([{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "watch", "create", "update", "delete"]}]);
    let patch = ["patch", "clusterrole/cert-manager", "--type=json", "--patch", &verbs.to_string()];
    cluster.kubectl(&patch).unwrap();
    let said = installed.doctor(&["--only", "cert-manager-rights"]);
    let line = said.one("cert-manager-rights");
    assert_eq!(
        (&line["code"], &line["what"]),
        (&json!("CD-543"), &json!(format!("may not patch secrets in {n}")))
    );
    installed.do_as_it_says(line["mend"].as_str().unwrap());
    assert_eq!(installed.doctor(&["--only", "cert-manager-rights"]).code, Some(0));
    // cert-manager itself.
    cluster.kubectl(&["delete", "pod", "cert-manager-0", "-n", "cert-manager", "--now"]).unwrap();
    let said = installed.doctor(&["--only", "cert-manager"]);
    assert_eq!((said.code, &said.one("cert-manager")["code"]), (Some(0), &json!("CD-545")), "{said:#?}");
}

#[test]
fn before_an_installation_it_says_whether_this_user_may_install_and_what_is_missing() {
    let own = Own::start("doctorpre", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| {
        let namespace = cluster.namespace("pre").unwrap();
        let installed = Installed::new(&cluster, namespace.name(), namespace.name());
        let said = installed.doctor(&["--pre"]);
        assert_eq!(said.one("cert-manager-kinds")["code"], "CD-544", "{said:#?}");
        assert_eq!(said.one("install-rights")["state"], "passed", "{said:#?}");
        assert!(said.of("deployment").is_empty() && said.of("rights").is_empty());
        assert_eq!(said.code, Some(0), "warnings only: {said:#?}");
        // Somebody who may do nothing.
        let kubeconfig = as_nobody(&cluster, installed.folder.path());
        let ran = run(CERTDRIFT, &["doctor", "--pre", "--kubeconfig", &kubeconfig, "-o", "short"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("install-rights: CD-542 user nobody: may not create"), "{ran:?}");
        // No API server at all.
        let gone = std::fs::read_to_string(&kubeconfig)
            .unwrap()
            .replace(&cluster.api_address().to_string(), "127.0.0.1:9");
        let gone = installed.file("gone", &gone).display().to_string();
        let ran = run(CERTDRIFT, &["doctor", "--kubeconfig", &gone]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stdout.contains("? api-server: could not look, because "), "{ran:?}");
        assert!(ran.stdout.contains("\n0 passed, 0 warnings, 0 failed, "), "{ran:?}");
    });
}

fn as_nobody(cluster: &Cluster, folder: &Path) -> String {
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = "nobody".into();
    let file = folder.join("nobody");
    std::fs::write(&file, config.to_string()).unwrap();
    file.display().to_string()
}
