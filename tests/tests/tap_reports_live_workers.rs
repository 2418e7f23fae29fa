//! The tap's report names the workers that live now, and what each of them served.
use certdrift_contract::tap::{Asked, TapReport};
use certdrift_tests::certs::{Ca, Key, Leaf, placeholder, wish};
use certdrift_tests::nginx::{Nginx, request};
use certdrift_tests::openssl::Client;
use certdrift_tests::process::free_port;
use certdrift_tests::wait;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    nginx: Nginx,
    address: SocketAddr,
    demo: Leaf,
    default: Leaf,
    folder: tempfile::TempDir,
}

/// Two workers; `demo.example.com`, and Kong's placeholder for all other names.
fn site() -> Site {
    let ca = Ca::new("certdrift test CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = ca.issue(&wish(&["demo.example.com"])).unwrap();
    let default = placeholder(Key::Ecdsa).unwrap();
    let port = free_port();
    let server = |leaf: &Leaf, name: &str, more: &str| {
        let (crt, key) = leaf.write(folder.path(), name).unwrap();
        format!(
            "listen 127.0.0.1:{port} ssl http2 {more}; server_name {name};
             ssl_certificate {}; ssl_certificate_key {};
             location / {{ return 200 \"TAP $certdrift END\"; }}",
            crt.display(),
            key.display()
        )
    };
    let nginx = Nginx::with_workers(2)
        .tap()
        .server(&server(&default, "_", "default_server"))
        .server(&server(&demo, "demo.example.com", ""))
        .start()
        .unwrap();
    Site { nginx, address: SocketAddr::from(([127, 0, 0, 1], port)), demo, default, folder }
}

fn pids(report: &TapReport) -> BTreeSet<u32> {
    report.workers.iter().map(|w| w.pid).collect()
}

/// Connects until every worker that runs has told that it served `sni`.
fn every_worker_serves(site: &Site, sni: &str) -> TapReport {
    wait::until("every worker in the report", PATIENCE, || {
        Client::new(site.address).sni(sni).ask(" END").unwrap();
        let report = site.nginx.tap_report().unwrap();
        let served: BTreeSet<u32> =
            report.observations.iter().filter(|o| o.host.as_deref() == Some(sni)).map(|o| o.pid).collect();
        if served == site.nginx.worker_pids() { Ok(report) } else { Err(report) }
    })
}

#[test]
fn every_worker_is_named_with_what_it_served() {
    let site = site();
    let report = every_worker_serves(&site, "demo.example.com");
    assert_eq!(pids(&report), site.nginx.worker_pids());
    for row in &report.observations {
        assert_eq!((row.asked, row.sha256, row.placeholder), (Asked::Name, site.demo.fingerprint, false));
        assert!(row.first_seen <= row.last_seen && row.began <= row.last_seen, "{row:?}");
        let worker = report.workers.iter().find(|w| w.pid == row.pid).unwrap();
        assert_eq!(worker.full, row.count);
        assert!(worker.started <= row.first_seen);
    }
}

#[test]
fn old_workers_leave_the_report_on_reload_and_the_renewed_certificate_comes() {
    let site = site();
    let before = every_worker_serves(&site, "demo.example.com");
    let renewed = Ca::new("certdrift test CA").unwrap().issue(&wish(&["demo.example.com"])).unwrap();
    renewed.write(site.folder.path(), "demo.example.com").unwrap();
    site.nginx.reload().unwrap();
    let report = site.nginx.tap_report().unwrap();
    assert!(pids(&report).is_disjoint(&pids(&before)), "{report:?}");
    assert!(report.observations.is_empty(), "{report:?}");

    let after = every_worker_serves(&site, "demo.example.com");
    assert_eq!(pids(&after), site.nginx.worker_pids());
    assert!(after.observations.iter().all(|o| o.sha256 == renewed.fingerprint), "{after:?}");
}

#[test]
fn a_worker_that_is_shutting_down_left_the_report_though_it_still_serves() {
    let site = site();
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = free_port();
    let (crt, key) =
        (site.folder.path().join("demo.example.com.crt"), site.folder.path().join("demo.example.com.key"));
    let nginx = Nginx::with_workers(1)
        .tap()
        .server(&format!(
            "listen 127.0.0.1:{slow} ssl; ssl_certificate {}; ssl_certificate_key {};
             location / {{ proxy_pass http://{}; }}",
            crt.display(),
            key.display(),
            upstream.local_addr().unwrap()
        ))
        .start()
        .unwrap();
    let held = std::thread::spawn(move || {
        Client::new(SocketAddr::from(([127, 0, 0, 1], slow))).sni("demo.example.com").ask("late answer")
    });
    // The request is in the upstream's hands: it is answered only after the reload.
    let (mut connection, _) = upstream.accept().unwrap();
    let mut asked = [0u8; 1024];
    while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
        assert_ne!(connection.read(&mut asked).unwrap(), 0);
    }
    let before = nginx.tap_report().unwrap();
    assert_eq!(before.observations.len(), 1, "{before:?}");
    nginx.reload().unwrap();
    let old = before.workers[0].pid;
    assert!(std::path::Path::new(&format!("/proc/{old}")).exists(), "the old worker still serves");
    let report = nginx.tap_report().unwrap();
    assert!(!pids(&report).contains(&old) && report.observations.is_empty(), "{report:?}");
    connection.write_all(b"HTTP/1.0 200 OK\r\n\r\nlate answer").unwrap();
    drop(connection);
    held.join().unwrap().unwrap();
    let report = nginx.tap_report().unwrap();
    assert!(!pids(&report).contains(&old), "it does not come back: {report:?}");
}

#[test]
fn a_worker_that_was_killed_leaves_the_report() {
    let site = site();
    let before = every_worker_serves(&site, "demo.example.com");
    let victim = before.workers[0].pid;
    site.nginx.kill_worker(victim);
    let report = site.nginx.tap_report().unwrap();
    assert!(!pids(&report).contains(&victim), "{report:?}");
    assert!(report.observations.iter().all(|o| o.pid != victim), "{report:?}");
    every_worker_serves(&site, "demo.example.com");
}

#[test]
fn reloads_under_traffic_leave_exactly_the_workers_that_live() {
    let site = site();
    let going = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let url = format!("https://demo.example.com:{}/?[1-50]", site.address.port());
            while going.load(std::sync::atomic::Ordering::Relaxed) {
                Command::new("curl")
                    .args(["-sk", "--http1.1", "-H", "Connection: close", "-o", "/dev/null"])
                    .args(["--resolve", &format!("*:{}:127.0.0.1", site.address.port()), &url])
                    .status()
                    .expect("curl: install Debian's package curl");
            }
        });
        for _ in 0..5 {
            site.nginx.reload().unwrap();
            let report = every_worker_serves(&site, "demo.example.com");
            assert_eq!(pids(&report), site.nginx.worker_pids(), "{report:?}");
        }
        going.store(false, std::sync::atomic::Ordering::Relaxed);
        traffic.join().unwrap();
    });
    assert!(!site.nginx.error_log().contains("certdrift:"), "{}", site.nginx.error_log());
}

