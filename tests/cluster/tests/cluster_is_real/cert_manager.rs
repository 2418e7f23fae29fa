//! Of cert-manager: it issues, renews when asked by its own way, its webhook refuses, and the chart's roles hold.
use crate::PATIENCE;
use certdrift_cluster::{CERT_MANAGER, Cluster};
use certdrift_harness::wait;
use serde_json::{Value, json};

fn certificate(namespace: &str, spec: &Value) -> String {
    let mut whole = json!({
        "secretName": "web-tls",
        "dnsNames": ["web.example.com"],
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": "ca", "kind": "ClusterIssuer"},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let metadata = json!({"name": "web", "namespace": namespace});
    json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata, "spec": whole})
        .to_string()
}

#[test]
fn a_certificate_is_issued_and_a_renewal_that_is_asked_for_replaces_the_secret() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    let namespace = cluster.namespace("renew").unwrap();
    let name = namespace.name();
    cluster.apply(&certificate(name, &json!({}))).unwrap();
    cluster.wait(name, "certificate/web", "condition=Ready", PATIENCE).unwrap();
    let revision = |wanted: u64| {
        wait::until("a revision", PATIENCE, || match cluster.get(name, "certificate/web").unwrap()["status"]
            .clone()
        {
            status if status["revision"] == json!(wanted) => Ok(()),
            status => Err(status),
        });
    };
    // `Ready` comes before the first issuance has ended; asked in between, it was seen to end at revision 3.
    revision(1);
    let stored = || cluster.get(name, "secret/web-tls").unwrap()["data"]["tls.crt"].clone();
    let before = stored();
    assert!(before.is_string());

    let object = cluster.get(name, "certificate/web").unwrap();
    let mut conditions = object["status"]["conditions"].as_array().unwrap().clone();
    conditions.push(json!({
        "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
        "message": "Certificate re-issuance manually triggered",
        "lastTransitionTime": "2026-11-25T00:00:00Z", "observedGeneration": 1,
    }));
    let patch = json!({
        "metadata": {"resourceVersion": object["metadata"]["resourceVersion"]},
        "status": {"conditions": conditions},
    });
    let patch = patch.to_string();
    let arguments = [
        "patch",
        "certificate",
        "web",
        "--namespace",
        name,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    cluster.kubectl(&arguments).unwrap();
    wait::until("another certificate in the Secret", PATIENCE, || match stored() {
        now if now != before => Ok(()),
        _ => Err(cluster.get(name, "certificate/web").unwrap()["status"].clone()),
    });
    revision(2);
}

#[test]
fn the_webhook_refuses_a_duration_that_a_real_cluster_refuses() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    let namespace = cluster.namespace("refuse").unwrap();
    let refused =
        cluster.apply(&certificate(namespace.name(), &json!({"duration": "5m"}))).unwrap_err().to_string();
    assert!(refused.contains("webhook.cert-manager.io") && refused.contains("duration"), "{refused}");
}

#[test]
fn it_may_what_its_chart_grants_and_no_more() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    let account = format!("system:serviceaccount:{CERT_MANAGER}:cert-manager");
    let may = |verb: &str, resource: &str| {
        // Exit status 1 says no.
        cluster.kubectl(&["auth", "can-i", verb, resource, "--all-namespaces", "--as", &account]).is_ok()
    };
    assert!(may("patch", "secrets"));
    assert!(!may("delete", "deployments"));
}

#[test]
fn its_metrics_tell_of_each_certificate() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    let uri = format!("/api/v1/namespaces/{CERT_MANAGER}/services/cert-manager:9402/proxy/metrics");
    wait::until("the metric of the CA's certificate", PATIENCE, || {
        match cluster.kubectl(&["get", "--raw", &uri]) {
            Ok(text) if text.contains("certmanager_certificate_ready_status{condition=\"True\"") => Ok(()),
            other => Err(other),
        }
    });
}
