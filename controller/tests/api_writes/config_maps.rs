//! The ledger as ConfigMaps: written in order, only where it differs, put right when another hand was at it, and never older.
use crate::api::{Api, Fault, managed};
use certdrift::cluster::watch::machine::Pace;
use certdrift::finding::Finding;
use certdrift::publish::config_map::ConfigMaps;
use certdrift::publish::config_map::map::Place;
use certdrift::publish::split::Published;
use certdrift::publish::target::{Newer, Target};
use certdrift_contract::ledger::{Content, Entry, Expected};
use certdrift_contract::{Fingerprint, Ledger, Revision, Rules, UnixTime};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const INDEX: &str = "/api/v1/namespaces/kong/configmaps/certdrift-ledger-kong";

fn now() -> u64 {
    u64::try_from(certdrift::clock::now().seconds().seconds()).unwrap()
}

fn ledger(entries: usize, revision: u64) -> Ledger {
    let at = UnixTime::from_seconds(1_795_478_400);
    let entry = |n: usize| Entry {
        source: format!("kong/secret-{n:05}"),
        hosts: vec![format!("host-{n}.example.com").parse().unwrap()],
        since: at,
        current: vec![Expected {
            sha256: Fingerprint::of(&n.to_le_bytes()),
            chain: Vec::new(),
            not_after: at,
        }],
        incoming: Vec::new(),
        retiring: Vec::new(),
    };
    Ledger {
        gateway: "kong".into(),
        rules: Rules::Kong,
        revision: Revision(revision),
        published_at: at,
        content: Content::of((0..entries).map(entry)),
        default: None,
    }
}

fn published(ledger: &Ledger, parts: usize) -> Arc<Published> {
    Arc::new(Published::new(ledger, parts, None).unwrap())
}

struct Replica {
    maps: ConfigMaps,
    leads: watch::Sender<bool>,
    published: Arc<Published>,
}

impl Replica {
    async fn start(api: &Api, leads: bool) -> Self {
        let (leads, led) = watch::channel(leads);
        let pace = Pace {
            longest_wait: Duration::from_millis(100),
            forbidden_wait: Duration::from_millis(100),
            ..Pace::default()
        };
        let (maps, task) =
            ConfigMaps::open(api.client(), Place::new("kong", "kong").unwrap(), led, pace).await;
        tokio::spawn(task.run(1));
        Self { maps, leads, published: published(&ledger(0, 0), 0) }
    }

    fn put(&mut self, published: &Arc<Published>) {
        self.published = Arc::clone(published);
        self.maps.put(published).unwrap();
    }

    fn told(&self) -> Vec<Finding> {
        self.maps.tend(&self.published)
    }

