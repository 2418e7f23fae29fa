//! Metrics: a closed catalogue, what was counted, and the text that Prometheus reads.
//!
//! There is never a series per certificate: per host only where something is wrong or the end is near, and bounded;
//! else counts. Every counter stands at 0 for each value its labels can have before anything happens.
pub mod catalogue;
pub mod encode;
pub mod process;
mod store;

pub use catalogue::{ALL, Kind, Metric};
pub use encode::Format;
pub use store::{Gauges, Store};

/// `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "# Metrics of the controller\n\n\
        <!-- Generated from controller/src/metrics/catalogue.rs; `cargo test -p certdrift` says so when it is stale. -->\n\n\
        `GET /metrics` answers in the classic text format, or in OpenMetrics when `Accept` asks for it. No series exists per\n\
        certificate; per host only where the table says so, and then for at most 100 hosts a gateway (the counts stay whole).\n\
        The filter's own metrics are in the gateway: `judged_total`, `unjudged_total`, `unlisted_total`, `drift_total`,\n\
        `ledger_revision`, `ledger_age_seconds`, `polls_total`, in Kong with the prefix `pw_certdrift_`.\n\n\
        | name | type | labels | meaning | appears |\n|---|---|---|---|---|\n",
    );
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let kind = metric.kind.word();
        let _ = writeln!(
            text,
            "| `{}` | {kind} | {} | {} | {} |",
            metric.sample_name(),
            labels.join(", "),
            metric.help,
            metric.when
        );
    }
    text
}

#[cfg(test)]
mod tests;
