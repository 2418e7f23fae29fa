//! `certdrift drill` in a real cluster, with cert-manager's own controller, a gateway of two pods that take pushes, and the
//! running controller: the whole way is timed; what may not be drilled is refused; a store that is forbidden is named.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, Namespace};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::process::Process;
use certdrift_tests::program::{Ran, run};
use certdrift_tests::wait;
use cluster::kong::{LONG, configuration};
use cluster::{ingress, inside_of, published, sections};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");

/// An issuer of this namespace with this `spec`, and a Certificate that it signs.
fn certificate(cluster: &Cluster, n: &str, issuer: &Value) {
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "own", "namespace": n}, "spec": issuer},
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "web", "namespace": n},
            "spec": {"secretName": "s", "dnsNames": ["x.example"], "issuerRef": {"name": "own"},
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}}}]});
    // cert-manager's webhook may have started just now.
    wait::until("cert-manager to take it", LONG, || {
        cluster.apply(&objects.to_string()).map_err(|e| format!("{e:#}"))
    });
    cluster.wait(n, "certificate/web", "condition=Ready", LONG).unwrap();
}

fn drill(cluster: &Cluster, n: &str, more: &[&str]) -> Ran {
    let (name, kubeconfig) = (format!("{n}/web"), cluster.kubeconfig().display().to_string());
    let mut arguments = vec!["drill", &name, "--kubeconfig", &kubeconfig];
    arguments.extend(more);
    run(CERTDRIFT, &arguments)
}

fn namespace(cluster: &Cluster, prefix: &str) -> Namespace {
    cluster.namespace(prefix).unwrap()
}

#[test]
fn the_whole_way_of_a_re_issue_is_timed_and_proven() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    for picture in [Picture::Gateway, Picture::Kic] {
        cluster.image(picture).unwrap();
    }
    inside_of(cluster, |cluster| {
        let namespace = namespace(&cluster, "drill");
        let n = namespace.name();
        certificate(&cluster, n, &json!({"selfSigned": {}}));
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let kong = cluster.kong(n, n, 2).unwrap();
        kong.ready().unwrap();
        let controller = Controller::start_with(&sections(&cluster, n, ""), &configuration(n, "{}")).unwrap();
        let url = format!("http://{}", controller.address());
        let until_proven = || {
            wait::until("both pods to be proven", LONG, || {
                let ran = run(CERTDRIFT, &["status", "--url", &url]);
                if ran.code == Some(0) { Ok(()) } else { Err(format!("{ran:?}\n{}", controller.log())) }
            });
        };
        until_proven();
        let before = cluster.get(n, "secret/s").unwrap()["data"]["tls.crt"].clone();

        // What would be done is told, and not done; nobody can be asked, and nothing is done.
        let dry = drill(&cluster, n, &["--url", &url, "--dry-run"]);
        assert_eq!(dry.code, Some(0), "{dry:?}");
        assert!(
            dry.stderr.contains("x.example on 2 endpoints") && dry.stderr.contains("(selfSigned)"),
            "{dry:?}"
        );
        let nobody = drill(&cluster, n, &["--url", &url]);
        assert_eq!(nobody.code, Some(64), "{nobody:?}");
        assert!(nobody.stderr.contains("--yes"), "{nobody:?}");
        assert_eq!(cluster.get(n, "secret/s").unwrap()["data"]["tls.crt"], before);

        // A host leads to its Certificate; without a word it would be the canary.
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let named = |what: &[&str]| {
            let more = ["--kubeconfig", &kubeconfig, "--url", &url, "--dry-run"];
            run(CERTDRIFT, &[&["drill"], what, &more].concat())
        };
        let host = named(&["X.example"]);
        assert_eq!(host.code, Some(0), "{host:?}");
        assert!(host.stderr.contains(&format!("Certificate {n}/web is asked for once more")), "{host:?}");
        let stranger = named(&["y.example"]);
        assert_eq!(stranger.code, Some(64), "{stranger:?}");
        assert!(stranger.stderr.contains("no ledger lists y.example"), "{stranger:?}");
        let canary = named(&[]);
        assert_eq!(canary.code, Some(64), "{canary:?}");
        assert!(canary.stderr.contains("no gateway has a canary"), "{canary:?}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drill.md").display().to_string();
        let ran = drill(
            &cluster,
            n,
            &["--url", &url, "--yes", "-o", "json", "--timeout", "90s", "--report", &file],
        );
        assert_eq!(ran.code, Some(0), "{ran:?}\n{}", controller.log());
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (&report["schema"], &report["verdict"]),
            (&json!("certdrift.dev/drill/v1"), &json!("worked"))
        );
        let hops = report["hops"].as_array().unwrap();
        let after: Vec<f64> = hops.iter().map(|hop| hop["after_seconds"].as_f64().unwrap()).collect();
        assert!(after.len() == 5 && after.is_sorted(), "{report:#}\n{}", controller.log());
        assert_ne!(cluster.get(n, "secret/s").unwrap()["data"]["tls.crt"], before);
        let identity = |when: &str, what: &str| report[when][what].as_str().unwrap_or_default().to_owned();
        for what in ["sha256", "serial"] {
            let [old, new] = ["before", "after"].map(|when| identity(when, what));
            assert!(old.len() >= 8 && new.len() >= 8 && old != new, "{report:#}");
        }
        assert_eq!(
            published(&cluster, n, "kong").unwrap().current("x.example")[0].to_string(),
            identity("after", "sha256")
        );
        let markdown = std::fs::read_to_string(&file).unwrap();
        assert!(markdown.starts_with(&format!("# Drill of Certificate {n}/web: worked")), "{markdown}");
        assert!(
            markdown.contains(&identity("before", "serial"))
                && markdown.contains(&identity("after", "serial"))
        );
        // Who has a report keeps it.
        let again = drill(&cluster, n, &["--url", &url, "--yes", "--report", &file]);
        assert_eq!(again.code, Some(64), "{again:?}");

        // Without a controller nothing passes as good.
        until_proven();
        let alone = drill(&cluster, n, &["--url", "http://127.0.0.1:9", "--yes"]);
        assert_eq!(alone.code, Some(2), "{alone:?}");
        assert!(
            alone.stdout.starts_with("UNKNOWN") && alone.stdout.contains("served     not observed"),
            "{alone:?}"
        );
    });
}

