//! The alerts that ship: Prometheus takes them, each fires when it must and not when it must not, and each speaks of metrics
//! and codes that there are.
use certdrift::metrics::catalogue;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rules for all, and those for installations with a canary.
fn rules() -> [PathBuf; 2] {
    ["certdrift.rules.yaml", "certdrift.canary.rules.yaml"]
        .map(|name| xtask::workspace::root().join("deploy/chart/files").join(name))
}

fn cases() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts/alerts.test.yaml"))
        .unwrap()
}

fn promtool(arguments: &[&str], file: &Path) {
    let program = xtask::tools::find(xtask::tools::Tool::Promtool).unwrap();
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

/// Each rule, as it is written.
fn all() -> Vec<Value> {
    let of = |file: PathBuf| -> Vec<Value> {
        let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        rules["groups"][0]["rules"].as_array().unwrap().clone()
    };
    rules().into_iter().flat_map(of).collect()
}

#[test]
fn each_alert_fires_when_it_must_and_not_when_it_must_not() {
    for file in rules() {
        promtool(&["check", "rules"], &file);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.test.yaml");
    // What an alert says is not repeated in its test: the rules are tested without it.
    let mut plain = all();
    for rule in &mut plain {
        rule.as_object_mut().unwrap().remove("annotations").expect("it says what to do");
    }
    let plain = serde_json::json!({"groups": [{"name": "certdrift", "rules": plain}]});
    std::fs::write(folder.path().join("RULES"), plain.to_string()).unwrap();
    std::fs::write(&file, cases()).unwrap();
    promtool(&["test", "rules"], &file);
}

#[test]
fn each_alert_has_a_case_that_fires_and_a_near_miss() {
    let cases: Value = serde_saphyr::from_str(&cases()).unwrap();
    for rule in all() {
        let (name, severity) = (&rule["alert"], &rule["labels"]["severity"]);
        let of: Vec<&Value> = cases["tests"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|case| case["alert_rule_test"].as_array().unwrap())
            .filter(|case| case["alertname"] == *name)
            .flat_map(|case| [&case["exp_alerts"]])
            .collect();
        let fires = |alerts: &&Value| {
            alerts.as_array().unwrap().iter().any(|alert| alert["exp_labels"]["severity"] == *severity)
        };
        assert!(of.iter().any(&fires), "{name} {severity}: nothing makes it fire");
        assert!(of.iter().any(|alerts| !fires(alerts)), "{name} {severity}: no near miss");
    }
}

#[test]
fn what_alerts_speak_of_is_there() {
    let metrics: BTreeSet<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    let codes: BTreeSet<&str> = certdrift::finding::CATALOGUE.iter().map(|kind| kind.code).collect();
    for rule in all() {
        let expression = rule["expr"].as_str().unwrap();
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: Vec<&str> = words.filter(|word| word.starts_with("certdrift_")).collect();
        assert!(
            !named.is_empty() && named.iter().all(|name| metrics.contains(name.trim_end_matches("_total"))),
            "{expression}"
        );
        let text = rule.to_string();
        for (at, _) in text.match_indices("CD-") {
            let code = text.get(at..at + 6).unwrap();
            assert!(codes.contains(code), "{code} in {}", rule["alert"]);
        }
    }
}
