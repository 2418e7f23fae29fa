//! The filter's configuration: JSON, one object per filter chain. Its keys are public contract
//! (`deploy/kong/certdrift.meta.json` has the same as a JSON schema):
//!
//! ```json
//! {"ledger": {"locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger/kong", "token": "…"}],
//!             "poll_interval_seconds": 5, "timeout_seconds": 2, "stale_after_seconds": 600},
//!  "host": "auto", "certificate": {"property": ["ngx", "certdrift"]},
//!  "header": "drift", "header_to": "health", "prefix": "/certdrift",
//!  "health": {"allow": ["127.0.0.0/8", "::1"], "token": "…", "ready_after_seconds": 30},
//!  "ahead_window_seconds": 180, "skew_seconds": 5}
//! ```
//!
//! Only `ledger.locations` must be there. An unknown key is told and ignored; anything else that is wrong leaves
//! the filter passive, and the error names the place.
use crate::maps;
use crate::peer::{LOOPBACK, Range};
use certdrift_contract::Fingerprint;
use certdrift_contract::json::{Kind, Limits, ParseError, Reader};
use certdrift_contract::names::{DEFAULT_PREFIX, TAP_VARIABLE};
use certdrift_contract::verdict::Windows;

/// What one filter chain is configured with.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Where the ledger comes from; of all chains of a worker the newest's hold.
    pub ledger: LedgerSettings,
    /// The periods of a verdict; of all chains the newest's hold.
    pub windows: Windows,
    /// What kind of host this is.
    pub host: HostKind,
    /// Where the certificate comes from; `None`: the host kind's own place.
    pub certificate: Option<Certificate>,
    /// On which responses the header stands.
    pub header: HeaderOn,
    /// Who gets it.
    pub header_to: HeaderTo,
    /// Where health is answered, `/certdrift`; without a slash at its end. Empty: nowhere in this chain, and no
    /// request's path is read.
    pub prefix: String,
    /// Who may see health without a token.
    pub allow: Vec<Range>,
    /// What opens health to others; empty: nothing does.
    pub token: String,
    /// After so many seconds without a ledger, `readyz` is 200 all the same.
    pub ready_after: u64,
    /// Keys nobody knows, as sentences.
    pub unknown: Vec<String>,
}

/// Where the ledger comes from, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// In this order; the first that gives a good ledger wins.
    pub locations: Vec<Location>,
    /// Seconds from poll to poll.
    pub interval: u64,
    /// Seconds a location may take.
    pub timeout: u64,
    /// After so many seconds without confirmation a ledger is stale.
    pub stale_after: u64,
}

/// One place a ledger can be had from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// `host:port` on Kong and nginx, a cluster's name on Envoy.
    pub upstream: String,
    /// `/ledger/kong`, `/ledger.json`
    pub path: String,
    /// The `Host` header; the upstream unless said otherwise.
    pub authority: String,
    /// Sent as `x-certdrift-token`, unless empty.
    pub token: String,
}

/// What kind of host runs the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// Found out at the first request.
    Auto,
    /// nginx with ngx_wasm_module, and Kong, which is one.
    Kong,
    /// Envoy.
    Envoy,
}

/// Where a connection's certificate is read; paths as the ABI wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// A property with the tap's line.
    Tap(Vec<u8>),
    /// What the gateway was configured with.
    Declared {
        /// The leaf's fingerprint.
        fingerprint: Source,
        /// The server name the client sent.
        sni: Source,
    },
}

/// Where something declared comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A property; its path.
    Property(Vec<u8>),
    /// The chain's own configuration: the same for all its requests, and the host is not asked.
    Text(Vec<u8>),
}

/// On which responses the header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderOn {
    /// Where it is drift.
    Drift,
    /// On all.
    Always,
    /// On none.
    Never,
}

/// Who gets the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderTo {
    /// Those who may see health.
    Health,
    /// Everybody.
    All,
}

const LIMITS: Limits = Limits { bytes: 64 << 10, depth: 8, items: 256, string: 1024 };
const YEAR: u64 = 31_536_000;

