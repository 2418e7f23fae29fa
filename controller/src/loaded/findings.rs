//! Kinds of findings about what gateways have loaded, CD-320 to CD-329.
use crate::finding::{Kind, Severity};

/// A pod without any configuration.
pub const EMPTY: Kind = Kind {
    code: "CD-320",
    title: "a gateway runs without any configuration",
    why: "Kong's status shows a configuration hash of zeros: nothing was pushed to it since its start, and it serves its default certificate for every name. That is normal for some seconds after a start. With the feature gate FallbackConfiguration Kong's ingress controller may leave it so until some object changes.",
    mend: "look at the ingress controller's log; a change of any object it translates makes it push",
    severity: Severity::Error,
};

/// Pushes are refused.
pub const REFUSED: Kind = Kind {
    code: "CD-322",
    title: "the gateway refuses what its ingress controller pushes, so no renewal arrives",
    why: "One broken object anywhere (a KongPlugin, say) makes Kong refuse the whole configuration with HTTP status 400. It goes on with the last good one, and all pods stay Ready; whatever is renewed meanwhile does not reach the gateway. The ingress controller's Events name the object; where there are none, its log does.",
    mend: "mend or delete the object that is named; until then every renewal is held up",
    severity: Severity::Error,
};

/// A fallback configuration is in place.
pub const FALLBACK: Kind = Kind {
    code: "CD-323",
    title: "a broken object is left out of the gateway's configuration, with all that depends on it",
    why: "Kong refused the configuration, and its ingress controller (feature gate FallbackConfiguration) pushed it again without the broken object and what depends on it. Renewals arrive, but a host whose Ingress was left out is served the default certificate.",
    mend: "mend or delete the object that is named; what was left out comes back then",
    severity: Severity::Warning,
};

/// A pod that hangs holds its fellows up.
pub const HELD_BACK: Kind = Kind {
    code: "CD-324",
    title: "a gateway that hangs holds up the push to its fellows",
    why: "Kong's ingress controller asks every pod before it pushes, and waits up to half a minute for one that takes a request and does not answer. Its fellows get a renewal that much later. After that it is set aside, and they have it.",
    mend: "wait half a minute; restart the pod that hangs: kubectl delete pod",
    severity: Severity::Warning,
};

/// A pod that missed a push.
pub const BEHIND: Kind = Kind {
    code: "CD-321",
    title: "a gateway runs by an older configuration than its fellows",
    why: "The configuration hash of its fellows has changed, and its own has not. Whatever was pushed to them did not reach it: its admin port refuses, or it hangs. Handshakes tell whether it serves an old certificate.",
    mend: "look at the ingress controller's log for the address of this pod; restart the pod",
    severity: Severity::Warning,
};
