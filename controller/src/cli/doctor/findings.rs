//! What the doctor finds wrong with an installation (CD-541 and on).
use crate::finding::{Kind, Severity};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident, $title:literal, why $why:literal, mend $mend:literal;)*) => {
        $($(#[$doc])* pub const $name: Kind = Kind { code: $code, title: $title, why: $why, mend: $mend, severity: Severity::$severity };)*
    };
}

kinds! {
    /// A right is missing.
    RIGHT_MISSING = "CD-541" Error, "certdrift may not do what its configuration needs",
        why "The API server was asked (SelfSubjectAccessReview, or SubjectAccessReview for certdrift's ServiceAccount) whether each verb that the configured gateways need is allowed, and one is not. What it is needed for is listed in docs/permissions.md; without it that part of certdrift does nothing and says so.",
        mend "grant it, or install the chart's roles: certdrift doctor prints the command for this installation";
    /// Who installs may not.
    INSTALLER = "CD-542" Error, "who installs certdrift may not create what the chart has, or may not grant what its roles grant",
        why "The chart creates roles. Kubernetes lets nobody grant what he does not have himself, unless he has the verb escalate on roles (and bind on what is bound).",
        mend "let a cluster administrator install it, or let him install the roles and set serviceAccount.name in the chart's values";
    /// cert-manager may not store.
    NOT_STORABLE = "CD-543" Error, "cert-manager may not write Secrets where certificates are",
        why "cert-manager writes the renewed certificate by the verb patch. Where that is refused the Certificate stays Ready, no Event and no condition says so, and the Secret keeps the old certificate until it expires.",
        mend "give cert-manager's ServiceAccount the verbs on secrets: certdrift doctor prints the command for this installation";
    /// A kind is missing.
    KIND_MISSING = "CD-544" Warning, "the API server does not know a kind that is looked at",
        why "The custom resource definitions are not installed. A kind that is missing is nothing wrong in itself: certdrift looks for it every half minute; but what it would tell is not known.",
        mend "install the definitions, or take the binding out of the configuration";
    /// No cert-manager.
    NO_CERT_MANAGER = "CD-545" Warning, "no cert-manager controller is ready",
        why "Its definitions are there, and no ready controller was found in the namespace of its ServiceAccount. Nothing renews the certificates.",
        mend "look at it: kubectl get pods -n cert-manager";
    /// Known to fail.
    VERSION_FAILS = "CD-546" Error, "a version is known not to work",
        why "docs/compatibility.md says what fails with it, and where that is known from.",
        mend "take a version that docs/compatibility.md lists as working";
    /// Nobody tried.
    VERSION_UNTRIED = "CD-547" Warning, "a version is in use that nobody has tried",
        why "It is in no row of docs/compatibility.md. It may well work; nothing here was seen to happen with it.",
        mend "rehearse it: certdrift drill, then certdrift status";
    /// Clocks differ.
    CLOCK = "CD-548" Warning, "the clock differs from the API server's",
        why "Graces, windows, the Lease and the revision of a ledger are counted in wall-clock time. A revision that lies more than a day ahead of a filter's clock is refused by it.",
        mend "synchronise the clocks of the nodes (chrony, systemd-timesyncd)";
    /// The Deployment.
    NOT_READY = "CD-549" Error, "certdrift itself is not there or not ready",
        why "Its Deployment has fewer ready replicas than wanted, or none was found. A replica is ready once it has its first complete ledger.",
        mend "look at it: kubectl describe deployment and kubectl logs in its namespace";
    /// The ledger.
    LEDGER_STALE = "CD-550" Error, "a gateway's ledger is not published",
        why "The ConfigMap certdrift-ledger-GATEWAY is what filter and tap compare with. It is not there, cannot be read, or its revision lies far ahead of the clock.",
        mend "read why: kubectl logs of certdrift's Deployment; CD-210 names a verb that is missing";
    /// The Lease.
    LEASE_FREE = "CD-551" Error, "nobody leads",
        why "The Lease that replicas agree by is not there, has no holder, or was not renewed for longer than it lasts. Nobody publishes, heals or posts Events.",
        mend "read why: kubectl logs of certdrift's Deployment; CD-430 says what keeps it from the Lease";
    /// The kubelet asks healthz.
    PROBE_HEALTHZ = "CD-601" Error, "a kubelet's probe asks the filter's healthz",
        why "healthz is 503 while any host drifts, and drift comes to all pods at once: the kubelet takes the whole fleet out of the Service, or restarts it, over a certificate that is old and still valid.",
        mend "let the probe ask livez (liveness) or readyz (readiness, startup); healthz is for monitors";
    /// Wasm is off.
    WASM_OFF = "CD-602" Error, "the gateway does not run the filter",
        why "The configuration reads the filter's report, and Kong runs no Wasm filter there: it is off unless KONG_WASM is on, it takes filters of its own folder only with KONG_WASM_FILTERS=user, and from 3.11 on there is no Wasm at all.",
        mend "switch it on, or leave the filter out and read the tap: deploy/kong/README.md";
    /// No tap.
    TAP_ABSENT = "CD-603" Warning, "the gateway does not include the tap",
        why "The tap is the nginx include that says which certificate each connection was served. Without it a worker that serves an old certificate is met only by chance.",
        mend "mount the three files and name them in nginx_http_include and nginx_proxy_include: deploy/kong/README.md";
    /// Nothing answers.
    SILENT = "CD-604" Error, "the gateway does not answer where its configuration says",
        why "Status, the filter's report or the tap's report was asked at the port and path of the configuration, and what came was no such answer.",
        mend "compare port and path with what the pod listens on; for report and tap the token too";
    /// Another version.
    FILTER_VERSION = "CD-605" Warning, "the filter is of another version than certdrift",
        why "Filter and controller work with the other's previous release. One that is older still was not tried.",
        mend "roll out the filter of this release: docs/filter.md";
    /// The filter's own complaint.
    FILTER_PROBLEM = "CD-606" Error, "the filter says that its configuration is wrong",
        why "It stays passive, as a filter in the data path must, and says why in its report.",
        mend "correct its configuration: docs/filter.md";
    /// Too wide.
    ALLOW_WIDE = "CD-607" Warning, "the filter's allow list is wide",
        why "Whoever is in health.allow sees which hosts are served with which certificates. The peer is the connection's own: behind a load balancer that translates addresses every client has a private one.",
        mend "allow loopback only, and give monitors a token (health.token)";
    /// Nobody renews it.
    DEFAULT_UNRENEWED = "CD-608" Warning, "nobody renews the gateway's default certificate",
        why "It is served wherever no host matches. Kong makes one itself, signed by itself for localhost, when none is set.",
        mend "let a Certificate keep a Secret, mount that, and name it in KONG_SSL_CERT and in default_secret of certdrift's configuration";
    /// Inline.
    INLINE = "CD-609" Warning, "the default certificate stands in the gateway's environment",
        why "A process keeps its environment for life: no reload takes a renewal, only new pods do.",
        mend "mount it as a file";
    /// Never updated.
    SUB_PATH = "CD-610" Error, "the default certificate is mounted by subPath",
        why "The kubelet never updates such a mount. The Secret is renewed and the file in the pod stays as it was when the pod began.",
        mend "mount the whole Secret as a folder";
    /// Pods that nobody chooses.
    NO_METRICS = "CD-611" Warning, "the filter's metrics are not shown",
        why "Kong's prometheus plugin leaves out what Wasm filters count unless wasm_metrics is true.",
        mend "set wasm_metrics: true in the prometheus plugin's configuration";
}
