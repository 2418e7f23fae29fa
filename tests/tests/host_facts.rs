//! What the gateways do to a filter, as the host notes measured it: shown on our own host with a filter that does on
//! command what certdrift's must never do, so that the host can be believed when certdrift's filter runs on it.
use certdrift_tests::host::{Answer, Callback, HostCall, LoadError, Profile, Wasm, Worker, status};
use std::time::Duration;

fn odd(profile: &'static Profile, word: &str) -> Worker {
    let mut worker = Worker::new(profile, &Wasm::odd()).forgiving();
    worker.root(word);
    worker
}

fn said(worker: &Worker) -> Vec<&str> {
    worker.logs().iter().map(|line| line.text.as_str()).filter(|text| *text != "tick").collect()
}

#[test]
fn a_filter_that_does_nothing_runs_in_every_profile() {
    for profile in Profile::ALL {
        let mut worker = Worker::new(profile, &Wasm::noop());
        worker.root("");
        let response = worker.request().path("/x").send();
        assert_eq!((response.status, response.text().as_str()), (200, "upstream"));
        assert!(!response.from_filter);
        assert!(worker.cost().fuel > 0);
        assert!(worker.memory_pages() > 0);
    }
}

#[test]
fn a_module_that_wants_wasi_is_refused_by_name() {
    // (module (import "wasi_snapshot_preview1" "fd_write" (func)))
    let mut module =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x23\x01\x16wasi_snapshot_preview1\x08fd_write\0\0".to_vec();
    let refused = Wasm::new(&module).expect_err("no gateway has it");
    assert_eq!(refused, LoadError::Import("wasi_snapshot_preview1.fd_write".to_owned()));
    assert!(refused.to_string().contains("wasm32-unknown-unknown"));
    module.truncate(20);
    assert!(matches!(Wasm::new(&module), Err(LoadError::Module(_))));
    assert_eq!(Wasm::new(b"\0asm\x01\0\0\0").expect_err("empty"), LoadError::Export("memory"));
}

#[test]
fn trap_1_a_refused_configuration_leaves_the_node_unfiltered() {
    for word in ["refuse", "trap-on-configure"] {
        let mut worker = odd(Profile::kong(), word);
        assert!(worker.off().is_some());
        let response = worker.request().send();
        assert_eq!((response.status, response.from_filter), (200, false));
        assert_eq!(worker.host_calls(HostCall::GetHeaderMapValue), 0, "no filter ran");
    }
}

#[test]
fn trap_2_a_trap_in_a_request_gives_500_resets_all_root_contexts_and_adds_a_timer() {
    let mut worker = odd(Profile::kong(), "trap-on-request");
    worker.root("poll");
    assert_eq!(worker.timers().len(), 2);
    assert_eq!(worker.request().path("/fine").send().status, 200);
    let configured = worker.cost_of(Callback::Configure).calls();
    assert_eq!(worker.request().path("/trap").send().status, 500);
    assert_eq!(worker.traps().len(), 1);
    assert!(worker.cost_of(Callback::Configure).calls() > configured, "both were configured anew");
    assert_eq!(worker.timers().len(), 4, "the old timers go on for good");
    assert_eq!(worker.request().path("/fine").send().status, 200, "and it goes on");
}

#[test]
fn in_envoy_a_trap_closes() {
    let mut worker = odd(Profile::envoy(), "trap-on-request");
    assert_eq!(worker.request().path("/trap").send().status, 500);
    assert_eq!(worker.request().path("/fine").send().status, 503);
    assert!(worker.timers().is_empty());
}

#[test]
fn trap_3_reading_the_body_of_an_answer_that_closed_early_traps_in_the_sdk() {
    let mut worker = odd(Profile::kong(), "poll");
    worker.answer(|_| Answer::closed_early(status::BAD_ARGUMENT));
    worker.tick();
    assert_eq!(worker.traps()[0].callback, Callback::HttpCallResponse);
}

#[test]
fn trap_4_a_close_delimited_answer_arrives_empty_in_kong_and_whole_in_envoy() {
    for (profile, expected) in
        [(Profile::kong(), "body=0"), (Profile::ngx(), "body=0"), (Profile::envoy(), "body=4")]
    {
        let mut worker = odd(profile, "poll");
        worker.answer(|_| Answer::close_delimited("true"));
        worker.tick();
        assert!(said(&worker)[0].contains("status=200"), "{:?}", said(&worker));
        assert!(said(&worker)[0].ends_with(expected), "{:?}", said(&worker));
    }
}

#[test]
fn trap_5_shared_data_traps_without_a_zone() {
    assert!(odd(Profile::kong(), "shared-data").off().is_some_and(|why| why.contains("shm_kv")));
    assert!(odd(Profile::envoy(), "shared-data").off().is_none());
}

