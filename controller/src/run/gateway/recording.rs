//! The record of acts in the cluster: when it is written, when it is only read.
use super::{Effect, Gateway, SHOWN_RECORDS};
use crate::converge::findings::RECORD_UNWRITABLE;
use crate::converge::{Millis, Record, What};
use crate::remedy::record;

/// Between two writes, in milliseconds.
const AGAIN: i64 = 5_000;
/// After one that was refused: whoever is busy has better things to do.
const AFTER_REFUSAL: i64 = 30_000;

/// What is to be done about it.
#[derive(Debug)]
pub(super) struct Recording {
    /// There may be something in it, or to be put into it, that is not known here or there.
    due: bool,
    under_way: bool,
    /// Not before this.
    not_before: Millis,
}

impl Default for Recording {
    /// What those before us did is not known yet.
    fn default() -> Self {
        Self { due: true, under_way: false, not_before: Millis(0) }
    }
}

impl Gateway {
    /// A line of the history was written: who leads has done something, or who follows has seen a drift end by itself, so
    /// that somebody else may have.
    pub(super) fn is_to_be_recorded(&mut self, what: &What) {
        self.record.due |= match what {
            What::Drifted { .. } | What::NotStarted { .. } => false,
            What::Converged { after: None, .. } => !self.leads,
            _ => true,
        };
    }

    /// Another leads: what it has done is to be read.
    pub(super) fn is_to_be_read(&mut self) {
        self.record.due = true;
    }

    pub(super) fn tend_record(&mut self, now: Millis) -> Option<Effect> {
        let own = self.config.kubernetes.as_ref()?;
        let Recording { due, under_way, not_before } = self.record;
        if !due || under_way || now < not_before {
            return None;
        }
        self.record =
            Recording { due: false, under_way: true, not_before: Millis(now.0.saturating_add(AGAIN)) };
        let ours = if self.leads { record::acts(self.records.iter().cloned()) } else { Vec::new() };
        Some(Effect::Keep(record::name(&own.namespace, &self.config.name), ours))
    }

    /// What is in the record now, or why that is not known.
    pub(in crate::run) fn recorded(&mut self, kept: Result<Vec<Record>, String>, now: Millis) {
        self.record.under_way = false;
        match kept {
            Ok(there) => {
                self.own.remove("record");
                let ours = std::mem::take(&mut self.records).into_iter().collect();
                let all = record::together(there, ours);
                let old = all.len().saturating_sub(SHOWN_RECORDS);
                self.records = all.into_iter().skip(old).collect();
            }
            Err(why) => {
                (self.record.due, self.record.not_before) =
                    (true, Millis(now.0.saturating_add(AFTER_REFUSAL)));
                let own =
                    self.config.kubernetes.as_ref().map(|own| own.namespace.clone()).unwrap_or_default();
                let map = record::name(&own, &self.config.name);
                self.hold("record", RECORD_UNWRITABLE.on(format!("configmap:{map}"), why));
            }
        }
    }
}
