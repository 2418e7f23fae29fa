//! `certdrift check`'s exit codes, each by a real server: 0 match, 1 drift or invalid, 2 could not tell, 64 usage.
use certdrift_tests::certs::{Ca, Wish, wish};
use certdrift_tests::process::free_port;
use certdrift_tests::program::{Ran, Server, run, s_server};
use std::path::Path;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");
const HOST: &str = "shop.example.com";

struct Stage {
    folder: tempfile::TempDir,
    ca: Ca,
}

impl Stage {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), ca: Ca::new("check test CA").unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Issues a certificate, with its chain and key in `NAME.crt` and `NAME.key`.
    fn issue(&self, name: &str, wish: &Wish) -> String {
        std::fs::write(self.path().join("ca.pem"), self.ca.pem()).unwrap();
        let (path, _) = self.ca.issue(wish).unwrap().write(self.path(), name).unwrap();
        path.display().to_string()
    }

    fn serve(&self, name: &str) -> Server {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        s_server(self.path(), &["-cert", &cert, "-cert_chain", "ca.pem", "-key", &key])
    }
}

fn check(args: &[&str]) -> Ran {
    run(CERTDRIFT, &[&["check", HOST, "--timeout", "20s"], args].concat())
}

#[test]
fn what_is_expected_is_0_and_another_is_1() {
    let stage = Stage::new();
    let (new, old) = (stage.issue("new", &wish(&[HOST])), stage.issue("old", &wish(&[HOST])));
    let server = stage.serve("new");
    let at = server.address.to_string();

    let ran = check(&["--connect", &at, "--expect", &new]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("✓ MATCH shop.example.com"), "{ran:?}");
    assert!(ran.stderr.is_empty(), "stdout is data, stderr is talk: {ran:?}");

    let ran = check(&["--connect", &at, "--expect", &old]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with("✗ DRIFT shop.example.com"), "verdict first: {ran:?}");
    assert!(ran.stdout.contains("CD-301") && ran.stdout.contains("do:"), "{ran:?}");
}

#[test]
fn without_an_expectation_what_anybody_can_see_is_judged() {
    let stage = Stage::new();
    stage.issue("good", &wish(&[HOST]));
    stage.issue("foreign", &wish(&["other.example.com"]));
    stage.issue("early", &wish(&[HOST]).not_yet_valid());
    for (name, code, finding) in [("good", 0, ""), ("foreign", 1, "CD-305"), ("early", 1, "CD-304")] {
        let server = stage.serve(name);
        let ran = check(&["--connect", &server.address.to_string()]);
        assert_eq!(ran.code, Some(code), "{name}: {ran:?}");
        assert!(ran.stdout.contains(finding), "{name}: {ran:?}");
    }
}

#[test]
fn an_expired_certificate_is_1_even_when_it_is_the_one_expected() {
    let stage = Stage::new();
    let expired = stage.issue("expired", &wish(&[HOST]).expired());
    let server = stage.serve("expired");
    let at = server.address.to_string();
    for args in [&["--connect", &at][..], &["--connect", &at, "--expect", &expired]] {
        let ran = check(args);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("CD-304"), "{ran:?}");
    }
}

#[test]
fn trust_is_told_and_judged_only_with_roots() {
    let stage = Stage::new();
    stage.issue("good", &wish(&[HOST]));
    let (root, other) = (stage.path().join("root.pem"), stage.path().join("other.pem"));
    std::fs::write(&root, stage.ca.pem()).unwrap();
    std::fs::write(&other, Ca::new("another CA").unwrap().pem()).unwrap();
    let server = stage.serve("good");
    let at = server.address.to_string();
    let roots = |path: &Path| check(&["--connect", &at, "--roots", path.to_str().unwrap()]);
    assert_eq!(roots(&root).code, Some(0), "{:?}", roots(&root));
    let ran = roots(&other);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("CD-310"), "{ran:?}");
    assert_eq!(check(&["--connect", &at]).code, Some(0), "an unknown authority is told, not judged");
}

