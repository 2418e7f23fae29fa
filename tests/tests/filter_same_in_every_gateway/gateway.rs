//! What a scenario needs of a gateway, whichever it is: hosts whose certificates are known, a ledger, requests.
use certdrift_contract::Fingerprint;
use certdrift_contract::names::part_path;

/// Its certificate is that of [`print`]`("demo")`.
pub(crate) const DEMO: &str = "demo.example.com";
/// Its certificate is that of [`print`]`("other")`.
pub(crate) const OTHER: &str = "other.example.com";
/// The gateway does not tell its certificate.
pub(crate) const UNTOLD: &str = "untold.example.com";
/// The gateway tells nonsense.
pub(crate) const NONSENSE: &str = "nonsense.example.com";
/// As [`DEMO`], with the configuration [`STRICT_CONFIG`].
pub(crate) const STRICT: &str = "strict.example.com";
/// As [`DEMO`], with the configuration [`NEVER_CONFIG`].
pub(crate) const NEVER: &str = "never.example.com";
/// As [`DEMO`], with the configuration [`said_config`].
pub(crate) const SAID: &str = "said.example.com";
/// Where the ledger is.
pub(crate) const LEDGER: &str = "/ledger/edge";
/// The first revision; a later one is higher by what is added.
pub(crate) const FIRST: u64 = 1_795_478_400;

/// Everybody gets the header, the machine itself sees health.
pub(crate) const OPEN_CONFIG: &str =
    r#""header_to": "all", "health": {"ready_after_seconds": 100000}, "surprise": 1"#;
/// The machine itself may not see health, who has the token may; so for the header, which is on every response.
pub(crate) const STRICT_CONFIG: &str =
    r#""header": "always", "health": {"allow": ["192.0.2.0/24"], "token": "secret"}, "prefix": "/-/tls""#;
/// Nobody gets a header.
pub(crate) const NEVER_CONFIG: &str = r#""header": "never", "header_to": "all""#;

