//! The Lease on the API server (coordination.k8s.io/v1), and what follows from leading.
//!
//! One task asks for it and renews it; all others see by [`Leadership::leads`] whether this replica leads now. Intents
//! of remedies are written onto the same object, so that whoever takes the Lease makes them fail, and finds them.
use super::election::{Act, Election, Heard, Lease, Now, Terms, Write};
use super::findings as kinds;
use crate::clock;
use crate::cluster::call::{Call, Refusal, refused_verb};
use crate::converge::Millis;
use crate::finding::Finding;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// How long one request may take; shorter than the leader's patience, so that a second one has a chance.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the annotation of a gateway's intent begins with.
const INTENT: &str = "intent.certdrift.dev/";
/// What the annotation begins with that says when a gateway's remedies of the last hour were started: whoever leads next
/// keeps to the same interval and budget.
const ACTS: &str = "acts.certdrift.dev/";
/// So many of them are written down, the newest.
const MOST_ACTS: usize = 60;

/// Where the Lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the controller.
    pub namespace: String,
    /// The same for all its replicas.
    pub name: String,
}

impl Place {
    fn list(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.list(), self.name)
    }
}

/// Why an intent was not written, so that the act must not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFenced {
    /// We do not lead, or cannot be sure.
    #[error("this replica does not lead")]
    NotLeading,
    /// Another has written the Lease since.
    #[error("another replica has taken the Lease")]
    Taken,
    /// No answer, or a refusal: it may stand there all the same, and is found by the next look.
    #[error("the Lease could not be written")]
    Unknown,
}

#[derive(Debug)]
struct Wish {
    gateway: String,
    intent: Option<String>,
    acts: Option<Vec<Millis>>,
    done: oneshot::Sender<Result<(), NotFenced>>,
}

#[derive(Debug)]
struct Shared {
    election: Mutex<Election>,
    /// What others left on the Lease: gateway and intent.
    intents: Mutex<BTreeMap<String, String>>,
    /// When remedies were started, by gateway.
    acts: Mutex<BTreeMap<String, Vec<Millis>>>,
    wrong: Mutex<Option<Finding>>,
    began: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn now(&self) -> Now {
        Now { steady: clock::since(self.began), wall: clock::now() }
    }
}

/// Whether this replica leads; cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    shared: Arc<Shared>,
    wishes: mpsc::Sender<Wish>,
    leads: watch::Receiver<bool>,
}

impl Leadership {
    /// Whether it leads at this very moment.
    #[must_use]
    pub fn leads(&self) -> bool {
        lock(&self.shared.election).leads(self.shared.now())
    }

    /// Tells when that changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    /// Who leads, as far as is known.
    #[must_use]
    pub fn leader(&self) -> Option<String> {
        lock(&self.shared.election).holder().map(str::to_owned)
    }

    /// What is wrong with the Lease now.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        lock(&self.shared.wrong).clone()
    }

    /// Intents that stand on the Lease, by gateway: after a change of leaders, those of the one before.
    #[must_use]
    pub fn intents(&self) -> BTreeMap<String, String> {
        lock(&self.shared.intents).clone()
    }

    /// When a gateway's remedies of the last hour were started, as the Lease has it.
    #[must_use]
    pub fn acts(&self, gateway: &str) -> Vec<Millis> {
        lock(&self.shared.acts).get(gateway).cloned().unwrap_or_default()
    }

    /// Writes down what is about to be done for a gateway, or (`None`) that it is over. Only after `Ok` may it be done.
    /// With `acts`, these are from now on its remedies of the last hour, oldest first.
    ///
    /// # Errors
    /// It is not written, or nobody knows.
    pub async fn intend(
        &self,
        gateway: &str,
        intent: Option<String>,
        acts: Option<Vec<Millis>>,
    ) -> Result<(), NotFenced> {
        let (done, answer) = oneshot::channel();
        let wish = Wish { gateway: gateway.to_owned(), intent, acts, done };
        self.wishes.send(wish).await.map_err(|_| NotFenced::NotLeading)?;
        answer.await.unwrap_or(Err(NotFenced::Unknown))
    }
}

