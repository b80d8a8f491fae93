//! What goes to stdout: a table for people, JSON, lines of JSON or CSV for programs.

mod grid;

use clap::ValueEnum;
use serde_json::Value;

pub use grid::{Cell, Grid};

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
    body: Body,
}

#[derive(Debug)]
enum Body {
    Grid(Grid),
    /// Free text for people; programs get the JSON, CSV the pairs.
    Text(String, Vec<(String, Cell)>),
}

impl View {
    /// A list: a grid for people, the items of these fields for programs.
    pub fn list(json: Value, items: &'static [&'static str], grid: Grid) -> Self {
        Self { json, items, body: Body::Grid(grid) }
    }

    /// One thing: names and values below each other.
    pub fn sheet(json: Value, pairs: Vec<(&str, Cell)>) -> Self {
        let pairs: Vec<(String, Cell)> = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Self { json, items: &[], body: Body::Text(grid::sheet(&pairs), pairs) }
    }

    /// One thing in words of its own; the pairs are for CSV.
    pub fn text(json: Value, text: String, pairs: Vec<(&str, Cell)>) -> Self {
        let pairs = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Self { json, items: &[], body: Body::Text(text, pairs) }
    }

    /// The text for stdout, ending with a line break unless it is empty.
    pub fn render(&self, format: Format) -> String {
        match (format, &self.body) {
            (Format::Table, Body::Grid(grid)) => grid.table(),
            (Format::Table, Body::Text(text, _)) => text.clone(),
            (Format::Json, _) => format!("{:#}\n", self.json),
            (Format::Jsonl, _) if self.items.is_empty() => format!("{}\n", self.json),
            (Format::Jsonl, _) => {
                let items = self.items.iter().filter_map(|field| self.json.get(field)?.as_array()).flatten();
                items.map(|item| format!("{item}\n")).collect()
            }
            (Format::Csv, Body::Grid(grid)) => grid.csv(),
            (Format::Csv, Body::Text(_, pairs)) => {
                let (names, cells): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
                Grid::with_rows(names, vec![cells]).csv()
            }
        }
    }
}

/// Text that others wrote, made harmless for a terminal: no control characters, no change of direction.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' | '\r' => ' ',
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// As `clean`, but keeps line breaks that are ours.
pub fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// At most this many characters; the rest is said to be missing.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
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
            view().render(Format::Table),
            "AUTHORITY      SEEN\nfr-strasbourg  2023-11-14 22:13Z\nde-kehl, \"x\"\n"
        );
        assert_eq!(
            view().render(Format::Csv),
            "authority,seen\nfr-strasbourg,2023-11-14T22:13:20Z\n\"de-kehl, \"\"x\"\"\",\n"
        );
        assert_eq!(view().render(Format::Jsonl), "{\"a\":1}\n{\"a\":2}\n");
        assert!(view().render(Format::Json).starts_with("{\n  \"members\": ["));
    }

    #[test]
    fn a_sheet_is_aligned_and_leaves_out_what_is_empty() {
        let sheet = View::sheet(
            json!({}),
            vec![("id", Cell::text("x")), ("signed by", Cell::text("a, b")), ("none", Cell::text(""))],
        );
        assert_eq!(sheet.render(Format::Table), "id         x\nsigned by  a, b\n");
        assert_eq!(sheet.render(Format::Csv), "id,signed_by,none\nx,\"a, b\",\n");
    }

    #[test]
    fn text_of_others_cannot_play_with_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{9b}d"), "a\u{fffd}[31mb c\u{fffd}d");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
