//! Event (core/v1), as far as it takes to read what Kong's ingress controller says of its pushes.
use super::Meta;
use certdrift_contract::UnixTime;
use serde::Deserialize;

/// What Kong's ingress controller calls itself in its Events; the API server selects by it.
pub const SOURCE: &str = "source=kong-client";

/// An Event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Its own name.
    pub metadata: Meta,
    /// What it is about.
    pub involved_object: Involved,
    /// `KongConfigurationApplyFailed`
    pub reason: Box<str>,
    /// In words.
    pub message: Box<str>,
    /// When it was seen last, to the second; a repeated one counts up and moves this.
    pub last_timestamp: Option<UnixTime>,
}

/// The object that an Event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Involved {
    /// `KongPlugin`
    pub kind: Box<str>,
    /// Empty for an object of the cluster.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl Event {
    /// When it was seen last. One without a time was seen when it was made.
    #[must_use]
    pub fn last(&self) -> Option<UnixTime> {
        self.last_timestamp.or(self.metadata.creation_timestamp)
    }
}

impl Involved {
    /// `KongPlugin demo/limits`
    #[must_use]
    pub fn shown(&self) -> String {
        let Self { kind, namespace, name } = self;
        if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
    }
}
