//! What the filter says of the connections of a worker: verdicts, header, report, whatever the gateway's kind.
mod filter;

use certdrift_tests::host::{HostCall, Profile, START};
use filter::{Gateway, NOW, entry, ledger, print};

const DEMO: &str = "demo.example.com";

/// A ledger whose entry for `demo.example.com` expects print 1, awaits 2, and lets 3 go at `until`.
fn three(until: u64) -> String {
    let retiring = format!(r#"{{"sha256": "{}", "until": "{}"}}"#, print(3), filter::time(until));
    ledger(START, &[&entry("kong/demo", &[DEMO, "*.demo.example.com"], &[1], &[2], &[&retiring])])
}

#[test]
fn each_verdict_is_told_in_the_report() {
    let mut gateway = Gateway::with(Profile::kong(), &three(START + 100));
    let verdict = |gateway: &mut Gateway, served: u8, began: u64| {
        gateway.serve(DEMO, served, began);
        let report = gateway.report("?hosts=demo.example.com");
        report["observations"][0]["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict(&mut gateway, 1, START), "match");
    assert_eq!(verdict(&mut gateway, 2, START + 1), "incoming");
    assert_eq!(verdict(&mut gateway, 3, START + 2), "retiring");
    assert_eq!(verdict(&mut gateway, 9, START + 3), "ahead");
    gateway.worker.advance(110);
    assert_eq!(verdict(&mut gateway, 3, START + 50), "carried", "a connection that lives on");
    assert_eq!(
        verdict(&mut gateway, 3, START + 106),
        "drift",
        "a new connection, past the tolerance for skew"
    );
    gateway.worker.advance(80);
    assert_eq!(verdict(&mut gateway, 9, START + 107), "drift", "the ledger had time to learn of it");
}

#[test]
fn each_class_of_drift_is_told() {
    let default = format!(r#"{{"source": "file:default.pem", "current": [{}]}}"#, filter::expected(7));
    let other = entry("kong/other", &["other.example.com"], &[5], &[], &[]);
    let demo = entry("kong/demo", &[DEMO], &[1], &[], &[]);
    let mut gateway =
        Gateway::with(Profile::kong(), &filter::ledger_with_default(START, &[&demo, &other], &default));
    for (served, class) in [(5, "other"), (7, "default")] {
        let header = gateway.serve(DEMO, served, START).header("x-certdrift").unwrap();
        assert!(header.starts_with(&format!("drift; class={class};")), "{header}");
    }
    let placeholder = format!("v1 placeholder {START} {} {DEMO}", print(8));
    let header = gateway.worker.request().tap(&placeholder).send().header("x-certdrift").unwrap();
    assert!(header.starts_with("drift; class=default;"), "{header}");
    gateway.worker.advance(2);
    for (class, count) in [("previous", 0), ("other", 1), ("default", 2), ("unknown", 0)] {
        assert_eq!(gateway.worker.metric(&format!("drift_total_class={class}")), Some(count), "{class}");
    }
}

#[test]
fn the_default_certificate_is_judged_by_the_default_entry() {
    let default = format!(r#"{{"source": "file:default.pem", "current": [{}]}}"#, filter::expected(7));
    let demo = entry("kong/demo", &[DEMO], &[1], &[], &[]);
    let mut gateway = Gateway::with(Profile::kong(), &filter::ledger_with_default(START, &[&demo], &default));
    for sni in ["-", "192.0.2.1", "stranger.example.net"] {
        assert_eq!(gateway.serve(sni, 7, START).header("x-certdrift"), None, "{sni}");
    }
    assert!(gateway.serve("-", 1, START).header("x-certdrift").unwrap().starts_with("drift; class=other"));
    let report = gateway.report("");
    assert_eq!(report["counters"]["judged"], 4);
    assert_eq!(report["observations"][0]["host"], "default");
    // Another certificate for a name nobody lists is a stranger's.
    gateway.serve("stranger.example.net", 1, START);
    assert_eq!(gateway.report("")["counters"]["unlisted"], 1);
}

#[test]
fn without_a_default_entry_the_default_certificate_is_unlisted() {
    let mut gateway = Gateway::with(Profile::kong(), &three(START));
    gateway.serve("-", 7, START);
    gateway.serve("192.0.2.1", 7, START);
    assert_eq!(gateway.report("")["counters"]["unlisted"], 2);
    assert_eq!(gateway.report("")["verdict"], "unobserved");
}

#[test]
fn what_cannot_be_judged_is_counted_by_reason() {
    let mut gateway = Gateway::with(Profile::kong(), &three(START));
    for line in
        ["v1 plain 1795478400 - -", "v1 resumed 1795478400 - demo.example.com", "v1 unknown 1795478400 - x"]
    {
        assert_eq!(gateway.worker.request().tap(line).send().header("x-certdrift"), None);
    }
    gateway.worker.request().send(); // the tap is not installed: the variable is unknown
    gateway.worker.request().tap("").send();
    gateway.worker.advance(2);
    for (reason, count) in [("plain", 1), ("resumed", 1), ("unknown", 3), ("no-ledger", 0)] {
        assert_eq!(
            gateway.worker.metric(&format!("unjudged_total_reason={reason}")),
            Some(count),
            "{reason}"
        );
    }
    assert_eq!(gateway.report("")["counters"]["unjudged"], 5);
}

#[test]
fn a_tap_of_another_version_is_a_problem_that_is_told_once() {
    let mut gateway = Gateway::with(Profile::kong(), &three(START));
    for _ in 0..3 {
        gateway.worker.request().tap("v2 what is this").send();
    }
    let told =
        |gateway: &Gateway| gateway.worker.logs().iter().filter(|l| l.text.contains("version")).count();
    assert_eq!(told(&gateway), 1);
    assert!(gateway.report("")["problems"][0].as_str().unwrap().contains("different versions"));
    gateway.serve(DEMO, 1, START);
    assert_eq!(gateway.report("")["problems"].as_array().unwrap().len(), 0, "it is well again");
}

#[test]
fn a_stale_member_of_a_pair_stays_in_sight() {
    let mut gateway =
        Gateway::with(Profile::kong(), &ledger(START, &[&entry("kong/p", &[DEMO], &[1, 2], &[], &[])]));
    gateway.serve(DEMO, 1, START);
    gateway.serve(DEMO, 9, START + 1);
    gateway.worker.advance(200);
    for began in 0..5 {
        gateway.serve(DEMO, 1, START + 100 + began);
    }
    assert_eq!(gateway.health("healthz").status, 503, "RSA clients still get the old one");
    gateway.serve(DEMO, 2, START + 150);
    assert_eq!(gateway.health("healthz").status, 200);
}

#[test]
fn a_ledger_that_came_later_makes_no_drift_of_what_was_seen_before() {
    let mut gateway = Gateway::with(Profile::kong(), &three(START));
    gateway.serve(DEMO, 1, START);
    gateway.ledger(&ledger(
        START + 1,
        &[
            &entry("kong/moved", &[DEMO], &[4], &[], &[]),
            &entry("kong/demo", &["x.example.com"], &[1], &[], &[]),
        ],
    ));
    gateway.worker.advance(2);
    assert_eq!(gateway.health("healthz").status, 200, "nobody has looked since");
    gateway.serve(DEMO, 1, START + 2);
    assert_eq!(gateway.health("healthz").status, 503);
}

#[test]
fn drift_is_logged_when_it_begins_and_when_it_ends() {
    let mut gateway = Gateway::with(Profile::kong(), &three(START - 1000));
    let logged = |gateway: &Gateway| {
        let lines =
            gateway.worker.logs().iter().filter(|l| l.text.contains("drift (") || l.text.contains("drifts"));
        lines.map(|l| l.text.clone()).collect::<Vec<_>>()
    };
    for _ in 0..20 {
        gateway.serve(DEMO, 3, START);
    }
    assert_eq!(logged(&gateway).len(), 1, "{:?}", logged(&gateway));
    assert!(logged(&gateway)[0].contains("drift (previous) of demo.example.com"), "{:?}", logged(&gateway));
    for _ in 0..20 {
        gateway.serve(DEMO, 1, START + 1);
    }
    assert_eq!(logged(&gateway).len(), 2);
    assert!(logged(&gateway)[1].contains("demo.example.com drifts no more"), "{:?}", logged(&gateway));
}

#[test]
fn a_thousand_drifting_hosts_do_not_fill_the_log() {
    let hosts: Vec<String> = (0..1000).map(|n| format!("h{n}.example.org")).collect();
    let listed: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let other = entry("kong/o", &["o.example.org"], &[5], &[], &[]);
    let many = entry("kong/many", &listed, &[1], &[], &[]);
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &[&many, &other]));
    let before = gateway.worker.logs().len();
    for host in &hosts {
        gateway.serve(host, 5, START);
    }
    gateway.worker.advance(70);
    let lines = gateway.worker.logs().len() - before;
    assert_eq!(lines, 11, "{:?}", gateway.worker.logs());
    assert!(gateway.worker.logs().last().unwrap().text.contains("990 more hosts"));
}

#[test]
fn a_matching_request_makes_two_host_calls_and_the_response_none() {
    for (profile, calls) in [(Profile::kong(), 2), (Profile::envoy(), 3)] {
        let mut gateway = Gateway::with(profile, &three(START));
        gateway.serve(DEMO, 1, START);
        let before = gateway.worker.cost();
        gateway.serve(DEMO, 1, START);
        let cost = gateway.worker.cost().since(&before);
        assert_eq!(cost.calls(), calls, "{}: {cost:?}", profile.name);
        assert_eq!(cost.calls_of(HostCall::GetHeaderMapValue), 1);
    }
    assert_eq!(NOW, START + 1, "the first tick is a second after the start");
}

#[test]
fn wildcards_go_by_the_rules_of_the_ledgers_gateway() {
    let listed = entry("kong/w", &["*.w.example.com"], &[1], &[], &[]);
    let mut kong = Gateway::with(Profile::kong(), &ledger(START, &[&listed]));
    kong.serve("A.W.example.com.", 1, START);
    kong.serve("a.b.w.example.com", 1, START);
    assert_eq!(kong.report("")["counters"]["unlisted"], 1, "one label in Kong");
    let mut envoy = Gateway::with(
        Profile::envoy(),
        &ledger(START, &[&listed]).replace(r#""match": "kong""#, r#""match": "envoy""#),
    );
    envoy.serve("a.b.w.example.com", 1, START);
    assert_eq!(envoy.report("")["counters"]["judged"], 1, "any number in Envoy");
}

#[test]
fn a_chain_that_says_all_it_serves_costs_no_host_call() {
    let said = format!(
        r#", "prefix": "", "header_to": "all", "certificate": {{"declared": {{"fingerprint": "{}", "sni": "{DEMO}"}}}}"#,
        print(1)
    );
    for profile in Profile::ALL {
        let demo = |current| {
            ledger(START + u64::from(current), &[&entry("kong/demo", &[DEMO], &[current], &[], &[])])
        };
        let mut gateway = Gateway::configured(profile, &demo(1), &filter::config(&said));
        let request = |gateway: &mut Gateway| gateway.worker.request().send().header("x-certdrift");
        assert_eq!(request(&mut gateway), None);
        let cost = gateway.worker.measure(|worker| {
            worker.request().send();
        });
        assert_eq!(cost.calls(), 0, "{}: {cost:?}", profile.name);
        gateway.ledger(&demo(2));
        gateway.worker.advance(200);
        let header = request(&mut gateway).unwrap_or_default();
        assert!(
            header.starts_with("drift; class=unknown;") && header.ends_with("evidence=declared"),
            "{header}"
        );
    }
}
