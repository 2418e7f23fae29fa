//! Two replicas that end and start again, in order and by a crash, and lead by turns, while nothing drifts: nobody
//! notices. `CERTDRIFT_LONG=1` makes it a thousand times; `CERTDRIFT_SEED=n` gives another order.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Cluster, Namespace};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::gateway::Gateway;
use cluster::{healing, ingress, inside, kubeconfig_as, made, published, secret_of, sections_of};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Instant;

const USERS: [&str; 2] = ["one", "two"];

fn leads(controller: &Controller) -> bool {
    controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
}

/// Splitmix: the same order for the same seed.
struct Chance(u64);

impl Chance {
    fn of(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 32) % n
    }
}

struct Scene {
    cluster: Cluster,
    namespace: Namespace,
    gateway: Gateway,
    replicas: [Controller; 2],
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(cluster: Cluster) -> Self {
        let (namespace, gateway) = (cluster.namespace("restarts").unwrap(), Gateway::start());
        let (n, folder) = (namespace.name(), tempfile::tempdir().unwrap());
        let (certificate, key, _) = made("x.example");
        gateway.store(&certificate, &key);
        gateway.load();
        cluster.apply(&secret_of(n, "s", &certificate, &key)).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let replicas = USERS.map(|user| {
            let sections = sections_of(&kubeconfig_as(&cluster, folder.path(), user), n, "");
            Controller::start_with(&sections, &healing(n, &gateway)).unwrap()
        });
        Self { cluster, gateway, replicas, _folder: folder, namespace }
    }

    fn logs(&self) -> String {
        self.replicas.each_ref().map(Controller::log).join("\n----\n")
    }

    /// One of them leads.
    #[track_caller]
    fn until_led(&self) {
        wait::until("one to lead", PATIENCE, || {
            if self.replicas.iter().any(leads) { Ok(()) } else { Err(self.logs()) }
        });
    }

    /// Both serve this document and are ready.
    #[track_caller]
    fn until_both_serve(&self, ledger: &str) {
        wait::until("both to serve it", PATIENCE, || {
            let serves = |replica: &Controller| {
                replica.get("/ledger/kong").is_ok_and(|answer| answer.body == ledger)
                    && replica.get("/readyz").is_ok_and(|answer| answer.status == 200)
            };
            if self.replicas.iter().all(serves) { Ok(()) } else { Err(self.logs()) }
        });
    }

    /// Nobody holds the Lease any more: as if it had ended, without the wait for that.
    fn free_lease(&self) {
        let patch = r#"{"spec": {"holderIdentity": ""}}"#;
        let n = self.namespace.name();
        self.cluster
            .kubectl(&["patch", "lease/certdrift", "-n", n, "--type=merge", "--patch", patch])
            .unwrap();
    }

    fn leader_changes(&self) -> u64 {
        let lease = self.cluster.get(self.namespace.name(), "lease/certdrift").unwrap();
        lease["spec"]["leaseTransitions"].as_u64().unwrap_or_default()
    }
}

#[test]
fn without_drift_restarts_and_changes_of_leaders_write_nothing_but_the_lease() {
    let restarts = if std::env::var_os("CERTDRIFT_LONG").is_some() { 1_000 } else { 30 };
    let seed = std::env::var("CERTDRIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(6);
    inside(move |cluster| {
        let mut scene = Scene::new(cluster);
        scene.until_led();
        let ledger = wait::until("the ledger", PATIENCE, || {
            published(&scene.cluster, scene.namespace.name(), "kong").map_err(|e| format!("{e:#}"))
        });
        scene.until_both_serve(&ledger.text);
        for replica in &scene.replicas {
            replica.until_status(0);
        }
        let (mark, before) = (scene.cluster.audit_mark().unwrap(), scene.leader_changes());
        let (began, mut chance, mut crashes) = (Instant::now(), Chance(seed), 0);
        for round in 0..restarts {
            let who = usize::try_from(chance.of(2)).unwrap();
            let led = leads(&scene.replicas[who]);
            let replica = &mut scene.replicas[who];
            if chance.of(3) == 0 {
                replica.kill();
                crashes += 1;
                // Once the Lease ends by itself; each time would take 15 s.
                if led && round > 4 {
                    scene.free_lease();
                }
            } else {
                replica.signal(Signal::TERM);
                assert_eq!(replica.ended(), Some(0), "{}", replica.log());
            }
            scene.replicas[who].run().unwrap();
            scene.until_both_serve(&ledger.text);
            scene.until_led();
        }
        // What the last one began is seen, too.
        for replica in &scene.replicas {
            replica.until_status(0);
        }
        let changes = scene.leader_changes() - before;
        eprintln!(
            "{restarts} restarts, {crashes} of them crashes, {changes} leader changes: {:?}",
            began.elapsed()
        );
        assert!(changes >= restarts / 4 && crashes >= restarts / 5, "{changes} {crashes}");
        assert_eq!(scene.gateway.acts().len(), 0, "{:?}", scene.gateway.acts());
        let asked = scene.cluster.audit_since(mark).unwrap();
        let ours = asked.iter().filter(|r| USERS.contains(&r.user()));
        let mut written: BTreeMap<(String, String), usize> = BTreeMap::new();
        for request in ours.filter(|r| !["get", "list", "watch"].contains(&r.verb.as_str())) {
            let what = (request.object.resource.clone(), request.object.name.clone());
            *written.entry(what).or_default() += 1;
        }
        assert_eq!(written.keys().collect::<Vec<_>>(), [&("leases".to_owned(), "certdrift".to_owned())]);
        let after = published(&scene.cluster, scene.namespace.name(), "kong").unwrap();
        assert_eq!((after.revision(), after.text), (ledger.revision(), ledger.text));
    });
}
