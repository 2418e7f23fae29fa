//! Every name that both sides use: headers, paths, schemas, metrics, and where a ledger's parts are.
//! They are part of the public contract: their values do not change within a major version.

/// `schema` of a ledger.
pub const LEDGER_SCHEMA: &str = "certdrift.dev/ledger/v1";
/// What every ledger schema begins with, whatever its major version.
pub const LEDGER_SCHEMA_FAMILY: &str = "certdrift.dev/ledger/";
/// What every schema of a part begins with.
pub const PART_SCHEMA_FAMILY: &str = "certdrift.dev/ledger-part/";
/// `schema` of one part of a ledger.
pub const PART_SCHEMA: &str = "certdrift.dev/ledger-part/v1";
/// `schema` of the filter's health report.
pub const REPORT_SCHEMA: &str = "certdrift.dev/report/v1";
/// `schema` of the tap's observations.
pub const TAP_SCHEMA: &str = "certdrift.dev/tap/v1";

/// The response header that tells of drift.
pub const HEADER: &str = "x-certdrift";
/// The request header that carries the health token.
pub const TOKEN_HEADER: &str = "x-certdrift-token";
/// Where the filter answers health requests unless configured otherwise.
pub const DEFAULT_PREFIX: &str = "/certdrift";

/// Health paths under the prefix.
pub mod path {
    /// 200 while the filter runs.
    pub const LIVEZ: &str = "livez";
    /// 200 once it has a ledger, or has waited `ready_after`.
    pub const READYZ: &str = "readyz";
    /// 200 or 503 with the worst verdict; for monitors and the controller, not for kubelet.
    pub const HEALTHZ: &str = "healthz";
    /// The report.
    pub const REPORT: &str = "report";
}

/// The nginx variable the tap sets.
pub const TAP_VARIABLE: &str = "certdrift";

/// Where part `part` of the ledger at `location` is: `…/ledger.json` has `…/ledger-03.json`, `/ledger/kong` has `/ledger/kong/03`.
#[must_use]
pub fn part_path(location: &str, part: &str) -> String {
    match location.strip_suffix(".json") {
        Some(stem) => format!("{stem}-{part}.json"),
        None => format!("{location}/{part}"),
    }
}

/// The filter's metrics. Kong shows them as `pw_certdrift_NAME`.
pub mod metric {
    /// Counter: observations judged.
    pub const JUDGED: &str = "judged_total";
    /// Counter by reason: observations that could not be judged; see [`super::UNJUDGED_REASONS`].
    pub const UNJUDGED: &str = "unjudged_total";
    /// Counter: observations of hosts the ledger does not list.
    pub const UNLISTED: &str = "unlisted_total";
    /// Counter by class: observations that were drift; see [`crate::verdict::DriftClass`].
    pub const DRIFT: &str = "drift_total";
    /// Gauge: revision of the ledger in use.
    pub const LEDGER_REVISION: &str = "ledger_revision";
    /// Gauge: seconds since the ledger in use was last confirmed.
    pub const LEDGER_AGE: &str = "ledger_age_seconds";
    /// Counter by result: polls of the ledger; see [`super::POLL_RESULTS`].
    pub const POLLS: &str = "polls_total";
}

/// Why an observation could not be judged.
pub const UNJUDGED_REASONS: [&str; 4] = ["plain", "resumed", "unknown", "no-ledger"];

/// How a poll of a ledger can end.
pub const POLL_RESULTS: [&str; 5] = ["changed", "unchanged", "unreachable", "bad", "refused"];
