//! The filter's report, as the controller reads it from whoever answers.
#![no_main]
use certdrift_contract::report::Report;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        let text = serde_json::to_vec(&report).expect("a report that was read can be written");
        assert!(serde_json::from_slice::<Report>(&text).is_ok());
    }
});
