//! What Events and metrics come to, case by case; texts as Kong's ingress controller 3.5 wrote them.
use super::*;
use crate::loaded::metrics::read;
use certdrift_contract::UnixTime;

const REFUSAL: &str = "failed to apply Kong configuration to https://198.18.0.11:8444: HTTP status 400 (message: \"failed posting new config to /config\")";
const SILENCE: &str =
    "failed to apply Kong configuration to https://198.18.0.11:8444: context deadline exceeded";

/// Seconds.
fn at(seconds: i64) -> Millis {
    Millis(seconds * 1000)
}

fn event(kind: &str, name: &str, reason: &str, message: &str, seconds: i64) -> Event {
    Event {
        involved_object: Involved { kind: kind.into(), namespace: "kong".into(), name: name.into() },
        reason: reason.into(),
        message: message.into(),
        last_timestamp: Some(UnixTime::from_seconds(seconds)),
        ..Event::default()
    }
}

fn refused(seconds: i64) -> [Event; 2] {
    [
        event("Pod", "kic-1", FAILED, REFUSAL, seconds),
        event("KongPlugin", "limits", FAILED, "invalid config.minute: value must be greater than 0", seconds),
    ]
}

fn pod(endpoint: &'static str, address: &str) -> Pushed<'static> {
    Pushed { endpoint, address: address.parse().unwrap(), changed: None, empty: false, silent: None }
}

fn one() -> Pushed<'static> {
    pod("kong/kong-1", "198.18.0.11")
}

fn found(to: Pushed<'_>, events: &[Event], counted: Option<&Counted>, now: i64) -> Option<Trouble> {
    let events: Vec<&Event> = events.iter().collect();
    troubles(&[to], Said { events: &events, counted }, at(now)).into_values().next()
}

#[test]
fn a_refused_push_names_the_object_that_is_to_blame() {
    let trouble = found(one(), &refused(100), None, 103).unwrap();
    assert_eq!((trouble.loading, trouble.at, trouble.why.as_str()), (Loading::Refused, at(100), REFUSAL));
    let why = Some("invalid config.minute: value must be greater than 0".to_owned());
    assert_eq!(trouble.blamed, [Blame { object: "KongPlugin kong/limits".to_owned(), why }]);
}

#[test]
fn a_refusal_is_over_with_the_next_configuration_or_a_success_or_a_long_silence() {
    let changed = |seconds| Pushed { changed: Some(at(seconds)), ..one() };
    assert!(found(changed(99), &refused(100), None, 200).is_some(), "that was before");
    assert!(found(changed(101), &refused(100), None, 200).is_none());
    let success = event(
        "Pod",
        "kic-1",
        SUCCEEDED,
        "successfully applied Kong configuration to https://198.18.0.11:8444",
        101,
    );
    let mut events = refused(100).to_vec();
    events.push(success);
    assert!(found(one(), &events, None, 200).is_none());
    assert!(found(one(), &refused(100), None, 1_000).is_some());
    assert!(found(one(), &refused(100), None, 1_001).is_none());
}

#[test]
fn an_event_is_about_the_pod_whose_address_it_names() {
    let is = |address: &str, message: &str| {
        let event = event("Pod", "kic-1", FAILED, &format!("… to {message}: HTTP status 400 …"), 100);
        found(pod("kong/kong-1", address), &[event], None, 101).is_some()
    };
    assert!(is("198.18.0.11", "https://198.18.0.11:8444"));
    assert!(!is("198.18.0.1", "https://198.18.0.11:8444"));
    assert!(!is("98.18.0.11", "https://198.18.0.11:8444"));
    assert!(is("198.18.0.11", "https://198-18-0-11.kong-admin.kong.svc:8444"));
    assert!(!is("198.18.0.1", "https://198-18-0-11.kong-admin.kong.svc:8444"));
    assert!(is("fd00::1", "https://[fd00::1]:8444"));
    assert!(!is("fd00::", "https://[fd00::1]:8444"));
    assert!(!is("198.18.0.12", "https://localhost:8444"));
    let sidecar = event("Pod", "kong-1", FAILED, "… to https://localhost:8444: HTTP status 400 …", 100);
    assert!(found(one(), std::slice::from_ref(&sidecar), None, 101).is_some(), "its own pod");
    assert!(found(pod("kong/kong-2", "198.18.0.12"), &[sidecar], None, 101).is_none());
}

