//! How answers look: formats, colour, marks. Data goes to stdout, talk to stderr.
use super::args::{Color, Format, OutputArgs};
use crate::finding::{Finding, Severity};
use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// Good news.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Hurts now.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Will hurt if left alone, or could not be told.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Headings.
pub const BOLD: Style = Style::new().bold();
/// Asides.
pub const DIM: Style = Style::new().dimmed();

/// One-character verdicts; ASCII where the locale is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// As it should be.
    pub good: &'static str,
    /// Not as it should be.
    pub bad: &'static str,
    /// Could not be told.
    pub unknown: &'static str,
    /// Does not apply.
    pub none: &'static str,
}

impl Marks {
    /// For a UTF-8 terminal.
    pub const UNICODE: Self = Self { good: "✓", bad: "✗", unknown: "?", none: "–" };
    /// For any other.
    pub const ASCII: Self = Self { good: "+", bad: "x", unknown: "?", none: "-" };

    /// Whether characters beyond ASCII can be shown.
    #[must_use]
    pub const fn is_unicode(self) -> bool {
        !self.good.is_ascii()
    }
}

/// An answer that can be shown in every format.
pub trait View: Serialize {
    /// `schema` of the JSON form: `certdrift.dev/NAME/v1`.
    const SCHEMA: &'static str;

    /// For people: verdict first, then evidence, then the command that mends. Styles may be written always; they are taken off where they are not wanted.
    ///
    /// # Errors
    /// `to` cannot be written.
    fn human(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()>;

    /// For `-o name`: one a line.
    fn names(&self) -> Vec<String>;

    /// For `-o short`: one line a thing that is wrong.
    fn short(&self) -> Vec<String>;

    /// For `-o md`, where there is a report.
    fn markdown(&self) -> Option<String> {
        None
    }
}

#[derive(Serialize)]
struct Tagged<'a, V> {
    schema: &'static str,
    #[serde(flatten)]
    view: &'a V,
}

/// How answers look in this run.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Of the answer on stdout.
    pub format: Format,
    /// What marks to use.
    pub marks: Marks,
    color: Color,
}

impl Output {
    /// As the flags and the environment say.
    #[must_use]
    pub fn new(args: &OutputArgs) -> Self {
        let utf8 = utf8_locale(|name| std::env::var(name).ok());
        Self {
            format: args.format,
            marks: if utf8 { Marks::UNICODE } else { Marks::ASCII },
            color: args.color,
        }
    }

    /// For what goes wrong before the flags are read.
    #[must_use]
    pub(super) fn before_the_flags(color: clap::ColorChoice) -> Self {
        let color = match color {
            clap::ColorChoice::Always => Color::Always,
            clap::ColorChoice::Never => Color::Never,
            clap::ColorChoice::Auto => Color::Auto,
        };
        Self::new(&OutputArgs { format: Format::Table, color })
    }

