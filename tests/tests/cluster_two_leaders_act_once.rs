//! Two replicas that both believe to lead, however that came about: of one drift there is one act. The acts are counted
//! where they arrive, the intents before them in the API server's audit log.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Cluster, Namespace};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::gateway::Gateway;
use cluster::proxy::{Fault, Proxy};
use cluster::{healing, ingress, inside, made, secret_of, sections_of};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How the other comes to lead while the first believes that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Force {
    /// The first is stopped; its intent, which is on its way, arrives when the other leads.
    StoppedBeforeItsIntentArrives,
    /// The Lease is edited by hand while the intent is on its way.
    RobbedBeforeItsIntentArrives,
    /// The first is stopped before it hears that its intent stands.
    StoppedBeforeItHearsOfItsIntent,
    /// The Lease is edited by hand, and only then does the first hear that its intent stands: it leads by all it knows.
    RobbedBeforeItHearsOfItsIntent,
    /// The first is stopped when it has acted.
    StoppedAfterItsAct,
    /// The first ends in good order when it has acted, and the gateway takes its time.
    LeavesAfterItsAct,
    /// What the first asks for the Lease is kept back, until the other leads.
    RenewalsHeld,
    /// The Lease is edited by hand, for the one and for the other.
    HandedToAndFro,
    /// The first is stopped at any moment.
    StoppedSomewhen,
}

struct Replica {
    controller: Controller,
    proxy: Proxy,
    _folder: tempfile::TempDir,
}

struct Scene {
    cluster: Cluster,
    namespace: Namespace,
    gateway: Gateway,
    first: Replica,
    other: Replica,
}

fn leads(replica: &Replica) -> bool {
    replica.controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
}

#[track_caller]
fn until_leads(replica: &Replica) {
    wait::until(
        "it to lead",
        PATIENCE,
        || {
            if leads(replica) { Ok(()) } else { Err(replica.controller.log()) }
        },
    );
}

impl Replica {
    fn start(cluster: &Cluster, n: &str, user: &str, gateway: &Gateway) -> Self {
        let (folder, proxy) = (tempfile::tempdir().unwrap(), Proxy::start(cluster));
        let sections = sections_of(&proxy.kubeconfig(folder.path(), user), n, "");
        let controller = Controller::start_with(&sections, &healing(n, gateway)).unwrap();
        Self { controller, proxy, _folder: folder }
    }
}

impl Scene {
    fn new(cluster: &Cluster, name: &str) -> Self {
        let (namespace, gateway) = (cluster.namespace(name).unwrap(), Gateway::start());
        let n = namespace.name();
        let (certificate, key, _) = made("x.example");
        gateway.store(&certificate, &key);
        gateway.load();
        cluster.apply(&secret_of(n, "s", &certificate, &key)).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let first = Replica::start(cluster, n, "first", &gateway);
        until_leads(&first);
        let other = Replica::start(cluster, n, "other", &gateway);
        for replica in [&first, &other] {
            replica.controller.until_status(0);
        }
        Self { cluster: cluster.clone(), namespace, gateway, first, other }
    }

    /// Another certificate is stored; the gateway loads it when it is told to.
    fn renew(&self) {
        let (certificate, key, _) = made("x.example");
        self.gateway.store(&certificate, &key);
        self.cluster.apply(&secret_of(self.namespace.name(), "s", &certificate, &key)).unwrap();
    }

    fn holder(&self) -> String {
        let lease = self.cluster.get(self.namespace.name(), "lease/certdrift").unwrap();
        lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    }

    /// Writes another holder onto the Lease; nobody: empty.
    fn hand_to(&self, holder: &str) {
        let patch = serde_json::json!({"spec": {"holderIdentity": holder}}).to_string();
        let n = self.namespace.name();
        let arguments = ["patch", "lease/certdrift", "-n", n, "--type=merge", "--patch", &patch];
        self.cluster.kubectl(&arguments).unwrap();
    }

    fn until_acted(&self) {
        wait::until("an act", PATIENCE, || {
            let logs = || [&self.first, &self.other].map(|r| r.controller.log());
            if self.gateway.acts().is_empty() { Err(logs()) } else { Ok(()) }
        });
    }

    /// The first is stopped until the other leads, and meanwhile `before_it_goes_on` is done.
    fn stop_first(&self, before_it_goes_on: impl FnOnce()) {
        self.first.controller.signal(Signal::STOP);
        until_leads(&self.other);
        before_it_goes_on();
        self.first.controller.signal(Signal::CONT);
    }

    fn force(&self, how: Force, after: Duration) {
        let proxy = &self.first.proxy;
        match how {
            Force::StoppedBeforeItsIntentArrives => {
                let held = proxy.fault(Fault::HoldRequest, |asked| asked.is_intent());
                self.renew();
                held.until_met(PATIENCE);
                self.stop_first(|| held.ends());
            }
            Force::RobbedBeforeItsIntentArrives => {
                let held = proxy.fault(Fault::HoldRequest, |asked| asked.is_intent());
                self.renew();
                held.until_met(PATIENCE);
                self.hand_to("");
                until_leads(&self.other);
                held.ends();
            }
            Force::StoppedBeforeItHearsOfItsIntent => {
                let held = proxy.fault(Fault::HoldAnswer, |asked| asked.is_intent());
                self.renew();
                held.until_met(PATIENCE);
                self.stop_first(|| {
                    held.ends();
                    self.until_acted();
                });
            }
            Force::RobbedBeforeItHearsOfItsIntent => {
                let held = proxy.fault(Fault::HoldAnswer, |asked| asked.is_intent());
                self.renew();
                held.until_met(PATIENCE);
                self.hand_to("");
                until_leads(&self.other);
                held.ends();
            }
            Force::StoppedAfterItsAct => {
                self.renew();
                self.until_acted();
                self.stop_first(|| ());
            }
            Force::LeavesAfterItsAct => {
                self.gateway.takes(Duration::from_secs(5));
                self.renew();
                self.until_acted();
                self.first.controller.signal(Signal::TERM);
                until_leads(&self.other);
            }
            Force::RenewalsHeld => {
                let held = proxy.fault(Fault::HoldRequest, |asked| asked.is_lease());
                held.until_met(PATIENCE);
                self.renew();
                until_leads(&self.other);
                self.until_acted();
                held.ends();
            }
            Force::HandedToAndFro => {
                let first = self.holder();
                self.hand_to("");
                self.renew();
                wait_for(after);
                self.hand_to("");
                wait_for(after);
                self.hand_to(&first);
                wait_for(after);
                self.hand_to("");
            }
            Force::StoppedSomewhen => {
                self.renew();
                wait_for(after);
                self.stop_first(|| ());
            }
        }
    }

