//! Rows and columns: aligned without lines for people, exact for programs.

use super::cell::Cell;
use super::screen::Screen;
use super::{csv, layout};

/// A table: printed in columns, or as CSV.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Columns by their names for programs; people see them in capitals.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new() }
    }

    /// One row, of names and values.
    pub(super) fn of_pairs(pairs: &[(String, Cell)]) -> Self {
        let (columns, row) = pairs.iter().cloned().unzip();
        Self { columns, rows: vec![row] }
    }

    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(row.into());
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text.
    pub(super) fn table(&self, screen: Screen) -> String {
        layout::table(&self.columns, &self.rows, screen)
    }

    pub(super) fn csv(&self) -> String {
        csv::text(&self.columns, &self.rows)
    }
}
