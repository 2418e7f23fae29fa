//! The story certdrift is for, at a real API server: a renewal is signed and not stored, and nothing in the cluster says
//! so. The controller names the hop and the missing verb, puts an Event on the Certificate, and takes both back.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use base64::Engine as _;
use certdrift_cluster::{Kind, Own};
use certdrift_tests::controller::PATIENCE;
use certdrift_tests::wait;
use cluster::{ingress, inside_of, made, secret, sections, start};
use serde_json::{Value, json};

#[test]
fn a_renewal_that_is_signed_and_not_stored_is_told_with_the_verb_on_its_certificate() {
    // One of its own, without cert-manager, which would store it.
    let own = Own::start("notstored", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| {
        cluster.cert_manager_crds().unwrap();
        let namespace = cluster.namespace("story").unwrap();
        let n = namespace.name();
        let (stored, _) = secret(n, "web-tls", "x.example");
        cluster.apply(&stored).unwrap();
        cluster.apply(&ingress(n, "x.example", "web-tls")).unwrap();
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
        let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": n},
            "spec": {"secretName": "web-tls", "dnsNames": ["x.example"], "issuerRef": {"name": "ca"}}});
        cluster.apply(&certificate.to_string()).unwrap();
        let ready = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-11-24T00:00:00Z"});
        status(
            "certificate/web",
            json!({"revision": 1, "renewalTime": "2035-01-01T00:00:00Z", "conditions": [ready]}),
        );
        let uid = cluster.get(n, "certificate/web").unwrap()["metadata"]["uid"].clone();
        let controller = start(n, &sections(&cluster, n, ""));
        let findings = || -> Result<Vec<Value>, String> {
            let (_, state) = controller.status().map_err(|e| format!("{e:#}\n{}", controller.log()))?;
            Ok(state["gateways"][0]["findings"].as_array().cloned().unwrap_or_default())
        };
        wait::until("the ledger", PATIENCE, || match controller.get("/readyz") {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}\n{}", controller.log())),
        });
        let (pem, key, _) = made("x.example");
        let request = json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": "web-2", "namespace": n, "annotations": {"cert-manager.io/certificate-revision": "2"},
                "ownerReferences": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "web", "uid": uid, "controller": true}]},
            "spec": {"request": "AAAA", "issuerRef": {"name": "ca"}}});
        cluster.apply(&request.to_string()).unwrap();
        let signed = base64::engine::general_purpose::STANDARD.encode(&pem);
        status("certificaterequest/web-2", json!({"certificate": signed, "conditions": [ready]}));
        let told = wait::until("it to be told", PATIENCE, || {
            let all = findings()?;
            let told = all.iter().find(|f| f["code"] == "CD-172" && f["why"].to_string().contains("may not"));
            told.cloned().ok_or(format!("{all:#?}\n{}", controller.log()))
        });
        assert_eq!(told["object"], format!("Certificate {n}/web"));
        let why = told["why"].as_str().unwrap_or_default();
        assert!(
            why.contains("system:serviceaccount:cert-manager:cert-manager may not") && why.contains("patch"),
            "{why}"
        );
        assert!(
            (controller
                .metric(r#"certdrift_finding{gateway="kong",code="CD-172",severity="error"}"#)
                .unwrap()
                - 1.0)
                .abs()
                < 0.1
        );
        let event = wait::until("the Event", PATIENCE, || {
            let list =
                cluster.kubectl(&["get", "events", "-n", n, "-o", "json"]).map_err(|e| e.to_string())?;
            let list: Value = serde_json::from_str(&list).map_err(|e| e.to_string())?;
            let all = list["items"].as_array().cloned().unwrap_or_default();
            let event = all.iter().find(|e| e["reason"] == "CD-172").cloned();
            event.ok_or(format!("{all:#?}\n{}", controller.log()))
        });
        assert_eq!(
            (&event["involvedObject"]["kind"], &event["involvedObject"]["uid"]),
            (&json!("Certificate"), &uid)
        );
        assert_eq!(event["type"], "Warning");
        // It is stored at last: cert-manager writes the Secret, then the revision.
        let stored = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "web-tls", "namespace": n}, "stringData": {"tls.crt": pem, "tls.key": key}});
        cluster.apply(&stored.to_string()).unwrap();
        status("certificate/web", json!({"revision": 2}));
        wait::until("it to be taken back", PATIENCE, || {
            let all = findings()?;
            if all.iter().any(|f| f["code"] == "CD-172") { Err(format!("{all:#?}")) } else { Ok(()) }
        });
        for hop in ["issued", "stored", "published"] {
            controller
                .until_metric(&format!(r#"certdrift_hop_seconds_count{{gateway="kong",hop="{hop}"}}"#), 1.0);
        }
    });
}
