//! What goes to stdout: a table for people, JSON, lines of JSON or CSV for programs.
//!
//! What lives here: one answer in all its forms (`View`), its cells, how they are laid out on a screen, and what a terminal or
//! a spreadsheet may be shown. What does not: which fields an answer has; each command says that.
//! Invariant: what others wrote is cleaned before it is shown; no line depends on a colour, and none breaks a word or an id.

mod cell;
mod csv;
mod grid;
mod layout;
mod plain;
mod screen;

use clap::ValueEnum;
use serde_json::Value;

pub use cell::Cell;
pub use grid::Grid;
pub use plain::{clean, clean_lines, cut};
pub use screen::{Screen, may_colour};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// The whole answer as one JSON value
    Json,
    /// One JSON value per line
    Jsonl,
    /// Comma-separated, with a header
    Csv,
}

/// One answer in all its forms.
#[derive(Debug)]
pub struct View {
    json: Value,
    /// The fields of `json` whose items are the lines of jsonl.
    items: &'static [&'static str],
    /// What people see, one below the other.
    parts: Vec<Part>,
    /// The rows of CSV.
    csv: Grid,
}

/// A part of what people see.
#[derive(Debug)]
enum Part {
    Grid(Grid),
    /// Names and values.
    Sheet(Vec<(String, Cell)>),
    /// Words of our own; what others wrote in them is clean.
    Text(String),
}

impl View {
    /// A list: a grid for people, the items of these fields for programs.
    pub fn list(json: Value, items: &'static [&'static str], grid: Grid) -> Self {
        Self { json, items, parts: vec![Part::Grid(grid.clone())], csv: grid }
    }

    /// One thing: names and values below each other.
    pub fn sheet(json: Value, pairs: Vec<(&str, Cell)>) -> Self {
        let pairs: Vec<(String, Cell)> = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Self { json, items: &[], csv: Grid::of_pairs(&pairs), parts: vec![Part::Sheet(pairs)] }
    }

    /// One thing in words of its own; the pairs are for CSV.
    pub fn text(json: Value, text: String, pairs: Vec<(&str, Cell)>) -> Self {
        Self { parts: vec![Part::Text(text)], ..Self::sheet(json, pairs) }
    }

    /// One thing in words of its own, and in rows for CSV.
    pub fn report(json: Value, text: String, rows: Grid) -> Self {
        Self { json, items: &[], parts: vec![Part::Text(text)], csv: rows }
    }

    /// And below it for people: more words.
    #[must_use]
    pub fn and_text(mut self, text: String) -> Self {
        self.parts.push(Part::Text(text));
        self
    }

    /// And below it for people: a table.
    #[must_use]
    pub fn and_grid(mut self, grid: Grid) -> Self {
        self.parts.push(Part::Grid(grid));
        self
    }

    /// The text for stdout, ending with a line break unless it is empty.
    pub fn render(&self, format: Format, screen: Screen) -> String {
        match format {
            Format::Table => self.parts.iter().map(|part| part.render(screen)).collect(),
            Format::Json => format!("{:#}\n", self.json),
            Format::Jsonl if self.items.is_empty() => format!("{}\n", self.json),
            Format::Jsonl => {
                let items = self.items.iter().filter_map(|field| self.json.get(field)?.as_array()).flatten();
                items.map(|item| format!("{item}\n")).collect()
            }
            Format::Csv => self.csv.csv(),
        }
    }
}

impl Part {
    fn render(&self, screen: Screen) -> String {
        match self {
            Self::Grid(grid) => grid.table(screen),
            Self::Sheet(pairs) => layout::sheet(pairs, screen),
            Self::Text(text) => layout::prose(text, screen),
        }
    }
}

/// CSV for a spreadsheet that takes UTF-8 for something else without this.
pub fn with_byte_order_mark(text: String) -> String {
    format!("{}{text}", csv::BYTE_ORDER_MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view() -> View {
        let mut grid = Grid::new(&["authority", "seen"]);
        grid.push([Cell::text("fr-strasbourg"), Cell::time(1_700_000_000_000)]);
        grid.push([Cell::text("de-kehl, \"x\""), Cell::time(0)]);
        View::list(json!({ "members": [{ "a": 1 }, { "a": 2 }] }), &["members"], grid)
    }

    #[test]
    fn one_answer_in_four_forms() {
        assert_eq!(
            view().render(Format::Table, Screen::default()),
            "AUTHORITY      SEEN\nfr-strasbourg  2023-11-14 22:13Z\nde-kehl, \"x\"\n"
        );
        assert_eq!(
            view().render(Format::Csv, Screen::default()),
            "authority,seen\nfr-strasbourg,2023-11-14T22:13:20Z\n\"de-kehl, \"\"x\"\"\",\n"
        );
        assert_eq!(view().render(Format::Jsonl, Screen::default()), "{\"a\":1}\n{\"a\":2}\n");
        assert!(view().render(Format::Json, Screen::default()).starts_with("{\n  \"members\": ["));
    }

    #[test]
    fn a_sheet_is_aligned_and_leaves_out_what_is_empty() {
        let sheet = View::sheet(
            json!({}),
            vec![("id", Cell::text("x")), ("signed by", Cell::text("a, b")), ("none", Cell::text(""))],
        );
        assert_eq!(sheet.render(Format::Table, Screen::default()), "id         x\nsigned by  a, b\n");
        assert_eq!(sheet.render(Format::Csv, Screen::default()), "id,signed_by,none\nx,\"a, b\",\n");
    }
}
