//! A ledger or part that a gateway's filter is handed: a value that reads back the same, or an error with a place.
#![no_main]
use certdrift_contract::json::Limits;
use certdrift_contract::ledger::{Ledger, Part};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    match Ledger::parse(bytes, &limits) {
        Ok(ledger) => assert_eq!(Ledger::parse(&ledger.to_bytes(), &limits).as_ref(), Ok(&ledger)),
        Err(error) => assert!(!error.what.is_empty() && error.offset <= bytes.len()),
    }
    if let Ok(part) = Part::parse(bytes, &limits) {
        assert_eq!(Part::parse(&part.to_bytes(), &limits).as_ref(), Ok(&part));
    }
});
