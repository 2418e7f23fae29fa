//! The causes, what a person can do about each, and which hop each of them breaks.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a gateway does not serve what it should, or will not: the table in design.md section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The issuance of the next certificate does not go on: the sub-state says where.
    IssuanceStuck,
    /// It was signed, and its Secret does not hold it.
    NotStored,
    /// The Secret is bound to no host.
    NotBound,
    /// Another Secret answers for the host.
    Shadowed,
    /// What is stored is worse than what is served: expired, does not cover the host, key mismatch …
    InvalidNew,
    /// The gateway is right, an edge in front of it is not.
    Edge,
    /// The edge differs, and so does the gateway behind it: the gateway comes first.
    BehindGateway,
    /// Workers of one endpoint differ.
    StaleWorker,
    /// Pushes of the configuration are refused: one broken object anywhere keeps every renewal away.
    PushFailing,
    /// All but a broken object is loaded; what that carries is served the default certificate.
    Fallback,
    /// The pod has no configuration, longer than a start takes.
    PodEmpty,
    /// A fellow that hangs holds up the push.
    HeldBack,
    /// The file is newer than the gateway's start or last reload.
    FileNotReloaded,
    /// The certificate cannot be loaded without a restart: it is in the environment, in a mounted file that is never
    /// renewed (`subPath`), or in a vault.
    NotReloadable,
    /// Other endpoints of the gateway serve what is expected, this one does not.
    PodBehind,
    /// What was stored is newer than the configuration, and nothing keeps pushes away.
    NotPushed,
    /// Too little is known, or what is known contradicts itself; status says what is missing.
    Unexplained,
}

impl Cause {
    /// All of them, in the order of metrics.
    pub const ALL: [Self; 17] = [
        Self::IssuanceStuck,
        Self::NotStored,
        Self::NotBound,
        Self::Shadowed,
        Self::InvalidNew,
        Self::Edge,
        Self::BehindGateway,
        Self::StaleWorker,
        Self::PushFailing,
        Self::Fallback,
        Self::PodEmpty,
        Self::HeldBack,
        Self::FileNotReloaded,
        Self::NotReloadable,
        Self::PodBehind,
        Self::NotPushed,
        Self::Unexplained,
    ];

    /// As status, metrics and history show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IssuanceStuck => "issuance-stuck",
            Self::NotStored => "not-stored",
            Self::NotBound => "not-bound",
            Self::Shadowed => "shadowed",
            Self::InvalidNew => "invalid-new",
            Self::Edge => "edge",
            Self::BehindGateway => "behind-gateway",
            Self::StaleWorker => "stale-worker",
            Self::PushFailing => "push-failing",
            Self::Fallback => "fallback",
            Self::PodEmpty => "pod-empty",
            Self::HeldBack => "held-back",
            Self::FileNotReloaded => "file-not-reloaded",
            Self::NotReloadable => "not-reloadable",
            Self::PodBehind => "pod-behind",
            Self::NotPushed => "not-pushed",
            Self::Unexplained => "unexplained",
        }
    }

    /// Whether any remedy of ours can mend it.
    #[must_use]
    pub const fn mendable(self) -> bool {
        !matches!(
            self,
            Self::IssuanceStuck
                | Self::NotStored
                | Self::NotBound
                | Self::Shadowed
                | Self::InvalidNew
                | Self::Edge
                | Self::BehindGateway
                | Self::PushFailing
                | Self::Fallback
                | Self::HeldBack
        )
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn by_hand(self) -> &'static str {
        match self {
            Self::IssuanceStuck => "mend the step of the issuance that the finding names",
            Self::NotStored => "let cert-manager write the Secret: the finding says what refuses it",
            Self::NotBound => "mend the object that should bind the Secret: the finding names it",
            Self::Shadowed => "take the host from one of both: the finding names the winner",
            Self::InvalidNew => "store a good certificate: what is wrong with this one is told beside this",
            Self::Edge => "mend the edge (load balancer, CDN): the gateway behind it is right",
            Self::BehindGateway => "mend the gateway first; then look at the edge again",
            Self::StaleWorker | Self::FileNotReloaded => "reload the gateway",
            Self::PushFailing => "mend the object that CD-322 names: until then no renewal arrives",
            Self::Fallback => "mend the object that CD-323 names: until then what it carries is left out",
            Self::PodEmpty | Self::NotPushed => {
                "change the annotation konghq.com/tags of the host's Secret (another annotation or a label will not do): the ingress controller pushes then"
            }
            Self::NotReloadable => "restart the gateway: a reload does not bring this certificate",
            Self::HeldBack => "wait half a minute: the pod that hangs is set aside then",
            Self::PodBehind => "reload or restart this one: its fellows are right",
            Self::Unexplained => "reload the gateway; if that does not help, restart it",
        }
    }

    /// Which hop it breaks.
    #[must_use]
    pub const fn hop(self) -> Hop {
        match self {
            Self::IssuanceStuck => Hop::Issued,
            Self::NotStored | Self::InvalidNew => Hop::Stored,
            Self::NotBound | Self::Shadowed => Hop::Bound,
            Self::PushFailing
            | Self::Fallback
            | Self::PodEmpty
            | Self::HeldBack
            | Self::FileNotReloaded
            | Self::NotReloadable
            | Self::PodBehind
            | Self::NotPushed => Hop::Loaded,
            Self::Edge | Self::BehindGateway | Self::StaleWorker | Self::Unexplained => Hop::Served,
        }
    }
}

/// The hops of a certificate's way, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// Renewal due → signed.
    Issued,
    /// Signed → in its Secret or file.
    Stored,
    /// In its Secret → a host of the gateway.
    Bound,
    /// Bound → in the gateway's configuration.
    Loaded,
    /// In the configuration → in the handshake.
    Served,
}

impl Hop {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Issued, Self::Stored, Self::Bound, Self::Loaded, Self::Served];

    /// As status shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Stored => "stored",
            Self::Bound => "bound",
            Self::Loaded => "loaded",
            Self::Served => "served",
        }
    }
}
