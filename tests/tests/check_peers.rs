//! `certdrift check` against peers that do not behave, and ways that are not straight: nothing that was not seen is
//! ever called drift, and nobody costs more than the timeout.
use certdrift_tests::certs::{Ca, Key, Leaf, wish};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::process::free_port;
use certdrift_tests::program::{Ran, openssl, run, s_server};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");
const HOST: &str = "shop.example.com";

/// A server of one's own: each connection is handled in a thread.
fn server(handle: impl Fn(TcpStream) + Send + Sync + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || handle(stream));
        }
    });
    address
}

fn at(address: impl std::fmt::Display, more: &[&str]) -> Ran {
    within("20s", &address.to_string(), more)
}

fn within(timeout: &str, address: &str, more: &[&str]) -> Ran {
    run(
        CERTDRIFT,
        &[&["check", HOST, "--timeout", timeout, "-o", "json", "--connect", address], more].concat(),
    )
}

fn unseen(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let unseen = json["hosts"][0]["addresses"][0]["unseen"].as_array().cloned().unwrap_or_default();
    unseen.iter().filter_map(|u| u["outcome"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_peer_that_is_silent_or_drips_costs_the_timeout_and_no_more() {
    let silent = server(|mut stream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    // A record of 16 KB whose bytes come one by one.
    let dripping = server(|mut stream| {
        let _ = stream.write_all(&[0x16, 0x03, 0x03, 0x40, 0x00]);
        while stream.write_all(&[2]).is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    for address in [silent, dripping] {
        let started = Instant::now();
        let ran = within("500ms", &address.to_string(), &[]);
        let took = started.elapsed();
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(unseen(&ran).iter().all(|o| o == "unreachable"), "{ran:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn a_peer_that_floods_is_cut_off() {
    // Handshake records without end: a ServerHello that never is one.
    let address = server(|mut stream| {
        let mut record = vec![0x16, 0x03, 0x03, 0x40, 0x00];
        record.resize(5 + 0x4000, 0);
        while stream.write_all(&record).is_ok() {}
    });
    let ran = at(address, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn what_does_not_speak_tls_or_too_old_a_one_is_unobservable() {
    let http = server(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let ran = at(http, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(unseen(&ran).iter().all(|o| o == "unobservable"), "{ran:?}");

    let folder = tempfile::tempdir().unwrap();
    openssl(
        folder.path(),
        &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj", "/CN=x"],
    );
    for version in ["-tls1", "-tls1_1"] {
        let old =
            s_server(folder.path(), &["-cert", "c", "-key", "k", version, "-cipher", "ALL:@SECLEVEL=0"]);
        let ran = at(old.address, &[]);
        assert_eq!(ran.code, Some(2), "{version}: {ran:?}");
        assert!(ran.stdout.contains("protocol too old"), "{version}: {ran:?}");
        assert!(unseen(&ran).iter().all(|o| o == "unobservable"), "{version}: {ran:?}");
    }
}

#[test]
fn a_gateway_behind_the_proxy_protocol_is_seen_when_it_is_spoken() {
    let ca = Ca::new("proxy test CA").unwrap();
    let leaf = ca.issue(&wish(&[HOST])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = leaf.write(folder.path(), "tls").unwrap();
    let port = free_port();
    let nginx = Nginx::with_workers(1)
        .server(&format!(
            "listen 127.0.0.1:{port} ssl proxy_protocol; ssl_certificate {}; ssl_certificate_key {};",
            cert.display(),
            key.display()
        ))
        .start()
        .unwrap();
    let address = format!("127.0.0.1:{port}");
    let expected = leaf.fingerprint.to_string();
    for form in ["v1", "v2"] {
        let ran = at(&address, &["--proxy-protocol", form, "--expect", &expected]);
        assert_eq!(ran.code, Some(0), "{form}: {ran:?}; {}", nginx.error_log());
    }
    let ran = at(&address, &["--expect", &expected]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("PROXY protocol"), "it is hinted at: {ran:?}");
}

#[test]
fn ipv6_is_looked_at_like_any_address() {
    let ca = Ca::new("v6 test CA").unwrap();
    let leaf = ca.issue(&wish(&["::1", HOST])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = leaf.write(folder.path(), "tls").unwrap();
    let port = free_port();
    let _nginx = Nginx::with_workers(1)
        .server(&format!(
            "listen [::1]:{port} ssl; ssl_certificate {}; ssl_certificate_key {};",
            cert.display(),
            key.display()
        ))
        .start()
        .unwrap();
    let url = format!("https://[::1]:{port}/");
    let ran = run(CERTDRIFT, &["check", &url, "--timeout", "20s", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "an IP address in the certificate covers it: {ran:?}");
    assert_eq!(ran.json()["hosts"][0]["sni"], serde_json::Value::Null);
    let ran = at(format!("[::1]:{port}"), &["--expect", &leaf.fingerprint.to_string().to_uppercase()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

struct Pair {
    ecdsa: Leaf,
    rsa: Leaf,
}

fn pair(ca: &Ca) -> Pair {
    let leaf = |key| ca.issue(&wish(&[HOST]).key(key)).unwrap();
    Pair { ecdsa: leaf(Key::Ecdsa), rsa: leaf(Key::Rsa) }
}

fn serve(leaves: &[&Leaf], folder: &std::path::Path, port: u16) -> Nginx {
    let mut text = format!("listen 127.0.0.1:{port} ssl;");
    for (n, leaf) in leaves.iter().enumerate() {
        let (cert, key) = leaf.write(folder, &format!("{port}-{n}")).unwrap();
        text += &format!("ssl_certificate {}; ssl_certificate_key {};", cert.display(), key.display());
    }
    Nginx::with_workers(1).server(&text).start().unwrap()
}

#[test]
fn a_pair_with_one_stale_half_is_drift_and_the_half_is_named() {
    let ca = Ca::new("pair test CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pair(&ca), pair(&ca));
    let port = free_port();
    let _nginx = serve(&[&new.ecdsa, &old.rsa], folder.path(), port);
    let address = format!("127.0.0.1:{port}");
    let [ecdsa, rsa, old_rsa] = [&new.ecdsa, &new.rsa, &old.rsa].map(|l| l.fingerprint.to_string());

    let ran = at(&address, &["--expect", &ecdsa, "--expect", &rsa]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let findings = ran.json()["hosts"][0]["addresses"][0]["findings"].clone();
    assert_eq!(findings.as_array().unwrap().len(), 1, "{findings}");
    assert_eq!(findings[0]["code"], "CD-301");
    assert!(findings[0]["object"].as_str().unwrap().ends_with("(RSA)"), "{findings}");

    let ran = at(&address, &["--expect", &ecdsa, "--expect", &old_rsa]);
    assert_eq!(ran.code, Some(0), "both members are seen: {ran:?}");
}

#[test]
fn half_of_a_pair_that_is_not_served_is_found() {
    let ca = Ca::new("half test CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let new = pair(&ca);
    let port = free_port();
    let _nginx = serve(&[&new.ecdsa], folder.path(), port);
    let (rsa, _) = new.rsa.write(folder.path(), "rsa").unwrap();
    let ran = at(
        format!("127.0.0.1:{port}"),
        &["--expect", &new.ecdsa.fingerprint.to_string(), "--expect", rsa.to_str().unwrap()],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("CD-306") && !ran.stdout.contains("CD-301"), "{ran:?}");
}

#[test]
fn two_addresses_with_different_certificates_are_told_apart() {
    let ca = Ca::new("two test CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (ca.issue(&wish(&[HOST])).unwrap(), ca.issue(&wish(&[HOST])).unwrap());
    let ports = [free_port(), free_port()];
    let _first = serve(&[&one], folder.path(), ports[0]);
    let _second = serve(&[&two], folder.path(), ports[1]);
    let second = format!("127.0.0.1:{}", ports[1]);
    let ran = at(
        format!("127.0.0.1:{}", ports[0]),
        &["--connect", &second, "--expect", &one.fingerprint.to_string()],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let addresses = ran.json()["hosts"][0]["addresses"].clone();
    assert_eq!((&addresses[0]["verdict"], &addresses[1]["verdict"]), (&"match".into(), &"drift".into()));
    let ran = run(
        CERTDRIFT,
        &[
            "check",
            HOST,
            "--connect",
            &format!("127.0.0.1:{}", ports[0]),
            "--connect",
            &second,
            "--timeout",
            "20s",
            "--expect",
            &one.fingerprint.to_string(),
        ],
    );
    assert!(ran.stdout.starts_with("✗ DRIFT shop.example.com: 1 of 2 addresses"), "{ran:?}");
}

#[test]
fn a_missing_intermediate_is_invalid_and_not_drift() {
    let root = Ca::new("root").unwrap();
    let ca = root.intermediate("intermediate").unwrap();
    let leaf = ca.issue(&wish(&[HOST])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (full, _) = leaf.write(folder.path(), "full").unwrap();
    std::fs::write(folder.path().join("alone.pem"), &leaf.pem).unwrap();
    let server = s_server(folder.path(), &["-cert", "alone.pem", "-key", "full.key", "-no-CAfile"]);
    let ran = at(server.address, &["--expect", full.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.json()["verdict"], "invalid", "{ran:?}");
    assert!(ran.stdout.contains("CD-302") && !ran.stdout.contains("CD-301"), "{ran:?}");
}

#[test]
fn a_gateway_that_wants_a_client_certificate_is_seen_all_the_same() {
    let ca = Ca::new("mutual test CA").unwrap();
    let leaf = ca.issue(&wish(&[HOST])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    leaf.write(folder.path(), "tls").unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let args = ["-cert", "tls.crt", "-key", "tls.key", "-Verify", "1", version];
        let server = s_server(folder.path(), &args);
        let ran = at(server.address, &["--expect", &leaf.fingerprint.to_string()]);
        assert_eq!(ran.code, Some(0), "{version}: {ran:?}");
        let certificate = ran.json()["hosts"][0]["addresses"][0]["certificates"][0].clone();
        assert_eq!(certificate["possession"], "proven", "{version}: {certificate}");
    }
}
