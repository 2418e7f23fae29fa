//! What happens, as log lines.
use crate::converge::{Record, What};

/// A line of the history.
pub fn record(record: &Record) {
    let gateway = record.gateway.as_str();
    match &record.what {
        What::Drifted { endpoint, host, class, served, expected } => {
            let (served, expected) = (short(served.as_ref()), short(expected.first()));
            tracing::warn!(gateway, endpoint, host, class, served, expected, "drift seen");
        }
        What::Remedy { intent } => {
            let (endpoint, host, remedy) = (&intent.endpoint, &intent.host, &intent.remedy);
            let cause = intent.cause.as_str();
            let price = &intent.price;
            tracing::info!(gateway, endpoint, host, remedy, cause, price, "remedy started");
        }
        What::Ended { remedy, ok, said, took_ms, .. } => {
            tracing::info!(gateway, remedy, ok, said, took_ms, "remedy ended");
        }
        What::NotStarted { remedy, why, .. } => {
            tracing::info!(gateway, remedy, why, "remedy not started");
        }
        What::Converged { endpoint, host, after, took_ms, handshakes, workers, .. } => {
            let after = after.as_deref().unwrap_or("itself");
            let workers = workers.join(",");
            tracing::info!(
                gateway,
                endpoint,
                host,
                after,
                took_ms,
                handshakes,
                workers,
                "drift over, proven on the wire"
            );
        }
        What::NotHelped { endpoint, host, remedy, served } => {
            let served = short(served.as_ref());
            tracing::warn!(gateway, endpoint, host, remedy, served, "the remedy has not helped");
        }
        What::NotProven { endpoint, host, remedy } => {
            tracing::warn!(gateway, endpoint, host, remedy, "the wire could not be seen after the remedy");
        }
        What::Exhausted { endpoint, host, cause, tried } => {
            let (cause, tried) = (cause.as_str(), tried.join(","));
            tracing::error!(gateway, endpoint, host, cause, tried, "every remedy was tried");
        }
        What::Acknowledged { host, reason, until } => {
            tracing::info!(gateway, host, reason, until = %until, "drift acknowledged");
        }
        What::AcknowledgementEnded { host } => {
            tracing::info!(gateway, host, "acknowledgement ended");
        }
    }
}

fn short(fingerprint: Option<&certdrift_contract::Fingerprint>) -> String {
    fingerprint.map(|f| f.short().to_string()).unwrap_or_default()
}
