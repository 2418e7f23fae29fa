//! A certificate file that is torn, shuffled or no certificate at all; the chain's file behind a NUL, the key's behind another.
#![no_main]
use certdrift::source::{check, reading};
use certdrift_contract::UnixTime;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = bytes.splitn(3, |byte| *byte == 0);
    let certificate = pieces.next().unwrap_or_default();
    let read = reading::read(certificate, pieces.next(), pieces.next());
    let now = UnixTime::from_seconds(1_795_478_400);
    let assessed = check::assess(&read, None, now);
    if let Some(good) = assessed.good {
        assert!(good.not_before <= now && now < good.not_after, "nothing out of date is ever expected");
    }
});
