//! Leaves that are odd in what they say: names, times, numbers, extensions, strings.
use crate::der::{attribute, dns, extension, generalized, name, oid, san, seq, tlv, utc, utf8};
use crate::draft::{Draft, HOST, ca};

/// One of them.
pub(crate) struct Kind {
    pub name: &'static str,
    /// What is asked for.
    pub host: &'static str,
    pub change: fn(&mut Draft),
    /// Codes of the findings without an expectation.
    pub findings: &'static [&'static str],
}

const fn good(name: &'static str, change: fn(&mut Draft)) -> Kind {
    Kind { name, host: HOST, change, findings: &[] }
}

const fn found(name: &'static str, findings: &'static [&'static str], change: fn(&mut Draft)) -> Kind {
    Kind { name, host: HOST, change, findings }
}

const fn asked(
    host: &'static str,
    name: &'static str,
    findings: &'static [&'static str],
    change: fn(&mut Draft),
) -> Kind {
    Kind { name, host, change, findings }
}

const NOT_COVERED: &[&str] = &["CD-305"];
/// What cannot be parsed covers nothing, and whose key it names is not known.
const UNREADABLE: &[&str] = &["CD-305", "CD-312"];
const NOT_IN_DATE: &[&str] = &["CD-304"];

fn add(draft: &mut Draft, more: Vec<u8>) {
    draft.extensions.get_or_insert_default().push(more);
}

fn only(draft: &mut Draft, extension: Vec<u8>) {
    draft.extensions = Some(vec![extension]);
}

