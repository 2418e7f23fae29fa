//! The configuration: refused with places in the file, or taken; never a panic, whatever the YAML holds.
#![no_main]
use certdrift::config::{Overrides, load::parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(findings) = parse(text, "fuzz.yaml", &Overrides::default()) {
        assert!(!findings.is_empty(), "a refusal says why");
    }
});
