//! What is known of one host on one endpoint that drifts. What is not known is `None`, never a guess.
use serde::{Deserialize, Serialize};

/// How an endpoint gets this certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// It reads a file, when it starts or reloads.
    #[default]
    File,
    /// It reads it once, when it starts: from its environment, a mount that is never renewed (`subPath`), or a vault.
    Once,
    /// An ingress controller pushes it.
    Pushed,
}

impl Given {
    /// As it is written down where nothing else is said.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::File)
    }
}

/// What the workers of one endpoint serve, each beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workers {
    /// All serve the wrong certificate: each was seen by name, or so many handshakes that hardly one can have been missed.
    Alike,
    /// Some serve what is expected, others do not.
    Differ,
}

/// How a host fares on the other endpoints of the gateway itself (edges do not count).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fellows {
    /// So many were seen to serve what is expected.
    pub right: u32,
    /// So many were seen to serve something else.
    pub wrong: u32,
    /// Of so many it is not known: they do not answer, or were not looked at yet.
    pub unseen: u32,
}

impl Fellows {
    /// There are none.
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What keeps an endpoint from loading a change, where ingress controller and status tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loading {
    /// They tell, and nothing does.
    Free,
    /// Pushes to it are refused.
    Refused,
    /// It was given all but a broken object.
    Fallback,
    /// It has no configuration, and may be starting.
    Starting,
    /// It has no configuration, longer than a start takes.
    Empty,
    /// A fellow hangs, and the push waits.
    HeldBack,
}

/// What is known of one host on one endpoint that drifts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "facts are independent of each other")]
pub struct Facts {
    /// The stored certificate of this host is worse than the served one.
    pub stored_is_worse: bool,
    /// The endpoint is an edge in front of the gateway.
    pub edge: bool,
    /// How the endpoint gets this certificate.
    pub given: Given,
    /// It serves its default certificate or a placeholder.
    pub serves_default: bool,
    /// The other endpoints.
    pub fellows: Fellows,
    /// Its workers.
    pub workers: Option<Workers>,
    /// The expectation is newer than the endpoint's start or last reload.
    pub stored_after_start: Option<bool>,
    /// What keeps the endpoint from loading a change.
    pub loading: Option<Loading>,
    /// It did not load a change that its fellows have loaded, by the hashes of their configurations.
    pub behind: Option<bool>,
    /// The expectation is newer than the configuration that the endpoint was pushed last.
    pub stored_after_push: Option<bool>,
}
