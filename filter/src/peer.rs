//! Who asks: the connection's own peer against an allow list, and a token in constant time.
//!
//! A forwarded address (`X-Forwarded-For`) is never looked at: anybody can send one.
use std::net::IpAddr;

/// A range of addresses, `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    bits: u128,
    mask: u128,
    v4: bool,
}

/// Only the machine itself: behind a load balancer with SNAT a private address is the Internet.
pub const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

impl Range {
    /// Reads an address or a range. Bits behind the prefix are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok()?;
        let all = if address.is_ipv4() { 32u32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<u32>().ok()?,
            Some(_) => return None,
            None => all,
        };
        let free = all.checked_sub(prefix)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        // A range within ::ffff:0:0/96 is one of IPv4, as its addresses are.
        let canonical = if free <= 32 { address.to_canonical() } else { address };
        Some(Self { bits: number(canonical) & mask, mask, v4: canonical.is_ipv4() })
    }

    /// Whether it holds the address; an IPv4 address inside IPv6 (`::ffff:a.b.c.d`) is one of IPv4.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.v4 && number(address) & self.mask == self.bits
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// Reads a peer's address as hosts give it: `127.0.0.1`, `127.0.0.1:443`, `::1`, `[::1]:443`. `None`: unreadable,
/// which includes `unix:`.
#[must_use]
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    let (address, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    match address.strip_prefix('[').and_then(|a| a.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => address.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Whether the token is right; how long that takes tells nothing but its length.
#[must_use]
pub fn same_token(given: &[u8], right: &[u8]) -> bool {
    if right.is_empty() || given.len() != right.len() {
        return false;
    }
    let difference = given.iter().zip(right).fold(0u8, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &str, peer: &str) -> bool {
        Range::parse(range).unwrap().holds(address(peer.as_bytes()).unwrap())
    }

    #[test]
    fn ranges_hold_what_they_should() {
        assert!(holds("127.0.0.0/8", "127.255.0.1"));
        assert!(!holds("127.0.0.0/8", "128.0.0.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(!holds("::/0", "203.0.113.9"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("fd00::/8", "[fd12::1]:5000"));
        assert!(!holds("fd00::/8", "fe80::1"));
        assert!(holds("10.1.2.3", "10.1.2.3:80"));
        assert!(!holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("10.9.9.9/8", "10.1.2.3"));
    }

    #[test]
    fn ipv4_inside_ipv6_is_ipv4() {
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!holds("::/0", "::ffff:127.0.0.1"));
        assert!(holds("::ffff:127.0.0.0/104", "127.9.9.9"));
        assert!(holds("::ffff:127.0.0.1", "127.0.0.1"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in
            ["", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "x", "10.0.0.0/8/8"]
        {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_unreadable_peer_has_no_address() {
        for text in [
            &b""[..],
            b"unix:",
            b"127.0.0.1:99999",
            b"[::1",
            b"::1]:1",
            b"\xff",
            b"localhost:80",
            b"1.2.3.4:",
        ] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_token_is_right_or_not() {
        assert!(same_token(b"secret", b"secret"));
        for wrong in [&b""[..], b"secre", b"secret ", b"Secret"] {
            assert!(!same_token(wrong, b"secret"), "{wrong:?}");
        }
        assert!(!same_token(b"", b""), "an empty token opens nothing");
    }
}
