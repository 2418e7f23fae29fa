use super::*;
use crate::cluster::pod::ReadOnce;
use crate::config::Overrides;
use crate::config::load::parse;
use crate::converge::{Observed, Sight, Status};
use crate::diagnose::{Fellows, Given};
use crate::observe::watch::Seen;
use crate::observe::{Observation, Outcome};
use certdrift_contract::ledger::{Content, Entry, Expected};
use certdrift_contract::{DriftClass, Evidence, Fingerprint, Ledger, Revision, Rules, UnixTime, Verdict};

const HOSTS: usize = 50;

struct Run {
    folder: tempfile::TempDir,
    gateway: Gateway,
    now: Millis,
}

impl Run {
    fn new() -> Self {
        Self::beside("")
    }

    /// With more endpoints than `a`.
    fn beside(others: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "state_dir: {0}\ngateways:\n- name: nginx\n  sources: [{{directory: {0}/none}}]\n  endpoints: [{{name: a, address: \"127.0.0.1:9\", workers: 1}}{1}]\n  policy: {{mode: heal, grace: 1s, settle: 1s, proofs: 1, remedies: [{{name: reload, command: {{argv: [\"true\"]}}}}]}}\n",
            folder.path().display(),
            others
        );
        let config = parse(&text, "it", &Overrides::default()).unwrap();
        let now = Millis(1_795_478_400_000);
        let hub = Arc::new(Hub::new());
        let (gateway, _) = Gateway::open(&config, config.gateways[0].clone(), hub, now).unwrap();
        let mut run = Self { folder, gateway, now };
        run.event(Event::EndpointUp { endpoint: "a".into(), edge: false, workers: Some(1), started: None });
        run
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        self.gateway.event(event, self.now)
    }

    fn see(&mut self, n: usize, sight: Sight) -> Vec<Effect> {
        self.now.0 += 10;
        self.event(Event::Observed(Observed {
            endpoint: "a".into(),
            host: format!("h{n}.example.com"),
            worker: None,
            evidence: Evidence::Handshake,
            sight,
            began: self.now,
            revision: 0,
            expected_since: None,
            served: None,
            expected: Vec::new(),
            given: Given::File,
            fellows: Fellows::default(),
        }))
    }

    fn tick(&mut self) -> Vec<Effect> {
        self.now.0 += 1_000;
        self.gateway.tick(self.now)
    }

    /// What another process would read: the remedy in flight and how many drifts.
    fn on_disk(&self) -> (Option<u64>, usize) {
        let bytes = std::fs::read(self.folder.path().join("nginx/convergence.json")).unwrap();
        let state: State = serde_json::from_slice(&bytes).unwrap();
        (state.in_flight.as_ref().map(|f| f.intent.id), state.drifts().count())
    }

    /// All hosts drift until a remedy is started: its id.
    fn until_remedy(&mut self) -> u64 {
        for _ in 0..5 {
            let mut effects = self.tick();
            for n in 0..HOSTS {
                effects.extend(self.see(n, Sight::Drift(DriftClass::Previous)));
            }
            let started = effects.iter().find_map(|e| match e {
                Effect::Start(intent) => Some(intent.id),
                _ => None,
            });
            if let Some(id) = started {
                return id;
            }
        }
        panic!("no remedy");
    }
}

/// A ledger in which each host expects this.
fn expecting(revision: u64, hosts: &[(&str, u8)]) -> Ledger {
    let entry = |(host, leaf): &(&str, u8)| Entry {
        source: format!("file:{host}"),
        hosts: vec![host.parse().unwrap()],
        since: UnixTime::from_seconds(0),
        current: vec![Expected {
            sha256: Fingerprint::from_digest([*leaf; 32]),
            chain: Vec::new(),
            not_after: UnixTime::from_seconds(4_000_000_000),
        }],
        incoming: Vec::new(),
        retiring: Vec::new(),
    };
    Ledger {
        gateway: "nginx".into(),
        rules: Rules::Kong,
        revision: Revision(revision),
        published_at: UnixTime::from_seconds(0),
        content: Content::of(hosts.iter().map(entry)),
        default: None,
    }
}

