//! The controller as an account that may do what docs/permissions.md lists, and nothing else: it is
//! never refused anything.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::{ingress, inside, published, secret};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A row of docs/permissions.md.
struct Row {
    place: String,
    group: String,
    kinds: Vec<String>,
    verbs: Vec<String>,
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(xtask::workspace::root().join("docs/permissions.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, place, group, kinds, verbs] = cells[..] else { panic!("five cells: {line}") };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let group = if group == "core" { "" } else { group };
        Row { place: place.to_owned(), group: group.to_owned(), kinds: words(kinds), verbs: words(verbs) }
    });
    let rows: Vec<Row> = rows.collect();
    assert!(rows.len() >= 14, "{} rows", rows.len());
    rows
}

/// The rules of the rows whose place is the cluster, or is not.
fn rules(in_cluster: bool) -> Vec<Value> {
    let rows = rows().into_iter().filter(|row| (row.place == "cluster") == in_cluster);
    rows.map(|row| json!({"apiGroups": [row.group], "resources": row.kinds, "verbs": row.verbs})).collect()
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
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": "certdrift", "namespace": n}, "rules": rules(false)},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "certdrift", "namespace": n},
            "roleRef": bound("Role", "certdrift"), "subjects": subject},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": wide}, "rules": rules(true)},
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
            "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{}}, gateway_api: {{controller: a/b, dialect: standard}}, secrets: any}}, pods: {{service: kong}}}}\n"
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
        for row in rows().iter().filter(|row| row.group != "authorization.k8s.io") {
            for kind in &row.kinds {
                let is_used = row.verbs.iter().any(|verb| used.contains(&format!("{verb} {kind}")));
                assert!(is_used, "{kind} is granted and not used: {used:#?}");
            }
        }
        let _ = cluster.kubectl(&["delete", "clusterrole,clusterrolebinding", &format!("certdrift-{n}")]);
    });
}
