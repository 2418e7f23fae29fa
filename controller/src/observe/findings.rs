//! What looking at a gateway can find: CD-3xx.
use crate::finding::{Kind, Severity};

/// Another certificate is served than expected.
pub const DRIFT: Kind = Kind {
    code: "CD-301",
    title: "another certificate is served than expected",
    why: "A full TLS handshake showed a leaf that is none of those expected. Usually the gateway never took the renewed one: it reads the file once at start, a push to it was refused, or one worker still holds the old one.",
    mend: "reload the gateway (nginx -s reload, kong reload, SIGHUP), then check again with --wait 60s",
    severity: Severity::Error,
};

/// The leaf is right, its chain is not.
pub const CHAIN_DIFFERS: Kind = Kind {
    code: "CD-302",
    title: "the leaf is the one expected, the certificates sent with it are not",
    why: "Clients need the intermediates, in order, to reach a root they know. Browsers often fetch or remember a missing one; curl, mobile clients and other services fail.",
    mend: "serve the full chain, leaf first (certbot's fullchain.pem, cert-manager's tls.crt as it is)",
    severity: Severity::Error,
};

/// The chain as served is not in order.
pub const CHAIN_ORDER: Kind = Kind {
    code: "CD-303",
    title: "the chain is not in order",
    why: "TLS 1.2 wants each certificate to be signed by the one after it (RFC 5246 section 7.4.2); many clients fail when it is not so.",
    mend: "put the file in order: leaf first, each signed by the next, nothing else between them",
    severity: Severity::Error,
};

/// Expired, or not yet valid.
pub const NOT_IN_DATE: Kind = Kind {
    code: "CD-304",
    title: "the certificate served is not in date",
    why: "Clients refuse it now. That it may be the one expected does not help them. Of an intermediate it is a warning: clients that know another path go on.",
    mend: "renew it (certbot renew, cmctl renew NAME), or set the clock right if it is the clock",
    severity: Severity::Error,
};

/// The certificate does not cover the host.
pub const NOT_COVERED: Kind = Kind {
    code: "CD-305",
    title: "the certificate served does not cover the host",
    why: "Clients compare the host with the subject alternative names only. Serving one for other names often means that no certificate is bound to the host and the default one is shown.",
    mend: "bind a certificate that names the host, or add the host to the certificate",
    severity: Severity::Error,
};

/// Half of a pair is missing.
pub const HALF_MISSING: Kind = Kind {
    code: "CD-306",
    title: "a certificate that is expected is not served",
    why: "Of an RSA + ECDSA pair a server shows each client the member it can use. Clients that need the missing member cannot connect, or are shown the other.",
    mend: "configure both (nginx: two ssl_certificate lines; Kong: cert and cert_alt), or expect one",
    severity: Severity::Error,
};

/// Nobody answers.
pub const UNREACHABLE: Kind = Kind {
    code: "CD-307",
    title: "no answer, so nothing can be told",
    why: "Unreachable is not drift: a certificate that was not seen is neither right nor wrong.",
    mend: "see that the gateway runs and that the address is right; --connect names another",
    severity: Severity::Warning,
};

/// Somebody answers, but shows no certificate.
pub const UNOBSERVABLE: Kind = Kind {
    code: "CD-308",
    title: "the certificate cannot be seen from here",
    why: "The peer answers, but not with a handshake that shows a certificate: TLS 1.2 and 1.3 with ephemeral keys are spoken here, and no more than 64 KB of certificates are taken.",
    mend: "have it speak TLS 1.2 or 1.3 with ECDHE; see that it is a TLS port; try --proxy-protocol",
    severity: Severity::Warning,
};

/// The peer does not hold the key.
pub const NO_POSSESSION: Kind = Kind {
    code: "CD-309",
    title: "the peer shows a certificate whose key it does not hold",
    why: "Its signature over the handshake is wrong. Every client refuses that: certificate and key do not belong together, or somebody stands between.",
    mend: "give it the certificate's own key: openssl x509 -pubkey and openssl pkey -pubout must agree",
    severity: Severity::Error,
};

/// No path to a root.
pub const NOT_TRUSTED: Kind = Kind {
    code: "CD-310",
    title: "no path leads from the certificate to a root that is trusted",
    why: "With --roots trust is judged, by the roots that were given.",
    mend: "serve the missing intermediates, or give the authority's root with --roots FILE",
    severity: Severity::Error,
};

/// Bad usage of `check`.
pub const CHECK_USAGE: Kind = Kind {
    code: "CD-311",
    title: "the command line cannot be understood",
    why: "An argument of `certdrift check`, `status`, `history`, `doctor` or `drill` is not what it has to be.",
    mend: "see certdrift check --help",
    severity: Severity::Error,
};

/// The key's possession cannot be checked.
pub const UNPROVEN: Kind = Kind {
    code: "CD-312",
    title: "whether the peer holds the certificate's key could not be checked",
    why: "Its signature is of a kind that is not verified here (RSA under 2048 bits, P-521, SHA-1, Ed448). The certificate is what it showed; that it is its own is not proven.",
    mend: "use a key of RSA 2048 to 8192 bits, P-256, P-384 or Ed25519",
    severity: Severity::Info,
};

/// Tap, report or status gives no usable answer.
pub const SOURCE_UNREADABLE: Kind = Kind {
    code: "CD-313",
    title: "what the gateway says of itself cannot be read",
    why: "The endpoint's tap, report or status was asked and gave no usable answer. Handshakes go on, but which worker served what cannot be told.",
    mend: "ask it by hand (curl -H \"x-certdrift-token: …\" URL); look at allow list and token",
    severity: Severity::Warning,
};

/// No pod.
pub const NO_PODS: Kind = Kind {
    code: "CD-340",
    title: "no pod of the gateway is found",
    why: "Its Service is not there or chooses no pod, or no pod has the labels. Nothing of the gateway is looked at until one comes.",
    mend: "compare its selector with kubectl get pods -n NAMESPACE --show-labels",
    severity: Severity::Warning,
};

/// A pod that cannot be looked at.
pub const POD_WITHOUT_PORT: Kind = Kind {
    code: "CD-341",
    title: "a pod of the gateway cannot be looked at",
    why: "It cannot be told on which port, or after which PROXY protocol, it serves. Its fellows are looked at.",
    mend: "annotate the pod: certdrift.dev/port, certdrift.dev/proxy-protocol (v1, v2)",
    severity: Severity::Warning,
};

#[cfg(test)]
mod tests {
    #[test]
    fn what_check_prints_to_mend_it_fits_one_line_of_a_hundred_columns() {
        for kind in crate::finding::CATALOGUE.iter().filter(|kind| kind.code.starts_with("CD-3")) {
            assert!("  do:  ".len() + kind.mend.chars().count() <= 100, "{}", kind.code);
        }
    }
}
