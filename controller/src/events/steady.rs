//! Findings that last: what comes and goes within seconds, while objects are made one after the other, is no Event. Pure.
use super::plan::Regarding;
use crate::converge::Millis;
use crate::finding::Finding;
use std::collections::BTreeMap;

/// Milliseconds for which a finding has to stand before it is told.
pub const LASTS: i64 = 5_000;

/// Since when each finding stands.
#[derive(Debug, Default)]
pub struct Steady(BTreeMap<(Regarding, String, String), Millis>);

impl Steady {
    /// Of all findings as they stand, those that have lasted.
    #[must_use]
    pub fn lasting(&mut self, all: Vec<(Regarding, Finding)>, now: Millis) -> Vec<(Regarding, Finding)> {
        let mut before = std::mem::take(&mut self.0);
        all.into_iter()
            .filter(|(on, finding)| {
                let key = (on.clone(), finding.code.clone(), finding.why.clone());
                let since = before.remove(&key).unwrap_or(now);
                self.0.insert(key, since);
                now.since(since) >= LASTS
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectName;

    #[test]
    fn a_finding_is_told_once_it_has_lasted_and_one_that_comes_again_begins_anew() {
        let on = Regarding {
            api_version: "v1".into(),
            kind: "Secret".into(),
            object: ObjectName::new("demo", "s"),
            uid: "u".into(),
        };
        let all = vec![(on, crate::source::findings::EXPIRED.on("demo/s", "it ended"))];
        let mut steady = Steady::default();
        let mut told = |all: &[_], at: i64| steady.lasting(all.to_vec(), Millis(at)).len();
        assert_eq!([told(&all, 0), told(&all, 4_999), told(&all, 5_000), told(&all, 6_000)], [0, 0, 1, 1]);
        assert_eq!([told(&[], 7_000), told(&all, 8_000), told(&all, 13_000)], [0, 0, 1]);
    }
}