#[test]
fn trap_8_a_local_response_gets_a_newline_in_kong() {
    for (profile, body) in [(Profile::kong(), "odd\n"), (Profile::ngx(), "odd\n"), (Profile::envoy(), "odd")]
    {
        let response = odd(profile, "answer").request().send();
        assert_eq!((response.status, response.text().as_str()), (418, body));
        assert!(response.from_filter);
        assert_eq!(response.header("X-Odd").as_deref(), Some("yes"));
    }
}

#[test]
fn trap_9_each_root_context_ticks() {
    let mut worker = odd(Profile::kong(), "");
    worker.root("");
    worker.root("");
    worker.advance(10);
    assert_eq!(worker.logs().iter().filter(|line| line.text == "tick").count(), 30);
}

#[test]
fn asking_for_an_nginx_variable_in_a_root_context_panics_in_the_sdk() {
    for profile in [Profile::kong(), Profile::ngx()] {
        assert!(odd(profile, "property-in-root").off().is_some());
    }
}

#[test]
fn an_unknown_variable_is_none_and_an_empty_one_is_empty() {
    let mut worker = odd(Profile::kong(), "property");
    worker.request().send();
    worker.request().property(["ngx", "certdrift"], "").send();
    worker.request().property(["ngx", "certdrift"], "v1").send();
    assert_eq!(said(&worker), ["property: None", "property: Some([])", "property: Some([118, 49])"]);
}

#[test]
fn a_refused_or_silent_peer_comes_back_with_no_headers_and_the_reason() {
    let mut worker = odd(Profile::kong(), "poll");
    worker.tick();
    assert!(said(&worker)[0].starts_with("answer: headers=0 status= dispatch=connection refused"));
    worker.answer(|_| Answer::silent());
    worker.advance(1);
    assert_eq!(said(&worker).len(), 1, "the timeout is two seconds");
    worker.advance(2);
    assert!(said(&worker)[1].starts_with("answer: headers=0 status= dispatch=timeout"));
}

#[test]
fn a_name_fails_and_an_address_works() {
    let mut worker = odd(Profile::kong(), "poll-name");
    worker.answer(|_| Answer::document("{}", "1"));
    worker.tick();
    assert!(said(&worker)[0].starts_with("answer: headers=0"));
    let mut worker = odd(Profile::kong(), "poll");
    worker.answer(|_| Answer::document("{}", "1"));
    worker.tick();
    assert!(said(&worker)[0].ends_with("status=200 dispatch=ok body=2"), "{:?}", said(&worker));
}

#[test]
fn redirects_are_not_followed() {
    let mut worker = odd(Profile::kong(), "poll");
    worker.answer(|_| Answer::response(302, &[("location", "http://127.0.0.1:1/")], ""));
    worker.tick();
    assert!(said(&worker)[0].contains("status=302"));
    assert_eq!(worker.calls().len(), 1);
}

#[test]
fn two_megabytes_arrive_whole_and_eight_kilobytes_of_headers_do_not() {
    let mut worker = odd(Profile::kong(), "poll");
    worker.answer(|_| Answer::document(vec![b' '; 2 << 20], "1"));
    worker.tick();
    assert!(said(&worker)[0].ends_with("body=2097152"));
    worker.answer(|_| Answer::response(200, &[("x", &"y".repeat(9000))], "body"));
    worker.tick();
    assert!(said(&worker)[1].starts_with("answer: headers=0"));
}

#[test]
fn a_peer_that_drips_outlives_the_timeout_in_kong_and_not_in_envoy() {
    for (profile, expected) in [(Profile::kong(), "status=200"), (Profile::envoy(), "headers=0")] {
        let mut worker = odd(profile, "poll");
        let mut first = true;
        worker.answer(move |_| {
            let late =
                if std::mem::take(&mut first) { Duration::from_millis(60_500) } else { Duration::ZERO };
            Answer::document("{}", "1").after(late)
        });
        worker.advance(62);
        let late =
            worker.logs().iter().rfind(|line| line.text.starts_with("answer") && line.at >= 1_795_478_461);
        let late_answers = worker.logs().iter().filter(|l| l.text.starts_with("answer")).count();
        assert_eq!(late_answers, 62, "{late:?}");
        assert!(said(&worker).iter().any(|text| text.contains(expected)));
    }
}

#[test]
fn a_filter_that_never_returns_is_a_trap() {
    let mut worker = odd(Profile::kong(), "spin");
    worker.tick();
    assert!(worker.traps()[0].why.contains("fuel"), "{:?}", worker.traps());
}

#[test]
fn a_filter_that_leaks_is_seen() {
    let mut worker = odd(Profile::kong(), "leak");
    let before = worker.memory_pages();
    for _ in 0..1000 {
        let _ = worker.request().send();
    }
    assert!(worker.memory_pages() > before + 10, "a megabyte is sixteen pages");
}
