//! The ledger as ConfigMaps, in the gateway's namespace: written by server-side apply, watched, and put right when
//! another hand was at them.
//!
//! ```text
//! publisher ──put──> ConfigMaps (handle) ──> Task: what the watch shows + what is published ─> plan (pure) ─> apply
//!           <─newer─          told by the task                                                 delete
//! ```
//! Only who leads writes. At rest there is no request but the watch.
pub mod map;
pub mod plan;
mod write;

use self::map::{Place, There};
use self::plan::{Plan, View, Written};
use super::findings as kinds;
use super::split::{Published, join};
use super::target::{Newer, Target};
use crate::clock;
use crate::cluster::call::{Call, Refusal, pause};
use crate::cluster::watch::drive::Watch;
use crate::cluster::watch::machine::{Pace, Problem};
use crate::cluster::watch::request::{Resource, escaped};
use crate::finding::Finding;
use certdrift_contract::Ledger;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long the watch shows what we did.
const SETTLED: Duration = Duration::from_secs(5);
/// The longest wait after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What publisher and task tell each other.
#[derive(Debug, Default)]
struct Told {
    newer: Option<Newer>,
    /// What is wrong now.
    wrong: Vec<Finding>,
    /// What was put right, until it was told.
    mended: Vec<Finding>,
}

/// A ledger's ConfigMaps, for the publisher.
#[derive(Debug)]
pub struct ConfigMaps {
    found: Option<(Ledger, usize)>,
    damaged: Option<Finding>,
    published: watch::Sender<Option<Arc<Published>>>,
    told: Arc<Mutex<Told>>,
    ahead: watch::Receiver<u64>,
}

/// What keeps them as they were published; to be spawned with [`Task::run`].
pub struct Task {
    client: kube::Client,
    place: Place,
    leads: watch::Receiver<bool>,
    published: watch::Receiver<Option<Arc<Published>>>,
    told: Arc<Mutex<Told>>,
    ahead: watch::Sender<u64>,
    watch: Arc<Watch<There>>,
    pace: Pace,
    written: Written,
}

/// A list of ConfigMaps.
#[derive(Deserialize)]
struct List {
    items: Option<Vec<Box<RawValue>>>,
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConfigMaps {
    /// Reads the ledger that is there; without that, nothing must be published, since predecessors would be unknown. It
    /// asks until it is answered. A server that forbids to look is an answer: the ledger is built anew.
    ///
    /// `leads` says whether this replica writes.
    pub async fn open(
        client: kube::Client,
        place: Place,
        leads: watch::Receiver<bool>,
        pace: Pace,
    ) -> (Self, Task) {
        let mut failures = 0;
        let (found, damaged) = loop {
            match look(&client, &place).await {
                Ok(Ok(found)) => break (found, None),
                Ok(Err(finding)) => break (None, Some(finding)),
                Err(Refusal::Forbidden(why)) => {
                    break (None, Some(kinds::CONFIG_MAP_NOT_READ.on(place.object(&place.index()), why)));
                }
                Err(refusal) => {
                    failures += 1;
                    tracing::warn!(gateway = place.gateway, why = %refusal, failures, "the ledger's ConfigMaps cannot be read yet");
                    clock::sleep(pause(failures, LONGEST_PAUSE.min(pace.longest_wait))).await;
                }
            }
        };
        let (sender, receiver) = watch::channel(None);
        let told = Arc::new(Mutex::new(Told::default()));
        let (ring, ahead) = watch::channel(0);
        let resource =
            Resource::new("", "v1", "configmaps").within(&place.namespace).labelled(&place.selector());
        let task = Task {
            client,
            leads,
            published: receiver,
            told: Arc::clone(&told),
            ahead: ring,
            watch: Watch::new(resource),
            pace,
            written: Written::default(),
            place,
        };
        (Self { found, damaged, published: sender, told, ahead }, task)
    }

    /// Rings when [`Target::newer`] has something to tell.
    #[must_use]
    pub fn ahead(&self) -> watch::Receiver<u64> {
        self.ahead.clone()
    }
}

impl Target for ConfigMaps {
    fn read(&self) -> Result<Option<(Ledger, usize)>, Finding> {
        match &self.damaged {
            Some(finding) => Err(finding.clone()),
            None => Ok(self.found.clone()),
        }
    }

    /// Hands it on: what comes of it is told by [`Target::tend`].
    fn put(&self, published: &Arc<Published>) -> Result<(), Finding> {
        self.published.send_replace(Some(Arc::clone(published)));
        Ok(())
    }

    fn tend(&self, _published: &Arc<Published>) -> Vec<Finding> {
        let mut told = lock(&self.told);
        let mut all = std::mem::take(&mut told.mended);
        all.extend(told.wrong.iter().cloned());
        all
    }

    fn newer(&self) -> Option<Newer> {
        lock(&self.told).newer.take()
    }

