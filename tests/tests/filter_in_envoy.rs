//! The shipped filter in a real Envoy: what the profile `envoy` of our own host says, said by Envoy.
use certdrift_contract::Fingerprint;
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::envoy::{Chain, Envoy};
use certdrift_harness::wait;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DEMO: &str = "demo.example.com";
const PATIENCE: Duration = Duration::from_secs(30);
const CONFIG: &str =
    r#"{"ledger": {"locations": [{"upstream": "ledger", "path": "/ledger/edge"}]}, "header_to": "all"}"#;

/// Answers every request with the text, by ETag; empty: it closes without a word.
fn serve(text: &Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let text = Arc::clone(text);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let text = Arc::clone(&text);
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut lines = BufReader::new(stream.try_clone()?).lines();
                loop {
                    let head: Vec<String> =
                        lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                    let body = text.lock().expect("not poisoned").clone();
                    if head.is_empty() || body.is_empty() {
                        return Ok(());
                    }
                    let etag = format!("\"{}\"", Fingerprint::of(body.as_bytes()));
                    if head.iter().any(|line| line.eq_ignore_ascii_case(&format!("if-none-match: {etag}"))) {
                        write!(stream, "HTTP/1.1 304 Not Modified\r\netag: {etag}\r\n\r\n")?;
                    } else {
                        let length = body.len();
                        write!(
                            stream,
                            "HTTP/1.1 200 OK\r\netag: {etag}\r\ncontent-length: {length}\r\n\r\n{body}"
                        )?;
                    }
                }
            });
        }
    });
    address
}

fn ledger(revision: u64, current: Fingerprint, retiring: Option<Fingerprint>) -> String {
    let retiring = retiring
        .map(|leaf| format!(r#"{{"sha256": "{leaf}", "until": "2026-01-01T00:00:00Z"}}"#))
        .unwrap_or_default();
    format!(
        r#"{{"schema": "certdrift.dev/ledger/v1", "gateway": "edge", "match": "envoy", "revision": {revision},
        "published_at": "2026-11-24T00:00:00Z", "entries": [{{"source": "file:demo", "hosts": ["{DEMO}"],
        "since": "2026-11-23T00:00:00Z", "current": [{{"sha256": "{current}", "not_after": "2027-01-01T00:00:00Z"}}],
        "retiring": [{retiring}]}}]}}"#
    )
}

/// One request over a connection of its own; everything that came back.
fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-servername", DEMO, "-connect", &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {DEMO}\r\nconnection: close\r\n\r\n");
    client.stdin.as_mut().expect("piped").write_all(request.as_bytes()).expect("it reads");
    let mut said = String::new();
    client.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    let _ = client.wait();
    said
}

/// Asks until the answer has the text.
fn until_it_says(address: SocketAddr, path: &str, text: &str) -> String {
    wait::until(text, PATIENCE, || {
        let said = ask(address, "GET", path);
        if said.contains(text) { Ok(said) } else { Err(said) }
    })
}

struct Edge {
    envoy: Envoy,
    ledger: Arc<Mutex<String>>,
    old: (Chain, Fingerprint),
    new: (Chain, Fingerprint),
    _folder: tempfile::TempDir,
}

/// An Envoy that serves the first of two certificates of one host.
fn edge(config: &str) -> Edge {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new("certdrift test").expect("a CA");
    let chain = |name: &str, folder: &Path| {
        let leaf = ca.issue(&wish(&[DEMO])).expect("a leaf");
        let (certificate, key) = leaf.write(folder, name).expect("written");
        (Chain::new(&[DEMO], &certificate, &key).declares(leaf.fingerprint), leaf.fingerprint)
    };
    let (old, new) = (chain("old", folder.path()), chain("new", folder.path()));
    let text = Arc::new(Mutex::new(ledger(1_795_478_400, old.1, None)));
    let module = xtask::build::wasm().expect("the filter");
    let plan = Envoy::plan().wasm(&module, config).cluster("ledger", serve(&text));
    let envoy = plan.chain(old.0.clone()).start().expect("Envoy starts");
    Edge { envoy, ledger: text, old, new, _folder: folder }
}

