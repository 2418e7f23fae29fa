//! What must happen, whatever the gateway.
use super::gateway::{
    Ask, DEMO, FIRST, Gateway, LEDGER, NEVER, NONSENSE, OTHER, SAID, STRICT, UNTOLD, entry, in_parts, print,
    whole,
};
use certdrift_contract::names::part_path;
use std::collections::BTreeSet;

type Scenario = fn(&mut dyn Gateway);

/// In this order: the revisions rise.
pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("without a ledger it says so and lets all pass", without_a_ledger),
    ("a match has no header", a_match_has_no_header),
    ("health answers", health_answers),
    ("an unchanged ledger is answered 304", an_unchanged_ledger_is_answered_304),
    ("drift has a header, and healthz is 503", drift_has_a_header_and_healthz_is_503),
    ("what is not told is not judged", what_is_not_told_is_not_judged),
    ("a token opens health and header", a_token_opens_health_and_header),
    ("header never", header_never),
    ("a chain that says what it serves is judged by that", a_chain_that_says_what_it_serves),
    ("whatever comes back the last good ledger stays", the_last_good_ledger_stays),
    ("a ledger that is not confirmed is stale", a_ledger_that_is_not_confirmed_is_stale),
    ("of a ledger in parts only what changed is fetched", of_parts_only_what_changed_is_fetched),
    ("an older revision is taken when it stands", an_older_revision_is_taken_when_it_stands),
];

fn good() -> [String; 2] {
    [entry(DEMO, "demo", None), entry(OTHER, "other", None)]
}

/// DEMO is served the predecessor of what is expected.
fn drifting() -> [String; 2] {
    [entry(DEMO, "demo's next", Some("demo")), entry(OTHER, "other", None)]
}

