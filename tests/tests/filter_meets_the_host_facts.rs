//! certdrift's filter against each trap and each `dispatch_http_call` fact of the host notes that a host can show
//! (`host_facts.rs` shows that our host behaves so).
use certdrift_tests::host::{Answer, Callback, HostCall, Profile, START, Wasm, Worker, status};
use certdrift_tests::ledgers::{Served, entry, fleet, full, ledger};
use std::time::Duration;

const CONFIG: &str = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger/kong"}]}}"#;
const BY_NAME_FIRST: &str = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "localhost:8787", "path": "/ledger/kong"},
    {"upstream": "127.0.0.1:8787", "path": "/ledger/kong"}]}}"#;

fn served(revision: u64) -> Served {
    let entries = vec![entry("demo/tls", &["demo.example.com"], &format!("of {revision}"))];
    Served::whole("/ledger/kong", &ledger(revision, entries))
}

/// A Kong worker that has the ledger of revision START.
fn ready() -> Worker {
    let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
    let first = served(START);
    worker.answer(move |call| first.answer(call));
    worker.root(CONFIG);
    worker.advance(2);
    assert_eq!(worker.metric("ledger_revision"), Some(START));
    worker
}

fn healthz(worker: &mut Worker) -> (u32, String) {
    let response = worker.request().path("/certdrift/healthz").send();
    assert!(response.from_filter);
    (response.status, response.json()["verdict"].as_str().unwrap_or_default().to_owned())
}

/// Whether the ledger of revision START still judges.
fn still_judges(worker: &mut Worker) -> bool {
    let line = full(START, &format!("of {START}"), "demo.example.com");
    let before = worker.request().path("/certdrift/report").send().json()["counters"]["judged"].as_u64();
    let response = worker.request().tap(&line).send();
    let after = worker.request().path("/certdrift/report").send().json();
    response.status == 200
        && after["counters"]["judged"].as_u64() == before.map(|n| n + 1)
        && after["counters"]["drift"] == 0
        && after["ledger"]["revision"] == START
}

