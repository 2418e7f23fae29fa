//! An IP address is written as the standard library writes it.
#![cfg(not(target_arch = "wasm32"))]
use certdrift_contract::HostName;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn same(ip: IpAddr) {
    let name: HostName = ip.to_string().parse().unwrap();
    assert_eq!(name.as_str(), ip.to_string());
    assert!(name.is_ip());
}

proptest! {
    #[test]
    fn addresses_are_written_as_the_standard_library_does(
        v4 in any::<u32>(),
        segments in proptest::array::uniform8(prop_oneof![Just(0u16), Just(1), Just(0xffff), any::<u16>()]),
    ) {
        same(Ipv4Addr::from(v4).into());
        same(Ipv4Addr::from(v4).to_ipv6_mapped().into());
        same(Ipv6Addr::from(segments).into());
    }
}

#[test]
fn other_spellings_are_brought_to_that_form() {
    for (text, canonical) in [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("::ffff:7f00:1", "::ffff:127.0.0.1"),
    ] {
        assert_eq!(text.parse::<HostName>().unwrap().as_str(), canonical);
    }
}
