//! Two ledgers one after the other, separated by a NUL, then a name that a stranger sends: whatever is taken is whole.
#![no_main]
use certdrift_contract::index::Index;
use certdrift_contract::json::Limits;
use certdrift_contract::ledger::Ledger;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = bytes.split(|byte| *byte == 0);
    let limits = Limits::default();
    let mut next = || pieces.next().and_then(|piece| Ledger::parse(piece, &limits).ok());
    let (Some(first), second) = (next(), next()) else { return };
    let Ok(mut index) = Index::<u64>::new(first, Vec::new()) else { return };
    let before = index.hosts();
    if let Some(second) = second
        && index.update(second, Vec::new()).is_err()
    {
        assert_eq!(index.hosts(), before, "a refused update changes nothing");
    }
    assert!(index.iter().count() <= index.hosts() + 1);
    for name in bytes.split(|byte| *byte == b'"').take(64) {
        if let Some(found) = index.find(name) {
            *found.state += 1;
        }
    }
});
