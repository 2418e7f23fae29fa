//! The chart's canary in a real cluster: installed with nothing but `canary.enabled`, it is rotated by the controller's own account
//! through cert-manager and an ingress controller, and proven on every pod.
use super::{PATIENCE, chart};
use certdrift_cluster::Cluster;
use certdrift_cluster::image::Picture;
use certdrift_tests::wait;
use serde_json::Value;
use xtask::tools::{self, Tool};
use xtask::workspace;

#[test]
fn installed_its_canary_is_rotated_and_proven_on_every_pod_by_its_own_account() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    let namespace = cluster.namespace("chart-canary").unwrap();
    let n = namespace.name();
    let image = cluster.image(Picture::Certdrift).unwrap();
    let (repository, tag) = image.rsplit_once(':').unwrap();
    let kong = cluster.kong(n, n, 2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    let text = format!(
        "reach: namespaces
namespaces: [{n}]
replicas: 1
image: {{repository: {repository}, tag: {tag}, pullPolicy: Never}}
canary: {{enabled: true, every: 30s, within: 20s}}
gateways:
- name: kong
  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}, pods: {{labels: {{app: kong}}, status: {{port: 8100, path: /status}}}}}}
"
    );
    std::fs::write(&values, text).unwrap();
    let helm = |arguments: &[&str]| {
        let mut helm = cluster.command(tools::find(Tool::Helm).unwrap()).unwrap();
        helm.args(arguments).args(["--namespace", n]);
        workspace::output(&mut helm).unwrap_or_else(|e| panic!("helm {arguments:?}: {e:#}"))
    };
    let mark = cluster.audit_mark().unwrap();
    // cert-manager's webhook may have started just now.
    wait::until("cert-manager to take a Certificate", PATIENCE, || {
        let arguments = ["apply", "--dry-run=server", "--filename=-"];
        let issuer = format!(
            "{{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {{name: a, namespace: {n}}}, spec: {{selfSigned: {{}}}}}}"
        );
        cluster.kubectl_with(&arguments, &issuer).map(drop).map_err(|e| format!("{e:#}"))
    });
    helm(&["install", "cd", &chart().display().to_string(), "--values", &values.display().to_string()]);
    kong.ready().unwrap();
    let status = || {
        let look = [
            "exec",
            "-n",
            n,
            "deploy/cd-certdrift",
            "--",
            "/certdrift",
            "status",
            "--url",
            "https://127.0.0.1:9480",
        ];
        cluster.kubectl(&[&look[..], &["-o", "json"]].concat()).map_err(|e| {
            let log =
                cluster.kubectl(&["logs", "-n", n, "deploy/cd-certdrift", "--tail=20"]).unwrap_or_default();
            format!("{e:#}\n{log}")
        })
    };
    let canary = wait::until("the canary to be rotated and proven", PATIENCE, || {
        let state: Value = serde_json::from_str(&status()?).map_err(|e| e.to_string())?;
        let canary = state["gateways"][0]["canary"].clone();
        if canary["took"].is_i64() { Ok(canary) } else { Err(format!("{state:#}")) }
    });
    assert_eq!(canary["host"], "canary.certdrift.invalid");
    let certificate = cluster.get(n, "certificate/cd-certdrift-canary").unwrap();
    assert!(certificate["status"]["revision"].as_u64() >= Some(2), "{certificate:#}");
    let user = format!("system:serviceaccount:{n}:cd-certdrift");
    let asked = cluster.audit_since(mark).unwrap();
    let ours: Vec<_> = asked.iter().filter(|request| request.user() == user).collect();
    let refused: Vec<_> = ours.iter().filter(|request| matches!(request.code(), 401 | 403)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(ours.iter().any(|request| request.verb == "patch" && request.object.subresource == "status"));
    let wrote_secrets =
        ours.iter().any(|r| r.object.resource == "secrets" && !matches!(&*r.verb, "list" | "watch"));
    assert!(!wrote_secrets, "it reads Secrets, and no more");
    helm(&["uninstall", "cd", "--wait"]);
    assert!(cluster.get(n, "certificate/cd-certdrift-canary").is_err());
}
