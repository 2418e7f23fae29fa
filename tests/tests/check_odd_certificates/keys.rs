//! Certificates that are odd in their keys and signatures: made and served by openssl.
use certdrift_tests::program::openssl;
use std::path::Path;

/// What is odd: how openssl makes key and certificate (`k.pem`, `c.pem`).
pub(crate) struct Odd {
    pub name: &'static str,
    key: &'static [&'static str],
    make: &'static [&'static str],
    /// The codes of findings that must be told, without an expectation.
    pub findings: &'static [&'static str],
    pub possession: &'static str,
}

const SAN: &[&str] = &["-addext", "subjectAltName=DNS:odd.example.com"];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

pub(crate) const ODD: &[Odd] = &[
    Odd { name: "ordinary", key: P256, make: SAN, findings: &[], possession: "proven" },
    Odd {
        name: "p-384",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        make: SAN,
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "p-521",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd { name: "ed25519", key: &["-algorithm", "ED25519"], make: SAN, findings: &[], possession: "proven" },
    Odd {
        name: "ed448",
        key: &["-algorithm", "ED448"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "rsa-1024",
        key: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "rsa-4096",
        key: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
        make: SAN,
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "rsa-pss",
        key: &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "sha-1",
        key: RSA,
        make: &["-sha1", "-addext", "subjectAltName=DNS:odd.example.com"],
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "rsa-3072",
        key: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        make: SAN,
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "rsa with exponent 3",
        key: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
        make: SAN,
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "md5",
        key: RSA,
        make: &["-md5", "-addext", "subjectAltName=DNS:odd.example.com"],
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "sha-512",
        key: RSA,
        make: &["-sha512", "-addext", "subjectAltName=DNS:odd.example.com"],
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "rsa key, pss signature",
        key: RSA,
        make: &["-sigopt", "rsa_padding_mode:pss", "-addext", "subjectAltName=DNS:odd.example.com"],
        findings: &[],
        possession: "proven",
    },
    Odd {
        name: "p-256 with explicit parameters",
        key: &[
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-pkeyopt",
            "ec_param_enc:explicit",
        ],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "p-224",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "secp256k1",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd {
        name: "brainpoolP256r1",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"],
        make: SAN,
        findings: &["CD-312"],
        possession: "unproven",
    },
    Odd { name: "no-san", key: P256, make: &[], findings: &["CD-305"], possession: "proven" },
    Odd {
        name: "ip-san",
        key: P256,
        make: &["-addext", "subjectAltName=IP:127.0.0.1"],
        findings: &["CD-305"],
        possession: "proven",
    },
    Odd { name: "v1", key: P256, make: &[], findings: &["CD-305"], possession: "proven" },
    Odd { name: "v1-rsa", key: RSA, make: &[], findings: &["CD-305"], possession: "proven" },
];

/// Writes key and certificate.
pub(crate) fn make(folder: &Path, odd: &Odd) {
    openssl(folder, &[&["genpkey", "-quiet", "-out", "k.pem"], odd.key].concat());
    if odd.name.starts_with("v1") {
        // A request signed by itself without extensions is X.509 version 1.
        openssl(folder, &["req", "-new", "-key", "k.pem", "-subj", "/CN=odd.example.com", "-out", "r.pem"]);
        openssl(
            folder,
            &["x509", "-req", "-in", "r.pem", "-signkey", "k.pem", "-days", "30", "-out", "c.pem"],
        );
        return;
    }
    let base =
        ["req", "-x509", "-key", "k.pem", "-days", "30", "-subj", "/CN=odd.example.com", "-out", "c.pem"];
    openssl(folder, &[&base, odd.make].concat());
}
