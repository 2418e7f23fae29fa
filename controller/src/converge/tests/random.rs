//! No random history breaks an invariant; and each invariant, broken on purpose, is seen to be broken.
use super::checker::{Checker, Violation};
use super::histories::{Came, Context, Move, events, histories};
use super::*;
use crate::converge::{Acknowledgement, Mode, Workload};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;

/// How a machine is broken: it is told a lie, or what it says is changed. The checker hears the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    HidesInvalid,
    NoInterval,
    NoBudget,
    NoWindow,
    EndsAtOnce,
    DeniesTheAct,
    NoGrace,
    SeesTwice,
    TrustsTheFilter,
    KeepsOldSights,
    HidesAway,
    TrustsDeclared,
    Mute,
    NoDeadline,
    CallsItConverged,
    SkipsTheWire,
    AlwaysHeals,
    HidesRollout,
    HidesSingle,
    HidesDisruptionBudget,
    HealsAcknowledged,
    ActsBeforeDisk,
}

/// 01:58 UTC: the window of some policies opens in two minutes.
const BEFORE_THE_WINDOW: Millis = Millis(START.0 + 118 * 60_000);

impl Broken {
    fn policy(self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        match self {
            Self::NoInterval => policy.min_interval = crate::converge::period::Period::seconds(0),
            Self::NoBudget => policy.budget_per_hour = 1_000_000,
            Self::NoWindow => policy.windows.clear(),
            Self::NoGrace => policy.grace = crate::converge::period::Period::seconds(0),
            Self::NoDeadline => policy.alert_after = crate::converge::period::Period::seconds(100_000_000),
            Self::AlwaysHeals => policy.mode = Mode::Heal,
            _ => {}
        }
        policy
    }

    /// What the machine is told in place of the event.
    fn lie(self, event: &Event, now: Millis, in_flight: Option<u64>) -> Vec<Event> {
        let mut told = event.clone();
        match (self, &mut told) {
            (_, Event::PolicyChanged { policy }) => **policy = self.policy(policy),
            (Self::HidesInvalid, Event::Published { invalid, .. }) => invalid.clear(),
            (Self::SeesTwice, Event::Observed(seen)) => {
                let mut before = seen.clone();
                before.began = Millis(seen.began.0 - 1);
                return vec![Event::Observed(before), told];
            }
            (Self::TrustsTheFilter, Event::Observed(seen)) if seen.evidence == Evidence::Filter => {
                seen.evidence = Evidence::Handshake;
            }
            (Self::TrustsDeclared, Event::Observed(seen)) => seen.evidence = Evidence::Handshake,
            (Self::KeepsOldSights, Event::Observed(seen)) => seen.began = now,
            (Self::HidesAway, Event::EndpointStarting { .. } | Event::EndpointUnreachable { .. }) => {
                told = Event::Tick;
            }
            (Self::DeniesTheAct, Event::RemedyEnded { id, said, .. }) => {
                told = Event::RemedyNotStarted { id: *id, why: said.clone() };
            }
            (Self::HidesRollout, Event::Workload(w)) => w.rollout_running = false,
            (Self::HidesSingle, Event::Workload(w)) => w.replicas = Some(3),
            (Self::HidesDisruptionBudget, Event::Workload(w)) => w.disruptions_allowed = None,
            (Self::HealsAcknowledged, Event::Acknowledged(Acknowledgement { .. })) => told = Event::Tick,
            _ => {}
        }
        match (self, in_flight) {
            (Self::EndsAtOnce, Some(id)) => {
                vec![Event::RemedyEnded { id, ok: true, said: String::new() }, told]
            }
            _ => vec![told],
        }
    }

    fn actions(self, actions: Vec<Action>) -> Vec<Action> {
        let keep = |action: &Action| match self {
            Self::Mute => !matches!(action, Action::Raise { .. }),
            Self::ActsBeforeDisk => !matches!(action, Action::Persist),
            _ => true,
        };
        actions.into_iter().filter(keep).collect()
    }
}

/// Runs a history; gives what was violated, what it came to, and the events with the actions they gave.
fn run(broken: Broken, policy: &Policy, moves: &[Move], came: &mut Came) -> (Vec<Violation>, Told) {
    let mut state = State::new("nginx", broken.policy(policy), BEFORE_THE_WINDOW);
    let mut checker = Checker::new(policy.clone(), BEFORE_THE_WINDOW);
    let mut context = Context { now: BEFORE_THE_WINDOW, revision: 1, in_flight: None };
    let (mut told, mut policy) = (Vec::new(), policy.clone());
    let up = |endpoint: u8| Move::Up { endpoint, edge: endpoint == 2, workers: None, started: true };
    let workload = Move::Workload(Workload { replicas: Some(2), ..Workload::default() });
    let begin = [Move::Publish { changed: 0, invalid: 0 }, up(0), up(1), up(2), workload];
    for step_ in begin.iter().chain(moves) {
        for (wait, event) in events(step_, context) {
            context.now.0 += wait;
            let mut actions = Vec::new();
            for lie in broken.lie(&event, context.now, context.in_flight) {
                let (next, more) = step(state, &lie, context.now);
                state = next;
                actions.extend(more);
            }
            if broken == Broken::SkipsTheWire && matches!(event, Event::RemedyEnded { .. }) {
                state = wire_made_up(state, context.now, &mut actions);
            }
            if broken == Broken::CallsItConverged && matches!(event, Event::RemedyEnded { .. }) {
                state = proof_made_up(state, &mut actions);
            }
            let actions = broken.actions(actions);
            match &event {
                Event::Published { revision, .. } => context.revision = *revision,
                Event::PolicyChanged { policy: new } => policy = (**new).clone(),
                _ => {}
            }
            context.in_flight = state.in_flight.as_ref().map(|f| f.intent.id);
            came.count(&policy, &actions);
            checker.watch(&event, context.now, &actions);
            told.push((context.now, event, actions));
        }
    }
    (checker.violations, told)
}

