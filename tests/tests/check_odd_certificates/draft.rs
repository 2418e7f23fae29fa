//! A certificate before it is signed: every field can be made wrong by itself.
use crate::der::{bits, dns, extension, name, oid, seq, tlv, utc, utf8};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

/// The name that is asked for, unless a kind says otherwise.
pub(crate) const HOST: &str = "odd.example.com";

/// The fields of a certificate (RFC 5280 section 4.1), each as DER.
pub(crate) struct Draft {
    /// `None`: left out, which is version 1.
    pub version: Option<u8>,
    /// Contents of the INTEGER.
    pub serial: Vec<u8>,
    /// Within what is signed.
    pub algorithm: Vec<u8>,
    /// Beside the signature; as within unless given.
    pub outer_algorithm: Option<Vec<u8>>,
    pub issuer: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub subject: Vec<u8>,
    /// Unique identifiers, or whatever else may stand before the extensions.
    pub before_extensions: Vec<u8>,
    /// `None`: the field is left out.
    pub extensions: Option<Vec<Vec<u8>>>,
    /// In place of a signature by the key.
    pub signature: Option<Vec<u8>>,
    /// After the certificate's end.
    pub tail: Vec<u8>,
}

impl Draft {
    /// A certificate nothing is wrong with: for [`HOST`], in date, version 3.
    pub(crate) fn leaf() -> Self {
        Self {
            version: Some(2),
            serial: vec![0x4f, 1, 2, 3],
            algorithm: seq(&[&oid("1.2.840.10045.4.3.2")]),
            outer_algorithm: None,
            issuer: name(&utf8("odd issuer")),
            not_before: utc("200101000000Z"),
            not_after: utc("490101000000Z"),
            subject: name(&utf8(HOST)),
            before_extensions: Vec::new(),
            extensions: Some(vec![dns(&[HOST])]),
            signature: None,
            tail: Vec::new(),
        }
    }

    /// An authority of this name.
    pub(crate) fn authority(common_name: &str) -> Self {
        Self { subject: name(&utf8(common_name)), extensions: Some(vec![ca(true)]), ..Self::leaf() }
    }

    /// Issued by this name.
    pub(crate) fn by(mut self, issuer: &str) -> Self {
        self.issuer = name(&utf8(issuer));
        self
    }

    /// The certificate of `key`, signed by `signer`.
    pub(crate) fn sign(&self, key: &KeyPair, signer: &KeyPair) -> Vec<u8> {
        let version = self.version.map_or_else(Vec::new, |v| tlv(0xa0, tlv(0x02, [v])));
        let extensions = self.extensions.as_ref().map_or_else(Vec::new, |e| tlv(0xa3, tlv(0x30, e.concat())));
        let to_sign = seq(&[
            &version,
            &tlv(0x02, &self.serial),
            &self.algorithm,
            &self.issuer,
            &seq(&[&self.not_before, &self.not_after]),
            &self.subject,
            &key.subject_public_key_info(),
            &self.before_extensions,
            &extensions,
        ]);
        let signature = self.signature.clone().unwrap_or_else(|| signer.sign(&to_sign).unwrap());
        let outer = self.outer_algorithm.as_ref().unwrap_or(&self.algorithm);
        let mut der = seq(&[&to_sign, outer, &bits(&signature)]);
        der.extend(&self.tail);
        der
    }
}

/// Basic constraints.
pub(crate) fn ca(yes: bool) -> Vec<u8> {
    let flag: &[u8] = if yes { &[0x01, 0x01, 0xff] } else { &[] };
    extension("2.5.29.19", true, &seq(&[flag]))
}
