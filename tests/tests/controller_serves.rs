//! The controller's own port, from outside: metrics in both formats, ledgers with ETag, the level of the log; and what
//! it says of a configuration that is wrong.
use certdrift_tests::certs::{Ca, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::nginx::request;
use certdrift_tests::wait;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};

fn gateway(folder: &std::path::Path) -> String {
    format!(
        "- name: kong\n  sources: [{{directory: {}}}]\n  endpoints: [{{name: a, address: \"127.0.0.1:9\"}}]\n",
        folder.display()
    )
}

fn started() -> (tempfile::TempDir, Controller) {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("certdrift test CA").unwrap();
    ca.issue(&wish(&["demo.example.com"])).unwrap().write(folder.path(), "demo").unwrap();
    let controller = Controller::start(&gateway(folder.path())).unwrap();
    wait::until("the first ledger", PATIENCE, || match controller.get("/readyz") {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    (folder, controller)
}

/// Families and their types, and every sample's name, as a strict reader of either format takes them.
fn read(page: &str) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut types, mut samples) = (BTreeMap::new(), BTreeSet::new());
    let mut series = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(series.insert(name.to_owned()), "twice: {line}");
            samples.insert(name.split('{').next().unwrap().to_owned());
        }
    }
    (types, samples)
}

#[test]
fn metrics_are_read_in_both_formats() {
    let (_folder, controller) = started();
    let classic = controller.get("/metrics").unwrap();
    assert!(classic.head.contains("content-type: text/plain; version=0.0.4"), "{}", classic.head);
    let (types, samples) = read(&classic.body);
    for sample in &samples {
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|s| sample.strip_suffix(s)).unwrap_or(sample);
        assert!(types.contains_key(family) || types.contains_key(sample), "{sample} has no type");
    }
    assert_eq!(types["certdrift_ledger_publishes_total"], "counter");
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = request(controller.address(), "GET", "/metrics", &[accept]).unwrap();
    assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"));
    let (types, again) = read(open.body.trim_end_matches("# EOF\n"));
    assert_eq!(types["certdrift_ledger_publishes"], "counter");
    assert_eq!(samples, again);
}

#[test]
fn an_unchanged_ledger_is_not_sent_again() {
    let (_folder, controller) = started();
    let first = controller.get("/ledger/kong").unwrap();
    assert!(first.body.contains("demo.example.com"), "{}", first.body);
    let etag = first.head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap().trim().to_owned();
    let again =
        request(controller.address(), "GET", "/ledger/kong", &[&format!("If-None-Match: {etag}")]).unwrap();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let file = std::fs::read_to_string(controller.state().join("kong/ledger.json")).unwrap();
    assert_eq!(file, first.body, "the file and the port say the same");
    assert_eq!(controller.get("/ledger/nobody").unwrap().status, 404);
}

