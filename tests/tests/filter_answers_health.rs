//! What the filter answers under its prefix, and to whom.
mod filter;

use certdrift_tests::host::{Profile, START, Wasm, Worker};
use filter::{Gateway, config, entry, ledger, print};

const DEMO: &str = "demo.example.com";

fn demo() -> String {
    ledger(START, &[&entry("kong/demo", &[DEMO], &[1], &[], &[])])
}

#[test]
fn drift_is_503_for_healthz_alone() {
    let mut gateway = Gateway::with(
        Profile::kong(),
        &ledger(
            START,
            &[
                &entry("kong/demo", &[DEMO], &[1], &[], &[]),
                &entry("kong/b", &["b.example.com"], &[2], &[], &[]),
            ],
        ),
    );
    gateway.serve("b.example.com", 2, START);
    gateway.serve(DEMO, 2, START);
    assert_eq!(gateway.health("healthz").status, 503);
    assert_eq!(gateway.health("readyz").status, 200);
    assert_eq!(gateway.health("livez").status, 200);
    let report = gateway.report("");
    assert_eq!(report["observations"].as_array().unwrap().len(), 1);
    assert_eq!(report["observations"][0]["class"], "other");
    let asked = gateway.report("?hosts=b.example.com,nobody.example");
    assert_eq!(asked["observations"][0]["verdict"], "match");
    assert_eq!(asked["observations"][1]["verdict"], "unlisted");
}

#[test]
fn who_asks_over_tls_is_answered_with_his_own_connection_judged() {
    let both =
        [&*entry("kong/demo", &[DEMO], &[1], &[], &[]), &entry("kong/b", &["b.example.com"], &[2], &[], &[])];
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &both));
    let line = |n: u8, later: u64| format!("v1 full {} {} {DEMO}", START + later, print(n));
    let mut asked = |path: &str, line: &str| {
        let request = gateway.worker.request().path(&format!("/certdrift/{path}"));
        request.tap(line).send()
    };
    assert_eq!(asked("livez", &line(2, 0)).status, 200);
    assert_eq!(asked("healthz", &line(1, 0)).status, 200);
    assert_eq!(asked("healthz", &line(2, 1)).status, 503, "nobody else came to this worker yet");
    assert_eq!(asked("healthz", &line(1, 2)).status, 200);
    // A probe in plain HTTP, or one that resumed its session, is no traffic that could not be judged.
    assert_eq!(asked("healthz", "v1 plain 1795478400 - -").status, 200);
    let report = gateway.report("");
    assert_eq!((&report["counters"]["judged"], &report["counters"]["unjudged"]), (&3.into(), &0.into()));
}

#[test]
fn strangers_pass_through_as_if_it_were_not_there() {
    for profile in Profile::ALL {
        let mut gateway = Gateway::with(profile, &demo());
        for peer in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            let response = gateway.worker.request().peer(peer).path("/certdrift/healthz").send();
            assert_eq!((response.from_filter, response.text().as_str()), (false, "upstream"), "{peer}");
            assert_eq!(response.header("x-certdrift"), None);
        }
        for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(
                gateway.worker.request().peer(peer).path("/certdrift/healthz").send().from_filter,
                "{peer}"
            );
        }
    }
}

#[test]
fn a_forwarded_address_opens_nothing() {
    let mut gateway = Gateway::with(Profile::kong(), &demo());
    let forwarded = gateway
        .worker
        .request()
        .peer("192.0.2.1")
        .property(["ngx", "remote_addr"], "127.0.0.1")
        .property(["source", "address"], "127.0.0.1")
        .header("x-forwarded-for", "127.0.0.1")
        .header("x-real-ip", "127.0.0.1");
    assert!(!forwarded.path("/certdrift/healthz").send().from_filter);
    let unreadable = gateway.worker.request().property(["ngx", "realip_remote_addr"], "unix:");
    assert!(!unreadable.path("/certdrift/healthz").send().from_filter);
}

