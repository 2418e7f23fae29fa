//! Reach `keyless` at a real API server: the ledger follows a renewal by cert-manager's requests alone, over a restart in
//! the middle of it, and nothing is ever asked about a Secret.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use base64::Engine as _;
use certdrift_cluster::{Kind, Own};
use certdrift_contract::Fingerprint;
use certdrift_tests::controller::PATIENCE;
use certdrift_tests::wait;
use cluster::{Published, ingress, inside_of, made, published, start};
use serde_json::{Value, json};

#[test]
fn a_renewal_is_followed_by_requests_alone_over_a_restart_in_its_middle() {
    // One of its own, without cert-manager, which would renew by itself.
    let own = Own::start("keylessrun", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| {
        cluster.cert_manager_crds().unwrap();
        let namespace = cluster.namespace("keyless").unwrap();
        let n = namespace.name();
        let folder = tempfile::tempdir().unwrap();
        // The administrator under another name, so that its requests are told apart.
        let config = cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"]["as"] = "keyless".into();
        config["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        cluster.apply(&ingress(n, "x.example", "web-tls")).unwrap();
        let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": n},
            "spec": {"secretName": "web-tls", "dnsNames": ["x.example"], "issuerRef": {"name": "ca"}}});
        cluster.apply(&certificate.to_string()).unwrap();
        let uid = cluster.get(n, "certificate/web").unwrap()["metadata"]["uid"].clone();
        let status = |object: &str, status: Value| {
            let patch = json!({"status": status}).to_string();
            cluster
                .kubectl(&[
                    "patch",
                    object,
                    "-n",
                    n,
                    "--subresource=status",
                    "--type=merge",
                    "--patch",
                    &patch,
                ])
                .unwrap();
        };
        let signed = |revision: u32| -> Fingerprint {
            let (pem, _, leaf) = made("x.example");
            let request = json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
                "metadata": {"name": format!("web-{revision}"), "namespace": n,
                    "annotations": {"cert-manager.io/certificate-revision": revision.to_string()},
                    "ownerReferences": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "web", "uid": uid, "controller": true}]},
                "spec": {"request": "AAAA", "issuerRef": {"name": "ca"}}});
            cluster.apply(&request.to_string()).unwrap();
            let ready = json!({"type": "Ready", "status": "True", "reason": "Issued", "message": "",
                "lastTransitionTime": "2026-11-24T00:00:00Z"});
            let certificate = base64::engine::general_purpose::STANDARD.encode(pem);
            status(
                &format!("certificaterequest/web-{revision}"),
                json!({"certificate": certificate, "conditions": [ready]}),
            );
            leaf
        };
        let mark = cluster.audit_mark().unwrap();
        let sections =
            format!("kubernetes: {{kubeconfig: {}, namespace: {n}, reach: keyless}}", kubeconfig.display());
        let mut controller = start(n, &sections);
        let until = |what: &str, is: &dyn Fn(&Published) -> bool| {
            wait::until(what, PATIENCE, || match published(&cluster, n, "kong") {
                Ok(ledger) if is(&ledger) => Ok(()),
                other => Err(format!("{other:#?}")),
            });
        };
        let first = signed(1);
        status("certificate/web", json!({"revision": 1}));
        until("the first to be expected", &|l| l.current("x.example") == [first]);
        // As cert-manager does it: the request of what is stored goes before the next one is signed.
        cluster.kubectl(&["delete", "certificaterequest", "web-1", "-n", n]).unwrap();
        let second = signed(2);
        until("the second to be on its way", &|l| {
            l.current("x.example") == [first] && l.incoming("x.example") == [second]
        });
        controller.kill();
        controller.run().unwrap();
        wait::until("it to be ready", PATIENCE, || match controller.get("/readyz") {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}\n{}", controller.log())),
        });
        let served = controller.get("/ledger/kong").unwrap().body;
        assert_eq!(served, published(&cluster, n, "kong").unwrap().text, "a restart changes nothing");
        status("certificate/web", json!({"revision": 2}));
        until("the second to be expected", &|l| {
            l.current("x.example") == [second] && l.retiring("x.example") == [first]
        });
        let asked = cluster.audit_since(mark).unwrap();
        let asked: Vec<_> = asked.iter().filter(|r| r.user() == "keyless").collect();
        assert!(asked.len() > 5 && asked.iter().all(|r| r.object.resource != "secrets"), "{asked:#?}");
    });
}
