//! A writer of DER that writes what it is told, right or wrong: no library makes a certificate that is broken on purpose.

/// A value with its tag and length.
pub(crate) fn tlv(tag: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => {
            let length: Vec<u8> =
                content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(length.len()).unwrap());
            out.extend(length);
        }
    }
    out.extend(content);
    out
}

/// SEQUENCE.
pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts.concat())
}

/// OBJECT IDENTIFIER.
pub(crate) fn oid(text: &str) -> Vec<u8> {
    let mut arcs = text.split('.').map(|arc| arc.parse::<u64>().unwrap());
    let (first, second) = (arcs.next().unwrap(), arcs.next().unwrap());
    let mut content = vec![u8::try_from(first * 40 + second).unwrap()];
    for arc in arcs {
        let mut groups = vec![u8::try_from(arc & 0x7f).unwrap()];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
            rest >>= 7;
        }
        content.extend(groups.into_iter().rev());
    }
    tlv(0x06, content)
}

/// BIT STRING without unused bits.
pub(crate) fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, [&[0], content].concat())
}

/// UTF8String.
pub(crate) fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text)
}

/// A name of one attribute, the common name, its value as it is given.
pub(crate) fn name(value: &[u8]) -> Vec<u8> {
    attribute("2.5.4.3", value)
}

/// A name of one attribute.
pub(crate) fn attribute(kind: &str, value: &[u8]) -> Vec<u8> {
    seq(&[&tlv(0x31, seq(&[&oid(kind), value]))])
}

/// UTCTime.
pub(crate) fn utc(text: &str) -> Vec<u8> {
    tlv(0x17, text)
}

/// GeneralizedTime.
pub(crate) fn generalized(text: &str) -> Vec<u8> {
    tlv(0x18, text)
}

/// An extension.
pub(crate) fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    seq(&[&oid(kind), critical, &tlv(0x04, value)])
}

/// A subject alternative name of general names, each with its tag (0x82 DNS, 0x87 address, 0x81 mail, 0x86 URI).
pub(crate) fn san(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|(tag, value)| tlv(*tag, value)).collect();
    extension("2.5.29.17", false, &tlv(0x30, names))
}

/// The same of DNS names.
pub(crate) fn dns(names: &[&str]) -> Vec<u8> {
    san(&names.iter().map(|name| (0x82, name.as_bytes())).collect::<Vec<_>>())
}

/// PEM.
pub(crate) fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let [a, b, c] = [three[0], *three.get(1).unwrap_or(&0), *three.get(2).unwrap_or(&0)];
            let bits = u32::from_be_bytes([0, a, b, c]);
            for digit in 0..4 {
                let at = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
                text.push(if digit > three.len() { '=' } else { char::from(DIGITS[at]) });
            }
        }
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}
