//! What a replica brings along and the cluster changes under it: other machines' clocks on its Lease, and its own token.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Cluster, Namespace};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::{ingress, inside, renewed, sections, sections_of, start, until_published};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn pass(time: Duration) {
    let until = Instant::now() + time;
    wait::until("time to pass", time + PATIENCE, || if Instant::now() >= until { Ok(()) } else { Err(()) });
}

/// A Lease held by a replica whose clock is wrong, and a replica of ours that would have it.
struct Skewed {
    hours: i64,
    namespace: Namespace,
    controller: Controller,
}

impl Skewed {
    fn new(cluster: &Cluster, name: &str, hours: i64) -> Self {
        let namespace = cluster.namespace(name).unwrap();
        let n = namespace.name();
        let time = Self::time(hours);
        let lease = serde_json::json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "certdrift", "namespace": n},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 15, "acquireTime": time, "renewTime": time}});
        cluster.apply(&lease.to_string()).unwrap();
        let controller = start(n, &sections(cluster, n, ""));
        Self { hours, namespace, controller }
    }

    fn time(hours: i64) -> String {
        certdrift::converge::Millis(certdrift::clock::now().0 + hours * 3_600_000).micro_time()
    }

    /// As its holder does.
    fn renews(&self, cluster: &Cluster) {
        let patch = serde_json::json!({"spec": {"renewTime": Self::time(self.hours)}}).to_string();
        let n = self.namespace.name();
        cluster.kubectl(&["patch", "lease/certdrift", "-n", n, "--type=merge", "--patch", &patch]).unwrap();
    }

    fn leads(&self) -> bool {
        self.controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
    }
}

#[test]
fn what_a_lease_says_of_times_is_another_machines_and_decides_nothing() {
    inside(|cluster| {
        let replicas = [Skewed::new(&cluster, "ahead", 1), Skewed::new(&cluster, "behind", -1)];
        let began = Instant::now();
        let mut renewed = began;
        // As long as it is renewed, it is not taken: not though it says that it has ended an hour ago.
        while began.elapsed() < Duration::from_secs(22) {
            renewed = Instant::now();
            for replica in &replicas {
                replica.renews(&cluster);
                assert!(!replica.leads(), "{} h: {}", replica.hours, replica.controller.log());
            }
            pass(Duration::from_secs(2));
        }
        // Its holder falls silent: 15 s later by our own clock it is taken, though it says that it lasts an hour more.
        for replica in &replicas {
            wait::until("it to lead", Duration::from_secs(30), || {
                if replica.leads() { Ok(()) } else { Err(replica.controller.log()) }
            });
            assert!(
                renewed.elapsed() >= Duration::from_secs(15),
                "{} h: {:?}",
                replica.hours,
                renewed.elapsed()
            );
        }
    });
}

/// A kubeconfig that names a file with a token, of an account that may do all in the cluster.
fn by_token(cluster: &Cluster, folder: &Path, n: &str) -> PathBuf {
    cluster.kubectl(&["create", "serviceaccount", "certdrift", "-n", n]).unwrap();
    let account = format!("--serviceaccount={n}:certdrift");
    cluster.kubectl(&["create", "clusterrolebinding", n, "--clusterrole=cluster-admin", &account]).unwrap();
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = serde_json::json!({"tokenFile": folder.join("token")});
    let file = folder.join("kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// Puts a token into the file that holds as long as a Secret of this name is there; by a rename, as the kubelet does.
fn rotate(cluster: &Cluster, folder: &Path, n: &str, bound_to: &str) {
    cluster.kubectl(&["create", "secret", "generic", bound_to, "-n", n]).unwrap();
    let bound = ["--bound-object-kind=Secret", "--bound-object-name", bound_to];
    let token = cluster.kubectl(&[&["create", "token", "certdrift", "-n", n][..], &bound].concat()).unwrap();
    std::fs::write(folder.join("token.new"), token).unwrap();
    std::fs::rename(folder.join("token.new"), folder.join("token")).unwrap();
}

#[test]
fn a_token_that_was_replaced_on_disk_is_used_at_once() {
    inside(|cluster| {
        let (namespace, folder) = (cluster.namespace("token").unwrap(), tempfile::tempdir().unwrap());
        let n = namespace.name();
        let kubeconfig = by_token(&cluster, folder.path(), n);
        rotate(&cluster, folder.path(), n, "first");
        let leaf = renewed(&cluster, n);
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let controller = start(n, &sections_of(&kubeconfig, n, ""));
        until_published(&cluster, n, leaf, PATIENCE, &controller);
        controller.until_metric("certdrift_leader", 1.0);
        let mark = cluster.audit_mark().unwrap();
        let old = std::fs::read_to_string(folder.path().join("token")).unwrap();
        rotate(&cluster, folder.path(), n, "second");
        cluster.kubectl(&["delete", "secret", "first", "-n", n]).unwrap();
        // The server remembers for 10 s that it took a token.
        let server = format!("--server=https://{}", cluster.api_address());
        wait::until("the old one to be refused", PATIENCE, || {
            let token = format!("--token={old}");
            // Without the administrator's certificate, which would speak first.
            let none = "--kubeconfig=/dev/null";
            let asked = ["get", "secrets", "-n", n, &server, &token, none, "--insecure-skip-tls-verify"];
            match cluster.kubectl(&asked) {
                Err(why) if format!("{why:#}").contains("logged in") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        let leaf = renewed(&cluster, n);
        until_published(&cluster, n, leaf, Duration::from_secs(30), &controller);
        // Requests go on being made: the Lease.
        pass(Duration::from_secs(15));
        let asked = cluster.audit_since(mark).unwrap();
        cluster.kubectl(&["delete", "clusterrolebinding", n]).unwrap();
        let refused = asked.iter().filter(|r| r.code() == 401 && r.user_agent.starts_with("certdrift/"));
        let refused: Vec<_> = refused.filter(|r| r.uri.contains(n)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        assert!(!controller.log().contains(r#""leads":false"#), "{}", controller.log());
    });
}
