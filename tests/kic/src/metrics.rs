//! KIC's metrics of its pushes, by its names.
use std::collections::BTreeMap;
use std::fmt::Write as _;

const INSTANCE: &str = "instance_id=\"stand-in\"";

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By data plane, and whether it succeeded.
    pushes: BTreeMap<(String, bool), u64>,
    fallback_pushes: BTreeMap<(String, bool), u64>,
    /// Seconds since 1970, by data plane. Absent before the first.
    last: BTreeMap<String, f64>,
    fallback_last: BTreeMap<String, f64>,
    /// Objects that were refused with the last push, by data plane.
    broken: BTreeMap<String, u64>,
    /// Objects that cannot be translated now.
    pub(crate) untranslated: usize,
    /// Loops that were skipped since no object had changed.
    pub(crate) skipped: u64,
}

impl Metrics {
    /// A push was answered.
    pub(crate) fn pushed(&mut self, dataplane: &str, success: bool, fallback: bool) {
        let counts = if fallback { &mut self.fallback_pushes } else { &mut self.pushes };
        *counts.entry((dataplane.to_owned(), success)).or_default() += 1;
        self.broken.insert(dataplane.to_owned(), u64::from(!success));
        if success {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let last = if fallback { &mut self.fallback_last } else { &mut self.last };
            last.insert(dataplane.to_owned(), now.as_secs_f64());
        }
    }

    /// As Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (prefix, counts, last) in [
            ("configuration_push", &self.pushes, &self.last),
            ("fallback_configuration_push", &self.fallback_pushes, &self.fallback_last),
        ] {
            for ((dataplane, success), count) in counts {
                let reason = if *success { "" } else { "other" };
                let labels = format!(
                    "dataplane=\"{dataplane}\",failure_reason=\"{reason}\",{INSTANCE},protocol=\"db-less\",success=\"{success}\""
                );
                let _ = writeln!(text, "ingress_controller_{prefix}_count{{{labels}}} {count}");
            }
            let end = if prefix == "configuration_push" { "last_successful" } else { "last" };
            for (dataplane, at) in last {
                let _ = writeln!(
                    text,
                    "ingress_controller_{prefix}_{end}{{dataplane=\"{dataplane}\",{INSTANCE}}} {at}"
                );
            }
        }
        for (dataplane, count) in &self.broken {
            let _ = writeln!(
                text,
                "ingress_controller_configuration_push_broken_resource_count{{dataplane=\"{dataplane}\",{INSTANCE}}} {count}"
            );
        }
        for (name, count) in [
            ("translation_broken_resource_count", u64::try_from(self.untranslated).unwrap_or(u64::MAX)),
            ("processed_config_snapshot_cache_hit", self.skipped),
        ] {
            let _ = writeln!(text, "ingress_controller_{name}{{{INSTANCE}}} {count}");
        }
        text
    }
}
