//! Findings of convergence and remedies: CD-4xx.
use crate::finding::{Kind, Severity};

/// Drift, and mode is `observe`.
pub const DRIFT_OBSERVED: Kind = Kind {
    code: "CD-401",
    title: "the gateway serves another certificate than expected, and healing is off",
    why: "The drift outlived its grace and was seen at least twice, the last time by a full handshake of our own. \
          Mode is observe, so nothing is done about it.",
    mend: "reload the gateway by hand, or list remedies and set mode: heal for it",
    severity: Severity::Error,
};

/// Every remedy was tried.
pub const REMEDIES_EXHAUSTED: Kind = Kind {
    code: "CD-402",
    title: "every remedy was tried and the gateway still serves another certificate than expected",
    why: "Each remedy that is for the cause of this drift was tried once, and after each the wire was seen to be wrong \
          still. No further remedy is started for it until the expectation, the remedies or the gateway change.",
    mend: "see history.jsonl under state_dir for what each remedy said; restart the gateway by hand and check which file it reads",
    severity: Severity::Error,
};

/// The time for it is over.
pub const DRIFT_UNSETTLED: Kind = Kind {
    code: "CD-403",
    title: "a drift is not settled in time",
    why: "Within the time that alert_after gives, the drift was neither proven to be over nor were its remedies \
          exhausted: something it waits for does not come.",
    mend: "give it what it waits for, or mend the gateway by hand",
    severity: Severity::Error,
};

/// No remedy is for the cause.
pub const NO_REMEDY: Kind = Kind {
    code: "CD-404",
    title: "the gateway serves another certificate than expected, and no remedy is for the cause",
    why: "Some causes lie outside the gateway (an edge in front of it, a stored certificate that is worse than the one \
          served); for others no remedy in the list is for this cause or this endpoint.",
    mend: "mend the cause where it lies, or list a remedy for it",
    severity: Severity::Error,
};

/// A remedy said that it failed.
pub const REMEDY_FAILED: Kind = Kind {
    code: "CD-405",
    title: "a remedy failed",
    why: "The signal could not be sent, the program ended with an error or was ended because it took too long, or the \
          webhook was not answered with success. The wire is checked all the same before anything else is tried.",
    mend: "see what it said; try it by hand as the user that certdrift runs as",
    severity: Severity::Warning,
};

/// A remedy was in flight when the process ended.
pub const REMEDY_INTERRUPTED: Kind = Kind {
    code: "CD-406",
    title: "certdrift ended while a remedy was in flight",
    why: "Its intent was on disk, its end was not: it may have been done, in part, or not at all. It is not repeated; \
          the wire is checked first, and decides.",
    mend: "nothing, if the gateway is right by now; else see history.jsonl under state_dir",
    severity: Severity::Warning,
};

/// The state on disk cannot be read.
pub const STATE_DAMAGED: Kind = Kind {
    code: "CD-407",
    title: "the state on disk cannot be read and was set aside",
    why: "The file was cut short, edited, or written by another version. Intents, budget and acknowledgements in it are \
          lost; certdrift starts with nothing known, and looks at the wire before it does anything.",
    mend: "compare the file that was set aside; acknowledge again what was acknowledged",
    severity: Severity::Warning,
};

/// The state cannot be written.
pub const STATE_UNWRITABLE: Kind = Kind {
    code: "CD-408",
    title: "the state cannot be written, so no remedy is started",
    why: "An intent is on disk before the act, or there is no act: otherwise a crash in between would be forgotten and \
          the remedy repeated.",
    mend: "make the state directory writable for the user that certdrift runs as, and give it room",
    severity: Severity::Error,
};

/// The record of acts in the cluster cannot be read or written.
pub const RECORD_UNWRITABLE: Kind = Kind {
    code: "CD-410",
    title: "the record of acts cannot be kept in the cluster",
    why: "What is done is still done, logged and in history.jsonl of this pod; once the pod is gone, certdrift history does not tell it.",
    mend: "grant list, create and patch on configmaps in the gateway's namespace to certdrift's ServiceAccount; the chart does",
    severity: Severity::Warning,
};

/// The history cannot be written.
pub const HISTORY_UNWRITABLE: Kind = Kind {
    code: "CD-409",
    title: "the history cannot be written",
    why: "What is done is still done and logged, but history.jsonl will not tell it.",
    mend: "make the state directory writable for the user that certdrift runs as, and give it room",
    severity: Severity::Warning,
};
