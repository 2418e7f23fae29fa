//! A scene: something that stores certificates, a gateway that loads them, and the real controller between them. While it
//! plays, the ledger is followed; at its end [`Scene::ends`] holds all that was seen against the invariants.
use crate::api::{self, Api};
use crate::audit::{self, Ending};
use crate::chance::Chance;
use crate::proxy::Proxy;
use crate::stand_in::StandIn;
use certdrift_cluster::Cluster;
use certdrift_contract::ledger::Content;
use certdrift_contract::{Fingerprint, Ledger};
use certdrift_harness::certs::{Ca, Leaf, Wish, wish};
use certdrift_harness::controller::Controller;
use certdrift_harness::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The host of each scene.
pub(crate) const HOST: &str = "x.example";
/// Everything may take so long on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What all scenes stand on.
pub(crate) struct Ground {
    /// The cluster and its API; none where the machine has none.
    pub(crate) cluster: Option<(Cluster, Api)>,
    /// Who issues.
    pub(crate) ca: Ca,
}

impl Ground {
    /// The cluster of a scene that needs one.
    pub(crate) fn api(&self) -> (&Cluster, &Api) {
        let (cluster, api) =
            self.cluster.as_ref().expect("a fault that needs a cluster is not run without one");
        (cluster, api)
    }
}

/// Where certificates are stored.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the Secret `s` of this namespace.
    Namespace(String),
    /// In files of this folder.
    Folder(tempfile::TempDir),
}

/// What is set differently from scene to scene.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// `heal` or `observe`.
    pub(crate) mode: &'static str,
    /// Seconds before a drift counts.
    pub(crate) grace: u64,
    /// Seconds between two remedies.
    pub(crate) interval: u64,
    /// Seconds for a remedy.
    pub(crate) timeout: u64,
    /// Names of the remedies.
    pub(crate) remedies: &'static [&'static str],
    /// Whether the remedies are said to restart what they mend.
    pub(crate) restarts: bool,
    /// More keys of the policy, each with a comma before it.
    pub(crate) policy: String,
    /// More keys of the gateway.
    pub(crate) gateway: String,
    /// Seconds for which a predecessor is accepted.
    pub(crate) carried: u64,
    /// Of the endpoint.
    pub(crate) workers: u32,
    /// Directory of state, where it is another than the controller's own.
    pub(crate) replicas: usize,
    /// Whether the API server is asked through a proxy.
    pub(crate) proxied: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            mode: "heal",
            grace: 1,
            interval: 2,
            timeout: 3,
            remedies: &["mend", "again", "last"],
            restarts: false,
            policy: String::new(),
            gateway: String::new(),
            carried: 1,
            workers: 1,
            replicas: 1,
            proxied: false,
        }
    }
}

/// A controller, and what it asks the API server through.
pub(crate) struct Replica {
    pub(crate) controller: Controller,
    pub(crate) proxy: Option<Proxy>,
    _folder: tempfile::TempDir,
}

/// What is true, whatever the controller thinks.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// All that was stored and is good.
    pub(crate) good: BTreeSet<Fingerprint>,
    /// When what is stored was worse than what is served, from and to.
    pub(crate) worse: Vec<(Instant, Option<Instant>)>,
    /// The newest good one.
    pub(crate) newest: Option<Fingerprint>,
    /// When good ones were stored; the first before the scene began.
    pub(crate) stored: Vec<Instant>,
    /// What was seen of the ledger: when, which revision, what is current.
    pub(crate) ledgers: Vec<(Instant, u64, Vec<Fingerprint>)>,
    /// What must never be seen.
    pub(crate) wrong: Vec<String>,
}

thread_local! {
    /// Whether the scene of this thread stands.
    pub(crate) static STANDS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A scene that plays.
pub(crate) struct Scene {
    pub(crate) ground: &'static Ground,
    pub(crate) place: Place,
    pub(crate) setting: Setting,
    pub(crate) gateway: StandIn,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) chance: Chance,
    truth: Arc<Mutex<Truth>>,
    over: Arc<AtomicBool>,
}

/// Waits, where the passing of time is what the fault is about.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}

