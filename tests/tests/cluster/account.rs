//! A ServiceAccount that may do what docs/permissions.md says, and no more.
use certdrift_cluster::Cluster;
use serde_json::{Value, json};

/// A row of docs/permissions.md.
#[derive(Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) place: String,
    pub(crate) group: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) verbs: Vec<String>,
}

/// Its rows, with or without those of remedies.
pub(crate) fn rows(heals: bool) -> Vec<Row> {
    let page = std::fs::read_to_string(xtask::workspace::root().join("docs/permissions.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    // Those of `helm test` and of canaries are for `cluster_chart_installs`.
    let rows = rows.filter(|line| !line.contains("helm test") && !line.contains("`canary`"));
    let rows = rows.filter(|line| heals || !line.contains("among the remedies")).skip(1).map(|line| {
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
pub(crate) struct Account<'a> {
    cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
    pub(crate) name: String,
    folder: tempfile::TempDir,
}

impl<'a> Account<'a> {
    pub(crate) fn new(cluster: &'a Cluster, n: &'a str, name: &str, rows: &[Row]) -> Self {
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

    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        let wide = format!("{}-{}", self.namespace, self.name);
        let _ = self.cluster.kubectl(&["delete", "clusterrole,clusterrolebinding", &wide]);
    }
}
