//! What can be wrong with a stored certificate (CD-1xx), and what a directory can do to its reader.
use crate::finding::{Kind, Severity};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident, $title:literal, why $why:literal, mend $mend:literal;)*) => {
        $($(#[$doc])* pub const $name: Kind = Kind { code: $code, title: $title, why: $why, mend: $mend, severity: Severity::$severity };)*
    };
}

kinds! {
    /// The PEM text breaks off.
    TORN = "CD-101" Error, "the certificate file is torn",
        why "The PEM text breaks off or is damaged: it was half written, the disk was full, or the copy was cut. A gateway that reloads now would fail or lose the name. The last good certificate stays expected.",
        mend "write the file beside its place and rename it over; issue or copy it again";
    /// No certificate where one should be.
    NO_CERTIFICATE = "CD-102" Error, "the file holds no readable certificate",
        why "There is no PEM block CERTIFICATE in it, or its DER cannot be read. The last good certificate stays expected.",
        mend "look at it with: openssl x509 -in FILE -noout -text";
    /// The key is another certificate's.
    KEY_MISMATCH = "CD-103" Error, "the private key does not belong to the certificate",
        why "The public key of the private key beside it is not the certificate's. Either one of the two files is from another issuance, or a renewal stopped half way. A gateway refuses such a pair when it reloads. The last good certificate stays expected.",
        mend "compare: openssl x509 -in CERT -noout -pubkey; openssl pkey -in KEY -pubout; then install the pair that belongs together";
    /// Key first in a bundle.
    KEY_FIRST = "CD-104" Warning, "the private key stands before the certificate in the file",
        why "OpenSSL, nginx and Kong skip over it; some programs take the first block for the certificate and fail. The certificate itself is fine and is expected.",
        mend "put the leaf first, then its intermediates, then the key, or keep the key in a file of its own";
    /// Past its end.
    EXPIRED = "CD-105" Error, "the certificate has expired",
        why "Clients refuse it. certdrift never replaces a good expectation by an expired certificate; one that expired while it was expected stays expected until a better one is there.",
        mend "renew it; look why the renewal did not happen (certbot renew, lego renew, the Certificate's conditions)";
    /// Before its begin.
    NOT_YET_VALID = "CD-106" Error, "the certificate is not valid yet",
        why "Its notBefore lies ahead of this machine's clock: it was issued for later, or one of two clocks is wrong. The last good one stays expected until then.",
        mend "compare the clocks (timedatectl); if they are right, wait: it is taken up by itself";
    /// Wrong order.
    CHAIN_ORDER = "CD-107" Error, "the chain is out of order",
        why "The leaf must come first and every further certificate must have issued one before it (RFC 8446, 4.4.2). Gateways send the file as it is; strict clients then find no path. The last good one stays expected.",
        mend "write leaf, then its issuer, then the issuer's issuer; leave out what belongs to another chain";
    /// Nothing to bind.
    NO_NAMES = "CD-108" Warning, "the certificate names no host",
        why "It has no DNS name and no IP address among its subject alternative names (a common name alone counts for no client since 2017), so it answers for nothing.",
        mend "issue it with subject alternative names, or list its hosts in the configuration if it is the gateway's default certificate";
    /// A CA in the leaf's place.
    CA_LEAF = "CD-109" Error, "a CA certificate stands in the leaf's place",
        why "The first certificate is a certificate authority's: most often the chain is reversed, or the issuer's file was taken for the certificate. The last good one stays expected.",
        mend "put the server's own certificate first";
    /// A self-signed CA that serves as leaf.
    CA_SELF_SIGNED = "CD-110" Warning, "the certificate is self-signed with CA rights",
        why "`openssl req -x509` makes such certificates. OpenSSL's clients accept it when told to trust it; others (webpki, thus rustls) refuse a CA as a server certificate. It is expected all the same.",
        mend "issue with basicConstraints=CA:FALSE: openssl req -x509 -addext basicConstraints=critical,CA:FALSE …";
    /// The gateway's own stand-in.
    PLACEHOLDER = "CD-111" Error, "the certificate is a placeholder",
        why "It is self-signed for `localhost`: gateways and images bring such a one along until there is a real one. It is never expected.",
        mend "install the real certificate in its place";
    /// Cannot be read.
    UNREADABLE = "CD-112" Error, "the file cannot be read",
        why "The system refused: permission, a broken link, or an I/O error. The last good certificate stays expected.",
        mend "let the user certdrift runs as read the certificate (the private key need not be readable): chmod, chgrp, or a group of its own";
    /// Over the bounds.
    TOO_LARGE = "CD-113" Error, "the file or directory is larger than is read",
        why "Bounds keep a wrong path from eating the memory: 1 MiB a file, 10,000 names a certificate, 100 certificates a file, 100,000 files and 8 levels a directory.",
        mend "point the source at the directory that holds the certificates, not at a tree around it";
    /// It was there before.
    VANISHED = "CD-114" Info, "the certificate file has gone",
        why "It was there before and the directory is readable. It stays expected for a minute, because renewals and volume swaps take files away for a moment, and is then no longer expected.",
        mend "if it was removed on purpose, nothing; else bring it back";
    /// Two sources, one host.
    SHADOWED = "CD-115" Warning, "another source answers for the host",
        why "Two sources name the same host, and a host has one expectation. Hosts listed in the configuration win over names in a certificate; then the source that held the host before, unless its certificate has expired; then the later end of validity; then the name.",
        mend "remove the file that is no longer served, or list the host under the right one in the configuration (`hosts:`)";
    /// Listed hosts it does not cover.
    NOT_COVERED = "CD-116" Error, "the certificate does not cover a host it is listed for",
        why "The configuration lists the host for this source, but the certificate does not name it: clients would refuse it. The last good one stays expected.",
        mend "issue the certificate with that name, or take the host off the list";
    /// A name nobody can ask for.
    BAD_NAME = "CD-117" Warning, "a name in the certificate is no host name",
        why "It is no DNS name, wildcard or address that a client could send. The other names count.",
        mend "issue the certificate without it";
    /// Other key families.
    KEY_FAMILY = "CD-118" Error, "the certificate's key is of a kind that is not observed",
        why "RSA, ECDSA and Ed25519 can be asked for in a TLS handshake; another kind could never be proven on the wire.",
        mend "issue with an RSA, ECDSA or Ed25519 key";
    /// Two of a family.
    FAMILY_TWICE = "CD-119" Warning, "a source holds two certificates of one key family",
        why "A pair has one certificate of each family; of two RSA certificates a gateway serves one. The one that ends later is expected.",
        mend "remove the one that is not served, or name them apart so that each is a source of its own";
    /// The directory itself.
    DIRECTORY = "CD-120" Error, "the directory of certificates cannot be used",
        why "It does not exist, cannot be read, or is empty though certificates were there: a volume that is not mounted looks like that. All that was expected stays expected.",
        mend "check the path, its permissions and its mount: ls -la DIRECTORY";
    /// No events.
    NOT_WATCHED = "CD-121" Warning, "changes in the directory are noticed by polling only",
        why "The system refused a watch (often fs.inotify.max_user_watches is too low for the number of directories). Changes are still seen, some seconds later.",
        mend "sysctl fs.inotify.max_user_watches=524288";
    /// A pair with different names.
    PAIR_NAMES = "CD-122" Warning, "the two certificates of a pair name different hosts",
        why "Which of the pair a client gets depends on its signature algorithms; a host that only one of them names would fail for the others' clients. Only hosts that both name are expected.",
        mend "issue both certificates for the same names";
    /// Configuration names a source that is not there.
    NO_SUCH_SOURCE = "CD-123" Warning, "the configuration names a source that is not there",
        why "`hosts:` or `default:` names a certificate by its path below the directory, and there is none of that name, so the setting has no effect.",
        mend "list the sources' names with: certdrift ledger show LEDGER -o name";
}
