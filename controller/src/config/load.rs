//! Reads the configuration: file, then `CERTDRIFT_…` and flags on top; every error with file, line and what to do.
use super::place::{Map, Place};
use super::{Config, LogFormat, LogLevel, check, findings};
use crate::finding::Finding;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What flags and `CERTDRIFT_…` variables put over the file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct Overrides {
    /// Where to keep state, instead of `state_dir`
    #[arg(long, env = "CERTDRIFT_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Where to answer, instead of `listen.address`
    #[arg(long, env = "CERTDRIFT_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Log from this level on, instead of `log.level`
    #[arg(long, env = "CERTDRIFT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// Form of log lines, instead of `log.format`
    #[arg(long, env = "CERTDRIFT_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The file that is read when none is named: the first of these that exists.
pub const DEFAULT_FILES: [&str; 2] = ["certdrift.yaml", "/etc/certdrift/certdrift.yaml"];
/// A larger file is refused: it is not a configuration.
const LARGEST: u64 = 4 << 20;

/// The file to read: the one named, else the first of [`DEFAULT_FILES`] that exists, else the last of them.
#[must_use]
pub fn choose(named: Option<&Path>) -> PathBuf {
    let first =
        || DEFAULT_FILES.iter().map(Path::new).find(|p| p.exists()).unwrap_or(Path::new(DEFAULT_FILES[1]));
    named.unwrap_or_else(first).to_owned()
}

/// Reads and checks the configuration.
///
/// # Errors
/// Everything that is wrong with it, as findings on `FILE:LINE:COLUMN`.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Config, Vec<Finding>> {
    let name = path.display().to_string();
    let unreadable = |why: String| vec![findings::UNREADABLE.on(&name, why)];
    // A device or a pipe has no length to look at beforehand.
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|e| unreadable(e.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(unreadable(format!("it has over {LARGEST} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        unreadable(format!("it is no text (UTF-8): see byte {}", e.utf8_error().valid_up_to()))
    })?;
    parse(&text, &name, overrides)
}

/// Reads a configuration that a controller elsewhere runs by: it has checked it there, where its tokens are.
///
/// # Errors
/// It cannot be read as one of this version.
pub fn elsewhere(text: &str, name: &str) -> Result<Config, Finding> {
    serde_saphyr::from_str(text).map_err(|e| understood(&e, name))
}

/// Reads and checks a configuration's text; `name` is what findings call the file.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, name: &str, overrides: &Overrides) -> Result<Config, Vec<Finding>> {
    let mut config: Config = serde_saphyr::from_str(text).map_err(|e| vec![understood(&e, name)])?;
    overrides.apply(&mut config);
    let problems = check::check(&config);
    if problems.is_empty() {
        return Ok(config);
    }
    let map = Map::of(text);
    let told = problems.into_iter().map(|problem| {
        let at = map.as_ref().and_then(|m| m.find(&problem.path));
        let mut finding =
            findings::CONTRADICTION.on(at_place(name, at), format!("{}: {}", problem.path, problem.why));
        problem.mend.clone_into(&mut finding.mend);
        finding
    });
    Err(told.collect())
}

impl Overrides {
    fn apply(&self, config: &mut Config) {
        if let Some(dir) = &self.state_dir {
            config.state_dir.clone_from(dir);
        }
        if let Some(address) = self.listen {
            config.listen.address = address;
        }
        if let Some(level) = self.log_level {
            config.log.level = level;
        }
        if let Some(format) = self.log_format {
            config.log.format = format;
        }
    }
}

fn at_place(name: &str, place: Option<Place>) -> String {
    place.map_or_else(|| name.to_owned(), |p| format!("{name}:{}:{}", p.line, p.column))
}

/// A reader's error as a finding.
fn understood(error: &serde_saphyr::Error, name: &str) -> Finding {
    let error = error.without_snippet();
    let place = error.location().as_ref().and_then(Place::of);
    let text = message(error);
    let object = at_place(name, place);
    let Some((unknown, known)) = unknown_field(&text) else {
        return findings::NOT_UNDERSTOOD.on(object, text);
    };
    let mut finding = findings::UNKNOWN_KEY.on(object, text.clone());
    if let Some(near) = nearest(unknown, &known) {
        finding.mend = format!(
            "did you mean `{near}`? Unknown keys are refused, docs/configuration.md lists all that exist"
        );
    }
    finding
}

/// Its first line, without the position that stands before it.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let rest = match first.strip_prefix("line ").and_then(|r| r.split_once(": ")) {
        Some((position, rest)) if position.contains("column") => rest,
        _ => first,
    };
    let rest = match rest.rfind(" at line ") {
        Some(at) => rest.get(..at).unwrap_or(rest),
        None => rest,
    };
    // The library speaks to whoever calls it.
    let rest = rest.split_once(", set DuplicateKeyPolicy").map_or(rest, |(what, _)| what);
    match rest {
        "unexpected end of input" => {
            "it ends before anything is said; a file without keys is empty".to_owned()
        }
        "expected mapping start" => "keys with values are expected here (`key: value`)".to_owned(),
        _ => rest.to_owned(),
    }
}

/// "unknown field `x`, expected one of a, b": x, and a and b.
fn unknown_field(text: &str) -> Option<(&str, Vec<&str>)> {
    let (unknown, rest) = text.strip_prefix("unknown field `")?.split_once('`')?;
    let known = rest.trim_start_matches(", expected ").trim_start_matches("one of ");
    Some((unknown, known.split(", ").map(|name| name.trim_matches('`')).collect()))
}

fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let score = |name: &str| strsim::jaro_winkler(unknown, name);
    known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b))).filter(|best| score(best) > 0.8)
}
