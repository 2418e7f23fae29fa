//! Tells the machine what has happened, and does of its actions what needs no waiting: state, history, alerts.
use super::{Effect, Gateway, SHOWN_RECORDS};
use crate::converge::{Action, Event, Millis, Record, What, step};
use crate::metrics::catalogue as metric;
use std::collections::VecDeque;

impl Gateway {
    /// Tells the machine, and does what needs no waiting.
    pub fn event(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            let Some(machine) = self.machine.take() else { break };
            let (next, actions) = step(machine, &event, now);
            self.machine = Some(next);
            let mut on_disk = true;
            for action in actions {
                match action {
                    Action::Persist => on_disk = self.persist(),
                    Action::StartRemedy(intent) if on_disk => effects.push(Effect::Start(intent)),
                    // Nothing was done: it is as good as it was, once the disk can be written again.
                    Action::StartRemedy(intent) => queue.push_back(Event::RemedyNotStarted {
                        id: intent.id,
                        why: "the state could not be written".to_owned(),
                    }),
                    Action::AbandonRemedy { id } => effects.push(Effect::Abandon(id)),
                    Action::Probe { endpoint, hosts, .. } => effects.push(Effect::Look(endpoint, hosts)),
                    Action::Raise { endpoint, host, finding } => {
                        crate::log::finding(&self.config.name, &finding);
                        self.alerts.insert((endpoint, host), finding);
                    }
                    Action::Clear { endpoint, host, code } => {
                        tracing::info!(
                            gateway = self.config.name,
                            endpoint,
                            host,
                            code,
                            "the alert no longer stands"
                        );
                        self.alerts.remove(&(endpoint, host));
                    }
                    Action::Tell { finding } => crate::log::finding(&self.config.name, &finding),
                    Action::Record(record) => self.record(record),
                }
            }
        }
        effects
    }

    /// An intent is on disk before its act and its end before another; whatever else is to outlive a crash, within a
    /// tick: ten thousand hosts that one reload mends are not ten thousand writes. Gives whether the intent is there.
    fn persist(&mut self) -> bool {
        let in_flight = self.machine.as_ref().and_then(|m| m.in_flight.as_ref()).map(|f| f.intent.id);
        self.unsaved = true;
        if in_flight == self.saved_intent {
            return true;
        }
        self.save()
    }

    /// Writes the state, if there is news in it; gives whether it is on disk.
    pub(in crate::run) fn save(&mut self) -> bool {
        let Some(machine) = self.machine.as_ref().filter(|_| self.unsaved) else { return !self.unsaved };
        match self.state_file.write(machine) {
            Ok(()) => {
                self.unsaved = false;
                self.saved_intent = machine.in_flight.as_ref().map(|f| f.intent.id);
                self.own.remove("state");
                true
            }
            Err(finding) => {
                self.hold("state", finding);
                false
            }
        }
    }

    fn record(&mut self, record: Record) {
        let gateway = self.config.name.as_str();
        let mut store = self.hub.store();
        match &record.what {
            What::Ended { remedy, ok, .. } => {
                let found = self.config.policy.remedies.iter().find(|r| r.name == *remedy);
                let kind = found.map_or("command", |r| r.act.kind());
                store.add(&metric::REMEDIES, &[gateway, kind, if *ok { "done" } else { "failed" }], 1);
            }
            What::Converged { after, took_ms, .. } => {
                let by = if after.is_some() { "remedy" } else { "itself" };
                #[allow(clippy::cast_precision_loss, reason = "milliseconds of a drift")]
                store.observe(&metric::DRIFT_TIME, &[gateway, by], *took_ms as f64 / 1000.0);
                if after.is_some() {
                    store.add(&metric::REMEDY_OUTCOMES, &[gateway, "proven"], 1);
                }
            }
            What::NotHelped { .. } => store.add(&metric::REMEDY_OUTCOMES, &[gateway, "not-helped"], 1),
            What::NotProven { .. } => store.add(&metric::REMEDY_OUTCOMES, &[gateway, "not-proven"], 1),
            _ => {}
        }
        drop(store);
        crate::run::tell::record(&record);
        self.is_to_be_recorded(&record.what);
        if let Err(finding) = self.history.append(&record) {
            self.hold("history", finding);
        } else {
            self.own.remove("history");
        }
        forget_same_refusal(&mut self.records, &record.what);
        self.records.push_back(record);
        if self.records.len() > SHOWN_RECORDS {
            self.records.pop_front();
        }
    }
}

/// A remedy that is refused again for the same reason stands in the place of its last try: what is shown is not filled with it.
fn forget_same_refusal(records: &mut VecDeque<Record>, what: &What) {
    let What::NotStarted { remedy, why, .. } = what else { return };
    let Some(before) = records.len().checked_sub(2) else { return };
    let is_same = |record: &Record| matches!(&record.what, What::NotStarted { remedy: other, why: said, .. } if other == remedy && said == why);
    // Its own intent is the last; before it stand those of the last try.
    if before > 0 && records.get(before).is_some_and(is_same) {
        records.drain(before - 1..=before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_that_is_refused_again_and_again_is_shown_once() {
        let not_started = |id, why: &str| What::NotStarted { id, remedy: "replace".into(), why: why.into() };
        let record = |what| Record { at: Millis(0), gateway: "kong".into(), what };
        let begun = |id| {
            record(What::Ended { id, remedy: "replace".into(), ok: true, said: String::new(), took_ms: 0 })
        };
        let mut shown = VecDeque::new();
        for (id, why) in [(1, "budget"), (2, "budget"), (3, "busy"), (4, "budget"), (5, "budget")] {
            shown.push_back(begun(id));
            let what = not_started(id, why);
            forget_same_refusal(&mut shown, &what);
            shown.push_back(record(what));
        }
        let ids = shown.iter().map(|r| match r.what {
            What::NotStarted { id, .. } | What::Ended { id, .. } => id,
            _ => 0,
        });
        assert_eq!(ids.collect::<Vec<_>>(), [2, 2, 3, 3, 5, 5]);
    }
}
