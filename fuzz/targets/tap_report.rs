//! What a gateway answers at the tap's address: foreign JSON for the controller.
#![no_main]
use certdrift_contract::tap::TapReport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = serde_json::from_slice::<TapReport>(bytes) {
        let text = serde_json::to_vec(&report).expect("a report that was read can be written");
        assert_eq!(serde_json::from_slice::<TapReport>(&text).ok(), Some(report));
    }
});
