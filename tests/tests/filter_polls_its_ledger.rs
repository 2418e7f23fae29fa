//! How the filter gets its ledger, and what it does when something else comes back.
mod filter;

use certdrift_contract::Fingerprint;
use certdrift_tests::host::{Answer, HostCall, Profile, START, Wasm, Worker, status};
use filter::{Gateway, config, document, entry, ledger, ledger_of, print};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const DEMO: &str = "demo.example.com";
const TWO: &str = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [
    {"upstream": "127.0.0.1:8787", "path": "/ledger/kong", "token": "t0ken", "authority": "controller.certdrift"},
    {"upstream": "127.0.0.1:8788", "path": "/ledger.json"}], "stale_after_seconds": 60}}"#;

fn demo(n: u8) -> String {
    entry("kong/demo", &[DEMO], &[n], &[], &[])
}

fn polls(gateway: &Gateway, result: &str) -> u64 {
    gateway.worker.metric(&format!("polls_total_result={result}")).unwrap()
}

fn revision(gateway: &mut Gateway) -> u64 {
    gateway.report("")["ledger"]["revision"].as_u64().unwrap_or(0)
}

/// A worker whose two locations answer as told.
fn two(first: &str, second: &str) -> (Gateway, [Rc<RefCell<String>>; 2]) {
    let bodies = [first, second].map(|body| Rc::new(RefCell::new(body.to_owned())));
    let mut gateway = Gateway::configured(Profile::kong(), "", TWO);
    let answers = bodies.clone();
    gateway.worker.answer(move |call| {
        let body = answers[usize::from(call.upstream.ends_with("8788"))].borrow();
        if body.is_empty() { Answer::refused() } else { document(call, &body) }
    });
    gateway.worker.advance(1);
    (gateway, bodies)
}

#[test]
fn it_polls_each_second_and_is_answered_304() {
    for profile in Profile::ALL {
        let mut gateway = Gateway::with(profile, &ledger(START, &[&demo(1)]));
        gateway.worker.advance(10);
        assert_eq!(gateway.worker.calls().len(), 11, "{}", profile.name);
        assert_eq!(
            (polls(&gateway, "changed"), polls(&gateway, "unchanged")),
            (1, 9),
            "told at the next tick"
        );
        let call = &gateway.worker.calls()[1];
        assert!(!call.header("if-none-match").is_empty());
        assert_eq!(
            (call.header(":method").as_str(), call.header(":authority").as_str()),
            ("GET", "127.0.0.1:8787")
        );
    }
}

#[test]
fn two_root_contexts_poll_once() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &[&demo(1)]));
    gateway.worker.root(config(""));
    gateway.worker.root(config(r#", "prefix": "/other""#));
    let before = gateway.worker.calls().len();
    gateway.worker.advance(10);
    assert_eq!(gateway.worker.calls().len() - before, 10);
    assert_eq!(gateway.worker.timers().len(), 3, "each ticks");
}

#[test]
fn the_interval_is_kept_and_is_five_seconds_unless_told() {
    const ONE: &str = r#""poll_interval_seconds": 1, "#;
    for (interval, calls) in [("", 5), (r#""poll_interval_seconds": 10, "#, 3), (ONE, 21)] {
        let configured = config("").replace(ONE, interval);
        let mut gateway = Gateway::configured(Profile::kong(), &ledger(START, &[&demo(1)]), &configured);
        gateway.worker.advance(20);
        assert_eq!(gateway.worker.calls().len(), calls, "{configured}");
    }
}

#[test]
fn a_change_is_in_use_after_the_next_poll() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &[&demo(1)]));
    gateway.ledger(&ledger(START + 1, &[&demo(2)]));
    gateway.worker.advance(1);
    assert!(gateway.serve(DEMO, 2, START).header("x-certdrift").is_none());
    assert_eq!(revision(&mut gateway), START + 1);
    gateway.worker.tick();
    assert_eq!(gateway.worker.metric("ledger_revision"), Some(START + 1));
}

type Gives = Box<dyn Fn() -> Answer>;

