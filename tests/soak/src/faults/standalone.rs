//! Faults of a controller beside its gateway: its disk, its files, its configuration.
use super::{Fault, fault};
use crate::audit::Ending;
use crate::chance::Chance;
use crate::scene::{Ground, Scene, Setting, pass};
use crate::stand_in::Post;
use certdrift_harness::wait;
use rustix::process::Signal;
use std::time::Duration;

pub(super) const FAULTS: &[Fault] = &[
    fault("state-cannot-be-written", "the state cannot be written when a remedy is due", 22, unwritable),
    fault("state-damaged", "the state on disk is garbage after a crash", 12, damaged),
    fault("ledger-file-edited", "the ledger's file is edited, cut off or deleted by hand", 40, edited),
    fault("configuration-broken", "the configuration that is to be read again is garbage", 12, configuration),
    fault("killed-at-any-moment", "the controller is killed again and again around a renewal", 20, killed),
];

fn unwritable(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    // A folder in the place of the file that is written beside: as good as a full disk, and for root too.
    let in_the_way = scene.controller().state().join("kong/.convergence.json.new");
    std::fs::create_dir(&in_the_way).expect("in the way");
    scene.renew();
    scene.until_state("it to be told", |state| {
        state["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["code"] == "CD-408"))
    });
    pass(scene.chance.ms(2_000, 4_000));
    assert!(scene.gateway.acts().is_empty(), "an act whose intent is not on disk\n{}", scene.logs());
    std::fs::remove_dir(&in_the_way).expect("out of the way");
    // What was not begun was not tried.
    scene.ends(&Ending::healed(1..=1));
}

fn damaged(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    scene.crash(0);
    let file = scene.controller().state().join("kong/convergence.json");
    let text = std::fs::read(&file).expect("its state");
    let cut = usize::try_from(scene.chance.below(text.len() as u64 - 1)).unwrap_or_default();
    std::fs::write(&file, &text[..cut]).expect("damaged");
    scene.start_again(0);
    scene.until_right();
    scene.renew();
    scene.ends(&Ending::healed(1..=1));
}

fn edited(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let file = scene.controller().state().join("kong/ledger.json");
    for _ in 0..scene.chance.between(1, 4) {
        let before = std::fs::read(&file).expect("a ledger");
        let cut = usize::try_from(scene.chance.below(before.len() as u64)).unwrap_or_default();
        if scene.chance.below(3) == 0 {
            std::fs::remove_file(&file).expect("removed");
        } else {
            std::fs::write(&file, &before[..cut]).expect("cut off");
        }
        wait::until("the file to be put right", Duration::from_secs(30), || match std::fs::read(&file) {
            Ok(after) if after == before => Ok(()),
            other => Err(format!("{:?}\n{}", other.map(|bytes| bytes.len()), scene.logs())),
        });
    }
    scene.ends(&Ending::QUIET);
}

fn configuration(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let file = scene.controller().configuration();
    let text = std::fs::read_to_string(&file).expect("its configuration");
    let cut = text.len() - usize::try_from(scene.chance.between(30, 200)).unwrap_or(30);
    std::fs::write(&file, format!("{}\n  nonsense: [", &text[..cut])).expect("broken");
    scene.controller().signal(Signal::HUP);
    pass(scene.chance.ms(300, 1_500));
    // It goes on by the one before.
    scene.renew();
    scene.until_acted(1);
    scene.until_right();
    std::fs::write(&file, text).expect("mended");
    scene.ends(&Ending::healed(1..=1));
}

fn killed(ground: &'static Ground, chance: Chance) {
    let setting = Setting { interval: 20, timeout: 6, ..Setting::default() };
    let mut scene = Scene::with_files(ground, chance, setting);
    let takes = scene.chance.ms(4_000, 6_000);
    scene.gateway.will(&[Post::LoadsAfter(takes)], Post::Loads);
    for round in 0..5 {
        if round == 1 {
            scene.renew();
            scene.until_acted(1);
        }
        pass(scene.chance.ms(0, 1_200));
        scene.crash(0);
        pass(scene.chance.ms(0, 300));
        scene.start_again(0);
    }
    scene.ends(&Ending::healed(1..=1));
}
