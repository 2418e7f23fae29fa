//! The pieces of the archive, what became of each, and the list of them. Pure.
use super::redact::{Pseudonyms, Redactor};
use crate::cli::Exit;
use crate::cli::output::{BOLD, DIM, GREEN, Marks, View, YELLOW, count};
use crate::cli::table::{Cell, Table};
use certdrift_contract::{Fingerprint, UnixTime};
use serde::Serialize;
use std::io::{self, Write};

/// What the manifest is called in the archive.
pub(super) const MANIFEST: &str = "MANIFEST.json";

/// Why a piece is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It should be there, and could not be had.
    Failed(String),
    /// There is none of it here: no cluster, say.
    NotHere(String),
}

/// A piece, as it was found: nothing is redacted yet.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its name in the archive, `status.json`.
    pub(super) name: String,
    /// Where it was asked for.
    pub(super) from: String,
    pub(super) found: Result<String, Missing>,
}

impl Piece {
    pub(super) fn new(
        name: impl Into<String>,
        from: impl Into<String>,
        found: Result<String, Missing>,
    ) -> Self {
        Self { name: name.into(), from: from.into(), found }
    }

    /// One that should be there.
    pub(super) fn tried(
        name: impl Into<String>,
        from: impl Into<String>,
        found: Result<String, String>,
    ) -> Self {
        Self::new(name, from, found.map_err(Missing::Failed))
    }
}

/// A file of the archive.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    name: String,
    from: String,
    bytes: usize,
    sha256: Fingerprint,
    /// Pieces that were taken out of it as secrets.
    secrets: usize,
    /// Host names that were replaced in it.
    hosts: usize,
}

/// What is not in the archive.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Absent {
    pub(super) name: String,
    from: String,
    pub(super) why: String,
    /// Whether it should be there.
    pub(super) expected: bool,
}

/// The list: shown before anything is written, and in the archive.
#[derive(Debug, Serialize)]
pub(super) struct Manifest {
    /// Of the program that wrote it.
    version: &'static str,
    made_at: UnixTime,
    /// Where the archive goes.
    pub(super) archive: String,
    redacted: Covered,
    files: Vec<Listed>,
    pub(super) missing: Vec<Absent>,
}

/// What was taken out, in words.
#[derive(Debug, Serialize)]
struct Covered {
    secrets: &'static str,
    hosts: &'static str,
    pseudonyms: usize,
}

const SECRETS: &str = "PEM blocks of every kind; whatever looks like random base64 of 32 characters or more, hex of more than 64 digits, \
or a list of bytes; values of token, password, authorization, cookie and the like; bearer tokens; user and password in a URL; the \
configured tokens that can be read here, and values of `env` and paths of webhooks in the configuration. Fingerprints, names of \
Secrets and of files stay.";
const HOSTS: &str = "replaced by host-1.example and so on, the same name by the same in every file: with dots, in SANs, and with - or _ \
for dots in names of Ingresses, Secrets and other objects. IP addresses, namespaces, names of pods, and names of objects that hold no \
host name stay.";
const NO_HOSTS: &str = "kept; --redact-hosts replaces them";

/// Redacts each piece and lists it. The names of hosts that any piece lists are known in all.
pub(super) fn list(
    pieces: Vec<Piece>,
    tokens: &[String],
    redact_hosts: bool,
    archive: &str,
    now: UnixTime,
) -> (Manifest, Vec<(String, String)>) {
    let pseudonyms = redact_hosts.then(|| {
        let mut names = Vec::new();
        for text in pieces.iter().filter_map(|piece| piece.found.as_ref().ok()) {
            if let Ok(value) = serde_json::from_str(text) {
                hosts(&value, &mut names);
            }
        }
        Pseudonyms::new(names.iter().map(String::as_str))
    });
    let known = pseudonyms.as_ref().map_or(0, Pseudonyms::count);
    let mut redactor = Redactor::new(tokens, pseudonyms);
    let (mut files, mut missing, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let (name, from) = (redactor.redact(&piece.name).text, redactor.redact(&piece.from).text);
        match piece.found {
            Ok(text) => {
                let out = redactor.redact(&text);
                files.push(Listed {
                    name: name.clone(),
                    from,
                    bytes: out.text.len(),
                    sha256: Fingerprint::of(out.text.as_bytes()),
                    secrets: out.secrets,
                    hosts: out.hosts,
                });
                texts.push((name, out.text));
            }
            Err(why) => {
                let (why, expected) = match why {
                    Missing::Failed(why) => (why, true),
                    Missing::NotHere(why) => (why, false),
                };
                missing.push(Absent { name, from, why: redactor.redact(&why).text, expected });
            }
        }
    }
    let hosts = if redact_hosts { HOSTS } else { NO_HOSTS };
    let redacted = Covered { secrets: SECRETS, hosts, pseudonyms: known };
    let archive = archive.to_owned();
    let version = env!("CARGO_PKG_VERSION");
    (Manifest { version, made_at: now, archive, redacted, files, missing }, texts)
}