/// A configuration whose gateway has one maintenance window, on the clock of this zone: from an hour before to an hour after
/// what the clock shows now in UTC.
fn windows(zone: &str, file: &Path) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let minutes = i64::try_from(now / 60).unwrap();
    let at = |minutes: i64| format!("{:02}:{:02}", minutes.rem_euclid(1440) / 60, minutes.rem_euclid(60));
    let (from, to) = (at(minutes - 60), at(minutes + 60));
    let text = format!(
        "gateways:\n- name: kong\n  sources: [{{directory: /none}}]\n  endpoints: [{{name: a, address: \"127.0.0.1:9\"}}]\n  policy: {{windows: [{{from: \"{from}\", to: \"{to}\", zone: {zone}}}]}}\n"
    );
    std::fs::write(file, text).unwrap();
}

#[test]
fn interrupted_it_says_what_goes_on_and_cert_manager_ends_it_alone() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    inside_of(cluster, |cluster| {
        let namespace = namespace(&cluster, "interrupted");
        let n = namespace.name();
        certificate(&cluster, n, &json!({"selfSigned": {}}));
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let name = format!("{n}/web");
        let drill = |more: &[&str]| {
            let mut command = Command::new(CERTDRIFT);
            command.env("NO_COLOR", "1").args(["drill", &name, "--kubeconfig", &kubeconfig]);
            command.args(["--url", "http://127.0.0.1:9"]).args(more);
            command
        };
        // Closed windows of a configuration keep it away; in another zone, where they are open, they do not.
        let config = folder.path().join("certdrift.yaml");
        for (zone, refused) in [("Asia/Tokyo", true), ("Etc/UTC", false)] {
            windows(zone, &config);
            let ran = drill(&["--dry-run", "--config", &config.display().to_string()]).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert_eq!(ran.status.code(), Some(if refused { 64 } else { 0 }), "{said}");
            assert_eq!(
                said.contains("CD-560") && said.contains("windows of kong are closed"),
                refused,
                "{said}"
            );
        }

        // It cannot be stored as long as the Secret is immutable, so that the drill is in the middle for as long.
        let immutable = json!({"immutable": true}).to_string();
        cluster.kubectl(&["patch", "secret/s", "-n", n, "--type=merge", "--patch", &immutable]).unwrap();
        let before = cluster.get(n, "secret/s").unwrap()["data"]["tls.crt"].clone();
        let mut process = Process::start("drill", &mut drill(&["--yes"]), folder.path()).unwrap();
        wait::until("it to be in the middle", LONG, || match process.log() {
            log if log.contains("is not stored yet") => Ok(()),
            log => Err(log),
        });
        process.signal(Signal::INT);
        let code = wait::until("it to end", PATIENCE, || match process.ended() {
            Some(status) => Ok(status.code()),
            None => Err(process.log()),
        });
        let said = process.log();
        assert_eq!(code, Some(130), "{said}");
        for words in ["is not stored yet", "goes on by itself", "Nothing is left to undo"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        // Nothing half-done is left: the old certificate is in place, and what was asked for comes when it can be stored.
        assert_eq!(cluster.get(n, "secret/s").unwrap()["data"]["tls.crt"], before);
        cluster.kubectl(&["delete", "secret/s", "-n", n]).unwrap();
        wait::until("cert-manager to end it", LONG, || {
            let object = cluster.get(n, "certificate/web").map_err(|e| e.to_string())?;
            let issuing = object["status"]["conditions"].to_string().contains("\"Issuing\"");
            if issuing { Err(object["status"].to_string()) } else { Ok(()) }
        });
        assert_ne!(cluster.get(n, "secret/s").unwrap()["data"]["tls.crt"], before);
    });
}

