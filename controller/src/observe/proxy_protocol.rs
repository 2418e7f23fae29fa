//! The PROXY protocol's preface (haproxy's proxy-protocol.txt, sections 2.1 and 2.2): who the client is, before any TLS.
pub use crate::config::ProxyProtocol;
use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

impl ProxyProtocol {
    /// The bytes to send before anything else: we speak for ourselves, so the addresses are the connection's own.
    #[must_use]
    pub fn preface(self, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        // A mapped address would give a line that says TCP6 with an IPv4 peer.
        let (source, target) = (from.ip().to_canonical(), to.ip().to_canonical());
        match (self, source, target) {
            (Self::V1, IpAddr::V4(_), IpAddr::V4(_)) | (Self::V1, IpAddr::V6(_), IpAddr::V6(_)) => {
                let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
                format!("PROXY {family} {source} {target} {} {}\r\n", from.port(), to.port()).into_bytes()
            }
            (Self::V1, ..) => b"PROXY UNKNOWN\r\n".to_vec(),
            (Self::V2, IpAddr::V4(source), IpAddr::V4(target)) => {
                v2(0x11, &source.octets(), &target.octets(), from.port(), to.port())
            }
            (Self::V2, IpAddr::V6(source), IpAddr::V6(target)) => {
                v2(0x21, &source.octets(), &target.octets(), from.port(), to.port())
            }
            // LOCAL: the receiver takes the connection's own addresses.
            (Self::V2, ..) => [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat(),
        }
    }
}

fn v2(family: u8, source: &[u8], target: &[u8], from: u16, to: u16) -> Vec<u8> {
    let length = u16::try_from(source.len() + target.len() + 4).unwrap_or_default();
    let mut out = SIGNATURE.to_vec();
    out.extend([0x21, family]);
    out.extend(length.to_be_bytes());
    out.extend(source);
    out.extend(target);
    out.extend(from.to_be_bytes());
    out.extend(to.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preface(form: ProxyProtocol, from: &str, to: &str) -> Vec<u8> {
        form.preface(from.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn version_1_is_a_line_of_text() {
        let line = preface(ProxyProtocol::V1, "192.0.2.1:5000", "192.0.2.2:443");
        assert_eq!(line, b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n");
        let line = preface(ProxyProtocol::V1, "[::1]:5000", "[2001:db8::2]:443");
        assert_eq!(line, b"PROXY TCP6 ::1 2001:db8::2 5000 443\r\n");
    }

    #[test]
    fn version_2_is_binary_with_the_length_of_what_follows() {
        let bytes = preface(ProxyProtocol::V2, "192.0.2.1:5000", "192.0.2.2:443");
        assert_eq!(&bytes[12..16], [0x21, 0x11, 0, 12]);
        assert_eq!(bytes.len(), 16 + 12);
        let bytes = preface(ProxyProtocol::V2, "[::1]:5000", "[::1]:443");
        assert_eq!(&bytes[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(bytes.len(), 16 + 36);
    }

    #[test]
    fn a_mapped_address_is_written_as_ipv4() {
        let line = preface(ProxyProtocol::V1, "[::ffff:192.0.2.1]:5000", "192.0.2.2:443");
        assert_eq!(line, b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n");
    }
}
