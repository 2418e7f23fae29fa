//! What came of the checks: outcomes, their counts, the verdict. The JSON form is public contract.
use super::check::{Category, Check};
use crate::cli::Exit;
use crate::cli::output::{BOLD, DIM, GREEN, Marks, RED, View, YELLOW, count};
use crate::finding::Kind;
use anstyle::Style;
use serde::Serialize;
use std::io::{self, Write};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Passed,
    /// Will hurt if left alone.
    Warning,
    /// Hurts, or will for certain.
    Failed,
    /// Could not be looked at; never counts as passed.
    Unknown,
}

/// What a check has to say of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub state: State,
    /// `CD-541`, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// On which object; empty where it is the cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// What was seen, or what is wrong; of what could not be looked at, why not.
    pub what: String,
    /// Why that is so, or what comes of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do, for this very installation; lines.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mend: String,
}

impl Outcome {
    /// All is well, and this was seen.
    #[must_use]
    pub fn passed(what: impl Into<String>) -> Self {
        Self {
            state: State::Passed,
            code: None,
            object: String::new(),
            what: what.into(),
            why: String::new(),
            mend: String::new(),
        }
    }

    /// It could not be looked at.
    #[must_use]
    pub fn unknown(object: impl Into<String>, because: impl AsRef<str>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Unknown,
            object: object.into(),
            mend: mend.into(),
            ..Self::passed(format!("could not look, because {}", because.as_ref()))
        }
    }

    /// Something is wrong that hurts.
    #[must_use]
    pub fn failed(
        kind: &Kind,
        object: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Failed,
            code: Some(kind.code),
            object: object.into(),
            mend: mend.into(),
            ..Self::passed(what)
        }
    }

    /// Something is wrong that will hurt.
    #[must_use]
    pub fn warning(
        kind: &Kind,
        object: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { state: State::Warning, ..Self::failed(kind, object, what, mend) }
    }

    /// Why that is so.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }
}

/// One outcome, and of which check.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The check.
    pub check: &'static str,
    /// What it is about.
    pub category: Category,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// All that the doctor has to say.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `passed`, `failed`, or `unknown`.
    pub verdict: State,
    /// How many passed.
    pub passed: usize,
    /// How many warn.
    pub warnings: usize,
    /// How many failed.
    pub failed: usize,
    /// How many could not be looked at.
    pub unknown: usize,
    /// In order.
    pub checks: Vec<Line>,
}

impl Report {
    /// Of these checks, each judged.
    #[must_use]
    pub fn of(judged: Vec<(&Check, Vec<Outcome>)>) -> Self {
        let lines = |(check, outcomes): (&Check, Vec<Outcome>)| {
            let (name, category) = (check.name, check.category);
            outcomes.into_iter().map(move |outcome| Line { check: name, category, outcome })
        };
        let checks: Vec<Line> = judged.into_iter().flat_map(lines).collect();
        let so_many = |state| checks.iter().filter(|line| line.outcome.state == state).count();
        let (failed, unknown) = (so_many(State::Failed), so_many(State::Unknown));
        let verdict = match (failed, unknown, checks.len()) {
            (0, 0, 1..) => State::Passed,
            // Nothing looked at is nothing known.
            (0, ..) => State::Unknown,
            _ => State::Failed,
        };
        Self {
            verdict,
            passed: so_many(State::Passed),
            warnings: so_many(State::Warning),
            failed,
            unknown,
            checks,
        }
    }

    /// For the shell.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self.verdict {
            State::Passed | State::Warning => Exit::Good,
            State::Failed => Exit::Drift,
            State::Unknown => Exit::Unknown,
        }
    }

    /// `12 passed, 1 warning, 1 failed`
    #[must_use]
    pub fn sum(&self) -> String {
        let mut sum = format!(
            "{} passed, {}, {} failed",
            self.passed,
            count(self.warnings, "warning", "warnings"),
            self.failed
        );
        if self.unknown > 0 {
            sum.push_str(&format!(", {} could not be looked at", self.unknown));
        }
        sum
    }
}

/// As `linkerd check` has them; `?` for what could not be looked at.
const fn mark(state: State, marks: Marks) -> (&'static str, Style) {
    let unicode = marks.is_unicode();
    match state {
        State::Passed => (if unicode { "√" } else { "+" }, GREEN),
        State::Warning => ("!", YELLOW),
        State::Failed => (if unicode { "×" } else { "x" }, RED),
        State::Unknown => ("?", YELLOW),
    }
}

