//! Findings: what is wrong, on which object, why, and what to do; each with a stable code.
//!
//! The same text serves the command line, logs, metrics' documentation and `certdrift explain CODE`. Codes are public
//! contract: never reused. 1xx source, 2xx publish, 3xx observe, 4xx converge and remedy, 5xx configuration, 6xx filter and tap.
use crate::observe::findings as observe;
use crate::source::findings as source;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Will hurt if left alone.
    Warning,
    /// Hurts now.
    Error,
}

/// A kind of finding, as the catalogue explains it.
#[derive(Debug)]
pub struct Kind {
    /// `CD-101`
    pub code: &'static str,
    /// One line, without the object.
    pub title: &'static str,
    /// Why it matters and how it comes about; a paragraph or two.
    pub why: &'static str,
    /// What to do about it.
    pub mend: &'static str,
    /// Unless the circumstances say otherwise.
    pub severity: Severity,
}

/// One finding about one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `CD-101`; see [`CATALOGUE`].
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub what: String,
    /// On which object: `file:/etc/tls/demo.pem`, `kong/demo-tls`, `127.0.0.1:8443`.
    pub object: String,
    /// Why, with the facts of this case.
    pub why: String,
    /// What to do, with the very command where there is one.
    pub mend: String,
    /// Where an issuance stands: `awaits-approval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Kind {
    /// A finding of this kind with this case's facts.
    #[must_use]
    pub fn on(&self, object: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding {
            code: self.code.to_owned(),
            severity: self.severity,
            what: self.title.to_owned(),
            object: object.into(),
            why: why.into(),
            mend: self.mend.to_owned(),
            state: None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}): {}; {}", self.code, self.what, self.object, self.why, self.mend)
    }
}

