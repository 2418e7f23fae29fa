//! Faults of the Lease, and of who holds it.
use super::{Fault, beside};
use crate::api;
use crate::audit::Ending;
use crate::chance::Chance;
use crate::proxy::{Asked, Fault as Met};
use crate::scene::{Ground, HOST, PATIENCE, Scene, Setting, pass};
use crate::stand_in::Post;
use certdrift_harness::wait;
use serde_json::json;
use std::time::{Duration, Instant};

pub(super) const FAULTS: &[Fault] = &[
    beside("lease-stolen", "another takes the Lease while a remedy's intent is on its way to it", 14, stolen),
    beside(
        "killed-between-intent-and-act",
        "the leader is killed when its intent stands, before it acts",
        14,
        between,
    ),
    beside(
        "killed-after-the-act",
        "the leader is killed right after its act, and the other leads next",
        16,
        after,
    ),
    beside("clock-of-the-holder-is-wrong", "who holds the Lease writes times of another hour", 36, clock),
];

fn leads(scene: &Scene, replica: usize) -> bool {
    scene.replicas[replica].controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
}

#[track_caller]
fn until_leads(scene: &Scene, replica: usize) {
    wait::until("it to lead", PATIENCE, || if leads(scene, replica) { Ok(()) } else { Err(scene.logs()) });
}

fn two() -> Setting {
    Setting { replicas: 2, proxied: true, interval: 1, timeout: 6, ..Setting::default() }
}

fn nobody_holds(scene: &Scene) {
    scene.api().merge(&api::lease(scene.n()), &json!({"spec": {"holderIdentity": ""}})).expect("the Lease");
}

fn stolen(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, two());
    let first = usize::from(!leads(&scene, 0));
    until_leads(&scene, first);
    let proxy = scene.replicas[first].proxy.clone().expect("a proxy");
    let held = proxy.fault(Met::HoldRequest, Asked::is_intent);
    scene.renew();
    held.until_met(PATIENCE);
    pass(scene.chance.ms(0, 500));
    nobody_holds(&scene);
    until_leads(&scene, 1 - first);
    held.ends();
    scene.until_acted(1);
    scene.until_right();
    // Who was robbed has begun a remedy; it hears that its intent does not stand, and does nothing.
    let did = scene.history(first).iter().any(|record| record["what"] == "ended");
    assert!(!did, "who was robbed of the Lease has acted: {:#?}", scene.history(first));
    scene.ends(&Ending::healed(1..=1));
}

fn between(ground: &'static Ground, chance: Chance) {
    let mut scene =
        Scene::in_cluster(ground, chance, Setting { proxied: true, timeout: 6, ..Setting::default() });
    let held = scene.proxy().fault(Met::HoldAnswer, Asked::is_intent);
    scene.renew();
    held.until_met(PATIENCE);
    pass(scene.chance.ms(0, 500));
    let killed = Instant::now();
    scene.crash(0);
    held.ends();
    // What it knew of it on disk is lost too: another pod starts in its place.
    let _ = std::fs::remove_dir_all(scene.controller().state());
    scene.start_again(0);
    scene.until_acted(1);
    // An intent stood there: nobody knew that it was not acted on. It has its time first, 6 s, and as long for its proof.
    let waited = scene.gateway.acts()[0].at - killed;
    assert!(waited >= Duration::from_secs(10), "acted {waited:?} after an intent of 6 s was left there");
    scene.ends(&Ending::healed(1..=1));
}

fn after(ground: &'static Ground, chance: Chance) {
    let setting = Setting { replicas: 2, interval: 12, ..Setting::default() };
    let mut scene = Scene::in_cluster(ground, chance, setting);
    let first = usize::from(!leads(&scene, 0));
    until_leads(&scene, first);
    let takes = scene.chance.ms(6_000, 8_000);
    scene.gateway.will(&[Post::LoadsAfter(takes)], Post::Loads);
    scene.renew();
    scene.until_acted(1);
    pass(scene.chance.ms(0, 400));
    scene.crash(first);
    until_leads(&scene, 1 - first);
    scene.start_again(first);
    scene.ends(&Ending::healed(1..=1));
}

fn clock(ground: &'static Ground, mut chance: Chance) {
    let hours = *chance.of(&[-48, -1, 1, 24]);
    let scene = Scene::in_cluster(ground, chance, Setting::default());
    until_leads(&scene, 0);
    let began = Instant::now();
    // A stranger whose clock is wrong takes the Lease, renews it, and falls silent.
    let time = |seconds: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now");
        let at = i64::try_from(now.as_secs()).unwrap_or_default() + hours * 3_600 + seconds;
        format!(
            "{}.000000Z",
            certdrift_contract::UnixTime::from_seconds(at).to_string().trim_end_matches('Z')
        )
    };
    let mut last = began;
    let mut round = 0;
    while began.elapsed() < Duration::from_secs(18) {
        let spec =
            json!({"holderIdentity": "stranger", "leaseDurationSeconds": 15, "renewTime": time(round)});
        last = Instant::now();
        scene.api().merge(&api::lease(scene.n()), &json!({"spec": spec})).expect("the Lease");
        round += 2;
        pass(Duration::from_secs(2));
        assert!(
            round < 4 || !leads(&scene, 0),
            "{hours} h: it leads beside {HOST}'s leader\n{}",
            scene.logs()
        );
    }
    until_leads(&scene, 0);
    assert!(last.elapsed() >= Duration::from_millis(14_500), "{hours} h: taken after {:?}", last.elapsed());
    scene.ends(&Ending::QUIET);
}