#[test]
fn a_token_opens_health_to_whoever_has_it() {
    let with_token = config(r#", "health": {"allow": [], "token": "secret"}"#);
    let mut gateway = Gateway::configured(Profile::kong(), &demo(), &with_token);
    let mut ask = |token: Option<&str>| {
        let mut request = gateway.worker.request().peer("192.0.2.1").path("/certdrift/healthz");
        if let Some(token) = token {
            request = request.header("x-certdrift-token", token);
        }
        request.send().from_filter
    };
    assert!(ask(Some("secret")));
    for token in [None, Some(""), Some("secret "), Some("Secret"), Some("s")] {
        assert!(!ask(token), "{token:?}");
    }
}

#[test]
fn an_allow_list_replaces_loopback() {
    let wide = config(r#", "health": {"allow": ["10.0.0.0/8", "fd00::/8"]}"#);
    let mut gateway = Gateway::configured(Profile::envoy(), &demo(), &wide);
    for (peer, open) in [("10.1.2.3", true), ("fd00::1", true), ("127.0.0.1", false), ("11.0.0.1", false)] {
        let response = gateway.worker.request().peer(peer).path("/certdrift/livez").send();
        assert_eq!(response.from_filter, open, "{peer}");
    }
}

#[test]
fn the_prefix_is_configuration_and_ends_where_a_segment_does() {
    let mut gateway = Gateway::configured(Profile::kong(), &demo(), &config(r#", "prefix": "/-/tls/""#));
    for (path, ours) in
        [("/-/tls/livez", true), ("/-/tls", true), ("/-/tlsx/livez", false), ("/certdrift/livez", false)]
    {
        assert_eq!(gateway.worker.request().path(path).send().from_filter, ours, "{path}");
    }
}

#[test]
fn without_a_prefix_health_is_not_answered_and_the_path_not_read() {
    let mut gateway = Gateway::configured(Profile::kong(), &demo(), &config(r#", "prefix": """#));
    for path in ["/certdrift/livez", "/livez", "/", ""] {
        assert!(!gateway.worker.request().path(path).send().from_filter, "{path}");
    }
    let tap = format!("v1 full {START} {} {DEMO}", filter::print(1));
    let cost = gateway.worker.measure(|worker| {
        assert!(!worker.request().path("/certdrift/livez").tap(&tap).send().from_filter);
    });
    assert_eq!(cost.calls(), 1, "the tap's variable alone: {cost:?}");
}

#[test]
fn the_header_goes_where_the_configuration_says() {
    for (more, peer, drift, matching) in [
        ("", "127.0.0.1", true, false),
        ("", "192.0.2.1", false, false),
        (r#", "header_to": "all""#, "192.0.2.1", true, false),
        (r#", "header": "always", "header_to": "all""#, "192.0.2.1", true, true),
        (r#", "header": "always""#, "127.0.0.1", true, true),
        (r#", "header": "always""#, "192.0.2.1", false, false),
        (r#", "header": "never", "header_to": "all""#, "127.0.0.1", false, false),
    ] {
        let two = ledger(
            START,
            &[
                &entry("kong/demo", &[DEMO], &[1], &[], &[]),
                &entry("kong/b", &["b.example.com"], &[2], &[], &[]),
            ],
        );
        let mut gateway = Gateway::configured(Profile::kong(), &two, &config(more));
        for (n, expected) in [(2, drift), (1, matching)] {
            let tap = format!("v1 full {START} {} {DEMO}", filter::print(n));
            let response = gateway.worker.request().peer(peer).tap(&tap).send();
            assert_eq!(response.header("x-certdrift").is_some(), expected, "{more} {peer} {n}");
        }
    }
}

#[test]
fn a_wrong_configuration_leaves_it_passive_and_says_why() {
    for (text, why) in [
        ("", "there is no configuration"),
        ("{", "expected a key"),
        ("{}", "ledger.locations is missing"),
        (r#"{"ledger": {"locations": []}}"#, "ledger.locations is missing"),
        (r#"{"ledger": {"locations": [{"upstream": "http://x:1", "path": "/"}]}}"#, "never a URL"),
        (r#"{"ledger": {"locations": [{"upstream": "127.0.0.1:1", "path": "x"}]}}"#, "ledger.locations[0]"),
        (&config(r#", "header": "sometimes""#), "one of drift always never"),
        (&config(r#", "health": {"allow": ["localhost"]}"#), "\"localhost\" is no address"),
        (&config(r#", "prefix": "/""#), "prefix begins"),
        (&config(r#", "certificate": {}"#), "either property"),
        (&config(r#", "certificate": {"declared": {"fingerprint": "AB"}}"#), "64 lower-case hex digits"),
        (&config(r#", "certificate": {"declared": {"fingerprint": 5}}"#), "certificate.declared.fingerprint"),
        (&config(r#", "certificate": {"declared": {"sni": "a\u0000b"}}"#), "a control character"),
    ] {
        let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
        worker.root(text);
        worker.advance(5);
        assert!(worker.calls().is_empty(), "{text}");
        let response = worker.request().path("/certdrift/healthz").send();
        assert_eq!(response.text().trim_end(), r#"{"healthy":false,"verdict":"misconfigured"}"#, "{text}");
        assert_eq!(response.status, 503);
        let report: serde_json::Value =
            serde_json::from_slice(&worker.request().path("/certdrift/report").send().body).unwrap();
        assert!(report["problems"][0].as_str().unwrap().contains(why), "{text}: {report}");
        assert!(worker.logs().iter().any(|line| line.level == 4 && line.text.contains(why)), "{text}");
        let tap = format!("v1 full {START} {} {DEMO}", filter::print(1));
        assert_eq!(worker.request().tap(&tap).send().text(), "upstream");
    }
}

#[test]
fn an_unknown_key_is_told_and_ignored() {
    let mut gateway = Gateway::configured(Profile::kong(), &demo(), &config(r#", "heathl": {"token": "x"}"#));
    assert_eq!(gateway.health("healthz").status, 200);
    assert_eq!(gateway.report("")["problems"][0], "the configuration has the unknown key heathl");
}

#[test]
fn a_wrong_configuration_does_not_take_the_ledger_from_the_others() {
    let mut gateway = Gateway::with(Profile::kong(), &demo());
    let wrong = gateway.worker.root("{");
    gateway.worker.advance(2);
    assert_eq!(gateway.report("")["ledger"]["age_seconds"], 0);
    assert_eq!(gateway.report("")["verdict"], "misconfigured");
    assert_eq!(gateway.worker.request_on(wrong).send().text(), "upstream");
    gateway.worker.root(config(""));
    gateway.worker.advance(2);
    assert_eq!(gateway.report("")["verdict"], "unobserved", "mended by the next");
}

#[test]
fn without_a_ledger_it_says_so_and_is_ready_after_a_while() {
    let mut gateway =
        Gateway::configured(Profile::kong(), "", &config(r#", "health": {"ready_after_seconds": 10}"#));
    assert_eq!(gateway.health("readyz").status, 503);
    let healthz = gateway.health("healthz");
    assert_eq!(
        (healthz.status, healthz.text().trim_end()),
        (503, r#"{"healthy":false,"verdict":"no-ledger"}"#)
    );
    gateway.serve(DEMO, 1, START);
    gateway.worker.advance(10);
    assert_eq!(gateway.health("readyz").status, 200);
    assert_eq!(gateway.worker.metric("unjudged_total_reason=no-ledger"), Some(1));
    gateway.ledger(&demo());
    gateway.worker.advance(1);
    assert_eq!(gateway.health("healthz").status, 200);
}

#[test]
fn a_ledger_that_is_not_confirmed_is_stale_and_harms_nothing() {
    let mut gateway = Gateway::with(Profile::kong(), &demo());
    gateway.serve(DEMO, 1, START);
    gateway.ledger("");
    gateway.worker.advance(500);
    assert_eq!(gateway.health("healthz").status, 200);
    gateway.worker.advance(200);
    assert_eq!(gateway.health("healthz").text().trim_end(), r#"{"healthy":false,"verdict":"stale-ledger"}"#);
    assert_eq!(gateway.health("readyz").status, 200);
    assert_eq!(gateway.serve(DEMO, 1, START).header("x-certdrift"), None);
    assert!(gateway.worker.metric("ledger_age_seconds").unwrap() >= 690);
}
