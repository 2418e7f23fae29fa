//! Planted secrets in every form they are written in, and what has to stay.
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

fn redacted(text: &str) -> String {
    Redactor::default().redact(text).text
}

/// DER of a new key, of each of three forms: PKCS#8, and as PKCS#1 and SEC1 have it inside.
fn ec_key() -> Vec<u8> {
    rcgen::KeyPair::generate().unwrap().serialize_der()
}

fn wrapped(base64: &str, width: usize, between: &str) -> String {
    let lines: Vec<&str> =
        base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(between)
}

fn pem(der: &[u8], label: &str) -> String {
    let lines = wrapped(&STANDARD.encode(der), 64, "\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// Every way in which a key was seen to be written.
fn forms(der: &[u8]) -> Vec<(&'static str, String)> {
    let base64 = STANDARD.encode(der);
    let pem = pem(der, "PRIVATE KEY");
    let json = serde_json::to_string(&pem).unwrap();
    let list: Vec<&str> = pem.lines().collect();
    let logged: String =
        pem.lines().map(|line| format!("2026-11-25T22:00:00.000001Z stderr F {line}\n")).collect();
    vec![
        ("pem", pem.clone()),
        ("pem of sec1", self::pem(der, "EC PRIVATE KEY")),
        ("pem with a blank in front", pem.replace('\n', "\n    ")),
        ("pem with crlf", pem.replace('\n', "\r\n")),
        ("json", format!("{{\"a\": {json}, \"b\": 1}}")),
        (
            "json in json",
            format!("{{\"line\": {}}}", serde_json::to_string(&format!("{{\"k\":{json}}}")).unwrap()),
        ),
        ("a list of lines", serde_json::to_string(&list).unwrap()),
        ("log lines", logged),
        ("yaml", format!("data:\n  tls.key: {base64}\n  other: x\n")),
        ("der in base64", format!("key {base64} of it")),
        ("der in base64, wrapped at 76", format!("key:\n{}\nafter it\n", wrapped(&base64, 76, "\n"))),
        ("der in base64, wrapped in json", format!("{{\"key\":\"{}\"}}", wrapped(&base64, 64, "\\n"))),
        ("slashes escaped", format!("{{\"x\":\"{}\"}}", base64.replace('/', "\\/"))),
        ("url-safe", format!("?x={}&y=1", URL_SAFE_NO_PAD.encode(der))),
        ("percent", format!("x={}", base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))),
        ("torn at its end", pem.rsplit_once("-----END").unwrap().0.to_owned()),
        ("torn at its beginning", pem.split_once('\n').unwrap().1.to_owned()),
        ("bytes", format!("key: {der:?}, next")),
        ("hex", der.iter().map(|byte| format!("{byte:02x}")).collect()),
    ]
}

/// Whether any stretch of this key can be read in a text, in any of its forms.
fn shows(text: &str, der: &[u8]) -> Option<String> {
    let lower: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{der:?}");
    let part = |whole: &str, width: usize| {
        (0..whole.len().saturating_sub(width))
            .filter_map(|at| whole.get(at..at + width))
            .find(|part| text.contains(*part))
            .map(str::to_owned)
    };
    let inner = list.trim_matches(['[', ']']);
    part(&STANDARD.encode(der), 12)
        .or_else(|| part(&URL_SAFE_NO_PAD.encode(der), 12))
        .or_else(|| part(&lower, 24))
        .or_else(|| part(inner, 40))
}

#[test]
fn a_private_key_shows_in_none_of_the_forms_it_is_written_in() {
    let der = ec_key();
    for (form, text) in forms(&der) {
        assert!(
            shows(&text, &der).is_some() || form == "bytes" || text.contains("%2"),
            "{form} is a key: {text}"
        );
        let out = Redactor::default().redact(&text);
        assert_eq!(shows(&out.text, &der), None, "{form}: {}", out.text);
        assert!(out.secrets > 0, "{form}: {}", out.text);
        assert_eq!(redacted(&out.text), out.text, "{form}: what is redacted stays as it is");
    }
}

#[test]
fn json_stays_json() {
    let der = ec_key();
    let base64 = STANDARD.encode(&der);
    let pem = pem(&der, "PRIVATE KEY");
    let lines: Vec<&str> = pem.lines().collect();
    let value = serde_json::json!({"pem": pem, "lines": lines, "der": base64, "bytes": der, "n": [1, 2, 3],
        "token": "a \"quoted\" one", "authorization": "Bearer abcdefgh.ij", "nested": serde_json::json!({"password": "x\"y", "z": [true, null]}).to_string(),
        "url": "https://me:secret@host.example/x", "after": "stays"});
    for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let out = redacted(&text);
        let read: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
        assert_eq!((&read["after"], &read["n"]), (&value["after"], &value["n"]), "{out}");
        assert_eq!(shows(&out, &der), None, "{out}");
        for secret in ["quoted", "abcdefgh", "x\\\\\\\"y", "me:secret"] {
            assert!(!out.contains(secret), "{secret}: {out}");
        }
    }
}

