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

/// A pod that missed a push.
pub const BEHIND: Kind = Kind {
    code: "CD-321",
    title: "a gateway runs by an older configuration than its fellows",
    why: "The configuration hash of its fellows has changed, and its own has not. Whatever was pushed to them did not reach it: its admin port refuses, or it hangs. Handshakes tell whether it serves an old certificate.",
    mend: "look at the ingress controller's log for the address of this pod; restart the pod",
    severity: Severity::Warning,
};
