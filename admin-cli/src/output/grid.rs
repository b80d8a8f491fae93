//! Rows and columns: aligned without lines for people, exact for programs.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::clean;
use crate::when;

/// One value: as people read it, and as programs do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    shown: String,
    exact: String,
}

impl Cell {
    /// The same text for people and for programs.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: text.clone(), exact: text }
    }

    /// One text for people, another for programs.
    pub fn both(shown: impl Into<String>, exact: impl Into<String>) -> Self {
        Self { shown: shown.into(), exact: exact.into() }
    }

    pub fn number(n: impl std::fmt::Display) -> Self {
        Self::text(n.to_string())
    }

    /// An instant, Unix ms; 0 is empty.
    pub fn time(ms: i64) -> Self {
        Self::both(when::show(ms), when::exact(ms))
    }

    /// Names, joined by commas for people and by semicolons for programs.
    pub fn list(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let items: Vec<String> = items.into_iter().map(Into::into).collect();
        Self::both(items.join(", "), items.join(";"))
    }

    /// `yes`, or nothing.
    pub fn flag(is: bool, name: &str) -> Self {
        Self::both(if is { name } else { "" }, is.to_string())
    }
}

/// A table: printed in columns, or as CSV.
#[derive(Debug, Default)]
pub struct Grid {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Columns by their names for programs; people see them in capitals.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn with_rows(columns: Vec<String>, rows: Vec<Vec<Cell>>) -> Self {
        Self { columns, rows }
    }

    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(row.into());
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, columns aligned.
    pub fn table(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        // A column in which nothing stands says nothing.
        let full: Vec<usize> =
            (0..self.columns.len()).filter(|i| self.rows.iter().any(|row| !row[*i].shown.is_empty())).collect();
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(full.iter().map(|i| self.columns[*i].to_uppercase().replace('_', " ")));
        for row in &self.rows {
            table.add_row(full.iter().map(|i| clean(&row[*i].shown)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    pub(super) fn csv(&self) -> String {
        let line = |cells: Vec<String>| format!("{}\n", cells.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(","));
        let mut text = line(self.columns.iter().map(|c| c.to_lowercase().replace(' ', "_")).collect());
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| clean(&cell.exact)).collect()));
        }
        text
    }
}

/// RFC 4180; a leading `=`, `+`, `-` or `@` is no formula.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@']) && cell.parse::<f64>().is_err() {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// Names and values below each other; what is empty is left out.
pub(super) fn sheet(pairs: &[(String, Cell)]) -> String {
    let pairs: Vec<_> = pairs.iter().filter(|(_, cell)| !cell.shown.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, cell)| format!("{name:<width$}  {}\n", clean(&cell.shown))).collect()
}