#[test]
fn tokens_go_by_their_name_by_their_look_and_by_their_value() {
    let jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0LTEyMw";
    let token = "correct-horse-battery-staple";
    let text = format!(
        "authorization: Bearer {jwt}\nAuthorization: Basic dXNlcjpwYXNz\nGET /x?access_token=abc123def&y=1\n\
         x-certdrift-token: {token}\n{{\"x-certdrift-token\":\"{token}\"}}\nconfigured {token} here\n{jwt}\n\
         cookie: a=b; c=d\nhttps://user:pa55@proxy.example:3128/\nbearer abcdefghijkl\npassword=hunter2 next\n\
         in base64 {} too\n",
        STANDARD.encode(token)
    );
    let out = Redactor::new(&[token.to_owned()], None).redact(&text).text;
    for secret in
        [jwt, token, "dXNlcjpwYXNz", "abc123def", "a=b", "pa55", "abcdefghijkl", "hunter2", "Y29ycmVjdC"]
    {
        assert!(!out.contains(secret), "{secret}: {out}");
    }
    for stays in ["&y=1", "@proxy.example:3128/", " next", "configured", " here"] {
        assert!(out.contains(stays), "{stays}: {out}");
    }
}

#[test]
fn what_a_reader_needs_stays() {
    let text = r#"{"schema": "certdrift.dev/status/v1", "served": "f3ab0000000000000000000000000000000000000000000000000000000000aa",
 "source": "kong/demo-tls", "file": "/tmp/certdrift-run-AbC123/state/kong/ledger.json", "token": {"env": "CERTDRIFT_TOKEN"},
 "pod": "certdrift-7d9f8b6c5d-x2x4z", "uid": "0b1f7a2e-8a58-4c9b-9df1-0a2b3c4d5e6f", "now": "2026-11-25T22:00:00Z", "workers": [1, 2, 3],
 "what": "the certificate that is served is not the one that was issued", "path": "/apis/cert-manager.io/v1/namespaces/shop/certificates"}
certdrift_handshakes_total{gateway="kong",result="ok"} 123456789012
certdrift_observation_seconds_bucket{le="0.005"} 17
token:
  file: /etc/certdrift/token/token
"#;
    let out = Redactor::default().redact(text);
    assert_eq!((out.text.as_str(), out.secrets), (text, 0));
}

#[test]
fn a_host_has_one_pseudonym_wherever_and_however_it_is_written() {
    let known = ["shop.demo.example.com", "*.demo.example.com", "xn--bcher-kva.example.com"];
    let mut redactor = Redactor::new(&[], Some(Pseudonyms::new(known)));
    let out = redactor.redact(
        "SHOP.demo.example.com. *.demo.example.com bound by shop/shop-demo-example-com-tls, shop_demo_example_com; other.corp \
         at 10.0.0.1:443, kong/demo-tls, cert-manager.io/v1, ledger.json\\nshop.demo.example.com v1.37.2 metadata.name",
    );
    assert_eq!(
        out.text,
        "host-2.example. *.host-1.example bound by shop/host-2-example-tls, host-2-example; host-4.example \
         at 10.0.0.1:443, kong/demo-tls, cert-manager.io/v1, ledger.json\\nhost-2.example v1.37.2 metadata.name"
    );
    assert_eq!(out.hosts, 6);
    assert_eq!(redactor.redact("other.corp again").text, "host-4.example again");
    assert_eq!(redactor.redact(&out.text).text, out.text, "what is redacted stays as it is");
}

proptest! {
    #[test]
    fn no_key_shows_wherever_in_whatever_text_it_stands(
        seed in prop::collection::vec(any::<u8>(), 110..1200),
        before in "\\PC{0,40}|[a-zA-Z0-9+/=\\\\\"\n -]{0,80}",
        after in "\\PC{0,40}|[a-zA-Z0-9+/=\\\\\"\n -]{0,80}",
        glued in any::<bool>(),
        form in 0usize..19,
    ) {
        // A PKCS#8 header, and random bytes.
        let mut der = vec![0x30, 0x82, (seed.len() >> 8) as u8, seed.len() as u8, 2, 1, 0, 0x30];
        der.extend(&seed);
        let forms = forms(&der);
        let (name, text) = &forms[form];
        // What is glued to base64 or hex on the same line is more of the same; a text may stand on another line.
        let whole = if glued { format!("{before}\n{text}\n{after}") } else { format!("{before} {text} {after}") };
        let out = Redactor::default().redact(&whole);
        prop_assert_eq!(shows(&out.text, &der), None, "{}: {}", name, out.text);
        prop_assert!(std::str::from_utf8(out.text.as_bytes()).is_ok());
    }

    #[test]
    fn any_text_is_taken_and_what_is_redacted_stays(text in "\\PC{0,200}|[a-zA-Z0-9+/=\\\\\":{}\\[\\]\n, -]{0,300}") {
        let mut redactor = Redactor::new(&[], Some(Pseudonyms::default()));
        let out = redactor.redact(&text);
        let again = redactor.redact(&out.text);
        prop_assert_eq!(again.text, out.text);
    }

    #[test]
    fn any_json_stays_json(keys in prop::collection::vec("[a-z]{1,8}|token|password|tls\\.key", 1..6), values in prop::collection::vec("\\PC{0,60}|[a-zA-Z0-9+/=\\\\\"\n ]{0,120}", 6)) {
        let map: serde_json::Map<String, serde_json::Value> = keys.iter().cloned().zip(values.iter().map(|v| v.clone().into())).collect();
        for text in [serde_json::Value::from(map.clone()).to_string(), serde_json::json!({"in": serde_json::Value::from(map).to_string()}).to_string()] {
            let out = Redactor::new(&[], Some(Pseudonyms::default())).redact(&text).text;
            prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{} became {}", text, out);
        }
    }
}