/// What asks for the Lease and renews it; to be spawned with [`Candidate::run`].
pub struct Candidate {
    client: kube::Client,
    place: Place,
    shared: Arc<Shared>,
    wishes: mpsc::Receiver<Wish>,
    leads: watch::Sender<bool>,
}

/// A Lease as the API writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectMeta {
    resource_version: String,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u64>,
    lease_transitions: Option<u32>,
}

/// A candidate of this name, which no other replica has and none had before.
#[must_use]
pub fn candidate(client: kube::Client, place: Place, us: &str, terms: Terms) -> (Leadership, Candidate) {
    let shared = Arc::new(Shared {
        election: Mutex::new(Election::new(us, terms)),
        intents: Mutex::default(),
        acts: Mutex::default(),
        wrong: Mutex::default(),
        began: clock::instant(),
    });
    let (wish, wishes) = mpsc::channel(16);
    let (tell, leads) = watch::channel(false);
    let leadership = Leadership { shared: Arc::clone(&shared), wishes: wish, leads };
    (leadership, Candidate { client, place, shared, wishes, leads: tell })
}

/// Milliseconds since 1970, with commas between; what is none is passed over.
fn times(text: &str) -> Vec<Millis> {
    text.split(',').filter_map(|at| at.parse().ok().map(Millis)).collect()
}

impl Candidate {
    /// Stands for election until `ends`, and then gives the Lease up.
    pub async fn run(mut self, ends: impl Future<Output = ()>) {
        tokio::pin!(ends);
        loop {
            let (act, due, until) = {
                let election = lock(&self.shared.election);
                let (act, due) = election.next(self.shared.now());
                (act, due, election.until())
            };
            self.tell();
            // Awake, too, when leading ends by itself.
            let wake = match until.filter(|_| *self.leads.borrow()) {
                Some(until) => due.min(until),
                None => due,
            };
            let at = self.shared.began.checked_add(wake).unwrap_or(self.shared.began);
            tokio::select! {
                biased;
                () = &mut ends => break,
                wish = self.wishes.recv() => match wish {
                    Some(wish) => self.fence(wish).await,
                    None => break,
                },
                () = clock::sleep_until(at) => if due <= self.shared.now().steady {
                    self.ask(act).await;
                },
            }
        }
        let act = lock(&self.shared.election).give_up(self.shared.now());
        self.tell();
        if let Some(act) = act {
            self.ask(act).await;
        }
    }

    fn tell(&self) {
        let leads = lock(&self.shared.election).leads(self.shared.now());
        let changed = self.leads.send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if changed {
            tracing::info!(leads, lease = self.place.path(), "leadership");
        }
    }

    async fn ask(&mut self, act: Act) {
        lock(&self.shared.election).asks(act.clone(), self.shared.now());
        let call = match &act {
            Act::Read => Call::get(self.place.path()),
            Act::Write(write) => self.write(write),
        };
        let answer = call.send::<Object>(&self.client, PATIENCE).await;
        let wrong = match &answer {
            Err(Refusal::Absent(_)) if act == Act::Read => None,
            Ok(_) | Err(Refusal::Changed(_)) => None,
            Err(refusal) => Some(self.finding(refusal, &act)),
        };
        *lock(&self.shared.wrong) = wrong;
        let heard = match (answer, &act) {
            (Ok(object), Act::Read) => Heard::Read(Some(self.read(object))),
            (Ok(object), Act::Write(_)) => Heard::Written(self.read(object).version),
            (Err(Refusal::Absent(_)), Act::Read) => Heard::Read(None),
            (Err(Refusal::Changed(_)), _) => Heard::Changed,
            (Err(_), _) => Heard::Failed,
        };
        lock(&self.shared.election).hear(heard, self.shared.now());
        self.tell();
    }

