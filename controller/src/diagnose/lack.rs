//! What is missing where the cause of a drift cannot be told, or what contradicts itself.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a cause cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// Whether the gateway behind an edge is right.
    Gateway,
    /// Whether its workers differ.
    Workers,
    /// When it started or reloaded.
    Start,
    /// It has no configuration yet.
    Starting,
    /// What its ingress controller says of its pushes.
    Pushes,
    /// How the other endpoints fare.
    Fellows,
    /// Since when it runs by its configuration.
    Configuration,
    /// It was given its configuration after the certificate was stored, and nothing keeps it away.
    PushedSince,
    /// It has started or reloaded after the certificate was stored.
    StartedSince,
}

impl Lack {
    /// After "cannot tell, because".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "the gateway behind this edge has not been seen to be right or wrong",
            Self::Workers => "its workers could not be told apart, nor enough handshakes be made, yet",
            Self::Start => "when it started or last reloaded is not known",
            Self::Starting => "it has no configuration yet, and may be starting",
            Self::Pushes => "what its ingress controller says of its pushes is not known",
            Self::Fellows => "not all other endpoints have been seen, and what they have loaded",
            Self::Configuration => "since when it runs by its configuration is not known",
            Self::PushedSince => {
                "it was given a configuration after this certificate was stored, and serves another all the same"
            }
            Self::StartedSince => {
                "it has started or reloaded after this certificate was stored, and serves another all the same"
            }
        }
    }

    /// What would let it be told.
    #[must_use]
    pub const fn mend(self) -> &'static str {
        match self {
            Self::Gateway | Self::Fellows => {
                "see that every endpoint answers (certdrift status names who does not)"
            }
            Self::Workers => "let the tap or the filter name the workers (tap: or report: of the endpoint)",
            Self::Start => "let the tap or Kong's status tell (tap: or status: of the endpoint)",
            Self::Pushes => {
                "say where its ingress controller runs (kubernetes.ingress_controller: of the gateway)"
            }
            Self::Starting => "wait for half a minute",
            Self::Configuration => "let Kong's status tell (status: of the gateway's pods)",
            Self::PushedSince | Self::StartedSince => "look at the gateway's own log",
        }
    }
}

/// All of them in one sentence.
#[must_use]
pub fn cannot_tell(lacks: &[Lack]) -> String {
    let words: Vec<&str> = lacks.iter().map(|lack| lack.as_str()).collect();
    format!("cannot tell, because {}", words.join("; "))
}