impl Default for Configuration {
    fn default() -> Self {
        Self {
            ledger: LedgerSettings { locations: Vec::new(), interval: 5, timeout: 2, stale_after: 600 },
            windows: Windows::default(),
            host: HostKind::Auto,
            certificate: None,
            header: HeaderOn::Drift,
            header_to: HeaderTo::Health,
            prefix: DEFAULT_PREFIX.to_owned(),
            allow: LOOPBACK.iter().filter_map(|range| Range::parse(range)).collect(),
            token: String::new(),
            ready_after: 30,
            unknown: Vec::new(),
        }
    }
}

impl Certificate {
    /// The tap's variable.
    #[must_use]
    pub fn kong() -> Self {
        Self::Tap(maps::path(&["ngx", TAP_VARIABLE]))
    }

    /// What `envoy.filters.http.set_metadata` declares for its filter chain (deploy/envoy).
    #[must_use]
    pub fn envoy() -> Self {
        Self::Declared {
            fingerprint: Source::Property(maps::path(&[
                "metadata",
                "filter_metadata",
                "certdrift",
                "sha256",
            ])),
            sni: Source::Property(maps::path(&["connection", "requested_server_name"])),
        }
    }
}

impl Configuration {
    /// Reads the JSON text the host hands over.
    ///
    /// # Errors
    /// Names the place and what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut config = Self::default();
        let mut reader = Reader::new(text, &LIMITS)?;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(reader.error("there is no configuration; ledger.locations is needed"));
        }
        reader.object(&mut |r, key| {
            match key {
                "ledger" => return config.ledger(r),
                "host" => {
                    config.host = choice(
                        r,
                        &[("auto", HostKind::Auto), ("kong", HostKind::Kong), ("envoy", HostKind::Envoy)],
                    )?;
                }
                "certificate" => config.certificate = Some(certificate(r, &mut config.unknown)?),
                "header" => {
                    config.header = choice(
                        r,
                        &[
                            ("drift", HeaderOn::Drift),
                            ("always", HeaderOn::Always),
                            ("never", HeaderOn::Never),
                        ],
                    )?;
                }
                "header_to" => {
                    config.header_to = choice(r, &[("health", HeaderTo::Health), ("all", HeaderTo::All)])?;
                }
                "prefix" => config.prefix = prefix(r)?,
                "health" => return config.health(r),
                "ahead_window_seconds" => config.windows.ahead = seconds(r, 0)?.cast_signed(),
                "skew_seconds" => config.windows.skew = seconds(r, 0)?.cast_signed(),
                other => return unknown(r, &mut config.unknown, other),
            }
            Ok(())
        })?;
        let missing =
            reader.error("ledger.locations is missing: the filter does not know where its ledger is");
        reader.end()?;
        if config.ledger.locations.is_empty() { Err(missing) } else { Ok(config) }
    }

    fn ledger(&mut self, r: &mut Reader<'_>) -> Result<(), ParseError> {
        let (ledger, strangers) = (&mut self.ledger, &mut self.unknown);
        r.object(&mut |r, key| {
            match key {
                "locations" => {
                    ledger.locations.clear();
                    r.array(&mut |r, _| {
                        ledger.locations.push(location(r, strangers)?);
                        Ok(())
                    })?;
                }
                "poll_interval_seconds" => ledger.interval = seconds(r, 1)?,
                "timeout_seconds" => ledger.timeout = seconds(r, 1)?.min(600),
                "stale_after_seconds" => ledger.stale_after = seconds(r, 1)?,
                other => return unknown(r, strangers, &format!("ledger.{other}")),
            }
            Ok(())
        })
    }

    fn health(&mut self, r: &mut Reader<'_>) -> Result<(), ParseError> {
        r.object(&mut |r, key| {
            match key {
                "allow" => {
                    self.allow.clear();
                    r.array(&mut |r, _| {
                        let text = r.string()?;
                        let range = Range::parse(&text);
                        self.allow.push(range.ok_or_else(|| {
                            r.error(format!("\"{text}\" is no address and no range such as 10.0.0.0/8"))
                        })?);
                        Ok(())
                    })?;
                }
                "token" => self.token = r.string()?.into_owned(),
                "ready_after_seconds" => self.ready_after = seconds(r, 0)?,
                other => return unknown(r, &mut self.unknown, &format!("health.{other}")),
            }
            Ok(())
        })
    }
}

