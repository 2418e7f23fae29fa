//! Faults of what is stored: worse certificates, torn ones, many, none, moved.
use super::{Fault, beside, fault};
use crate::api;
use crate::audit::Ending;
use crate::chance::Chance;
use crate::scene::{Ground, HOST, Scene, Setting, entry, ingress, pass};
use certdrift_harness::certs::{Key, Leaf, placeholder, wish};
use certdrift_harness::wait;
use std::time::Duration;

pub(super) const FAULTS: &[Fault] = &[
    beside(
        "stored-expired",
        "an expired certificate is stored before the gateway has loaded the last good one",
        14,
        expired,
    ),
    beside(
        "stored-not-yet-valid",
        "a certificate that begins tomorrow is stored before the gateway has loaded the last good one",
        14,
        early,
    ),
    beside(
        "stored-placeholder",
        "a self-signed placeholder is stored before the gateway has loaded the last good one",
        14,
        stands_in,
    ),
    beside("stored-torn", "the Secret's certificate is cut off in the middle", 14, torn),
    fault("stored-with-another-key", "a certificate is stored beside the key of another", 14, another_key),
    fault("five-reissues", "five re-issues in ten seconds, of which the gateway has loaded none", 40, five),
    beside(
        "secret-deleted-and-recreated",
        "the Secret is deleted, and comes again with another certificate",
        12,
        recreated,
    ),
    beside("ingress-moved", "the Ingress names another Secret, and the gateway follows later", 12, moved),
    fault("file-torn", "a file is written in two halves", 12, halves),
    fault("folder-unmounted", "the folder is empty for a while, as an unmounted volume is", 70, unmounted),
];

/// The gateway has not loaded a renewal yet, and something worse is stored: whatever loads now, loads that. So nothing is
/// done before a good one is stored.
fn worse(ground: &'static Ground, chance: Chance, leaf: impl Fn(&Scene) -> Leaf) {
    let mut scene = Scene::in_cluster(ground, chance, Setting { grace: 3, ..Setting::default() });
    let good = scene.renew();
    scene.until_expected(&good, Duration::from_secs(30));
    let waits = scene.chance.ms(0, 1_000);
    pass(waits);
    scene.store_worse(&leaf(&scene));
    let state = |state: &serde_json::Value| {
        state["hosts"][0]["stored"] == false && state["hosts"][0]["seen"][0]["verdict"] == "drift"
    };
    scene.until_state("it to be told that what is stored is worse, and that the gateway drifts", state);
    pass(scene.chance.ms(4_500, 7_000));
    let ledger = scene.published().expect("a ledger");
    assert_eq!(crate::scene::current(&ledger), [good.fingerprint], "the last good one stays expected");
    assert!(scene.gateway.acts().is_empty(), "healed towards a worse one\n{}", scene.logs());
    scene.renew();
    scene.ends(&Ending::healed(1..=1));
}

fn expired(ground: &'static Ground, chance: Chance) {
    worse(ground, chance, |scene| scene.issue(&wish(&[HOST]).expired()));
}

fn early(ground: &'static Ground, chance: Chance) {
    worse(ground, chance, |scene| scene.issue(&wish(&[HOST]).not_yet_valid()));
}

fn stands_in(ground: &'static Ground, chance: Chance) {
    worse(ground, chance, |_| placeholder(Key::Ecdsa).expect("a placeholder"));
}

fn torn(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, Setting::default());
    let good = scene.issue(&wish(&[HOST]));
    let cut = usize::try_from(scene.chance.between(60, good.pem.len() as u64 - 60)).unwrap_or(60);
    let before = scene.published().expect("a ledger");
    scene.truth().worse.push((std::time::Instant::now(), None));
    scene.write_secret("s", &good.pem[..cut], &good.key_pem);
    scene.until_state("it to be told", |state| state["hosts"][0]["stored"] == false);
    pass(scene.chance.ms(1_000, 3_000));
    let after = scene.published().expect("a ledger");
    let current = |ledger| entry(ledger).map(|e| e.current.clone());
    assert_eq!(current(&before), current(&after), "the last good one stays expected");
    scene.store(&good);
    scene.ends(&Ending::healed(1..=1));
}

fn another_key(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let (one, other) = (scene.issue(&wish(&[HOST])), scene.issue(&wish(&[HOST])));
    let before = scene.published().expect("a ledger");
    scene.truth().worse.push((std::time::Instant::now(), None));
    scene.write(&Leaf { key_pem: other.key_pem, ..one.clone() });
    scene.until_state("it to be told", |state| state["hosts"][0]["stored"] == false);
    pass(scene.chance.ms(1_000, 3_000));
    let after = scene.published().expect("a ledger");
    let current = |ledger| entry(ledger).map(|e| e.current.clone());
    assert_eq!(current(&before), current(&after), "the last good one stays expected");
    scene.store(&one);
    scene.ends(&Ending::healed(1..=1));
}