/// The strings under `host` and `hosts`, however deep.
fn hosts(value: &serde_json::Value, to: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                match inner {
                    Value::String(name) if key == "host" => to.push(name.clone()),
                    Value::Array(names) if key == "hosts" => {
                        to.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
                        names.iter().for_each(|inner| hosts(inner, to));
                    }
                    inner => hosts(inner, to),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| hosts(inner, to)),
        _ => {}
    }
}

impl Manifest {
    /// 2 when something that should be there is not.
    pub(super) fn exit(&self) -> Exit {
        if self.missing.iter().any(|absent| absent.expected) { Exit::Unknown } else { Exit::Good }
    }

    /// As the archive holds it: it tells where it went only to who wrote it.
    pub(super) fn file(&self) -> io::Result<String> {
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("archive");
            fields.insert("schema".to_owned(), Self::SCHEMA.into());
        }
        Ok(format!("{value:#}\n"))
    }
}

impl View for Manifest {
    const SCHEMA: &'static str = "certdrift.dev/bundle/v1";

    fn human(&self, to: &mut dyn Write, _: bool, marks: Marks) -> io::Result<()> {
        let bytes: usize = self.files.iter().map(|file| file.bytes).sum();
        writeln!(
            to,
            "{BOLD}{}{BOLD:#}: {}, {bytes} bytes before compression",
            self.archive,
            count(self.files.len(), "file", "files")
        )?;
        let mut table = Table::new(&["", "FILE", "BYTES", "SECRETS OUT", "HOSTS OUT", "FROM"]);
        for file in &self.files {
            table.row([
                Cell::styled(marks.good, GREEN),
                file.name.as_str().into(),
                file.bytes.to_string().into(),
                file.secrets.to_string().into(),
                file.hosts.to_string().into(),
                Cell::styled(file.from.as_str(), DIM),
            ]);
        }
        table.write(to)?;
        for absent in &self.missing {
            let (mark, style) = if absent.expected { (marks.unknown, YELLOW) } else { (marks.none, DIM) };
            writeln!(to, "{style}{mark}{style:#} not in it: {}: {}", absent.name, absent.why)?;
        }
        writeln!(to, "{DIM}Taken out: {}\nHost names: {}{DIM:#}", self.redacted.secrets, self.redacted.hosts)
    }

    fn names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.name.clone()).collect()
    }

    fn short(&self) -> Vec<String> {
        let expected = self.missing.iter().filter(|absent| absent.expected);
        expected.map(|absent| format!("{}: {}", absent.name, absent.why)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_listed_or_said_to_be_missing_and_why() {
        let pieces = vec![
            Piece::tried(
                "status.json",
                "u",
                Ok(r#"{"hosts": [{"host": "a.local"}], "token": "abcdefgh12"}"#.into()),
            ),
            Piece::tried("metrics.txt", "u", Err("http://a.local:9480 gives no answer".into())),
            Piece::new("events.json", "the cluster", Err(Missing::NotHere("there is no cluster".into()))),
        ];
        let (manifest, files) = list(pieces, &[], true, "x.tar.gz", UnixTime::from_seconds(0));
        assert_eq!(manifest.exit(), Exit::Unknown);
        assert_eq!(manifest.names(), ["status.json"]);
        assert_eq!(manifest.short(), ["metrics.txt: http://host-1.example:9480 gives no answer"]);
        assert!(files[0].1.contains("host-1.example") && !files[0].1.contains("abcdefgh12"), "{files:?}");
        let said = manifest.file().unwrap();
        assert!(said.contains("there is no cluster") && !said.contains("x.tar.gz"), "{said}");
        let none = list(Vec::new(), &[], false, "x", UnixTime::from_seconds(0)).0;
        assert_eq!(none.exit(), Exit::Good);
    }
}
