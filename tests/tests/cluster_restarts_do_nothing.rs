//! Restarts and changes of leaders where nothing drifts: no remedy, no Event, no write but the Lease's. 30 of them;
//! `CERTDRIFT_LONG=1` makes them 1,000.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_harness::controller::{Controller, PATIENCE};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use certdrift_harness::wait;
use cluster::{ingress, inside, made, published, sections};
use rustix::process::Signal;
use serde_json::json;

const HOST: &str = "x.example";

fn leads(controller: &Controller) -> bool {
    controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
}

#[track_caller]
fn one_leads(replicas: &[Controller; 2]) {
    let leading = || replicas.iter().filter(|replica| leads(replica)).count();
    wait::until("one leader", PATIENCE, || if leading() == 1 { Ok(()) } else { Err(leading()) });
}

#[test]
fn restarts_and_changes_of_leaders_without_drift_write_nothing_but_the_lease() {
    let rounds = if std::env::var_os("CERTDRIFT_LONG").is_some() { 1_000 } else { 30 };
    inside(move |cluster| {
        let namespace = cluster.namespace("restarts").unwrap();
        let n = namespace.name();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let (certificate, key, _) = made(HOST);
        std::fs::write(folder.path().join("crt"), &certificate).unwrap();
        std::fs::write(folder.path().join("key"), &key).unwrap();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "s", "namespace": n}, "stringData": {"tls.crt": certificate, "tls.key": key}});
        cluster.apply(&secret.to_string()).unwrap();
        cluster.apply(&ingress(n, HOST, "s")).unwrap();
        let port = free_port();
        let _nginx = Nginx::with_workers(1)
            .server(&format!(
                "listen 127.0.0.1:{port} ssl; ssl_certificate {at}/crt; ssl_certificate_key {at}/key; return 200;"
            ))
            .start()
            .unwrap();
        let acts = folder.path().join("acts");
        // Healing is allowed: there is nothing to be healed.
        let gateway = format!(
            "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}}}\n  endpoints: [{{name: nginx, address: \"127.0.0.1:{port}\", workers: 1}}]\n  policy: {{mode: heal, grace: 1s, remedies: [{{name: mend, command: {{argv: [touch, {}]}}}}]}}\n",
            acts.display()
        );
        let mut replicas = [(); 2].map(|()| {
            let controller = Controller::start_with(&sections(&cluster, n, ""), &gateway).unwrap();
            controller.until_status(0);
            controller
        });
        one_leads(&replicas);
        let before = wait::until("the ledger", PATIENCE, || published(&cluster, n, "kong"));
        let transitions = || -> u64 {
            cluster.get(n, "lease/certdrift").unwrap()["spec"]["leaseTransitions"]
                .as_u64()
                .unwrap_or_default()
        };
        let (begun, mark) = (transitions(), cluster.audit_mark().unwrap());
        for round in 0..rounds {
            let replica = &mut replicas[round % 2];
            if round % 10 == 9 {
                replica.kill();
            } else {
                replica.signal(Signal::TERM);
                assert_eq!(replica.ended(), Some(0), "{}", replica.log());
            }
            replica.run().unwrap();
            wait::until("it to be ready, with the same ledger", PATIENCE, || {
                let ready = replica.get("/readyz").map_err(|e| e.to_string())?;
                let ledger = replica.get("/ledger/kong").map_err(|e| e.to_string())?;
                if ready.status == 200 && ledger.body == before.text { Ok(()) } else { Err(replica.log()) }
            });
            // Now and then somebody has the time to lead.
            if round % 3 == 0 {
                one_leads(&replicas);
            }
        }
        one_leads(&replicas);
        let leaders = usize::try_from(transitions() - begun).unwrap();
        assert!(leaders >= rounds / 5, "{leaders} changes of leaders in {rounds} restarts");
        replicas.iter().for_each(|replica| drop(replica.until_status(0)));
        assert!(!acts.exists(), "no remedy");
        assert_eq!(published(&cluster, n, "kong").unwrap().text, before.text);
        let asked = cluster.audit_since(mark).unwrap();
        let ours = asked.iter().filter(|r| r.user_agent.starts_with("certdrift") && r.object.namespace == n);
        let writes: Vec<_> = ours
            .filter(|r| !["get", "list", "watch"].contains(&r.verb.as_str()) && r.object.resource != "leases")
            .collect();
        assert!(writes.is_empty(), "{writes:#?}");
        eprintln!("{rounds} restarts, {leaders} changes of leaders");
    });
}
