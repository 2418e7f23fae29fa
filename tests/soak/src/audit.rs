//! What must hold whatever happens, held against what was seen from outside: handshakes and posts at the gateway, the
//! ledger as it was published, and the history that the controller wrote.
use crate::scene::{Scene, Truth, current};
use crate::stand_in::{Act, Mode};
use certdrift_contract::Ledger;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How a scene has to end.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// How many acts there may be in all.
    pub(crate) acts: RangeInclusive<usize>,
    /// Whether the gateway ever served what it should not, so that drift may be told.
    pub(crate) drifts: bool,
    /// Whether it ends converged; else somebody was told that it does not.
    pub(crate) converges: bool,
}

impl Ending {
    /// Nothing is told and nothing done.
    pub(crate) const QUIET: Self = Self { acts: 0..=0, drifts: false, converges: true };

    /// It is healed by so many acts.
    pub(crate) const fn healed(acts: RangeInclusive<usize>) -> Self {
        Self { acts, drifts: true, converges: true }
    }
}

/// What is read, sent and answered takes its time: so much room is left in measured times.
const SLACK: Duration = Duration::from_millis(250);

/// Takes in a ledger: its revision never goes back, and it never expects what is worse or was never stored.
pub(crate) fn follow(truth: &mut Truth, ledger: &Ledger) {
    let (now, revision, current) = (Instant::now(), ledger.revision.0, current(ledger));
    if let Some((_, before, _)) = truth.ledgers.last().filter(|(_, before, _)| *before > revision) {
        truth.wrong.push(format!("the revision went from {before} back to {revision}"));
    }
    for leaf in current.iter().filter(|leaf| !truth.good.contains(leaf)) {
        truth.wrong.push(format!("revision {revision} expects {leaf}, which is none of the good ones"));
    }
    let same = truth.ledgers.last().is_some_and(|(_, before, was)| (*before, was) == (revision, &current));
    if !same {
        truth.ledgers.push((now, revision, current));
    }
}

/// Nothing was seen that must never be seen.
#[track_caller]
pub(crate) fn nothing_wrong(truth: &Truth) {
    assert!(truth.wrong.is_empty(), "{:#?}", truth.wrong);
}

/// Holds a scene against the invariants.
#[track_caller]
pub(crate) fn audit(scene: &Scene, ending: &Ending) {
    let (acts, truth) = (scene.gateway.acts(), scene.truth());
    let histories: Vec<Vec<Value>> = (0..scene.replicas.len()).map(|at| scene.history(at)).collect();
    let told = || format!("{acts:#?}\n{histories:#?}\n{}", scene.logs());
    nothing_wrong(&truth);
    assert!(ending.acts.contains(&acts.len()), "{} acts, not {:?}: {}", acts.len(), ending.acts, told());
    // 1: nothing worse than what is served is ever brought to the gateway.
    for act in &acts {
        let worse = truth
            .worse
            .iter()
            .any(|(from, to)| *from + Duration::from_secs(4) < act.at && to.is_none_or(|to| act.at < to));
        assert!(!worse, "a remedy towards a worse certificate: {}", told());
    }
    // 2: an interval between two, and a budget.
    let interval = Duration::from_secs(scene.setting.interval).saturating_sub(SLACK);
    for pair in acts.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between >= interval, "{between:?} between two remedies: {}", told());
    }
    let mut intents: Vec<&str> = acts.iter().map(|act| act.intent.as_str()).collect();
    intents.sort_unstable();
    intents.dedup();
    assert_eq!(intents.len(), acts.len(), "one intent, acted on twice: {}", told());
    assert!(acts.len() <= 6, "more remedies than an hour's budget: {}", told());
    for history in &histories {
        one_at_a_time(history);
    }
    drop(truth);
    for (n, act) in acts.iter().enumerate() {
        sighted(scene, &acts[..n], act);
        // 4: who does not answer is not healed.
        assert_eq!(act.mode, Mode::Serves, "a remedy for a gateway that does not answer: {}", told());
    }
    // 7: who is to observe only, acts on nothing.
    assert!(scene.setting.mode == "heal" || acts.is_empty(), "{}", told());
    // 5: it ended as it should; what did not converge was told.
    let all = || histories.iter().flatten();
    if !ending.converges {
        let said = all().any(|record| record["what"] == "exhausted");
        let state = scene.state(0).expect("its state");
        let raised = state["findings"].as_array().is_some_and(|all| {
            all.iter().any(|f| f["code"].as_str().is_some_and(|code| code.starts_with("CD-40")))
        });
        assert!(said || raised, "it did not converge, and nobody is told: {state:#}\n{}", told());
    }
    // Nothing is told that was not.
    let drifted = all().any(|record| record["what"] == "drifted");
    assert!(ending.drifts || !drifted, "a drift is told that was none: {}", told());
    // What is said to be over was seen to be: the gateway did serve what was expected before that.
    for record in all().filter(|record| record["what"] == "converged") {
        let served = record["served"].as_str().unwrap_or_default();
        let shakes = scene.gateway.shakes();
        assert!(shakes.iter().any(|s| s.served.to_string() == served), "never served: {record} {}", told());
    }
}

/// 2: one remedy is over before the next begins.
fn one_at_a_time(history: &[Value]) {
    let mut open: Option<u64> = None;
    for record in history {
        match record["what"].as_str().unwrap_or_default() {
            "remedy" => {
                assert_eq!(open, None, "two remedies at one time: {history:#?}");
                open = record["intent"]["id"].as_u64();
            }
            "ended" | "not-started" => open = None,
            _ => {}
        }
    }
}

/// 3 and 6: since the certificate was stored and since the remedy before, the gateway was looked at twice or more, and
/// each time before this act it served something else; and drift had lasted for its grace.
fn sighted(scene: &Scene, before: &[Act], act: &Act) {
    let shakes = scene.gateway.shakes();
    let last = before.last().map(|act| act.at);
    let since = shakes.iter().filter(|s| s.at < act.at && last.is_none_or(|last| last < s.at));
    let told = || format!("{act:?}\n{:#?}\n{}", scene.history(0), scene.logs());
    let seen: Vec<_> = since.collect();
    let looks = if before.is_empty() { 2 } else { 1 };
    assert!(seen.len() >= looks, "only {} handshakes before a remedy: {}", seen.len(), told());
    if let (true, Some(stored)) = (before.is_empty(), scene.truth().stored.get(1)) {
        let grace = Duration::from_secs(scene.setting.grace).saturating_sub(SLACK);
        let lasted = act.at - *stored;
        assert!(lasted >= grace, "healed after {lasted:?}: {}", told());
    }
}
