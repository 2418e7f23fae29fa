//! Strangers' names without end cost the tap a bounded number of rows, and push out nothing that matters.
use certdrift_contract::tap::{Asked, TapReport};
use certdrift_tests::certs::{Ca, Key, Leaf, placeholder, wish};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::openssl::Client;
use certdrift_tests::process::free_port;
use std::net::SocketAddr;
use std::process::Command;

/// One worker keeps as many names of strangers, as `RING` in deploy/kong/certdrift.lua says.
const RING: usize = 512;

struct Site {
    nginx: Nginx,
    address: SocketAddr,
    demo: Leaf,
    wild: Leaf,
    default: Leaf,
    _folder: tempfile::TempDir,
}

fn site(workers: usize, rows: &str) -> Site {
    let ca = Ca::new("certdrift test CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = ca.issue(&wish(&["demo.example.com"])).unwrap();
    let wild = ca.issue(&wish(&["*.wild.example.com"])).unwrap();
    let default = placeholder(Key::Ecdsa).unwrap();
    let port = free_port();
    let server = |leaf: &Leaf, name: &str, file: &str, more: &str| {
        let (crt, key) = leaf.write(folder.path(), file).unwrap();
        format!(
            "listen 127.0.0.1:{port} ssl {more}; server_name {name}; ssl_session_cache off; ssl_session_tickets off;
             ssl_certificate {}; ssl_certificate_key {};
             location / {{ return 200 \"TAP $certdrift END\"; }}",
            crt.display(),
            key.display()
        )
    };
    let nginx = Nginx::with_workers(workers)
        .tap()
        .edit("certdrift_rows 32m", &format!("certdrift_rows {rows}"))
        .server(&server(&default, "_", "default", "default_server"))
        .server(&server(&demo, "demo.example.com", "demo", ""))
        .server(&server(&wild, "*.wild.example.com", "wild", ""))
        .start()
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Site { nginx, address, demo, wild, default, _folder: folder }
}

impl Site {
    /// So many handshakes, each with a name of its own (`{}` is the number); curl makes them all in one process.
    fn strangers(&self, count: usize, name: &str) {
        let url = format!("https://{}:{}/", name.replace("{}", &format!("[1-{count}]")), self.address.port());
        let out = Command::new("curl")
            .args(["-sk", "--http1.1", "-H", "Connection: close"])
            .args(["--resolve", &format!("*:{}:127.0.0.1", self.address.port()), &url])
            .output()
            .expect("curl: install Debian's package curl");
        let text = String::from_utf8_lossy(&out.stdout);
        assert_eq!(text.matches("TAP v1 ").count(), count, "every one is served");
    }

    fn ask(&self, sni: &str) {
        Client::new(self.address).sni(sni).ask(" END").unwrap();
    }
}

fn row<'r>(
    report: &'r TapReport,
    asked: Asked,
    host: Option<&str>,
) -> Option<&'r certdrift_contract::tap::TapObservation> {
    report.observations.iter().find(|o| o.asked == asked && o.host.as_deref() == host)
}

#[test]
fn strangers_names_without_end_push_nothing_out() {
    let site = site(1, "32m");
    site.nginx.tap_report_on("lost.example.com,*.gone.example.com").unwrap();
    for name in ["demo.example.com", "a.wild.example.com", "lost.example.com", "x.gone.example.com"] {
        site.ask(name);
    }
    site.strangers(RING + 300, "stranger-{}.example.net");
    site.strangers(RING + 300, "stranger-{}.wild.example.com");

    let report = site.nginx.tap_report().unwrap();
    let served = |asked, host| row(&report, asked, host).map(|r| (r.sha256, r.placeholder));
    assert_eq!(
        served(Asked::Name, Some("demo.example.com")),
        Some((site.demo.fingerprint, false)),
        "a name in the certificate"
    );
    assert_eq!(
        served(Asked::Wildcard, Some("*.wild.example.com")),
        Some((site.wild.fingerprint, false)),
        "all names under the certificate's wildcard"
    );
    assert_eq!(
        served(Asked::Name, Some("lost.example.com")),
        Some((site.default.fingerprint, true)),
        "a name a reader asked for, though no certificate has it"
    );
    assert_eq!(
        served(Asked::Wildcard, Some("*.gone.example.com")),
        Some((site.default.fingerprint, true)),
        "a wildcard a reader asked for"
    );
    assert!(report.observations.len() <= RING + 8, "{} rows", report.observations.len());
    assert!(report.displaced >= 1_000, "{}", report.displaced);
    assert_eq!(report.dropped, 0);
    assert!(row(&report, Asked::Name, Some("a.wild.example.com")).is_none(), "it made room");
    let uncovered = row(&report, Asked::Uncovered, None).unwrap();
    assert!(uncovered.count >= u64::try_from(RING).unwrap() + 300, "strangers are counted: {uncovered:?}");
}

#[test]
fn a_reader_that_asks_later_has_the_name_kept_from_then_on() {
    let site = site(1, "32m");
    site.ask("late.example.com");
    let report = site.nginx.tap_report_on("late.example.com").unwrap();
    assert!(row(&report, Asked::Name, Some("late.example.com")).is_some());
    assert!(row(&report, Asked::Name, Some("demo.example.com")).is_none());
    site.ask("late.example.com");
    site.strangers(RING + 50, "stranger-{}.example.net");
    let report = site.nginx.tap_report_on("late.example.com,demo.example.com").unwrap();
    assert_eq!(row(&report, Asked::Name, Some("late.example.com")).unwrap().count, 2, "{report:?}");
    let named: Vec<_> = report.observations.iter().filter(|o| o.asked == Asked::Name).collect();
    assert_eq!(named.len(), 1, "only the hosts asked for: {named:?}");
}

#[test]
fn a_full_dictionary_harms_no_request_and_strangers_make_room_for_certificates() {
    // The smallest zone there is: a few dozen rows.
    let site = site(1, "32k");
    site.strangers(400, "stranger-{}.example.net");
    let report = site.nginx.tap_report().unwrap();
    assert!(report.dropped > 0 && report.observations.len() < 400, "{report:?}");
    site.ask("demo.example.com");
    site.ask("a.wild.example.com");
    let report = site.nginx.tap_report().unwrap();
    assert!(row(&report, Asked::Name, Some("demo.example.com")).is_some(), "{report:?}");
    assert!(row(&report, Asked::Wildcard, Some("*.wild.example.com")).is_some(), "{report:?}");
    assert_eq!(report.workers[0].full, 402);
    assert!(!site.nginx.error_log().contains("[error]"), "{}", site.nginx.error_log());
}

#[test]
fn reloads_and_crashes_leave_no_rows_behind() {
    // Room for about 200 rows; each generation of workers fills half of it.
    let site = site(1, "64k");
    for round in 0..4 {
        site.strangers(100, "stranger-{}.example.net");
        let report = site.nginx.tap_report().unwrap();
        assert_eq!((report.dropped, report.displaced), (0, 0), "round {round}");
        assert_eq!(report.observations.len(), 101, "round {round}");
        if round % 2 == 0 {
            site.nginx.reload().unwrap();
        } else {
            site.nginx.kill_worker(report.workers[0].pid);
        }
    }
}
