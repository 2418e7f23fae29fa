//! A table of text columns, aligned, without borders; a cell may have a style.
use anstyle::Style;
use std::io::{self, Write};

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style.
    #[must_use]
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|h| Cell::styled(*h, super::output::BOLD)).collect()] }
    }

    /// Adds a row below.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes it; nothing trails the last cell of a row.
    ///
    /// # Errors
    /// `to` cannot be written.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| -> usize {
            self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut gap = 0;
            for (cell, width) in row.iter().zip(&widths) {
                let style = cell.style;
                if cell.text.is_empty() {
                    gap += width + 2;
                    continue;
                }
                write!(to, "{:gap$}{style}{}{style:#}", "", cell.text)?;
                gap = width.saturating_sub(cell.text.chars().count()) + 2;
            }
            writeln!(to)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_nothing_trails() {
        let mut table = Table::new(&["HOST", "SERVED", ""]);
        table.row(["a.example.com".into(), "✓".into(), "".into()]);
        table.row(["b".into(), Cell::styled("✗ old", super::super::output::RED), "why".into()]);
        let mut text = Vec::new();
        table.write(&mut anstream::StripStream::new(&mut text)).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "HOST           SERVED\na.example.com  ✓\nb              ✗ old   why\n"
        );
    }
}
