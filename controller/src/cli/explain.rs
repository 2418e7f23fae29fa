//! `certdrift explain CODE`: what a code means, why it comes about, what to do; offline.
use super::output::{BOLD, Marks, Output, View};
use super::table::{Cell, Table};
use super::{Exit, Failure};
use crate::finding::{CATALOGUE, Kind};
use serde::Serialize;
use std::io::{self, Write};

/// Typed after `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The code, CD-101 or just 101; without one, all are listed
    #[arg(value_name = "CODE", value_parser = known)]
    code: Option<&'static Kind>,
}

fn known(text: &str) -> Result<&'static Kind, String> {
    let digits = text.trim_start_matches(['c', 'C', 'd', 'D', '-']);
    CATALOGUE
        .iter()
        .copied()
        .find(|kind| kind.code.strip_prefix("CD-") == Some(digits))
        .ok_or_else(|| "no such code; `certdrift explain` lists them all".to_owned())
}

#[derive(Serialize)]
struct Explained {
    codes: Vec<Code>,
}

#[derive(Serialize)]
struct Code {
    code: &'static str,
    severity: crate::finding::Severity,
    title: &'static str,
    why: &'static str,
    mend: &'static str,
}

impl From<&Kind> for Code {
    fn from(kind: &Kind) -> Self {
        Self { code: kind.code, severity: kind.severity, title: kind.title, why: kind.why, mend: kind.mend }
    }
}

impl View for Explained {
    const SCHEMA: &'static str = "certdrift.dev/codes/v1";

    fn human(&self, to: &mut dyn Write, _wide: bool, _marks: Marks) -> io::Result<()> {
        if let [code] = self.codes.as_slice() {
            writeln!(to, "{BOLD}{}{BOLD:#} {}", code.code, code.title)?;
            writeln!(to, "\n{}\n\nWhat to do: {}", code.why, code.mend)?;
            return Ok(());
        }
        let mut table = Table::new(&["CODE", "MEANS"]);
        for code in &self.codes {
            table.row([Cell::from(code.code), code.title.into()]);
        }
        table.write(to)
    }

    fn names(&self) -> Vec<String> {
        self.codes.iter().map(|c| c.code.to_owned()).collect()
    }

    fn short(&self) -> Vec<String> {
        self.codes.iter().map(|c| format!("{} {}", c.code, c.title)).collect()
    }
}

/// Explains.
///
/// # Errors
/// stdout is gone.
pub fn run(args: &Args, out: &Output) -> Result<Exit, Failure> {
    let codes = match args.code {
        Some(kind) => vec![kind.into()],
        None => CATALOGUE.iter().map(|kind| Code::from(*kind)).collect(),
    };
    out.show(&Explained { codes })?;
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_complete() {
        for pair in CATALOGUE.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} stands before {}", pair[0].code, pair[1].code);
        }
        for kind in CATALOGUE {
            let digits = kind.code.strip_prefix("CD-").unwrap();
            assert!(digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()), "{}", kind.code);
            assert!(!kind.title.is_empty() && !kind.why.is_empty() && !kind.mend.is_empty(), "{}", kind.code);
        }
    }

    /// They stand after `do:` and inside log lines: each begins small and ends open.
    #[test]
    fn what_to_do_is_written_alike_in_all_of_them() {
        for kind in CATALOGUE {
            assert!(!kind.mend.starts_with(char::is_uppercase), "{}: {}", kind.code, kind.mend);
            assert!(!kind.mend.ends_with('.'), "{}: {}", kind.code, kind.mend);
            let sentences = kind.mend.split(". ").skip(1).any(|next| next.starts_with(char::is_uppercase));
            assert!(!sentences, "{}: {}", kind.code, kind.mend);
        }
    }

    #[test]
    fn a_code_is_found_in_any_spelling() {
        for kind in CATALOGUE {
            let digits = kind.code.strip_prefix("CD-").unwrap();
            for text in [kind.code.to_owned(), kind.code.to_lowercase(), digits.to_owned()] {
                assert_eq!(known(&text).unwrap().code, kind.code);
            }
        }
        assert!(known("CD-999").is_err());
    }

    /// `CD-322-the-gateway-refuses-….md`: the code is enough to find it, the words are for people.
    fn file(kind: &Kind) -> String {
        let words = kind.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.take(6).map(str::to_ascii_lowercase).collect();
        format!("{}-{}.md", kind.code, words.join("-"))
    }

    /// The same words as on a terminal.
    fn page(kind: &Kind) -> String {
        let severity = serde_json::to_value(kind.severity).unwrap();
        format!(
            "# {}: {}\n\nSeverity: {}, unless the circumstances say otherwise.\n\n{}\n\n**What to do:** {}\n\n\
             `certdrift explain {0}` says the same offline. [All codes](README.md)\n",
            kind.code,
            kind.title,
            severity.as_str().unwrap(),
            kind.why,
            kind.mend
        )
    }

    #[test]
    fn each_code_has_a_page_and_each_page_a_code() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings");
        let mut wanted: std::collections::BTreeMap<String, String> =
            CATALOGUE.iter().map(|kind| (file(kind), page(kind))).collect();
        let mut index = "# Findings\n\nA page a code; `certdrift explain CODE` says the same offline. 1xx: what is stored and bound. 2xx: \
                         publishing. 3xx: what is\nserved and loaded. 4xx: drift and remedies. 5xx: configuration. 6xx: filter and tap.\n\n\
                         | code | severity | means |\n|---|---|---|\n"
            .to_owned();
        for kind in CATALOGUE {
            let severity = serde_json::to_value(kind.severity).unwrap();
            index += &format!(
                "| [{}]({}) | {} | {} |\n",
                kind.code,
                file(kind),
                severity.as_str().unwrap(),
                kind.title.replace('|', "\\|")
            );
        }
        wanted.insert("README.md".to_owned(), index);
        if std::env::var_os("CERTDRIFT_WRITE").is_some() {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, text) in &wanted {
                std::fs::write(folder.join(name), text).unwrap();
            }
        }
        let found: std::collections::BTreeMap<String, String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        let stale: Vec<&String> = wanted
            .iter()
            .filter(|(name, text)| found.get(*name) != Some(text))
            .map(|(name, _)| name)
            .chain(found.keys().filter(|name| !wanted.contains_key(*name)))
            .collect();
        assert!(
            stale.is_empty(),
            "docs/findings is stale ({stale:?}); write it with: CERTDRIFT_WRITE=1 cargo test -p certdrift"
        );
    }
}
