//! The loop of one gateway: waits for whatever comes next, tells the gateway, and does what that asks for.
use super::cluster::Cluster;
use super::gateway::{Effect, Place};
use super::origin::{News, Origin};
use super::{Locked, lock};
use crate::clock;
use crate::config;
use crate::converge::{Event, Intent, Millis, Record};
use crate::events::acts::Acting;
use crate::events::plan;
use crate::events::post::post;
use crate::issuance::not_stored::Suspects;
use crate::issuance::permission;
use crate::lead::lease::{Leadership, NotFenced};
use crate::observe::endpoint::Endpoint;
use crate::observe::expectations::Expectations;
use crate::observe::http::Client;
use crate::observe::pushes::follow as follow_pushes;
use crate::observe::tls;
use crate::observe::watch::{Seen, Settings, Wish, endpoint as watch_endpoint};
use crate::rehearse::ask;
use crate::remedy::config::Act;
use crate::remedy::{self, NotStarted, Outcome, Target, record};
use certdrift_contract::Ledger;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Runs one gateway until `stop` is true, and then until its remedy has ended.
pub(super) async fn drive(gateway: Locked, effects: Vec<Effect>, mut stop: watch::Receiver<bool>) {
    let config = lock(&gateway).config.clone();
    let (told, mut heard) = mpsc::channel(1024);
    let mut hands = Hands::new(&config, told);
    hands.done(&gateway, effects);
    let mut origin = Origin::begin(&gateway, &config);
    let begun = clock::instant();
    let mut coalesce = origin.coalesce();
    let mut tick = clock::ticks(Duration::from_secs(1));
    loop {
        let due = coalesce.due().map(|at| begun + at);
        let effects = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(done) = hands.ended() => taken(&gateway, done),
            () = until(due) => {
                coalesce.published(clock::since(begun));
                lock(&gateway).publish(clock::now())
            }
            news = origin.news() => match news {
                News::Stored(inventory) => {
                    lock(&gateway).stored(inventory);
                    coalesce.changed(clock::since(begun));
                    Vec::new()
                }
                News::Opened(ledger) => {
                    lock(&gateway).adopt(ledger);
                    coalesce.changed(clock::since(begun));
                    Vec::new()
                }
                News::Changed => {
                    let patience = lock(&gateway).hears(clock::now());
                    coalesce.changed(clock::since(begun).saturating_add(patience));
                    Vec::new()
                }
                News::Newer => lock(&gateway).publish(clock::now()),
                News::Pods => lock(&gateway).pods(clock::now()),
                News::Leads { leads, interrupted, acts } => {
                    if leads {
                        // Whatever was left to the leader before is published with this.
                        coalesce.published(clock::since(begun));
                    }
                    lock(&gateway).lead(leads, interrupted, &acts, clock::now())
                }
            },
            // Before what is heard: a thousand endpoints that never stop telling must not keep time from passing.
            _ = tick.tick() => lock(&gateway).tick(clock::now()),
            Some(told) = heard.recv() => lock(&gateway).told(told, clock::now()),
        };
        if let Some((before, heard)) = hands.done(&gateway, effects) {
            // Who writes the ledger comes first.
            tokio::task::yield_now().await;
            let effects = lock(&gateway).announce(before, heard, clock::now());
            hands.done(&gateway, effects);
        }
    }
    // Nothing new is begun; what is under way is seen to its end, which its own timeout bounds.
    loop {
        tokio::select! {
            over = hands.ended() => match over {
                Some(done) => drop(taken(&gateway, done)),
                None => break,
            },
            _ = tick.tick() => lock(&gateway).beat = clock::now(),
        }
    }
    lock(&gateway).save();
}

/// What came of something that was waited for.
enum Done {
    /// A remedy has ended, or was not started.
    Remedy(u64, Result<Outcome, NotStarted>),
    /// It was asked what cert-manager may do to Secrets of this namespace.
    Reviewed(Box<str>, Suspects),
    /// The record of acts was read, and written where there was something to add.
    Recorded(Result<Vec<Record>, String>),
    /// The canary's Certificate was asked for, or why not and what to do.
    Rotated(Result<Millis, (String, String)>),
}

fn taken(gateway: &Locked, done: Done) -> Vec<Effect> {
    match done {
        Done::Remedy(id, Ok(outcome)) => ended(gateway, id, outcome),
        Done::Remedy(id, Err(NotStarted { why, template_is_owned })) => {
            let mut gateway = lock(gateway);
            let mut effects = gateway.event(Event::RemedyNotStarted { id, why }, clock::now());
            if template_is_owned {
                effects.extend(gateway.has_owned_template(clock::now()));
            }
            effects
        }
        Done::Reviewed(namespace, suspects) => {
            lock(gateway).reviewed(namespace, suspects);
            Vec::new()
        }
        Done::Rotated(result) => lock(gateway).rotated(result, clock::now()),
        Done::Recorded(kept) => {
            lock(gateway).recorded(kept, clock::now());
            Vec::new()
        }
    }
}

