use super::*;
use crate::config::Overrides;
use crate::config::load::parse;
use crate::converge::{Observed, Sight};
use certdrift_contract::{DriftClass, Evidence};

const HOSTS: usize = 50;

struct Run {
    folder: tempfile::TempDir,
    gateway: Gateway,
    now: Millis,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "state_dir: {0}\ngateways:\n- name: nginx\n  sources: [{{directory: {0}/none}}]\n  endpoints: [{{name: a, address: \"127.0.0.1:9\", workers: 1}}]\n  policy: {{mode: heal, grace: 1s, settle: 1s, proofs: 1, remedies: [{{name: reload, command: {{argv: [\"true\"]}}}}]}}\n",
            folder.path().display()
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
