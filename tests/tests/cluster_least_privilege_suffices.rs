//! The controller as an account that may do what docs/permissions.md lists, and nothing else: it is
//! never refused anything. One that lacks a rule says which.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_contract::Fingerprint;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::{ingress, inside, published, secret};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Asked only in trouble: once a certificate was signed and not stored.
fn is_for_trouble(row: &Row) -> bool {
    row.group == "authorization.k8s.io"
}

/// A row of docs/permissions.md. Those of remedies are for `cluster_remedies`.
#[derive(Clone, PartialEq)]
struct Row {
    place: String,
    group: String,
    kinds: Vec<String>,
    verbs: Vec<String>,
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(xtask::workspace::root().join("docs/permissions.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("among the remedies"));
    let rows = rows.skip(1).map(|line| {
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
fn rules(rows: &[Row], in_cluster: bool) -> Vec<Value> {
    let rows = rows.iter().filter(|row| (row.place == "cluster") == in_cluster);
    rows.map(|row| json!({"apiGroups": [row.group], "resources": row.kinds, "verbs": row.verbs})).collect()
}

/// An account with these permissions, and a kubeconfig that is it; taken away when dropped.
struct Account<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    name: String,
    folder: tempfile::TempDir,
}

impl<'a> Account<'a> {
    fn new(cluster: &'a Cluster, n: &'a str, name: &str, rows: &[Row]) -> Self {
        let rbac = "rbac.authorization.k8s.io/v1";
        let wide = format!("{n}-{name}");
        let subject = json!([{"kind": "ServiceAccount", "name": name, "namespace": n}]);
        let bound = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": n}},
            {"apiVersion": rbac, "kind": "Role", "metadata": {"name": name, "namespace": n}, "rules": rules(rows, false)},
            {"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": name, "namespace": n},
                "roleRef": bound("Role", name), "subjects": subject},
            {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": wide}, "rules": rules(rows, true)},
            {"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": wide},
                "roleRef": bound("ClusterRole", &wide), "subjects": subject},
        ]});
        cluster.apply(&objects.to_string()).unwrap();
        let config = cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let account = Self { cluster, namespace: n, name: name.to_owned(), folder };
        config["users"][0]["user"]["as"] = account.user().into();
        std::fs::write(account.kubeconfig(), config.to_string()).unwrap();
        account
    }

    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    fn kubeconfig(&self) -> std::path::PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A controller that is this account and uses every feature; Lease and gateway are called like the account.
    fn start(&self) -> Controller {
        let Self { namespace: n, name, .. } = self;
        let sections = format!(
            "kubernetes: {{kubeconfig: {}, namespace: {n}, reach: namespaces, namespaces: [{n}], lease: {name}}}",
            self.kubeconfig().display()
        );
        let bindings = "kong_ingress: {}, gateway_api: {controller: a/b, dialect: standard}, secrets: any";
        let gateway = format!(
            "- name: {name}\n  kubernetes: {{namespace: {n}, bindings: {{{bindings}}}, pods: {{service: kong}}, ingress_controller: {{metrics: {{labels: {{app: kic}}}}}}}}\n"
        );
        Controller::start_with(&sections, &gateway).unwrap()
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        let wide = format!("{}-{}", self.namespace, self.name);
        let _ = self.cluster.kubectl(&["delete", "clusterrole,clusterrolebinding", &wide]);
    }
}

/// A bound Secret, and an Ingress that lacks one: something to publish, and something to tell. Gives the fingerprint.
fn objects(cluster: &Cluster, n: &str) -> Fingerprint {
    let (object, leaf) = secret(n, "s", "x.example");
    cluster.apply(&object).unwrap();
    cluster.apply(&ingress(n, "x.example", "s")).unwrap();
    let lacking = ingress(n, "y.example", "none").replace(r#""name":"i""#, r#""name":"lacking""#);
    cluster.apply(&lacking).unwrap();
    leaf
}

#[test]
fn an_account_with_no_more_than_its_features_need_is_refused_nothing() {
    inside(|cluster| {
        let namespace = cluster.namespace("least").unwrap();
        let n = namespace.name();
        let leaf = objects(&cluster, n);
        let account = Account::new(&cluster, n, "certdrift", &rows());
        let mark = cluster.audit_mark().unwrap();
        let controller = account.start();
        wait::until("the ConfigMap", PATIENCE, || match published(&cluster, n, "certdrift") {
            Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(()),
            other => Err(format!("{other:#?}\n{}", controller.log())),
        });
        cluster.kubectl(&["delete", "configmap", "certdrift-ledger-certdrift", "-n", n]).unwrap();
        wait::until("an Event on the Ingress", PATIENCE, || {
            let events =
                cluster.kubectl(&["get", "events", "-n", n, "-o", "wide"]).map_err(|e| e.to_string())?;
            let told = events.contains("CD-152") && events.contains("ingress/lacking");
            if told { Ok(()) } else { Err(format!("{events}\n{}", controller.log())) }
        });
        published(&cluster, n, "certdrift").unwrap();
        let asked = cluster.audit_since(mark).unwrap();
        let asked: Vec<_> = asked.into_iter().filter(|r| r.user() == account.user()).collect();
        let refused: Vec<_> = asked.iter().filter(|r| matches!(r.code(), 401 | 403)).collect();
        assert!(refused.is_empty(), "{refused:#?}\n{}", controller.log());
        let used: BTreeSet<String> =
            asked.iter().map(|r| format!("{} {}", r.verb, r.object.resource)).collect();
        for row in rows().iter().filter(|row| !is_for_trouble(row)) {
            for kind in &row.kinds {
                let is_used = row.verbs.iter().any(|verb| used.contains(&format!("{verb} {kind}")));
                assert!(is_used, "{kind} is granted and not used: {used:#?}");
            }
        }
    });
}

#[test]
fn a_rule_that_is_taken_away_is_named() {
    inside(|cluster| {
        let namespace = cluster.namespace("lacks").unwrap();
        let n = namespace.name();
        objects(&cluster, n);
        let all = rows();
        let mut known = BTreeSet::new();
        // Each of them lacks one kind, whatever grants it.
        let lacking: Vec<(&Row, Account<'_>, Controller)> = all
            .iter()
            .filter(|row| !is_for_trouble(row) && known.insert((&row.group, &row.kinds)))
            .enumerate()
            .map(|(number, row)| {
                let same = |other: &&Row| (&other.group, &other.kinds) == (&row.group, &row.kinds);
                let rest: Vec<Row> = all.iter().filter(|other| !same(other)).cloned().collect();
                let account = Account::new(&cluster, n, &format!("no-{number}-{}", row.kinds[0]), &rest);
                let controller = account.start();
                (row, account, controller)
            })
            .collect();
        for (row, _, controller) in &lacking {
            let named = format!("resource \\\"{}\\\" in API group \\\"{}\\\"", row.kinds[0], row.group);
            wait::until("it to be named", PATIENCE, || {
                let log = controller.log();
                if log.contains("cannot ") && log.contains(&named) {
                    Ok(())
                } else {
                    Err(format!("{named}\n{log}"))
                }
            });
        }
    });
}
