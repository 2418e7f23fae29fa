//! An exhaustive search: every order of a small set of events, to a depth, from a gateway with two endpoints and two
//! hosts. The checker of the random histories watches each step; its deadlines stand in its state, so that time
//! makes paths acyclic and `always` is enough for invariant 5.
use super::checker::Checker;
use super::*;
use stateright::{Checker as _, Model, Property};
use std::fmt;

/// Where the search has come to.
#[derive(Clone, Hash, PartialEq, Eq)]
struct Node {
    state: State,
    checker: Checker,
    now: i64,
    steps: usize,
    remedies: u8,
    converged: bool,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms, {:?}", self.now - START.0, self.checker.violations)
    }
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    /// So many milliseconds pass.
    Pass(i64),
    /// A look at an endpoint's host: what was seen, by what, begun so many milliseconds ago.
    Look(&'static str, &'static str, Sight, Evidence, i64),
    /// The remedy in flight ends.
    End(bool),
    /// It is refused before the act.
    Refuse,
    /// An endpoint stops answering, or answers again.
    Away(&'static str),
    Back(&'static str),
    /// The controller is killed and starts again.
    Restart,
    /// The stored certificate becomes worse than what is served, or good again.
    Stored(bool),
}

const OLD_ONE: Sight = Sight::Drift(DriftClass::Previous);
const MOVES: [Move; 17] = [
    Move::Pass(1_000),
    Move::Pass(6_000),
    Move::Pass(31_000),
    Move::Look("a", "x", OLD_ONE, Evidence::Handshake, 0),
    Move::Look("a", "x", OLD_ONE, Evidence::Handshake, 1_500),
    Move::Look("a", "x", OLD_ONE, Evidence::Filter, 0),
    Move::Look("a", "x", Sight::Expected, Evidence::Handshake, 0),
    Move::Look("a", "y", OLD_ONE, Evidence::Handshake, 0),
    Move::Look("b", "x", OLD_ONE, Evidence::Handshake, 0),
    Move::Look("b", "x", Sight::Expected, Evidence::Handshake, 0),
    Move::End(true),
    Move::End(false),
    Move::Refuse,
    Move::Away("a"),
    Move::Back("a"),
    Move::Restart,
    Move::Stored(false),
];

/// The machine is given one policy, the checker holds it to another: the same, unless it is to be seen to fail.
struct Bounded {
    machine: Policy,
    held_to: Policy,
    depth: usize,
}

impl Bounded {
    fn tell(node: &mut Node, event: &Event) {
        let now = Millis(node.now);
        let (state, actions) = step(node.state.clone(), event, now);
        node.state = state;
        node.checker.watch(event, now, &actions);
        for action in &actions {
            match action {
                Action::StartRemedy(_) => node.remedies += 1,
                Action::Record(record) if matches!(record.what, What::Converged { .. }) => {
                    node.converged = true;
                }
                _ => {}
            }
        }
    }

    fn published(invalid: bool) -> Event {
        let invalid = if invalid { vec!["x".to_owned()] } else { Vec::new() };
        Event::Published { revision: 1, changed: Vec::new(), removed: Vec::new(), invalid }
    }

    fn up(endpoint: &str) -> Event {
        Event::EndpointUp { endpoint: endpoint.to_owned(), edge: false, workers: Some(1), started: None }
    }
}

impl Model for Bounded {
    type State = Node;
    type Action = Move;

    fn init_states(&self) -> Vec<Node> {
        let mut node = Node {
            state: State::new("nginx", self.machine.clone(), START),
            checker: Checker::new(self.held_to.clone(), START),
            now: START.0,
            steps: 0,
            remedies: 0,
            converged: false,
        };
        for event in [Self::published(false), Self::up("a"), Self::up("b")] {
            Self::tell(&mut node, &event);
        }
        // The search begins where something is wrong already, and was so for a while: it goes deeper from there.
        for wait in [2_000, 4_000] {
            let now = node.now;
            Self::tell(&mut node, &look("a", "x", OLD_ONE, Evidence::Handshake, now));
            node.now += wait;
            Self::tell(&mut node, &Event::Tick);
        }
        vec![node]
    }

    fn actions(&self, node: &Node, moves: &mut Vec<Move>) {
        if node.steps < self.depth {
            moves.extend(MOVES);
            moves.push(Move::Stored(true));
        }
    }

    fn next_state(&self, last: &Node, next: Move) -> Option<Node> {
        let mut node = last.clone();
        node.steps += 1;
        let in_flight = node.state.in_flight.as_ref().map(|f| f.intent.id);
        let event = match next {
            Move::Pass(time) => {
                node.now += time;
                Event::Tick
            }
            Move::Look(endpoint, host, sight, evidence, ago) => {
                look(endpoint, host, sight, evidence, node.now - ago)
            }
            Move::End(ok) => Event::RemedyEnded { id: in_flight?, ok, said: String::new() },
            Move::Refuse => Event::RemedyNotStarted { id: in_flight?, why: String::new() },
            Move::Away(endpoint) => Event::EndpointUnreachable { endpoint: endpoint.to_owned() },
            Move::Back(endpoint) => Self::up(endpoint),
            Move::Restart => Event::Restarted,
            Move::Stored(bad) => Self::published(bad),
        };
        Self::tell(&mut node, &event);
        Some(node)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no invariant is broken", |_, node: &Node| node.checker.violations.is_empty()),
            Property::sometimes("a remedy is started", |_, node: &Node| node.remedies > 0),
            Property::sometimes("a second remedy is started", |_, node: &Node| node.remedies > 1),
            Property::sometimes("a drift converges after a remedy", |_, node: &Node| {
                node.converged && node.remedies > 0
            }),
        ]
    }
}

fn look(endpoint: &str, host: &str, sight: Sight, evidence: Evidence, began: i64) -> Event {
    Event::Observed(Observed {
        endpoint: endpoint.to_owned(),
        host: host.to_owned(),
        worker: None,
        evidence,
        sight,
        began: Millis(began),
        revision: 1,
        expected_since: None,
        served: Some(OLD),
        expected: vec![NEW],
        given: Given::File,
        fellows: Fellows::default(),
    })
}

fn quick() -> Policy {
    policy(
        r#"{"mode": "heal", "grace": "5s", "min_interval": "10s", "settle": "1s", "prove_within": "20s", "alert_after": "1m",
            "proofs": 1, "budget_per_hour": 2, "remedies": [
            {"name": "reload", "signal": {"pid_file": "/run/nginx.pid"}, "timeout": "5s"},
            {"name": "again", "signal": {"pid_file": "/run/nginx.pid"}, "timeout": "5s"}]}"#,
    )
}

#[test]
fn no_order_of_events_breaks_an_invariant() {
    let depth = if std::env::var_os("CERTDRIFT_LONG").is_some() { 6 } else { 5 };
    let model = Bounded { machine: quick(), held_to: quick(), depth };
    let found = model.checker().threads(2).spawn_bfs().join();
    found.assert_properties();
    let figure =
        format!("{} unique states, every sequence of 18 events to depth {depth}", found.unique_state_count());
    certdrift_guarantee::record("invariants-model", figure);
}

#[test]
fn the_search_finds_a_machine_without_grace() {
    let mut hasty = quick();
    hasty.grace = crate::converge::period::Period::seconds(0);
    let mut strict = quick();
    strict.grace = crate::converge::period::Period::seconds(3_600);
    let model = Bounded { machine: hasty, held_to: strict, depth: 2 };
    let found = model.checker().spawn_bfs().join();
    assert!(found.discovery("no invariant is broken").is_some(), "a broken machine passed");
}