/// `answer` to all polls of a minute takes nothing away, and the report says what is wrong.
fn keeps_its_ledger(answer: impl Fn() -> Answer + 'static, says: &str) {
    let mut worker = ready();
    worker.answer(move |_| answer());
    worker.advance(60);
    assert!(still_judges(&mut worker));
    let report = worker.request().path("/certdrift/report").send().json();
    let error = report["ledger"]["last_error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains(says), "{error:?} does not say {says:?}");
    assert!(
        worker.logs().iter().filter(|line| line.level >= 3).count() <= 1,
        "said once: {:?}",
        worker.logs()
    );
}

#[test]
fn trap_1_a_bad_configuration_is_no_refusal() {
    for config in ["", "{", "[]", r#"{"ledger": {}}"#, "\u{0}"] {
        for profile in Profile::ALL {
            let mut worker = Worker::new(profile, &Wasm::certdrift());
            worker.root(config);
            worker.advance(5);
            let response = worker.request().path("/x").send();
            assert_eq!((response.status, response.from_filter), (200, false));
            assert_eq!(healthz(&mut worker), (503, "misconfigured".to_owned()));
        }
    }
}

#[test]
fn trap_2_after_a_reset_it_has_its_ledger_again_and_polls_once_a_second_whatever_ticks() {
    let mut worker = ready();
    for _ in 0..3 {
        worker.reset();
    }
    assert_eq!(worker.timers().len(), 4, "three stray timers and its own");
    worker.advance(2);
    assert!(still_judges(&mut worker));
    let calls = worker.calls().len();
    worker.advance(20);
    let polls = worker.calls().len() - calls;
    assert!((19..=21).contains(&polls), "{polls} polls in 20 seconds");
}

#[test]
fn trap_2_ticks_of_chains_that_were_removed_cost_next_to_nothing() {
    let mut worker = ready();
    let idle = worker.measure(|worker| {
        worker.advance(10);
    });
    for _ in 0..20 {
        worker.reset();
    }
    worker.advance(2);
    let twenty_more = worker.measure(|worker| {
        worker.advance(10);
    });
    let per_tick = twenty_more.fuel.saturating_sub(idle.fuel) / 200;
    assert!(per_tick < 500, "{per_tick} instructions a stray tick");
}

#[test]
fn trap_3_a_body_that_cannot_be_read_takes_nothing_away() {
    for status in status::ALL {
        let headers = vec![(b":status".to_vec(), b"200".to_vec())];
        let mut worker = ready();
        worker.answer(move |_| Answer::raw(headers.clone(), Err(status)));
        worker.advance(5);
        assert!(still_judges(&mut worker), "status {status}");
    }
    keeps_its_ledger(|| Answer::closed_early(status::BAD_ARGUMENT), "empty");
}

#[test]
fn trap_4_a_close_delimited_answer_takes_nothing_away() {
    keeps_its_ledger(|| Answer::close_delimited(ledger(START + 9, fleet(3)).to_bytes()), "empty");
}

#[test]
fn trap_5_it_uses_no_shared_data_and_no_queue() {
    for import in Wasm::certdrift().imports() {
        assert!(!import.contains("shared"), "{import}");
    }
}

#[test]
fn trap_6_ten_root_contexts_have_one_ledger_and_one_poll() {
    let mut worker = ready();
    let roots: Vec<u32> = (0..9).map(|_| worker.root(CONFIG)).collect();
    worker.advance(2);
    let calls = worker.calls().len();
    worker.advance(20);
    let polls = worker.calls().len() - calls;
    assert!((19..=21).contains(&polls), "{polls} polls in 20 seconds, of ten root contexts");
    let line = full(START, "nobody's", "demo.example.com");
    let _ = worker.request_on(roots[3]).tap(&line).send();
    worker.advance(200);
    let _ = worker.request_on(roots[3]).tap(&line).send();
    let seen_by_another = worker.request_on(roots[7]).path("/certdrift/healthz").send();
    assert_eq!(seen_by_another.json()["verdict"], "drift", "observations are shared too");
}

#[test]
fn trap_7_metrics_go_on_after_a_reset() {
    let mut worker = ready();
    let line = full(START, &format!("of {START}"), "demo.example.com");
    for round in 1..=3 {
        for _ in 0..5 {
            let _ = worker.request().tap(&line).send();
        }
        worker.advance(2);
        assert_eq!(worker.metric("judged_total"), Some(5 * round));
        worker.reset();
        worker.advance(2);
    }
}

#[test]
fn trap_8_health_is_json_with_the_newline_too() {
    let mut worker = ready();
    let response = worker.request().path("/certdrift/livez").send();
    assert!(response.text().ends_with('\n'));
    assert_eq!(response.json()["live"], true);
}

#[test]
fn it_never_asks_for_a_property_outside_a_request() {
    let mut worker = ready();
    worker.advance(30);
    for callback in [Callback::VmStart, Callback::Configure, Callback::Tick, Callback::HttpCallResponse] {
        assert_eq!(worker.cost_of(callback).calls_of(HostCall::GetProperty), 0, "{callback}");
    }
}

#[test]
fn nobody_there_takes_nothing_away() {
    keeps_its_ledger(Answer::refused, "127.0.0.1:8787/ledger/kong");
    keeps_its_ledger(Answer::silent, "127.0.0.1:8787/ledger/kong");
}

#[test]
fn a_redirect_is_no_ledger() {
    keeps_its_ledger(|| Answer::response(302, &[("location", "http://127.0.0.1/")], "moved"), "302");
}

#[test]
fn headers_over_eight_kilobytes_take_nothing_away() {
    keeps_its_ledger(|| Answer::response(200, &[("x", &"y".repeat(9000))], "{}"), "nobody answered");
}

#[test]
fn where_a_name_is_not_resolved_the_next_location_serves() {
    let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
    let first = served(START);
    worker.answer(move |call| first.answer(call));
    worker.root(BY_NAME_FIRST);
    worker.advance(2);
    assert!(still_judges(&mut worker));
    assert!(worker.calls().iter().any(|call| call.upstream == "localhost:8787"), "it did ask by name first");
}

/// Read in ngx_wasm_module's sources, as of April 2025 (`ngx_proxy_wasm_pairs_unmarshal`, `ngx_http_proxy_wasm_dispatch`):
/// what a root context's call is made of stays in a pool that is never emptied: 56 bytes a header, its name and value
/// with a zero each, and 40 for the call.
#[test]
fn an_unchanged_poll_leaves_little_in_a_pool_that_only_grows() {
    let config = CONFIG.replace("\"path\"", "\"token\": \"0123456789abcdef\", \"path\"");
    let etag = format!("\"{}\"", "e".repeat(64));
    for config in [CONFIG.to_owned(), config] {
        let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
        let (text, etag) = (ledger(START, fleet(3)).to_bytes(), etag.clone());
        worker.answer(move |call| match call.header("if-none-match") == etag {
            true => Answer::not_modified(),
            false => Answer::document(text.clone(), &etag),
        });
        worker.root(config);
        worker.advance(10);
        let call = worker.calls().last().unwrap();
        assert_eq!(call.header("if-none-match").len(), 66, "the controller's ETag has 64 digits");
        let kept: usize = call.headers.iter().map(|(name, value)| 56 + name.len() + value.len() + 2).sum();
        assert!(kept + 40 <= 500, "{} bytes: {:?}", kept + 40, call.headers);
    }
}

#[test]
fn two_megabytes_of_ledger_are_taken() {
    let mut worker = ready();
    let big = Served::whole("/ledger/kong", &ledger(START + 5, fleet(8_500)));
    assert!(big.bytes() > 2_000_000, "{} bytes", big.bytes());
    worker.answer(move |call| big.answer(call));
    worker.advance(3);
    assert_eq!(worker.metric("ledger_revision"), Some(START + 5));
}

#[test]
fn a_peer_that_drips_for_ever_blocks_no_later_poll() {
    let mut worker = ready();
    let next = served(START + 100);
    let mut first = true;
    worker.answer(move |call| {
        if std::mem::take(&mut first) {
            return Answer::document("{}", "\"1\"").after(Duration::from_hours(1));
        }
        next.answer(call)
    });
    worker.advance(120);
    assert_eq!(worker.metric("ledger_revision"), Some(START + 100));
}
