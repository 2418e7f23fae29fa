//! Two replicas beside a real API server: one holds the Lease and writes, both serve the ledger; when the one dies the
//! other goes on, and no revision ever goes back.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_contract::{Fingerprint, Revision};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::{Published, ingress, inside, published, secret, sections, start};
use rustix::process::Signal;

/// Renews the Secret; gives the new fingerprint.
fn renew(cluster: &Cluster, n: &str) -> Fingerprint {
    let (object, leaf) = secret(n, "s", "x.example");
    cluster.apply(&object).unwrap();
    leaf
}

/// Waits until the ConfigMap and all replicas expect exactly this, by one document; gives its revision.
#[track_caller]
fn until_all_serve(cluster: &Cluster, n: &str, replicas: &[&Controller], leaf: Fingerprint) -> Revision {
    wait::until("all to serve it", PATIENCE, || {
        let ledger: Published = published(cluster, n, "kong").map_err(|e| format!("{e:#}"))?;
        let served: Vec<String> =
            replicas.iter().map(|r| r.get("/ledger/kong").map(|a| a.body).unwrap_or_default()).collect();
        if ledger.current("x.example") == [leaf] && served.iter().all(|body| *body == ledger.text) {
            Ok(ledger.revision())
        } else {
            let logs: Vec<String> = replicas.iter().map(|r| r.log()).collect();
            Err(format!("{ledger:#?} {served:#?} {logs:#?}"))
        }
    })
}

fn leads(controller: &Controller) -> bool {
    controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
}

#[track_caller]
fn until_leads(controller: &Controller) {
    wait::until("it to lead", PATIENCE, || if leads(controller) { Ok(()) } else { Err(controller.log()) });
}

#[test]
fn one_replica_writes_all_serve_and_another_takes_over_from_a_dead_or_a_leaving_one() {
    inside(|cluster| {
        let namespace = cluster.namespace("replicas").unwrap();
        let n = namespace.name();
        let first = renew(&cluster, n);
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let mut a = start(n, &sections(&cluster, n, ""));
        until_leads(&a);
        let b = start(n, &sections(&cluster, n, ""));
        let mut revisions = vec![until_all_serve(&cluster, n, &[&a, &b], first)];
        for replica in [&a, &b] {
            assert_eq!(replica.get("/readyz").unwrap().status, 200, "{}", replica.log());
        }
        let second = renew(&cluster, n);
        revisions.push(until_all_serve(&cluster, n, &[&a, &b], second));
        assert!(leads(&a) && !leads(&b));
        // A configuration that is read again costs a leader nothing.
        a.signal(Signal::HUP);
        a.until_metric(r#"certdrift_config_reloads_total{result="taken"}"#, 1.0);
        assert!(leads(&a), "{}", a.log());
        // A crash: the Lease stands until it has not been renewed for 15 s; meanwhile the other serves, and then writes.
        a.kill();
        let third = renew(&cluster, n);
        until_leads(&b);
        revisions.push(until_all_serve(&cluster, n, &[&b], third));
        // One that leaves in order gives the Lease up.
        a.run().unwrap();
        revisions.push(until_all_serve(&cluster, n, &[&a, &b], third));
        b.signal(Signal::TERM);
        until_leads(&a);
        let fourth = renew(&cluster, n);
        revisions.push(until_all_serve(&cluster, n, &[&a], fourth));
        let renewed: Vec<Revision> =
            revisions.iter().enumerate().filter(|(i, _)| *i != 3).map(|(_, r)| *r).collect();
        assert!(renewed.windows(2).all(|pair| pair[0] < pair[1]), "{revisions:?}");
        assert_eq!(revisions[2], revisions[3], "a replica that comes changes nothing");
    });
}

#[test]
fn a_restart_without_drift_is_ready_before_it_leads_and_writes_nothing_but_the_lease() {
    inside(|cluster| {
        let namespace = cluster.namespace("restarts").unwrap();
        let n = namespace.name();
        let leaf = renew(&cluster, n);
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let mut a = start(n, &sections(&cluster, n, ""));
        let revision = until_all_serve(&cluster, n, &[&a], leaf);
        let mark = cluster.audit_mark().unwrap();
        for _ in 0..5 {
            a.kill();
            a.run().unwrap();
            assert_eq!(until_all_serve(&cluster, n, &[&a], leaf), revision);
            assert_eq!(a.get("/readyz").unwrap().status, 200, "{}", a.log());
            assert!(!leads(&a), "the one before holds the Lease still");
        }
        until_leads(&a);
        let asked = cluster.audit_since(mark).unwrap();
        let ours = asked.iter().filter(|r| r.object.namespace == n && r.object.name != "kube-root-ca.crt");
        let writes: Vec<_> = ours
            .filter(|r| ["configmaps", "events", "pods"].contains(&r.object.resource.as_str()))
            .filter(|r| !["get", "list", "watch"].contains(&r.verb.as_str()))
            .collect();
        assert!(writes.is_empty(), "{writes:#?}");
    });
}
