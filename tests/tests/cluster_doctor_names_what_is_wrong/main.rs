//! The doctor beside a real API server: an installation as it has to be passes; whatever is taken away is named, and the
//! commands that it prints mend it.
#[path = "../cluster/mod.rs"]
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;
mod gateways;
mod installed;

use certdrift_cluster::{Cluster, Kind, Own};
use certdrift_tests::controller::PATIENCE;
use certdrift_tests::program::run;
use certdrift_tests::wait;
use cluster::{ingress, inside_of, secret};
use installed::{CERTDRIFT, Installed};
use serde_json::{Value, json};
use std::path::Path;

fn alone(name: &str, test: impl FnOnce(&Cluster) + Send + 'static) {
    let own = Own::start(name, Kind::ApiOnly).unwrap();
    own.cert_manager_crds().unwrap();
    inside_of((*own).clone(), move |cluster| test(&cluster));
}

/// As cert-manager's chart would: a ready controller, and its rights on Secrets.
fn cert_manager(cluster: &Cluster) {
    let _ = cluster.kubectl(&["create", "namespace", "cert-manager"]);
    let verbs = "--verb=get,list,watch,create,update,patch,delete";
    for arguments in [
        &["create", "serviceaccount", "cert-manager", "-n", "cert-manager"][..],
        &["create", "clusterrole", "cert-manager", verbs, "--resource=secrets"],
        &[
            "create",
            "clusterrolebinding",
            "cert-manager",
            "--clusterrole=cert-manager",
            "--serviceaccount=cert-manager:cert-manager",
        ],
    ] {
        cluster.kubectl(arguments).unwrap();
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cert-manager-0", "namespace": "cert-manager"},
        "spec": {"serviceAccountName": "cert-manager", "automountServiceAccountToken": false,
            "containers": [{"name": "c", "image": "quay.io/jetstack/cert-manager-controller:v1.21.2"}]}});
    cluster.apply(&pod.to_string()).unwrap();
    let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
        .to_string();
    let patch = [
        "patch",
        "pod/cert-manager-0",
        "-n",
        "cert-manager",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &ready,
    ];
    cluster.kubectl(&patch).unwrap();
}

#[test]
fn what_is_as_it_has_to_be_passes_and_what_is_taken_away_is_named_with_its_mend() {
    alone("doctor", |cluster| {
        cert_manager(cluster);
        let (own, gateway) = (cluster.namespace("own").unwrap(), cluster.namespace("gw").unwrap());
        let installed = Installed::new(cluster, own.name(), gateway.name());
        let none = installed.doctor(&[]);
        assert_eq!(
            (none.code, none.one("deployment")["code"].as_str()),
            (Some(1), Some("CD-549")),
            "{none:#?}"
        );
        installed.install();
        let (object, _) = secret(gateway.name(), "s", "x.example");
        cluster.apply(&object).unwrap();
        cluster.apply(&ingress(gateway.name(), "x.example", "s")).unwrap();
        let mut controller = installed.start();
        wait::until("all to pass", PATIENCE, || {
            let said = installed.doctor(&[]);
            if said.not_passed().is_empty() && said.code == Some(0) {
                Ok(())
            } else {
                Err(format!("{said:#?}\n{}", controller.log()))
            }
        });
        takes_rights_away(&installed);
        // The controller is gone: its Lease ends.
        controller.kill();
        installed.says_it_is_ready(false);
        cluster.kubectl(&["delete", "configmap", "certdrift-ledger-kong", "-n", gateway.name()]).unwrap();
        wait::until("the Deployment and the ledger to be missed", PATIENCE, || {
            let said = installed.doctor(&["--only", "certdrift"]);
            let deployment = said.one("deployment")["what"] == "0 of 1 replicas are ready";
            let all = said.code == Some(1) && deployment && said.one("ledgers")["code"] == "CD-550";
            if all { Ok(()) } else { Err(said) }
        });
        wait::until("the Lease to have ended", PATIENCE, || {
            let said = installed.doctor(&["--only", "lease"]);
            if said.one("lease")["code"] == "CD-551" { Ok(()) } else { Err(said) }
        });
    });
}