#[test]
fn what_was_seen_of_a_host_stands_when_the_next_revision_is_about_another() {
    let mut run = Run::new();
    let expect = |run: &mut Run, ledger: Ledger, changed: &[&str]| {
        let before = run.gateway.expectations.clone();
        let new = Expectations::new(Arc::new(ledger), Vec::new().into(), before.as_deref()).unwrap();
        let changed: Vec<String> = changed.iter().map(|host| (*host).to_owned()).collect();
        run.gateway.sights.hosts(&new.hosts, &changed);
        let new = Arc::new(new);
        run.gateway.expectations = Some(Arc::clone(&new));
        new
    };
    let first = expect(&mut run, expecting(1, &[("a.example", 1), ("b.example", 1)]), &["a.example"]);
    let seen = |by: &Expectations, now: Millis| {
        let outcome = Outcome::Served {
            leaf: Fingerprint::from_digest([1; 32]),
            chain: None,
            placeholder: false,
            first_seen: now.seconds(),
            not_after: None,
            possession: None,
        };
        let observation = Observation {
            endpoint: "a".into(),
            host: "a.example".into(),
            family: None,
            worker: None,
            at: now.seconds(),
            began: now,
            evidence: Evidence::Handshake,
            outcome,
        };
        Seen::Judged(Box::new(crate::observe::judge::judged(observation, by, now.seconds())))
    };
    // Seen and judged by the first; before that is heard, there is another, about the other host.
    let (on_its_way, now) = (seen(&first, run.now), run.now);
    let second = expect(&mut run, expecting(2, &[("a.example", 1), ("b.example", 2)]), &["b.example"]);
    run.gateway.told(on_its_way, now);
    let verdict = |run: &Run| {
        let of = run.gateway.sights.iter().find(|(host, _)| *host == "a.example").unwrap().1;
        of.get("a").map(|sight| sight.verdict)
    };
    assert_eq!(verdict(&run), Some(Verdict::Match));
    // One that is about this host takes it away.
    let on_its_way = seen(&second, run.now);
    expect(&mut run, expecting(3, &[("a.example", 3), ("b.example", 2)]), &["a.example"]);
    run.gateway.told(on_its_way, now);
    assert_eq!(verdict(&run), Some(Verdict::Unobserved));
}

#[test]
fn an_intent_is_on_disk_before_its_act_and_its_end_when_it_ends() {
    let mut run = Run::new();
    let id = run.until_remedy();
    assert_eq!(run.on_disk(), (Some(id), HOSTS));
    run.event(Event::RemedyEnded { id, ok: true, said: String::new() });
    assert_eq!(run.on_disk(), (None, HOSTS));
}

#[test]
fn a_remedy_whose_intent_cannot_be_written_is_not_started_and_the_state_is_written_once_it_can_be() {
    let mut run = Run::new();
    run.tick();
    // A directory in the place of the file written beside: fails for root too.
    let in_the_way = run.folder.path().join("nginx/.convergence.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    for _ in 0..5 {
        let mut effects = run.tick();
        for n in 0..HOSTS {
            effects.extend(run.see(n, Sight::Drift(DriftClass::Previous)));
        }
        assert!(!effects.iter().any(|e| matches!(e, Effect::Start(_))), "{effects:?}");
    }
    assert_eq!(run.on_disk(), (None, 0));
    assert!(run.gateway.findings().iter().any(|f| f.code == "CD-408"));
    std::fs::remove_dir(&in_the_way).unwrap();
    run.tick();
    assert_eq!(run.on_disk(), (None, HOSTS));
    assert!(!run.gateway.findings().iter().any(|f| f.code == "CD-408"));
    // What was not begun was not tried: it is begun now, after its pause.
    run.now.0 += 15_000;
    run.until_remedy();
}

