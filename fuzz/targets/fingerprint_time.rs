//! The two scalar texts of the ledger: what is taken is written back as it was read.
#![no_main]
use certdrift_contract::{Fingerprint, UnixTime};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(fingerprint) = Fingerprint::parse(bytes) {
        assert_eq!(fingerprint.to_string().as_bytes(), bytes.to_ascii_lowercase());
    }
    if let Ok(time) = UnixTime::parse(bytes) {
        assert_eq!(UnixTime::parse(time.to_string().as_bytes()).ok(), Some(time));
    }
});
