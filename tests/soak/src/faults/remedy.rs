//! Faults in the act: remedies that refuse, lie, hang, kill, or are overtaken.
use super::{Fault, fault};
use crate::audit::Ending;
use crate::chance::Chance;
use crate::scene::{Ground, HOST, Scene, Setting, pass};
use crate::stand_in::{Mode, Post};
use std::time::Duration;

pub(super) const FAULTS: &[Fault] = &[
    fault("remedy-lies", "the remedy says that it has done it, and has done nothing", 12, lies),
    fault("remedy-refuses", "the remedy answers 500, each time", 10, refuses),
    fault("remedy-hangs", "the remedy answers nothing for as long as it is waited for", 14, hangs),
    fault(
        "gateway-dies-in-the-remedy",
        "the gateway dies of the remedy and comes back with what it had",
        14,
        dies,
    ),
    fault(
        "renewed-during-the-remedy",
        "the next renewal is stored while the gateway loads the last one",
        12,
        renewed,
    ),
    fault(
        "one-worker-stays-behind",
        "of two workers only one has loaded what the remedy was to load",
        12,
        one_worker,
    ),
    fault(
        "killed-during-the-remedy",
        "the controller is killed when its remedy has arrived, and the gateway takes its time",
        16,
        killed,
    ),
    fault("several-remedies-fail", "the first remedies do nothing, the last one works", 20, several),
];

/// One remedy, so that there is nothing else to try.
fn one() -> Setting {
    Setting { remedies: &["mend"], ..Setting::default() }
}

fn exhausted(scene: &Scene) {
    scene.until_state("it to be told", |state| {
        state["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["code"] == "CD-402"))
    });
}

fn lies(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, one());
    scene.gateway.will(&[], Post::Lies);
    scene.renew();
    scene.until_acted(1);
    exhausted(&scene);
    // Whoever believes it would do it again, or call it over.
    pass(scene.chance.ms(2_000, 4_000));
    let over = scene.history(0).iter().any(|record| record["what"] == "converged");
    assert!(!over, "called over: {:#?}", scene.history(0));
    scene.ends(&Ending { acts: 1..=1, drifts: true, converges: false });
}

fn refuses(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, one());
    scene.gateway.will(&[], Post::Refuses);
    scene.renew();
    exhausted(&scene);
    pass(scene.chance.ms(1_000, 4_000));
    scene.ends(&Ending { acts: 1..=1, drifts: true, converges: false });
}

fn hangs(ground: &'static Ground, chance: Chance) {
    let scene = Scene::with_files(ground, chance, Setting { timeout: 1, ..Setting::default() });
    scene.gateway.will(&[Post::Hangs], Post::Loads);
    scene.renew();
    scene.until_acted(2);
    scene.ends(&Ending::healed(2..=2));
}

fn dies(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let away = scene.chance.ms(3_000, 5_500);
    scene.gateway.will(&[Post::DiesFor(away)], Post::Loads);
    scene.renew();
    scene.until_acted(2);
    let acts = scene.gateway.acts();
    assert!(acts[1].at - acts[0].at > away, "healed while it was away: {acts:?}\n{}", scene.logs());
    scene.ends(&Ending::healed(2..=2));
}

fn renewed(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, one());
    let takes = scene.chance.ms(800, 2_000);
    scene.gateway.will(&[Post::LoadsSlowly(takes)], Post::Loads);
    scene.renew();
    scene.until_acted(1);
    pass(scene.chance.ms(0, 700));
    scene.renew();
    scene.ends(&Ending::healed(2..=2));
}

fn one_worker(ground: &'static Ground, chance: Chance) {
    let scene = Scene::with_files(ground, chance, Setting { workers: 2, ..Setting::default() });
    scene.gateway.will(&[Post::OneWorker], Post::Loads);
    let leaf = scene.renew();
    scene.until_acted(2);
    // Before the second remedy half of all connections were wrong still: nobody may have called it over.
    let acts = scene.gateway.acts();
    let all = scene.history(0);
    let second = all.iter().filter(|record| record["what"] == "remedy").nth(1).expect("the second remedy");
    let early = all.iter().take_while(|record| record != &second).any(|r| r["what"] == "converged");
    assert!(!early, "{} called over with a worker behind: {acts:?} {all:#?}", leaf.fingerprint);
    scene.ends(&Ending::healed(2..=3));
}

fn killed(ground: &'static Ground, chance: Chance) {
    let mut scene =
        Scene::with_files(ground, chance, Setting { interval: 1, timeout: 6, ..Setting::default() });
    let takes = scene.chance.ms(3_000, 4_500);
    scene.gateway.will(&[Post::LoadsSlowly(takes)], Post::Loads);
    scene.renew();
    scene.until_acted(1);
    pass(scene.chance.ms(0, 300));
    scene.crash(0);
    pass(scene.chance.ms(0, 500));
    scene.start_again(0);
    scene.ends(&Ending::healed(1..=1));
}

fn several(ground: &'static Ground, mut chance: Chance) {
    let bad = [*chance.of(&[Post::Lies, Post::Refuses]), *chance.of(&[Post::Lies, Post::Refuses])];
    let scene = Scene::with_files(ground, chance, Setting::default());
    scene.gateway.will(&bad, Post::Loads);
    scene.renew();
    scene.until_acted(3);
    assert_eq!(scene.gateway.acts()[2].mode, Mode::Serves, "{HOST}");
    assert!(scene.gateway.acts()[2].at.elapsed() < Duration::from_secs(90));
    scene.ends(&Ending::healed(3..=3));
}
