//! Random histories: what a network, a gateway, a clock and an operator may do, in any order.
use super::*;
use crate::converge::{Acknowledgement, Mode, RunsBy, Workload};
use crate::diagnose::{Fellows, Given, Loading};
use proptest::prelude::*;

/// How the endpoint gets the host's certificate: of one of the two hosts all are pushed it.
pub(super) fn given(endpoint: &str, of: &str) -> Given {
    match (endpoint, of == host(0)) {
        (_, true) => Given::Pushed,
        ("a", false) => Given::File,
        (_, false) => Given::Once,
    }
}

fn fellows() -> impl Strategy<Value = Fellows> {
    (0u32..2, 0u32..2, 0u32..2).prop_map(|(right, wrong, unseen)| Fellows { right, wrong, unseen })
}

/// One move; becomes an event once it is known what is in flight and what time it is.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Pass(i64),
    See {
        endpoint: u8,
        host: u8,
        worker: u8,
        evidence: Evidence,
        sight: Sight,
        delay: i64,
        old_ledger: bool,
        fellows: Fellows,
    },
    /// A drift that is ripe: seen, let last, seen again by handshakes.
    Ripe {
        endpoint: u8,
        host: u8,
        lasts: i64,
        fellows: Fellows,
    },
    End {
        ok: bool,
        known: bool,
    },
    Refuse,
    ActedBefore(i64),
    Publish {
        changed: u8,
        invalid: u8,
    },
    Up {
        endpoint: u8,
        edge: bool,
        workers: Option<u32>,
        started: bool,
    },
    Away {
        endpoint: u8,
        starting: bool,
    },
    Gone {
        endpoint: u8,
    },
    Loading {
        endpoint: u8,
        loading: Option<Loading>,
        runs_by: Option<RunsBy>,
    },
    Policy(Box<Policy>),
    Acknowledge {
        host: u8,
        lasts: i64,
    },
    Withdraw {
        host: u8,
    },
    Workload(Workload),
    Restart,
}

pub(super) fn endpoint(n: u8) -> String {
    ["a", "b", "edge"][usize::from(n % 3)].to_owned()
}

pub(super) fn host(n: u8) -> String {
    ["demo.example.com", "*.example.org"][usize::from(n % 2)].to_owned()
}

