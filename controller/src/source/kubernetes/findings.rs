//! Findings about what a cluster stores (CD-130 and on).
use crate::finding::{Kind, Severity};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident, $title:literal, why $why:literal, mend $mend:literal;)*) => {
        $($(#[$doc])* pub const $name: Kind = Kind { code: $code, title: $title, why: $why, mend: $mend, severity: Severity::$severity };)*
    };
}

kinds! {
    /// 403 on a list or watch.
    FORBIDDEN = "CD-130" Error, "the API server forbids to look",
        why "The ServiceAccount lacks the verb list or watch on this kind of object. What was known of it stays expected, and nothing new is seen.",
        mend "grant it: the chart does so for the chosen reach and bindings; try: kubectl auth can-i --as=system:serviceaccount:NAMESPACE:NAME watch KIND -A";
    /// Errors.
    NOT_UP_TO_DATE = "CD-131" Warning, "what the API server has cannot be followed",
        why "Its answers are errors, or the connection breaks. What was known stays expected; it is tried again, at the longest every 10 seconds.",
        mend "look at the API server: kubectl get --raw /readyz?verbose";
    /// An object that cannot be read.
    OBJECT_UNREADABLE = "CD-132" Warning, "an object of the cluster cannot be read",
        why "Its JSON is not of the form that its kind has. What was known of it stays; all others are read.",
        mend "look at it with kubectl get -o json, and report it with its kind's version";
    /// The Secret has gone.
    SECRET_VANISHED = "CD-133" Info, "the Secret of a binding has gone",
        why "It was there before. It stays expected for a minute, because tools delete and make Secrets again, and is then no longer expected. The gateway serves its default certificate some seconds after the deletion.",
        mend "if it was deleted on purpose, take it off the binding; cert-manager makes it again by itself";
    /// Keyless, and no Certificate.
    UNSEEN = "CD-134" Info, "a bound Secret belongs to no Certificate",
        why "With reach=keyless only what cert-manager issues is seen. Nothing is known of what this Secret holds, and nothing is expected of its hosts.",
        mend "let cert-manager issue it, or let certdrift read the Secret (reach=namespaces)";
    /// Two Certificates, one Secret.
    SECRET_SHARED = "CD-135" Warning, "two Certificates name one Secret",
        why "cert-manager lets one of them own the Secret and issues nothing for the others (reason IncorrectCertificate). Without reading the Secret the older Certificate is taken for the owner.",
        mend "give each Certificate its own spec.secretName";
}
