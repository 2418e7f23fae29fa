//! Chains that are odd: what follows the leaf is missing, shuffled, too much, too old, or no certificate at all.
use crate::der::{extension, name, utc, utf8};
use crate::draft::{Draft, ca};
use rcgen::KeyPair;

/// One of them.
pub(crate) struct Chain {
    pub name: &'static str,
    /// The leaf first, issued to the given key; the root is [`Keys::root`]'s.
    pub make: fn(&Keys) -> Vec<Vec<u8>>,
    /// Codes of the findings without an expectation.
    pub findings: &'static [&'static str],
    /// Codes of further findings when it is judged by the root.
    pub judged: &'static [&'static str],
}

/// Whose certificates they are.
pub(crate) struct Keys {
    pub leaf: KeyPair,
    one: KeyPair,
    two: KeyPair,
    root: KeyPair,
    other_root: KeyPair,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let new = || KeyPair::generate().unwrap();
        Self { leaf: new(), one: new(), two: new(), root: new(), other_root: new() }
    }

    /// What `--roots` is given.
    pub(crate) fn root(&self) -> Vec<u8> {
        Draft::authority("root").by("root").sign(&self.root, &self.root)
    }

    fn other_root(&self) -> Vec<u8> {
        Draft::authority("other root").by("other root").sign(&self.other_root, &self.other_root)
    }

    /// Issued by `one`.
    fn leaf(&self) -> Vec<u8> {
        Draft::leaf().by("one").sign(&self.leaf, &self.one)
    }

    fn one(&self, change: impl FnOnce(&mut Draft)) -> Vec<u8> {
        let mut draft = Draft::authority("one").by("root");
        change(&mut draft);
        draft.sign(&self.one, &self.root)
    }

    /// So many authorities between the leaf and the root.
    fn deep(&self, depth: usize) -> Vec<Vec<u8>> {
        let keys: Vec<KeyPair> = (0..depth).map(|_| KeyPair::generate().unwrap()).collect();
        let mut chain = vec![Draft::leaf().by("deep 0").sign(&self.leaf, &keys[0])];
        for (n, key) in keys.iter().enumerate() {
            let (issuer, signer) = match keys.get(n + 1) {
                Some(next) => (format!("deep {}", n + 1), next),
                None => ("root".to_owned(), &self.root),
            };
            chain.push(Draft::authority(&format!("deep {n}")).by(&issuer).sign(key, signer));
        }
        chain
    }
}

const ORDER: &[&str] = &["CD-303"];
const UNTRUSTED: &[&str] = &["CD-310"];

