//! Fingerprints, times, hosts, the tap's line and the header: written and read back, on the host and on wasm32.
use certdrift_contract::header::Header;
use certdrift_contract::host::{Form, HostError};
use certdrift_contract::tap::{Connection, Kind, TapError};
use certdrift_contract::{DriftClass, Evidence, Fingerprint, HostName, HostPattern, UnixTime, Verdict};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HEX: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

#[test]
fn a_fingerprint_is_64_lower_case_hex_digits_and_nothing_else() {
    let fingerprint: Fingerprint = HEX.parse().expect("good");
    assert_eq!(fingerprint.to_string(), HEX);
    assert_eq!(fingerprint.short().to_string(), "0011223344556677");
    assert_eq!(fingerprint.as_bytes()[10], 0xaa);
    for bad in [&HEX[1..], &HEX.to_uppercase(), &HEX.replace('f', "g"), ""] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
    // SHA-256 of nothing, as FIPS 180-4's test vectors have it.
    assert_eq!(
        Fingerprint::of(b"").to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn times_agree_with_the_calendar() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-24T00:00:00Z", 1_795_478_400),
        ("2000-02-29T23:59:59Z", 951_868_799),
        ("1969-12-31T23:59:59Z", -1),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
    ] {
        assert_eq!(UnixTime::parse(text.as_bytes()).map(UnixTime::seconds), Ok(seconds), "{text}");
        assert_eq!(UnixTime::from_seconds(seconds).to_string(), text);
    }
    for bad in [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-24 00:00:00Z",
        "2026-11-24T24:00:00Z",
        "",
        "2026-11-24T00:00:00+00:00",
    ] {
        assert!(UnixTime::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    // Every day of eight centuries comes back as itself.
    for day in -146_097i64..146_097 {
        let time = UnixTime::from_seconds(day * 86_400 + 3_723);
        assert_eq!(UnixTime::parse(time.to_string().as_bytes()), Ok(time));
    }
}

#[test]
fn hosts_are_lower_case_without_trailing_dot_and_ip_addresses_are_canonical() {
    let name = |text: &str| text.parse::<HostName>().map(|n| n.to_string());
    assert_eq!(name("Demo.Example.COM."), Ok("demo.example.com".to_owned()));
    assert_eq!(name("[2001:DB8:0::1]"), Ok("2001:db8::1".to_owned()));
    assert_eq!(name("192.0.2.1"), Ok("192.0.2.1".to_owned()));
    assert_eq!(name("0::."), Ok("::".to_owned()));
    assert_eq!(name("_dmarc.a_b.com"), Ok("_dmarc.a_b.com".to_owned()));
    assert_eq!(name("bücher.example"), Err(HostError::NotAscii));
    assert_eq!(name("a..b"), Err(HostError::EmptyLabel));
    assert_eq!(name(".a"), Err(HostError::EmptyLabel));
    assert_eq!(name("."), Err(HostError::Empty));
    assert_eq!(name("-a.b"), Err(HostError::Hyphen));
    assert_eq!(name("a-.b"), Err(HostError::Hyphen));
    assert_eq!(name("a b"), Err(HostError::Byte(b' ')));
    assert_eq!(name("*.a.b"), Err(HostError::Wildcard));
    assert_eq!(name(&format!("{}.com", "a".repeat(64))), Err(HostError::LabelTooLong));
    assert_eq!(name(&"a.".repeat(127)), Ok("a.".repeat(127).trim_end_matches('.').to_owned()));
    assert_eq!(name(&"a.".repeat(128)), Err(HostError::TooLong));
}

#[test]
fn patterns_have_one_of_four_forms() {
    let form = |text: &str| text.parse::<HostPattern>().map(|p| (p.to_string(), p.form()));
    assert_eq!(form("*.Example.com."), Ok(("*.example.com".to_owned(), Form::LeadingWildcard)));
    assert_eq!(form("example.*"), Ok(("example.*".to_owned(), Form::TrailingWildcard)));
    assert_eq!(form("*"), Ok(("*".to_owned(), Form::Any)));
    // Found by fuzzing: two dots, each taken off by another, left an address that was not in its one form.
    assert_eq!(form("0::.."), Err(HostError::Byte(b':')));
    assert_eq!(form("example.com"), Ok(("example.com".to_owned(), Form::Exact)));
    for bad in ["*.*", "a.*.b", "*a.b", "**", "*.192.0.2.1", ".*", "*..a", "a.*.."] {
        assert!(form(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_taps_line_is_read_field_by_field() {
    let full = format!("v1 full 1795478400 {HEX} demo.example.com");
    let connection = Connection::parse(full.as_bytes()).expect("good");
    assert_eq!(connection.kind, Kind::Full);
    assert_eq!(connection.began, UnixTime::from_seconds(1_795_478_400));
    assert_eq!(connection.fingerprint, HEX.parse().ok());
    assert_eq!(connection.sni, Some(&b"demo.example.com"[..]));
    let resumed = Connection::parse(b"v1 resumed 1795478400 - -").expect("good");
    assert_eq!((resumed.kind, resumed.fingerprint, resumed.sni), (Kind::Resumed, None, None));
    for (bad, error) in [
        ("", TapError::Version),
        ("v2 full 1 - -", TapError::Version),
        ("v1 full 1", TapError::Fields),
        ("v1 half 1 - -", TapError::Kind),
        ("v1 full -1 - -", TapError::Began),
        ("v1 full 1234567890123 - -", TapError::Began),
        ("v1 full 1 - -", TapError::Fingerprint),
        ("v1 plain 1 ff -", TapError::Fingerprint),
    ] {
        assert_eq!(Connection::parse(bad.as_bytes()), Err(error), "{bad}");
    }
    let long = format!("v1 plain 1 - {}", "a".repeat(256));
    assert_eq!(Connection::parse(long.as_bytes()), Err(TapError::Sni));
}

#[test]
fn the_header_reads_as_the_contract_says() {
    let (served, expected) = (HEX.parse().expect("good"), Fingerprint::of(b""));
    let header = Header {
        verdict: Verdict::Drift(DriftClass::Previous),
        served: Some(&served),
        expected: Some(&expected),
        evidence: Evidence::Filter,
    };
    let text = "drift; class=previous; served=0011223344556677; expected=e3b0c44298fc1c14; evidence=filter";
    assert_eq!(header.to_string(), text);
    let header =
        Header { verdict: Verdict::Unobserved, served: None, expected: None, evidence: Evidence::Declared };
    assert_eq!(header.to_string(), "unobserved; evidence=declared");
}
