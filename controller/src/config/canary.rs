//! The canary of a gateway: a host of our own whose certificate is issued anew all the time, to prove the whole way.
use crate::converge::period::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shortest time between two rotations.
pub const SHORTEST: Period = Period::seconds(30);

/// A host of our own whose certificate cert-manager issues anew on a schedule, so that the whole way is proven again and again: from the request to every pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// `NAMESPACE/NAME` of its Certificate. cert-manager is asked for another by the condition `Issuing` in its status; no Secret is touched.
    pub certificate: String,
    /// Its host, as the ledger lists it. Nobody needs to resolve it: it is asked for by SNI.
    pub host: String,
    /// How long after one was asked for the next is; at least 30s. Each rotation is a renewal of the gateway's configuration.
    #[serde(default = "Canary::usually_every")]
    pub every: Period,
    /// How long the whole way may take. What is not proven on every endpoint by then has failed (CD-570).
    #[serde(default = "Canary::usually_within")]
    pub within: Period,
    /// Also where who issues it cannot be read or is none of cert-manager's own kinds, or is an ACME authority, which limits how often it issues.
    #[serde(default)]
    pub any_issuer: bool,
}

impl Canary {
    const fn usually_every() -> Period {
        Period::seconds(3_600)
    }

    const fn usually_within() -> Period {
        Period::seconds(300)
    }
}