    fn is_ahead(&self) -> bool {
        lock(&self.told).newer.is_some()
    }
}

/// The ledger that is there: as it stands in one list, so in one moment.
async fn look(
    client: &kube::Client,
    place: &Place,
) -> Result<Result<Option<(Ledger, usize)>, Finding>, Refusal> {
    let uri = format!("{}?labelSelector={}", place.path(), escaped(&place.selector()));
    let list: List = Call::get(uri).send(client, PATIENCE).await?;
    let mut documents: BTreeMap<String, String> = BTreeMap::new();
    for item in list.items.unwrap_or_default() {
        if let Ok((name, _, Some(text))) = map::read(item.get().as_bytes()) {
            documents.insert(name.name.into(), text);
        }
    }
    let Some(index) = documents.get(&place.index()) else { return Ok(Ok(None)) };
    let joined = join(index.as_bytes(), |number| {
        let text = documents.get(&place.part(number)).ok_or_else(|| "its ConfigMap is missing".to_owned())?;
        Ok(text.clone().into_bytes())
    });
    Ok(joined.map(Some).map_err(|e| kinds::DAMAGED.on(place.object(&place.index()), e.to_string())))
}

impl Task {
    /// Keeps the ConfigMaps as they were published, for ever. `spread` parts the watches of replicas.
    pub async fn run(mut self, spread: u64) {
        let watching =
            tokio::spawn(Arc::clone(&self.watch).run(self.client.clone(), map::reader(), spread, self.pace));
        let _ends_with_us = Ends(watching);
        let mut changes = self.watch.changes();
        let mut failures = 0;
        loop {
            changes.mark_unchanged();
            self.published.mark_unchanged();
            self.leads.mark_unchanged();
            let wait = match self.turn().await {
                Ok(()) => {
                    failures = 0;
                    self.written.is_ahead().then_some(SETTLED)
                }
                Err(wait) => {
                    failures += 1;
                    Some(wait.unwrap_or_else(|| pause(failures, LONGEST_PAUSE.min(self.pace.longest_wait))))
                }
            };
            let timer = async {
                match wait {
                    Some(wait) => clock::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            // After a failure the watch does not hasten anything: no busy loop against who writes there all the time.
            tokio::select! {
                seen = changes.changed(), if failures == 0 => if seen.is_err() { return },
                new = self.published.changed() => if new.is_err() { return },
                leads = self.leads.changed() => if leads.is_err() { return },
                () = timer => if failures == 0 { self.written.settle() },
            }
        }
    }

    /// Looks at what is there, and does what is planned. An error asks for another turn after so long.
    async fn turn(&mut self) -> Result<(), Option<Duration>> {
        let leads = *self.leads.borrow();
        let published = self.published.borrow().clone();
        if !leads {
            // Who leads tells, and what it wrote is not ours to compare with.
            self.written.forget();
            lock(&self.told).wrong.clear();
        }
        let Some((shown, unseen)) = self.shown() else { return Ok(()) };
        let Some(published) = published else { return Ok(()) };
        let view = self.written.view(&shown);
        let mut wrong: Vec<Finding> = unseen.into_iter().collect();
        let outcome = match plan::plan(&self.place, &published, &view, &self.written, clock::now().seconds())
        {
            Plan::Newer(revision, by_replica) => self.newer(revision, by_replica).await,
            Plan::Refused(finding) if leads => {
                wrong.push(finding);
                Ok(())
            }
            Plan::Write(steps, told) if leads => {
                let done = self.steps(&steps, &mut wrong).await;
                if done.is_ok() {
                    for finding in &told {
                        crate::log::finding(&self.place.gateway, finding);
                    }
                    lock(&self.told).mended.extend(told);
                }
                done
            }
            Plan::Refused(_) | Plan::Write(..) => Ok(()),
        };
        if leads {
            lock(&self.told).wrong = wrong;
        }
        outcome
    }

    /// What the watch shows, and why it shows nothing where that is forbidden; `None` before it has seen all.
    fn shown(&self) -> Option<(View, Option<Finding>)> {
        let known = self.watch.known();
        let unseen = match &known.problem {
            Some(Problem::Forbidden(why)) => {
                Some(kinds::CONFIG_MAP_NOT_READ.on(self.place.object(&self.place.index()), why))
            }
            _ => None,
        };
        if !known.store.is_complete() && unseen.is_none() {
            return None;
        }
        Some((
            known.store.iter().map(|(name, there)| (name.name.to_string(), there.clone())).collect(),
            unseen,
        ))
    }

    async fn newer(
        &self,
        revision: certdrift_contract::Revision,
        by_replica: bool,
    ) -> Result<(), Option<Duration>> {
        let newer = if by_replica {
            match look(&self.client, &self.place).await {
                // Its parts are on their way, or it has been replaced: the watch tells.
                Ok(Ok(Some((ledger, parts)))) => Newer::Ledger(Box::new(ledger), parts),
                Ok(_) => Newer::Revision(revision),
                Err(refusal) => return Err(wait(&refusal)),
            }
        } else {
            Newer::Revision(revision)
        };
        lock(&self.told).newer = Some(newer);
        self.ahead.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }
}

/// How long a refusal asks to wait, where it says so.
fn wait(refusal: &Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Busy(wait) => wait.map(|wait| wait.min(LONGEST_PAUSE)),
        _ => None,
    }
}

/// Ends a task with its owner.
#[derive(Debug)]
struct Ends(tokio::task::JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}