#[test]
fn of_several_addresses_1_wins_over_2_and_2_over_0() {
    let stage = Stage::new();
    let (new, _) = (stage.issue("new", &wish(&[HOST])), stage.issue("old", &wish(&[HOST])));
    let (good, bad) = (stage.serve("new"), stage.serve("old"));
    let (good, bad) = (good.address.to_string(), bad.address.to_string());
    let dead = format!("127.0.0.1:{}", free_port());
    let code = |places: &[&str]| {
        let mut args = vec!["--expect", &*new];
        args.extend(places.iter().flat_map(|p| ["--connect", *p]));
        check(&args).code
    };
    assert_eq!(code(&[&good]), Some(0));
    assert_eq!(code(&[&dead]), Some(2));
    assert_eq!(code(&[&good, &dead]), Some(2));
    assert_eq!(code(&[&dead, &good, &bad]), Some(1));
}

#[test]
fn bad_usage_is_64_and_says_what_is_wrong() {
    for (args, word) in [
        (&["check"][..], "HOST"),
        (&["check", HOST, "--expct", "x"], "--expect"),
        (&["check", "http://shop.example.com"], "https"),
        (&["check", HOST, "--expect", "/does/not/exist.pem"], "/does/not/exist.pem"),
        (&["check", HOST, "--connect", "127.0.0.1:0"], "port"),
        (&["check", HOST, "--timeout", "soon"], "timeout"),
        (&["check", HOST, "--roots", "/does/not/exist.pem"], "/does/not/exist.pem"),
        (&["check", HOST, "--proxy-protocol", "v3"], "v1"),
        (&["chekc", HOST], "check"),
    ] {
        let ran = run(CERTDRIFT, args);
        assert_eq!(ran.code, Some(64), "{args:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(word), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_name_without_an_address_is_2() {
    let ran = run(CERTDRIFT, &["check", "nobody.invalid", "--timeout", "5s"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.starts_with("? UNKNOWN nobody.invalid"), "{ran:?}");
}

#[test]
fn waiting_ends_when_all_is_good_and_fails_when_it_never_is() {
    let stage = Stage::new();
    let new = stage.issue("new", &wish(&[HOST]));
    let dead = format!("127.0.0.1:{}", free_port());
    assert_eq!(check(&["--connect", &dead, "--wait", "1s"]).code, Some(2));

    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let waiting = {
        let at = at.clone();
        std::thread::spawn(move || check(&["--connect", &at, "--expect", &new, "--wait", "60s"]))
    };
    let _server = certdrift_tests::process::Process::start(
        "late",
        std::process::Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &at,
                "-cert",
                "new.crt",
                "-cert_chain",
                "ca.pem",
                "-key",
                "new.key",
            ])
            .current_dir(stage.path()),
        stage.path(),
    )
    .unwrap();
    let ran = waiting.join().unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn every_form_of_answer_is_there() {
    let stage = Stage::new();
    let (_, old) = (stage.issue("new", &wish(&[HOST])), stage.issue("old", &wish(&[HOST])));
    let server = stage.serve("new");
    let at = server.address.to_string();
    let answer = |form: &str| check(&["--connect", &at, "--expect", &old, "-o", form]);
    let json = answer("json").json();
    assert_eq!(json["schema"], "certdrift.dev/check/v1");
    assert_eq!((&json["verdict"], &json["exit_code"]), (&"drift".into(), &1.into()));
    assert_eq!(json["hosts"][0]["addresses"][0]["certificates"][0]["possession"], "proven");
    assert!(answer("yaml").stdout.starts_with("schema: certdrift.dev/check/v1\n"));
    assert_eq!(answer("name").stdout, "shop.example.com\n");
    let short = answer("short").stdout;
    assert!(short.starts_with("drift shop.example.com CD-301 "), "{short}");
    assert_eq!(short.lines().count(), 1, "{short}");
    assert!(answer("wide").stdout.contains("KEY PROVEN"));
    assert!(answer("table").stdout.is_ascii().eq(&false), "marks where the locale is UTF-8");
}