fn five(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting { grace: 13, ..Setting::default() });
    // What was published for the start is long over.
    pass(Duration::from_secs(4));
    let before = scene.truth().ledgers.len();
    for _ in 0..5 {
        scene.renew();
        pass(scene.chance.ms(1_600, 2_100));
    }
    scene.until_right();
    let publications = scene.truth().ledgers.len() - before;
    // At once, and once more when it is quiet; one more when that falls on the longest wait.
    assert!((1..=3).contains(&publications), "{publications} publications: {:#?}", scene.truth().ledgers);
    scene.ends(&Ending::healed(1..=1));
}

fn recreated(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, Setting::default());
    scene.api().delete(&api::secret(scene.n(), "s")).expect("deleted");
    let lasts = scene.chance.ms(500, 5_000);
    let until = std::time::Instant::now() + lasts;
    while std::time::Instant::now() < until {
        let ledger = scene.published().expect("a ledger");
        assert!(entry(&ledger).is_some(), "what vanished is forgotten at once\n{}", scene.logs());
        pass(Duration::from_millis(200));
    }
    scene.renew();
    scene.ends(&Ending::healed(1..=1));
}

fn moved(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::in_cluster(ground, chance, Setting { carried: 20, ..Setting::default() });
    let old = scene.truth().newest.expect("a certificate");
    let leaf = scene.issue(&wish(&[HOST]));
    scene.write_secret("t", &leaf.chain_pem(), &leaf.key_pem);
    pass(scene.chance.ms(0, 1_500));
    scene.expect(&leaf);
    scene.gateway.store(HOST, &leaf);
    let n = scene.n().to_owned();
    scene.api().apply(&api::ingress(&n, "i"), &ingress(&n, "i", HOST, "t")).expect("an Ingress");
    scene.until_expected(&leaf, Duration::from_secs(30));
    let ledger = scene.published().expect("a ledger");
    let retiring: Vec<_> =
        entry(&ledger).into_iter().flat_map(|e| e.retiring.iter().map(|r| r.sha256)).collect();
    assert_eq!(retiring, [old], "its predecessor goes with the host");
    // As long as the predecessor is accepted, nobody heals.
    pass(scene.chance.ms(1_000, 5_000));
    scene.gateway.load();
    scene.ends(&Ending::QUIET);
}

fn halves(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let leaf = scene.issue(&wish(&[HOST]));
    let (file, text) = (scene.live().join("x.crt"), leaf.chain_pem());
    let cut = usize::try_from(scene.chance.between(1, text.len() as u64 - 1)).unwrap_or(1);
    std::fs::write(&file, &text[..cut]).expect("written");
    let lasts = scene.chance.ms(300, 6_000);
    let until = std::time::Instant::now() + lasts;
    while std::time::Instant::now() < until {
        let ledger = scene.published().expect("a ledger");
        assert!(entry(&ledger).is_some(), "half a file takes the whole entry away\n{}", scene.logs());
        pass(Duration::from_millis(200));
    }
    scene.store(&leaf);
    scene.ends(&Ending::healed(1..=1));
}

fn unmounted(ground: &'static Ground, chance: Chance) {
    let mut scene = Scene::with_files(ground, chance, Setting::default());
    let (live, aside) = (scene.live(), scene.live().with_extension("aside"));
    std::fs::rename(&live, &aside).expect("moved");
    std::fs::create_dir(&live).expect("an empty one");
    let before = scene.published().expect("a ledger");
    // Longer than a watch takes to notice; a restart knows no more than what is published.
    pass(scene.chance.ms(1_500, 3_000));
    scene.crash(0);
    scene.start_again(0);
    pass(scene.chance.ms(1_500, 3_000));
    let after = scene.published().expect("a ledger");
    assert_eq!(before.content, after.content, "an empty folder takes what is expected away");
    std::fs::remove_dir(&live).expect("removed");
    std::fs::rename(&aside, &live).expect("moved back");
    wait::until("the folder to be seen again", Duration::from_secs(60), || {
        let state = scene.state(0)?;
        let told = state["findings"].as_array().is_some_and(|all| !all.is_empty());
        if told { Err(format!("{state:#}")) } else { Ok(()) }
    });
    scene.renew();
    scene.ends(&Ending::healed(1..=1));
}
