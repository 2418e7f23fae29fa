//! Tests of the machine: stories by hand, random histories, an exhaustive search, and replays.
mod checker;
mod histories;
mod kept_away;
mod model;
mod pods;
mod random;
mod replay;
mod stories;

use super::{Action, Event, Millis, Observed, Policy, Sight, State, What, step};
use crate::diagnose::{Fellows, Given};
use certdrift_contract::{DriftClass, Evidence, Fingerprint};

/// 2026-11-24T00:00:00Z, a Tuesday.
const START: Millis = Millis(1_795_478_400_000);
const OLD: Fingerprint = Fingerprint::from_digest([0x0a; 32]);
const NEW: Fingerprint = Fingerprint::from_digest([0x0b; 32]);

/// Events, when they came, and the actions they gave.
type Told = Vec<(Millis, Event, Vec<Action>)>;

/// A machine, its clock, and what it wanted done so far.
struct Run {
    state: Option<State>,
    now: Millis,
    actions: Vec<Action>,
    told: Told,
    /// Since when what is expected is expected.
    expected_since: Option<Millis>,
    /// How it is given to the endpoints.
    given: Given,
    /// How the host fares on the other endpoints.
    fellows: Fellows,
}

fn policy(json: &str) -> Policy {
    let policy: Policy = serde_json::from_str(json).expect("a policy");
    assert_eq!(policy.check(), Vec::new());
    policy
}

/// Heals by `reload`, then `restart`; periods short enough to tell a story in seconds.
fn healing() -> Policy {
    policy(
        r#"{"mode": "heal", "grace": "5s", "min_interval": "10s", "settle": "2s", "prove_within": "20s", "alert_after": "5m",
            "proofs": 2, "remedies": [{"name": "reload", "signal": {"pid_file": "/run/nginx.pid"}},
            {"name": "restart", "restarts": true, "command": {"argv": ["systemctl", "restart", "nginx"]}}]}"#,
    )
}

impl Run {
    fn new(policy: Policy) -> Self {
        let mut run = Self {
            state: Some(State::new("nginx", policy, START)),
            now: START,
            actions: Vec::new(),
            told: Vec::new(),
            expected_since: None,
            given: Given::File,
            fellows: Fellows::default(),
        };
        run.up("a");
        run
    }

    fn state(&self) -> &State {
        self.state.as_ref().expect("the state is only away during a step")
    }

    fn tell(&mut self, event: &Event) -> Vec<Action> {
        let (state, actions) = step(self.state.take().expect("a state"), event, self.now);
        self.state = Some(state);
        self.actions.extend(actions.iter().cloned());
        self.told.push((self.now, event.clone(), actions.clone()));
        actions
    }

    fn up(&mut self, endpoint: &str) -> Vec<Action> {
        self.tell(&Event::EndpointUp { endpoint: endpoint.into(), edge: false, workers: None, started: None })
    }

    /// Lets so many seconds pass, with a tick each.
    fn pass(&mut self, seconds: u32) -> Vec<Action> {
        (0..seconds)
            .flat_map(|_| {
                self.now.0 += 1_000;
                self.tell(&Event::Tick)
            })
            .collect()
    }

    fn see(&mut self, evidence: Evidence, worker: Option<&str>, sight: Sight) -> Vec<Action> {
        self.see_on("a", evidence, worker, sight)
    }

    fn see_on(
        &mut self,
        endpoint: &str,
        evidence: Evidence,
        worker: Option<&str>,
        sight: Sight,
    ) -> Vec<Action> {
        self.now.0 += 1;
        let served = if matches!(sight, Sight::Drift(_)) { OLD } else { NEW };
        self.tell(&Event::Observed(Observed {
            endpoint: endpoint.into(),
            host: "demo.example.com".into(),
            worker: worker.map(str::to_owned),
            evidence,
            sight,
            began: self.now,
            revision: self.state().revision,
            expected_since: self.expected_since,
            served: Some(served),
            expected: vec![NEW],
            given: self.given,
            fellows: self.fellows,
        }))
    }

    fn old(&mut self) -> Vec<Action> {
        self.see(Evidence::Handshake, None, Sight::Drift(DriftClass::Previous))
    }

    fn new_one(&mut self) -> Vec<Action> {
        self.see(Evidence::Handshake, None, Sight::Expected)
    }

    /// Drift that is ripe for a remedy, which is started by the last sight. Gives its id.
    fn drift_until_remedy(&mut self) -> u64 {
        self.old();
        self.pass(6);
        remedies(&self.old()).last().expect("a remedy").0
    }

    fn end(&mut self, id: u64, ok: bool) -> Vec<Action> {
        self.tell(&Event::RemedyEnded { id, ok, said: "said".into() })
    }
}

/// The remedies started: id and name.
fn remedies(actions: &[Action]) -> Vec<(u64, String)> {
    let started = |a: &Action| match a {
        Action::StartRemedy(intent) => Some((intent.id, intent.remedy.clone())),
        _ => None,
    };
    actions.iter().filter_map(started).collect()
}

/// Codes of the alerts raised.
fn raised(actions: &[Action]) -> Vec<String> {
    let code = |a: &Action| match a {
        Action::Raise { finding, .. } => Some(finding.code.clone()),
        _ => None,
    };
    actions.iter().filter_map(code).collect()
}

/// Codes of the alerts cleared.
fn cleared(actions: &[Action]) -> Vec<String> {
    let code = |a: &Action| match a {
        Action::Clear { code, .. } => Some(code.clone()),
        _ => None,
    };
    actions.iter().filter_map(code).collect()
}

fn converged(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Record(r) if matches!(r.what, What::Converged { .. })))
}

fn probes(actions: &[Action]) -> usize {
    actions.iter().filter(|a| matches!(a, Action::Probe { .. })).count()
}
