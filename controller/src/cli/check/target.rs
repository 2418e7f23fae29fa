//! What `check` is to look at, as typed: host, host:port, address, `[v6]:port`, URL; any language's names.
use certdrift_contract::host::HostError;
use certdrift_contract::{HostName, HostPattern};

/// A host to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Lower case, A-labels; a wildcard stays one.
    pub name: HostPattern,
    /// The name to send and to be covered: of a wildcard, one with a made-up label.
    pub concrete: HostName,
    /// A label of `concrete` is made up.
    pub made_up: bool,
    /// As typed, or 443.
    pub port: u16,
}

/// An address to connect to in place of the host's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name or address.
    pub name: HostName,
    /// As typed; else the host's.
    pub port: Option<u16>,
}

impl Host {
    /// Reads what was typed.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
                rest.split(['/', '?', '#']).next().unwrap_or_default()
            }
            Some((scheme, _)) => return Err(format!("{scheme}:// is not TLS; check looks at https")),
            None => text,
        };
        if rest.contains(['/', '@', '?', '#']) {
            return Err(
                "a host is written like shop.example.com, shop.example.com:8443 or [2001:db8::1]:443".into(),
            );
        }
        let (name, port) = split(rest)?;
        let name = ascii(name)?.parse::<HostPattern>().map_err(|e| e.to_string())?;
        let (sni, made_up) = crate::observe::handshake::sni_for(name.as_str());
        let concrete =
            sni.as_deref().unwrap_or(name.as_str()).parse().map_err(|e: HostError| e.to_string())?;
        Ok(Self { name, concrete, made_up, port: port.unwrap_or(443) })
    }

    /// The server name to send; none for an address.
    #[must_use]
    pub fn sni(&self) -> Option<String> {
        (!self.concrete.is_ip()).then(|| self.concrete.to_string())
    }
}

impl Place {
    /// Reads what was typed.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, port) = split(text)?;
        let name = ascii(name)?.parse::<HostName>().map_err(|e| e.to_string())?;
        Ok(Self { name, port })
    }
}

/// Name and port; a bare IPv6 address has no port.
fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(port)),
        _ => Err(format!("\"{text}\" is no port; ports are 1 to 65535")),
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("a [ without its ]")?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("[{address}] is no IPv6 address"));
        }
        return match rest.strip_prefix(':') {
            Some(text) => Ok((address, port(text)?)),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(format!("\"{rest}\" after the address is no port")),
        };
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    match text.rsplit_once(':') {
        Some((name, text)) => Ok((name, port(text)?)),
        None => Ok((text, None)),
    }
}

/// A-labels for a name in any language.
fn ascii(name: &str) -> Result<String, String> {
    // `::ffff:192.0.2.1` is an IPv4 address to whoever connects, and a certificate names it as one.
    if let Some(v4) = name.parse::<std::net::Ipv6Addr>().ok().and_then(|v6| v6.to_ipv4_mapped()) {
        return Ok(v4.to_string());
    }
    let ascii = if name.is_ascii() {
        name.to_owned()
    } else {
        idna::domain_to_ascii(name)
            .map_err(|_| format!("\"{name}\" cannot be written as a DNS name (IDNA)"))?
    };
    // `1.2.3` and `300.1.1.1`: the resolver makes something of the first, no server name can be made of either.
    let last = ascii.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    if number && ascii.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("\"{name}\" is neither a name nor a whole address"));
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> (String, u16) {
        let host = Host::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        (host.name.to_string(), host.port)
    }

    #[test]
    fn a_host_is_read_in_every_form_people_type() {
        for (text, name, port) in [
            ("Shop.Example.COM", "shop.example.com", 443),
            ("shop.example.com.", "shop.example.com", 443),
            ("shop.example.com:8443", "shop.example.com", 8443),
            ("https://shop.example.com", "shop.example.com", 443),
            ("HTTPS://shop.example.com:8443/cart?x=1#y", "shop.example.com", 8443),
            ("192.0.2.1", "192.0.2.1", 443),
            ("192.0.2.1:8443", "192.0.2.1", 8443),
            ("::1", "::1", 443),
            ("[::1]", "::1", 443),
            ("[2001:DB8::1]:8443", "2001:db8::1", 8443),
            ("::ffff:192.0.2.1", "192.0.2.1", 443),
            ("[::ffff:192.0.2.1]:8443", "192.0.2.1", 8443),
            ("bücher.example", "xn--bcher-kva.example", 443),
            ("*.bücher.example", "*.xn--bcher-kva.example", 443),
            ("a_b.example.com", "a_b.example.com", 443),
        ] {
            assert_eq!(host(text), (name.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_in_words() {
        for text in [
            "",
            "http://shop.example.com",
            "a b",
            "shop.example.com:0",
            "shop.example.com:99999",
            "shop:+1",
            "[::1",
            "[::1]8443",
            "[shop]:1",
            "user@shop.example.com",
            "shop/cart",
            "-a.example",
            "a..b",
            "1.2.3",
            "300.1.1.1",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wildcard_is_looked_at_by_a_made_up_label() {
        let host = Host::parse("*.example.com").unwrap();
        assert_eq!((host.concrete.as_str(), host.made_up), ("certdrift-probe.example.com", true));
        let host = Host::parse("::1").unwrap();
        assert_eq!((host.concrete.as_str(), host.made_up, host.sni()), ("::1", false, None));
    }

    #[test]
    fn a_place_may_go_without_a_port() {
        assert_eq!(Place::parse("127.0.0.1:8443").unwrap().port, Some(8443));
        assert_eq!(Place::parse("[::1]").unwrap().port, None);
        assert!(Place::parse("*.example.com").is_err());
    }
}
