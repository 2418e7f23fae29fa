//! The tap's variable, whose last field is whatever a client sent as its server name.
#![no_main]
use certdrift_contract::tap::Connection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(connection) = Connection::parse(bytes) {
        assert!(connection.sni.is_none_or(|name| name.len() <= 255));
    }
});
