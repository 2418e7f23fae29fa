//! What can go wrong between a ledger and those who read it (CD-2xx).
use crate::finding::{Kind, Severity};

/// The ledger's folder.
pub const NOT_WRITTEN: Kind = Kind {
    code: "CD-201",
    title: "the ledger file cannot be written",
    why: "The folder does not exist, is not writable for this user, or the disk is full. Gateways that read the file keep the last ledger they took; those that ask over HTTP get the new one all the same.",
    mend: "mkdir -p the folder and chown it to the user certdrift runs as; look at df; mount the folder, not the single file: a file is replaced by renaming",
    severity: Severity::Error,
};

/// Somebody else's hand.
pub const PUT_RIGHT: Kind = Kind {
    code: "CD-202",
    title: "the ledger file was not as it was written, and was put right",
    why: "It was deleted, edited by hand or damaged. A ledger is a control input: what stands in it decides what counts as drift, so only certdrift writes it.",
    mend: "find who writes there: two controllers with one path, a clean-up job, a person; change certificates or the configuration, never the ledger",
    severity: Severity::Warning,
};

/// At the start.
pub const DAMAGED: Kind = Kind {
    code: "CD-203",
    title: "the previous ledger cannot be read",
    why: "It is damaged, or one of its parts is missing. It is built anew from what is stored; predecessors are unknown, so a gateway that still serves one shows as `ahead` and then as drift of class `unknown`.",
    mend: "nothing: it has been written again; if it happens twice, look at the disk",
    severity: Severity::Warning,
};

/// A wrong clock.
pub const REVISION_AHEAD: Kind = Kind {
    code: "CD-204",
    title: "the ledger's revision lay more than a day ahead of the clock",
    why: "It was written while a clock was wrong. Filters refuse such a ledger, so the revision starts again from the clock's seconds; a filter that has the higher one takes the lower once it stood for several polls.",
    mend: "check the clocks of this machine and of the gateways: timedatectl",
    severity: Severity::Warning,
};

/// Nobody could read it.
pub const TOO_LARGE: Kind = Kind {
    code: "CD-205",
    title: "the ledger is larger than a reader takes",
    why: "Readers take 50,000 entries and 4 MiB a document. Nothing is dropped in silence: the last ledger stays published.",
    mend: "divide the certificates among several gateways in the configuration",
    severity: Severity::Error,
};

/// By `certdrift ledger verify`.
pub const INVALID: Kind = Kind {
    code: "CD-206",
    title: "the ledger is not valid",
    why: "A reader that gets it keeps the last good one it had.",
    mend: "let the controller write it again: delete the file, it is put right within seconds",
    severity: Severity::Error,
};

/// By `certdrift ledger verify`.
pub const STALE_CURRENT: Kind = Kind {
    code: "CD-207",
    title: "the ledger expects a certificate that has expired",
    why: "No good successor was stored when it ended, so the last good one stayed expected.",
    mend: "renew it; `certdrift run` tells why a stored successor was refused",
    severity: Severity::Warning,
};

/// By `certdrift ledger`.
pub const NOT_READ: Kind = Kind {
    code: "CD-208",
    title: "the ledger cannot be read",
    why: "The file or address does not give one.",
    mend: "give the path of ledger.json, or http://HOST:PORT/ledger/GATEWAY of a controller on this machine; elsewhere https://, --token-file and --roots",
    severity: Severity::Error,
};

/// Another hand at a ConfigMap.
pub const CONFIG_MAP_PUT_RIGHT: Kind = Kind {
    code: "CD-209",
    title: "the ledger's ConfigMap was not as it was written, and was put right",
    why: "It was deleted, edited or taken over by another writer. A ledger is a control input: what stands in it decides what counts as drift, so only certdrift writes it, and its key is taken back from whoever set it.",
    mend: "find who writes there: kubectl get configmap -n NAMESPACE NAME -o yaml --show-managed-fields names them; let only certdrift's ServiceAccount write it, and keep it out of what Helm, Flux or Argo CD apply",
    severity: Severity::Warning,
};

/// The API server does not let us, or cannot.
pub const CONFIG_MAP_NOT_WRITTEN: Kind = Kind {
    code: "CD-210",
    title: "the ledger's ConfigMap cannot be written",
    why: "The API server refuses it or gives no answer. Gateways that mount it keep the last ledger they took; those that ask the controller get the new one all the same. It is tried again, at the longest every 30 seconds.",
    mend: "read the reason: it is the API server's own",
    severity: Severity::Error,
};

/// A large ledger.
pub const CONFIG_MAP_TOO_LARGE: Kind = Kind {
    code: "CD-211",
    title: "a part of the ledger is larger than a ConfigMap can be",
    why: "A ConfigMap holds 1 MiB. An entry is never divided, so one certificate with ten thousands of hosts makes a part of that size. Nothing is dropped in silence: the last ledger stays published, and the controller serves the new one.",
    mend: "divide the hosts of that certificate among several, or let the gateway read the ledger from the controller",
    severity: Severity::Error,
};

/// The same, read.
pub const CONFIG_MAP_NOT_READ: Kind = Kind {
    code: "CD-212",
    title: "the ledger's ConfigMaps cannot be watched",
    why: "What others do to them is not seen, so a ledger that is deleted or edited is not put right; what is published is written all the same.",
    mend: "grant list and watch on configmaps in the gateway's namespace: kubectl auth can-i watch configmaps -n NAMESPACE --as=system:serviceaccount:NAMESPACE:NAME",
    severity: Severity::Warning,
};