    /// Waits until a finding is told, and returns it.
    async fn tells(&self, api: &Api, code: &str) -> Finding {
        let mut found = None;
        api.until(code, || {
            found = self.told().into_iter().find(|f| f.code == code);
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

fn bytes(api: &Api, path: &str) -> Option<String> {
    api.get(path)?["data"]["ledger.json"].as_str().map(str::to_owned)
}

/// Waits until all that is published is there, and nothing else is.
async fn holds(api: &Api, published: &Published) {
    api.until("what is published", || {
        let parts = published.parts.iter().all(|(number, d)| {
            bytes(api, &format!("{INDEX}-{number}")).is_some_and(|b| b.as_bytes() == &*d.bytes())
        });
        parts
            && bytes(api, INDEX).is_some_and(|b| b.as_bytes() == &*published.index.bytes())
            && api.paths(INDEX).len() == published.parts.len() + 1
    })
    .await;
}

#[tokio::test]
async fn parts_are_written_before_the_index_and_one_change_writes_one_part() {
    let api = Api::start().await;
    let mut replica = Replica::start(&api, true).await;
    let mut large = ledger(2_000, now());
    let first = published(&large, 0);
    replica.put(&first);
    holds(&api, &first).await;
    let writes = api.writes();
    assert_eq!(writes.len(), 33);
    assert_eq!(writes[32], format!("PATCH {INDEX}"), "the index comes last");
    large.revision = Revision(large.revision.0 + 1);
    if let Content::Entries(entries) = &mut large.content {
        Arc::make_mut(&mut entries[7]).current[0].sha256 = Fingerprint::of(b"renewed");
    }
    let second = published(&large, 32);
    replica.put(&second);
    holds(&api, &second).await;
    assert_eq!(api.writes().len(), 35, "{:?}", &api.writes()[33..]);
    let small = published(&ledger(3, large.revision.0 + 1), 32);
    replica.put(&small);
    holds(&api, &small).await;
    let writes = api.writes().split_off(35);
    assert_eq!(writes[0], format!("PATCH {INDEX}"), "parts go after the index that names none");
    assert!(writes.len() == 33 && writes[1..].iter().all(|w| w.starts_with("DELETE")), "{writes:?}");
    assert_eq!(replica.told(), []);
}

#[tokio::test]
async fn a_restart_reads_what_is_there_and_writes_nothing() {
    let api = Api::start().await;
    let mut replica = Replica::start(&api, true).await;
    let large = ledger(2_000, now());
    let first = published(&large, 0);
    replica.put(&first);
    holds(&api, &first).await;
    let writes = api.writes().len();
    let mut second = Replica::start(&api, true).await;
    assert_eq!(second.maps.read().unwrap(), Some((large, 32)));
    second.put(&first);
    // It is put right only once the watch has been read, so by then it has looked at all the rest.
    api.hand(INDEX, |o| o["data"]["ledger.json"] = json!("{}"));
    holds(&api, &first).await;
    assert_eq!(api.writes().iter().skip(writes).filter(|w| !w.ends_with(INDEX)).count(), 0);
}

#[tokio::test]
async fn what_another_hand_did_is_put_right_and_told() {
    let api = Api::start().await;
    let mut replica = Replica::start(&api, true).await;
    let good = published(&ledger(2_000, now()), 0);
    replica.put(&good);
    holds(&api, &good).await;
    let part = format!("{INDEX}-03");
    let break_it: [&dyn Fn(); 5] = [
        &|| api.delete(INDEX),
        &|| api.delete(&part),
        &|| {
            api.hand(INDEX, |o| {
                o["data"]["ledger.json"] = json!("{}");
                o["metadata"]["managedFields"] = managed("kubectl-edit", "Update");
            });
        },
        &|| api.hand(&part, |o| o["data"] = json!({})),
        &|| api.hand(&part, |o| o["metadata"]["labels"] = json!({"certdrift.dev/gateway": "other"})),
    ];
    for hand in break_it {
        hand();
        let told = replica.tells(&api, "CD-209").await;
        assert!(told.object.starts_with("configmap:kong/certdrift-ledger-kong"), "{told}");
        holds(&api, &good).await;
        api.until("its label", || {
            api.get(&part).is_some_and(|o| o["metadata"]["labels"]["certdrift.dev/gateway"] == "kong")
        })
        .await;
    }
}

#[tokio::test]
async fn a_config_map_that_another_made_under_our_name_becomes_ours() {
    let api = Api::start().await;
    api.hand(INDEX, |o| {
        o["data"] = json!({"ledger.json": "theirs"});
        o["metadata"]["managedFields"] = managed("helm", "Apply");
    });
    let mut replica = Replica::start(&api, true).await;
    assert_eq!(replica.maps.read().unwrap(), None, "without our label it is no ledger of ours");
    let good = published(&ledger(3, now()), 0);
    replica.put(&good);
    let told = replica.tells(&api, "CD-209").await;
    assert!(told.why.contains("helm"), "{told}");
    holds(&api, &good).await;
}

#[tokio::test]
async fn what_is_forbidden_is_told_with_verb_and_object_and_no_index_names_parts_that_are_missing() {
    let api = Api::start().await;
    let words = r#"configmaps "certdrift-ledger-kong-05" is forbidden: User "system:serviceaccount:certdrift:certdrift" cannot patch resource "configmaps" in API group "" in the namespace "kong""#;
    api.fault(Fault { on: ("PATCH", "kong-05"), times: usize::MAX, answer: (403, words.into()) });
    let mut replica = Replica::start(&api, true).await;
    let good = published(&ledger(2_000, now()), 0);
    replica.put(&good);
    let told = replica.tells(&api, "CD-210").await;
    assert_eq!(told.object, "configmap:kong/certdrift-ledger-kong-05");
    assert!(
        told.mend.starts_with("grant patch on configmaps/certdrift-ledger-kong-05 in namespace kong"),
        "{told}"
    );
    assert_eq!(api.get(INDEX), None, "the index waits for its parts");
    api.mend();
    holds(&api, &good).await;
    api.until("nothing wrong", || replica.told().is_empty()).await;
}

#[tokio::test]
async fn a_busy_or_broken_server_is_asked_again() {
    let api = Api::start().await;
    api.fault(Fault { on: ("GET", "configmaps"), times: 2, answer: (503, "not yet".into()) });
    api.fault(Fault { on: ("PATCH", "kong"), times: 1, answer: (429, "slow down".into()) });
    api.fault(Fault { on: ("PATCH", "kong"), times: 1, answer: (500, "oops".into()) });
    let mut replica = Replica::start(&api, true).await;
    let good = published(&ledger(3, now()), 0);
    replica.put(&good);
    holds(&api, &good).await;
}

#[tokio::test]
async fn only_who_leads_writes() {
    let api = Api::start().await;
    let mut leader = Replica::start(&api, true).await;
    let mut other = Replica::start(&api, false).await;
    let first = published(&ledger(3, now()), 0);
    other.put(&first);
    leader.put(&first);
    holds(&api, &first).await;
    assert_eq!(api.writes().len(), 1);
    leader.leads.send_replace(false);
    other.leads.send_replace(true);
    let second = published(&ledger(4, now() + 1), 0);
    other.put(&second);
    holds(&api, &second).await;
    assert_eq!(leader.told(), []);
}

#[tokio::test]
async fn a_newer_ledger_of_another_replica_is_taken_up_and_not_overwritten() {
    let api = Api::start().await;
    let mut leader = Replica::start(&api, true).await;
    let newer = ledger(4, now() + 50);
    let theirs = published(&newer, 0);
    leader.put(&theirs);
    holds(&api, &theirs).await;
    let (sender, receiver) = watch::channel(true);
    let place = Place::new("kong", "kong").unwrap();
    let (late, task) = ConfigMaps::open(api.client(), place, receiver, Pace::default()).await;
    tokio::spawn(task.run(2));
    let writes = api.writes().len();
    late.put(&published(&ledger(3, now()), 0)).unwrap();
    api.until("the newer ledger", || late.is_ahead()).await;
    assert_eq!(late.newer(), Some(Newer::Ledger(Box::new(newer), 0)));
    assert_eq!(api.writes().len(), writes);
    drop(sender);
}

#[tokio::test]
async fn a_strangers_higher_revision_is_stepped_over_and_one_of_next_week_is_replaced() {
    let api = Api::start().await;
    let mut replica = Replica::start(&api, true).await;
    let good = published(&ledger(3, now()), 0);
    replica.put(&good);
    holds(&api, &good).await;
    let edit = |revision: u64| {
        let text = String::from_utf8(ledger(1, revision).to_bytes()).unwrap();
        api.hand(INDEX, |o| {
            o["data"]["ledger.json"] = json!(text);
            o["metadata"]["managedFields"] = managed("kubectl-edit", "Update");
        });
    };
    let theirs = now() + 5_000;
    edit(theirs);
    api.until("their revision", || replica.maps.is_ahead()).await;
    assert_eq!(replica.maps.newer(), Some(Newer::Revision(Revision(theirs))));
    let above = published(&ledger(3, theirs + 1), 0);
    replica.put(&above);
    holds(&api, &above).await;
    edit(now() + 8 * 86_400);
    replica.tells(&api, "CD-209").await;
    holds(&api, &above).await;
}

#[tokio::test]
async fn what_is_too_large_for_a_config_map_is_refused_and_the_last_ledger_stays() {
    let api = Api::start().await;
    let mut replica = Replica::start(&api, true).await;
    let good = published(&ledger(3, now()), 0);
    replica.put(&good);
    holds(&api, &good).await;
    let mut huge = ledger(3, now() + 1);
    if let Content::Entries(entries) = &mut huge.content {
        Arc::make_mut(&mut entries[0]).hosts = (0..40_000)
            .map(|n| format!("host-{n}.a-rather-long-name.example.com").parse().unwrap())
            .collect();
    }
    replica.put(&published(&huge, 0));
    let told = replica.tells(&api, "CD-211").await;
    assert!(told.object.starts_with("configmap:kong/certdrift-ledger-kong-"), "{told}");
    holds(&api, &good).await;
}

#[test]
fn a_gateway_whose_name_ends_like_a_part_has_no_config_maps() {
    assert_eq!(Place::new("kong", "kong-03"), None);
    let place = Place::new("kong", "kong-a3").unwrap();
    assert_eq!(place.number(&place.part("0017")), Some("0017"));
    assert_eq!(place.number(&place.index()), None);
}
