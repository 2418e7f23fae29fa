//! The controller as an account that may do what docs/permissions.md lists for its features, and nothing else: it is
//! never refused anything.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::{ingress, inside, published, secret};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the features of this test need, in the namespace: group, kinds, verbs.
const IN_NAMESPACE: [(&str, &str, &str); 7] = [
    ("", "secrets", "list watch"),
    ("", "pods", "list watch"),
    ("", "configmaps", "list watch create patch delete"),
    ("networking.k8s.io", "ingresses", "list watch"),
    ("cert-manager.io", "certificates certificaterequests", "list watch"),
    ("coordination.k8s.io", "leases", "get create patch"),
    ("events.k8s.io", "events", "create get patch"),
];
/// And in the whole cluster.
const IN_CLUSTER: [(&str, &str, &str); 2] = [
    ("networking.k8s.io", "ingressclasses", "list watch"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
];

fn rules(of: &[(&str, &str, &str)]) -> Vec<Value> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    of.iter()
        .map(|(group, kinds, verbs)| json!({"apiGroups": [group], "resources": words(kinds), "verbs": words(verbs)}))
        .collect()
}

/// An account with these permissions, and a kubeconfig that is it.
fn account(cluster: &Cluster, n: &str, folder: &std::path::Path) -> std::path::PathBuf {
    let rbac = "rbac.authorization.k8s.io/v1";
    let (wide, subject) =
        (format!("certdrift-{n}"), json!([{"kind": "ServiceAccount", "name": "certdrift", "namespace": n}]));
    let bound =
        |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "certdrift", "namespace": n}},
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": "certdrift", "namespace": n}, "rules": rules(&IN_NAMESPACE)},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "certdrift", "namespace": n},
            "roleRef": bound("Role", "certdrift"), "subjects": subject},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": wide}, "rules": rules(&IN_CLUSTER)},
        {"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": wide},
            "roleRef": bound("ClusterRole", &wide), "subjects": subject},
    ]});
    cluster.apply(&objects.to_string()).unwrap();
    let config = cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"]["as"] = format!("system:serviceaccount:{n}:certdrift").into();
    let path = folder.join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
fn an_account_with_no_more_than_its_features_need_is_refused_nothing() {
    inside(|cluster| {
        let namespace = cluster.namespace("least").unwrap();
        let n = namespace.name();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = account(&cluster, n, folder.path());
        let (object, leaf) = secret(n, "s", "x.example");
        cluster.apply(&object).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let mark = cluster.audit_mark().unwrap();
        let sections = format!(
            "kubernetes: {{kubeconfig: {}, namespace: {n}, reach: namespaces, namespaces: [{n}]}}",
            kubeconfig.display()
        );
        let gateway = format!(
            "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{}}}}, pods: {{labels: {{app: kong}}}}}}\n"
        );
        let controller = Controller::start_with(&sections, &gateway).unwrap();
        wait::until("the ConfigMap", PATIENCE, || match published(&cluster, n, "kong") {
            Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(()),
            other => Err(format!("{other:#?}\n{}", controller.log())),
        });
        cluster.kubectl(&["delete", "configmap", "certdrift-ledger-kong", "-n", n]).unwrap();
        let lacking = ingress(n, "y.example", "none").replace(r#""name":"i""#, r#""name":"lacking""#);
        cluster.apply(&lacking).unwrap();
        wait::until("an Event on the Ingress", PATIENCE, || {
            let events =
                cluster.kubectl(&["get", "events", "-n", n, "-o", "wide"]).map_err(|e| e.to_string())?;
            let told = events.contains("CD-152") && events.contains("ingress/lacking");
            if told { Ok(()) } else { Err(format!("{events}\n{}", controller.log())) }
        });
        published(&cluster, n, "kong").unwrap();
        let user = format!("system:serviceaccount:{n}:certdrift");
        let asked: Vec<_> =
            cluster.audit_since(mark).unwrap().into_iter().filter(|r| r.user() == user).collect();
        let refused: Vec<_> = asked.iter().filter(|r| matches!(r.code(), 401 | 403)).collect();
        assert!(refused.is_empty(), "{refused:#?}\n{}", controller.log());
        let used: BTreeSet<String> =
            asked.iter().map(|r| format!("{} {}", r.verb, r.object.resource)).collect();
        for wanted in [
            "watch secrets",
            "watch pods",
            "patch configmaps",
            "list configmaps",
            "patch leases",
            "create events",
        ] {
            assert!(used.contains(wanted), "{wanted}: {used:#?}");
        }
        let _ = cluster.kubectl(&["delete", "clusterrole,clusterrolebinding", &format!("certdrift-{n}")]);
    });
}
