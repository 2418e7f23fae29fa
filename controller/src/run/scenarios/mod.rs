//! Scenarios of the diagnosis: raw API objects and observations in, causes out, through all of the controller but the network.
//!
//! Each file of `controller/scenarios` holds a list of them; `base.yaml` what they have in common. A scenario says what is
//! another from some second on, and what is told at its end: all of it, and nothing else. Each cause has a near miss
//! beside it that must not be taken for it.
mod certificates;
mod world;

use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use world::World;

/// A scenario, as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// In words.
    name: String,
    /// Part of the gateway's configuration that is another.
    #[serde(default)]
    gateway: BTreeMap<String, Value>,
    /// Part of `kubernetes:` that is another.
    #[serde(default)]
    kubernetes: BTreeMap<String, Value>,
    /// What happens, in the order of time.
    steps: Vec<Step>,
    /// Steps that others are like.
    #[serde(default)]
    parts: BTreeMap<String, Step>,
    /// When it is over, in seconds.
    #[serde(default)]
    ends: i64,
    /// What is told then: `CAUSE[ STATE] OBJECT[ HOST]`.
    #[serde(default)]
    expect: BTreeSet<String>,
    /// Whether what is told stays right, or becomes "cannot tell", when any part of what was observed is missing.
    #[serde(default)]
    with_less: bool,
}

/// What is another from some second on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Step {
    /// The second.
    at: i64,
    /// Parts of the base that happen with it, before all else.
    like: Vec<String>,
    /// Objects that come, or take the place of those of the same name.
    objects: Vec<Value>,
    /// `KIND NAMESPACE/NAME` of objects that go.
    gone: Vec<String>,
    /// Endpoints that do not answer any more (`false`) or do (`true`).
    answers: BTreeMap<String, bool>,
    /// Endpoints that take a request and hang.
    silent: BTreeMap<String, bool>,
    /// Hash of the configuration by Kong's status.
    configuration: BTreeMap<String, String>,
    /// What an endpoint serves for every host: one certificate, or one a worker.
    serves: BTreeMap<String, Serves>,
    /// What a pod of the ingress controller counts of its pushes.
    pushes: Option<String>,
    /// What cert-manager may not do to Secrets of a namespace.
    lacks: BTreeMap<String, Vec<String>>,
}

/// What an endpoint serves.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Serves {
    /// All workers, none known by name.
    One(String),
    /// By worker.
    Workers(BTreeMap<String, String>),
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What a scenario comes to.
fn run(base: &Scenario, scenario: &Scenario, without: Option<Lacking>) -> BTreeSet<String> {
    let mut world = World::new(base, scenario, without);
    let mut steps = base.steps.iter().chain(&scenario.steps).peekable();
    for second in 0..=scenario.ends {
        while let Some(step) = steps.next_if(|step| step.at <= second) {
            for part in &step.like {
                let known = base.parts.get(part).or_else(|| scenario.parts.get(part));
                world.step(known.unwrap_or_else(|| panic!("{}: there is no part {part}", scenario.name)));
            }
            world.step(step);
        }
        world.second();
    }
    assert!(steps.peek().is_none(), "{}: a step comes after its end", scenario.name);
    world.told()
}

/// A part of what can be observed that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    /// Events of the ingress controller.
    Events,
    /// Its metrics.
    Pushes,
    /// Kong's status.
    Status,
    /// Which worker took a connection.
    Workers,
    /// The endpoint that comes first by name does not answer.
    First,
    /// The one that comes last.
    Last,
}

impl Lacking {
    const ALL: [Self; 6] = [Self::Events, Self::Pushes, Self::Status, Self::Workers, Self::First, Self::Last];
}

fn scenarios() -> Vec<(String, Scenario)> {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml") && name != "base.yaml")
        .collect();
    files.sort();
    let all = files.iter().flat_map(|file| {
        let of: Vec<Scenario> = read(file);
        of.into_iter().map(|scenario| (file.clone(), scenario))
    });
    all.collect()
}

#[test]
fn every_scenario_comes_to_what_it_says_and_to_nothing_else() {
    let base: Scenario = read("base.yaml");
    let mut wrong = Vec::new();
    for (file, scenario) in scenarios() {
        let told = run(&base, &scenario, None);
        if told != scenario.expect {
            wrong.push(format!(
                "{file}: {}\n  told   {told:?}\n  expect {:?}",
                scenario.name, scenario.expect
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_observed_makes_no_cause_of_a_drift_another() {
    let base: Scenario = read("base.yaml");
    let drifts = |told: &BTreeSet<String>| -> BTreeMap<String, String> {
        // `CAUSE ENDPOINT HOST`; findings name no host.
        let split = |line: &String| {
            let mut words = line.split(' ');
            let (cause, endpoint, host) = (words.next()?, words.next()?, words.next()?);
            Some((format!("{endpoint} {host}"), cause.to_owned()))
        };
        told.iter().filter(|line| line.contains(".example.com")).filter_map(split).collect()
    };
    let (mut compared, mut open) = (0, 0);
    for (file, scenario) in scenarios().into_iter().filter(|(_, s)| s.with_less) {
        let truth = drifts(&run(&base, &scenario, None));
        for without in Lacking::ALL {
            for (drift, cause) in drifts(&run(&base, &scenario, Some(without))) {
                let Some(truth) = truth.get(&drift) else { continue };
                assert!(
                    cause == *truth || cause == "unexplained",
                    "{file}: {}: {drift} is {truth}, and without {without:?} it is told as {cause}",
                    scenario.name
                );
                compared += 1;
                open += usize::from(cause != *truth);
            }
        }
    }
    assert!(compared > 50 && open > 10, "{compared} compared, {open} could not be told");
}

#[test]
fn every_cause_and_every_state_of_an_issuance_has_a_scenario() {
    let told: Vec<String> = scenarios().into_iter().flat_map(|(_, s)| s.expect).collect();
    let has = |word: &str| told.iter().any(|line| line.split(' ').any(|w| w == word));
    let missing: Vec<&str> =
        crate::diagnose::Cause::ALL.iter().map(|cause| cause.as_str()).filter(|word| !has(word)).collect();
    assert!(missing.is_empty(), "no scenario comes to {missing:?}");
    // Of the Secret of the next key nobody looks (it holds nothing but a key); signed and overwritten are not-stored.
    let states = [
        "due",
        "renewal-disabled",
        "outside-window",
        "backing-off",
        "bad-certificate",
        "secret-of-another",
        "ready-but-expired",
        "not-ready",
        "awaits-next-key",
        "awaits-request",
        "several-requests",
        "awaits-approval",
        "denied",
        "invalid-request",
        "failed",
        "awaits-issuer",
        "signed",
        "overwritten",
    ];
    let missing: Vec<&&str> = states.iter().filter(|state| !has(state)).collect();
    assert!(missing.is_empty(), "no scenario comes to {missing:?}");
}