#[test]
fn a_wrong_configuration_after_hup_is_told_and_the_running_one_kept() {
    let (folder, controller) = started();
    controller.configure(&gateway(folder.path()).replace("endpoints", "endpiont")).unwrap();
    controller.signal(Signal::HUP);
    let refused = "certdrift_config_reloads_total{result=\"refused\"}";
    wait::until("the refusal to be counted", PATIENCE, || match controller.metric(refused) {
        Ok(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let log = controller.log();
    assert!(log.contains("CD-503") && log.contains("did you mean `endpoints`?"), "{log}");
    assert_eq!(controller.get("/readyz").unwrap().status, 200);
}

#[test]
fn a_reload_of_the_configuration_refuses_nobody_and_stays_ready() {
    let (folder, controller) = started();
    let address = controller.address();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let asking = std::thread::spawn(move || {
        let mut answered = 0;
        while stopped.try_recv().is_err() {
            for path in ["/livez", "/readyz", "/ledger/kong"] {
                let answer = request(address, "GET", path, &[]).unwrap_or_else(|e| panic!("{path}: {e:#}"));
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            }
            answered += 1;
        }
        answered
    });
    // One that says nothing holds no reload up.
    let silent = std::net::TcpStream::connect(address).unwrap();
    for n in 1..=5 {
        let grace = format!("  publish: {{grace: {n}m}}\n");
        controller.configure(&format!("{}{grace}", gateway(folder.path()))).unwrap();
        controller.signal(Signal::HUP);
        controller.until_metric("certdrift_config_reloads_total{result=\"taken\"}", f64::from(n));
    }
    stop.send(()).unwrap();
    assert!(asking.join().unwrap() > 0);
    drop(silent);
}

#[test]
fn a_configuration_that_cannot_be_begun_is_told_and_the_running_one_goes_on() {
    let (folder, mut controller) = started();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(controller.configuration()).unwrap();
    let (mine, other) = (controller.address().to_string(), taken.local_addr().unwrap().to_string());
    std::fs::write(controller.configuration(), text.replace(&mine, &other)).unwrap();
    controller.signal(Signal::HUP);
    controller.until_metric("certdrift_config_reloads_total{result=\"refused\"}", 1.0);
    assert!(controller.log().contains("CD-510"), "{}", controller.log());
    assert_eq!(controller.get("/readyz").unwrap().status, 200);
    // The running one still follows its source.
    let ca = Ca::new("certdrift test CA").unwrap();
    ca.issue(&wish(&["more.example.com"])).unwrap().write(folder.path(), "more").unwrap();
    wait::until("the next ledger", PATIENCE, || match controller.get("/ledger/kong") {
        Ok(answer) if answer.body.contains("more.example.com") => Ok(()),
        other => Err(format!("{other:?}\n{}", controller.log())),
    });
    controller.signal(Signal::TERM);
    assert_eq!(controller.ended(), Some(0), "{}", controller.log());
}

#[test]
fn a_wrong_configuration_keeps_it_from_starting_and_names_the_line() {
    let (_folder, controller) = started();
    let path = controller.folder().join("wrong.yaml");
    std::fs::write(&path, "gateways:\n  - name: kong\n    sources: []\n    endpoints: []\n").unwrap();
    for command in [&["run"][..], &["config", "check"]] {
        let output =
            controller.certdrift(&[command, &["--config", path.to_str().unwrap()]].concat()).unwrap();
        assert_eq!(output.status.code(), Some(64));
        let told = String::from_utf8(output.stderr).unwrap();
        for words in ["wrong.yaml:3:5", "wrong.yaml:4:5", "CD-504", "do:"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

#[test]
fn two_controllers_never_hold_one_state() {
    let (_folder, controller) = started();
    let output = controller
        .certdrift(&[
            "run",
            "--listen",
            "127.0.0.1:0",
            "--config",
            controller.configuration().to_str().unwrap(),
        ])
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("another certdrift holds it"), "{told}");
}

#[test]
fn without_a_controller_status_says_how_to_have_one() {
    let (_folder, mut controller) = started();
    controller.kill();
    let output = controller.certdrift(&["status"]).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("CD-521") && told.contains("certdrift run") && told.contains("certdrift check"),
        "{told}"
    );
}

#[test]
fn the_level_of_the_log_is_changed_while_it_runs() {
    use std::io::{Read as _, Write as _};
    let (_folder, controller) = started();
    let mut stream = std::net::TcpStream::connect(controller.address()).unwrap();
    let address = controller.address();
    write!(
        stream,
        "PUT /log-level HTTP/1.1\r\nhost: {address}\r\ncontent-length: 5\r\nconnection: close\r\n\r\ntrace"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("trace\n"), "{answer}");
    assert_eq!(controller.get("/log-level").unwrap().body, "trace\n");
}

#[test]
fn metrics_name_a_host_only_when_its_end_is_near() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("certdrift test CA").unwrap();
    for n in 0..50 {
        ca.issue(&wish(&[&format!("h{n}.example.com")]))
            .unwrap()
            .write(folder.path(), &format!("h{n}"))
            .unwrap();
    }
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let ending = wish(&["ending.example.com"]).valid(now - 86_400, now + 3 * 86_400);
    ca.issue(&ending).unwrap().write(folder.path(), "ending").unwrap();
    let controller = Controller::start(&gateway(folder.path())).unwrap();
    wait::until("the first ledger", PATIENCE, || {
        match controller.metric("certdrift_hosts{gateway=\"kong\"}") {
            Ok(51.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let page = controller.get("/metrics").unwrap().body;
    let near = "certdrift_host_not_after_timestamp_seconds{gateway=\"kong\",host=\"ending.example.com\"}";
    assert!(page.contains(near), "{page}");
    assert_eq!(page.matches("host=\"").count(), 1, "{page}");
    assert!(page.len() < 50_000, "{} bytes", page.len());
}

#[test]
fn a_directory_that_is_not_there_yet_is_told_and_taken_up_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let controller = Controller::start(&gateway(&live)).unwrap();
    wait::until("the missing directory to be told", PATIENCE, || {
        controller.log().contains("CD-120").then_some(()).ok_or_else(|| controller.log())
    });
    let answer = controller.get("/readyz").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, "kong has no complete ledger yet\n"));
    std::fs::create_dir(&live).unwrap();
    let ca = Ca::new("certdrift test CA").unwrap();
    ca.issue(&wish(&["demo.example.com"])).unwrap().write(&live, "demo").unwrap();
    wait::until("the first ledger", PATIENCE, || match controller.get("/ledger/kong") {
        Ok(answer) if answer.body.contains("demo.example.com") => Ok(()),
        other => Err(format!("{other:?}\n{}", controller.log())),
    });
    assert_eq!(controller.get("/readyz").unwrap().status, 200);
}