/// All kinds, by code.
pub const CATALOGUE: &[&Kind] = &[
    &source::TORN,
    &source::NO_CERTIFICATE,
    &source::KEY_MISMATCH,
    &source::KEY_FIRST,
    &source::EXPIRED,
    &source::NOT_YET_VALID,
    &source::CHAIN_ORDER,
    &source::NO_NAMES,
    &source::CA_LEAF,
    &source::CA_SELF_SIGNED,
    &source::PLACEHOLDER,
    &source::UNREADABLE,
    &source::TOO_LARGE,
    &source::VANISHED,
    &source::SHADOWED,
    &source::NOT_COVERED,
    &source::BAD_NAME,
    &source::KEY_FAMILY,
    &source::FAMILY_TWICE,
    &source::DIRECTORY,
    &source::NOT_WATCHED,
    &source::PAIR_NAMES,
    &source::NO_SUCH_SOURCE,
    &crate::source::kubernetes::findings::FORBIDDEN,
    &crate::source::kubernetes::findings::NOT_UP_TO_DATE,
    &crate::source::kubernetes::findings::OBJECT_UNREADABLE,
    &crate::source::kubernetes::findings::SECRET_VANISHED,
    &crate::source::kubernetes::findings::UNSEEN,
    &crate::source::kubernetes::findings::SECRET_SHARED,
    &crate::cluster::connect::NO_CLUSTER,
    &crate::binding::findings::WITHOUT_HOSTS,
    &crate::binding::findings::WITHOUT_CLASS,
    &crate::binding::findings::SECRET_MISSING,
    &crate::binding::findings::NOT_INGESTED,
    &crate::binding::findings::SHADOWED,
    &crate::binding::findings::CONTESTED,
    &crate::binding::findings::SEVERAL_REFS,
    &crate::binding::findings::NO_GRANT,
    &crate::binding::findings::NOT_PROGRAMMED,
    &crate::binding::findings::BAD_HOST,
    &crate::binding::findings::WITHOUT_SECRET,
    &crate::binding::findings::NOT_ATTACHED,
    &crate::binding::findings::NOT_A_SECRET,
    &crate::binding::findings::NOT_COVERED,
    &crate::issuance::findings::STUCK,
    &crate::issuance::findings::FAILED,
    &crate::issuance::findings::NOT_STORED,
    &crate::issuance::findings::READY_BUT_EXPIRED,
    &crate::issuance::findings::NOT_OWNER,
    &crate::issuance::findings::OVERDUE,
    &crate::issuance::findings::OVERWRITTEN,
    &crate::publish::findings::NOT_WRITTEN,
    &crate::publish::findings::PUT_RIGHT,
    &crate::publish::findings::DAMAGED,
    &crate::publish::findings::REVISION_AHEAD,
    &crate::publish::findings::TOO_LARGE,
    &crate::publish::findings::INVALID,
    &crate::publish::findings::STALE_CURRENT,
    &crate::publish::findings::NOT_READ,
    &crate::publish::findings::CONFIG_MAP_PUT_RIGHT,
    &crate::publish::findings::CONFIG_MAP_NOT_WRITTEN,
    &crate::publish::findings::CONFIG_MAP_TOO_LARGE,
    &crate::publish::findings::CONFIG_MAP_NOT_READ,
    &observe::DRIFT,
    &observe::CHAIN_DIFFERS,
    &observe::CHAIN_ORDER,
    &observe::NOT_IN_DATE,
    &observe::NOT_COVERED,
    &observe::HALF_MISSING,
    &observe::UNREACHABLE,
    &observe::UNOBSERVABLE,
    &observe::NO_POSSESSION,
    &observe::NOT_TRUSTED,
    &observe::CHECK_USAGE,
    &observe::UNPROVEN,
    &observe::SOURCE_UNREADABLE,
    &crate::loaded::findings::EMPTY,
    &crate::loaded::findings::BEHIND,
    &crate::loaded::findings::REFUSED,
    &crate::loaded::findings::FALLBACK,
    &crate::loaded::findings::HELD_BACK,
    &observe::NO_PODS,
    &observe::POD_WITHOUT_PORT,
    &crate::converge::findings::DRIFT_OBSERVED,
    &crate::converge::findings::REMEDIES_EXHAUSTED,
    &crate::converge::findings::DRIFT_UNSETTLED,
    &crate::converge::findings::NO_REMEDY,
    &crate::converge::findings::REMEDY_FAILED,
    &crate::converge::findings::REMEDY_INTERRUPTED,
    &crate::converge::findings::STATE_DAMAGED,
    &crate::converge::findings::STATE_UNWRITABLE,
    &crate::converge::findings::HISTORY_UNWRITABLE,
    &crate::converge::findings::RECORD_UNWRITABLE,
    &crate::lead::findings::NO_LEASE,
    &crate::config::findings::UNREADABLE,
    &crate::config::findings::NOT_UNDERSTOOD,
    &crate::config::findings::UNKNOWN_KEY,
    &crate::config::findings::CONTRADICTION,
    &crate::config::findings::OVERRIDE,
    &crate::config::findings::TOKEN,
    &crate::server::findings::CANNOT_LISTEN,
    &crate::server::findings::TLS,
    &crate::run::findings::SIGNALS,
    &crate::run::findings::NO_CONTROLLER,
    &crate::run::findings::NOT_A_CONTROLLER,
    &crate::cli::doctor::findings::RIGHT_MISSING,
    &crate::cli::doctor::findings::INSTALLER,
    &crate::cli::doctor::findings::NOT_STORABLE,
    &crate::cli::doctor::findings::KIND_MISSING,
    &crate::cli::doctor::findings::NO_CERT_MANAGER,
    &crate::cli::doctor::findings::VERSION_FAILS,
    &crate::cli::doctor::findings::VERSION_UNTRIED,
    &crate::cli::doctor::findings::CLOCK,
    &crate::cli::doctor::findings::NOT_READY,
    &crate::cli::doctor::findings::LEDGER_STALE,
    &crate::cli::doctor::findings::LEASE_FREE,
    &crate::cli::drill::findings::REFUSED,
    &crate::cli::drill::findings::NOT_LOOKED_AT,
    &crate::rehearse::findings::CANARY_FAILED,
    &crate::rehearse::findings::CANARY_NOT_ROTATED,
    &crate::cli::audit::findings::UNREAD,
    &crate::cli::audit::findings::NO_GATEWAY,
    &crate::cli::man::NOT_WRITTEN,
    &crate::cli::man::NO_SUCH_PAGE,
    &crate::cli::run::NO_RUNTIME,
    &crate::cli::doctor::findings::PROBE_HEALTHZ,
    &crate::cli::doctor::findings::WASM_OFF,
    &crate::cli::doctor::findings::TAP_ABSENT,
    &crate::cli::doctor::findings::SILENT,
    &crate::cli::doctor::findings::FILTER_VERSION,
    &crate::cli::doctor::findings::FILTER_PROBLEM,
    &crate::cli::doctor::findings::ALLOW_WIDE,
    &crate::cli::doctor::findings::DEFAULT_UNRENEWED,
    &crate::cli::doctor::findings::INLINE,
    &crate::cli::doctor::findings::SUB_PATH,
    &crate::cli::doctor::findings::NO_METRICS,
];
