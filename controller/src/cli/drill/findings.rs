//! Why no drill was begun.
use crate::finding::{Kind, Severity};

/// It may not be begun.
pub const REFUSED: Kind = Kind {
    code: "CD-560",
    title: "the drill was not begun",
    why: "A drill re-issues a real certificate. It is refused where that costs more than it shows: public authorities limit how often they issue, a certificate that is in trouble already teaches nothing, and who set renewal windows meant them.",
    mend: "see certdrift drill --help for what overrides it",
    severity: Severity::Error,
};

/// Something that must be known is not.
pub const NOT_LOOKED_AT: Kind = Kind {
    code: "CD-561",
    title: "the drill was not begun, because something could not be looked at",
    why: "The Certificate, its issuer and its requests are read before anything is asked of cert-manager.",
    mend: "grant get on certificates, certificaterequests (list) and issuers of cert-manager.io, and patch on certificates/status, to whoever drills",
    severity: Severity::Error,
};
