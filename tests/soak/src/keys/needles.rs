//! What a private key looks like, in whatever form it may lie about, and the search for it.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The bytes of the secret itself, as DER has them.
    Der,
    /// The same with the last byte first, as a computation may hold them.
    Reversed,
    /// Those bytes as base64, at any of its three alignments: PEM is this.
    Base64,
    /// The text of a PEM file as base64, at any alignment: what an API answers.
    PemInBase64,
}

/// Bytes, of which key, in which form.
type Needle = (Vec<u8>, usize, Form);

/// Looks for many keys at once.
pub(crate) struct Needles {
    /// Which of the first three bytes any needle has.
    filter: Vec<u64>,
    by_beginning: HashMap<[u8; 8], Vec<Needle>>,
    keys: usize,
}

/// What was found: which keys, and in which forms how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) keys: BTreeSet<usize>,
    pub(crate) forms: BTreeMap<Form, usize>,
}

impl Found {
    pub(crate) fn add(&mut self, other: Self) {
        self.keys.extend(other.keys);
        for (form, times) in other.forms {
            *self.forms.entry(form).or_default() += times;
        }
    }
}

/// The whole characters of base64 that say these bytes and nothing else, when so many bytes stand before them.
fn inside(bytes: &[u8], before: usize) -> Vec<u8> {
    let padded = [&vec![0; before][..], bytes].concat();
    let text = STANDARD.encode(&padded).into_bytes();
    let from = [0, 2, 3][before];
    let to = padded.len() * 8 / 6;
    text[from..to.min(text.len())].to_vec()
}

impl Needles {
    pub(crate) fn new() -> Self {
        Self { filter: vec![0; 1 << 18], by_beginning: HashMap::new(), keys: 0 }
    }

    /// How many keys are looked for.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// One more key: bytes of it that are secret, each 16 or more, and its PEM.
    pub(crate) fn add(&mut self, secrets: &[&[u8]], pem: &str) {
        let key = self.keys;
        self.keys += 1;
        let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        for secret in secrets {
            self.put(secret, key, Form::Der);
            let reversed: Vec<u8> = secret.iter().rev().copied().collect();
            self.put(&reversed, key, Form::Reversed);
            for before in 0..3 {
                // In pieces: a line of PEM may end within.
                for piece in inside(secret, before).chunks_exact(14) {
                    self.put(piece, key, Form::Base64);
                    // What of a PEM's line is base64 once more.
                    let text = String::from_utf8_lossy(piece).into_owned();
                    if body.iter().any(|line| line.contains(&text)) {
                        for before in 0..3 {
                            self.put(&inside(piece, before), key, Form::PemInBase64);
                        }
                    }
                }
            }
        }
    }

    fn put(&mut self, needle: &[u8], key: usize, form: Form) {
        let Some(beginning) = needle.first_chunk::<8>() else { return };
        let at = three(beginning);
        self.filter[at >> 6] |= 1 << (at & 63);
        self.by_beginning.entry(*beginning).or_default().push((needle.to_vec(), key, form));
    }

    /// What is in these bytes.
    pub(crate) fn find(&self, hay: &[u8]) -> Found {
        let mut found = Found::default();
        for (at, window) in hay.windows(8).enumerate() {
            let first = three(window);
            if self.filter[first >> 6] & (1 << (first & 63)) == 0 {
                continue;
            }
            let Some(beginning) = window.first_chunk::<8>() else { continue };
            for (needle, key, form) in self.by_beginning.get(beginning).into_iter().flatten() {
                if hay[at..].starts_with(needle) {
                    found.keys.insert(*key);
                    *found.forms.entry(*form).or_default() += 1;
                }
            }
        }
        found
    }
}

fn three(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_each_form_and_alignment_and_another_is_not() {
        let secret: Vec<u8> = (0..32u8).map(|n| n.wrapping_mul(37) ^ 0x5a).collect();
        let der = [&[0x30, 0x81, 1, 2, 3][..], &secret, &[9; 40]].concat();
        let body = STANDARD.encode(&der);
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----\n",
            &body[..64],
            &body[64..]
        );
        let mut needles = Needles::new();
        needles.add(&[&secret], &pem);
        let finds = |hay: &[u8], form: Form| needles.find(hay).forms.contains_key(&form);
        for before in 0..4 {
            let shifted = [&vec![7; before][..], &der].concat();
            assert!(finds(&shifted, Form::Der));
            assert!(finds(STANDARD.encode(&shifted).as_bytes(), Form::Base64), "{before}");
            let text = [&vec![b'x'; before][..], pem.as_bytes()].concat();
            assert!(finds(&text, Form::Base64));
            assert!(finds(STANDARD.encode(&text).as_bytes(), Form::PemInBase64), "{before}");
        }
        let other: Vec<u8> = secret.iter().map(|byte| byte ^ 1).collect();
        assert!(needles.find(&[&other[..], STANDARD.encode(&other).as_bytes()].concat()).keys.is_empty());
    }
}
