//! What is read, and which remedy is for which cause.
use super::*;

#[test]
fn a_remedy_is_written_as_it_is_read() {
    let text = r#"{"name":"reload","restarts":false,"timeout":"30s","signal":{"pid_file":"/run/nginx.pid","process":"nginx","signal":"HUP"}}"#;
    let remedy: Remedy = serde_json::from_str(text).expect("a remedy");
    assert_eq!(serde_json::to_string(&remedy).expect("JSON"), text);
}

#[test]
fn a_remedy_does_exactly_one_thing() {
    for (text, names) in [
        (r#"{"name": "a"}"#, "exactly one"),
        (r#"{"name": "a", "signal": {"pid": 1}, "command": {"argv": ["true"]}}"#, "exactly one"),
        (r#"{"name": "a", "signal": {}}"#, "either pid_file or pid"),
        (r#"{"name": "a", "command": {"argv": []}}"#, "needs a program"),
        (r#"{"name": "a", "webhook": {"url": "ftp://x"}}"#, "http://"),
        (r#"{"name": "", "command": {"argv": ["true"]}}"#, "name is empty"),
        (r#"{"name": "a", "command": {"argv": ["true"]}, "shell": true}"#, "shell"),
    ] {
        let error = serde_json::from_str::<Remedy>(text).expect_err(text).to_string();
        assert!(error.contains(names), "{text}: {error}");
    }
}

#[test]
fn no_remedy_is_for_a_cause_that_is_not_the_gateways() {
    let remedy: Remedy =
        serde_json::from_str(r#"{"name": "a", "command": {"argv": ["true"]}}"#).expect("a remedy");
    for cause in Cause::ALL {
        let usual =
            cause.mendable() && !matches!(cause, Cause::PodEmpty | Cause::NotPushed | Cause::NotReloadable);
        assert_eq!(remedy.is_for("a", cause), usual, "{cause:?}");
    }
}

/// Causes that a remedy is for where its configuration names none.
fn usual(act: &str) -> Vec<Cause> {
    let remedy: Remedy = serde_json::from_str(&format!("{{\"name\": \"a\", {act}}}")).expect(act);
    Cause::ALL.into_iter().filter(|cause| remedy.is_for("a", *cause)).collect()
}

#[test]
fn each_remedy_is_for_the_causes_that_it_mends() {
    assert_eq!(usual(r#""evict": {}"#), [Cause::PodBehind]);
    assert_eq!(usual(r#""touch": {}"#), [Cause::PodEmpty, Cause::NotPushed]);
    assert_eq!(usual(r#""rollout": {}"#), [Cause::FileNotReloaded, Cause::NotReloadable]);
    assert_eq!(usual(r#""kube_exec": {}"#), [Cause::StaleWorker, Cause::FileNotReloaded, Cause::Unexplained]);
    // Whatever is named: a push mends no worker, and a restart pushes nothing.
    assert_eq!(usual(r#""touch": {}, "causes": ["stale-worker", "not-pushed"]"#), [Cause::NotPushed]);
    assert_eq!(usual(r#""rollout": {}, "causes": ["stale-worker", "not-pushed"]"#), [Cause::StaleWorker]);
    assert_eq!(usual(r#""webhook": {"url": "http://x"}, "causes": ["pod-empty"]"#), [Cause::PodEmpty]);
}

#[test]
fn kong_is_reloaded_where_no_other_program_is_named() {
    let remedy: Remedy = serde_json::from_str(r#"{"name": "a", "kube_exec": {}}"#).expect("a remedy");
    assert!(matches!(&remedy.act, Act::KubeExec(exec) if exec.argv == ["kong", "reload"]));
    let empty = r#"{"name": "a", "kube_exec": {"argv": []}}"#;
    let error = serde_json::from_str::<Remedy>(empty).expect_err("no program").to_string();
    assert!(error.contains("kube_exec.argv needs a program"), "{error}");
}

#[test]
fn every_kind_of_remedy_is_counted_from_zero() {
    let acts = [
        r#""signal": {"pid": 1}"#,
        r#""command": {"argv": ["true"]}"#,
        r#""webhook": {"url": "http://x"}"#,
        r#""evict": {}"#,
        r#""kube_exec": {}"#,
        r#""rollout": {}"#,
        r#""touch": {}"#,
    ];
    let kinds = acts.map(|act| {
        let remedy: Remedy = serde_json::from_str(&format!("{{\"name\": \"a\", {act}}}")).expect(act);
        remedy.act.kind()
    });
    assert_eq!(kinds, crate::metrics::catalogue::REMEDY_KINDS);
}