fn location(r: &mut Reader<'_>, strangers: &mut Vec<String>) -> Result<Location, ParseError> {
    let mut location = Location::default();
    r.object(&mut |r, key| {
        let place = match key {
            "upstream" => &mut location.upstream,
            "path" => &mut location.path,
            "authority" => &mut location.authority,
            "token" => &mut location.token,
            other => return unknown(r, strangers, &format!("ledger.locations.{other}")),
        };
        *place = visible(r)?;
        Ok(())
    })?;
    // On Kong a target is host:port and never a URL (kong-host-notes).
    if location.upstream.is_empty() || location.upstream.contains('/') {
        return Err(r.error("upstream is host:port (on Envoy a cluster's name), never a URL"));
    }
    if !location.path.starts_with('/') {
        return Err(r.error("path begins with a slash"));
    }
    if location.authority.is_empty() {
        location.authority.clone_from(&location.upstream);
    }
    Ok(location)
}

fn certificate(r: &mut Reader<'_>, strangers: &mut Vec<String>) -> Result<Certificate, ParseError> {
    let (mut property, mut declared) = (None, None);
    r.object(&mut |r, key| {
        match key {
            "property" => property = Some(Certificate::Tap(path(r)?)),
            "declared" => {
                let Certificate::Declared { mut fingerprint, mut sni } = Certificate::envoy() else {
                    return Ok(());
                };
                r.object(&mut |r, key| {
                    match key {
                        "fingerprint" => {
                            fingerprint = source(r)?;
                            if let Source::Text(text) = &fingerprint
                                && Fingerprint::parse(text).is_err()
                            {
                                return Err(r.error("64 lower-case hex digits, or a property's path"));
                            }
                        }
                        "sni" => sni = source(r)?,
                        other => return unknown(r, strangers, &format!("certificate.declared.{other}")),
                    }
                    Ok(())
                })?;
                declared = Some(Certificate::Declared { fingerprint, sni });
            }
            other => return unknown(r, strangers, &format!("certificate.{other}")),
        }
        Ok(())
    })?;
    match (property, declared) {
        (Some(one), None) | (None, Some(one)) => Ok(one),
        _ => Err(r.error("either property (the tap's variable) or declared")),
    }
}

/// A text is the thing itself, an array a property's path.
fn source(r: &mut Reader<'_>) -> Result<Source, ParseError> {
    if r.kind()? == Kind::String {
        return Ok(Source::Text(visible(r)?.into_bytes()));
    }
    path(r).map(Source::Property)
}

fn path(r: &mut Reader<'_>) -> Result<Vec<u8>, ParseError> {
    let mut segments = Vec::new();
    r.array(&mut |r, _| {
        segments.push(visible(r)?);
        Ok(())
    })?;
    if segments.iter().all(String::is_empty) {
        return Err(r.error("a property's path has at least one segment"));
    }
    Ok(maps::path(&segments))
}

fn prefix(r: &mut Reader<'_>) -> Result<String, ParseError> {
    let mut text = visible(r)?;
    if text.is_empty() {
        return Ok(text);
    }
    while text.ends_with('/') {
        text.pop();
    }
    if text.starts_with('/') && !text.contains(['?', '#']) {
        Ok(text)
    } else {
        Err(r.error("prefix begins with a slash and has more than that; empty, health is not answered here"))
    }
}

/// A text that can stand in a header: no control characters.
fn visible(r: &mut Reader<'_>) -> Result<String, ParseError> {
    let text = r.string()?;
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err(r.error("a control character"));
    }
    Ok(text.into_owned())
}

fn seconds(r: &mut Reader<'_>, least: u64) -> Result<u64, ParseError> {
    let seconds = r.u64()?;
    if (least..=YEAR).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(r.error(format!("seconds from {least} to {YEAR}")))
    }
}

fn choice<T: Copy>(r: &mut Reader<'_>, choices: &[(&str, T)]) -> Result<T, ParseError> {
    let text = r.string()?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let mut expected = String::from("one of");
    for (name, _) in choices {
        expected.push(' ');
        expected.push_str(name);
    }
    Err(r.error(expected))
}

fn unknown(r: &mut Reader<'_>, strangers: &mut Vec<String>, key: &str) -> Result<(), ParseError> {
    if strangers.len() < 8 {
        let cut: String = key.chars().take(80).collect();
        strangers.push(format!("the configuration has the unknown key {cut}"));
    }
    r.skip()
}
