//! What can be wrong with the controller's own port (CD-51x).
use crate::finding::{Kind, Severity};

/// The address.
pub const CANNOT_LISTEN: Kind = Kind {
    code: "CD-510",
    title: "the controller cannot listen on its address",
    why: "Another process (a second controller?) has the port, the address is not this machine's, or the port is below 1024 and the user may not have it.",
    mend: "see who has it: ss -ltnp; or choose another with listen.address or --listen",
    severity: Severity::Error,
};

/// The certificate of the controller's own port.
pub const TLS: Kind = Kind {
    code: "CD-511",
    title: "the TLS set-up of the controller's own port cannot be used",
    why: "listen.tls names a certificate, key or authority that is missing, unreadable, or does not belong together.",
    mend: "correct listen.tls; look at the files with: openssl x509 -in FILE -noout -text",
    severity: Severity::Error,
};

/// All kinds of this folder, for the catalogue.
pub const KINDS: &[&Kind] = &[&CANNOT_LISTEN, &TLS];
