//! A ledger is read whole or refused with the place that is wrong; what is written is read back the same.
use certdrift_contract::json::Limits;
use certdrift_contract::ledger::{Content, Ledger, Part};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const GOOD: &str = r#"{"schema": "certdrift.dev/ledger/v1", "gateway": "kong", "match": "kong", "revision": 1795478400, "published_at": "2026-11-24T00:00:00Z",
 "entries": [{"source": "kong/demo-tls", "hosts": ["demo.example.com", "*.demo.example.com"], "since": "2026-11-23T23:59:58Z",
   "current":  [{"sha256": "1111111111111111111111111111111111111111111111111111111111111111", "chain": ["2222222222222222222222222222222222222222222222222222222222222222"], "not_after": "2027-02-21T00:00:00Z"}],
   "incoming": [], "future": {"a": [1, 2.5e3, null, "x\u00e9"]},
   "retiring": [{"sha256": "3333333333333333333333333333333333333333333333333333333333333333", "until": "2026-11-24T00:02:00Z"}]}],
 "default": {"source": "file:/etc/default.pem", "current": [], "incoming": [], "retiring": []}}"#;

fn refused(text: &str) -> String {
    Ledger::parse(text.as_bytes(), &Limits::default()).expect_err("should be refused").to_string()
}

#[test]
fn the_example_of_the_design_is_read_and_written_back_the_same() {
    let ledger = Ledger::parse(GOOD.as_bytes(), &Limits::default()).expect("good");
    let Content::Entries(entries) = &ledger.content else { panic!("entries") };
    assert_eq!(entries[0].hosts[1].as_str(), "*.demo.example.com");
    assert_eq!(entries[0].retiring[0].until.to_string(), "2026-11-24T00:02:00Z");
    let again = Ledger::parse(&ledger.to_bytes(), &Limits::default()).expect("good");
    assert_eq!(again, ledger);
}

#[test]
fn an_error_names_the_place() {
    let text = refused(&GOOD.replace("\"sha256\": \"1111", "\"sha256\": \"X111"));
    assert!(text.starts_with("entries[0].current[0].sha256 (byte "), "{text}");
    let text = refused(&GOOD.replace("\"demo.example.com\"", "\"de mo.example.com\""));
    assert!(text.starts_with("entries[0].hosts[0] "), "{text}");
    let text = refused(&GOOD.replace("\"since\": \"2026-11-23T23:59:58Z\",", ""));
    assert!(text.contains("the field since is missing"), "{text}");
    let text =
        refused(&GOOD.replace("\"gateway\": \"kong\",", "\"gateway\": \"kong\", \"gateway\": \"kong\","));
    assert!(text.starts_with("gateway ") && text.contains("twice"), "{text}");
}

#[test]
fn another_major_schema_is_refused_and_said_so_whatever_else_changed() {
    let text = refused(&GOOD.replace("ledger/v1", "ledger/v2").replace("1795478400", "\"new form\""));
    assert!(
        text.contains("the schema is certdrift.dev/ledger/v2, this reads certdrift.dev/ledger/v1"),
        "{text}"
    );
}

#[test]
fn every_cut_and_every_flipped_byte_gives_a_value_or_an_error() {
    let bytes = GOOD.as_bytes();
    for end in 0..bytes.len() {
        assert!(Ledger::parse(&bytes[..end], &Limits::default()).is_err());
    }
    for at in 0..bytes.len() {
        for byte in [0u8, b'"', b'{', b'}', b'[', b'\\', 0x80, b'9'] {
            let mut changed = bytes.to_vec();
            changed[at] = byte;
            let _ = Ledger::parse(&changed, &Limits::default());
            let _ = Part::parse(&changed, &Limits::default());
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&GOOD.replace("\"incoming\": []", &format!("\"x\": {deep}"))).contains("nested deeper"));
    let long = "a".repeat(5_000);
    assert!(refused(&GOOD.replace("kong/demo-tls", &long)).contains("longer than the limit"));
    let limits = Limits { bytes: 100, ..Limits::default() };
    assert!(Ledger::parse(GOOD.as_bytes(), &limits).is_err());
}