fn written(to: &mut dyn Write, line: &Line, marks: Marks) -> io::Result<()> {
    let Line { check, outcome, .. } = line;
    let (mark, style) = mark(outcome.state, marks);
    let code = outcome.code.map(|code| format!("{code} ")).unwrap_or_default();
    let object = if outcome.object.is_empty() { String::new() } else { format!("{}: ", outcome.object) };
    writeln!(to, "{style}{mark}{style:#} {check}: {code}{object}{}", outcome.what)?;
    if !outcome.why.is_empty() {
        writeln!(to, "    why: {}", outcome.why)?;
    }
    let mut mend = outcome.mend.lines();
    if let Some(first) = mend.next() {
        writeln!(to, "    do:  {first}")?;
    }
    mend.try_for_each(|line| writeln!(to, "         {line}"))
}

impl View for Report {
    const SCHEMA: &'static str = "certdrift.dev/doctor/v1";

    fn human(&self, to: &mut dyn Write, _wide: bool, marks: Marks) -> io::Result<()> {
        for category in Category::ALL {
            let mut lines = self.checks.iter().filter(|line| line.category == category).peekable();
            if lines.peek().is_some() {
                writeln!(to, "{BOLD}{}{BOLD:#}", category.name())?;
                lines.try_for_each(|line| written(to, line, marks))?;
                writeln!(to)?;
            }
        }
        let style = match self.verdict {
            State::Passed if self.warnings == 0 => GREEN,
            State::Failed => RED,
            _ => YELLOW,
        };
        writeln!(to, "{style}{}{style:#}", self.sum())?;
        if self.checks.iter().any(|line| line.outcome.code.is_some()) {
            writeln!(to, "{DIM}a code is explained by: certdrift explain CD-…{DIM:#}")?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.checks.iter().map(|line| line.check.to_owned()).collect();
        names.dedup();
        names
    }

    fn short(&self) -> Vec<String> {
        let bad = |line: &&Line| matches!(line.outcome.state, State::Failed | State::Unknown);
        let line = |line: &Line| {
            let Outcome { code, object, what, .. } = &line.outcome;
            let code = code.map(|code| format!("{code} ")).unwrap_or_default();
            let object = if object.is_empty() { String::new() } else { format!("{object}: ") };
            format!("{}: {code}{object}{what}", line.check)
        };
        self.checks.iter().filter(bad).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CHECKS;
    use super::super::findings::{CLOCK, NOT_READY};
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        Report::of(vec![(&CHECKS[0], outcomes)])
    }

    fn bad() -> Outcome {
        Outcome::failed(&NOT_READY, "deployment own/certdrift", "1 of 2 are ready", "kubectl a\nkubectl b")
    }

    #[test]
    fn a_failure_wins_over_what_could_not_be_looked_at_and_that_over_warnings() {
        let unknown = Outcome::unknown("", "nobody answers", "");
        let warning = Outcome::warning(&CLOCK, "", "7 s", "");
        let good = Outcome::passed("v1.37.2");
        assert_eq!(report(vec![good.clone(), warning.clone()]).exit(), Exit::Good);
        assert_eq!(report(vec![good.clone(), warning.clone(), unknown.clone()]).exit(), Exit::Unknown);
        assert_eq!(report(vec![good, warning, unknown, bad()]).exit(), Exit::Drift);
        assert_eq!(report(Vec::new()).exit(), Exit::Unknown, "nothing was looked at");
    }

    #[test]
    fn each_line_begins_with_its_mark_and_ends_with_its_mend() {
        let text = |marks| {
            let mut text = Vec::new();
            let report = report(vec![Outcome::passed("v1.37.2"), bad().because("it waits")]);
            report.human(&mut anstream::StripStream::new(&mut text), false, marks).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            text(Marks::UNICODE),
            "cluster\n√ api-server: v1.37.2\n× api-server: CD-549 deployment own/certdrift: 1 of 2 are ready\n    why: it waits\n    do:  kubectl a\n         kubectl b\n\n1 passed, 0 warnings, 1 failed\na code is explained by: certdrift explain CD-…\n"
        );
        assert!(text(Marks::ASCII).contains("+ api-server") && text(Marks::ASCII).contains("x api-server"));
    }

    #[test]
    fn short_is_what_failed_and_what_could_not_be_looked_at() {
        let report = report(vec![
            Outcome::passed("good"),
            Outcome::warning(&CLOCK, "", "7 s", ""),
            Outcome::unknown("pod a", "it is away", ""),
            bad(),
        ]);
        assert_eq!(
            report.short(),
            [
                "api-server: pod a: could not look, because it is away",
                "api-server: CD-549 deployment own/certdrift: 1 of 2 are ready"
            ]
        );
        assert_eq!(report.sum(), "1 passed, 1 warning, 1 failed, 1 could not be looked at");
    }
}
