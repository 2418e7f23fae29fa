//! How far certdrift may go for one gateway.
use super::period::Period;
use super::window::Window;
use crate::remedy::config::Remedy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether certdrift only tells, or also acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Tells, and acts on nothing.
    #[default]
    Observe,
    /// Heals with the remedies listed.
    Heal,
}

/// How far certdrift may go for one gateway. The default observes and acts on nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// `observe` tells and acts on nothing; `heal` uses the remedies.
    pub mode: Mode,
    /// How long drift must last before it counts: a gateway that reloads by itself gets this long.
    pub grace: Period,
    /// The least time between the starts of two remedies.
    pub min_interval: Period,
    /// The most remedies started within an hour.
    pub budget_per_hour: u32,
    /// How long old workers may still answer after a remedy has ended, before what they serve is held against it.
    pub settle: Period,
    /// How long the proof on the wire may take after a remedy, before the next one may be considered.
    pub prove_within: Period,
    /// Drift that is not settled after so long raises an alert, whatever it waits for.
    pub alert_after: Period,
    /// Full handshakes that must show what is expected before a drift is over, where the number of workers is not
    /// known. With n workers known but not named, it is the number that misses one worker in 20 cases or fewer.
    pub proofs: u32,
    /// When remedies that restart something may be started; at any time when empty.
    pub windows: Vec<Window>,
    /// Restart also what has no other replica to take over.
    pub restart_single_replica: bool,
    /// Restart also when a disruption budget allows none.
    pub restart_against_budget: bool,
    /// What to do, in the order in which to try.
    pub remedies: Vec<Remedy>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            grace: Period::seconds(30),
            min_interval: Period::seconds(60),
            budget_per_hour: 6,
            settle: Period::seconds(2),
            prove_within: Period::seconds(60),
            alert_after: Period::seconds(900),
            proofs: 3,
            windows: Vec::new(),
            restart_single_replica: false,
            restart_against_budget: false,
            remedies: Vec::new(),
        }
    }
}

impl Policy {
    /// What is wrong with it as a whole: where (`remedies[2].name`) and why. Empty when it is good.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut tell = |place: String, why: &str| wrong.push((place, why.to_owned()));
        if self.mode == Mode::Heal && self.remedies.is_empty() {
            tell("remedies".into(), "mode is heal, but there is no remedy to heal with");
        }
        if self.alert_after <= self.grace {
            tell("alert_after".into(), "must be longer than grace");
        }
        if self.prove_within <= self.settle {
            tell("prove_within".into(), "must be longer than settle");
        }
        for (n, _) in self.windows.iter().enumerate().filter(|(_, window)| window.contradicts_itself()) {
            tell(
                format!("windows[{n}].offset"),
                "`zone` says how far the clock is from UTC; leave one of the two out",
            );
        }
        if self.proofs == 0 {
            tell("proofs".into(), "must be at least 1: without a handshake nothing is proven");
        }
        if self.budget_per_hour == 0 && self.mode == Mode::Heal {
            tell("budget_per_hour".into(), "0 lets no remedy start; say mode: observe instead");
        }
        for (n, remedy) in self.remedies.iter().enumerate() {
            if self.remedies.iter().take(n).any(|r| r.name == remedy.name) {
                tell(format!("remedies[{n}].name"), "is used twice");
            }
            if remedy.timeout.as_millis() == 0 {
                tell(format!("remedies[{n}].timeout"), "must be longer than 0");
            }
            if let Some(cause) = remedy.causes.iter().find(|c| !c.mendable()) {
                tell(format!("remedies[{n}].causes"), &format!("no remedy mends {}", cause.as_str()));
            } else if let Some(cause) = remedy.causes.iter().find(|c| !remedy.act.can_mend(**c)) {
                let why = format!("{} does not mend {}", remedy.act.kind(), cause.as_str());
                tell(format!("remedies[{n}].causes"), &why);
            }
        }
        wrong
    }

    /// Full handshakes with what is expected that make a proof, for an endpoint with so many workers.
    #[must_use]
    pub fn proofs_for(&self, workers: Option<u32>) -> u32 {
        let Some(workers) = workers.filter(|n| *n > 0) else { return self.proofs.max(1) };
        // Chance to have missed one worker, in units of a ten-thousandth: stop at 5 %.
        let (mut missed, mut handshakes) = (10_000u64, 0u32);
        while missed > 500 && handshakes < 64 {
            missed = missed * u64::from(workers - 1) / u64::from(workers);
            handshakes += 1;
        }
        handshakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_only_observes_and_is_good() {
        let policy: Policy = serde_json::from_str("{}").expect("an empty policy");
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.mode, Mode::Observe);
        assert_eq!(policy.check(), Vec::new());
    }

    #[test]
    fn the_more_workers_the_more_handshakes_make_a_proof() {
        let policy = Policy::default();
        let handshakes: Vec<u32> =
            [None, Some(1), Some(2), Some(4), Some(16), Some(1000)].map(|n| policy.proofs_for(n)).into();
        assert_eq!(handshakes, [3, 1, 5, 11, 47, 64]);
    }

    #[test]
    fn each_contradiction_is_named_with_its_place() {
        let text = r#"{"mode": "heal", "grace": "1h", "proofs": 0, "budget_per_hour": 0, "settle": "2m", "remedies": [
            {"name": "a", "command": {"argv": ["true"]}, "timeout": "0s"}, {"name": "a", "causes": ["edge"], "command": {"argv": ["true"]}}]}"#;
        let policy: Policy = serde_json::from_str(text).expect("a policy");
        let places: Vec<String> = policy.check().into_iter().map(|(place, _)| place).collect();
        assert_eq!(
            places,
            [
                "alert_after",
                "prove_within",
                "proofs",
                "budget_per_hour",
                "remedies[0].timeout",
                "remedies[1].name",
                "remedies[1].causes"
            ]
        );
        let unknown =
            serde_json::from_str::<Policy>(r#"{"gracee": "1s"}"#).expect_err("unknown key").to_string();
        assert!(unknown.contains("gracee"), "{unknown}");
    }
}