impl Scene {
    /// In a namespace of its own.
    pub(crate) fn in_cluster(ground: &'static Ground, chance: Chance, setting: Setting) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (_, api) = ground.api();
        let name = format!("soak-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        api.namespace(&name).expect("a namespace");
        api.apply(&api::ingress(&name, "i"), &ingress(&name, "i", HOST, "s")).expect("an Ingress");
        Self::start(ground, chance, setting, Place::Namespace(name))
    }

    /// With files, and no cluster.
    pub(crate) fn with_files(ground: &'static Ground, chance: Chance, setting: Setting) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("live")).expect("a folder");
        Self::start(ground, chance, setting, Place::Folder(folder))
    }

    fn start(ground: &'static Ground, chance: Chance, setting: Setting, place: Place) -> Self {
        let (truth, over) = (Arc::default(), Arc::default());
        let gateway = StandIn::start();
        let mut scene = Self { ground, place, setting, gateway, replicas: Vec::new(), chance, truth, over };
        let first = scene.issue(&wish(&[HOST]));
        scene.store(&first);
        scene.gateway.load();
        for _ in 0..scene.setting.replicas {
            let replica = scene.replica();
            scene.replicas.push(replica);
        }
        scene.follow();
        scene.until_right();
        STANDS.set(true);
        scene
    }

    fn replica(&self) -> Replica {
        let (folder, proxied) = (tempfile::tempdir().expect("a folder"), self.setting.proxied);
        let proxy = proxied.then(|| Proxy::start(self.ground.api().0));
        let sections = match &self.place {
            Place::Folder(_) => String::new(),
            Place::Namespace(n) => {
                let kubeconfig = match &proxy {
                    Some(proxy) => proxy.kubeconfig(folder.path(), "replica"),
                    None => self.ground.api().0.kubeconfig(),
                };
                format!(
                    "kubernetes: {{kubeconfig: {}, namespace: {n}, reach: namespaces, namespaces: [{n}]}}",
                    kubeconfig.display()
                )
            }
        };
        let controller = Controller::start_with(&sections, &self.configuration()).expect("a controller");
        Replica { controller, proxy, _folder: folder }
    }

    /// The gateway's section of the configuration.
    pub(crate) fn configuration(&self) -> String {
        let Setting { mode, grace, interval, timeout, remedies, policy, gateway, carried, workers, .. } =
            &self.setting;
        let (hook, restarts) = (self.gateway.hook, self.setting.restarts);
        let remedies: Vec<String> = remedies
            .iter()
            .map(|name| {
                format!("{{name: {name}, timeout: {timeout}s, restarts: {restarts}, webhook: {{url: \"http://{hook}/{name}\"}}}}")
            })
            .collect();
        let origin = match &self.place {
            Place::Folder(folder) => format!("sources: [{{directory: {}/live}}]", folder.path().display()),
            Place::Namespace(n) => {
                format!("kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}}}")
            }
        };
        format!(
            "- name: kong
  {origin}
  endpoints: [{{name: a, address: \"{}\", workers: {workers}}}]
  publish: {{grace: {carried}s}}
  observe: {{per_second: 200, poll: 1s, timeout: 3s, sweep: 600s}}
  policy: {{mode: {mode}, grace: {grace}s, settle: 1s, prove_within: 6s, min_interval: {interval}s, alert_after: 60s{policy},
    remedies: [{}]}}
{gateway}",
            self.gateway.address,
            remedies.join(", "),
        )
    }

    pub(crate) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The namespace of one in a cluster.
    pub(crate) fn n(&self) -> &str {
        match &self.place {
            Place::Namespace(name) => name,
            Place::Folder(_) => panic!("no scene of a cluster"),
        }
    }

    pub(crate) fn api(&self) -> &'static Api {
        self.ground.api().1
    }

    /// The folder with certificates of one with files.
    pub(crate) fn live(&self) -> PathBuf {
        match &self.place {
            Place::Folder(folder) => folder.path().join("live"),
            Place::Namespace(_) => panic!("no scene with files"),
        }
    }

    pub(crate) fn controller(&self) -> &Controller {
        &self.replicas[0].controller
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.replicas[0].proxy.as_ref().expect("a scene with a proxy")
    }

    pub(crate) fn issue(&self, wish: &Wish) -> Leaf {
        self.ground.ca.issue(wish).expect("a certificate")
    }

    /// A good certificate is stored, and the gateway would load it now.
    pub(crate) fn store(&self, leaf: &Leaf) {
        self.expect(leaf);
        self.gateway.store(HOST, leaf);
        self.write(leaf);
    }

    /// From here on it is what should be served.
    pub(crate) fn expect(&self, leaf: &Leaf) {
        let mut truth = self.truth();
        truth.good.insert(leaf.fingerprint);
        truth.newest = Some(leaf.fingerprint);
        truth.stored.push(Instant::now());
        if let Some((_, to @ None)) = truth.worse.last_mut() {
            *to = Some(Instant::now());
        }
    }

    /// Writes it to where it is stored, whatever it is worth.
    pub(crate) fn write(&self, leaf: &Leaf) {
        match &self.place {
            Place::Folder(folder) => {
                leaf.write(&folder.path().join("live"), "x").expect("written");
            }
            Place::Namespace(_) => self.write_secret("s", &leaf.chain_pem(), &leaf.key_pem),
        }
    }

    /// Writes a Secret.
    pub(crate) fn write_secret(&self, name: &str, certificate: &str, key: &str) {
        use base64::Engine as _;
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": self.n()},
            "data": {"tls.crt": encoded(certificate), "tls.key": encoded(key)}});
        self.api().apply(&api::secret(self.n(), name), &object).expect("a Secret");
    }

    /// A renewal: another good certificate is stored.
    pub(crate) fn renew(&self) -> Leaf {
        let leaf = self.issue(&wish(&[HOST]));
        self.store(&leaf);
        leaf
    }

    /// Something worse is stored; the gateway would load it.
    pub(crate) fn store_worse(&self, leaf: &Leaf) {
        self.truth().worse.push((Instant::now(), None));
        self.gateway.store(HOST, leaf);
        self.write(leaf);
    }

    /// What is published now.
    pub(crate) fn published(&self) -> Result<Ledger, String> {
        published(&self.place, self.ground, &self.replicas.first().map(|r| r.controller.state()))
    }

    fn follow(&self) {
        let (truth, over) = (Arc::clone(&self.truth), Arc::clone(&self.over));
        let (ground, state) = (self.ground, self.replicas.first().map(|r| r.controller.state()));
        let place = match &self.place {
            Place::Namespace(name) => Some(name.clone()),
            Place::Folder(_) => None,
        };
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let seen = match &place {
                    Some(name) => of_config_map(name, ground),
                    None => of_file(&state),
                };
                if let Ok(ledger) = seen {
                    audit::follow(&mut truth.lock().unwrap_or_else(PoisonError::into_inner), &ledger);
                }
                std::thread::sleep(Duration::from_millis(150));
            }
        });
    }

    /// What a replica knows of the gateway.
    pub(crate) fn state(&self, replica: usize) -> Result<Value, String> {
        let controller = &self.replicas[replica].controller;
        let answer = controller.get("/debug/state").map_err(|e| format!("{e:#}\n{}", controller.log()))?;
        let state: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        Ok(state["gateways"][0].clone())
    }

    pub(crate) fn logs(&self) -> String {
        let logs: Vec<String> = self.replicas.iter().map(|r| tail(&r.controller.log())).collect();
        logs.join("\n----\n")
    }

    /// Waits until ledger, memory and wire are what is stored.
    #[track_caller]
    pub(crate) fn until_right(&self) {
        let newest = self.truth().newest.expect("something is stored").to_string();
        wait::until("ledger, memory and wire to be what is stored", PATIENCE, || {
            let ledger = self
                .published()
                .map(|ledger| current(&ledger))
                .map_err(|e| format!("{e}\n{}", self.logs()))?;
            let ledger: Vec<String> = ledger.iter().map(ToString::to_string).collect();
            for at in 0..self.replicas.len() {
                let state = self.state(at)?;
                let host = &state["hosts"][0];
                let seen = &host["seen"][0];
                let right = host["expected"] == json!([newest])
                    && seen["verdict"] == "match"
                    && seen["served"] == newest.as_str()
                    && state["remedy"].is_null()
                    && ledger == [newest.clone()];
                if !right {
                    return Err(format!("{newest} {ledger:?}\n{state:#}\n{}", self.logs()));
                }
            }
            Ok(())
        });
    }

    /// Waits until the ledger expects this.
    #[track_caller]
    pub(crate) fn until_expected(&self, leaf: &Leaf, within: Duration) {
        wait::until("it to be expected", within, || match self.published() {
            Ok(ledger) if current(&ledger) == [leaf.fingerprint] => Ok(()),
            other => Err(format!("{} {other:?}\n{}", leaf.fingerprint, self.logs())),
        });
    }

    /// Waits until something is true of a replica's state.
    #[track_caller]
    pub(crate) fn until_state(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, PATIENCE, || {
            let state = self.state(0)?;
            if holds(&state) { Ok(state) } else { Err(format!("{state:#}\n{}", self.logs())) }
        })
    }

    /// Waits for so many acts.
    #[track_caller]
    pub(crate) fn until_acted(&self, times: usize) {
        wait::until("an act", PATIENCE, || {
            let acts = self.gateway.acts();
            if acts.len() >= times { Ok(()) } else { Err(format!("{acts:?}\n{}", self.logs())) }
        });
    }

    /// A replica is killed, as a crash would; whoever leads next need not wait for the Lease to end.
    pub(crate) fn crash(&mut self, replica: usize) {
        self.replicas[replica].controller.kill();
        if let Place::Namespace(n) = &self.place {
            let _ = self.api().merge(&api::lease(n), &json!({"spec": {"holderIdentity": ""}}));
        }
    }

    /// It starts again.
    #[track_caller]
    pub(crate) fn start_again(&mut self, replica: usize) {
        self.replicas[replica].controller.run().expect("it starts again");
    }

    /// The history that a replica has written.
    pub(crate) fn history(&self, replica: usize) -> Vec<Value> {
        let file = self.replicas[replica].controller.state().join("kong/history.jsonl");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The end: all is as it should be and stays so over a crash, and no invariant was broken on the way.
    #[track_caller]
    pub(crate) fn ends(mut self, ending: &Ending) {
        if ending.converges {
            self.until_right();
        }
        audit::audit(&self, ending);
        let (acts, ledger) = (self.gateway.acts().len(), self.published().ok());
        for replica in 0..self.replicas.len() {
            self.crash(replica);
            self.start_again(replica);
        }
        if ending.converges {
            self.until_right();
        }
        assert_eq!(self.gateway.acts().len(), acts, "a restart with nothing new acts\n{}", self.logs());
        let after = self.published().ok();
        assert_eq!(
            ledger.map(|l| (l.revision, l.published_at)),
            after.map(|l| (l.revision, l.published_at)),
            "a restart with nothing new publishes\n{}",
            self.logs()
        );
        audit::nothing_wrong(&self.truth());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.replicas.clear();
        if let Place::Namespace(n) = &self.place {
            let _ = self.api().delete(&format!("/api/v1/namespaces/{n}"));
        }
    }
}