#[test]
fn an_endpoint_that_misses_a_push_is_told_until_it_has_it() {
    let mut run = Run::beside(", {name: b, address: \"127.0.0.1:10\"}");
    let runs_by = |run: &mut Run, endpoint: &str, hash: &str| {
        let seen = Seen::Configuration { endpoint: endpoint.into(), hash: hash.into() };
        run.gateway.told(seen, run.now);
    };
    let told = |run: &Run| -> Vec<String> {
        let behind = run.gateway.findings().into_iter().filter(|f| f.code == "CD-321");
        behind.map(|f| f.object).collect()
    };
    for (endpoint, hash) in [("a", "1a"), ("b", "1b")] {
        runs_by(&mut run, endpoint, hash);
    }
    run.now.0 += 60_000;
    runs_by(&mut run, "a", "2a");
    run.tick();
    assert!(told(&run).is_empty(), "it may come yet");
    run.now.0 += 15_000;
    run.tick();
    assert_eq!(told(&run), ["b"]);
    runs_by(&mut run, "b", "2b");
    run.tick();
    assert!(told(&run).is_empty());
}

#[test]
fn many_hosts_that_one_remedy_mends_are_one_write() {
    let mut run = Run::new();
    let id = run.until_remedy();
    run.event(Event::RemedyEnded { id, ok: true, said: String::new() });
    run.now.0 += 2_000;
    for n in 0..HOSTS {
        run.see(n, Sight::Expected);
    }
    assert_eq!(run.gateway.machine().unwrap().drifts().count(), 0);
    assert_eq!(run.on_disk(), (None, HOSTS), "not before the next tick");
    run.tick();
    assert_eq!(run.on_disk(), (None, 0));
}

/// A pod as an endpoint.
fn pod(name: &str, uid: &str, address: &str) -> Place {
    let endpoint = serde_json::from_value(serde_json::json!({"name": name, "address": address})).unwrap();
    Place {
        endpoint,
        uid: uid.into(),
        started: None,
        ready: true,
        revision: Box::default(),
        workload: None,
        read_once: ReadOnce::default(),
    }
}

impl Run {
    /// These pods live now: which endpoints are forgotten, and which are watched.
    fn pods(&mut self, pods: Vec<Place>) -> (Vec<String>, Vec<String>) {
        let known = |run: &Self| -> BTreeSet<String> {
            run.gateway.machine().unwrap().endpoints.keys().cloned().collect()
        };
        let before = known(self);
        let effects = self.gateway.serves_at(pods, self.now);
        let gone = before.difference(&known(self)).cloned().collect();
        let watched = effects.into_iter().find_map(|effect| match effect {
            Effect::Watch(places) => Some(places.into_iter().map(|p| p.endpoint.name).collect()),
            _ => None,
        });
        (gone, watched.unwrap_or_default())
    }

    fn up(&mut self, endpoint: &str) {
        self.event(Event::EndpointUp {
            endpoint: endpoint.into(),
            edge: false,
            workers: None,
            started: None,
        });
    }
}

#[test]
fn a_pod_that_goes_or_is_another_is_forgotten_and_whoever_comes_is_watched() {
    let mut run = Run::new();
    let (one, two) = (pod("kong/a", "1", "10.1.0.7:8443"), pod("kong/b", "2", "10.1.0.8:8443"));
    let none = Vec::<String>::new();
    assert_eq!(
        run.pods(vec![one.clone(), two.clone()]),
        (none.clone(), vec!["a".into(), "kong/a".into(), "kong/b".into()])
    );
    run.up("kong/a");
    run.up("kong/b");
    assert_eq!(run.pods(vec![one, two.clone()]), (none.clone(), none), "nothing has changed");
    // A StatefulSet's pod has its name again.
    let again = pod("kong/a", "3", "10.1.0.7:8443");
    let (gone, watched) = run.pods(vec![again.clone(), two]);
    assert_eq!((gone, watched.len()), (vec!["kong/a".to_owned()], 3));
    run.up("kong/a");
    assert_eq!(run.pods(vec![again]).0, ["kong/b"]);
    let late = Seen::Up { endpoint: "kong/b".into(), edge: false, workers: None, started: None };
    run.gateway.told(late, run.now);
    assert!(
        !run.gateway.machine().unwrap().endpoints.contains_key("kong/b"),
        "it was heard of after it had gone"
    );
    assert_eq!(run.pods(Vec::new()).0, ["kong/a"], "the configured one stays");
}