    /// stdout; takes styles off where they are not wanted.
    #[must_use]
    pub fn stdout(&self) -> AutoStream<io::StdoutLock<'static>> {
        stream(io::stdout().lock(), self.color)
    }

    /// stderr; takes styles off where they are not wanted.
    #[must_use]
    pub fn stderr(&self) -> AutoStream<io::StderrLock<'static>> {
        stream(io::stderr().lock(), self.color)
    }

    /// Writes a text to stdout as it is.
    ///
    /// # Errors
    /// stdout is gone.
    pub fn text(&self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// stdout cannot be written; that a reader has had enough (`| head`) is none.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = self.stdout();
        enough(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Shows an answer in the format that was asked for.
    ///
    /// # Errors
    /// stdout is gone.
    pub fn show<V: View>(&self, view: &V) -> io::Result<()> {
        // As a whole: a table is many small pieces, and half an answer helps nobody.
        let mut text = Vec::new();
        self.write(view, &mut text)?;
        self.bytes(&text)
    }

    /// Writes an answer in the format that was asked for.
    ///
    /// # Errors
    /// `to` cannot be written.
    pub fn write<V: View>(&self, view: &V, to: &mut dyn Write) -> io::Result<()> {
        let tagged = Tagged { schema: V::SCHEMA, view };
        let lines = |to: &mut dyn Write, lines: Vec<String>| -> io::Result<()> {
            lines.iter().try_for_each(|line| writeln!(to, "{line}"))
        };
        match self.format {
            Format::Table => view.human(to, false, self.marks),
            Format::Wide => view.human(to, true, self.marks),
            Format::Json => {
                serde_json::to_writer_pretty(&mut *to, &tagged)?;
                writeln!(to)
            }
            Format::Yaml => {
                let text = serde_saphyr::to_string(&tagged).map_err(io::Error::other)?;
                to.write_all(text.as_bytes())
            }
            Format::Md => match view.markdown() {
                Some(text) => to.write_all(text.as_bytes()),
                // Who has none was refused before (`certdrift drill` has one).
                None => Err(io::Error::other("this answer has no Markdown")),
            },
            Format::Name => lines(to, view.names()),
            Format::Short => lines(to, view.short()),
        }
    }

    /// Tells a finding on stderr, in its four parts.
    ///
    /// # Errors
    /// stderr is gone.
    pub fn tell(&self, finding: &Finding) -> io::Result<()> {
        let mut err = self.stderr();
        write_finding(&mut err, finding)?;
        err.flush()
    }
}

/// An answer as JSON, as `-o json` writes it.
///
/// # Errors
/// A part of it is nothing that JSON can say.
pub fn json<V: View>(view: &V) -> io::Result<String> {
    let text = serde_json::to_string_pretty(&Tagged { schema: V::SCHEMA, view })?;
    Ok(format!("{text}\n"))
}

/// A finding for people: what and on which object, why, and what to do.
///
/// # Errors
/// `to` cannot be written.
pub fn write_finding(to: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let (word, style) = match finding.severity {
        Severity::Error => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
        Severity::Info => ("note", BOLD),
    };
    writeln!(to, "{style}{word}{style:#} {}: {}: {}", finding.code, finding.object, finding.what)?;
    if !finding.why.is_empty() {
        writeln!(to, "  why: {}", finding.why)?;
    }
    if !finding.mend.is_empty() {
        writeln!(to, "  do:  {}", finding.mend)?;
    }
    Ok(())
}

/// So many of a thing: `1 entry`, `2 entries`.
#[must_use]
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The exit code is the verdict, also for a reader that has had enough of the text: `| head`, `| grep -q`.
fn enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Of the line that counts; blanks and not escapes clear it, so that it goes without colour too.
const WIDTH: usize = 40;

/// What a waiting command tells on stderr: a line when the state changes; between, on a terminal, how long it waits still.
#[derive(Debug)]
pub struct Progress {
    output: Output,
    last: String,
    /// A line without its end stands on the terminal.
    open: bool,
}

impl Progress {
    /// Nothing told yet.
    #[must_use]
    pub fn new(output: &Output) -> Self {
        Self { output: *output, last: String::new(), open: false }
    }

    /// Tells the state if it is news, and how much is left.
    pub fn tell(&mut self, state: &str, left: Duration) {
        // Talk: a stderr that is gone does not end the wait.
        let _ = self.write(&mut self.output.stderr(), io::stderr().is_terminal(), state, left);
    }

    fn write(&mut self, to: &mut dyn Write, terminal: bool, state: &str, left: Duration) -> io::Result<()> {
        let left = left.as_secs().saturating_add(1);
        if self.last != state {
            self.clear(to)?;
            writeln!(to, "{YELLOW}waiting{YELLOW:#} (at most {left} s more): {state}")?;
            state.clone_into(&mut self.last);
        } else if terminal {
            write!(to, "\r{:WIDTH$}", format!("  still waiting, {left} s left"))?;
            self.open = true;
        }
        to.flush()
    }

    fn clear(&mut self, to: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.open) { write!(to, "\r{:WIDTH$}\r", "") } else { Ok(()) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut to = self.output.stderr();
        let _ = self.clear(&mut to).and_then(|()| to.flush());
    }
}

fn stream<S: anstream::stream::RawStream>(raw: S, color: Color) -> AutoStream<S> {
    match color {
        Color::Auto => AutoStream::auto(raw),
        Color::Always => AutoStream::always(raw),
        Color::Never => AutoStream::never(raw),
    }
}

/// Whether the locale is UTF-8: the first of LC_ALL, LC_CTYPE, LANG that says anything.
fn utf8_locale(env: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env).find(|v| !v.is_empty()).is_some_and(|v| {
        let v = v.to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}

/// `--color` as typed, before clap has read the line: clap's own messages heed it too.
pub(super) fn color_of(argv: &[OsString]) -> clap::ColorChoice {
    let mut args = argv.iter().filter_map(|a| a.to_str());
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--color") {
            Some("") => args.next(),
            Some(rest) => rest.strip_prefix('='),
            None => continue,
        };
        return match value {
            Some("always") => clap::ColorChoice::Always,
            Some("never") => clap::ColorChoice::Never,
            _ => clap::ColorChoice::Auto,
        };
    }
    clap::ColorChoice::Auto
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_says_anything_decides() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        assert!(utf8_locale(env(&[("LANG", "en_US.UTF-8")])));
        assert!(utf8_locale(env(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")])));
        assert!(!utf8_locale(env(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")])));
        assert!(!utf8_locale(env(&[])));
    }

    #[test]
    fn a_wait_tells_each_state_once_and_counts_on_terminals_only() {
        let told = |terminal| {
            let output = Output { format: Format::Table, marks: Marks::ASCII, color: Color::Never };
            let (mut progress, mut text) = (Progress::new(&output), Vec::new());
            for (state, left) in [("a", 9), ("a", 8), ("b", 7), ("b", 6)] {
                progress.write(&mut text, terminal, state, Duration::from_secs(left)).unwrap();
            }
            anstream::adapter::strip_str(&String::from_utf8(text).unwrap()).to_string()
        };
        assert_eq!(told(false), "waiting (at most 10 s more): a\nwaiting (at most 8 s more): b\n");
        assert!(told(true).contains("still waiting, 9 s left"), "{}", told(true));
    }

    #[test]
    fn the_json_form_begins_with_its_schema() {
        #[derive(Serialize)]
        struct Answer {
            hosts: u8,
        }
        impl View for Answer {
            const SCHEMA: &'static str = "certdrift.dev/answer/v1";
            fn human(&self, to: &mut dyn Write, _: bool, _: Marks) -> io::Result<()> {
                writeln!(to, "{} hosts", self.hosts)
            }
            fn names(&self) -> Vec<String> {
                vec!["a".to_owned()]
            }
            fn short(&self) -> Vec<String> {
                Vec::new()
            }
        }
        let shown = |format| {
            let mut text = Vec::new();
            let out = Output { format, marks: Marks::ASCII, color: Color::Never };
            out.write(&Answer { hosts: 1 }, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(shown(Format::Json), "{\n  \"schema\": \"certdrift.dev/answer/v1\",\n  \"hosts\": 1\n}\n");
        assert_eq!(shown(Format::Yaml), "schema: certdrift.dev/answer/v1\nhosts: 1\n");
        assert_eq!(shown(Format::Name), "a\n");
        assert_eq!(shown(Format::Short), "");
        assert_eq!(shown(Format::Wide), "1 hosts\n");
    }
}
