use super::*;
use serde_json::{Value, json};

fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Pod {
    let mut pod = json!({"metadata": {"name": name, "namespace": "kong", "uid": format!("uid-{name}"), "labels": {"app": "kong"}},
        "spec": {"containers": [{"ports": [{"name": "proxy", "containerPort": 8000}, {"name": "proxy-tls", "containerPort": 8443}]}]},
        "status": {"phase": "Running", "podIP": "10.1.0.7", "startTime": "2026-11-24T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "True"}]}});
    change(&mut pod);
    serde_json::from_value(pod).unwrap()
}

fn service(spec: &Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": "proxy", "namespace": "kong"}, "spec": spec})).unwrap()
}

fn finder(which: Which) -> Finder {
    Finder {
        namespace: "kong".into(),
        which,
        port: None,
        proxy_protocol: None,
        tap: Some((8787, "/tap".into())),
        report: Some("/certdrift/report".into()),
        status: Some((8100, "/status".into())),
        token: None,
    }
}

fn labels() -> Finder {
    finder(Which::Labels(serde_json::from_value(json!({"matchLabels": {"app": "kong"}})).unwrap()))
}

fn addresses(finder: &Finder, pods: &[&Pod], services: &[&Service]) -> Vec<String> {
    find(finder, pods, services).0.into_values().map(|pod| pod.endpoint.address).collect()
}

#[test]
fn a_pod_is_an_endpoint_with_all_that_can_be_asked_of_it() {
    let (found, told) = find(&labels(), &[&pod("a", |_| {})], &[]);
    assert!(told.is_empty(), "{told:?}");
    let a = &found["kong/a"];
    assert_eq!(a.endpoint.address, "10.1.0.7:8443");
    assert_eq!(a.endpoint.tap.as_deref(), Some("http://10.1.0.7:8787/tap"));
    assert_eq!(a.endpoint.report.as_deref(), Some("https://10.1.0.7:8443/certdrift/report"));
    assert_eq!(a.endpoint.status.as_deref(), Some("http://10.1.0.7:8100/status"));
    assert!(a.ready);
    crate::observe::endpoint::Endpoint::new(&a.endpoint).unwrap();
}

#[test]
fn an_address_of_ipv6_is_written_in_brackets() {
    let six = pod("six", |p| p["status"]["podIP"] = json!("fd00::7"));
    let (found, _) = find(&labels(), &[&six], &[]);
    assert_eq!(found["kong/six"].endpoint.address, "[fd00::7]:8443");
    crate::observe::endpoint::Endpoint::new(&found["kong/six"].endpoint).unwrap();
}

#[test]
fn a_service_names_the_pods_and_their_port_by_number_or_name() {
    let by = finder(Which::Service("proxy".into()));
    let ports = json!([{"name": "http", "port": 80, "targetPort": "proxy"}, {"name": "https", "port": 443, "targetPort": "proxy-tls"}]);
    let named = service(&json!({"selector": {"app": "kong"}, "ports": ports}));
    assert_eq!(addresses(&by, &[&pod("a", |_| {})], &[&named]), ["10.1.0.7:8443"]);
    let numbered =
        service(&json!({"selector": {"app": "kong"}, "ports": [{"port": 8444, "targetPort": 9443}]}));
    assert_eq!(addresses(&by, &[&pod("a", |_| {})], &[&numbered]), ["10.1.0.7:9443"]);
    let same = service(&json!({"selector": {"app": "kong"}, "ports": [{"port": 8444}]}));
    assert_eq!(addresses(&by, &[&pod("a", |_| {})], &[&same]), ["10.1.0.7:8444"]);
    let other = Finder { port: Some(Port::Name("http".into())), ..by };
    assert_eq!(addresses(&other, &[&pod("a", |_| {})], &[&named]), ["10.1.0.7:8000"]);
}

#[test]
fn what_ends_has_ended_or_has_no_address_is_no_endpoint_and_what_is_not_ready_is_one() {
    let none: [&dyn Fn(&mut Value); 5] = [
        &|p| p["metadata"]["deletionTimestamp"] = json!("2026-11-24T01:00:00Z"),
        &|p| p["status"]["phase"] = json!("Succeeded"),
        &|p| p["status"]["podIP"] = json!(""),
        &|p| p["metadata"]["labels"] = json!({"app": "other"}),
        &|p| p["metadata"]["namespace"] = json!("elsewhere"),
    ];
    for change in none {
        let pod = pod("a", change);
        assert!(find(&labels(), &[&pod], &[]).0.is_empty(), "{pod:?}");
    }
    let starting = pod("a", |p| p["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]));
    assert!(!find(&labels(), &[&starting], &[]).0["kong/a"].ready);
}

#[test]
fn annotations_name_port_and_proxy_protocol_and_a_wrong_one_is_told() {
    let odd = pod("a", |p| {
        p["metadata"]["annotations"] =
            json!({"certdrift.dev/port": "9443", "certdrift.dev/proxy-protocol": "v2"});
    });
    let (found, _) = find(&labels(), &[&odd], &[]);
    let endpoint = &found["kong/a"].endpoint;
    assert_eq!(
        (endpoint.address.as_str(), endpoint.proxy_protocol),
        ("10.1.0.7:9443", Some(ProxyProtocol::V2))
    );
    let wrong = pod("a", |p| p["metadata"]["annotations"] = json!({"certdrift.dev/proxy-protocol": "v3"}));
    assert_eq!(find(&labels(), &[&wrong], &[]).1[0].code, "CD-341");
    let portless = pod("a", |p| p["spec"] = json!({"containers": [{}]}));
    assert_eq!(find(&labels(), &[&portless], &[]).1[0].object, "pod:kong/a");
}

#[test]
fn nothing_chosen_is_told() {
    assert_eq!(find(&labels(), &[], &[]).1[0].code, "CD-340");
    let by = finder(Which::Service("proxy".into()));
    assert_eq!(find(&by, &[], &[]).1[0].why, "there is no such Service");
    let without = service(&json!({"ports": [{"port": 443}]}));
    assert_eq!(find(&by, &[&pod("a", |_| {})], &[&without]).1[0].code, "CD-340");
}
