//! The Lease: one leader, who gives it up at its end, and whose intents are written only while it is theirs.
use crate::api::{Api, Fault};
use certdrift::converge::Millis;
use certdrift::lead::election::Terms;
use certdrift::lead::lease::{Leadership, NotFenced, Place, candidate};
use serde_json::json;
use std::time::Duration;
use tokio::sync::oneshot;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/certdrift/leases/certdrift";

/// Terms under which a test need not wait long.
const TERMS: Terms = Terms {
    lasts: Duration::from_millis(1_500),
    renew_within: Duration::from_millis(1_000),
    retry: Duration::from_millis(50),
};

fn stands(api: &Api, us: &str) -> (Leadership, oneshot::Sender<()>) {
    let place = Place { namespace: "certdrift".into(), name: "certdrift".into() };
    let (leadership, candidate) = candidate(api.client(), place, us, TERMS);
    let (end, ends) = oneshot::channel();
    tokio::spawn(candidate.run(async move {
        let _ = ends.await;
    }));
    (leadership, end)
}

#[tokio::test]
async fn one_leads_and_the_other_takes_over_when_it_ends() {
    let api = Api::start().await;
    let (a, end) = stands(&api, "a");
    api.until("a leads", || a.leads()).await;
    let (b, _end) = stands(&api, "b");
    api.until("b knows who leads", || b.leader().as_deref() == Some("a")).await;
    assert!(!b.leads());
    end.send(()).unwrap();
    api.until("b leads", || b.leads()).await;
    assert!(!a.leads());
    let spec = api.get(LEASE).unwrap()["spec"].clone();
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&json!("b"), &json!(1)));
}

#[tokio::test]
async fn who_cannot_renew_steps_down_and_leads_again_afterwards() {
    let api = Api::start().await;
    let (a, _end) = stands(&api, "a");
    api.until("a leads", || a.leads()).await;
    api.fault(Fault { on: ("PATCH", "leases"), times: usize::MAX, answer: (500, "etcd is away".into()) });
    api.until("a steps down", || !a.leads()).await;
    assert_eq!(a.finding().unwrap().code, "CD-430");
    api.mend();
    api.until("a leads again", || a.leads() && a.finding().is_none()).await;
}

#[tokio::test]
async fn what_is_forbidden_is_named_with_its_verb() {
    let api = Api::start().await;
    let words = r#"leases.coordination.k8s.io is forbidden: User "u" cannot create resource "leases" in API group "coordination.k8s.io""#;
    api.fault(Fault { on: ("POST", "leases"), times: usize::MAX, answer: (403, words.into()) });
    let (a, _end) = stands(&api, "a");
    api.until("it is told", || a.finding().is_some_and(|f| f.mend.starts_with("grant create on leases")))
        .await;
    assert!(!a.leads());
}

#[tokio::test]
async fn an_intent_is_written_only_onto_the_lease_that_is_ours() {
    let api = Api::start().await;
    let (a, end) = stands(&api, "a");
    api.until("a leads", || a.leads()).await;
    // A renewal that is under way leaves no doubt of the version once it was heard of.
    a.intend("kong", Some("evict kong-1".into()), None).await.unwrap();
    assert_eq!(
        api.get(LEASE).unwrap()["metadata"]["annotations"]["intent.certdrift.dev/kong"],
        "evict kong-1"
    );
    let writes = api.writes().len();
    api.until("a renewal", || api.writes().len() > writes).await;
    assert_eq!(a.intents()["kong"], "evict kong-1", "a renewal leaves intents alone");
    let (b, _end) = stands(&api, "b");
    assert_eq!(b.intend("kong", Some("evict kong-1".into()), None).await, Err(NotFenced::NotLeading));
    // Two leaders, forced: somebody writes the Lease while a still believes in it.
    api.hand(LEASE, |lease| lease["spec"]["holderIdentity"] = json!("b"));
    assert_ne!(a.intend("kong", Some("evict kong-2".into()), None).await, Ok(()));
    assert_eq!(
        api.get(LEASE).unwrap()["metadata"]["annotations"]["intent.certdrift.dev/kong"],
        "evict kong-1"
    );
    api.until("b leads and knows what a had in hand", || b.leads() && b.intents().contains_key("kong")).await;
    b.intend("kong", None, None).await.unwrap();
    assert!(b.intents().is_empty());
    // When remedies were started goes from hand to hand; what is over leaves it alone.
    let acts: Vec<Millis> = (1..=70).map(Millis).collect();
    b.intend("kong", Some("evict kong-3".into()), Some(acts.clone())).await.unwrap();
    b.intend("kong", None, None).await.unwrap();
    assert_eq!((b.acts("kong"), b.acts("other")), (acts[10..].to_vec(), Vec::new()), "the newest");
    b.intend("kong", None, Some(Vec::new())).await.unwrap();
    assert_eq!(b.acts("kong"), []);
    drop(end);
}
