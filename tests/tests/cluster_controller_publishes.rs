//! The controller beside a real API server: what Secrets, Ingresses and requests say becomes ConfigMaps and `/ledger`,
//! stays there as it was written, and survives what happens to ConfigMaps and to the API server.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_contract::Fingerprint;
use certdrift_harness::controller::{Controller, PATIENCE};
use certdrift_harness::wait;
use cluster::{Published, ingress, inside, published, secret, sections, start};

/// Waits until the ConfigMap expects exactly this of the host, and gives what it says.
#[track_caller]
fn until_expected(cluster: &Cluster, n: &str, controller: &Controller, leaf: Fingerprint) -> Published {
    wait::until("the ConfigMap to expect it", PATIENCE, || match published(cluster, n, "kong") {
        Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(ledger),
        other => Err(format!("{other:#?}\n{}", controller.log())),
    })
}

#[test]
fn a_renewed_secret_reaches_the_config_map_and_the_ledger_that_is_served() {
    inside(|cluster| {
        let namespace = cluster.namespace("publishes").unwrap();
        let n = namespace.name();
        let (first, old) = secret(n, "s", "x.example");
        cluster.apply(&first).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let controller = start(n, &sections(&cluster, n, ""));
        let before = until_expected(&cluster, n, &controller, old);
        assert_eq!(controller.get("/readyz").unwrap().status, 200, "{}", controller.log());
        let (second, new) = secret(n, "s", "x.example");
        cluster.apply(&second).unwrap();
        let after = until_expected(&cluster, n, &controller, new);
        assert!(after.revision() > before.revision());
        assert_eq!(after.retiring("x.example"), [old], "{after:#?}");
        assert_eq!(controller.get("/ledger/kong").unwrap().body, after.text, "{}", controller.log());
    });
}

#[test]
fn a_config_map_that_is_deleted_edited_or_taken_is_put_right_and_told() {
    inside(|cluster| {
        let namespace = cluster.namespace("right").unwrap();
        let n = namespace.name();
        let (object, leaf) = secret(n, "s", "x.example");
        cluster.apply(&object).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let controller = start(n, &sections(&cluster, n, ""));
        let before = until_expected(&cluster, n, &controller, leaf);
        let told = |times: usize| {
            wait::until("it to be told", PATIENCE, || match controller.log().matches("CD-209").count() {
                count if count >= times => Ok(count),
                count => Err(format!("{count}\n{}", controller.log())),
            })
        };
        cluster.kubectl(&["delete", "configmap", "certdrift-ledger-kong", "-n", n]).unwrap();
        let again = until_expected(&cluster, n, &controller, leaf);
        assert_eq!(again.text, before.text, "nothing has changed, so nothing is newer");
        let count = told(1);
        let hand = r#"{"data": {"ledger.json": "{}"}}"#;
        cluster
            .kubectl(&[
                "patch",
                "configmap",
                "certdrift-ledger-kong",
                "-n",
                n,
                "--type=merge",
                "--patch",
                hand,
            ])
            .unwrap();
        until_expected(&cluster, n, &controller, leaf);
        let count = told(count + 1);
        let foreign = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "certdrift-ledger-kong", "namespace": n}, "data": {"ledger.json": "x"}});
        cluster.apply(&foreign.to_string()).unwrap();
        until_expected(&cluster, n, &controller, leaf);
        told(count + 1);
    });
}