pub(crate) const KINDS: &[Kind] = &[
    good("ordinary, of our own writer", |_| {}),
    // Versions.
    found("version 1", NOT_COVERED, |d| (d.version, d.extensions) = (None, None)),
    found("version 2 with unique identifiers", NOT_COVERED, |d| {
        (d.version, d.extensions) = (Some(1), None);
        d.before_extensions = [tlv(0x81, [0, 1, 2]), tlv(0x82, [0, 3, 4])].concat();
    }),
    good("version 4", |d| d.version = Some(3)),
    good("version 1 with extensions", |d| d.version = None),
    // Subject and issuer.
    found("common name only", NOT_COVERED, |d| d.extensions = None),
    good("empty subject", |d| d.subject = seq(&[])),
    good("empty issuer", |d| d.issuer = seq(&[])),
    found("empty subject, no names", NOT_COVERED, |d| (d.subject, d.extensions) = (seq(&[]), None)),
    good("NUL in the common name", |d| d.subject = name(&utf8("odd.example.com\0.evil.example"))),
    good("terminal escapes in the common name", |d| d.subject = name(&utf8("\u{1b}[2J\u{7}\r\nodd"))),
    good("right-to-left override in the common name", |d| d.subject = name(&utf8("moc.\u{202e}elpmaxe"))),
    good("common name of 10 KB", |d| d.subject = name(&utf8(&"x".repeat(10_000)))),
    good("empty common name", |d| d.subject = name(&utf8(""))),
    good("UTF-8 subject", |d| d.subject = name(&utf8("Bücher \u{1f4da} 株式会社"))),
    good("bad UTF-8 in the subject", |d| d.subject = name(&tlv(0x0c, [0xff, 0xfe, 0xc3]))),
    good("BMPString subject", |d| d.subject = name(&tlv(0x1e, [0x00, 0x42, 0x00, 0xfc, 0x26, 0x03]))),
    good("BMPString of odd length", |d| d.subject = name(&tlv(0x1e, [0x00, 0x42, 0x00]))),
    good("TeletexString subject", |d| d.subject = name(&tlv(0x14, [b'B', 0xfc, b'c', b'h']))),
    good("UniversalString subject", |d| d.subject = name(&tlv(0x1c, [0, 1, 0xf4, 0xda]))),
    good("two attributes in one RDN", |d| {
        let two = [("2.5.4.3", "one"), ("2.5.4.10", "two")]
            .map(|(kind, text)| seq(&[&oid(kind), &utf8(text)]))
            .concat();
        d.subject = seq(&[&tlv(0x31, two)]);
    }),
    good("unknown attribute in the subject", |d| d.subject = attribute("1.3.6.1.4.1.99999.1", &utf8("x"))),
    good("200 attributes in the subject", |d| {
        d.subject = tlv(0x30, tlv(0x31, seq(&[&oid("2.5.4.11"), &utf8("unit")])).repeat(200));
    }),
    // Names.
    good("the right name among 2,000", |d| {
        let mut names: Vec<String> = (0..2_000).map(|n| format!("host-{n}.example.net")).collect();
        names.push(HOST.to_owned());
        only(d, dns(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    }),
    found("2,000 wrong names", NOT_COVERED, |d| {
        let names: Vec<String> = (0..2_000).map(|n| format!("host-{n}.example.net")).collect();
        only(d, dns(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    }),
    good("the same name 50 times", |d| only(d, dns(&[HOST; 50]))),
    good("wildcard", |d| only(d, dns(&["*.example.com"]))),
    found("wildcard within a label", NOT_COVERED, |d| only(d, dns(&["o*.example.com", "*d.example.com"]))),
    found("wildcard in the middle", NOT_COVERED, |d| only(d, dns(&["odd.*.com"]))),
    found("wildcard at the end", NOT_COVERED, |d| only(d, dns(&["odd.example.*"]))),
    found("wildcard alone", NOT_COVERED, |d| only(d, dns(&["*"]))),
    found("wildcard of a whole top level", NOT_COVERED, |d| only(d, dns(&["*.com"]))),
    found("wildcard over two labels", NOT_COVERED, |d| only(d, dns(&["*.*.com", "**.example.com"]))),
    found("wildcard below the host", NOT_COVERED, |d| only(d, dns(&["*.odd.example.com"]))),
    asked("example.com", "wildcard for the parent", NOT_COVERED, |d| only(d, dns(&["*.example.com"]))),
    asked("127.0.0.1", "address", &[], |d| only(d, san(&[(0x87, &[127, 0, 0, 1])]))),
    asked("::ffff:127.0.0.1", "address, asked for as IPv6", &[], |d| {
        only(d, san(&[(0x87, &[127, 0, 0, 1])]));
    }),
    asked("::1", "IPv6 address", &[], |d| only(d, san(&[(0x87, &1u128.to_be_bytes())]))),
    asked("127.0.0.1", "address with a mask", NOT_COVERED, |d| {
        only(d, san(&[(0x87, &[127, 0, 0, 1, 255, 255, 255, 255])]));
    }),
    asked("127.0.0.1", "address of no length", NOT_COVERED, |d| only(d, san(&[(0x87, &[])]))),
    asked("127.0.0.1", "address written as a DNS name", NOT_COVERED, |d| only(d, dns(&["127.0.0.1"]))),
    asked("127.0.0.1", "wildcard over an address", NOT_COVERED, |d| only(d, dns(&["*.0.0.1"]))),
    good("trailing dot", |d| only(d, dns(&["odd.example.com."]))),
    good("upper case", |d| only(d, dns(&["ODD.Example.COM"]))),
    asked("od_d.example.com", "underscore", &[], |d| only(d, dns(&["od_d.example.com"]))),
    asked("xn--bcher-kva.example", "A-label", &[], |d| only(d, dns(&["xn--bcher-kva.example"]))),
    asked("bücher.example", "A-label, asked for in its own letters", &[], |d| {
        only(d, dns(&["xn--bcher-kva.example"]));
    }),
    asked("bücher.example", "U-label in bytes", NOT_COVERED, |d| only(d, dns(&["bücher.example"]))),
    found("NUL in a name", NOT_COVERED, |d| only(d, dns(&["odd.example.com\0.evil.example"]))),
    found("NUL at a name's end", NOT_COVERED, |d| only(d, dns(&["odd.example.com\0"]))),
    found("terminal escapes in a name", NOT_COVERED, |d| only(d, dns(&["\u{1b}[2J.example.com"]))),
    found("white space around a name", NOT_COVERED, |d| only(d, dns(&[" odd.example.com "]))),
    found("empty name", NOT_COVERED, |d| only(d, dns(&[""]))),
    found("name of 5,000 bytes", NOT_COVERED, |d| only(d, dns(&[&"a.".repeat(2_500)]))),
    found("no names in the list of names", NOT_COVERED, |d| only(d, san(&[]))),
    found("names of other kinds only", NOT_COVERED, |d| {
        only(d, san(&[(0x81, b"a@example.com"), (0x86, b"https://odd.example.com/"), (0x88, &[0x2a, 3])]));
    }),
    good("a name after names of other kinds", |d| {
        only(d, san(&[(0x81, b"a@example.com"), (0x82, HOST.as_bytes())]));
    }),
    found("list of names that is no DER", NOT_COVERED, |d| {
        only(d, extension("2.5.29.17", false, &[0x30, 0x7f, 1, 2, 3]));
    }),
    found("list of names twice", NOT_COVERED, |d| {
        d.extensions = Some(vec![dns(&[HOST]), dns(&["other.example"])]);
    }),
    good("critical names", |d| {
        only(d, extension("2.5.29.17", true, &tlv(0x30, tlv(0x82, HOST))));
    }),
    // Times.
    good("ends in 9999", |d| d.not_after = generalized("99991231235959Z")),
    good("begins in 1950", |d| d.not_before = utc("500101000000Z")),
    good("ends in 2049, the last of UTCTime", |d| d.not_after = utc("491231235959Z")),
    good("begins in year 0001", |d| d.not_before = generalized("00010101000000Z")),
    good("GeneralizedTime before 2050", |d| d.not_after = generalized("20400101000000Z")),
    found("expired", NOT_IN_DATE, |d| d.not_after = utc("210101000000Z")),
    found("expired in 1970, at the epoch", NOT_IN_DATE, |d| d.not_after = utc("700101000000Z")),
    found("not yet valid", NOT_IN_DATE, |d| d.not_before = utc("480101000000Z")),
    found("ends before it begins", NOT_IN_DATE, |d| {
        (d.not_before, d.not_after) = (utc("480101000000Z"), utc("470101000000Z"));
    }),
    good("time without seconds", |d| d.not_after = utc("4901010000Z")),
    good("time with an offset", |d| d.not_after = utc("490101000000+0100")),
    good("time with a fraction", |d| d.not_after = generalized("20490101000000.5Z")),
    found("31st of February", UNREADABLE, |d| d.not_after = utc("490231000000Z")),
    found("time that is text", UNREADABLE, |d| d.not_after = utc("never")),
    // Numbers.
    good("serial 0", |d| d.serial = vec![0]),
    good("negative serial", |d| d.serial = vec![0x80, 1]),
    good("serial of 20 bytes", |d| d.serial = vec![0x7f; 20]),
    good("serial of 200 bytes", |d| d.serial = vec![0x7f; 200]),
    good("serial with needless zeros", |d| d.serial = vec![0, 0, 1]),
    good("serial without bytes", |d| d.serial = Vec::new()),
    // Extensions.
    good("an extension of no bytes", |d| {
        d.extensions = Some(vec![dns(&[HOST]), extension("1.2.3.4", false, &[])]);
    }),
    good("unknown critical extension", |d| add(d, extension("1.3.6.1.4.1.99999.1", true, &[5, 0]))),
    good("unknown extension twice", |d| {
        add(d, extension("1.3.6.1.4.1.99999.1", false, &[5, 0]));
        add(d, extension("1.3.6.1.4.1.99999.1", false, &[5, 0]));
    }),
    good("name constraints on a leaf", |d| {
        let subtree = seq(&[&tlv(0x82, "elsewhere.example")]);
        add(d, extension("2.5.29.30", true, &seq(&[&tlv(0xa0, subtree)])));
    }),
    good("an authority as leaf", |d| add(d, ca(true))),
    good("basic constraints with a path length of −1", |d| {
        add(d, extension("2.5.29.19", true, &seq(&[&[1, 1, 0xff], &[2, 1, 0xff]])));
    }),
    good("for client authentication only", |d| {
        add(d, extension("2.5.29.37", true, &seq(&[&oid("1.3.6.1.5.5.7.3.2")])));
    }),
    good("for signing certificates only", |d| add(d, extension("2.5.29.15", true, &[3, 2, 2, 4]))),
    good("must-staple", |d| add(d, extension("1.3.6.1.5.5.7.1.24", false, &seq(&[&[2, 1, 5]])))),
    good("list of signed certificate timestamps that is none", |d| {
        add(d, extension("1.3.6.1.4.1.11129.2.4.2", false, &tlv(0x04, [0, 5, 1, 2, 3])));
    }),
    good("poison of a precertificate", |d| add(d, extension("1.3.6.1.4.1.11129.2.4.3", true, &[5, 0]))),
    good("500 extensions", |d| {
        (0..500).for_each(|n| add(d, extension(&format!("1.3.6.1.4.1.99999.2.{n}"), false, &[5, 0])));
    }),
    good("an extension of 30 KB", |d| add(d, extension("1.3.6.1.4.1.99999.1", false, &[0; 30_000]))),
    // Signatures.
    good("signature that is none", |d| d.signature = Some(vec![0; 8])),
    good("signature of no bytes", |d| d.signature = Some(Vec::new())),
    good("unknown signature algorithm", |d| d.algorithm = seq(&[&oid("1.3.6.1.4.1.99999.3")])),
    good("signature said to be MD5 with RSA", |d| {
        d.algorithm = seq(&[&oid("1.2.840.113549.1.1.4"), &[5, 0]]);
    }),
    good("two signature algorithms", |d| d.outer_algorithm = Some(seq(&[&oid("1.2.840.10045.4.3.4")]))),
    // The whole.
    good("bytes after the end", |d| d.tail = b"more".to_vec()),
];
