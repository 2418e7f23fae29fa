//! What leading changes: who leads writes and heals, the others follow and look on.
use super::publish::FOLLOWS;
use super::{Effect, Gateway};
use crate::converge::{Event, Millis, Mode, State};
use crate::publish::target::Target;
use std::time::Duration;

impl Gateway {
    /// The ConfigMaps of its ledger can be read from here on: what is there is taken up.
    pub fn adopt(&mut self, target: Box<dyn Target>) {
        if let Some(finding) = self.publisher.adopt(target) {
            crate::log::finding(&self.config.name, &finding);
        }
        self.remembers();
    }

    /// This replica leads from now on, or no longer. `interrupted`: who led before left a remedy of this gateway under way.
    /// `acts`: when remedies were started within the last hour, by whoever led.
    pub fn lead(&mut self, leads: bool, interrupted: bool, acts: &[Millis], now: Millis) -> Vec<Effect> {
        if self.leads == leads {
            return Vec::new();
        }
        self.leads = leads;
        self.waits = None;
        self.is_to_be_read();
        let mut effects = Vec::new();
        let policy = &self.config.policy;
        let proof = i64::try_from(policy.prove_within.as_millis()).unwrap_or(i64::MAX);
        if leads && !acts.is_empty() {
            // Its remedy has ended; the wire may not show that yet.
            let newest = acts.iter().max().map(|at| Millis((*at).min(now).0.saturating_add(proof)));
            self.waits = newest.filter(|until| *until > now);
            effects.extend(self.event(Event::ActedBefore { at: acts.to_vec() }, now));
        }
        if leads && interrupted {
            tracing::warn!(
                gateway = self.config.name,
                "who led before left a remedy under way; nothing is done until its effect can be seen"
            );
            // It may be at work still for as long as any may take, and is seen on the wire after that.
            let policy = &self.config.policy;
            let works = policy.remedies.iter().map(|remedy| remedy.timeout.as_millis()).max().unwrap_or(0);
            let works = i64::try_from(works).unwrap_or(i64::MAX);
            self.waits = Some(Millis(now.0.saturating_add(works).saturating_add(proof)));
        }
        effects.extend(self.act_as_told(now));
        if leads {
            effects.extend(self.publish(now));
        }
        effects
    }

    /// When the remedies of the last hour were started, oldest first.
    pub fn acts(&self) -> Vec<Millis> {
        self.machine().map(State::started_at).unwrap_or_default()
    }

    /// What another left under way has had its time.
    pub(super) fn tend_lead(&mut self, now: Millis) -> Vec<Effect> {
        if self.waits.is_none_or(|until| now < until) {
            return Vec::new();
        }
        self.waits = None;
        let mut effects = self.act_as_told(now);
        effects.push(Effect::Unfence);
        effects
    }

    /// Tells the machine how far it may go: as configured where this replica leads, else nowhere.
    pub(super) fn act_as_told(&mut self, now: Millis) -> Vec<Effect> {
        let mut policy = Box::new(self.config.policy.clone());
        if !self.leads || self.waits.is_some() {
            policy.mode = Mode::Observe;
        }
        self.event(Event::PolicyChanged { policy }, now)
    }

    /// Something has changed in the cluster. Gives how long to wait with it: who follows gives the leader time to publish it.
    pub fn hears(&mut self, now: Millis) -> Duration {
        self.heard.get_or_insert(now);
        let follows = !self.leads && self.publisher.ledger().is_some();
        if follows { Duration::from_secs(FOLLOWS.unsigned_abs()) } else { Duration::ZERO }
    }

    /// What is wrong with the Lease, as a finding of ours.
    pub(super) fn tend_lease(&mut self) {
        let leadership = self.cluster().and_then(|cluster| cluster.leadership.clone());
        match leadership.and_then(|leadership| leadership.finding()) {
            Some(finding) => self.hold("lease", finding),
            None => drop(self.own.remove("lease")),
        }
    }
}