    fn read(&self, object: Object) -> Lease {
        let annotations = object.metadata.annotations.unwrap_or_default();
        let of = |prefix: &'static str| {
            let all = annotations.iter();
            all.filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value)))
        };
        *lock(&self.shared.intents) = of(INTENT).map(|(gateway, intent)| (gateway, intent.clone())).collect();
        *lock(&self.shared.acts) = of(ACTS).map(|(gateway, acts)| (gateway, times(acts))).collect();
        Lease {
            holder: object.spec.holder_identity.unwrap_or_default(),
            lasts: Duration::from_secs(object.spec.lease_duration_seconds.unwrap_or(0)),
            transitions: object.spec.lease_transitions.unwrap_or(0),
            version: object.metadata.resource_version,
        }
    }

    /// A merge patch, so that intents stay; its version makes it conditional.
    fn write(&self, write: &Write) -> Call {
        let now = clock::now().micro_time();
        let lasts = if write.holder.is_empty() { 1 } else { Terms::default().lasts.as_secs() };
        let mut spec = json!({"holderIdentity": write.holder, "leaseDurationSeconds": lasts, "renewTime": now,
            "leaseTransitions": write.transitions});
        if write.takes
            && let Some(spec) = spec.as_object_mut()
        {
            spec.insert("acquireTime".to_owned(), now.into());
        }
        match &write.version {
            Some(version) => Call::merge(
                self.place.path(),
                &json!({"metadata": {"resourceVersion": version}, "spec": spec}),
            ),
            None => Call::json(
                http::Method::POST,
                self.place.list(),
                &json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"name": self.place.name, "namespace": self.place.namespace}, "spec": spec}),
            ),
        }
    }

    async fn fence(&mut self, wish: Wish) {
        let version = lock(&self.shared.election).version(self.shared.now()).map(str::to_owned);
        let Some(version) = version else {
            let _ = wish.done.send(Err(NotFenced::NotLeading));
            return;
        };
        let mut annotations = serde_json::Map::new();
        let intent = wish.intent.map_or(Value::Null, Value::String);
        annotations.insert(format!("{INTENT}{}", wish.gateway), intent);
        if let Some(acts) = wish.acts {
            let newest = acts.iter().rev().take(MOST_ACTS).rev().map(|at| at.0.to_string());
            let text = newest.collect::<Vec<_>>().join(",");
            let acts = if text.is_empty() { Value::Null } else { Value::String(text) };
            annotations.insert(format!("{ACTS}{}", wish.gateway), acts);
        }
        let patch = json!({"metadata": {"resourceVersion": version, "annotations": annotations}});
        let answer = Call::merge(self.place.path(), &patch).send::<Object>(&self.client, PATIENCE).await;
        let outcome = match answer {
            Ok(object) => {
                let version = self.read(object).version;
                let mut election = lock(&self.shared.election);
                election.noted(version);
                // The answer may have taken so long that another leads by now.
                if election.leads(self.shared.now()) { Ok(()) } else { Err(NotFenced::NotLeading) }
            }
            Err(refusal) => {
                lock(&self.shared.election).doubt();
                Err(if matches!(refusal, Refusal::Changed(_)) {
                    NotFenced::Taken
                } else {
                    NotFenced::Unknown
                })
            }
        };
        let _ = wish.done.send(outcome);
    }

    fn finding(&self, refusal: &Refusal, act: &Act) -> Finding {
        let Place { namespace, name } = &self.place;
        let mut finding = kinds::NO_LEASE.on(format!("lease:{namespace}/{name}"), refusal.to_string());
        finding.mend = match refusal {
            Refusal::Forbidden(message) => {
                let meant = if *act == Act::Read { "get" } else { "patch" };
                let verb = refused_verb(message).unwrap_or(meant);
                format!(
                    "grant {verb} on leases.coordination.k8s.io/{name} in namespace {namespace} to certdrift's ServiceAccount; the chart does; try: kubectl auth can-i {verb} leases.coordination.k8s.io/{name} -n {namespace} --as=system:serviceaccount:NAMESPACE:NAME"
                )
            }
            _ => "look at the API server: kubectl get --raw /readyz?verbose".to_owned(),
        };
        finding
    }
}
