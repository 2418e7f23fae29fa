//! What can be wrong with a canary.
use crate::finding::{Kind, Severity};

/// Its certificate did not get to every endpoint in time.
pub const CANARY_FAILED: Kind = Kind {
    code: "CD-570",
    title: "the canary's certificate did not come the whole way",
    why: "The canary is a host of our own whose certificate is issued anew again and again, through the same controllers and pods as all others. It has no visitors: nobody is harmed yet. What keeps it will keep the next real renewal, too.",
    mend: "certdrift status shows at which hop it is and what is wrong there; once that is mended, certdrift drill tries the way at once",
    severity: Severity::Error,
};

/// It cannot be asked for.
pub const CANARY_NOT_ROTATED: Kind = Kind {
    code: "CD-571",
    title: "the canary is not rotated",
    why: "A rotation is asked for only where it can be seen and costs nobody anything: the Certificate is there and ready, its host is bound to the gateway from its Secret, no ACME authority issues it, and certdrift's account may read it and its issuer (get) and set the condition Issuing (patch on certificates/status).",
    mend: "see that the Certificate, its issuer and the Ingress or listener of its host are there (chart value canary.enabled), and that the account has the rights of docs/permissions.md",
    severity: Severity::Warning,
};

/// All kinds of this folder, for the catalogue.
pub const KINDS: &[&Kind] = &[&CANARY_FAILED, &CANARY_NOT_ROTATED];
