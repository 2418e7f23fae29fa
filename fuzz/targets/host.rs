//! Host names and patterns: what is taken is in its one form, and taking it again changes nothing.
#![no_main]
use certdrift::source::names;
use certdrift_contract::host::{MAX_NAME, normalize};
use certdrift_contract::{HostName, HostPattern, Rules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = [0; MAX_NAME];
    if let Ok(name) = normalize(bytes, &mut buffer) {
        let mut again = [0; MAX_NAME];
        assert_eq!(normalize(name.as_bytes(), &mut again), Ok(name));
        for rules in [Rules::Kong, Rules::Envoy] {
            let mut asked = 0;
            let found = rules.find(name, |_| -> Option<()> {
                asked += 1;
                None
            });
            assert!(found.is_none() && asked <= 256);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<HostName>();
    if let Ok(pattern) = text.parse::<HostPattern>() {
        assert_eq!(pattern.to_string().parse::<HostPattern>().ok(), Some(pattern));
    }
    let _ = names::host(text);
});
