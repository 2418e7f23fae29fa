//! Logs on stderr: plain for people, one JSON object a line for programs; the level can be changed at run time.
//!
//! Field names are written here once: `gateway`, `endpoint`, `host`, `code`, `object`, `why`, `mend`.
use crate::config::{Log, LogFormat, LogLevel};
use crate::finding::{Finding, Severity};
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

/// Changes the level of what is logged.
#[derive(Clone)]
pub struct Level {
    now: Arc<Mutex<LogLevel>>,
    handle: Option<reload::Handle<Targets, Registry>>,
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Level").field(&self.get()).finish()
    }
}

impl Level {
    /// One that changes nothing, where logs go nowhere.
    #[must_use]
    pub fn detached(level: LogLevel) -> Self {
        Self { now: Arc::new(Mutex::new(level)), handle: None }
    }

    /// From which level on is logged.
    #[must_use]
    pub fn get(&self) -> LogLevel {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs from `level` on.
    pub fn set(&self, level: LogLevel) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = level;
        if let Some(handle) = &self.handle {
            // Fails only when the subscriber is gone, and then nobody logs.
            let _ = handle.reload(targets(level));
        }
    }
}

/// Our own crate at `level`; what we stand on only where it warns, since it is not what is asked about.
fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("certdrift", own)
}

/// Starts logging on stderr. A second call in one process changes nothing and gives a detached level.
#[must_use]
pub fn start(log: &Log) -> Level {
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Plain => false,
        LogFormat::Json => true,
    };
    let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let started = tracing_subscriber::registry().with(lines(json, color).with_filter(filter)).try_init();
    Level { now: Arc::new(Mutex::new(log.level)), handle: started.is_ok().then_some(handle) }
}

fn lines<S>(json: bool, color: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if json {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.with_target(false).with_ansi(color).boxed()
    }
}

/// Logs a finding of a gateway at its own level.
pub fn finding(gateway: &str, finding: &Finding) {
    let Finding { code, what, object, why, mend, .. } = finding;
    match finding.severity {
        Severity::Error => tracing::error!(gateway, code, object, why, mend, "{what}"),
        Severity::Warning => tracing::warn!(gateway, code, object, why, mend, "{what}"),
        Severity::Info => tracing::info!(gateway, code, object, why, mend, "{what}"),
    }
}