/// The chain's configuration says what it serves, and to whom; health is not answered in it.
pub(crate) fn said_config() -> String {
    let declared = format!(r#"{{"fingerprint": "{}", "sni": "{SAID}"}}"#, print("demo"));
    format!(r#""prefix": "", "header_to": "all", "certificate": {{"declared": {declared}}}"#)
}

/// A configuration: where the ledger is, and more.
pub(crate) fn config(upstream: &str, more: &str) -> String {
    format!(
        r#"{{"ledger": {{"poll_interval_seconds": 1, "locations": [{{"upstream": "{upstream}", "path": "{LEDGER}"}}], "stale_after_seconds": 5}}, {more}}}"#
    )
}

/// A fingerprint that belongs to this text.
pub(crate) fn print(text: &str) -> Fingerprint {
    Fingerprint::of(text.as_bytes())
}

/// What a host is served.
pub(crate) enum Told {
    This(Fingerprint),
    Nothing,
    Nonsense,
}

/// What the gateway tells of a host's connections.
pub(crate) fn told(host: &str) -> Told {
    match host {
        UNTOLD | SAID => Told::Nothing,
        NONSENSE => Told::Nonsense,
        OTHER => Told::This(print("other")),
        _ => Told::This(print("demo")),
    }
}

/// What the ledger's location answers, by path; nothing at all: nobody is there.
pub(crate) type Documents = Vec<(String, String)>;

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: &'a str,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) headers: Vec<(String, String)>,
    /// Without white space at its end (host notes, trap 8).
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the upstream answered, and the client got that as it was.
    pub(crate) fn is_upstreams(&self) -> bool {
        self.status == 200 && self.body == "hello"
    }
}

/// A gateway with the shipped filter: [`DEMO`] and the others are served, the upstream says `hello`.
pub(crate) trait Gateway {
    /// How it knows what it serves.
    fn evidence(&self) -> &'static str;
    /// What the ledger's location answers from now on.
    fn documents(&mut self, documents: Documents);
    /// The paths it was asked for since the last call of this, and whether it answered 304.
    fn asked(&mut self) -> Vec<(String, bool)>;
    /// A request on a connection of its own.
    fn ask(&mut self, ask: Ask<'_>) -> Reply;
    /// The value of one of the filter's metrics.
    fn metric(&mut self, name: &str) -> u64;
    /// Lets a little time pass.
    fn pass(&mut self);
    /// Whether a line of its log has the text.
    fn has_logged(&self, text: &str) -> bool;
}

impl dyn Gateway + '_ {
    pub(crate) fn get(&mut self, host: &str, path: &str) -> Reply {
        self.ask(Ask { host, method: "GET", path, token: "" })
    }

    /// A health answer: its code, and its verdict.
    pub(crate) fn healthz(&mut self) -> (u32, String) {
        let reply = self.get(UNTOLD, "/certdrift/healthz");
        let verdict =
            serde_json::from_str::<serde_json::Value>(&reply.body).expect("JSON")["verdict"].clone();
        (reply.status, verdict.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn report(&mut self, query: &str) -> serde_json::Value {
        let reply = self.get(UNTOLD, &format!("/certdrift/report{query}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_str(&reply.body).expect("a report is JSON")
    }

    pub(crate) fn revision(&mut self) -> u64 {
        self.report("")["ledger"]["revision"].as_u64().unwrap_or_default()
    }

    /// Tries until there is a value.
    #[track_caller]
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut check: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> T {
        let mut last = String::new();
        for _ in 0..300 {
            match check(self) {
                Ok(value) => return value,
                Err(seen) => last = seen,
            }
            self.pass();
        }
        panic!("waited in vain for {what}; at last: {last}");
    }

    /// Serves a ledger, and waits until the filter has it.
    #[track_caller]
    pub(crate) fn serves(&mut self, revision: u64, documents: Documents) {
        self.documents(documents);
        self.until("the ledger to be in use", |gateway| match gateway.revision() {
            now if now == revision => Ok(()),
            now => Err(format!("revision {now}, not {revision}: {}", gateway.report(""))),
        });
    }
}

/// An entry that expects one certificate of a host, and lets another go.
pub(crate) fn entry(host: &str, current: &str, retired: Option<&str>) -> String {
    let retiring =
        retired.map(|text| format!(r#"{{"sha256": "{}", "until": "2026-01-01T00:00:00Z"}}"#, print(text)));
    format!(
        r#"{{"source": "file:{host}", "hosts": ["{host}"], "since": "2026-11-23T00:00:00Z",
        "current": [{{"sha256": "{}", "not_after": "2027-01-01T00:00:00Z"}}], "retiring": [{}]}}"#,
        print(current),
        retiring.unwrap_or_default()
    )
}

fn head(revision: u64, content: &str) -> String {
    format!(
        r#"{{"schema": "certdrift.dev/ledger/v1", "gateway": "edge", "match": "envoy", "revision": {revision},
        "published_at": "2026-11-24T00:00:00Z", {content}}}"#
    )
}

/// A whole ledger.
pub(crate) fn whole(revision: u64, entries: &[String]) -> Documents {
    vec![(LEDGER.to_owned(), head(revision, &format!(r#""entries": [{}]"#, entries.join(", "))))]
}

/// A ledger in parts, an entry each; the index comes first.
pub(crate) fn in_parts(revision: u64, entries: &[String]) -> Documents {
    let (mut parts, mut index) = (Vec::new(), Vec::new());
    for (n, entry) in entries.iter().enumerate() {
        let text = format!(
            r#"{{"schema": "certdrift.dev/ledger-part/v1", "gateway": "edge", "name": "{n:02}", "entries": [{entry}]}}"#
        );
        index.push(format!(r#"{{"name": "{n:02}", "sha256": "{}"}}"#, print(&text)));
        parts.push((part_path(LEDGER, &format!("{n:02}")), text));
    }
    let mut documents =
        vec![(LEDGER.to_owned(), head(revision, &format!(r#""parts": [{}]"#, index.join(", "))))];
    documents.append(&mut parts);
    documents
}
