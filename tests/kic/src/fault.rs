//! The faults that can be switched on, and what loop and port share.
use crate::metrics::Metrics;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes wrong, in the ways KIC was seen to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// `NAMESPACE/NAME` of an Ingress that gets an invalid plugin: gateways refuse the whole configuration with 400, and
    /// nothing of it arrives anywhere.
    pub(crate) reject: Option<String>,
    /// The feature gate `FallbackConfiguration`: what is refused is pushed again without the Ingress that is to blame; and
    /// as long as no object changes nothing is pushed, so that a pod that starts stays empty.
    pub(crate) fallback: bool,
    /// Seconds by which a push is late.
    pub(crate) lag: u64,
    /// Names of pods whose admin port refuses.
    pub(crate) miss: Vec<String>,
    /// `NAMESPACE/NAME` of Secrets whose changes it does not hear of, until their tags are others.
    pub(crate) deaf: Vec<String>,
    /// Name of a pod that hangs: all others wait for it, 30 s.
    pub(crate) hang: Option<String>,
}

/// What the loop and the port share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    faults: Mutex<Faults>,
    metrics: Mutex<Metrics>,
}

impl Shared {
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