#[test]
fn what_may_not_be_drilled_is_refused_and_a_store_that_is_forbidden_is_named() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    inside_of(cluster, |cluster| {
        let namespace = namespace(&cluster, "refused");
        let n = namespace.name();
        certificate(&cluster, n, &json!({"selfSigned": {}}));
        // Nobody stores anything into a Secret that is immutable (cert-manager says so in its log only).
        let immutable = json!({"immutable": true}).to_string();
        cluster.kubectl(&["patch", "secret/s", "-n", n, "--type=merge", "--patch", &immutable]).unwrap();
        let stuck = drill(&cluster, n, &["--url", "http://127.0.0.1:9", "--yes", "--timeout", "8s"]);
        assert_eq!(stuck.code, Some(1), "{stuck:?}");
        assert!(stuck.stdout.contains("it is not stored in time"), "{stuck:?}");
        let again = drill(&cluster, n, &["--url", "http://127.0.0.1:9", "--yes"]);
        assert_eq!(again.code, Some(64), "{again:?}");
        assert!(again.stderr.contains("it is being issued already"), "{again:?}");
        cluster.kubectl(&["delete", "secret/s", "-n", n]).unwrap();
        cluster.wait(n, "certificate/web", "condition=Issuing=false", PATIENCE).ok();
        wait::until("it to be issued at last", LONG, || {
            let object = cluster.get(n, "certificate/web").map_err(|e| e.to_string())?;
            let issuing = object["status"]["conditions"].to_string().contains("\"Issuing\"");
            if issuing { Err(object["status"].to_string()) } else { Ok(()) }
        });
        // It is told by what the issuer is, not by what it signs.
        let acme = json!({"spec": {"selfSigned": null, "acme": {"server": "https://acme.invalid/directory",
            "privateKeySecretRef": {"name": "account"}, "solvers": [{"http01": {"ingress": {"ingressClassName": "kong"}}}]}}});
        let patch = ["patch", "issuer/own", "-n", n, "--type=merge", "--patch", &acme.to_string()];
        cluster.kubectl(&patch).unwrap();
        let refused = drill(&cluster, n, &["--yes"]);
        assert_eq!(refused.code, Some(64), "{refused:?}");
        assert!(refused.stderr.contains("ACME") && refused.stderr.contains("CD-560"), "{refused:?}");
        cluster.kubectl(&["delete", "issuer/own", "-n", n]).unwrap();
        let unknown = drill(&cluster, n, &["--yes"]);
        assert_eq!(unknown.code, Some(64), "{unknown:?}");
        assert!(unknown.stderr.contains("who issues it is not known"), "{unknown:?}");
        let missing = run(
            CERTDRIFT,
            &["drill", &format!("{n}/none"), "--kubeconfig", &cluster.kubeconfig().display().to_string()],
        );
        assert_eq!(missing.code, Some(2), "{missing:?}");
    });
}
