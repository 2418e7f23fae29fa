//! One gateway's ledger from its binding to its readers: built, split, written, served.
use super::build::{Made, Policy, build};
use super::serve::Ledgers;
use super::split::Published;
use super::target::{Newer, Target};
use crate::binding::Binding;
use crate::finding::Finding;
use certdrift_contract::ledger::MAX_AHEAD;
use certdrift_contract::{Ledger, Revision, UnixTime};
use std::sync::Arc;

/// Publishes one gateway's ledger.
#[derive(Debug)]
pub struct Publisher {
    policy: Policy,
    targets: Vec<Box<dyn Target>>,
    ledgers: Ledgers,
    ledger: Option<Arc<Ledger>>,
    /// What `ledger` was built from; none of one that was taken up.
    made: Option<Made>,
    parts: usize,
    published: Option<Arc<Published>>,
    /// A stranger published this revision: the next of ours is above it.
    above: Option<Revision>,
}

/// What publishing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The ledger has a new revision.
    pub changed: bool,
    /// What is wrong now, by binding and by publishing; replaces what was told before.
    pub findings: Vec<Finding>,
}

impl Publisher {
    /// For a gateway; the newest ledger that is in a target is taken up, so that a restart is silent. What is wrong with one is told.
    #[must_use]
    pub fn new(policy: Policy, targets: Vec<Box<dyn Target>>, ledgers: Ledgers) -> (Self, Vec<Finding>) {
        let mut publisher = Self {
            policy,
            targets: Vec::new(),
            ledgers,
            ledger: None,
            made: None,
            parts: 0,
            published: None,
            above: None,
        };
        let findings = targets.into_iter().filter_map(|target| publisher.adopt(target)).collect();
        (publisher, findings)
    }

    /// One more target, before anything is published: its ledger is taken up where it is the newest. What is wrong with it is told.
    pub fn adopt(&mut self, target: Box<dyn Target>) -> Option<Finding> {
        let read = target.read();
        self.targets.push(target);
        match read {
            Ok(Some((ledger, parts)))
                if self.ledger.as_ref().is_none_or(|l| l.revision < ledger.revision) =>
            {
                (self.ledger, self.made, self.parts) = (Some(Arc::new(ledger)), None, parts);
                None
            }
            Ok(_) => None,
            Err(finding) => Some(finding),
        }
    }

    /// The ledger as it stands, with its entries.
    #[must_use]
    pub fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.ledger.as_ref()
    }

    /// Publishes what is bound now, after [`Publisher::catch_up`]. A ledger that cannot be written is served all the same.
    pub fn publish(&mut self, binding: Binding, now: UnixTime) -> Outcome {
        let (mut next, told) = build(&binding, self.ledger.as_deref(), self.made.as_ref(), &self.policy, now);
        if let Some(above) = self.above.filter(|above| *above >= next.revision) {
            next.revision = Revision(above.0.saturating_add(1));
            next.published_at = now;
        }
        let made = Made::of(&binding);
        let mut out = Outcome { changed: false, findings: binding.findings };
        out.findings.extend(told);
        if self.hand_on(Arc::new(next), &mut out) {
            self.made = Some(made);
        }
        out
    }

    /// Publishes the ledger as it stands: another replica's, which was just taken up. `findings` are the binding's.
    pub fn follow(&mut self, findings: Vec<Finding>) -> Outcome {
        let mut out = Outcome { changed: false, findings };
        if let Some(ledger) = self.ledger.clone() {
            self.hand_on(ledger, &mut out);
            out.changed = true;
        }
        out
    }

    /// Whether the ledger stands now; one that no reader would take does not.
    fn hand_on(&mut self, next: Arc<Ledger>, out: &mut Outcome) -> bool {
        let before = self.ledger.as_ref().map(|ledger| ledger.revision);
        if self.published.is_none() || before != Some(next.revision) {
            match Published::new(&next, self.parts, self.published.as_deref()) {
                Ok(published) => {
                    out.changed = before != Some(next.revision);
                    let published = Arc::new(published);
                    self.parts = published.parts.len();
                    self.ledgers.publish(Arc::clone(&published));
                    out.findings
                        .extend(self.targets.iter().filter_map(|target| target.put(&published).err()));
                    self.published = Some(published);
                    self.ledger = Some(next);
                    self.above = None;
                }
                Err(finding) => {
                    out.findings.push(finding);
                    return false;
                }
            }
        }
        true
    }

    /// Whether a target holds something newer than ours, so that [`Publisher::catch_up`] has something to do.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.targets.iter().any(|target| target.is_ahead())
    }

    /// Goes on from what another replica published, and says whether there was something; of a stranger's ledger only the
    /// revision counts.
    pub fn catch_up(&mut self, now: UnixTime) -> bool {
        let mut taken_up = false;
        // Further ahead, a reader refuses it.
        let limit = u64::try_from(now.plus(MAX_AHEAD).seconds()).unwrap_or(0);
        for newer in self.targets.iter().filter_map(|target| target.newer()) {
            let ours = self.ledger.as_ref().map(|ledger| ledger.revision);
            match newer {
                Newer::Ledger(ledger, parts)
                    if Some(ledger.revision) >= ours && ledger.revision.0 <= limit =>
                {
                    (self.ledger, self.made) = (Some(Arc::from(ledger)), None);
                    self.parts = parts;
                    self.published = None;
                    taken_up = true;
                }
                Newer::Revision(revision) if revision.0 <= limit => {
                    self.above = self.above.max(Some(revision));
                }
                Newer::Ledger(..) | Newer::Revision(_) => {}
            }
        }
        taken_up
    }

    /// Looks whether each target holds what was published, and puts it right; to be called every few seconds. So a
    /// folder that could not be written is tried again, too.
    pub fn tend(&self) -> Option<Finding> {
        let published = self.published.as_ref()?;
        let told = self.targets.iter().flat_map(|target| target.tend(published));
        told.max_by_key(|finding| finding.severity)
    }
}

#[cfg(test)]
mod tests;