/// A machine that takes the end of a remedy for a sight of the wire.
fn wire_made_up(mut state: State, now: Millis, actions: &mut Vec<Action>) -> State {
    state.round = crate::converge::clock::Age(0);
    for drift in state.endpoints.values_mut().flat_map(|e| e.drifts.values_mut()) {
        drift.proving = None;
        drift.seen.times = 2;
        drift.seen.by_handshake = Some(state.clock.age());
    }
    let (state, more) = step(state, &Event::Tick, now);
    actions.extend(more);
    state
}

/// A machine that takes the end of a remedy for a proof.
fn proof_made_up(mut state: State, actions: &mut Vec<Action>) -> State {
    for (endpoint, known) in &mut state.endpoints {
        for (host, drift) in std::mem::take(&mut known.drifts) {
            let what = What::Converged {
                endpoint: endpoint.clone(),
                host,
                after: drift.tried.last().cloned(),
                took_ms: 0,
                handshakes: 0,
                workers: Vec::new(),
                served: None,
            };
            actions.push(Action::Record(crate::converge::Record {
                at: START,
                gateway: "nginx".into(),
                what,
            }));
        }
    }
    state
}

fn long() -> bool {
    std::env::var_os("CERTDRIFT_LONG").is_some()
}

#[test]
fn no_random_history_breaks_an_invariant() {
    let cases = if long() { 100_000 } else { 2_000 };
    let came = RefCell::new(Came::default());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&histories(), |(policy, moves)| {
        let (violations, told) = run(Broken::Nothing, &policy, &moves, &mut came.borrow_mut());
        if let Some(violation) = violations.first() {
            let shown: Vec<String> = told.iter().map(|line| format!("{line:?}")).collect();
            return Err(TestCaseError::fail(format!("{violation:?}\n{}", shown.join("\n"))));
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let came = came.into_inner();
    eprintln!("{cases} histories of 200 moves came to {came:?}");
    let per_history = [came.remedies, came.converged, came.alerts].map(|n| n / u64::from(cases));
    assert!(
        per_history.iter().all(|n| *n >= 1) && came.restarts > 100 && came.exhausted > 100,
        "too little happened: {came:?}"
    );
    certdrift_guarantee::record(
        "invariants-random",
        format!("{cases} histories of 200 moves, {} remedies", came.remedies),
    );
}

/// Histories that are the same in each run.
fn fixed_histories() -> impl Iterator<Item = (Policy, Vec<Move>)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = histories();
    std::iter::repeat_with(move || strategy.new_tree(&mut runner).expect("a history").current())
}

#[test]
fn each_invariant_broken_on_purpose_is_seen_to_be_broken() {
    use Broken::*;
    for (broken, invariant) in [
        (HidesInvalid, 1),
        (NoInterval, 2),
        (NoBudget, 2),
        (NoWindow, 2),
        (EndsAtOnce, 2),
        (DeniesTheAct, 2),
        (NoGrace, 3),
        (SeesTwice, 3),
        (TrustsTheFilter, 3),
        (KeepsOldSights, 3),
        (HidesAway, 4),
        (TrustsDeclared, 4),
        (Mute, 5),
        (NoDeadline, 5),
        (CallsItConverged, 5),
        (SkipsTheWire, 6),
        (AlwaysHeals, 7),
        (HidesRollout, 9),
        (HidesSingle, 9),
        (HidesDisruptionBudget, 9),
        (HealsAcknowledged, 0),
        (ActsBeforeDisk, 10),
    ] {
        let caught = fixed_histories().take(1_000).position(|(policy, moves)| {
            let (violations, _) = run(broken, &policy, &moves, &mut Came::default());
            violations.iter().any(|(n, _)| *n == invariant)
        });
        eprintln!("{broken:?} (invariant {invariant}): seen in history {caught:?}");
        assert!(caught.is_some(), "{broken:?} was not seen to break invariant {invariant}");
    }
}

/// Invariant 8, and that a state that went through the disk is the same state.
#[test]
fn a_replay_gives_the_same_actions_byte_for_byte_also_through_the_disk() {
    for (policy, moves) in fixed_histories().take(if long() { 2_000 } else { 40 }) {
        let (_, told) = run(Broken::Nothing, &policy, &moves, &mut Came::default());
        let first = State::new("nginx", policy, BEFORE_THE_WINDOW);
        let recording = super::replay::text(&first, &told);
        assert!(recording == super::replay::replayed(&recording), "a recording replays");
        let mut state = first;
        for (now, event, actions) in &told {
            let kept = serde_json::to_vec(&state).expect("JSON");
            let (next, again) = step(serde_json::from_slice(&kept).expect("the state"), event, *now);
            let bytes = |actions: &[Action]| serde_json::to_string(actions).expect("JSON");
            assert_eq!(bytes(&again), bytes(actions));
            state = next;
        }
    }
}

/// The replay's own test can fail: a machine that depends on anything but events and time is told apart.
#[test]
fn a_machine_that_is_not_deterministic_is_told_apart() {
    let mut told_apart = 0;
    for (policy, moves) in fixed_histories().take(20) {
        let (_, told) = run(Broken::Nothing, &policy, &moves, &mut Came::default());
        let (_, other) = run(Broken::Mute, &policy, &moves, &mut Came::default());
        told_apart += usize::from(told != other);
    }
    assert!(told_apart > 0);
}