#[test]
fn a_push_that_did_not_get_through_is_no_refusal() {
    assert_eq!(found(one(), &[event("Pod", "kic-1", FAILED, SILENCE, 100)], None, 101), None);
    let translation = event("Ingress", "i", "KongConfigurationTranslationFailed", REFUSAL, 100);
    assert_eq!(found(one(), &[translation], None, 101), None);
}

#[test]
fn without_events_the_metrics_tell_and_they_tell_when_it_is_over() {
    let page = |refused: u32, succeeded: i64| {
        read(&format!(
            "ingress_controller_configuration_push_count{{dataplane=\"https://198.18.0.11:8444\",success=\"false\"}} {refused}\n\
             ingress_controller_configuration_push_last_successful{{dataplane=\"https://198.18.0.11:8444\"}} {succeeded}\n"
        ))
    };
    let mut counted = Counted::default();
    counted.saw("kong/kic-1", page(0, 50), at(90));
    assert_eq!(found(one(), &[], Some(&counted), 91), None);
    counted.saw("kong/kic-1", page(1, 50), at(100));
    let trouble = found(one(), &[], Some(&counted), 101).unwrap();
    assert_eq!((trouble.loading, trouble.at), (Loading::Refused, at(100)));
    assert!(found(one(), &[], Some(&counted), 10_000).is_some(), "no success since: it stands");
    assert!(found(pod("kong/kong-2", "198.18.0.12"), &[], Some(&counted), 101).is_none());
    counted.saw("kong/kic-1", page(1, 102), at(103));
    assert_eq!(found(one(), &[], Some(&counted), 104), None);
    // Events that stand still do not keep it alive.
    assert_eq!(found(one(), &refused(100), Some(&counted), 104), None);
}

#[test]
fn a_fallback_is_told_from_the_refusal_that_it_comes_with() {
    let mut events = refused(100).to_vec();
    events.push(event(
        "Pod",
        "kic-1",
        FALLBACK,
        "successfully applied fallback Kong configuration to https://198.18.0.11:8444",
        100,
    ));
    // It changes the configuration, and is seen to a little later.
    let changed = |seconds| Pushed { changed: Some(at(seconds)), ..one() };
    let trouble = found(changed(105), &events, None, 110).unwrap();
    assert_eq!(trouble.loading, Loading::Fallback);
    assert_eq!(trouble.blamed.len(), 1);
    // A change that comes without another fallback is the whole configuration.
    assert_eq!(found(changed(116), &events, None, 120), None);
}

#[test]
fn who_is_to_blame_for_an_older_refusal_is_not_named() {
    let mut events = refused(100).to_vec();
    events.push(event("Pod", "kic-1", FAILED, REFUSAL, 900));
    let trouble = found(one(), &events, None, 901).unwrap();
    assert_eq!(trouble.blamed, []);
}

#[test]
fn a_pod_that_hangs_holds_up_its_fellows_for_a_while() {
    let hung = Pushed { silent: Some(at(100)), ..pod("kong/kong-2", "198.18.0.12") };
    let all = |one: Pushed<'static>, now| {
        troubles(&[one, hung], Said::default(), at(now))
            .into_iter()
            .map(|(e, t)| (e, t.loading))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(one(), 110), [("kong/kong-1".to_owned(), Loading::HeldBack)]);
    assert_eq!(all(Pushed { changed: Some(at(101)), ..one() }, 110), [], "it has what was pushed");
    assert_eq!(all(one(), 146), [], "the one that hangs was set aside");
}

#[test]
fn a_pod_without_a_configuration_waits_for_its_first() {
    let trouble = found(Pushed { empty: true, ..one() }, &[], None, 100).unwrap();
    assert_eq!(trouble.loading, Loading::Empty);
}
