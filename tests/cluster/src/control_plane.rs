//! etcd, the API server and the controllers: their arguments, and what the API server writes down of each request.
use crate::network::{API_PORT, NODE, PODS, SERVICES};
use crate::place::Place;
use crate::plan::{Daemon, Kind};
use anyhow::Result;
use xtask::tools::{self, Tool};

/// What the API server is told to write down: who asked what of which object and how it was answered; a body only of what
/// is written to a Lease, which holds nothing secret.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
 "omitStages": ["RequestReceived"], "rules": [
  {"level": "Request", "verbs": ["create", "update", "patch"], "resources": [{"group": "coordination.k8s.io"}]},
  {"level": "Metadata"}]}
"#;

/// The API server's notes, one JSON object a line.
pub(crate) const AUDIT_LOG: &str = "log/audit.jsonl";

pub(crate) fn daemons(place: &Place, kind: Kind) -> Result<Vec<Daemon>> {
    std::fs::write(place.at("conf/audit-policy.json"), AUDIT_POLICY)?;
    let mut daemons = vec![etcd(place)?, apiserver(place)?, controller_manager(place)?];
    if kind == Kind::Node {
        let kubeconfig = place.at("pki/scheduler.kubeconfig");
        daemons.push(Daemon::new(
            &tools::find(Tool::KubeScheduler)?,
            vec![format!("--kubeconfig={}", kubeconfig.display()), "--leader-elect=false".into()],
        ));
    }
    Ok(daemons)
}

fn etcd(place: &Place) -> Result<Daemon> {
    let data = place.at("etcd");
    let arguments = [
        "--name=etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=etcd=http://127.0.0.1:2380",
        // It lives in memory, and ends with the cluster.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
    arguments.push(format!("--data-dir={}", data.join("data").display()));
    Ok(Daemon::new(&tools::find(Tool::Etcd)?, arguments))
}

fn apiserver(place: &Place) -> Result<Daemon> {
    let pki = place.at("pki");
    let pki = pki.display();
    let arguments = vec![
        "--etcd-servers=http://127.0.0.1:2379".into(),
        format!("--secure-port={API_PORT}"),
        format!("--advertise-address={NODE}"),
        format!("--tls-cert-file={pki}/apiserver.crt"),
        format!("--tls-private-key-file={pki}/apiserver.key"),
        format!("--client-ca-file={pki}/ca.crt"),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        format!("--service-account-signing-key-file={pki}/accounts.key"),
        format!("--service-account-key-file={pki}/accounts.pub"),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged=true".into(),
        format!("--kubelet-client-certificate={pki}/apiserver-kubelet.crt"),
        format!("--kubelet-client-key={pki}/apiserver-kubelet.key"),
        "--kubelet-preferred-address-types=InternalIP".into(),
        "--profiling=false".into(),
        format!("--audit-policy-file={}", place.at("conf/audit-policy.json").display()),
        format!("--audit-log-path={}", place.at(AUDIT_LOG).display()),
        // Written before the answer is sent: what a client has seen answered is in the file.
        "--audit-log-mode=blocking".into(),
        // MB. Never turned over within a test.
        "--audit-log-maxsize=4000".into(),
    ];
    Ok(Daemon::new(&tools::find(Tool::KubeApiserver)?, arguments))
}

fn controller_manager(place: &Place) -> Result<Daemon> {
    let pki = place.at("pki");
    let pki = pki.display();
    let arguments = vec![
        format!("--kubeconfig={pki}/controller-manager.kubeconfig"),
        format!("--service-account-private-key-file={pki}/accounts.key"),
        format!("--root-ca-file={pki}/ca.crt"),
        "--use-service-account-credentials=true".into(),
        "--leader-elect=false".into(),
        format!("--cluster-cidr={PODS}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--flex-volume-plugin-dir={}", place.at("flex").display()),
    ];
    Ok(Daemon::new(&tools::find(Tool::KubeControllerManager)?, arguments))
}