#[test]
fn whatever_comes_back_the_last_good_one_stays() {
    let good = ledger(START, &[&demo(1)]);
    let short = || {
        let headers =
            vec![(b":status".to_vec(), b"200".to_vec()), (b"content-length".to_vec(), b"999".to_vec())];
        Answer::raw(headers, Ok(b"{}".to_vec()))
    };
    let answers: Vec<(&str, &str, Gives)> = vec![
        ("refused", "unreachable", Box::new(Answer::refused)),
        ("silent", "unreachable", Box::new(Answer::silent)),
        ("500", "unreachable", Box::new(|| Answer::response(500, &[], "no"))),
        ("302", "unreachable", Box::new(|| Answer::response(302, &[("location", "/x")], ""))),
        ("empty", "bad", Box::new(|| Answer::response(200, &[], ""))),
        ("close-delimited", "bad", Box::new(|| Answer::close_delimited("{}"))),
        ("closed early", "bad", Box::new(|| Answer::closed_early(status::BAD_ARGUMENT))),
        ("short", "bad", Box::new(short)),
        ("no JSON", "bad", Box::new(|| Answer::response(200, &[], "<html>"))),
        (
            "other schema",
            "bad",
            Box::new(|| Answer::response(200, &[], r#"{"schema": "certdrift.dev/ledger/v2"}"#)),
        ),
        ("oversized", "bad", Box::new(|| Answer::response(200, &[], vec![b' '; (4 << 20) + 1]))),
        ("304 unasked", "bad", Box::new(Answer::not_modified)),
        ("too far ahead", "refused", Box::new(|| Answer::response(200, &[], ledger(START + 90_000, &[])))),
    ];
    for (name, result, answer) in answers {
        // No ETag, so that a 304 was never asked for.
        let mut gateway = Gateway::configured(Profile::kong(), "", &config(""));
        let body = good.clone();
        gateway.worker.answer(move |_| Answer::response(200, &[], body.clone()));
        gateway.worker.advance(1);
        assert_eq!(revision(&mut gateway), START, "{name}");
        let before = polls(&gateway, result);
        gateway.worker.answer(move |_| answer());
        gateway.worker.advance(9);
        assert!(polls(&gateway, result) >= before + 2, "{name}: {:?}", gateway.worker.metrics());
        let report = gateway.report("");
        assert_eq!(report["ledger"]["revision"], START, "{name}");
        assert!(report["ledger"]["age_seconds"].as_u64().unwrap() >= 8, "{name}");
        assert_ne!(report["ledger"]["last_error"], "", "{name}");
        let told = gateway.worker.logs().iter().filter(|l| l.text.contains("no ledger from")).count();
        assert!(told <= 2, "{name}: said when it begins, not at each poll");
        let back = good.clone();
        gateway.worker.answer(move |_| Answer::response(200, &[], back.clone()));
        gateway.worker.advance(4);
        assert_eq!(gateway.report("")["ledger"]["last_error"], "", "{name}");
        assert!(gateway.worker.logs().last().unwrap().text.contains("good ledger again"), "{name}");
    }
}

#[test]
fn the_next_location_is_asked_when_one_fails_and_the_first_again_at_the_next_poll() {
    let (mut gateway, [first, _]) = two("", &ledger(START, &[&demo(1)]));
    assert_eq!(gateway.report("")["ledger"]["location"], "127.0.0.1:8788/ledger.json");
    let call = gateway.worker.calls().iter().find(|c| c.path() == "/ledger/kong").unwrap();
    assert_eq!(call.header("x-certdrift-token"), "t0ken");
    assert_eq!(call.header(":authority"), "controller.certdrift");
    *first.borrow_mut() = ledger(START + 5, &[&demo(2)]);
    gateway.worker.advance(1);
    let report = gateway.report("");
    assert_eq!(report["ledger"]["location"], "127.0.0.1:8787/ledger/kong");
    assert_eq!(report["ledger"]["revision"], START + 5);
}

#[test]
fn a_slower_location_never_makes_it_go_back_and_forth() {
    let (mut gateway, [first, second]) = two(&ledger(START + 5, &[&demo(2)]), &ledger(START, &[&demo(1)]));
    assert_eq!(revision(&mut gateway), START + 5);
    first.borrow_mut().clear();
    gateway.worker.advance(30);
    assert_eq!(
        revision(&mut gateway),
        START + 5,
        "the older one is not taken though the newer cannot be had"
    );
    assert!(gateway.report("")["ledger"]["last_error"].as_str().unwrap().contains("older than"));
    *second.borrow_mut() = ledger(START + 5, &[&demo(2)]);
    gateway.worker.advance(1);
    assert_eq!(
        gateway.report("")["ledger"]["age_seconds"],
        0,
        "the same revision confirms it, wherever it is from"
    );
    *second.borrow_mut() = ledger(START, &[&demo(1)]);
    *first.borrow_mut() = ledger(START + 6, &[&demo(2)]);
    gateway.worker.advance(30);
    assert_eq!(revision(&mut gateway), START + 6);
    first.borrow_mut().clear();
    gateway.worker.advance(90);
    assert_eq!(revision(&mut gateway), START, "once it is stale, what stands is taken");
}

#[test]
fn an_older_revision_is_taken_at_the_third_poll_and_said() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START + 1000, &[&demo(1)]));
    gateway.worker.advance(5);
    gateway.ledger(&ledger(START, &[&demo(2)]));
    gateway.worker.advance(2);
    assert_eq!(revision(&mut gateway), START + 1000);
    assert!(gateway.report("")["ledger"]["last_error"].as_str().unwrap().contains("poll 2 of 3"));
    gateway.worker.advance(1);
    assert_eq!(revision(&mut gateway), START);
    assert!(gateway.worker.logs().iter().any(|l| l.text.contains("went back from revision")));
    gateway.worker.advance(3);
    assert!(gateway.worker.calls().last().unwrap().headers.iter().any(|(n, _)| n == b"if-none-match"));
    assert_eq!(gateway.report("")["ledger"]["age_seconds"], 0);
}

