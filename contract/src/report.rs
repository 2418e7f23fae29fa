//! The filter's health report: its own word on what its worker served.
//!
//! Its size follows trouble and not fleet size: hosts in `match` are left out unless asked for by `?hosts=`.

/// What `report` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// `certdrift.dev/report/v1`
    pub schema: String,
    /// Of the filter.
    pub version: String,
    /// Which worker answered.
    pub worker: Worker,
    /// The ledger in use; `null` while there is none.
    pub ledger: Option<LedgerInUse>,
    /// The worst verdict of the worker's hosts, or `no-ledger`, `stale-ledger`, `misconfigured`.
    pub verdict: String,
    /// What is wrong with the configuration, in words; empty when nothing is.
    pub problems: Vec<String>,
    /// Since the worker started.
    pub counters: Counters,
    /// Hosts that are not in `match`, or those asked for.
    pub observations: Vec<HostReport>,
}

/// Which worker answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Worker {
    /// Its process id, or where the host does not tell one, a name of its own choosing that stays while it lives.
    pub id: String,
    /// When the filter started in it, seconds since 1970.
    pub started: i64,
}

/// The ledger a worker uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerInUse {
    /// Name of the gateway.
    pub gateway: String,
    /// Its revision.
    pub revision: u64,
    /// Seconds since a poll last confirmed it.
    pub age_seconds: u64,
    /// Hosts it lists.
    pub hosts: u64,
    /// From which location.
    pub location: String,
    /// Why the last poll brought nothing usable; empty when it did.
    pub last_error: String,
}

/// Connections counted since the worker started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// Judged.
    pub judged: u64,
    /// Not judged: plain HTTP, resumed session, or the host does not tell.
    pub unjudged: u64,
    /// Not judged: the ledger does not list the host.
    pub unlisted: u64,
    /// Judged to be drift.
    pub drift: u64,
}

/// What a worker served for one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostReport {
    /// The host as the ledger lists it; `default` for the gateway's default certificate.
    pub host: String,
    /// As in the table of verdicts; `unobserved` when no client came yet.
    pub verdict: String,
    /// Of drift; else `null`.
    pub class: Option<String>,
    /// Fingerprint served, 64 hex digits; `null` when none was yet.
    pub served: Option<String>,
    /// Fingerprints expected.
    pub expected: Vec<String>,
    /// How it was observed.
    pub evidence: String,
    /// When `served` was first seen, seconds since 1970; 0 when never.
    pub first_seen: i64,
    /// When `served` was last seen, seconds since 1970; 0 when never.
    pub last_seen: i64,
    /// When the newest connection began, seconds since 1970; 0 when never.
    pub began: i64,
}

impl Report {
    /// The report's JSON, as serde would write it. The filter has no room for serde_json.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut w = Writer(String::new());
        w.begin("schema").text(&self.schema);
        w.key("version").text(&self.version);
        w.key("worker").begin("id").text(&self.worker.id);
        w.key("started").number(self.worker.started);
        w.end();
        w.key("ledger");
        match &self.ledger {
            None => w.raw("null"),
            Some(ledger) => {
                w.begin("gateway").text(&ledger.gateway);
                w.key("revision").number(ledger.revision);
                w.key("age_seconds").number(ledger.age_seconds);
                w.key("hosts").number(ledger.hosts);
                w.key("location").text(&ledger.location);
                w.key("last_error").text(&ledger.last_error);
                w.end();
            }
        }
        w.key("verdict").text(&self.verdict);
        w.key("problems").texts(&self.problems);
        w.key("counters").begin("judged").number(self.counters.judged);
        w.key("unjudged").number(self.counters.unjudged);
        w.key("unlisted").number(self.counters.unlisted);
        w.key("drift").number(self.counters.drift);
        w.end();
        w.key("observations");
        w.list(&self.observations, |w, seen| {
            w.begin("host").text(&seen.host);
            w.key("verdict").text(&seen.verdict);
            w.key("class").maybe(seen.class.as_deref());
            w.key("served").maybe(seen.served.as_deref());
            w.key("expected").texts(&seen.expected);
            w.key("evidence").text(&seen.evidence);
            w.key("first_seen").number(seen.first_seen);
            w.key("last_seen").number(seen.last_seen);
            w.key("began").number(seen.began);
            w.end();
        });
        w.end();
        w.0
    }
}

/// Writes JSON front to back.
struct Writer(String);

impl Writer {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Begins an object at its first key.
    fn begin(&mut self, key: &str) -> &mut Self {
        self.raw("{\"");
        self.raw(key);
        self.raw("\":");
        self
    }

    /// The next key of an object.
    fn key(&mut self, key: &str) -> &mut Self {
        self.raw(",\"");
        self.raw(key);
        self.raw("\":");
        self
    }

    fn end(&mut self) {
        self.0.push('}');
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        self.raw(&format!("{number}"));
    }

    fn text(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                '\u{8}' => self.raw("\\b"),
                '\u{c}' => self.raw("\\f"),
                c if u32::from(c) < 0x20 => {
                    self.raw("\\u00");
                    for nibble in [u32::from(c) >> 4, u32::from(c) & 15] {
                        self.0.push(char::from_digit(nibble, 16).unwrap_or('0'));
                    }
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.raw("null"),
        }
    }

    fn texts(&mut self, texts: &[String]) {
        self.list(texts, |w, text| w.text(text));
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.0.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.0.push(',');
            }
            write(self, item);
        }
        self.0.push(']');
    }
}
