//! Faults of the API server and of what is stored of ours in it.
use super::{Fault, beside};
use crate::api;
use crate::audit::Ending;
use crate::chance::Chance;
use crate::proxy::{Asked, Fault as Met};
use crate::scene::{Ground, Scene, Setting, pass};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Within so long of its end, nothing of a fault is left.
const CONVERGED: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const FAULTS: &[Fault] = &[
    beside("watch-falls-silent", "watches say nothing more, on connections that live", 120, silent),
    beside("watch-too-old", "whoever goes on from a version hears that it is too old (410)", 10, too_old),
    beside("api-server-away", "every request fails (500)", 15, away),
    beside("api-server-busy", "every request is refused (429), with a second to wait", 12, busy),
    beside("etcd-slow", "every answer takes one to two and a half seconds", 30, slow),
    beside("conflict-storm", "every write of the ledger meets a conflict (409)", 12, conflicts),
    beside("ledger-deleted", "the ledger's ConfigMap is deleted", 8, deleted),
    beside("ledger-edited", "the ledger's ConfigMap is edited by hand", 8, edited),
];

fn proxied() -> Setting {
    Setting { proxied: true, ..Setting::default() }
}

/// Nothing was asked for more often than this since; paths are counted, without their queries.
#[track_caller]
fn asked_at_most(scene: &Scene, each: usize, began: Instant) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for asked in scene.proxy().asked().into_iter().filter(|asked| asked.at >= began) {
        let path = asked.uri.split('?').next().unwrap_or_default();
        *counts.entry(format!("{} {path}", asked.method)).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count <= each), "more often than {each} times: {counts:#?}");
}

fn silent(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, proxied());
    pass(scene.chance.ms(0, 2_000));
    scene.proxy().mute();
    let leaf = scene.renew();
    // The gateway loads it by itself; so long as nobody hears of the renewal, what it serves is only ahead.
    scene.gateway.load();
    scene.until_expected(&leaf, Duration::from_secs(130));
    scene.ends(&Ending::QUIET);
}

fn too_old(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, proxied());
    pass(scene.chance.ms(0, 1_000));
    let goes_on = |asked: &Asked| asked.is_watch() && asked.uri.contains("&resourceVersion=");
    let gone = scene.proxy().fault(Met::Gone, goes_on);
    scene.proxy().end_answers();
    gone.until_met(PATIENCE);
    let leaf = scene.renew();
    scene.until_expected(&leaf, CONVERGED);
    gone.ends();
    scene.ends(&Ending::healed(1..=1));
}

fn away(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, proxied());
    let broken = scene.proxy().fault(Met::Status(500), |_| true);
    scene.proxy().end_answers();
    broken.until_met(PATIENCE);
    let leaf = scene.renew();
    pass(scene.chance.ms(1_000, 8_000));
    broken.ends();
    scene.until_expected(&leaf, CONVERGED);
    scene.ends(&Ending::healed(1..=1));
}

fn busy(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, proxied());
    let busy = scene.proxy().fault(Met::Status(429), |_| true);
    scene.proxy().end_answers();
    let (began, leaf) = (Instant::now(), scene.renew());
    busy.until_met(PATIENCE);
    pass(scene.chance.ms(2_000, 6_000));
    // It says a second each time.
    asked_at_most(&scene, 3 + usize::try_from(began.elapsed().as_secs()).unwrap_or_default(), began);
    busy.ends();
    scene.until_expected(&leaf, CONVERGED);
    scene.ends(&Ending::healed(1..=1));
}

fn slow(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, proxied());
    let each = scene.chance.ms(1_000, 2_500);
    let slow = scene.proxy().fault(Met::Slow(each), |_| true);
    scene.proxy().end_answers();
    let leaf = scene.renew();
    scene.until_expected(&leaf, CONVERGED);
    let deposed = || scene.controller().log().contains(r#""leads":false"#);
    pass(Duration::from_secs(14));
    assert!(!deposed(), "it has lost the lead\n{}", scene.logs());
    slow.ends();
    scene.ends(&Ending::healed(1..=1));
}

fn conflicts(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, proxied());
    let writes =
        |asked: &Asked| asked.method == "PATCH" && asked.uri.contains("/configmaps/certdrift-ledger-");
    let storm = scene.proxy().fault(Met::Status(409), writes);
    let leaf = scene.renew();
    storm.until_met(PATIENCE);
    pass(scene.chance.ms(500, 6_000));
    storm.ends();
    scene.until_expected(&leaf, CONVERGED);
    scene.ends(&Ending::healed(1..=1));
}

fn deleted(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, Setting::default());
    for _ in 0..scene.chance.between(1, 4) {
        pass(scene.chance.ms(0, 1_500));
        let before = scene.published().expect("a ledger");
        scene.api().delete(&api::ledger(scene.n())).expect("deleted");
        certdrift_harness::wait::until("the ledger to be back", CONVERGED, || match scene.published() {
            Ok(after) if after.content == before.content => Ok(()),
            other => Err(format!("{other:?}\n{}", scene.logs())),
        });
    }
    scene.ends(&Ending::QUIET);
}

fn edited(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, Setting::default());
    for _ in 0..scene.chance.between(1, 4) {
        pass(scene.chance.ms(0, 1_500));
        let before = scene.published().expect("a ledger");
        // The very certificate, and a host that is not there: what a hand may do.
        let object = scene.api().get(&api::ledger(scene.n())).expect("a ConfigMap");
        let text = object["data"]["ledger.json"].as_str().unwrap_or_default().replace(":120", ":121");
        let text = text.replacen("\"hosts\":[\"", "\"hosts\":[\"a.example\",\"", 1);
        let edit = json!({"data": {"ledger.json": text}});
        let path = format!("{}?fieldManager=hand", api::ledger(scene.n()));
        scene.api().merge(&path, &edit).expect("edited");
        certdrift_harness::wait::until("the ledger to be put right", CONVERGED, || match scene.published() {
            Ok(after) if after.content == before.content => Ok(()),
            other => Err(format!("{other:?}\n{}", scene.logs())),
        });
    }
    scene.ends(&Ending::QUIET);
}
