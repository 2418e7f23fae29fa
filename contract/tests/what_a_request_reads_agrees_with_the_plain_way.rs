//! What every request goes through is written for speed; here it is held against the plain way to write it.
#![cfg(not(target_arch = "wasm32"))]
use certdrift_contract::fingerprint::FingerprintError;
use certdrift_contract::host::{HostError, MAX_LABEL, MAX_NAME, is_ip, normalize};
use certdrift_contract::tap::{Connection, Kind, TapError};
use certdrift_contract::{Fingerprint, UnixTime};
use proptest::prelude::*;
use std::net::IpAddr;

const HEX: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

fn fingerprint(text: &[u8]) -> Result<Fingerprint, FingerprintError> {
    if text.len() != 64 {
        return Err(FingerprintError::Length(text.len()));
    }
    if let Some(at) = text.iter().position(|b| !b.is_ascii_digit() && !(b'a'..=b'f').contains(b)) {
        return Err(FingerprintError::Digit(at));
    }
    let text = std::str::from_utf8(text).unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    Ok(Fingerprint::from_digest(std::array::from_fn(byte)))
}

fn name(text: &[u8]) -> Result<String, HostError> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    let ip = address(text);
    if text.len() > MAX_NAME {
        return Err(HostError::TooLong);
    }
    let mut label = 0;
    for (at, byte) in text.iter().enumerate().filter(|_| !ip) {
        let after_hyphen = at > 0 && text[at - 1] == b'-';
        match byte {
            b'.' if label == 0 => return Err(HostError::EmptyLabel),
            b'.' if after_hyphen => return Err(HostError::Hyphen),
            b'.' => label = 0,
            b'-' if label == 0 => return Err(HostError::Hyphen),
            b'*' => return Err(HostError::Wildcard),
            b'-' | b'_' => label += 1,
            byte if byte.is_ascii_alphanumeric() => label += 1,
            byte if byte.is_ascii() => return Err(HostError::Byte(*byte)),
            _ => return Err(HostError::NotAscii),
        }
        if label > MAX_LABEL {
            return Err(HostError::LabelTooLong);
        }
    }
    match text.last() {
        Some(b'.') if !ip => Err(HostError::EmptyLabel),
        Some(b'-') => Err(HostError::Hyphen),
        _ => Ok(String::from_utf8(text.to_ascii_lowercase()).unwrap()),
    }
}

fn address(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

fn tap(line: &[u8]) -> Result<Connection<'_>, TapError> {
    let rest = line.strip_prefix(b"v1 ").ok_or(TapError::Version)?;
    let fields: Vec<&[u8]> = rest.splitn(4, |b| *b == b' ').collect();
    let [kind, began, print, sni] = fields[..] else { return Err(TapError::Fields) };
    let kind = match kind {
        b"full" => Kind::Full,
        b"placeholder" => Kind::Placeholder,
        b"resumed" => Kind::Resumed,
        b"plain" => Kind::Plain,
        b"unknown" => Kind::Unknown,
        _ => return Err(TapError::Kind),
    };
    let digits = began.len() <= 12 && began.iter().all(u8::is_ascii_digit);
    let began = std::str::from_utf8(began).ok().filter(|_| digits).and_then(|text| text.parse::<i64>().ok());
    let began = UnixTime::from_seconds(began.ok_or(TapError::Began)?);
    let fingerprint = match (kind, print) {
        (Kind::Full | Kind::Placeholder, text) => Some(fingerprint(text).map_err(|_| TapError::Fingerprint)?),
        (_, b"-") => None,
        _ => return Err(TapError::Fingerprint),
    };
    if sni.len() > 255 {
        return Err(TapError::Sni);
    }
    Ok(Connection { kind, began, fingerprint, sni: (sni != b"-").then_some(sni) })
}

#[test]
fn each_byte_at_each_place_of_a_fingerprint_is_a_digit_or_told() {
    for at in 0..64 {
        for byte in 0..=255 {
            let mut text = HEX.as_bytes().to_vec();
            text[at] = byte;
            assert_eq!(Fingerprint::parse(&text), fingerprint(&text), "{byte:#x} at {at}");
            text[63] = b'/';
            assert_eq!(Fingerprint::parse(&text), fingerprint(&text), "{byte:#x} at {at}, and a wrong end");
        }
    }
    for length in 0..200 {
        assert_eq!(Fingerprint::parse(&vec![b'0'; length]), fingerprint(&vec![b'0'; length]));
    }
}

#[test]
fn fingerprints_that_differ_in_one_bit_are_not_equal() {
    let one = Fingerprint::of(b"one");
    assert_eq!(one, Fingerprint::from_digest(*one.as_bytes()));
    for bit in 0..256 {
        let mut other = *one.as_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(one, Fingerprint::from_digest(other), "bit {bit}");
    }
}

#[test]
fn each_byte_at_each_place_of_a_name_is_taken_or_told() {
    for around in ["Demo.Example.com", "a", "a.b", "a-.b", "-", "1.2.3.4", "::1", "fe80::A"] {
        for at in 0..around.len() {
            for byte in 0..=255 {
                let mut text = around.as_bytes().to_vec();
                text[at] = byte;
                agree_on_a_name(&text);
            }
        }
    }
    for length in [62, 63, 64, 65, 251, 252, 253, 254, 255, 300] {
        agree_on_a_name(&vec![b'a'; length]);
        agree_on_a_name(&b"Ab.".iter().copied().cycle().take(length).collect::<Vec<_>>());
    }
}

fn agree_on_a_name(text: &[u8]) {
    let mut buffer = [0; MAX_NAME];
    let (read, plain) = (normalize(text, &mut buffer), name(text));
    assert_eq!(read.map(str::to_owned), plain, "{:?}", String::from_utf8_lossy(text));
    assert_eq!(is_ip(text), address(text), "{:?}", String::from_utf8_lossy(text));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_and_addresses_agree(text in prop_oneof![
        "[0-9a-fA-F:.]{0,20}",
        "[-a-zA-Z0-9_.*é ]{0,80}",
        any::<IpAddr>().prop_map(|ip| ip.to_string().to_uppercase()),
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("::FFFF:{a}.{b}.{c}.{d}")),
    ], dot in "\\.?") {
        agree_on_a_name((text + &dot).as_bytes());
    }

    #[test]
    fn the_taps_line_agrees(
        kind in "full|full|full|placeholder|resumed|plain|unknown|fu|",
        began in "[0-9]{10}|[0-9]{0,14}|[0-9]{4}x",
        print in prop_oneof!["[0-9a-f]{64}", "-", "[0-9a-f ]{62,66}", "[0-9a-g]{64}"],
        sni in "-|[a-z.]{1,30}|[a-z ]{0,10}|x{254,257}",
        cut in 0usize..400,
        flipped in prop::option::of((0usize..120, any::<u8>())),
    ) {
        let mut line = format!("v1 {kind} {began} {print} {sni}").into_bytes();
        if let Some((at, byte)) = flipped && let Some(there) = line.get_mut(at) {
            *there = byte;
        }
        line.truncate(if cut < 120 { cut } else { line.len() });
        prop_assert_eq!(Connection::parse(&line), tap(&line));
    }
}
