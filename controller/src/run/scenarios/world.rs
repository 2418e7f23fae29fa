//! A cluster, a gateway in it and what the observer would tell of it, second by second. Time is the scenario's.
use super::certificates::Certificates;
use super::{Lacking, Scenario, Serves, Step};
use crate::config::{Config, Overrides, load};
use crate::converge::Millis;
use crate::issuance::not_stored::Suspects;
use crate::issuance::permission::Verb;
use crate::observe::expectations::Expectations;
use crate::observe::judge::judged;
use crate::observe::watch::Seen;
use crate::observe::{Observation, Outcome};
use crate::publish::file::FileLedger;
use crate::run::cluster::{Cluster, Wanted};
use crate::run::gateway::{Effect, Gateway};
use crate::run::{Hub, lock};
use base64::Engine as _;
use certdrift_contract::{Evidence, UnixTime};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// 2026-11-24T00:00:00Z.
const START: UnixTime = UnixTime::from_seconds(1_795_478_400);
/// The pod of the ingress controller whose metrics are read.
const PUSHER: &str = "kong/controller";
/// So many handshakes a second with each host of each endpoint.
const HANDSHAKES: i64 = 5;

pub(super) struct World {
    gateway: Gateway,
    cluster: Arc<Cluster>,
    now: Millis,
    objects: BTreeMap<String, Value>,
    certificates: Certificates,
    expectations: Option<Arc<Expectations>>,
    serves: BTreeMap<String, Serves>,
    answers: BTreeMap<String, bool>,
    lacks: BTreeMap<String, Vec<String>>,
    first_seen: BTreeMap<(String, String), UnixTime>,
    without: Option<Lacking>,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

/// One map over another, as deep as both are maps.
fn over(base: &mut Value, other: &Value) {
    match (base, other) {
        (Value::Object(base), Value::Object(other)) => {
            for (key, value) in other {
                if value.is_null() {
                    base.remove(key);
                } else {
                    over(base.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (base, other) => *base = other.clone(),
    }
}

fn configuration(
    base: &Scenario,
    scenario: &Scenario,
    without: Option<Lacking>,
    folder: &std::path::Path,
) -> Config {
    let mut gateway = serde_json::to_value(&base.gateway).unwrap();
    over(&mut gateway, &serde_json::to_value(&scenario.gateway).unwrap());
    let own = gateway["kubernetes"].as_object_mut().unwrap();
    let has_metrics = own.get("ingress_controller").is_some_and(|of| !of["metrics"].is_null());
    if without == Some(Lacking::Events) && !has_metrics {
        // Nothing else tells of it.
        own.remove("ingress_controller");
    } else if let Some(of) = own.get_mut("ingress_controller") {
        of["events"] = (without != Some(Lacking::Events)).into();
    }
    let mut kubernetes = serde_json::to_value(&base.kubernetes).unwrap();
    over(&mut kubernetes, &serde_json::to_value(&scenario.kubernetes).unwrap());
    let text = serde_json::json!({"state_dir": folder, "kubernetes": kubernetes, "gateways": [gateway]});
    load::parse(&text.to_string(), &scenario.name, &Overrides::default()).unwrap_or_else(|e| panic!("{e:?}"))
}

impl World {
    pub(super) fn new(base: &Scenario, scenario: &Scenario, without: Option<Lacking>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configuration(base, scenario, without, folder.path());
        // Nothing runs on it: the watches are shown what there is.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let client =
            kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let cluster = Arc::new(Cluster::shown(Wanted::of(&config).unwrap(), client));
        let hub = Arc::new(Hub::new());
        *lock(&hub.cluster) = Some(Arc::clone(&cluster));
        let now = Millis::from(START);
        let (mut gateway, _) = Gateway::open(&config, config.gateways[0].clone(), hub, now).unwrap();
        gateway.adopt(Box::new(FileLedger::new(folder.path().join("adopted.json"))));
        drop(entered);
        Self {
            gateway,
            cluster,
            now,
            objects: BTreeMap::new(),
            certificates: Certificates::default(),
            expectations: None,
            serves: BTreeMap::new(),
            answers: BTreeMap::new(),
            lacks: BTreeMap::new(),
            first_seen: BTreeMap::new(),
            without,
            _runtime: runtime,
            _folder: folder,
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        for object in &step.objects {
            let object = self.filled(object);
            let meta = &object["metadata"];
            let named = |of: &Value| of.as_str().unwrap_or_default().to_owned();
            let key =
                format!("{} {}/{}", named(&object["kind"]), named(&meta["namespace"]), named(&meta["name"]));
            self.objects.insert(key, object);
        }
        for gone in &step.gone {
            assert!(self.objects.remove(gone).is_some(), "there is no {gone}");
        }
        self.answers.extend(step.answers.clone());
        self.serves.extend(step.serves.clone());
        self.lacks.extend(step.lacks.clone());
        if !step.objects.is_empty() || !step.gone.is_empty() {
            let all: Vec<Value> = self.objects.values().cloned().collect();
            self.cluster.watches.show(&all);
            let mut effects = self.gateway.pods(self.now);
            effects.extend(self.gateway.publish(self.now));
            self.does(effects);
        }
        for (endpoint, silent) in &step.silent {
            self.tell(Seen::Silent { endpoint: endpoint.clone(), silent: *silent });
        }
        let has_status = self.without != Some(Lacking::Status);
        for (endpoint, hash) in step.configuration.iter().filter(|_| has_status) {
            self.tell(Seen::Configuration { endpoint: endpoint.clone(), hash: hash.as_str().into() });
        }
        let has_metrics = self.without != Some(Lacking::Pushes);
        if let Some(page) = step.pushes.as_ref().filter(|_| has_metrics) {
            let page = self.with_times(page);
            let page = Ok(crate::loaded::metrics::read(&page));
            self.tell(Seen::Pushes { endpoint: PUSHER.to_owned(), page });
        }
    }

    /// A second passes, and every endpoint is looked at.
    pub(super) fn second(&mut self) {
        self.now.0 += 1_000;
        let effects = self.gateway.tick(self.now);
        self.does(effects);
        let endpoints: Vec<(String, bool)> =
            self.gateway.places.iter().map(|p| (p.endpoint.name.clone(), p.endpoint.edge)).collect();
        let hidden = match self.without {
            Some(Lacking::First) => endpoints.first(),
            Some(Lacking::Last) => endpoints.last(),
            _ => None,
        };
        for (endpoint, edge) in &endpoints {
            let is_hidden = hidden.is_some_and(|(hidden, _)| hidden == endpoint);
            if is_hidden || self.answers.get(endpoint) == Some(&false) {
                self.tell(Seen::Unreachable { endpoint: endpoint.clone(), why: "refused".to_owned() });
            } else {
                self.look(endpoint, *edge);
            }
        }
    }

    fn look(&mut self, endpoint: &str, edge: bool) {
        let Some(serves) = self.serves.get(endpoint).cloned() else { return };
        let named = self.without != Some(Lacking::Workers);
        let workers = match &serves {
            Serves::Workers(by) if named => u32::try_from(by.len()).ok(),
            Serves::Workers(_) | Serves::One(_) => None,
        };
        self.tell(Seen::Up { endpoint: endpoint.to_owned(), edge, workers, started: None });
        let Some(expectations) = self.expectations.clone() else { return };
        let hosts: Vec<String> = expectations.hosts.iter().map(|h| h.to_string()).collect();
        for host in hosts {
            match &serves {
                Serves::One(certificate) => {
                    for _ in 0..HANDSHAKES {
                        self.saw(endpoint, &host, None, certificate, &expectations);
                    }
                }
                Serves::Workers(by) => {
                    for (worker, certificate) in by {
                        let worker = named.then(|| worker.clone());
                        self.saw(endpoint, &host, worker, certificate, &expectations);
                    }
                }
            }
        }
    }

    fn saw(
        &mut self,
        endpoint: &str,
        host: &str,
        worker: Option<String>,
        certificate: &str,
        expectations: &Arc<Expectations>,
    ) {
        self.now.0 += 1;
        let now = self.now.seconds();
        let made = self.certificates.named(certificate, START);
        let first = (format!("{endpoint} {host}"), certificate.to_owned());
        let first_seen = *self.first_seen.entry(first).or_insert(now);
        let observation = Observation {
            endpoint: endpoint.to_owned(),
            host: host.to_owned(),
            family: None,
            worker,
            at: now,
            began: self.now,
            evidence: Evidence::Handshake,
            outcome: Outcome::Served {
                leaf: made.leaf,
                chain: None,
                placeholder: certificate.starts_with("placeholder"),
                first_seen,
                not_after: Some(made.not_after),
                possession: None,
            },
        };
        let judged = judged(observation, expectations, now);
        self.tell(Seen::Judged(Box::new(judged)));
    }

    fn tell(&mut self, seen: Seen) {
        let effects = self.gateway.told(seen, self.now);
        self.does(effects);
    }

    /// What the loop would do of it, without a network.
    fn does(&mut self, effects: Vec<Effect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Announce { before, heard } => {
                    queue.extend(self.gateway.announce(before, heard, self.now));
                }
                Effect::Expect(expectations) => self.expectations = Some(expectations),
                Effect::Review(secret) => {
                    let words = self.lacks.get(&*secret.namespace).cloned().unwrap_or_default();
                    let is_meant = |verb: &&Verb| words.iter().any(|word| word == verb.as_str());
                    let verbs = Verb::ALL.iter().filter(is_meant).copied().collect();
                    let user = "system:serviceaccount:cert-manager:cert-manager".to_owned();
                    self.gateway.reviewed(secret.namespace.clone(), Suspects::Lacks { user, verbs });
                }
                _ => {}
            }
        }
    }

    /// What is told: `CAUSE[ STATE] OBJECT[ HOST]`.
    pub(super) fn told(&self) -> BTreeSet<String> {
        let line = |d: crate::diagnose::Diagnosis| {
            let words = [Some(d.cause.as_str().to_owned()), d.state, Some(d.object), d.host];
            words.into_iter().flatten().collect::<Vec<_>>().join(" ")
        };
        self.gateway.diagnoses().into_iter().map(line).collect()
    }

    /// `time:SECONDS` is so many seconds after the start, `cert:NAME` a certificate in base64.
    fn filled(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.split_once(':') {
                Some(("time", seconds)) => START.plus(seconds.parse().unwrap()).to_string().into(),
                Some(("cert", name)) => {
                    let pem = self.certificates.named(name, START).pem;
                    base64::engine::general_purpose::STANDARD.encode(pem).into()
                }
                _ => value.clone(),
            },
            Value::Array(all) => all.iter().map(|one| self.filled(one)).collect(),
            Value::Object(all) => {
                let filled = all.iter().map(|(key, one)| (key.clone(), self.filled(one)));
                Value::Object(filled.collect())
            }
            _ => value.clone(),
        }
    }

    /// `{60}` in metrics is so many seconds after the start.
    fn with_times(&self, page: &str) -> String {
        let mut text = String::new();
        for (n, part) in page.split("time:").enumerate() {
            let digits =
                if n == 0 { 0 } else { part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()) };
            let (number, rest) = part.split_at(digits);
            if let Ok(seconds) = number.parse::<i64>() {
                text.push_str(&START.plus(seconds).seconds().to_string());
            }
            text.push_str(rest);
        }
        text
    }
}
