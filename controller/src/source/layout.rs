//! Which files of a directory are a certificate, its key, its chain, or one of a pair: by name alone. Pure.
//!
//! | layout | certificate | key | source |
//! |---|---|---|---|
//! | certbot `live/NAME/` | `fullchain.pem`, else `cert.pem` with `chain.pem` | `privkey.pem` | the directory |
//! | acme.sh `NAME/` | `fullchain.cer` | `*.key` | the directory |
//! | mounted Secret | `tls.crt` | `tls.key` | the directory |
//! | lego | `NAME.crt` (`NAME.issuer.crt` is left out) | `NAME.key` | the file |
//! | plain | `NAME.pem`, `.crt`, `.cer`, `.cert` | in it, or `NAME.key`, `NAME-key.pem`, `NAME.key.pem`, `NAME_key.pem` | the file |
//! | pair of files | `NAME.rsa.pem` and `NAME.ecdsa.pem` (also `-`, `_`; `ecc`, `ec`) | as above | `NAME.pem` |
//! | pair in a directory | `rsa.pem` and `ecdsa.pem` (or `.crt` …) | as above | the directory |
//! | pair of directories | `NAME` beside `NAME_ecc`, `NAME-ecdsa`, `NAME-rsa` … | as above | `NAME` |
use std::collections::{BTreeMap, BTreeSet};

/// The files of one certificate; paths below the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The file with the leaf.
    pub certificate: String,
    /// A file with the rest of the chain.
    pub chain: Option<String>,
    /// A file with the key.
    pub key: Option<String>,
}

const EXTENSIONS: [&str; 4] = ["crt", "cer", "cert", "pem"];
const FAMILIES: [&str; 4] = ["ecdsa", "ecc", "rsa", "ec"];

/// Groups the files of one directory (`folder` below the root, "" for the root itself) into sources by their name.
#[must_use]
pub fn group(folder: &str, files: &BTreeSet<String>) -> BTreeMap<String, Vec<Member>> {
    let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    let here = || if folder.is_empty() { ".".to_owned() } else { folder.to_owned() };
    let has = |name: &str| files.contains(name).then(|| at(name));
    let mut sources: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    let whole = |certificate: String, chain: Option<String>, key: Option<String>| {
        BTreeMap::from([(here(), vec![Member { certificate, chain, key }])])
    };
    if let Some(certificate) = has("fullchain.pem") {
        return whole(certificate, None, has("privkey.pem"));
    }
    if let Some(certificate) = has("fullchain.cer") {
        let mut keys = files.iter().filter(|f| f.ends_with(".key"));
        let key = keys.next().filter(|_| keys.next().is_none()).map(|k| at(k));
        return whole(certificate, None, key);
    }
    if let (Some(certificate), Some(key)) = (has("cert.pem"), has("privkey.pem")) {
        return whole(certificate, has("chain.pem"), Some(key));
    }
    if let Some(certificate) = has("tls.crt") {
        sources.insert(here(), vec![Member { certificate, chain: None, key: has("tls.key") }]);
    }
    for file in files {
        let Some((stem, extension)) = file.rsplit_once('.') else { continue };
        if !EXTENSIONS.contains(&extension) || file == "tls.crt" || no_server_certificate(stem) {
            continue;
        }
        // `a.crt` beside `a.pem`: one certificate in two forms, or its key; the earlier extension is it.
        if EXTENSIONS.iter().take_while(|e| **e != extension).any(|e| files.contains(&format!("{stem}.{e}")))
        {
            continue;
        }
        let key = [
            format!("{stem}.key"),
            format!("{stem}-key.pem"),
            format!("{stem}.key.pem"),
            format!("{stem}_key.pem"),
        ]
        .into_iter()
        .chain((extension != "pem").then(|| format!("{stem}.pem")))
        .find_map(|name| has(&name));
        let source = if FAMILIES.contains(&stem) {
            here()
        } else {
            at(&without_family(stem).map_or_else(|| file.clone(), |base| format!("{base}.{extension}")))
        };
        sources.entry(source).or_default().push(Member { certificate: at(file), chain: None, key });
    }
    sources
}

/// Puts directories together whose names make them a pair.
pub fn pair_directories(sources: &mut BTreeMap<String, Vec<Member>>, is_directory: impl Fn(&str) -> bool) {
    let pairs: Vec<(String, String)> = sources
        .keys()
        .filter(|name| is_directory(name))
        .filter_map(|name| without_family(name).map(|base| (name.clone(), base.to_owned())))
        .collect();
    for (name, base) in &pairs {
        let partner = sources.contains_key(base) || pairs.iter().any(|(n, b)| n != name && b == base);
        if partner && let Some(members) = sources.remove(name) {
            sources.entry(base.clone()).or_default().extend(members);
        }
    }
}

