//! Signed and not stored: the failure that nothing in the cluster says. Which of its three causes it is.
//!
//! Measured (cert-manager 1.21): a missing verb, an immutable Secret and an admission policy give one picture: the
//! newest request Ready, the Secret old, `Ready=True`, no Event. Only the review tells the first, the Secret's own field
//! the second; the third is what is left.
use super::facts::{Facts, Target};
use super::permission::Verb;
use crate::finding::Finding;

/// Seconds from signed to told. In 41 good renewals the gap was 19 ms at most.
pub const PATIENCE: i64 = 5;

/// What was found out of cert-manager's permissions on the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Suspects {
    /// Nobody asked yet, or nobody may (no `create` on SubjectAccessReviews).
    #[default]
    Unknown,
    /// Verbs that are refused to this user.
    Lacks {
        /// `system:serviceaccount:cert-manager:cert-manager`
        user: String,
        /// Sorted; empty when it may do everything.
        verbs: Vec<Verb>,
    },
}

/// Says which cause it is, and the mend that fits.
pub fn explain(finding: &mut Finding, facts: &Facts<'_>, suspects: &Suspects) {
    let namespace = &facts.certificate.metadata.namespace;
    let secret = &facts.certificate.spec.secret_name;
    if let Target::There { immutable: true, .. } = facts.target {
        finding.why = format!("{}: the Secret is immutable, and cannot be written by anybody", finding.why);
        finding.mend = format!(
            "delete it, cert-manager makes it again within a second (the gateway serves its default certificate meanwhile): kubectl -n {namespace} delete secret {secret}"
        );
        return;
    }
    match suspects {
        Suspects::Lacks { user, verbs } if !verbs.is_empty() => {
            let words: Vec<&str> = verbs.iter().map(|v| v.as_str()).collect();
            let words = words.join(", ");
            finding.why = format!("{}: {user} may not {words} Secrets in namespace {namespace}", finding.why);
            finding.mend = format!(
                "grant it again (cert-manager's chart does so in ClusterRole cert-manager-controller-certificates); it is stored within 30 s; try: kubectl auth can-i {} secrets/{secret} -n {namespace} --as={user}",
                verbs.first().map_or("patch", |v| v.as_str())
            );
        }
        Suspects::Lacks { user, .. } => {
            finding.why = format!(
                "{}: {user} has every permission and the Secret is not immutable, so an admission policy or webhook refuses the write, or its controller is not running",
                finding.why
            );
            finding.mend = format!(
                "its log names the policy: kubectl -n cert-manager logs deploy/cert-manager | grep '{namespace}/{secret}'; then: kubectl get validatingadmissionpolicybindings,validatingwebhookconfigurations"
            );
        }
        Suspects::Unknown => {}
    }
}
