//! What is wrong, told as Events on the objects whose owners can mend it: by the replica that leads, once it has lasted.
use crate::clock;
use crate::events::plan::{Planner, Regarding};
use crate::events::post::post;
use crate::events::steady::Steady;
use crate::finding::Finding;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What one gateway has to tell, and on what.
type Notes = Vec<(Regarding, Finding)>;

/// What every gateway has to tell, as it stands.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<BTreeMap<String, Notes>>>);

impl Told {
    /// What a gateway has to tell now.
    pub fn replace(&self, gateway: &str, findings: Notes) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.is_empty() {
            all.remove(gateway);
        } else {
            all.insert(gateway.to_owned(), findings);
        }
    }

    fn all(&self) -> Notes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }
}

/// Writes Events for ever, while this replica leads. `instance` is its name.
pub async fn write(client: kube::Client, told: Told, leads: watch::Receiver<bool>, instance: String) {
    let mut planner = Planner::new(clock::now());
    let mut steady = Steady::default();
    let mut tick = clock::ticks(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let now = clock::now();
        let lasting = steady.lasting(told.all(), now);
        if !*leads.borrow() {
            continue;
        }
        for act in planner.plan(&lasting, now) {
            let heard = post(&client, &act, &instance, now).await;
            planner.hear(act.name(), heard, clock::now());
        }
    }
}