fn ended(gateway: &Locked, id: u64, outcome: Outcome) -> Vec<Effect> {
    lock(gateway).event(Event::RemedyEnded { id, ok: outcome.ok, said: outcome.said }, clock::now())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(at) => clock::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Handshakes of one gateway's endpoints that are in flight at one time.
const MOST_HANDSHAKES: usize = 32;

/// What acts for a gateway: a watcher an endpoint, and remedies under way.
struct Hands {
    name: String,
    settings: Settings,
    told: mpsc::Sender<Seen>,
    expectations: watch::Sender<Option<Arc<Expectations>>>,
    watchers: HashMap<String, Watcher>,
    /// Looks that found a watcher's hands full, by endpoint; they are asked for again.
    waiting: BTreeMap<String, BTreeSet<String>>,
    /// Who reads the metrics of the ingress controller's pods.
    followers: HashMap<(String, String), AbortHandle>,
    tasks: JoinSet<()>,
    /// Remedies and reviews under way.
    under_way: JoinSet<Done>,
    running: HashMap<u64, AbortHandle>,
    client: Client,
}

/// What watches one endpoint.
struct Watcher {
    place: Place,
    wishes: mpsc::Sender<Wish>,
    task: Option<AbortHandle>,
}

impl Hands {
    fn new(config: &config::Gateway, told: mpsc::Sender<Seen>) -> Self {
        let settings = Settings {
            timeout: config.observe.timeout.as_duration(),
            sweep: config.observe.sweep.as_duration(),
            poll: config.observe.poll.as_duration(),
            per_second: config.observe.per_second,
            gate: Arc::new(Semaphore::new(MOST_HANDSHAKES)),
        };
        let (roots, _) = tls::system_roots();
        Self {
            name: config.name.clone(),
            settings,
            told,
            expectations: watch::channel(None).0,
            watchers: HashMap::new(),
            waiting: BTreeMap::new(),
            followers: HashMap::new(),
            tasks: JoinSet::new(),
            under_way: JoinSet::new(),
            running: HashMap::new(),
            client: Client::new(tls::verified(roots)),
        }
    }

    /// These are the endpoints from now on: whoever is another or none is watched no longer, whoever is new from now on.
    fn watch(&mut self, places: Vec<Place>) {
        self.watchers.retain(|_, watcher| {
            let stays = places.contains(&watcher.place);
            if let Some(task) = watcher.task.as_ref().filter(|_| !stays) {
                task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
        for place in places {
            if self.watchers.contains_key(&place.endpoint.name) {
                continue;
            }
            let (wishes, from) = mpsc::channel(64);
            let task = match Endpoint::new(&place.endpoint) {
                Ok(endpoint) => Some(self.tasks.spawn(watch_endpoint(
                    endpoint,
                    self.settings.clone(),
                    self.expectations.subscribe(),
                    from,
                    self.told.clone(),
                ))),
                // The configuration was checked: a token that has gone since.
                Err(why) => {
                    tracing::error!(gateway = self.name, endpoint = place.endpoint.name, why, "not watched");
                    None
                }
            };
            self.watchers.insert(place.endpoint.name.clone(), Watcher { place, wishes, task });
        }
    }

    /// These are the pods of the ingress controller from now on, each with the URL of its metrics.
    fn follow(&mut self, pods: Vec<(String, String)>) {
        self.followers.retain(|pod, task| {
            let stays = pods.contains(pod);
            if !stays {
                task.abort();
            }
            stays
        });
        for pod in pods {
            let Ok(url) = pod.1.parse() else { continue };
            if self.followers.contains_key(&pod) {
                continue;
            }
            let (every, timeout, told) = (self.settings.poll, self.settings.timeout, self.told.clone());
            let task = self.tasks.spawn(follow_pushes(pod.0.clone(), url, every, timeout, told));
            self.followers.insert(pod, task);
        }
    }

    /// Does what is asked for, but for one thing: what is to be announced is given back.
    fn done(&mut self, gateway: &Locked, effects: Vec<Effect>) -> Option<(Option<Arc<Ledger>>, Millis)> {
        let mut announce = None;
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Watch(places) => self.watch(places),
                Effect::Announce { before, heard } => {
                    announce.get_or_insert((before, heard));
                }
                Effect::Ask(pods) => self.follow(pods),
                Effect::Expect(new) => {
                    self.expectations.send_replace(Some(new));
                }
                Effect::Look(endpoint, hosts) => self.waiting.entry(endpoint).or_default().extend(hosts),
                Effect::Start(intent) => {
                    let remedies = lock(gateway).config.policy.remedies.clone();
                    let Some(remedy) = remedies.into_iter().find(|r| r.name == intent.remedy) else {
                        let said = "no remedy of this name is configured any more".to_owned();
                        effects.extend(ended(gateway, intent.id, Outcome { ok: false, said }));
                        continue;
                    };
                    let (id, client) = (intent.id, self.client.clone());
                    let fence = lock(gateway).cluster().and_then(|cluster| cluster.leadership.clone());
                    let target = lock(gateway).target(&intent);
                    let acts = lock(gateway).acts();
                    let teller = lock(gateway).cluster().filter(|c| c.tells_events()).cloned();
                    let handle = self.under_way.spawn(async move {
                        let acting =
                            teller.zip(target.as_ref().and_then(|target| Acting::new(&intent, target)));
                        let outcome =
                            fenced(fence, acts, &remedy.act, &intent, &client, target.as_ref()).await;
                        // Nobody waits for it, and what is not told is done all the same.
                        if let Some((cluster, acting)) = acting
                            && let Some(event) = acting.told(&outcome)
                        {
                            tokio::spawn(tell(cluster, event));
                        }
                        Done::Remedy(intent.id, outcome)
                    });
                    self.running.insert(id, handle);
                }
                Effect::Unfence => {
                    let fence = lock(gateway).cluster().and_then(|cluster| cluster.leadership.clone());
                    let gateway = self.name.clone();
                    self.tasks.spawn(async move {
                        if let Some(leadership) = fence {
                            let _ = leadership.intend(&gateway, None, None).await;
                        }
                    });
                }
                Effect::Review(secret) => {
                    let Some(cluster) = lock(gateway).cluster().cloned() else { continue };
                    self.under_way.spawn(async move {
                        let suspects =
                            permission::ask(&cluster.client, &cluster.cert_manager(), &secret).await;
                        Done::Reviewed(secret.namespace, suspects)
                    });
                }
                Effect::Keep(map, ours) => {
                    let Some(cluster) = lock(gateway).cluster().cloned() else { continue };
                    self.under_way.spawn(async move {
                        let kept = record::keep(&cluster.client, &map, ours).await;
                        Done::Recorded(kept.map_err(|refusal| refusal.to_string()))
                    });
                }
                Effect::Rotate(certificate, told) => {
                    let Some(cluster) = lock(gateway).cluster().cloned() else { continue };
                    self.under_way.spawn(async move {
                        Done::Rotated(ask::rotate(&cluster.client, &certificate, told).await)
                    });
                }
                Effect::Abandon(id) => {
                    if let Some(handle) = self.running.remove(&id) {
                        handle.abort();
                    }
                }
            }
        }
        self.ask();
        announce
    }

    /// Hands looks on, as far as watchers can take them now; a watcher that cannot is busy telling us something.
    fn ask(&mut self) {
        self.waiting.retain(|endpoint, hosts| match self.watchers.get(endpoint).map(|w| &w.wishes) {
            Some(to) => {
                let wish = Wish::Probe(hosts.iter().cloned().collect());
                matches!(to.try_send(wish), Err(mpsc::error::TrySendError::Full(_)))
            }
            None => false,
        });
    }

    /// The next remedy or review that ends; none while none runs.
    async fn ended(&mut self) -> Option<Done> {
        loop {
            match self.under_way.join_next().await? {
                Ok(done) => {
                    if let Done::Remedy(id, _) = &done {
                        self.running.remove(id);
                    }
                    return Some(done);
                }
                // Abandoned: nothing is expected to be told any more.
                Err(_) => continue,
            }
        }
    }
}

/// Writes an Event about an act.
async fn tell(cluster: Arc<Cluster>, event: plan::Event) {
    post(&cluster.client, &plan::Act::Create(event), &cluster.identity, clock::now()).await;
}

/// Does a remedy, the last of the gateway's `acts`. Where replicas elect a leader, only after its intent stands on the
/// Lease, which proves that this one leads still.
async fn fenced(
    fence: Option<Leadership>,
    acts: Vec<Millis>,
    act: &Act,
    intent: &Intent,
    client: &Client,
    target: Option<&Target>,
) -> Result<Outcome, NotStarted> {
    let Some(leadership) = fence else { return remedy::perform(act, intent, client, target).await };
    let Intent { gateway, endpoint, host, remedy, .. } = intent;
    let text = format!("{}: {remedy} for {host} on {endpoint}", intent.key());
    leadership.intend(gateway, Some(text), Some(acts.clone())).await.map_err(|why| why.to_string())?;
    // Whatever this process has waited for since: between this look and the act is nothing that waits.
    if !leadership.leads() {
        return Err(NotFenced::NotLeading.to_string().into());
    }
    let outcome = remedy::perform(act, intent, client, target).await;
    // What was not started is no act.
    let before = acts.split_last().filter(|_| outcome.is_err()).map(|(_, before)| before.to_vec());
    // One that stays there is taken off by the next.
    let _ = leadership.intend(gateway, None, before).await;
    outcome
}
