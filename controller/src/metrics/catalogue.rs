//! All metrics, by name. A name is public contract: it does not change within a major version.

/// What kind of figure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises; its samples are called `…_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by upper bounds, in seconds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As both text formats write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Without `_total`.
    pub name: &'static str,
    /// Of figure.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
    /// When its series appear.
    pub when: &'static str,
}

impl Metric {
    /// What its samples are called.
    #[must_use]
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge | Kind::Histogram(_) => self.name.to_owned(),
        }
    }
}

/// Bounds for what takes from milliseconds (a file) to a day (a renewal nobody noticed).
const HOP_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];

macro_rules! metrics {
    ($($id:ident: $kind:expr, $name:literal, [$($label:literal),*], $help:literal, $when:literal;)*) => {
        $(#[doc = $help] pub const $id: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help, when: $when };)*
        /// All of them, in the order of the page.
        pub const ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    BUILD: Kind::Gauge, "certdrift_build_info", ["version"], "Always 1; the version is its label.", "always";
    START: Kind::Gauge, "process_start_time_seconds", [], "When the process started, in seconds since 1970.", "always";
    CPU: Kind::Counter, "process_cpu_seconds", [], "CPU time used, in seconds.", "always";
    MEMORY: Kind::Gauge, "process_resident_memory_bytes", [], "Resident memory.", "always";
    VIRTUAL: Kind::Gauge, "process_virtual_memory_bytes", [], "Address space.", "always";
    FDS: Kind::Gauge, "process_open_fds", [], "Open file descriptors.", "always";
    MAX_FDS: Kind::Gauge, "process_max_fds", [], "The most file descriptors that may be open.", "always";
    RELOADS: Kind::Counter, "certdrift_config_reloads", ["result"], "Readings of the configuration after SIGHUP, `taken` or `refused`.", "always, from 0";
    LEADS: Kind::Gauge, "certdrift_leader", [], "1 while this replica holds the Lease: it writes ledgers and heals.", "where a gateway is in a cluster";
    READY: Kind::Gauge, "certdrift_ready", ["gateway"], "1 once the first complete ledger of the gateway was published.", "always";
    HEALING: Kind::Gauge, "certdrift_healing_enabled", ["gateway"], "1 where remedies may be used (mode heal), 0 where drift is only told (mode observe).", "always";
    SOURCES: Kind::Gauge, "certdrift_sources", ["gateway"], "Sources (certificates or pairs) with a good certificate.", "once the sources were read";
    HOSTS: Kind::Gauge, "certdrift_hosts", ["gateway"], "Hosts the ledger lists.", "once a ledger was published";
    FINDINGS: Kind::Gauge, "certdrift_findings", ["gateway", "severity"], "Findings that hold now; `certdrift status` tells them.", "always, from 0";
    FINDING: Kind::Gauge, "certdrift_finding", ["gateway", "code", "severity"], "Findings that hold now by code; `certdrift explain CODE` explains one.", "only for codes that hold";
    NOT_AFTER_EXPECTED: Kind::Gauge, "certdrift_expected_earliest_not_after_timestamp_seconds", ["gateway"], "The earliest end of validity among the certificates that are expected.", "once a ledger lists one";
    NEAR_END: Kind::Gauge, "certdrift_host_not_after_timestamp_seconds", ["gateway", "host"], "End of validity of what is expected for a host.", "only for hosts whose certificate ends within 14 days, at most 100";
    LEDGER_REVISION: Kind::Gauge, "certdrift_ledger_revision", ["gateway"], "Revision of the ledger that was published last.", "once a ledger was published";
    LEDGER_PUBLISHED: Kind::Gauge, "certdrift_ledger_published_timestamp_seconds", ["gateway"], "When the ledger was published last.", "once a ledger was published";
    PUBLISHES: Kind::Counter, "certdrift_ledger_publishes", ["gateway", "result"], "Publications of the ledger: `written`, `unchanged` (nothing to write) or `failed`.", "always, from 0";
    OBSERVATIONS: Kind::Counter, "certdrift_observations", ["gateway", "evidence", "outcome"], "Observations by evidence (handshake, filter, tap, declared) and outcome (served, unreachable, unobservable).", "always, from 0";
    ENDPOINT_UP: Kind::Gauge, "certdrift_endpoint_up", ["gateway", "endpoint"], "1 when the last handshake with the endpoint got an answer.", "once the endpoint was tried";
    ENDPOINT_HOSTS: Kind::Gauge, "certdrift_endpoint_hosts", ["gateway", "endpoint", "verdict"], "Hosts by the worst verdict that holds at the endpoint.", "once the endpoint was tried, from 0";
    ENDPOINT_NOT_AFTER: Kind::Gauge, "certdrift_endpoint_earliest_not_after_timestamp_seconds", ["gateway", "endpoint"], "The earliest end of validity among the certificates the endpoint was seen to serve: for hosts of the ledger, for hosts that left it until nothing that covers them is served (or certdrift starts anew), and, while there is no ledger, to no name.", "once a certificate was seen";
    ENDPOINT_WORKERS: Kind::Gauge, "certdrift_endpoint_workers", ["gateway", "endpoint"], "Worker processes of the endpoint.", "where tap, status or configuration tells";
    WORKERS_SEEN: Kind::Gauge, "certdrift_endpoint_workers_seen", ["gateway", "endpoint"], "Worker processes that filter or tap named as having served a host, of the host for which most are known.", "where tap or filter names workers";
    CONNECTIONS: Kind::Gauge, "certdrift_endpoint_connections", ["gateway", "endpoint", "kind"], "Connections that the workers which live now have had since they started: `full` handshakes, which show a certificate; `resumed`, `plain` and `unknown`, which do not, so that nobody can judge them.", "where the tap tells";
    DRIFT_HOSTS: Kind::Gauge, "certdrift_drift_hosts", ["gateway", "class"], "Hosts that are served something else than expected, on any endpoint, by class; those that somebody acknowledged are counted apart.", "always, from 0";
    ACKNOWLEDGED: Kind::Gauge, "certdrift_drift_acknowledged_hosts", ["gateway"], "Hosts whose drift somebody acknowledged, with a reason and an end date: they are not alerted and not healed.", "always";
    DRIFT: Kind::Gauge, "certdrift_drift_since_timestamp_seconds", ["gateway", "endpoint", "host", "class"], "Since when the endpoint serves the host something else than expected.", "only while it does, at most 100 a gateway";
    REMEDIES: Kind::Counter, "certdrift_remedies", ["gateway", "kind", "result"], "Remedies (signal, command, webhook, evict) that ended `done` or `failed`; whether that helped is told by the wire.", "always, from 0";
    REMEDY_OUTCOMES: Kind::Counter, "certdrift_remedy_outcomes", ["gateway", "outcome"], "What the wire showed after a remedy: `proven`, `not-helped`, or `not-proven` (not seen in time).", "always, from 0";
    REMEDY_IN_FLIGHT: Kind::Gauge, "certdrift_remedy_in_flight", ["gateway"], "1 while a remedy runs or is being proven.", "always";
    ALERTS: Kind::Gauge, "certdrift_drift_exhausted", ["gateway"], "Drifts that lasted too long or that no remedy mends: somebody must look.", "always";
    HOP: Kind::Histogram(HOP_BOUNDS), "certdrift_hop_seconds", ["gateway", "hop"], "How long each hop of a renewal took. With cert-manager, from its request to the signature (`issued`) and from that to the Secret (`stored`), to the second. From the stored file's or Secret's change to a ledger that lists it (`published`) to the last endpoint that runs by another configuration (`loaded`, where all tell: Kong's status), and to the proof on the wire (`served`), for every renewal.", "always, from 0";
    DRIFT_TIME: Kind::Histogram(HOP_BOUNDS), "certdrift_drift_seconds", ["gateway", "ended_by"], "How long drifts lasted, from the first sight to the proof that it is over; ended by a `remedy`, or by `itself`.", "always, from 0";
    CANARY_INTERVAL: Kind::Gauge, "certdrift_canary_interval_seconds", ["gateway"], "How long after one canary certificate the next is asked for, as configured.", "where the gateway has a canary";
    CANARY_SUCCESS: Kind::Gauge, "certdrift_canary_last_success_timestamp_seconds", ["gateway"], "When the canary's newest certificate was proven on every endpoint; after a restart, until the next: when the one that is proven now was signed.", "once one was proven";
    CANARY_DURATION: Kind::Gauge, "certdrift_canary_duration_seconds", ["gateway"], "How long the whole way of the last proven canary certificate took, from the request to the proof on every endpoint.", "once this process saw one from its request to its proof";
    CANARY_FAILURES: Kind::Counter, "certdrift_canary_failures", ["gateway", "hop"], "Canary certificates that were given up, by the first hop that was not done (CD-570). Counted by the replica that leads.", "where the gateway has a canary, from 0";
}

/// Values of the label `result` of [`PUBLISHES`].
pub const PUBLISH_RESULTS: [&str; 3] = ["written", "unchanged", "failed"];
/// Values of the label `result` of [`RELOADS`].
pub const RELOAD_RESULTS: [&str; 2] = ["taken", "refused"];
/// Values of the label `evidence`.
pub const EVIDENCES: [&str; 4] = ["handshake", "filter", "tap", "declared"];
/// Values of the label `outcome`.
pub const OUTCOMES: [&str; 3] = ["served", "unreachable", "unobservable"];
/// Values of the label `kind` of [`CONNECTIONS`].
pub const CONNECTION_KINDS: [&str; 4] = ["full", "resumed", "plain", "unknown"];
/// Values of the label `kind` of [`REMEDIES`].
pub const REMEDY_KINDS: [&str; 7] =
    ["signal", "command", "webhook", "evict", "kube-exec", "rollout", "touch"];
/// Values of the label `result` of [`REMEDIES`].
pub const REMEDY_RESULTS: [&str; 2] = ["done", "failed"];
/// Values of the label `outcome` of [`REMEDY_OUTCOMES`].
pub const REMEDY_OUTCOMES_ALL: [&str; 3] = ["proven", "not-helped", "not-proven"];
/// Values of the label `ended_by`.
pub const ENDED_BY: [&str; 2] = ["remedy", "itself"];
/// Values of the label `hop`.
pub const HOPS: [&str; 5] = ["issued", "stored", "published", "loaded", "served"];
/// Values of the label `severity`.
pub const SEVERITIES: [&str; 3] = ["info", "warning", "error"];
/// Values of the label `verdict`, from best to worst.
pub const VERDICTS: [&str; 8] =
    ["unobserved", "unlisted", "match", "incoming", "retiring", "carried", "ahead", "drift"];
/// Values of the label `class`.
pub const CLASSES: [&str; 4] = ["previous", "other", "default", "unknown"];
/// Per gateway, at most so many series with the name of a host.
pub const MOST_HOST_SERIES: usize = 100;