/// `demo.rsa`, `demo-ecdsa`, `demo_ecc` without the family.
fn without_family(stem: &str) -> Option<&str> {
    FAMILIES.iter().find_map(|family| {
        let base = stem.strip_suffix(family)?;
        base.strip_suffix(['.', '-', '_']).filter(|base| !base.is_empty() && !base.ends_with('/'))
    })
}

/// Keys, issuers, authorities and parameters, by the names they go by. What is not named so is told by its content.
fn no_server_certificate(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let is = |word: &str| {
        stem == word || [".", "-", "_"].iter().any(|separator| stem.ends_with(&format!("{separator}{word}")))
    };
    stem == "ca" || ["key", "privkey", "issuer", "csr"].into_iter().any(is) || stem.starts_with("dhparam")
}

/// Whether a directory entry is looked at: no hidden ones (a Secret's `..data`), no editor's or writer's leftovers.
#[must_use]
pub fn visible(name: &str) -> bool {
    !name.starts_with('.')
        && !name.ends_with('~')
        && ![".tmp", ".swp", ".bak", ".old", ".new", ".part"].iter().any(|end| name.ends_with(end))
}

/// Whether a subdirectory is walked, given its siblings: of certbot's `/etc/letsencrypt` only `live/`.
#[must_use]
pub fn walked(name: &str, siblings: &BTreeSet<String>) -> bool {
    !(siblings.contains("live") && siblings.contains("archive")) || name == "live"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source's name, and the certificate and key of each member.
    type Grouped = Vec<(String, Vec<(String, Option<String>)>)>;

    fn grouped(folder: &str, files: &[&str]) -> Grouped {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        group(folder, &files)
            .into_iter()
            .map(|(name, members)| (name, members.into_iter().map(|m| (m.certificate, m.key)).collect()))
            .collect()
    }

    #[test]
    fn each_layout_is_recognised() {
        let one = |source: &str, certificate: &str, key: Option<&str>| {
            vec![(source.to_owned(), vec![(certificate.to_owned(), key.map(str::to_owned))])]
        };
        let certbot = ["README", "cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"];
        assert_eq!(
            grouped("live/a", &certbot),
            one("live/a", "live/a/fullchain.pem", Some("live/a/privkey.pem"))
        );
        assert_eq!(grouped("", &["ca.crt", "tls.crt", "tls.key"]), one(".", "tls.crt", Some("tls.key")));
        assert_eq!(
            grouped("", &["a.example.crt", "a.example.issuer.crt", "a.example.json", "a.example.key"]),
            one("a.example.crt", "a.example.crt", Some("a.example.key"))
        );
        assert_eq!(
            grouped("", &["a.pem", "a-key.pem", "dhparams.pem"]),
            one("a.pem", "a.pem", Some("a-key.pem"))
        );
        assert_eq!(grouped("", &["a.pem", "a.crt"]), one("a.crt", "a.crt", Some("a.pem")));
        assert_eq!(
            grouped("x", &["ca.cer", "x.cer", "x.key", "fullchain.cer"]),
            one("x", "x/fullchain.cer", Some("x/x.key"))
        );
    }

    #[test]
    fn a_pair_is_one_source() {
        let files =
            grouped("", &["demo.ecdsa.key", "demo.ecdsa.pem", "demo.rsa.key", "demo.rsa.pem", "o.pem"]);
        assert_eq!(files[0].0, "demo.pem");
        assert_eq!(files[0].1.len(), 2);
        assert_eq!(files[0].1[0], ("demo.ecdsa.pem".to_owned(), Some("demo.ecdsa.key".to_owned())));
        assert_eq!(files[1].0, "o.pem");
        let directory = grouped("shop", &["rsa.crt", "rsa.key", "ecdsa.crt", "ecdsa.key"]);
        assert_eq!((directory[0].0.as_str(), directory[0].1.len()), ("shop", 2));
        let mut both = BTreeMap::from([
            ("a".to_owned(), vec![Member { certificate: "a/f".into(), chain: None, key: None }]),
            ("a_ecc".to_owned(), vec![Member { certificate: "a_ecc/f".into(), chain: None, key: None }]),
            ("lonely-rsa".to_owned(), vec![]),
        ]);
        pair_directories(&mut both, |_| true);
        assert_eq!(both.keys().collect::<Vec<_>>(), ["a", "lonely-rsa"]);
        assert_eq!(both["a"].len(), 2);
    }

    #[test]
    fn leftovers_and_hidden_files_are_passed_over() {
        for name in ["..data", ".a.pem.swp", "a.pem~", "a.pem.tmp"] {
            assert!(!visible(name), "{name}");
        }
        let letsencrypt = ["live", "archive", "keys"].map(str::to_owned).into();
        assert!(walked("live", &letsencrypt) && !walked("archive", &letsencrypt));
    }
}
