//! The bundle beside a real API server: what the cluster holds of an installation is in it, what cannot be had is named with its
//! reason, and no key of any Secret and, on request, no host name is.
#[path = "cluster/mod.rs"]
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;
#[path = "cluster_doctor_names_what_is_wrong/installed.rs"]
#[expect(dead_code, reason = "shared with the doctor's test")]
mod installed;

use certdrift_cluster::{Kind, Own};
use certdrift_tests::controller::PATIENCE;
use certdrift_tests::program::run;
use certdrift_tests::wait;
use cluster::{ingress, inside_of, secret};
use installed::{CERTDRIFT, Installed};
use std::path::Path;
use std::process::Command;

const HOST: &str = "shop.customer-of-ours.example.net";

/// All that an archive holds, one file after the other, with its names.
fn unpacked(archive: &Path) -> String {
    let tar = Command::new("tar").args(["--to-stdout", "-xvzf"]).arg(archive).output().unwrap();
    assert!(tar.status.success(), "{tar:?}");
    [tar.stderr, tar.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

#[test]
fn what_the_cluster_holds_is_in_it_and_what_is_missing_is_named() {
    let own = Own::start("bundle", Kind::ApiOnly).unwrap();
    own.cert_manager_crds().unwrap();
    inside_of((*own).clone(), |cluster| {
        let (own, gateway) = (cluster.namespace("own").unwrap(), cluster.namespace("gw").unwrap());
        let installed = Installed::new(&cluster, own.name(), gateway.name());
        installed.install();
        let (object, _) = secret(gateway.name(), "s", HOST);
        cluster.apply(&object).unwrap();
        cluster.apply(&ingress(gateway.name(), HOST, "s")).unwrap();
        // Its Secret is not there: told as an Event.
        let other = ingress(gateway.name(), "other.customer-of-ours.example.net", "missing");
        cluster.apply(&other.replace(r#""name":"i""#, r#""name":"other""#)).unwrap();
        let controller = installed.start();
        wait::until("the ledger and an Event", PATIENCE, || {
            let map = ["get", "configmap", "certdrift-ledger-kong", "-n", gateway.name(), "-o", "name"];
            let events = ["get", "events.events.k8s.io", "-n", gateway.name(), "-o", "name"];
            match (cluster.kubectl(&map), cluster.kubectl(&events)) {
                (Ok(_), Ok(events)) if !events.trim().is_empty() => Ok(()),
                other => Err(format!("{other:?}\n{}", controller.log())),
            }
        });
        let (kubeconfig, url) =
            (cluster.kubeconfig().display().to_string(), format!("http://{}", controller.address()));
        let file = installed.folder.path().join("bundle.tar.gz");
        let name = file.display().to_string();
        let arguments = [
            "bundle",
            "--yes",
            "--redact-hosts",
            "--file",
            &name,
            "--kubeconfig",
            &kubeconfig,
            "--namespace",
            own.name(),
            "--url",
            &url,
        ];
        let ran = run(CERTDRIFT, &arguments);
        assert_eq!(ran.code, Some(2), "there is no pod of ours, so its log is missing: {ran:?}");
        assert!(ran.stdout.contains("not in it: logs: no pod has the label"), "{}", ran.stdout);
        let all = unpacked(&file);
        for piece in [
            "configuration.yaml",
            "status.json",
            "metrics.txt",
            "ledgers/kong.json",
            "doctor.json",
            "versions.json",
            "events.json",
            "configmaps/certdrift-ledger-kong.json",
        ] {
            assert!(all.contains(&format!("bundle/{piece}\n")), "{piece}: {}", ran.stdout);
        }
        assert!(all.contains("certdrift.dev/certdrift") && all.contains("CD-152"), "the Event: {all}");
        assert!(all.contains("host-1.example") && !all.contains("customer-of-ours"), "{all}");
        let planted: serde_json::Value = serde_json::from_str(&object).unwrap();
        let key = planted.pointer("/data/tls.key").or_else(|| planted.pointer("/stringData/tls.key"));
        let key = key.and_then(serde_json::Value::as_str).unwrap();
        for part in key.lines().filter(|line| line.len() > 32) {
            assert!(!all.contains(&part[..32]), "a key");
        }
    });
}