fn takes_rights_away(installed: &Installed<'_>) {
    let cluster = installed.cluster;
    // certdrift's: of the Role in the gateway's namespace the third rule, `secrets`.
    let n = installed.gateway.clone();
    let taken = json!([{"op": "remove", "path": "/rules/2"}]).to_string();
    cluster.kubectl(&["patch", "role/certdrift", "-n", &n, "--type=json", "--patch", &taken]).unwrap();
    let said = installed.doctor(&["--only", "rights"]);
    let line = said.one("rights");
    assert_eq!((said.code, &line["code"]), (Some(1), &json!("CD-541")), "{said:#?}");
    assert_eq!(line["what"], format!("may not list, watch secrets in {n}"));
    installed.do_as_it_says(line["mend"].as_str().unwrap());
    assert_eq!(installed.doctor(&["--only", "rights"]).code, Some(0));
    // cert-manager's: only the verb by which it stores.
    let verbs = json!([{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "watch", "create", "update", "delete"]}]);
    let patch = ["patch", "clusterrole/cert-manager", "--type=json", "--patch", &verbs.to_string()];
    cluster.kubectl(&patch).unwrap();
    let said = installed.doctor(&["--only", "cert-manager-rights"]);
    let line = said.one("cert-manager-rights");
    assert_eq!(
        (&line["code"], &line["what"]),
        (&json!("CD-543"), &json!(format!("may not patch secrets in {n}")))
    );
    installed.do_as_it_says(line["mend"].as_str().unwrap());
    assert_eq!(installed.doctor(&["--only", "cert-manager-rights"]).code, Some(0));
    // cert-manager itself.
    cluster.kubectl(&["delete", "pod", "cert-manager-0", "-n", "cert-manager", "--now"]).unwrap();
    let said = installed.doctor(&["--only", "cert-manager"]);
    assert_eq!((said.code, &said.one("cert-manager")["code"]), (Some(0), &json!("CD-545")), "{said:#?}");
}

#[test]
fn before_an_installation_it_says_whether_this_user_may_install_and_what_is_missing() {
    let own = Own::start("doctorpre", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| {
        let namespace = cluster.namespace("pre").unwrap();
        let installed = Installed::new(&cluster, namespace.name(), namespace.name());
        let said = installed.doctor(&["--pre"]);
        assert_eq!(said.one("cert-manager-kinds")["code"], "CD-544", "{said:#?}");
        assert_eq!(said.one("install-rights")["state"], "passed", "{said:#?}");
        assert!(said.of("deployment").is_empty() && said.of("rights").is_empty());
        assert_eq!(said.code, Some(0), "warnings only: {said:#?}");
        // Somebody who may do nothing.
        let kubeconfig = as_nobody(&cluster, installed.folder.path());
        let ran = run(CERTDRIFT, &["doctor", "--pre", "--kubeconfig", &kubeconfig, "-o", "short"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("install-rights: CD-542 user nobody: may not create"), "{ran:?}");
        // No API server at all.
        let gone = std::fs::read_to_string(&kubeconfig)
            .unwrap()
            .replace(&cluster.api_address().to_string(), "127.0.0.1:9");
        let gone = installed.file("gone", &gone).display().to_string();
        let ran = run(CERTDRIFT, &["doctor", "--kubeconfig", &gone]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stdout.contains("? api-server: could not look, because "), "{ran:?}");
        assert!(ran.stdout.contains("\n0 passed, 0 warnings, 0 failed, "), "{ran:?}");
    });
}

fn as_nobody(cluster: &Cluster, folder: &Path) -> String {
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = "nobody".into();
    let file = folder.join("nobody");
    std::fs::write(&file, config.to_string()).unwrap();
    file.display().to_string()
}