/// What a ledger expects of the host.
pub(crate) fn current(ledger: &Ledger) -> Vec<Fingerprint> {
    entry(ledger).into_iter().flat_map(|e| e.current.iter().map(|c| c.sha256)).collect()
}

/// The host's entry.
pub(crate) fn entry(ledger: &Ledger) -> Option<&certdrift_contract::Entry> {
    let Content::Entries(entries) = &ledger.content else { return None };
    entries.iter().map(AsRef::as_ref).find(|e| e.hosts.iter().any(|h| h.as_str() == HOST))
}

pub(crate) fn parse(text: &str) -> Result<Ledger, String> {
    Ledger::parse(text.as_bytes(), &certdrift_contract::json::Limits::default()).map_err(|e| e.to_string())
}

fn of_config_map(namespace: &str, ground: &Ground) -> Result<Ledger, String> {
    let object = ground.api().1.get(&api::ledger(namespace)).map_err(|e| format!("{e:#}"))?;
    parse(object["data"]["ledger.json"].as_str().unwrap_or_default())
}

fn of_file(state: &Option<PathBuf>) -> Result<Ledger, String> {
    let file = state.as_ref().ok_or("no controller")?.join("kong/ledger.json");
    parse(&std::fs::read_to_string(file).map_err(|e| e.to_string())?)
}

fn published(place: &Place, ground: &Ground, state: &Option<PathBuf>) -> Result<Ledger, String> {
    match place {
        Place::Namespace(name) => of_config_map(name, ground),
        Place::Folder(_) => of_file(state),
    }
}

/// An Ingress of class `kong` that binds a host to a Secret.
pub(crate) fn ingress(namespace: &str, name: &str, host: &str, secret: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": namespace},
        "spec": {"ingressClassName": "kong", "tls": [{"hosts": [host], "secretName": secret}],
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// A maintenance window that opens in some hours, as keys of a policy; nothing else keeps a restart back.
pub(crate) fn closed_window() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let hour = (now.as_secs() / 3_600 + 6) % 24;
    format!(", restart_single_replica: true, windows: [{{from: \"{hour:02}:00\", to: \"{hour:02}:30\"}}]")
}
