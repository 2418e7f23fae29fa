//! What can be wrong with running itself (CD-52x).
use crate::finding::{Kind, Severity};

/// The system refused to tell of signals.
pub const SIGNALS: Kind = Kind {
    code: "CD-520",
    title: "signals cannot be received",
    why: "The system has refused to register a signal handler, so a stop could not be drained.",
    mend: "look at the limits of the process (ulimit -a), and start again",
    severity: Severity::Error,
};

/// Nobody answers where a running controller should be.
pub const NO_CONTROLLER: Kind = Kind {
    code: "CD-521",
    title: "no running controller answers",
    why: "`certdrift status` asks a running controller what it knows. It answers that to its own machine only.",
    mend: "start it: certdrift run --config certdrift.yaml; or name it with --url or CERTDRIFT_URL; without one: certdrift check HOST",
    severity: Severity::Error,
};

/// Who answers is not understood.
pub const NOT_A_CONTROLLER: Kind = Kind {
    code: "CD-522",
    title: "what answers is no controller that is understood",
    why: "The address belongs to another program, to a controller of another version, or its state is not answered to this machine.",
    mend: "name the controller with --url or CERTDRIFT_URL (its listen.address), on its own machine",
    severity: Severity::Error,
};

/// All kinds of this folder, for the catalogue.
pub const KINDS: &[&Kind] = &[&SIGNALS, &NO_CONTROLLER, &NOT_A_CONTROLLER];
