//! Pseudonyms for host names: the same name is the same pseudonym in every file.
//!
//! Covered is each name that the controller lists, whatever it looks like, and whatever else looks like a host name; with dots, and
//! written with `-` or `_` in their place, as names of Secrets and Ingresses often are. Not covered: IP addresses, namespaces, names of
//! objects that hold no host name, names of pods and files.
use std::collections::{BTreeMap, BTreeSet};

/// What belongs to Kubernetes, Kong and ourselves, and names nobody.
const KEPT: [&str; 12] = [
    "cert-manager.io",
    "k8s.io",
    "kubernetes.io",
    "konghq.com",
    "certdrift.dev",
    "cluster.local",
    "jetstack.io",
    "fluxcd.io",
    "argoproj.io",
    "monitoring.coreos.com",
    "host.example",
    "letsencrypt.org",
];
/// Endings of files and of names inside a cluster, and no host's unless the controller lists it.
const FILES: [&str; 28] = [
    "json", "yaml", "yml", "pem", "crt", "cer", "key", "csr", "rs", "log", "txt", "conf", "lua", "wasm",
    "toml", "sock", "gz", "tar", "md", "html", "sh", "so", "service", "pid", "go", "svc", "lock", "toml",
];
/// The beginning of a path inside an object or a configuration.
const PATHS: [&str; 14] = [
    "metadata",
    "spec",
    "status",
    "data",
    "kubernetes",
    "listen",
    "observe",
    "policy",
    "publish",
    "health",
    "token",
    "tls",
    "log",
    "config",
];

/// Which name is which.
#[derive(Clone, Debug, Default)]
pub struct Pseudonyms {
    names: BTreeMap<String, String>,
    /// With `-` for dots, for names of objects.
    dashed: BTreeMap<String, String>,
    given: usize,
}

impl Pseudonyms {
    /// For these names, in the order of the alphabet; more are given to whatever else turns up.
    #[must_use]
    pub fn new<'a>(known: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        let bare = |name: &'a str| name.trim_start_matches("*.").trim_end_matches('.').to_ascii_lowercase();
        let sorted: BTreeSet<String> =
            known.into_iter().map(bare).filter(|name| name.contains('.')).collect();
        for name in sorted.iter().filter(|name| name.parse::<std::net::IpAddr>().is_err()) {
            all.give(name);
        }
        all
    }

    fn give(&mut self, name: &str) -> String {
        self.given += 1;
        let n = self.given;
        let pseudonym = format!("host-{n}.example");
        self.names.insert(name.to_owned(), pseudonym.clone());
        if name.is_ascii() {
            self.dashed.insert(name.replace('.', "-"), format!("host-{n}-example"));
        }
        pseudonym
    }

    /// How many names there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.given
    }

    /// Replaces them, and says how often.
    pub fn replace(&mut self, text: &str) -> (String, usize) {
        let mut out = String::with_capacity(text.len());
        let (mut at, mut replaced) = (0, 0);
        let mut escaped = false;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            // The `n` of `\n` begins no name.
            if escaped || !is_token(c) {
                escaped = c == '\\' && !escaped;
                out.push(c);
                at += c.len_utf8();
                continue;
            }
            let rest = text.get(at..).unwrap_or_default();
            let token = rest.get(..rest.find(|c| !is_token(c)).unwrap_or(rest.len())).unwrap_or_default();
            match self.name(token).or_else(|| self.dashed(token)) {
                Some(by) => {
                    out.push_str(&by);
                    replaced += 1;
                }
                None => out.push_str(token),
            }
            at += token.len();
        }
        (out, replaced)
    }

    fn name(&mut self, token: &str) -> Option<String> {
        let name = token.trim_matches(|c| matches!(c, '.' | '-' | '_' | '*'));
        let begin = token.find(name)?;
        let (before, after) = (token.get(..begin)?, token.get(begin + name.len()..)?);
        let lower = name.to_lowercase();
        let by = match self.names.get(&lower) {
            Some(by) => by.clone(),
            None if looks_like_a_host(&lower) => self.give(&lower),
            None => return None,
        };
        Some(format!("{before}{by}{after}"))
    }

    /// A known name in another's, with dashes: `shop-example-com-tls`.
    fn dashed(&self, token: &str) -> Option<String> {
        let flat = token.to_ascii_lowercase().replace(['.', '_'], "-");
        let cuts: Vec<usize> =
            std::iter::once(0).chain(flat.match_indices('-').map(|(at, _)| at + 1)).collect();
        if cuts.len() < 2 || flat.len() != token.len() {
            return None;
        }
        let ends = || cuts.iter().skip(1).map(|at| at - 1).chain(std::iter::once(flat.len())).rev();
        for from in &cuts {
            for to in ends().take_while(|to| to > from) {
                if let Some(by) = flat.get(*from..to).and_then(|part| self.dashed.get(part)) {
                    let after = token.get(to..)?;
                    // There may be another behind it.
                    let after = self.dashed(after).unwrap_or_else(|| after.to_owned());
                    return Some(format!("{}{by}{after}", token.get(..*from)?));
                }
            }
        }
        None
    }
}

fn is_token(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*')
}

fn looks_like_a_host(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    let [first, .., last] = labels.as_slice() else { return false };
    let kept = KEPT
        .iter()
        .any(|kept| name.strip_suffix(kept).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let is_ours = name.strip_prefix("host-").is_some_and(|rest| {
        rest.strip_suffix(".example").is_some_and(|n| n.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let is_label = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let top =
        last.starts_with("xn--") || (last.chars().count() >= 2 && last.chars().all(char::is_alphabetic));
    let is_path = PATHS.contains(first) && labels.len() == 2;
    let passes = kept || is_ours || FILES.contains(last) || is_path;
    top && !passes && labels.iter().all(is_label) && first.chars().any(char::is_alphabetic)
}