#[test]
fn one_wrong_clock_does_not_freeze_a_fleet() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START + 90_000, &[&demo(1)]));
    assert_eq!(gateway.report("")["ledger"], serde_json::Value::Null);
    assert!(gateway.report("")["problems"][0].as_str().unwrap().contains("more than a day ahead"));
    gateway.worker.advance(2);
    assert_eq!(polls(&gateway, "refused"), 2);
    gateway.ledger(&ledger(START, &[&demo(1)]));
    gateway.worker.advance(1);
    assert_eq!(revision(&mut gateway), START);
}

/// An index over parts, each a ledger part's text, and a closure's answer for a path.
fn index(revision: u64, parts: &[String]) -> String {
    let refs = parts.iter().enumerate().map(|(n, text)| {
        format!(r#"{{"name": "{n:02}", "sha256": "{}"}}"#, Fingerprint::of(text.as_bytes()))
    });
    ledger_of(revision, &format!(r#""parts": [{}]"#, refs.collect::<Vec<_>>().join(", ")))
}

fn part(n: usize, entries: &[&str]) -> String {
    let entries = entries.join(", ");
    format!(
        r#"{{"schema": "certdrift.dev/ledger-part/v1", "gateway": "kong", "name": "{n:02}", "entries": [{entries}]}}"#
    )
}

#[test]
fn of_a_ledger_in_parts_only_what_changed_is_fetched_and_taken_as_a_whole() {
    let parts = Rc::new(RefCell::new(vec![
        part(0, &[&demo(1)]),
        part(1, &[&entry("kong/b", &["b.example.com"], &[2], &[], &[])]),
    ]));
    let revision_now = Rc::new(Cell::new(START));
    let mut gateway = Gateway::configured(Profile::kong(), "", &config(""));
    let (answers, at) = (Rc::clone(&parts), Rc::clone(&revision_now));
    gateway.worker.answer(move |call| match call.path().as_str() {
        "/ledger.json" => document(call, &index(at.get(), &answers.borrow())),
        "/ledger-00.json" => Answer::response(200, &[], answers.borrow()[0].clone()),
        "/ledger-01.json" => Answer::response(200, &[], answers.borrow()[1].clone()),
        other => panic!("{other}"),
    });
    gateway.worker.advance(1);
    assert_eq!(revision(&mut gateway), START);
    assert_eq!(gateway.report("")["ledger"]["hosts"], 2);
    let before = gateway.worker.calls().len();
    parts.borrow_mut()[1] = part(1, &[&entry("kong/b", &["b.example.com"], &[3], &[], &[])]);
    revision_now.set(START + 1);
    gateway.worker.advance(1);
    let asked: Vec<String> = gateway.worker.calls()[before..].iter().map(|c| c.path()).collect();
    assert_eq!(asked, ["/ledger.json", "/ledger-01.json"]);
    assert_eq!(gateway.serve("b.example.com", 3, START).header("x-certdrift"), None);
    assert_eq!(gateway.serve(DEMO, 1, START).header("x-certdrift"), None);
}

#[test]
fn a_part_that_is_not_what_the_index_says_leaves_the_ledger_as_it_was() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &[&demo(1)]));
    let parts = [part(0, &[&demo(2)])];
    let text = index(START + 1, &parts);
    gateway.worker.answer(move |call| match call.path().as_str() {
        "/ledger.json" => document(call, &text),
        _ => Answer::response(200, &[], part(0, &[&demo(3)])),
    });
    gateway.worker.advance(3);
    assert_eq!(revision(&mut gateway), START);
    assert!(gateway.report("")["ledger"]["last_error"].as_str().unwrap().contains("SHA-256"));
    assert_eq!(gateway.serve(DEMO, 1, START).header("x-certdrift"), None);
}

#[test]
fn an_answer_that_never_comes_does_not_stop_the_polls() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &[&demo(1)]));
    gateway.worker.answer(|call| document(call, "{}").after(Duration::from_secs(100_000)));
    gateway.worker.advance(60);
    let waiting = gateway.worker.unanswered();
    assert!((1..=2).contains(&waiting), "one call at a time, given up after a while: {waiting}");
    let good = ledger(START + 1, &[&demo(1)]);
    gateway.worker.answer(move |call| document(call, &good));
    gateway.worker.advance(60);
    assert_eq!(revision(&mut gateway), START + 1);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_polls() {
    let mut gateway = Gateway::with(Profile::kong(), &ledger(START, &[&demo(1)]));
    gateway.worker.set_clock(START - 86_400);
    let before = gateway.worker.calls().len();
    gateway.worker.advance(5);
    assert!(gateway.worker.calls().len() >= before + 4);
}

#[test]
fn nothing_is_polled_before_the_first_tick_since_kong_traps_on_it() {
    let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
    worker.root(config(""));
    assert_eq!(worker.host_calls(HostCall::HttpCall), 0);
    assert_eq!(worker.metric("drift_total_class=previous"), Some(0), "counters are there from the beginning");
    assert_eq!(print(1).len(), 64);
}
