//! `certdrift.meta.json`, which Kong reads beside the module, and the filter know the same keys and the same labels.
mod filter;

use certdrift_tests::host::{Profile, START};
use filter::{Gateway, entry, ledger};
use serde_json::{Map, Value};

fn meta() -> Value {
    let path = xtask::workspace::root().join("filter/certdrift.meta.json");
    serde_json::from_slice(&std::fs::read(path).expect("it is there")).expect("it is JSON")
}

/// A value with every property the schema knows.
fn example(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0).or(schema.get("default")) {
        return first.clone();
    }
    // Of several types the first.
    match (schema["type"].get(0).unwrap_or(&schema["type"]).as_str(), name) {
        (Some("object"), _) => {
            let properties = schema["properties"].as_object().expect("an object names its properties");
            Value::Object(
                properties.iter().map(|(name, of)| (name.clone(), example(name, of))).collect::<Map<_, _>>(),
            )
        }
        (Some("array"), _) => Value::Array(vec![example(name, &schema["items"])]),
        (Some("integer"), _) => schema["minimum"].clone(),
        (_, "upstream") => "127.0.0.1:8787".into(),
        (_, "path") => "/ledger.json".into(),
        (_, "allow") => "127.0.0.1".into(),
        _ => "certdrift".into(),
    }
}

#[test]
fn every_key_of_the_schema_is_one_the_filter_knows() {
    let schema = &meta()["config_schema"];
    for certificate in ["property", "declared"] {
        let mut config = example("", schema);
        config["certificate"].as_object_mut().unwrap().retain(|name, _| name == certificate);
        let text = ledger(START, &[&entry("kong/demo", &["demo.example.com"], &[1], &[], &[])]);
        let mut gateway = Gateway::configured(Profile::kong(), &text, &config.to_string());
        let report = gateway.report("");
        assert_eq!(report["problems"], Value::Array(Vec::new()), "{config}");
        assert_eq!(report["ledger"]["revision"], START);
    }
}

#[test]
fn the_kong_plugin_that_we_ship_is_one_the_filter_takes() {
    let file = xtask::workspace::root().join("deploy/kong/kongplugin.yaml");
    let plugin: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let text = ledger(START, &[&entry("kong/demo", &["demo.example.com"], &[1], &[], &[])]);
    let mut gateway = Gateway::configured(Profile::kong(), &text, &plugin["config"].to_string());
    let report = gateway.report("");
    assert_eq!(report["problems"], Value::Array(Vec::new()), "{plugin}");
    assert_eq!(report["ledger"]["revision"], START);
}

#[test]
fn kong_takes_draft_4_and_ignores_const_so_there_is_none() {
    let meta = meta();
    assert_eq!(meta["config_schema"]["$schema"], "http://json-schema.org/draft-04/schema#");
    assert!(!meta.to_string().contains("\"const\""));
}

#[test]
fn every_label_in_a_metrics_name_has_a_pattern() {
    let meta = meta();
    let patterns = meta["metrics"]["label_patterns"].as_array().expect("patterns");
    let labels: Vec<&str> =
        patterns.iter().map(|pattern| pattern["label"].as_str().expect("a label")).collect();
    for pattern in patterns {
        // Kong takes the second capture: the whole, then the value.
        let expected = format!("(_{}=([%w%-]+))", pattern["label"].as_str().unwrap());
        assert_eq!(pattern["pattern"], expected);
    }
    let gateway = Gateway::with(Profile::kong(), &ledger(START, &[]));
    for metric in gateway.worker.metrics() {
        let Some((name, value)) = metric.name.split_once('=') else { continue };
        assert!(labels.iter().any(|label| name.ends_with(&format!("_total_{label}"))), "{}", metric.name);
        assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{}", metric.name);
    }
    assert_eq!(gateway.worker.metrics().len(), 17, "a fixed set: each costs every worker a slot");
}
