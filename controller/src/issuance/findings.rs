//! Findings about issuing and storing (CD-170 and on). Which step and which mend is said with each.
use crate::finding::{Kind, Severity};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident, $title:literal, why $why:literal, mend $mend:literal;)*) => {
        $($(#[$doc])* pub const $name: Kind = Kind { code: $code, title: $title, why: $why, mend: $mend, severity: Severity::$severity };)*
    };
}

kinds! {
    /// A step takes too long.
    STUCK = "CD-170" Error, "the issuance does not go on",
        why "cert-manager is issuing and has waited at one step for longer than that step takes. The finding names the step. What is stored goes on being served until it expires.",
        mend "the finding says which; kubectl describe certificate,certificaterequest,order,challenge shows all steps";
    /// A step failed.
    FAILED = "CD-171" Error, "the issuance has failed",
        why "The request was denied, is invalid, or its issuer failed. cert-manager tries again after an hour, then after two, four and so on, up to 32 hours.",
        mend "mend the cause, then do not wait for the next attempt: cmctl renew NAME";
    /// Signed and not in the Secret.
    NOT_STORED = "CD-172" Error, "the certificate was signed and is not stored",
        why "The newest CertificateRequest is Ready, and the Secret does not hold what it signed for over 5 s (a good renewal takes 20 ms). cert-manager tells nobody: no Event, no condition, Ready stays True; only its log and the counter certmanager_controller_sync_error_count. Either it lacks a permission on Secrets, or the Secret is immutable, or an admission policy or webhook refuses the write. It tries again every 30 s and mends by itself once it may.",
        mend "look what refuses it: kubectl -n cert-manager logs deploy/cert-manager | grep 'failed to apply secret'";
    /// Ready on an expired certificate.
    READY_BUT_EXPIRED = "CD-173" Error, "the Certificate says Ready and is expired",
        why "Nothing renews it, and its condition was not taken back. Clients refuse what is served.",
        mend "renew it: cmctl renew NAME";
    /// Two Certificates, one Secret.
    NOT_OWNER = "CD-174" Error, "the Certificate's Secret belongs to another Certificate",
        why "Of several Certificates that name one Secret cert-manager serves one and waits for the others to be changed.",
        mend "give each Certificate its own spec.secretName";
    /// Past renewalTime, and nobody has begun.
    OVERDUE = "CD-175" Error, "a renewal is due and has not begun",
        why "status.renewalTime has passed. A natural renewal begins within 13 ms of it.",
        mend "look at cert-manager's controller: kubectl -n cert-manager get pods; kubectl -n cert-manager logs deploy/cert-manager";
    /// Somebody else writes the Secret.
    OVERWRITTEN = "CD-176" Warning, "the Secret holds another certificate than was issued last",
        why "cert-manager stored it, and somebody else has written the Secret since; or a backup was restored. cert-manager may issue again and again.",
        mend "find who else writes it: kubectl get secret -o yaml --show-managed-fields";
}
