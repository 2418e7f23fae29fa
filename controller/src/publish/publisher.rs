//! One gateway's ledger from its inventory to its readers: bound, built, split, written, served.
use super::build::{Policy, build};
use super::file::FileLedger;
use super::serve::Ledgers;
use super::split::Published;
use crate::binding::files::{Rules, bind};
use crate::finding::Finding;
use crate::source::inventory::Inventory;
use certdrift_contract::{Ledger, UnixTime};
use std::sync::Arc;

/// Publishes one gateway's ledger.
#[derive(Debug)]
pub struct Publisher {
    policy: Policy,
    rules: Rules,
    file: Option<FileLedger>,
    ledgers: Ledgers,
    ledger: Option<Ledger>,
    parts: usize,
    published: Option<Arc<Published>>,
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
    /// For a gateway; the ledger that is in `file` is taken up, so that a restart is silent. What is wrong with that is told.
    #[must_use]
    pub fn new(
        policy: Policy,
        rules: Rules,
        file: Option<FileLedger>,
        ledgers: Ledgers,
    ) -> (Self, Vec<Finding>) {
        let (found, findings) = match file.as_ref().map(FileLedger::read) {
            Some(Ok(found)) => (found, Vec::new()),
            Some(Err(finding)) => (None, vec![finding]),
            None => (None, Vec::new()),
        };
        let (ledger, parts) = found.map_or((None, 0), |(ledger, parts)| (Some(ledger), parts));
        (Self { policy, rules, file, ledgers, ledger, parts, published: None }, findings)
    }

    /// The ledger as it stands, with its entries.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// Publishes what is stored now. A ledger that cannot be written is served all the same.
    pub fn publish(&mut self, inventory: &Inventory, now: UnixTime) -> Outcome {
        let binding = bind(inventory, &self.rules, self.ledger.as_ref(), now);
        let (next, told) = build(&binding, self.ledger.as_ref(), &self.policy, now);
        let mut out = Outcome { changed: false, findings: binding.findings };
        out.findings.extend(told);
        let before = self.ledger.as_ref().map(|ledger| ledger.revision);
        if self.published.is_none() || before != Some(next.revision) {
            match Published::new(&next, self.parts) {
                Ok(published) => {
                    out.changed = before != Some(next.revision);
                    let published = Arc::new(published);
                    self.parts = published.parts.len();
                    self.ledgers.publish(Arc::clone(&published));
                    out.findings.extend(self.file.as_ref().and_then(|file| file.write(&published).err()));
                    self.published = Some(published);
                    self.ledger = Some(next);
                }
                Err(finding) => out.findings.push(finding),
            }
        }
        out
    }

    /// Looks whether the file is what was published, and puts it right; to be called every few seconds. So a folder
    /// that could not be written is tried again, too.
    pub fn tend(&self) -> Option<Finding> {
        let (file, published) = (self.file.as_ref()?, self.published.as_ref()?);
        match file.put_right(published) {
            Ok(told) => told,
            Err(finding) => Some(finding),
        }
    }
}

#[cfg(test)]
mod tests;
