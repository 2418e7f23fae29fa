//! Findings as Events: written once, continued as a series, and met again by the next leader.
use crate::api::Api;
use certdrift::cluster::ObjectName;
use certdrift::converge::Millis;
use certdrift::events::plan::{AGAIN, Act, Heard, Planner, Regarding};
use certdrift::events::post::post;
use serde_json::json;

async fn turn(api: &Api, planner: &mut Planner, now: Millis) -> usize {
    let on = Regarding {
        api_version: "cert-manager.io/v1".into(),
        kind: "Certificate".into(),
        object: ObjectName::new("demo", "web"),
        uid: "u".into(),
    };
    let finding = certdrift::issuance::findings::NOT_STORED.on("demo/web", "cannot patch secrets");
    let acts = planner.plan(&[(on, finding)], now);
    for act in &acts {
        let heard = post(&api.client(), act, "certdrift-0", now).await;
        let (Act::Create(event) | Act::Repeat(event, _)) = act;
        assert_ne!(heard, Heard::Failed);
        planner.hear(&event.name, heard, now);
    }
    acts.len()
}

#[tokio::test]
async fn an_event_is_written_once_and_its_series_goes_on_under_another_leader() {
    let api = Api::start().await;
    let start = Millis(1_795_478_400_123);
    let mut first = Planner::new(start);
    turn(&api, &mut first, start).await;
    let paths = api.paths("/apis/events.k8s.io/v1/namespaces/demo/events/");
    let [path] = &paths[..] else { panic!("{paths:?}") };
    let event = api.get(path).unwrap();
    assert_eq!(event["eventTime"], "2026-11-24T00:00:00.123000Z");
    assert_eq!((&event["type"], &event["regarding"]["kind"]), (&json!("Warning"), &json!("Certificate")));
    let mut second = Planner::new(start);
    turn(&api, &mut second, Millis(start.0 + 60_000)).await;
    assert_eq!(api.get(path).unwrap()["series"], json!(null), "it was told a minute ago");
    assert_eq!(turn(&api, &mut second, Millis(start.0 + AGAIN + 1)).await, 1);
    assert_eq!(api.get(path).unwrap()["series"]["count"], 2);
    // After an hour the server forgets it.
    api.delete(path);
    turn(&api, &mut second, Millis(start.0 + 2 * AGAIN + 2)).await;
    assert_eq!(turn(&api, &mut second, Millis(start.0 + 3 * AGAIN)).await, 1);
    assert!(api.get(path).is_some());
}
