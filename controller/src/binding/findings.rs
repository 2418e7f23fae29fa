//! Findings about bindings in a cluster (CD-150 and on): what binds nothing, and who loses a host to whom.
use crate::finding::{Kind, Severity};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident, $title:literal, why $why:literal, mend $mend:literal;)*) => {
        $($(#[$doc])* pub const $name: Kind = Kind { code: $code, title: $title, why: $why, mend: $mend, severity: Severity::$severity };)*
    };
}

kinds! {
    /// A `tls` section without hosts.
    WITHOUT_HOSTS = "CD-150" Warning, "a tls section names no host and binds nothing",
        why "Kong's ingress controller passes over a section of `tls` that has no `hosts`: it does not take the names from the certificate, and says nothing. The gateway serves its default certificate.",
        mend "name the hosts in spec.tls[].hosts";
    /// No class.
    WITHOUT_CLASS = "CD-151" Warning, "the Ingress has no class and is nobody's",
        why "It has `tls`, but neither spec.ingressClassName nor the annotation kubernetes.io/ingress.class, and the gateway's IngressClass is not the default one. The ingress controller passes over it and says nothing.",
        mend "set spec.ingressClassName, or annotate the IngressClass with ingressclass.kubernetes.io/is-default-class=true";
    /// The Secret is not there.
    SECRET_MISSING = "CD-152" Error, "the Secret of a binding is not there",
        why "The object names a Secret that certdrift does not find. Either it does not exist, and the gateway serves its default certificate for the hosts; or it is of another type than kubernetes.io/tls: Kong's ingress controller loads such a Secret, certdrift does not look at it.",
        mend "look at it: kubectl get secret -n NAMESPACE NAME; if cert-manager should make it, look at the Certificate that names it";
    /// The ingress controller does not read it.
    NOT_INGESTED = "CD-153" Error, "the ingress controller does not read the Secret",
        why "The ingress controller runs with --secret-label-selector and reads only Secrets that have that label with the value \"true\". For all others it behaves as if they were not there.",
        mend "label the Secret; cert-manager keeps a label that stands in the Certificate's spec.secretTemplate.labels";
    /// Another Secret wins the host.
    SHADOWED = "CD-154" Warning, "another Secret answers for the host",
        why "A gateway serves one Secret for a host. Of several objects that bind it the ingress controller takes Ingresses before Gateway listeners, the oldest first, and of the same age the lower name. The loser is mentioned nowhere: no Event, no log line, no condition.",
        mend "remove the host from one of the two objects, or let both name the same Secret";
    /// Another tenant's host.
    CONTESTED = "CD-155" Warning, "a Secret claims a host that another namespace's binding serves",
        why "An annotation or a certificate's name is a claim, no binding: it never takes a host away from what another namespace's Ingress, Gateway or older claim already answers for. The claim is told and not expected, and nothing is ever restarted for it.",
        mend "remove the claim, or let the owner of the host's binding name the Secret";
    /// Two certificateRefs under KIC.
    SEVERAL_REFS = "CD-156" Error, "a listener has more than one certificateRef, and none of them is loaded",
        why "Kong's ingress controller supports one. With two it loads neither, keeps the listener's conditions True, and puts the Event KongConfigurationTranslationFailed on the Gateway.",
        mend "leave one certificateRef; an RSA + ECDSA pair cannot be had this way";
    /// No ReferenceGrant.
    NO_GRANT = "CD-157" Error, "a listener refers to a Secret of another namespace without a ReferenceGrant",
        why "The certificate is not loaded. Kong's ingress controller says so from 3.5.7 on, in its log and in the listener's condition ResolvedRefs.",
        mend "create a ReferenceGrant in the Secret's namespace: from group gateway.networking.k8s.io, the kind and namespace that refer, to kind Secret";
    /// Programmed is not True.
    NOT_PROGRAMMED = "CD-158" Warning, "a listener is not programmed",
        why "Its certificates are not loaded as long as the condition Programmed is not True; pods with different proxy_listen, a port that no Service has, or a conflict with another listener keep it so.",
        mend "read its conditions: kubectl get gateway -n NAMESPACE NAME -o yaml";
    /// A host that is none.
    BAD_HOST = "CD-159" Warning, "a host of a binding is no host name",
        why "No client can ask for it, so it is not expected. The other hosts of the object count.",
        mend "correct the name";
    /// A `tls` section without a Secret.
    WITHOUT_SECRET = "CD-160" Info, "a tls section names no Secret",
        why "The ingress controller passes over it: the hosts are served with what else answers for them, or with the default certificate.",
        mend "name a Secret in spec.tls[].secretName, if these hosts should have their own";
    /// A ListenerSet that may not attach.
    NOT_ATTACHED = "CD-161" Warning, "a ListenerSet is not allowed to attach to its Gateway",
        why "spec.allowedListeners of the Gateway does not admit its namespace (nothing is admitted unless it says so). Its listeners are not served.",
        mend "set spec.allowedListeners.namespaces of the Gateway";
    /// A reference to something that is no Secret.
    NOT_A_SECRET = "CD-162" Warning, "a certificateRef is not to a Secret",
        why "Only Secrets of the core group are followed. What the gateway serves there cannot be expected.",
        mend "refer to a Secret";
    /// The certificate does not name a bound host.
    NOT_COVERED = "CD-163" Error, "the certificate of a binding does not cover its host",
        why "The object binds the Secret to the host, but the certificate in it does not name the host: clients refuse it. The host is not expected to be served with it.",
        mend "add the host to the Certificate's spec.dnsNames, or take it off the binding";
}
