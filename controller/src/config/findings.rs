//! What can be wrong with the configuration (CD-5xx).
use crate::finding::{Kind, Severity};

/// The file itself.
pub const UNREADABLE: Kind = Kind {
    code: "CD-501",
    title: "the configuration file cannot be read",
    why: "certdrift reads one YAML file: `--config FILE`, else the one that CERTDRIFT_CONFIG names, else certdrift.yaml in the working directory, else /etc/certdrift/certdrift.yaml.",
    mend: "name a file that exists and is readable, or begin with: certdrift config example > certdrift.yaml",
    severity: Severity::Error,
};

/// Not YAML, or a value of the wrong kind.
pub const NOT_UNDERSTOOD: Kind = Kind {
    code: "CD-502",
    title: "the configuration is not understood",
    why: "The file is no YAML, or a value has another kind than the key takes. Nothing is guessed: certdrift does not start with a configuration it does not understand, and a running one keeps what it has.",
    mend: "correct the line; docs/configuration.md lists every key, `certdrift config schema` is for your editor",
    severity: Severity::Error,
};

/// A key nobody reads.
pub const UNKNOWN_KEY: Kind = Kind {
    code: "CD-503",
    title: "the configuration has a key that does not exist",
    why: "A key that nobody reads is a mistake in waiting: a typo in `policy` would silently leave its default. So unknown keys are refused.",
    mend: "correct or remove the key; docs/configuration.md lists all that exist",
    severity: Severity::Error,
};

/// Values that do not go together.
pub const CONTRADICTION: Kind = Kind {
    code: "CD-504",
    title: "the configuration contradicts itself or the system",
    why: "Each value is well-formed, but they do not go together, or name something that is not there.",
    mend: "correct the line",
    severity: Severity::Error,
};

/// From a flag or the environment.
pub const OVERRIDE: Kind = Kind {
    code: "CD-505",
    title: "a flag or an environment variable has a value that cannot be",
    why: "Flags win over CERTDRIFT_… variables, and these over the file; each is checked like the file.",
    mend: "correct the flag or unset the variable",
    severity: Severity::Error,
};

/// A token.
pub const TOKEN: Kind = Kind {
    code: "CD-506",
    title: "a token cannot be had",
    why: "The configuration names where a token is (an environment variable or a file), and it is missing, unreadable, shorter than 16 characters, or not printable.",
    mend: "put a token there that only certdrift and the other side can read, for instance: openssl rand -hex 32",
    severity: Severity::Error,
};

/// All kinds of this folder, for the catalogue.
pub const KINDS: &[&Kind] = &[&UNREADABLE, &NOT_UNDERSTOOD, &UNKNOWN_KEY, &CONTRADICTION, &OVERRIDE, &TOKEN];
