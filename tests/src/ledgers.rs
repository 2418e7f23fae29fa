//! Ledgers for the filter's tests: made-up fingerprints, one entry a host, whole or in parts.
use crate::host::{Answer, Call};
use certdrift_contract::ledger::{Content, Entry, Expectation, Expected, Ledger, Part, PartRef, Retiring};
use certdrift_contract::names::part_path;
use certdrift_contract::{Fingerprint, HostPattern, Revision, Rules, UnixTime};

/// A fingerprint that belongs to this text alone.
#[must_use]
pub fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint::of(text.as_bytes())
}

/// The tap's line for a full handshake that served the certificate of [`fingerprint`]`(served)`.
#[must_use]
pub fn full(began: u64, served: &str, sni: &str) -> String {
    format!("v1 full {began} {} {sni}", fingerprint(served))
}

/// A certificate that is expected; valid for ninety days of the tests' clock.
#[must_use]
pub fn expected(text: &str) -> Expected {
    let not_after = UnixTime::from_seconds(crate::host::START.cast_signed() + 90 * 86_400);
    Expected { sha256: fingerprint(text), chain: Vec::new(), not_after }
}

/// An entry that expects the certificate of [`fingerprint`]`(current)` for these hosts.
///
/// # Panics
/// When one is no host.
#[must_use]
pub fn entry(source: &str, hosts: &[&str], current: &str) -> Entry {
    let pattern = |host: &&str| host.parse::<HostPattern>().unwrap_or_else(|e| panic!("{host}: {e}"));
    Entry {
        source: source.to_owned(),
        hosts: hosts.iter().map(pattern).collect(),
        since: UnixTime::from_seconds(crate::host::START.cast_signed()),
        current: vec![expected(current)],
        incoming: Vec::new(),
        retiring: Vec::new(),
    }
}

/// The same entry with a predecessor, accepted until `until` (seconds since 1970).
#[must_use]
pub fn with_retiring(mut entry: Entry, text: &str, until: u64) -> Entry {
    let until = UnixTime::from_seconds(until.cast_signed());
    entry.retiring.push(Retiring { sha256: fingerprint(text), until });
    entry
}

/// A ledger of the gateway `kong`, whose default certificate is that of [`fingerprint`]`("default")`.
#[must_use]
pub fn ledger(revision: u64, entries: Vec<Entry>) -> Ledger {
    let mut ledger = Ledger {
        gateway: "kong".to_owned(),
        rules: Rules::Kong,
        revision: Revision(revision),
        published_at: UnixTime::from_seconds(revision.cast_signed()),
        content: Content::of(entries),
        default: Some(Expectation {
            source: "file:/default.pem".to_owned(),
            current: vec![expected("default")],
            incoming: Vec::new(),
            retiring: Vec::new(),
        }),
    };
    ledger.sort();
    ledger
}

/// `hosts` entries: host number n is `hN.example.com` and expects `certificate-N`.
#[must_use]
pub fn fleet(hosts: usize) -> Vec<Entry> {
    (0..hosts)
        .map(|n| {
            let name = format!("h{n}.example.com");
            entry(&format!("demo/tls-{n}"), &[name.as_str()], &format!("certificate-{n}"))
        })
        .collect()
}

/// What a ledger's location serves: the index (or the whole ledger) and its parts, by path.
#[derive(Clone, Debug)]
pub struct Served {
    location: String,
    etag: String,
    whole: Vec<u8>,
    parts: Vec<(String, Vec<u8>)>,
}

impl Served {
    /// One whole ledger.
    #[must_use]
    pub fn whole(location: &str, ledger: &Ledger) -> Self {
        let etag = format!("\"{}\"", ledger.revision.0);
        Self { location: location.to_owned(), etag, whole: ledger.to_bytes(), parts: Vec::new() }
    }

    /// An index of `count` parts.
    #[must_use]
    pub fn in_parts(location: &str, mut ledger: Ledger, count: usize) -> Self {
        let Content::Entries(entries) = std::mem::replace(&mut ledger.content, Content::Entries(Vec::new()))
        else {
            return Self::whole(location, &ledger);
        };
        let size = entries.len().div_ceil(count).max(1);
        let mut parts = Vec::new();
        let mut refs = Vec::new();
        for (n, entries) in entries.chunks(size).enumerate() {
            let name = format!("{n:02}");
            let mut part =
                Part { gateway: ledger.gateway.clone(), name: name.clone(), entries: entries.to_vec() };
            part.sort();
            let bytes = part.to_bytes();
            refs.push(PartRef { name: name.clone(), sha256: Fingerprint::of(&bytes) });
            parts.push((part_path(location, &name), bytes));
        }
        ledger.content = Content::Parts(refs);
        Self { parts, ..Self::whole(location, &ledger) }
    }

    /// Answers a call as the controller does: by ETag; 404 for what is not there.
    #[must_use]
    pub fn answer(&self, call: &Call) -> Answer {
        let path = call.path();
        if path == self.location {
            return if call.header("if-none-match") == self.etag {
                Answer::not_modified()
            } else {
                Answer::document(self.whole.clone(), &self.etag)
            };
        }
        match self.parts.iter().find(|(part, _)| *part == path) {
            Some((_, bytes)) => Answer::document(bytes.clone(), "\"part\""),
            None => Answer::response(404, &[], ""),
        }
    }

    /// All its bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.whole.len() + self.parts.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}
