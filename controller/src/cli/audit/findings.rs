//! What keeps an audit from an answer (CD-580 and on).
use crate::finding::{Kind, Severity};

/// A kind may not be read.
pub const UNREAD: Kind = Kind {
    code: "CD-580",
    title: "an audit could not read a kind of object",
    why: "certdrift audit reads as whoever runs it. The API server refused a list, gave no answer, or sent an object that cannot be understood; what of the answer is not known for that is told beside it, and such an answer is never good.",
    mend: "ask for list on that kind (docs/permissions.md), or look only where it is granted: certdrift audit --within NAMESPACE --namespace NAMESPACE",
    severity: Severity::Warning,
};

/// No pods are gateways.
pub const NO_GATEWAY: Kind = Kind {
    code: "CD-581",
    title: "an audit found no gateway",
    why: "No pod that was read has Kong's or Envoy's image, a port proxy-tls, or a label of Envoy Gateway; or the pods could not be read.",
    mend: "name the gateway's pods: certdrift audit --namespace NAMESPACE --selector KEY=VALUE, or --service NAME",
    severity: Severity::Warning,
};
