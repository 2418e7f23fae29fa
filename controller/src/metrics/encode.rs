//! The page as text: the classic format (`text/plain; version=0.0.4`), or OpenMetrics 1.0 when `Accept` asks for it.
//!
//! They differ here in three things: OpenMetrics names a counter's family without `_total`, has `# UNIT`, and ends in
//! `# EOF`. Escaping of label values is the same in both: backslash, line feed, quote.
use super::catalogue::{ALL, Kind, Metric};
use super::store::{Gauges, Store};
use std::fmt::Write as _;

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What every Prometheus reads.
    Classic,
    /// 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The best format among those that the `Accept` header names; classic unless OpenMetrics is named with at least its weight.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut open, mut classic) = (0.0, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut weight = 1.0;
            let mut version = None;
            for parameter in parts {
                match parameter.split_once('=') {
                    Some(("q", q)) => weight = q.trim().parse::<f64>().unwrap_or(0.0),
                    Some(("version", v)) => version = Some(v.trim_matches('"').to_owned()),
                    _ => {}
                }
            }
            match media.as_str() {
                // 0.0.1 was a draft of 1.0.0 with the same text; another major version is not ours.
                "application/openmetrics-text"
                    if version.as_deref().is_none_or(|v| v.starts_with("1.") || v == "0.0.1") =>
                {
                    open = f64::max(open, weight);
                }
                "text/plain" | "text/*" | "*/*" => classic = f64::max(classic, weight),
                _ => {}
            }
        }
        if open > 0.0 && open >= classic { Self::OpenMetrics } else { Self::Classic }
    }

    /// The `content-type` of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The whole page.
#[must_use]
pub fn page(store: &Store, gauges: &Gauges, cpu_seconds: Option<f64>, format: Format) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for metric in ALL {
        let sample = metric.sample_name();
        let mut begun = false;
        let mut begin = |text: &mut String| {
            if !std::mem::replace(&mut begun, true) {
                heading(text, metric, &sample, format);
            }
        };
        if metric.name == super::catalogue::CPU.name {
            // A counter that the kernel counts.
            if let Some(seconds) = cpu_seconds {
                begin(&mut text);
                let _ = writeln!(text, "{sample} {seconds}");
            }
            continue;
        }
        match metric.kind {
            Kind::Counter => {
                for (labels, value) in store.counters.get(metric.name).into_iter().flatten() {
                    begin(&mut text);
                    text.push_str(&sample);
                    write_labels(&mut text, metric, labels, None);
                    let _ = writeln!(text, " {value}");
                }
            }
            Kind::Gauge => {
                for (labels, value) in gauges.values.get(metric.name).into_iter().flatten() {
                    begin(&mut text);
                    text.push_str(&sample);
                    write_labels(&mut text, metric, labels, None);
                    let _ = writeln!(text, " {value}");
                }
            }
            Kind::Histogram(bounds) => {
                for (labels, distribution) in store.histograms.get(metric.name).into_iter().flatten() {
                    begin(&mut text);
                    let mut so_far = 0u64;
                    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                    for (bound, count) in bounds.zip(&distribution.counts) {
                        so_far = so_far.saturating_add(*count);
                        let _ = write!(text, "{sample}_bucket");
                        let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
                        write_labels(&mut text, metric, labels, Some(&bound));
                        let _ = writeln!(text, " {so_far}");
                    }
                    for (suffix, value) in
                        [("_sum", distribution.sum.to_string()), ("_count", so_far.to_string())]
                    {
                        let _ = write!(text, "{sample}{suffix}");
                        write_labels(&mut text, metric, labels, None);
                        let _ = writeln!(text, " {value}");
                    }
                }
            }
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn heading(text: &mut String, metric: &Metric, sample: &str, format: Format) {
    let family = match format {
        Format::Classic => sample,
        Format::OpenMetrics => metric.name,
    };
    let _ = writeln!(text, "# HELP {family} {}", metric.help);
    let _ = writeln!(text, "# TYPE {family} {}", metric.kind.word());
    let unit = ["seconds", "bytes"].into_iter().find(|unit| metric.name.ends_with(&format!("_{unit}")));
    if let (Format::OpenMetrics, Some(unit)) = (format, unit) {
        let _ = writeln!(text, "# UNIT {family} {unit}");
    }
}

fn write_labels(text: &mut String, metric: &Metric, values: &[String], bound: Option<&str>) {
    let pairs = metric.labels.iter().copied().zip(values.iter().map(String::as_str));
    let mut separator = '{';
    for (name, value) in pairs.chain(bound.map(|b| ("le", b))) {
        let _ = write!(text, "{separator}{name}=\"");
        separator = ',';
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if separator == ',' {
        text.push('}');
    }
}
