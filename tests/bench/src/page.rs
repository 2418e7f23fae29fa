//! What was measured, as rows; printed on the terminal and as `docs/performance.md`. Pure.
use crate::sample::Samples;
use std::fmt::Write as _;

/// What a row's median is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// Not above this.
    AtMost(f64),
    /// Not below this.
    AtLeast(f64),
}

/// What is measured in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// certdrift.
    Ours,
    /// A program that others use for the same.
    Peer,
    /// The least that the same can cost here: the engine, the host or the protocol alone.
    Floor,
    /// Ours over something else of the same run.
    Ratio,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: String,
    of: Of,
    unit: &'static str,
    samples: Samples,
    target: Option<Target>,
}

impl Row {
    pub(crate) fn new(of: Of, what: impl Into<String>, unit: &'static str, samples: Samples) -> Self {
        Self { what: what.into(), of, unit, samples, target: None }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Whether the median meets the target; absent where there is none.
    pub(crate) fn met(&self) -> Option<bool> {
        let median = self.samples.median();
        self.target.map(|target| match target {
            Target::AtMost(most) => median <= most,
            Target::AtLeast(least) => median >= least,
        })
    }
}

/// What belongs together.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// As `cargo xtask bench NAME` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How it was measured.
    pub(crate) how: String,
    pub(crate) rows: Vec<Row>,
    /// What the rows do not say.
    pub(crate) notes: Vec<String>,
}

impl Of {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
            Self::Floor => "floor",
            Self::Ratio => "ratio",
        }
    }
}

