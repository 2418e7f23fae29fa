//! What is wrong with a gateway now, and in the log once when it appears.
use super::super::sights::Sight;
use super::Gateway;
use crate::diagnose::{Diagnosis, Drifting, diagnose};
use crate::finding::Finding;
use std::collections::BTreeSet;

impl Gateway {
    /// Something of our own that is wrong until it is taken back; logged when it is new.
    pub(super) fn hold(&mut self, what: &str, finding: Finding) {
        if self.own.get(what) != Some(&finding) {
            crate::log::finding(&self.config.name, &finding);
        }
        self.own.insert(what.to_owned(), finding);
    }

    pub(super) fn findings_of_storage(&self) -> Vec<Finding> {
        self.inventory.iter().flat_map(|i| i.findings.iter().cloned()).collect()
    }

    /// All that is wrong now.
    pub fn findings(&self) -> Vec<Finding> {
        let seen = self.sights.iter().flat_map(|(_, sights)| sights.values().flat_map(Sight::findings));
        let mut all: Vec<Finding> = self.findings_of_storage();
        all.extend(self.findings_of_issuance().iter().cloned());
        all.extend(
            self.published.iter().chain(self.own.values()).chain(self.alerts.values()).chain(seen).cloned(),
        );
        all.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then_with(|| (&a.object, &a.code).cmp(&(&b.object, &b.code)))
        });
        all
    }

    /// All that is broken on the way of its certificates.
    pub fn diagnoses(&self) -> Vec<Diagnosis> {
        let drifts = self.machine().into_iter().flat_map(crate::converge::State::drifts);
        let drifting = drifts.map(|(endpoint, _, host, drift)| Drifting {
            endpoint,
            host,
            class: drift.class.as_str(),
            cause: drift.cause,
            lacks: &drift.lacks,
        });
        diagnose(&self.findings(), drifting)
    }

    /// Logs findings of sources, of issuing and of publishing once when they appear.
    pub(super) fn tell_new_findings(&mut self) {
        let issuance = self.findings_of_issuance().iter().cloned();
        let all =
            self.findings_of_storage().into_iter().chain(self.published.iter().cloned()).chain(issuance);
        let mut now = BTreeSet::new();
        for finding in all {
            let key = (finding.code.clone(), finding.object.clone(), finding.why.clone());
            if !self.told.contains(&key) {
                crate::log::finding(&self.config.name, &finding);
            }
            now.insert(key);
        }
        self.told = now;
    }
}