fn policies() -> impl Strategy<Value = Policy> {
    let grace = prop_oneof![Just("0s"), Just("2s"), Just("20s")];
    let interval = prop_oneof![Just("0s"), Just("1s"), Just("15s"), Just("5m")];
    let alert = prop_oneof![Just("1m"), Just("10m")];
    let windows = prop_oneof![3 => Just("[]"), 1 => Just(r#"[{"from": "02:00", "to": "02:10"}]"#)];
    let remedies = prop_oneof![
        3 => Just(r#"[{"name": "reload", "timeout": "5s", "signal": {"pid": 9}}, {"name": "restart", "timeout": "20s", "restarts": true, "command": {"argv": ["x"]}}]"#),
        1 => Just(r#"[{"name": "restart", "restarts": true, "command": {"argv": ["x"]}}]"#),
        1 => Just(r#"[{"name": "workers", "causes": ["stale-worker"], "signal": {"pid": 9}}, {"name": "b", "endpoint": "b", "command": {"argv": ["x"]}}, {"name": "hook", "webhook": {"url": "http://x"}}]"#),
    ];
    let mode = prop_oneof![5 => Just("heal"), 1 => Just("observe")];
    let numbers = (1u32..4, 1u32..4, any::<bool>(), any::<bool>());
    (mode, grace, interval, alert, windows, remedies, numbers).prop_map(
        |(mode, grace, interval, alert, windows, remedies, (budget, proofs, single, against))| {
            policy(&format!(
                r#"{{"mode": "{mode}", "grace": "{grace}", "min_interval": "{interval}", "budget_per_hour": {budget}, "settle": "2s",
                "prove_within": "20s", "alert_after": "{alert}", "proofs": {proofs}, "windows": {windows}, "remedies": {remedies},
                "restart_single_replica": {single}, "restart_against_budget": {against}}}"#
            ))
        },
    )
}

fn sights() -> impl Strategy<Value = Move> {
    let evidence = prop_oneof![
        6 => Just(Evidence::Handshake), 2 => Just(Evidence::Filter), 1 => Just(Evidence::Tap), 1 => Just(Evidence::Declared)];
    let sight = prop_oneof![
        5 => Just(Sight::Drift(DriftClass::Previous)), 1 => Just(Sight::Drift(DriftClass::Default)),
        4 => Just(Sight::Expected), 1 => Just(Sight::Tolerated), 1 => Just(Sight::Unjudged)];
    let delay = prop_oneof![
        8 => Just(0i64), 1 => Just(400), 1 => Just(6_000), 1 => Just(45_000), 1 => Just(-1_000)];
    (0u8..3, 0u8..2, 0u8..4, evidence, sight, delay, prop::bool::weighted(0.05), fellows()).prop_map(
        |(endpoint, host, worker, evidence, sight, delay, old_ledger, fellows)| Move::See {
            endpoint,
            host,
            worker,
            evidence,
            sight,
            delay,
            old_ledger,
            fellows,
        },
    )
}

fn moves() -> impl Strategy<Value = Move> {
    let pass = prop_oneof![
        1 => Just(0i64), 1 => Just(1), 1 => Just(300), 4 => Just(1_000), 4 => Just(3_000), 2 => Just(10_000), 2 => Just(40_000), 1 => Just(70_000)];
    let jump = -4_000_000i64..4_000_000;
    let loading = prop_oneof![
        Just(Loading::Free),
        Just(Loading::Starting),
        Just(Loading::Refused),
        Just(Loading::Fallback),
        Just(Loading::Empty),
        Just(Loading::HeldBack)
    ];
    // The certificate is expected since a minute after the start.
    let runs_by = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(after, seen, behind)| RunsBy {
        since: Millis(START.0 + if after { 90_000 } else { 30_000 }),
        not_before: seen.then_some(Millis(START.0 + if after { 80_000 } else { 20_000 })),
        behind,
    });
    let lasts = prop_oneof![Just(0i64), Just(2_000), Just(21_000), Just(29_000)];
    let workload = (any::<bool>(), prop::option::of(0u32..3), prop::option::of(0u32..2)).prop_map(
        |(rollout_running, replicas, disruptions_allowed)| {
            Move::Workload(Workload { rollout_running, replicas, disruptions_allowed, ..Workload::default() })
        },
    );
    prop_oneof![
        12 => pass.prop_map(Move::Pass),
        1 => jump.prop_map(Move::Pass),
        12 => sights(),
        8 => (0u8..3, 0u8..2, lasts, fellows()).prop_map(|(endpoint, host, lasts, fellows)| Move::Ripe { endpoint, host, lasts, fellows }),
        5 => (any::<bool>(), prop::bool::weighted(0.9)).prop_map(|(ok, known)| Move::End { ok, known }),
        1 => Just(Move::Refuse),
        // Mostly too long ago to count.
        1 => (-1_000i64..30_000_000).prop_map(Move::ActedBefore),
        1 => (0u8..4, 0u8..8).prop_map(|(changed, invalid)| Move::Publish { changed, invalid }),
        3 => (0u8..3, prop::option::of(1u32..3), any::<bool>()).prop_map(|(endpoint, workers, started)| Move::Up { endpoint, edge: endpoint == 2, workers, started }),
        1 => (0u8..3, any::<bool>()).prop_map(|(endpoint, starting)| Move::Away { endpoint, starting }),
        1 => (0u8..3).prop_map(|endpoint| Move::Gone { endpoint }),
        2 => (0u8..3, prop::option::weighted(0.7, loading), prop::option::of(runs_by)).prop_map(|(endpoint, loading, runs_by)| Move::Loading { endpoint, loading, runs_by }),
        1 => policies().prop_map(|p| Move::Policy(Box::new(p))),
        1 => (0u8..2, 1_000i64..100_000).prop_map(|(host, lasts)| Move::Acknowledge { host, lasts }),
        1 => (0u8..2).prop_map(|host| Move::Withdraw { host }),
        1 => workload,
        1 => Just(Move::Restart),
    ]
}

/// A policy and what happens under it.
pub(super) fn histories() -> impl Strategy<Value = (Policy, Vec<Move>)> {
    (policies(), prop::collection::vec(moves(), 200))
}

/// What a move needs to know to become events.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) now: Millis,
    pub(super) revision: u64,
    pub(super) in_flight: Option<u64>,
}

/// The events of a move, each with how much time passes before it.
pub(super) fn events(step: &Move, context: Context) -> Vec<(i64, Event)> {
    let at_once = |event: Event| vec![(0, event)];
    let Context { now, revision, in_flight } = context;
    match step {
        Move::Pass(ms) => vec![(*ms, Event::Tick)],
        Move::See { endpoint: e, host: h, worker, evidence, sight, delay, old_ledger, fellows } => {
            at_once(Event::Observed(Observed {
                endpoint: endpoint(*e),
                host: host(*h),
                worker: (*worker < 2).then(|| worker.to_string()),
                evidence: *evidence,
                sight: *sight,
                began: Millis(now.0 - delay),
                revision: if *old_ledger { revision.saturating_sub(1) } else { revision },
                expected_since: Some(Millis(START.0 + 60_000)),
                served: Some(OLD),
                expected: vec![NEW],
                given: given(&endpoint(*e), &host(*h)),
                fellows: *fellows,
            }))
        }
        Move::Ripe { endpoint: e, host: h, lasts, fellows } => [1i64, *lasts, 1_000]
            .into_iter()
            .scan(now.0, |at, wait| {
                *at += wait;
                let seen = Observed {
                    endpoint: endpoint(*e),
                    host: host(*h),
                    worker: None,
                    evidence: Evidence::Handshake,
                    sight: Sight::Drift(DriftClass::Previous),
                    began: Millis(*at),
                    revision,
                    expected_since: Some(Millis(START.0 + 60_000)),
                    served: Some(OLD),
                    expected: vec![NEW],
                    given: given(&endpoint(*e), &host(*h)),
                    fellows: *fellows,
                };
                Some((wait, Event::Observed(seen)))
            })
            .collect(),
        Move::End { ok, known } => {
            let id = if *known { in_flight.unwrap_or(1) } else { 0 };
            at_once(Event::RemedyEnded { id, ok: *ok, said: String::new() })
        }
        Move::ActedBefore(ago) => at_once(Event::ActedBefore { at: vec![Millis(now.0 - ago)] }),
        Move::Refuse => at_once(Event::RemedyNotStarted { id: in_flight.unwrap_or(1), why: String::new() }),
        Move::Publish { changed, invalid } => at_once(Event::Published {
            revision: revision + 1,
            changed: (0..2).filter(|n| changed & (1 << n) != 0).map(host).collect(),
            removed: Vec::new(),
            // Mostly good ones.
            invalid: (0..2).filter(|n| *invalid == 1 << n).map(host).collect(),
        }),
        Move::Up { endpoint: e, edge, workers, started } => at_once(Event::EndpointUp {
            endpoint: endpoint(*e),
            edge: *edge,
            workers: *workers,
            started: started.then_some(Millis(now.0 - 1_000)),
        }),
        Move::Away { endpoint: e, starting: true } => {
            at_once(Event::EndpointStarting { endpoint: endpoint(*e) })
        }
        Move::Away { endpoint: e, starting: false } => {
            at_once(Event::EndpointUnreachable { endpoint: endpoint(*e) })
        }
        Move::Gone { endpoint: e } => at_once(Event::EndpointGone { endpoint: endpoint(*e) }),
        Move::Loading { endpoint: e, loading, runs_by } => {
            at_once(Event::Loading { endpoint: endpoint(*e), loading: *loading, runs_by: *runs_by })
        }
        Move::Policy(policy) => at_once(Event::PolicyChanged { policy: policy.clone() }),
        Move::Acknowledge { host: h, lasts } => at_once(Event::Acknowledged(Acknowledgement {
            host: host(*h),
            reason: "known".into(),
            until: Millis(now.0 + lasts),
        })),
        Move::Withdraw { host: h } => at_once(Event::AcknowledgementWithdrawn { host: host(*h) }),
        Move::Workload(workload) => at_once(Event::Workload(*workload)),
        Move::Restart => at_once(Event::Restarted),
    }
}

/// What some histories came to, so that a test knows it has looked at something.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Came {
    pub(super) remedies: u64,
    pub(super) restarts: u64,
    pub(super) converged: u64,
    pub(super) exhausted: u64,
    pub(super) alerts: u64,
    pub(super) observe: u64,
}

impl Came {
    pub(super) fn count(&mut self, policy: &Policy, actions: &[Action]) {
        self.observe += u64::from(policy.mode == Mode::Observe);
        for action in actions {
            match action {
                Action::StartRemedy(intent) => {
                    self.remedies += 1;
                    self.restarts += u64::from(intent.remedy == "restart");
                }
                Action::Raise { .. } => self.alerts += 1,
                Action::Record(r) => match r.what {
                    What::Converged { .. } => self.converged += 1,
                    What::Exhausted { .. } => self.exhausted += 1,
                    _ => {}
                },
                _ => {}
            }
        }
    }
}