    /// Intents on the Lease since: who wrote it, which, how it was answered, and when.
    fn intents(&self, mark: certdrift_cluster::audit::Mark) -> Vec<(String, String, u16, String)> {
        let asked = self.cluster.audit_since(mark).unwrap();
        let of_lease = asked
            .iter()
            .filter(|r| r.object.namespace == self.namespace.name() && r.object.resource == "leases");
        of_lease
            .filter_map(|r| {
                let intent = r.body["metadata"]["annotations"]["intent.certdrift.dev/kong"].as_str()?;
                assert!(
                    r.body["metadata"]["resourceVersion"].is_string(),
                    "an intent without a fence: {r:?}"
                );
                let key = intent.split(':').next().unwrap().to_owned();
                Some((r.user().to_owned(), key, r.code(), r.request_received_timestamp.clone()))
            })
            .collect()
    }
}

/// A moment of a scene that nothing tells of.
fn wait_for(time: Duration) {
    let until = Instant::now() + time;
    wait::until("a moment", time + PATIENCE, || if Instant::now() >= until { Ok(()) } else { Err(()) });
}

/// Plays one scene; gives who has acted, and how many intents were refused.
fn play(cluster: &Cluster, number: usize, how: Force, after: Duration) -> (String, usize) {
    let scene = Scene::new(cluster, &format!("two-leaders-{number}"));
    let mark = cluster.audit_mark().unwrap();
    scene.force(how, after);
    scene.until_acted();
    scene.other.controller.until_status(0);
    if how != Force::LeavesAfterItsAct {
        scene.first.controller.until_status(0);
    }
    let (acts, intents) = (scene.gateway.acts(), scene.intents(mark));
    let logs = || format!("{}\n----\n{}", scene.first.controller.log(), scene.other.controller.log());
    assert_eq!(acts.len(), 1, "{how:?} after {after:?}: {acts:?}\n{intents:#?}\n{}", logs());
    let act = &acts[0];
    let granted: Vec<_> =
        intents.iter().filter(|(_, key, code, _)| *key == act.intent && *code == 200).collect();
    let [(who, _, _, when)] = granted[..] else {
        panic!("{how:?} after {after:?}: {act:?} has not one intent\n{intents:#?}\n{}", logs())
    };
    assert!(*when < act.at, "its intent stood before it: {when} {act:?}");
    (who.clone(), intents.iter().filter(|(.., code, _)| *code == 409).count())
}

#[test]
fn of_one_drift_there_is_one_act_and_before_it_one_intent_on_the_lease() {
    inside(|cluster| {
        use Force::*;
        let ms = Duration::from_millis;
        let scenes = [
            (StoppedBeforeItsIntentArrives, ms(0)),
            (RobbedBeforeItsIntentArrives, ms(0)),
            (StoppedBeforeItHearsOfItsIntent, ms(0)),
            (RobbedBeforeItHearsOfItsIntent, ms(0)),
            (StoppedAfterItsAct, ms(0)),
            (LeavesAfterItsAct, ms(0)),
            (RenewalsHeld, ms(0)),
            (HandedToAndFro, ms(300)),
            (HandedToAndFro, ms(1_100)),
            (StoppedSomewhen, ms(900)),
            (StoppedSomewhen, ms(1_300)),
            (StoppedSomewhen, ms(1_500)),
            (StoppedSomewhen, ms(1_700)),
        ];
        let began = Instant::now();
        let cluster = &cluster;
        let came: Vec<(Force, String, usize)> = std::thread::scope(|scope| {
            let playing: Vec<_> = scenes
                .iter()
                .enumerate()
                .map(|(number, (how, after))| {
                    (*how, scope.spawn(move || play(cluster, number, *how, *after)))
                })
                .collect();
            playing
                .into_iter()
                .map(|(how, scene)| match scene.join() {
                    Ok((who, refused)) => (how, who, refused),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        eprintln!("{:?}: {came:#?}", began.elapsed());
        for (how, who, refused) in came {
            match how {
                StoppedBeforeItsIntentArrives | RobbedBeforeItsIntentArrives => {
                    assert_eq!((who.as_str(), refused), ("other", 1), "{how:?}: the Lease is the fence");
                }
                StoppedBeforeItHearsOfItsIntent | RenewalsHeld => assert_eq!(who, "other", "{how:?}"),
                RobbedBeforeItHearsOfItsIntent | StoppedAfterItsAct | LeavesAfterItsAct => {
                    assert_eq!(who, "first", "{how:?}");
                }
                HandedToAndFro | StoppedSomewhen => {}
            }
        }
    });
}