fn without_a_ledger(gateway: &mut dyn Gateway) {
    gateway.until("a poll to fail", |gateway| match gateway.metric("polls_total_result=unreachable") {
        0 => Err("none failed".to_owned()),
        _ => Ok(()),
    });
    assert!(gateway.get(DEMO, "/").is_upstreams());
    assert_eq!(gateway.healthz(), (503, "no-ledger".to_owned()));
    let readyz = gateway.get(DEMO, "/certdrift/readyz");
    assert_eq!((readyz.status, readyz.body.as_str()), (503, r#"{"ready":false,"verdict":"no-ledger"}"#));
    let report = gateway.report("");
    assert_eq!(report["ledger"], serde_json::Value::Null);
    assert_eq!(report["problems"][0], "the configuration has the unknown key surprise");
}

fn a_match_has_no_header(gateway: &mut dyn Gateway) {
    gateway.serves(FIRST, whole(FIRST, &good()));
    let judged = |gateway: &mut dyn Gateway| gateway.report("")["counters"]["judged"].as_u64();
    let before = judged(gateway);
    let reply = gateway.get(DEMO, "/");
    assert!(reply.is_upstreams() && reply.header("x-certdrift").is_none(), "{reply:?}");
    assert_eq!(judged(gateway), before.map(|n| n + 1));
    assert_eq!(gateway.healthz(), (200, "match".to_owned()));
}

fn health_answers(gateway: &mut dyn Gateway) {
    let not_found = r#"{"error":"not found","paths":["livez","readyz","healthz","report"]}"#;
    for (method, path, status, body) in [
        ("GET", "livez", 200, r#"{"live":true}"#),
        ("GET", "readyz", 200, r#"{"ready":true,"verdict":"match"}"#),
        ("GET", "healthz", 200, r#"{"healthy":true,"verdict":"match"}"#),
        ("HEAD", "livez", 200, ""),
        ("HEAD", "healthz", 200, ""),
        ("POST", "livez", 405, r#"{"error":"method not allowed"}"#),
        ("DELETE", "report", 405, r#"{"error":"method not allowed"}"#),
        ("GET", "nothing", 404, not_found),
        ("GET", "../", 404, not_found),
        ("GET", "", 404, not_found),
    ] {
        let path = format!("/certdrift/{path}");
        let reply = gateway.ask(Ask { host: DEMO, method, path: &path, token: "" });
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{method} {path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{method} {path}");
        if !body.is_empty() {
            // Envoy takes it away where there is no body.
            assert_eq!(reply.header("content-type"), Some("application/json"), "{method} {path}");
        }
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, HEAD"), "{method} {path}");
    }
    assert!(gateway.get(DEMO, "/certdriftx").is_upstreams(), "a prefix ends where a segment does");
    let report = gateway.report("");
    assert_eq!((&report["schema"], &report["verdict"]), (&"certdrift.dev/report/v1".into(), &"match".into()));
    assert_eq!(report["observations"].as_array().map(Vec::len), Some(0), "its size follows trouble");
    let all = gateway.report("?hosts=all");
    assert_eq!(all["observations"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["observations"][0]["evidence"], gateway.evidence());
    let named = gateway.report("?hosts=nobody.example,demo.example.com");
    let verdicts = [&named["observations"][0]["verdict"], &named["observations"][1]["verdict"]];
    assert_eq!(verdicts, ["match", "unlisted"]);
}

fn an_unchanged_ledger_is_answered_304(gateway: &mut dyn Gateway) {
    let before = gateway.metric("polls_total_result=unchanged");
    gateway.asked();
    gateway.until("three polls that changed nothing", |gateway| {
        let unchanged = gateway.metric("polls_total_result=unchanged") - before;
        if unchanged >= 3 { Ok(()) } else { Err(format!("{unchanged}")) }
    });
    let asked = gateway.asked();
    assert!(asked.iter().all(|(path, same)| path == LEDGER && *same), "{asked:?}");
}

fn drift_has_a_header_and_healthz_is_503(gateway: &mut dyn Gateway) {
    gateway.serves(FIRST + 1, whole(FIRST + 1, &drifting()));
    let expected = format!(
        "drift; class=previous; served={}; expected={}; evidence={}",
        print("demo").short(),
        print("demo's next").short(),
        gateway.evidence()
    );
    let reply = gateway.get(DEMO, "/");
    assert_eq!(reply.header("x-certdrift"), Some(expected.as_str()));
    assert!(reply.is_upstreams(), "status and body stay: {reply:?}");
    assert_eq!(gateway.get(OTHER, "/").header("x-certdrift"), None);
    assert_eq!(gateway.healthz(), (503, "drift".to_owned()));
    for (path, status) in [("livez", 200), ("readyz", 200), ("report", 200)] {
        assert_eq!(gateway.get(DEMO, &format!("/certdrift/{path}")).status, status, "{path}");
    }
    let report = gateway.report("");
    assert_eq!(report["observations"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&report["observations"][0]["host"], &report["observations"][0]["class"]),
        (&DEMO.into(), &"previous".into())
    );
    gateway.until("the metric", |gateway| match gateway.metric("drift_total_class=previous") {
        0 => Err("0".to_owned()),
        _ => Ok(()),
    });
    // What another entry expects.
    let swapped = [entry(DEMO, "other", None), entry(OTHER, "demo", None)];
    gateway.serves(FIRST + 2, whole(FIRST + 2, &swapped));
    let header = gateway.get(DEMO, "/").header("x-certdrift").unwrap_or_default().to_owned();
    assert!(header.starts_with("drift; class=other;"), "{header}");
    gateway.serves(FIRST + 3, whole(FIRST + 3, &good()));
    for host in [DEMO, OTHER] {
        assert_eq!(gateway.get(host, "/").header("x-certdrift"), None);
    }
    assert_eq!(gateway.healthz(), (200, "match".to_owned()));
}

fn what_is_not_told_is_not_judged(gateway: &mut dyn Gateway) {
    let counters = |gateway: &mut dyn Gateway| gateway.report("")["counters"].clone();
    let before = counters(gateway);
    for host in [UNTOLD, NONSENSE] {
        let reply = gateway.get(host, "/");
        assert!(reply.is_upstreams() && reply.header("x-certdrift").is_none(), "{reply:?}");
    }
    let after = counters(gateway);
    assert_eq!(after["unjudged"].as_u64(), before["unjudged"].as_u64().map(|n| n + 2));
    assert_eq!(after["judged"], before["judged"]);
    // STRICT is served a certificate, and is in no ledger.
    assert!(gateway.get(STRICT, "/").is_upstreams());
    assert_eq!(counters(gateway)["unlisted"].as_u64(), before["unlisted"].as_u64().map(|n| n + 1));
}

fn a_token_opens_health_and_header(gateway: &mut dyn Gateway) {
    let mut ask = |path: &str, token: &str| gateway.ask(Ask { host: STRICT, method: "GET", path, token });
    for token in ["", "Secret", "secre", "secret1"] {
        for path in ["/-/tls/healthz", "/-/tls/nothing", "/certdrift/healthz", "/"] {
            let reply = ask(path, token);
            assert!(
                reply.is_upstreams() && reply.header("x-certdrift").is_none(),
                "{path} {token:?}: {reply:?}"
            );
        }
    }
    assert_eq!(ask("/-/tls/livez", "secret").body, r#"{"live":true}"#);
    assert!(ask("/certdrift/livez", "secret").is_upstreams(), "the prefix is another one");
    let header = ask("/", "secret").header("x-certdrift").unwrap_or_default().to_owned();
    assert!(header.starts_with("unlisted;"), "{header}");
}

fn header_never(gateway: &mut dyn Gateway) {
    let [demo, other] = good();
    let never = entry(NEVER, "never's next", Some("demo"));
    gateway.serves(FIRST + 4, whole(FIRST + 4, &[demo, other, never]));
    let reply = gateway.get(NEVER, "/");
    assert!(reply.is_upstreams() && reply.header("x-certdrift").is_none(), "{reply:?}");
    assert_eq!(gateway.healthz(), (503, "drift".to_owned()), "it was judged all the same");
    gateway.serves(FIRST + 5, whole(FIRST + 5, &good()));
}

fn a_chain_that_says_what_it_serves(gateway: &mut dyn Gateway) {
    let [demo, other] = good();
    let said = |current| entry(SAID, current, Some("demo"));
    gateway.serves(FIRST + 6, whole(FIRST + 6, &[demo.clone(), other.clone(), said("demo's next")]));
    let reply = gateway.get(SAID, "/");
    let header = reply.header("x-certdrift").unwrap_or_default();
    assert!(
        header.starts_with("drift; class=previous;") && header.ends_with("; evidence=declared"),
        "{header}"
    );
    assert!(reply.is_upstreams(), "{reply:?}");
    let report = gateway.report("?hosts=said.example.com");
    assert_eq!(
        report["observations"][0]["verdict"], "drift",
        "another chain answers for the worker: {report}"
    );
    for path in ["/certdrift/livez", "/certdrift/healthz", "/livez"] {
        assert!(gateway.get(SAID, path).is_upstreams(), "{path}: health is not answered in this chain");
    }
    gateway.serves(FIRST + 7, whole(FIRST + 7, &[demo, other, said("demo")]));
    assert_eq!(gateway.get(SAID, "/").header("x-certdrift"), None);
    assert_eq!(gateway.healthz(), (200, "match".to_owned()));
    gateway.serves(FIRST + 8, whole(FIRST + 8, &good()));
}

fn the_last_good_ledger_stays(gateway: &mut dyn Gateway) {
    let far = FIRST * 2;
    let (index, parts) = {
        let mut documents = in_parts(FIRST + 9, &good());
        documents[1].1.push(' ');
        (documents.remove(0), documents)
    };
    for (documents, why) in [
        (Vec::new(), "ledger/edge: "),
        (vec![("/elsewhere".to_owned(), String::new())], "it answered 404"),
        (vec![(LEDGER.to_owned(), r#"{"schema":"#.to_owned())], "(byte "),
        (vec![(LEDGER.to_owned(), "[]".to_owned())], "expected an object"),
        (vec![(LEDGER.to_owned(), r#"{"schema": "certdrift.dev/ledger/v2"}"#.to_owned())], "schema"),
        (whole(far, &good()), "more than a day ahead"),
        (vec![index.clone()], "it answered 404"),
        ([vec![index], parts].concat(), "SHA-256"),
    ] {
        gateway.documents(documents);
        let report = gateway.until(why, |gateway| {
            let report = gateway.report("");
            let error = report["ledger"]["last_error"].as_str().unwrap_or_default();
            if error.contains(why) { Ok(report) } else { Err(report.to_string()) }
        });
        assert_eq!(report["ledger"]["revision"], FIRST + 8, "{why}");
        let reply = gateway.get(DEMO, "/");
        assert!(reply.is_upstreams() && reply.header("x-certdrift").is_none(), "{why}: {reply:?}");
    }
    gateway.documents(whole(FIRST + 8, &good()));
    gateway.until("the good one again", |gateway| {
        let report = gateway.report("");
        if report["ledger"]["last_error"] == "" { Ok(()) } else { Err(report.to_string()) }
    });
    assert!(gateway.has_logged("good ledger again"));
}

fn a_ledger_that_is_not_confirmed_is_stale(gateway: &mut dyn Gateway) {
    gateway.documents(Vec::new());
    let stale = (503, "stale-ledger".to_owned());
    gateway.until("it to be stale", |gateway| match gateway.healthz() {
        verdict if verdict == stale => Ok(()),
        verdict => Err(format!("{verdict:?}")),
    });
    assert_eq!(gateway.get(DEMO, "/certdrift/readyz").status, 200, "a stale ledger harms nobody");
    let reply = gateway.get(DEMO, "/");
    assert!(reply.is_upstreams() && reply.header("x-certdrift").is_none(), "{reply:?}");
    gateway.documents(whole(FIRST + 8, &good()));
    gateway.until("it to be confirmed", |gateway| match gateway.healthz() {
        (200, _) => Ok(()),
        verdict => Err(format!("{verdict:?}")),
    });
}

fn of_parts_only_what_changed_is_fetched(gateway: &mut dyn Gateway) {
    gateway.serves(FIRST + 20, in_parts(FIRST + 20, &good()));
    assert_eq!(gateway.report("")["ledger"]["hosts"], 2);
    for host in [DEMO, OTHER] {
        assert_eq!(gateway.get(host, "/").header("x-certdrift"), None);
    }
    gateway.asked();
    gateway.serves(FIRST + 21, in_parts(FIRST + 21, &drifting()));
    let header = gateway.get(DEMO, "/").header("x-certdrift").unwrap_or_default().to_owned();
    assert!(header.starts_with("drift; class=previous;"), "{header}");
    assert_eq!(gateway.get(OTHER, "/").header("x-certdrift"), None);
    // Envoy polls on its main thread too, so a path may come twice.
    let fetched: BTreeSet<String> =
        gateway.asked().into_iter().map(|(path, _)| path).filter(|path| path != LEDGER).collect();
    assert_eq!(fetched, BTreeSet::from([part_path(LEDGER, "00")]));
}

fn an_older_revision_is_taken_when_it_stands(gateway: &mut dyn Gateway) {
    let refused = gateway.metric("polls_total_result=refused");
    gateway.serves(FIRST + 17, whole(FIRST + 17, &good()));
    assert!(gateway.has_logged("went back from revision"));
    gateway.until("the metric", |gateway| match gateway.metric("polls_total_result=refused") - refused {
        2.. => Ok(()),
        n => Err(format!("{n} polls were refused")),
    });
}