#[test]
fn drift_appears_when_the_ledger_moves_on_and_goes_when_envoy_follows() {
    let edge = edge(CONFIG);
    let address = edge.envoy.address();
    until_it_says(address, "/certdrift/readyz", r#""ready":true"#);
    let said = until_it_says(address, "/", "hello");
    assert!(!said.contains("x-certdrift"), "{said}");
    until_it_says(address, "/certdrift/healthz", r#""verdict":"match""#);

    *edge.ledger.lock().expect("not poisoned") = ledger(1_795_478_401, edge.new.1, Some(edge.old.1));
    let header = format!(
        "x-certdrift: drift; class=previous; served={}; expected={}; evidence=declared",
        edge.old.1.short(),
        edge.new.1.short()
    );
    let drift = until_it_says(address, "/", &header);
    assert!(drift.starts_with("HTTP/1.1 200 OK") && drift.contains("hello"), "{drift}");
    let health = ask(address, "GET", "/certdrift/healthz");
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");

    edge.envoy.serve(std::slice::from_ref(&edge.new.0)).expect("Envoy takes the renewed certificate");
    wait::until("no drift", PATIENCE, || {
        let said = ask(address, "GET", "/");
        if said.contains("hello") && !said.contains("x-certdrift") { Ok(()) } else { Err(said) }
    });
    until_it_says(address, "/certdrift/healthz", r#""verdict":"match""#);
    assert!(edge.envoy.counter("wasmcustom.drift_total_class=previous").expect("stats") > 0);
}

#[test]
fn health_in_envoy_is_what_our_own_host_says() {
    let edge = edge(CONFIG);
    let address = edge.envoy.address();
    until_it_says(address, "/certdrift/report", r#""gateway":"edge""#);
    for (method, path, begins, has) in [
        ("GET", "livez", "HTTP/1.1 200", r#"{"live":true}"#),
        ("HEAD", "livez", "HTTP/1.1 200", "cache-control: no-store"),
        ("POST", "livez", "HTTP/1.1 405", "allow: GET, HEAD"),
        ("GET", "nothing", "HTTP/1.1 404", r#"{"error":"not found""#),
        ("GET", "report?hosts=all", "HTTP/1.1 200", DEMO),
        ("GET", "../", "HTTP/1.1 404", "not found"),
    ] {
        let said = ask(address, method, &format!("/certdrift/{path}"));
        assert!(said.starts_with(begins) && said.contains(has), "{method} {path}: {said}");
    }
    assert!(!ask(address, "HEAD", "/certdrift/livez").contains("live\":true"));
    assert!(ask(address, "GET", "/certdriftx").contains("hello"));
}

#[test]
fn a_dead_ledger_and_a_wrong_one_leave_envoy_serving_by_the_last_good_one() {
    let edge = edge(CONFIG);
    let address = edge.envoy.address();
    until_it_says(address, "/certdrift/readyz", r#""ready":true"#);
    for (text, why) in [("", "it answered 503"), ("{\"schema\":", "(byte "), ("[]", "expected an object")] {
        text.clone_into(&mut edge.ledger.lock().expect("not poisoned"));
        let report = wait::until(why, PATIENCE, || {
            let said = ask(address, "GET", "/certdrift/report");
            if said.contains(why) { Ok(said) } else { Err(said) }
        });
        assert!(report.contains("\"revision\":1795478400"), "{why}: {report}");
        assert!(ask(address, "GET", "/").contains("hello"));
    }
}

#[test]
fn a_wrong_configuration_leaves_envoy_serving_and_says_why() {
    let edge = edge(r#"{"ledger": {"locations": [{"upstream": "http://x", "path": "/"}]}}"#);
    let address = edge.envoy.address();
    assert!(until_it_says(address, "/", "hello").starts_with("HTTP/1.1 200"));
    let health = ask(address, "GET", "/certdrift/healthz");
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("misconfigured"), "{health}");
    assert!(edge.envoy.log().contains("never a URL"), "{}", edge.envoy.log());
}