/// Three digits that count, never a power of ten.
pub(crate) fn number(figure: f64) -> String {
    let size = figure.abs();
    if !figure.is_finite() {
        return "-".to_owned();
    }
    if size >= 100.0 || size == 0.0 {
        return grouped(&format!("{figure:.0}"));
    }
    // Below 100: as many decimals as show three digits.
    let decimals = if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    format!("{figure:.decimals$}")
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        let left = digits.len() - position;
        if position > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The cells of a row.
fn cells(row: &Row) -> [String; 8] {
    let samples = &row.samples;
    let (target, verdict) = match (row.target, row.met()) {
        (Some(target), Some(met)) => {
            let (sign, figure) = match target {
                Target::AtMost(figure) => ("≤", figure),
                Target::AtLeast(figure) => ("≥", figure),
            };
            let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
            (format!("{sign} {}{unit}", number(figure)), if met { "met" } else { "**missed**" })
        }
        _ => (String::new(), ""),
    };
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    [
        format!("{}{unit}", row.what),
        row.of.as_str().to_owned(),
        number(samples.least()),
        number(samples.median()),
        number(samples.most()),
        samples.len().to_string(),
        target,
        verdict.to_owned(),
    ]
}

const HEADINGS: [&str; 8] = ["what", "of", "min", "median", "max", "samples", "target", ""];

/// A section for the terminal.
pub(crate) fn text(section: &Section) -> String {
    let rows: Vec<[String; 8]> =
        std::iter::once(HEADINGS.map(str::to_owned)).chain(section.rows.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let mut out = format!("\n{} ({})\n", section.title, section.name);
    for row in &rows {
        out.push(' ');
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let _ = if (2..=5).contains(&column) {
                write!(out, " {pad}{cell}")
            } else {
                write!(out, " {cell}{pad}")
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    for note in &section.notes {
        let _ = writeln!(out, "  {note}");
    }
    out
}

/// A part of the page, written whole by one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// On one machine.
    Alone,
    /// `--kubernetes`
    Cluster,
}

/// The page with this part written anew, and the other as it was. `machine` is the part's own lines: what was measured
/// on, when, and with which versions.
pub(crate) fn markdown(before: &str, part: Part, machine: &[String], sections: &[Section]) -> String {
    let (alone, cluster) = before.split_once(CLUSTER).unwrap_or((before, ""));
    let new = block(machine, sections);
    match part {
        Part::Alone if cluster.is_empty() => format!("{HEAD}{new}"),
        Part::Alone => format!("{HEAD}{new}\n{CLUSTER}{cluster}"),
        Part::Cluster => format!("{}\n\n{CLUSTER}\n{new}", alone.trim_end()),
    }
}

fn block(machine: &[String], sections: &[Section]) -> String {
    let mut out = String::new();
    for line in machine {
        let _ = writeln!(out, "- {line}");
    }
    let of_all = sections.iter().flat_map(|section| &section.rows);
    let (met, missed): (Vec<&Row>, Vec<&Row>) =
        of_all.filter(|row| row.target.is_some()).partition(|row| row.met() == Some(true));
    let _ = writeln!(out, "\nTargets met: {}; missed: {}.", met.len(), missed.len());
    for row in missed {
        let [what, _, _, median, _, _, target, _] = cells(row);
        let _ = writeln!(out, "- missed: {what}: {median}, target {target}");
    }
    for section in sections {
        let _ = writeln!(out, "\n## {}\n{}\n", section.title, section.how);
        let _ = writeln!(out, "| {} |\n|---|---|---:|---:|---:|---:|---|---|", HEADINGS.join(" | "));
        for row in &section.rows {
            let _ = writeln!(out, "| {} |", cells(row).join(" | "));
        }
        if !section.notes.is_empty() {
            out.push('\n');
        }
        for note in &section.notes {
            let _ = writeln!(out, "- {note}");
        }
    }
    out
}

const CLUSTER: &str = "# Performance in a cluster

<!-- From here on written by `cargo xtask bench --kubernetes`, whole, in one run; not by hand. -->
";

const HEAD: &str = "# Performance

<!-- Written by `cargo xtask bench`, whole, in one run; not by hand. -->

What is claimed here are ratios and counts within this one run. Variants are measured interleaved (A B, B A, …), and ratios
are taken pair by pair, so that what the machine did meanwhile stands in both. Absolute times are this machine's and no other's. The
median is held to the target (its figures: design, \"standing targets\"). `ours` is certdrift, a `peer` is what others use for the
same, a `floor` is the least that the same can cost here: the engine, the host or the protocol alone.

";

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let row = Row::new(Of::Ours, "a handshake", "ms", Samples::new([0.31, 0.25, 0.29]));
        Section {
            name: "handshakes",
            title: "Handshakes",
            how: "So.".to_owned(),
            rows: vec![
                row.clone().target(Target::AtMost(0.3)),
                row.target(Target::AtMost(0.28)),
                Row::new(Of::Peer, "theirs", "ms", Samples::new([1234.4])),
            ],
            notes: vec!["Noted.".to_owned()],
        }
    }

    #[test]
    fn the_median_is_held_to_the_target_and_a_missed_one_is_said_first() {
        let page = markdown("", Part::Alone, &["a machine".to_owned()], &[section()]);
        assert!(
            page.contains("| a handshake, ms | ours | 0.250 | 0.290 | 0.310 | 3 | ≤ 0.300 ms | met |"),
            "{page}"
        );
        assert!(page.contains("| theirs, ms | peer | 1,234 | 1,234 | 1,234 | 1 |  |  |"), "{page}");
        assert!(page.contains("Targets met: 1; missed: 1."), "{page}");
        assert!(page.contains("- missed: a handshake, ms: 0.290, target ≤ 0.280 ms"), "{page}");
    }

    #[test]
    fn each_part_is_written_anew_and_leaves_the_other_alone() {
        let write =
            |before: &str, part, machine: &str| markdown(before, part, &[machine.to_owned()], &[section()]);
        let alone = write("", Part::Alone, "first");
        let both = write(&alone, Part::Cluster, "second");
        assert!(both.starts_with(&alone), "{both}");
        let again = write(&write(&both, Part::Alone, "third"), Part::Cluster, "fourth");
        assert_eq!(again, both.replace("first", "third").replace("second", "fourth"));
    }

    #[test]
    fn a_number_shows_three_digits_that_count() {
        let shown =
            [0.0, 0.01234, 0.9876, 1.2345, 12.345, 123.45, 1_234_567.0, -1234.0, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.012", "0.988", "1.23", "12.3", "123", "1,234,567", "-1,234", "-"]);
    }

    #[test]
    fn the_terminal_shows_the_same_cells() {
        let text = text(&section()).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("a handshake, ms ours 0.250 0.290 0.310 3 ≤ 0.300 ms met"), "{text}");
    }

    /// The page that is checked in: every row has its figures, and a target is never without its verdict.
    #[test]
    fn every_row_of_the_page_has_its_figures_and_every_target_its_verdict() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
        let page =
            std::fs::read_to_string(path).expect("docs/performance.md is checked in: cargo xtask bench");
        assert!(page.starts_with(HEAD), "it is written by cargo xtask bench");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| what |"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert!(rows.len() > 20, "{} rows", rows.len());
        for row in rows {
            let [what, of, least, median, most, samples, target, verdict] = row[..] else {
                panic!("not a row: {row:?}")
            };
            assert!(["ours", "peer", "floor", "ratio"].contains(&of), "{what}: {of}");
            for figure in [least, median, most] {
                assert!(figure.replace(',', "").parse::<f64>().is_ok(), "{what}: {figure}");
            }
            assert!(samples.parse::<usize>().is_ok_and(|n| n > 0), "{what}: {samples}");
            assert_eq!(target.is_empty(), verdict.is_empty(), "{what}: {target} {verdict}");
        }
    }
}
