//! Certificates that TLS libraries refuse: whatever openssl serves, `certdrift check` says what openssl says it is, or
//! that it cannot be seen; never drift.
use certdrift_tests::program::{fingerprint, openssl, run, s_server};
use std::path::Path;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");
const HOST: &str = "odd.example.com";

/// What is odd: how openssl makes key and certificate (`k.pem`, `c.pem`).
struct Odd {
    name: &'static str,
    key: &'static [&'static str],
    make: &'static [&'static str],
    /// The codes of findings that must be told, without an expectation.
    findings: &'static [&'static str],
    possession: &'static str,
}

const SAN: &[&str] = &["-addext", "subjectAltName=DNS:odd.example.com"];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

const ODD: &[Odd] = &[
    Odd { name: "ordinary", key: P256, make: SAN, findings: &[], possession: "proven" },
    Odd {
        name: "p-384",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        make: SAN,
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "p-521",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd { name: "ed25519", key: &["-algorithm", "ED25519"], make: SAN, findings: &[], possession: "proven" },
    Odd {
        name: "ed448",
        key: &["-algorithm", "ED448"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "rsa-1024",
        key: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "rsa-4096",
        key: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
        make: SAN,
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "rsa-pss",
        key: &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "sha-1",
        key: RSA,
        make: &["-sha1", "-addext", "subjectAltName=DNS:odd.example.com"],
        findings: &[],
        possession: "proven",
    },
    Odd { name: "no-san", key: P256, make: &[], findings: &["CD-305"], possession: "proven" },
    Odd {
        name: "ip-san",
        key: P256,
        make: &["-addext", "subjectAltName=IP:127.0.0.1"],
        findings: &["CD-305"],
        possession: "proven",
    },
    Odd { name: "many-san", key: P256, make: &[], findings: &["CD-305"], possession: "proven" },
    Odd { name: "v1", key: P256, make: &[], findings: &["CD-305"], possession: "proven" },
    Odd { name: "v1-rsa", key: RSA, make: &[], findings: &["CD-305"], possession: "proven" },
];

fn make(folder: &Path, odd: &Odd) {
    openssl(folder, &[&["genpkey", "-quiet", "-out", "k.pem"], odd.key].concat());
    if odd.name.starts_with("v1") {
        // A request signed by itself without extensions is X.509 version 1.
        openssl(folder, &["req", "-new", "-key", "k.pem", "-subj", "/CN=odd.example.com", "-out", "r.pem"]);
        openssl(
            folder,
            &["x509", "-req", "-in", "r.pem", "-signkey", "k.pem", "-days", "30", "-out", "c.pem"],
        );
        return;
    }
    let names: Vec<String> = (0..1_000).map(|n| format!("DNS:host-{n}.example.net")).collect();
    let many = format!("subjectAltName={}", names.join(","));
    let more: &[&str] = if odd.name == "many-san" { &["-addext", &many] } else { odd.make };
    let base =
        ["req", "-x509", "-key", "k.pem", "-days", "30", "-subj", "/CN=odd.example.com", "-out", "c.pem"];
    openssl(folder, &[&base, more].concat());
}

#[test]
fn the_fingerprint_is_openssls_in_every_cell_or_the_certificate_is_named_unobservable() {
    let mut unobservable = Vec::new();
    for odd in ODD {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), odd);
        let expected = fingerprint(&folder.path().join("c.pem"));
        for version in ["-tls1_2", "-tls1_3"] {
            let cell = format!("{} {version}", odd.name);
            let server = s_server(
                folder.path(),
                &["-cert", "c.pem", "-key", "k.pem", version, "-cipher", "ALL:@SECLEVEL=0"],
            );
            let at = server.address.to_string();
            let ran = run(CERTDRIFT, &["check", HOST, "--connect", &at, "--timeout", "20s", "-o", "json"]);
            let address = ran.json()["hosts"][0]["addresses"][0].clone();
            let certificates = address["certificates"].as_array().unwrap();
            assert_ne!(address["verdict"], "drift", "{cell}: {address}");
            if certificates.is_empty() {
                assert_eq!(
                    (ran.code, &address["verdict"]),
                    (Some(2), &"unknown".into()),
                    "{cell}: {address}"
                );
                assert!(ran.stdout.contains("CD-308"), "{cell}: {address}");
                unobservable.push(cell);
                continue;
            }
            assert_eq!(certificates.len(), 1, "{cell}: {address}");
            assert_eq!(certificates[0]["sha256"], expected.to_string(), "{cell}: {address}");
            assert_eq!(certificates[0]["possession"], odd.possession, "{cell}: {address}");
            let codes: Vec<&str> =
                address["findings"].as_array().unwrap().iter().filter_map(|f| f["code"].as_str()).collect();
            assert_eq!(codes, odd.findings, "{cell}: {address}");
            let ran = run(
                CERTDRIFT,
                &["check", HOST, "--connect", &at, "--timeout", "20s", "--expect", &expected.to_string()],
            );
            assert_eq!(ran.code, Some(0), "{cell} is what is expected: {ran:?}");
        }
    }
    // In TLS 1.2 openssl shows P-521 only to who has the curve among its groups, and rustls knows no such signatures.
    let may_be = ["p-521 -tls1_2", "ed448 -tls1_2", "rsa-pss -tls1_2"];
    assert!(unobservable.iter().all(|cell| may_be.contains(&&**cell)), "{unobservable:?}");
    let figure = format!("{} cells, {} of them unobservable", ODD.len() * 2, unobservable.len());
    certdrift_guarantee::record("odd-certificates", figure);
}

#[test]
fn a_shuffled_chain_is_found_and_the_place_is_named() {
    use certdrift_tests::certs::{Ca, wish};
    let root = Ca::new("root").unwrap();
    let (one, two) = (root.intermediate("one").unwrap(), Ca::new("stranger").unwrap());
    let leaf = one.issue(&wish(&[HOST])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    leaf.write(folder.path(), "tls").unwrap();
    std::fs::write(folder.path().join("chain.pem"), format!("{}{}", two.pem(), one.pem())).unwrap();
    std::fs::write(folder.path().join("leaf.pem"), &leaf.pem).unwrap();
    let server = s_server(
        folder.path(),
        &["-cert", "leaf.pem", "-cert_chain", "chain.pem", "-key", "tls.key", "-no-CAfile"],
    );
    let at = server.address.to_string();
    let ran = run(CERTDRIFT, &["check", HOST, "--connect", &at, "--timeout", "20s"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("CD-303") && ran.stdout.contains("\"CN=stranger\" follows it"), "{ran:?}");
}
