//! Faults of the gateway itself, and of what is asked of it.
use super::{Fault, fault};
use crate::audit::Ending;
use crate::chance::Chance;
use crate::scene::{Ground, HOST, Scene, Setting, pass};
use crate::stand_in::Mode;

pub(super) const FAULTS: &[Fault] = &[
    fault("gateway-hangs", "the gateway takes connections and never shakes hands", 16, hangs),
    fault("gateway-serves-garbage", "the gateway answers with what is no TLS", 12, garbage),
    fault("gateway-away", "the gateway closes every connection, as a renewal is stored", 12, away),
    fault(
        "gateway-loads-late",
        "the gateway loads by itself, later than the renewal but within its grace",
        12,
        late,
    ),
    fault("gateway-rolls-back", "the gateway goes back to the certificate before", 12, rolls_back),
    fault("observe-only", "a drift where certdrift may only observe", 10, observes),
    fault("acknowledged", "a drift that somebody knows of and lets be", 10, known),
    fault(
        "window-closed",
        "a drift whose only remedy restarts, while maintenance windows are closed",
        10,
        closed,
    ),
];

/// It is not there in this way while a renewal is stored, and comes back with what it had.
fn not_there(ground: &'static Ground, chance: Chance, mode: Mode) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    scene.gateway.is(mode);
    pass(scene.chance.ms(0, 1_000));
    scene.renew();
    pass(scene.chance.ms(4_000, 7_000));
    assert!(scene.gateway.acts().is_empty(), "healed though nothing was seen\n{}", scene.logs());
    let drifts = scene.history(0).iter().any(|record| record["what"] == "drifted");
    assert!(!drifts, "called drift though nothing was seen\n{}", scene.logs());
    scene.gateway.is(Mode::Serves);
    scene.ends(&Ending::healed(1..=1));
}

fn hangs(ground: &'static Ground, chance: Chance) {
    not_there(ground, chance, Mode::Hangs);
}

fn garbage(ground: &'static Ground, chance: Chance) {
    not_there(ground, chance, Mode::Garbage);
}

fn away(ground: &'static Ground, chance: Chance) {
    not_there(ground, chance, Mode::Away);
}

fn late(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting { grace: 6, ..Setting::default() });
    scene.renew();
    pass(scene.chance.ms(500, 4_000));
    scene.gateway.load();
    scene.ends(&Ending { acts: 0..=0, drifts: true, converges: true });
}

fn rolls_back(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let old = scene.renew();
    scene.gateway.load();
    scene.until_right();
    let new = scene.renew();
    scene.gateway.load();
    scene.until_right();
    pass(scene.chance.ms(1_200, 2_500));
    scene.gateway.loads(HOST, &old);
    scene.gateway.store(HOST, &new);
    // Somebody has to ask: nothing has changed that anybody would look for before the next sweep.
    let word = scene.controller().configuration();
    let text = std::fs::read_to_string(&word).expect("its configuration");
    std::fs::write(&word, text.replace("sweep: 600s", "sweep: 2s")).expect("written");
    scene.controller().signal(rustix::process::Signal::HUP);
    scene.until_acted(1);
    scene.ends(&Ending::healed(1..=1));
}

/// A drift that is not to be healed by anybody.
fn stays(mut scene: Scene, converges_by_itself: bool) {
    scene.renew();
    scene.until_state("the drift to be seen", |state| state["hosts"][0]["seen"][0]["verdict"] == "drift");
    if !converges_by_itself {
        scene.until_state("it to be told", |state| {
            state["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["code"] == "CD-401"))
        });
    }
    pass(scene.chance.ms(3_000, 5_000));
    assert!(scene.gateway.acts().is_empty(), "healed though it may not\n{}", scene.logs());
    if converges_by_itself {
        scene.gateway.load();
    }
    scene.ends(&Ending { acts: 0..=0, drifts: true, converges: converges_by_itself });
}

fn observes(ground: &'static Ground, chance: Chance) {
    let scene = Scene::with_files(ground, chance, Setting { mode: "observe", ..Setting::default() });
    stays(scene, false);
}

fn known(ground: &'static Ground, chance: Chance) {
    let gateway =
        format!("  acknowledged: [{{host: {HOST}, reason: the soak, until: \"2099-01-01T00:00:00Z\"}}]\n");
    let scene = Scene::with_files(ground, chance, Setting { gateway, ..Setting::default() });
    stays(scene, true);
}

fn closed(ground: &'static Ground, chance: Chance) {
    let setting = Setting { restarts: true, policy: crate::scene::closed_window(), ..Setting::default() };
    stays(Scene::with_files(ground, chance, setting), true);
}