pub(crate) const CHAINS: &[Chain] = &[
    Chain { name: "in order", make: |k| vec![k.leaf(), k.one(|_| {})], findings: &[], judged: &[] },
    Chain { name: "intermediate missing", make: |k| vec![k.leaf()], findings: &[], judged: UNTRUSTED },
    Chain {
        name: "with the root",
        make: |k| vec![k.leaf(), k.one(|_| {}), k.root()],
        findings: &[],
        judged: &[],
    },
    Chain {
        name: "shuffled",
        make: |k| vec![k.leaf(), k.root(), k.one(|_| {})],
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "intermediate twice",
        make: |k| vec![k.leaf(), k.one(|_| {}), k.one(|_| {})],
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "leaf twice",
        make: |k| vec![k.leaf(), k.leaf(), k.one(|_| {})],
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "a stranger at the end",
        make: |k| vec![k.leaf(), k.one(|_| {}), k.other_root()],
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "a stranger in between",
        make: |k| vec![k.leaf(), k.other_root(), k.one(|_| {})],
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "the chain of another certificate",
        make: |k| vec![k.leaf(), Draft::authority("two").by("root").sign(&k.two, &k.root)],
        findings: ORDER,
        judged: UNTRUSTED,
    },
    Chain {
        name: "root cross-signed by another root",
        make: |k| {
            let cross = Draft::authority("root").by("other root").sign(&k.root, &k.other_root);
            vec![k.leaf(), k.one(|_| {}), cross]
        },
        findings: &[],
        judged: &[],
    },
    Chain {
        name: "intermediate in both its cross-signed forms",
        make: |k| {
            let cross = Draft::authority("one").by("other root").sign(&k.one, &k.other_root);
            vec![k.leaf(), k.one(|_| {}), cross]
        },
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "right name, another key",
        make: |k| vec![k.leaf(), Draft::authority("one").by("root").sign(&k.two, &k.root)],
        findings: ORDER,
        judged: UNTRUSTED,
    },
    Chain {
        name: "intermediate expired",
        make: |k| vec![k.leaf(), k.one(|d| d.not_after = utc("210101000000Z"))],
        findings: &["CD-304"],
        judged: UNTRUSTED,
    },
    Chain {
        name: "intermediate not yet valid",
        make: |k| vec![k.leaf(), k.one(|d| d.not_before = utc("480101000000Z"))],
        findings: &["CD-304"],
        judged: UNTRUSTED,
    },
    Chain {
        name: "intermediate that is no authority",
        make: |k| vec![k.leaf(), k.one(|d| d.extensions = Some(vec![ca(false)]))],
        findings: &[],
        judged: UNTRUSTED,
    },
    Chain {
        name: "intermediate of version 1",
        make: |k| vec![k.leaf(), k.one(|d| (d.version, d.extensions) = (None, None))],
        findings: &[],
        judged: UNTRUSTED,
    },
    Chain {
        name: "intermediate with names it may not sign",
        make: |k| {
            let excluded = crate::der::tlv(0xa1, crate::der::seq(&[&crate::der::tlv(0x82, "example.com")]));
            let constraints = extension("2.5.29.30", true, &crate::der::tlv(0x30, excluded));
            vec![k.leaf(), k.one(|d| d.extensions = Some(vec![ca(true), constraints]))]
        },
        findings: &[],
        judged: UNTRUSTED,
    },
    Chain { name: "self-signed", make: |k| vec![self_signed(k)], findings: &[], judged: UNTRUSTED },
    Chain {
        name: "self-signed, twice",
        make: |k| vec![self_signed(k), self_signed(k)],
        findings: &[],
        judged: UNTRUSTED,
    },
    Chain { name: "5 deep", make: |k| k.deep(4), findings: &[], judged: &[] },
    // webpki follows a path for so long and no longer.
    Chain { name: "11 deep", make: |k| k.deep(10), findings: &[], judged: UNTRUSTED },
    Chain { name: "21 deep", make: |k| k.deep(20), findings: &[], judged: UNTRUSTED },
    Chain {
        name: "60 KB",
        make: |k| {
            let ballast = extension("1.3.6.1.4.1.99999.1", false, &[0; 60_000]);
            vec![k.leaf(), k.one(|d| d.extensions = Some(vec![ca(true), ballast]))]
        },
        findings: &[],
        judged: &[],
    },
    Chain {
        name: "100 KB, more than rustls and Go take",
        make: |k| {
            let ballast = extension("1.3.6.1.4.1.99999.1", false, &[0; 100_000]);
            vec![k.leaf(), k.one(|d| d.extensions = Some(vec![ca(true), ballast]))]
        },
        findings: &["CD-308"],
        judged: &[],
    },
    Chain {
        name: "text for an intermediate",
        make: |k| vec![k.leaf(), b"hello".to_vec()],
        findings: ORDER,
        judged: UNTRUSTED,
    },
    Chain {
        name: "an intermediate of no bytes",
        make: |k| vec![k.leaf(), Vec::new(), k.one(|_| {})],
        findings: ORDER,
        judged: &[],
    },
    Chain {
        name: "half an intermediate",
        make: |k| {
            let one = k.one(|_| {});
            vec![k.leaf(), one[..one.len() / 2].to_vec()]
        },
        findings: ORDER,
        judged: UNTRUSTED,
    },
    Chain {
        name: "text for a leaf",
        make: |_| vec![b"hello".to_vec()],
        findings: &["CD-305", "CD-312"],
        judged: UNTRUSTED,
    },
    Chain {
        name: "the authority in the leaf's place",
        make: |k| vec![k.one(|_| {}), k.leaf()],
        findings: &["CD-303", "CD-305", "CD-309"],
        judged: UNTRUSTED,
    },
];

fn self_signed(keys: &Keys) -> Vec<u8> {
    let mut draft = Draft::leaf();
    draft.issuer = name(&utf8(crate::draft::HOST));
    draft.sign(&keys.leaf, &keys.leaf)
}
