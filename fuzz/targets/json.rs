//! The pull parser against serde_json: what it takes, serde_json takes.
#![no_main]
use certdrift_contract::json::{Limits, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(bytes, &Limits::default()) else { return };
    if reader.skip().and_then(|()| reader.end()).is_ok() {
        let theirs: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        // A number beyond f64 is well-formed; serde_json refuses it as too large, not as malformed.
        assert!(theirs.as_ref().is_ok_and(|_| true) || theirs.is_err_and(|e| e.to_string().contains("out of range")));
    }
});
