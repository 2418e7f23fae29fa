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

fn metrics_in(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("certdrift_")).collect()
}

fn annotation<'a>(rule: &'a Value, name: &str) -> &'a str {
    rule["annotations"][name].as_str().unwrap_or_else(|| panic!("{}: no {name}", rule["alert"]))
}

#[test]
fn what_alerts_speak_of_is_there() {
    let metrics: BTreeSet<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    let codes: BTreeSet<&str> = certdrift::finding::CATALOGUE.iter().map(|kind| kind.code).collect();
    for rule in all() {
        let expression = rule["expr"].as_str().unwrap();
        let named = metrics_in(expression);
        assert!(
            !named.is_empty() && named.iter().all(|name| metrics.contains(name.trim_end_matches("_total"))),
            "{expression}"
        );
        let text = rule.to_string();
        for (at, _) in text.match_indices("CD-") {
            let code = text.get(at..at + 6).unwrap();
            // In an expression a code may be a pattern: `CD-40[1-4]`.
            assert!(codes.contains(code) || code.ends_with('['), "{code} in {}", rule["alert"]);
        }
    }
}

#[test]
fn each_alert_carries_its_code_and_leads_to_its_page() {
    for rule in all() {
        let (code, url) = (annotation(&rule, "code"), annotation(&rule, "runbook_url"));
        let page = url.strip_prefix("https://github.com/certdrift/certdrift/blob/main/").unwrap();
        let page = xtask::workspace::root().join(page);
        assert!(page.exists(), "{}: {}", rule["alert"], page.display());
        // One for whatever code stands leads to the list of all.
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(
            name.starts_with(&format!("{code}-")) || code == "{{ $labels.code }}" && name == "README.md",
            "{url}"
        );
        for part in ["summary", "description"] {
            assert!(annotation(&rule, part).len() > 20, "{part} of {}", rule["alert"]);
        }
    }
}

/// docs/alerts.md: the alerts that it lists with severity and code, and the codes that it says have none.
fn page() -> (BTreeSet<(String, String, String)>, BTreeSet<String>) {
    let page = std::fs::read_to_string(xtask::workspace::root().join("docs/alerts.md")).unwrap();
    let (listed, none) = page.split_once("## Errors without an alert").unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<String>>();
    let rows = listed.lines().filter(|line| line.starts_with("| `")).map(cells);
    let rows = rows.flat_map(|row| {
        let name = row[1].trim_matches('`').to_owned();
        let severities: Vec<String> = row[2].split(", ").map(str::to_owned).collect();
        severities.into_iter().map(move |severity| (name.clone(), severity, row[5].clone()))
    });
    let codes = none.lines().filter(|line| line.starts_with("| CD-")).map(cells);
    let codes = codes.flat_map(|row| {
        assert!(row[2].len() > 10, "who tells them? {row:?}");
        row[1].split(", ").map(str::to_owned).collect::<Vec<_>>()
    });
    (rows.collect(), codes.collect())
}

#[test]
fn each_error_is_alerted_by_one_alert_or_is_said_to_have_none_and_why() {
    let (listed, none) = page();
    let text = |rule: &Value, at: &str| rule.pointer(at).unwrap().as_str().unwrap().to_owned();
    let rules: BTreeSet<(String, String, String)> = all()
        .iter()
        .map(|rule| {
            let code = text(rule, "/annotations/code");
            let code = if code.starts_with("CD-") { code } else { "its own".to_owned() };
            (text(rule, "/alert"), text(rule, "/labels/severity"), code)
        })
        .collect();
    assert_eq!(listed, rules, "docs/alerts.md lists the alerts that there are");
    // What the alert for all others leaves to alerts of their own: codes, or `CD-40[1-4]` for some.
    let generic = all().into_iter().find(|rule| rule["alert"] == "CertdriftFinding").unwrap();
    let expression = text(&generic, "/expr");
    let left_out = expression.split_once("code!~\"").unwrap().1.split('"').next().unwrap().to_owned();
    let is_left_out = |code: &str| {
        left_out.split('|').any(|pattern| match pattern.split_once('[') {
            None => pattern == code,
            Some((stem, range)) => {
                let (from, to) = range.trim_end_matches(']').split_once('-').unwrap();
                code.strip_prefix(stem).is_some_and(|last| from <= last && last <= to)
            }
        })
    };
    // Every drift is alerted as one, whatever was tried against it.
    let drift = "CD-40";
    for kind in certdrift::finding::CATALOGUE {
        let is_error = kind.severity == certdrift::finding::Severity::Error;
        let has_own = rules.iter().any(|(.., code)| code == kind.code);
        if is_left_out(kind.code) {
            assert!(has_own || kind.code.starts_with(drift), "{} has no alert", kind.code);
        }
        assert!(!none.contains(kind.code) || (is_error && !has_own), "{} is listed as without", kind.code);
    }
    let codes: BTreeSet<&str> = certdrift::finding::CATALOGUE.iter().map(|kind| kind.code).collect();
    assert!(none.iter().all(|code| codes.contains(code.as_str())), "{none:?}");
}

#[test]
fn the_chart_holds_the_very_rules_that_are_tested() {
    let kept =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster_chart_installs/kept/everything.yaml");
    let kept = std::fs::read_to_string(kept).unwrap();
    let rule =
        kept.split("\n---\n").find(|text| text.contains("kind: PrometheusRule")).expect("it is on there");
    let rule: Value = serde_saphyr::from_str(rule).unwrap();
    let groups = rule["spec"]["groups"].as_array().unwrap();
    let same = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).eq(&all());
    assert!(
        same,
        "write it with: CERTDRIFT_WRITE=1 cargo test --workspace --test cluster_chart_installs kept"
    );
}

#[test]
fn each_panel_asks_for_metrics_that_there_are_of_the_chosen_source_and_says_its_unit() {
    let metrics: BTreeSet<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    let file = xtask::workspace::root().join("deploy/chart/files/certdrift.dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables.iter().any(|v| v["name"] == "datasource" && v["type"] == "datasource"),
        "{variables:?}"
    );
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = &panel["title"];
        assert!(
            panel["description"].as_str().is_some_and(|text| text.len() > 20),
            "{title} says what it shows"
        );
        assert!(
            panel["type"] == "table" || panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title} has a unit"
        );
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            for name in metrics_in(target["expr"].as_str().unwrap()) {
                let name =
                    ["_total", "_bucket", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
                assert!(metrics.contains(name), "{title}: no metric is called {name}");
            }
        }
    }
}
