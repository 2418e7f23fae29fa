//! A certificate as a gateway presents it, alone and as a chain of two halves.
#![no_main]
use certdrift::observe::{chain, leaf::Facts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(facts) = Facts::of(bytes) {
        let _ = facts.is_placeholder();
    }
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let _ = chain::in_order(&[bytes, first, second]);
});