#[test]
fn a_host_that_is_served_the_placeholder_says_so() {
    let site = site();
    Client::new(site.address).sni("lost.example.com").ask("TAP v1 placeholder ").unwrap();
    Client::new(site.address).ask("TAP v1 placeholder ").unwrap();
    let report = site.nginx.tap_report().unwrap();
    assert!(report.observations.iter().all(|o| o.placeholder && o.sha256 == site.default.fingerprint));
    let about =
        |asked, host| report.observations.iter().any(|o| o.asked == asked && o.host.as_deref() == host);
    assert!(about(Asked::Name, Some("lost.example.com")), "{report:?}");
    assert!(about(Asked::Uncovered, None), "{report:?}");
    assert!(about(Asked::None, None), "{report:?}");
}

#[test]
fn a_connection_counts_once_however_many_requests_it_carries() {
    let site = site();
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://demo.example.com:{}/", site.address.port());
        let out = Command::new("curl")
            .args(["-sk", version, "--resolve", &format!("*:{}:127.0.0.1", site.address.port())])
            .args([&url, &url, &url])
            .output()
            .expect("curl: install Debian's package curl");
        let text = String::from_utf8(out.stdout).unwrap();
        let lines: BTreeSet<&str> = text.split(" END").filter(|l| !l.is_empty()).collect();
        assert_eq!((text.matches(" END").count(), lines.len()), (3, 1), "{text}");
    }
    let report = site.nginx.tap_report().unwrap();
    assert_eq!(report.observations.iter().map(|o| o.count).sum::<u64>(), 2, "{report:?}");
    assert_eq!(report.workers.iter().map(|w| w.full).sum::<u64>(), 2, "{report:?}");
}

#[test]
fn a_connection_that_is_still_used_is_still_seen() {
    let site = site();
    let url = format!("https://demo.example.com:{}/", site.address.port());
    // curl waits a second and more between its requests on one connection.
    let out = Command::new("curl")
        .args(["-sk", "--rate", "40/m", "--resolve", &format!("*:{}:127.0.0.1", site.address.port())])
        .args([&url, &url, &url])
        .output()
        .expect("curl: install Debian's package curl");
    assert!(out.status.success());
    let report = site.nginx.tap_report().unwrap();
    let row = &report.observations[0];
    assert_eq!((report.observations.len(), row.count), (1, 1), "{report:?}");
    assert!(row.last_seen - row.first_seen >= 2 && row.began <= row.first_seen, "{row:?}");
}

#[test]
fn names_are_told_in_lower_case_without_the_trailing_dot() {
    let site = site();
    Client::new(site.address).sni("DEMO.Example.Com").ask(" DEMO.Example.Com END").unwrap();
    let report = site.nginx.tap_report().unwrap();
    assert_eq!(report.observations[0].host.as_deref(), Some("demo.example.com"), "{report:?}");
    assert_eq!(request(site.nginx.tap_address(), "GET", "/tap", &[]).unwrap().status, 200);
}