impl Run {
    /// The host drifts for so many seconds; gives how many remedies were started.
    fn drifts_for(&mut self, seconds: usize) -> usize {
        let mut effects = Vec::new();
        for _ in 0..seconds {
            effects.extend(self.tick());
            effects.extend(self.see(1, Sight::Drift(DriftClass::Previous)));
        }
        effects.iter().filter(|e| matches!(e, Effect::Start(_))).count()
    }
}

#[test]
fn who_does_not_lead_heals_nothing_and_who_takes_over_lets_a_remedy_under_way_have_its_time() {
    let mut run = Run::new();
    run.gateway.lead(false, false, &[], run.now);
    assert_eq!(run.drifts_for(10), 0);
    run.gateway.lead(true, true, &[], run.now);
    // It may take half a minute, and prove_within is a minute.
    assert_eq!(run.drifts_for(85), 0);
    assert_eq!(run.drifts_for(10), 1);
    run.gateway.lead(false, false, &[], run.now);
    run.gateway.lead(true, false, &[], run.now);
    assert_eq!(run.gateway.waits, None);
}

#[test]
fn who_takes_over_looks_at_the_wire_before_it_heals_what_another_may_have_healed() {
    let mut run = Run::new();
    run.gateway.lead(false, false, &[], run.now);
    assert_eq!(run.drifts_for(10), 0);
    let effects = run.gateway.lead(true, false, &[], run.now);
    assert!(!effects.iter().any(|e| matches!(e, Effect::Start(_))), "{effects:?}");
    assert!(effects.iter().any(|e| matches!(e, Effect::Look(..))), "{effects:?}");
    run.see(1, Sight::Expected);
    assert_eq!(run.gateway.machine().unwrap().drifts().count(), 0);
    assert_eq!(run.drifts_for(3), 1, "it drifts anew");
}

#[test]
fn who_takes_over_keeps_to_the_interval_and_the_budget_of_whoever_led_before() {
    let mut run = Run::new();
    let minutes_ago = |run: &Run, minutes: i64| Millis(run.now.0 - minutes * 60_000);
    run.gateway.lead(false, false, &[], run.now);
    // Proven within a minute, six an hour.
    let acts = [minutes_ago(&run, 40), run.now];
    run.gateway.lead(true, false, &acts, run.now);
    assert_eq!(run.drifts_for(58), 0);
    assert_eq!(run.drifts_for(10), 1);
    assert_eq!(run.gateway.acts().len(), 3, "what it hands on: {:?}", run.gateway.acts());
    assert_eq!(run.gateway.acts()[..2], acts);
    let mut run = Run::new();
    run.gateway.lead(false, false, &[], run.now);
    let acts: Vec<Millis> = (2..8).map(|minutes| minutes_ago(&run, minutes)).collect();
    run.gateway.lead(true, false, &acts, run.now);
    assert_eq!(run.drifts_for(120), 0);
    // The Lease says of its own what it knows already.
    let known = run.gateway.acts();
    run.gateway.lead(false, false, &[], run.now);
    run.gateway.lead(true, false, &known, run.now);
    assert_eq!(run.gateway.acts(), known);
}

#[test]
fn a_pod_that_is_not_ready_yet_is_starting_for_two_minutes_at_most() {
    let mut run = Run::new();
    let status = |run: &Run| run.gateway.machine().unwrap().endpoints["kong/a"].status;
    let unready = Place { ready: false, started: Some(run.now), ..pod("kong/a", "1", "10.1.0.7:8443") };
    let up = || Seen::Up { endpoint: "kong/a".into(), edge: false, workers: None, started: None };
    run.pods(vec![unready.clone()]);
    run.gateway.told(up(), run.now);
    assert_eq!(status(&run), Status::Starting);
    let (gone, watched) = run.pods(vec![Place { ready: true, ..unready.clone() }]);
    assert!(gone.is_empty() && watched.is_empty(), "it is the same pod");
    assert_eq!(status(&run), Status::Up);
    run.pods(vec![unready]);
    run.gateway.told(up(), run.now);
    run.tick();
    assert_eq!(status(&run), Status::Starting);
    run.now.0 += 121_000;
    run.tick();
    assert_eq!(status(&run), Status::Up);
}
