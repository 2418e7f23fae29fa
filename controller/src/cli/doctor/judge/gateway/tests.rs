use super::super::super::facts::Said;
use super::super::super::report::State;
use super::super::tests::{pod, seen, states, with_pods};
use super::*;
use serde_json::{Value, json};

fn container(image: &str, env: &[(&str, &str)]) -> Value {
    let env: Vec<Value> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"name": "proxy", "image": image, "env": env,
        "volumeMounts": [{"name": "d", "mountPath": "/etc/secrets/default-tls"}]})
}

fn with(container: &Value) -> Facts {
    seen(pod(&json!([container])), Said::default())
}

const REPORT: &str = "report: /certdrift/report";

#[test]
fn a_gateway_whose_report_is_read_and_whose_wasm_is_off_fails() {
    let wasm =
        |image: &str, env: &[(&str, &str)]| super::wasm(&with_pods(with(&container(image, env)), REPORT));
    assert_eq!(
        states(&wasm("kong:3.9.1", &[("KONG_WASM", "on"), ("KONG_WASM_FILTERS", "user")])),
        [State::Passed]
    );
    let off = wasm("kong:3.9.1", &[]);
    assert_eq!((states(&off), off[0].code), (vec![State::Failed], Some("CD-602")));
    assert!(
        off[0].object == "deployment/kong in gateway" && off[0].mend.contains("wasm: \"on\""),
        "{off:#?}"
    );
    let bundled = wasm("kong:3.9.1", &[("KONG_WASM", "on"), ("KONG_WASM_FILTERS", "bundled")]);
    assert_eq!(states(&bundled), [State::Failed]);
    let new = wasm("kong/kong-gateway:3.11.0.1", &[("KONG_WASM", "on")]);
    assert!(new[0].state == State::Failed && new[0].what.contains("has no Wasm"), "{new:#?}");
    assert!(super::wasm(&with(&container("kong:3.9.1", &[]))).is_empty(), "nobody expects the filter");
}

#[test]
fn pods_that_may_not_be_listed_were_not_looked_at() {
    let mut facts = with(&container("kong:3.9.1", &[]));
    facts.gateways.get_mut("kong").unwrap().pods = Err("forbidden".to_owned());
    for check in [wasm, tap, probes, default_certificate] {
        assert_eq!(states(&check(&facts)), [State::Unknown]);
    }
}

#[test]
fn without_the_include_the_tap_is_missing_and_more_so_where_its_report_is_read() {
    let both = [("KONG_NGINX_HTTP_INCLUDE", "/a"), ("KONG_NGINX_PROXY_INCLUDE", "/b")];
    assert_eq!(states(&tap(&with(&container("kong:3.9.1", &both)))), [State::Passed]);
    let half = with(&container("kong:3.9.1", &both[..1]));
    let said = tap(&half);
    assert_eq!(states(&said), [State::Warning]);
    assert!(said[0].what.starts_with("KONG_NGINX_PROXY_INCLUDE not set"), "{said:#?}");
    assert_eq!(states(&tap(&with_pods(half, "tap: {port: 8788, path: /tap}"))), [State::Failed]);
}

#[test]
fn a_kubelet_that_asks_healthz_is_told_what_to_ask() {
    let probed = |path: &str| {
        let mut container = container("kong:3.9.1", &[]);
        container["livenessProbe"] = json!({"httpGet": {"path": path, "port": 8000}});
        probes(&with(&container))
    };
    assert_eq!(states(&probed("/certdrift/livez")), [State::Passed]);
    let said = probed("/certdrift/healthz");
    assert_eq!(states(&said), [State::Failed]);
    assert_eq!(said[0].what, "livenessProbe of container proxy asks /certdrift/healthz, port 8000");
    assert_eq!(
        said[0].mend,
        r#"kubectl patch deployment/kong -n gateway --type=json --patch='[{"op":"replace","path":"/spec/template/spec/containers/0/livenessProbe/httpGet/path","value":"/certdrift/livez"}]'"#
    );
}

#[test]
fn a_kubelet_that_asks_healthz_under_another_prefix_is_found_too() {
    let mut container = container("kong:3.9.1", &[]);
    container["readinessProbe"] = json!({"httpGet": {"path": "/own/healthz", "port": "proxy"}});
    let facts = with_pods(with(&container), "report: /own/report");
    let said = probes(&facts);
    assert!(said[0].state == State::Failed && said[0].mend.contains("/own/readyz"), "{said:#?}");
}

#[test]
fn a_default_certificate_is_renewed_or_it_is_told_why_it_is_not() {
    let with = |cert: Option<&str>, renewed: &[&str]| {
        let env: Vec<(&str, &str)> = cert.map(|cert| ("KONG_SSL_CERT", cert)).into_iter().collect();
        let mut facts = with(&container("kong:3.9.1", &env));
        let renewed = renewed.iter().map(|s| (*s).to_owned()).collect();
        facts.gateways.get_mut("kong").unwrap().renewed = Ok(renewed);
        default_certificate(&facts)
    };
    let file = "/etc/secrets/default-tls/tls.crt";
    assert_eq!(states(&with(Some(file), &["default-tls"])), [State::Passed]);
    let by_hand = with(Some(file), &[]);
    assert_eq!(states(&by_hand), [State::Warning]);
    assert!(by_hand[0].what.contains("Secret default-tls, which no Certificate renews"), "{by_hand:#?}");
    for (cert, code) in [
        (None, "CD-608"),
        (Some("/usr/local/kong/own.crt"), "CD-608"),
        (Some("-----BEGIN CERTIFICATE-----"), "CD-609"),
    ] {
        let said = with(cert, &[]);
        assert_eq!((states(&said), said[0].code), (vec![State::Warning], Some(code)), "{cert:?}");
    }
}

#[test]
fn a_default_certificate_mounted_by_sub_path_never_changes() {
    let mut container = container("kong:3.9.1", &[("KONG_SSL_CERT", "/etc/tls.crt")]);
    container["volumeMounts"] = json!([{"name": "d", "mountPath": "/etc/tls.crt", "subPath": "tls.crt"}]);
    let said = default_certificate(&with(&container));
    assert_eq!((states(&said), said[0].code), (vec![State::Failed], Some("CD-610")));
}

#[test]
fn what_is_alike_in_all_pods_of_a_workload_is_said_once() {
    let mut facts = with(&container("kong:3.9.1", &[]));
    let seen = facts.gateways.get_mut("kong").unwrap();
    let mut pods = seen.pods.clone().unwrap();
    pods.push(pods[0].clone());
    seen.pods = Ok(pods);
    assert_eq!(default_certificate(&facts).len(), 1);
}
