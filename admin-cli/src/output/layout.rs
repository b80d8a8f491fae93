//! How a table fits: columns as wide as they need; where the screen is narrower, cells go on below, between their words;
//! and where even the longest words do not stand side by side, the last columns stand beneath their row, by name. No word
//! and no id is ever broken.

use unicode_width::UnicodeWidthStr;

use super::cell::Cell;
use super::plain::clean;
use super::screen::{Screen, Tone};

/// Blanks between two columns.
const GAP: usize = 2;
/// How far in stands what stands beneath.
const INDENT: usize = 4;
/// So many characters of an id are shown at least.
const ID: usize = 8;

/// A cell, ready to be laid out.
struct Laid<'a> {
    text: String,
    cell: &'a Cell,
}

/// The table as text.
pub(super) fn table(columns: &[String], rows: &[Vec<Cell>], screen: Screen) -> String {
    if rows.is_empty() {
        return String::new();
    }
    // A column in which nothing stands says nothing.
    let full: Vec<usize> = (0..columns.len()).filter(|i| rows.iter().any(|row| !row[*i].shown.is_empty())).collect();
    let heads: Vec<String> = full.iter().map(|i| head(&columns[*i])).collect();
    // Where lines are as long as they are, ids are whole: what is looked for in a list, or taken from it, is what others print.
    let short_of = |i: usize| screen.width.map_or(usize::MAX, |_| unique(rows.iter().map(|row| &row[i])));
    let short: Vec<usize> = full.iter().map(|i| short_of(*i)).collect();
    let rows: Vec<Vec<Laid>> = rows.iter().map(|row| laid(row, &full, &short)).collect();
    let needs = |of: fn(&str) -> usize| -> Vec<usize> {
        let widest = |i: usize| rows.iter().map(|row| of(&row[i].text)).max().unwrap_or(0).max(of(&heads[i]));
        (0..full.len()).map(widest).collect()
    };
    let (natural, least) = (needs(UnicodeWidthStr::width), needs(longest_word));
    let beside = screen.width.map_or(full.len(), |width| fitting(&least, width));
    let widths = squeezed(&natural[..beside], &least[..beside], screen.width);

    let mut text = lines(&heads.iter().map(|head| (head.as_str(), None)).collect::<Vec<_>>()[..beside], &widths, false);
    for row in &rows {
        let cells: Vec<_> = row[..beside].iter().map(|laid| (laid.text.as_str(), Some(laid.cell))).collect();
        text.push_str(&lines(&cells, &widths, screen.colour));
        for (laid, head) in row.iter().zip(&heads).skip(beside).filter(|(laid, _)| !laid.text.is_empty()) {
            text.push_str(&beneath(&head.to_lowercase(), laid, screen));
        }
    }
    text
}

/// A row, without the columns that say nothing.
fn laid<'a>(row: &'a [Cell], full: &[usize], short: &[usize]) -> Vec<Laid<'a>> {
    let cells = full.iter().zip(short);
    cells.map(|(i, short)| Laid { text: shown(&row[*i], *short), cell: &row[*i] }).collect()
}

/// Names and values below each other; what is empty is left out.
pub(super) fn sheet(pairs: &[(String, Cell)], screen: Screen) -> String {
    let pairs: Vec<_> = pairs.iter().filter(|(_, cell)| !cell.shown.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let line = |(name, cell): &&(String, Cell)| {
        let laid = Laid { text: clean(&cell.shown), cell };
        hanging(&format!("{name:<width$}{:GAP$}", ""), &laid, screen)
    };
    pairs.iter().map(line).collect()
}

/// Lines of our own words, each of which goes on below what follows its label.
pub(super) fn prose(text: &str, screen: Screen) -> String {
    let Some(width) = screen.width else { return text.to_owned() };
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        if bare.width() <= width {
            out.push_str(line);
            continue;
        }
        let (label, rest) = bare.split_at(label_end(bare));
        let margin = label.width();
        for (i, part) in wrapped(rest, width.saturating_sub(margin)).iter().enumerate() {
            let before = if i == 0 { label.to_owned() } else { " ".repeat(margin) };
            out.push_str(&format!("{before}{part}\n"));
        }
    }
    out
}

/// Where what follows a label begins: behind the first wide gap near the beginning, or behind the indentation.
fn label_end(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    let near = line.char_indices().nth(16).map_or(line.len(), |(at, _)| at);
    match line[indent..near.max(indent)].find("  ") {
        Some(gap) => line.len() - line[indent + gap..].trim_start().len(),
        None => indent,
    }
}

fn head(column: &str) -> String {
    column.trim_end_matches("_ms").to_uppercase().replace('_', " ")
}

fn shown(cell: &Cell, short: usize) -> String {
    if cell.is_id() { clean(&cell.shown).chars().take(short).collect() } else { clean(&cell.shown) }
}

/// How much of the ids of a column tells each from the others.
fn unique<'a>(cells: impl Iterator<Item = &'a Cell>) -> usize {
    let mut ids: Vec<&str> = cells.filter(|cell| cell.is_id()).map(|cell| cell.shown.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let alike = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    let short = ids.windows(2).map(alike).max().map_or(ID, |alike| (alike + 1).max(ID));
    // Nobody reads a hyphen as a part of an id.
    if ids.iter().any(|id| id.as_bytes().get(short - 1) == Some(&b'-')) { short + 1 } else { short }
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0)
}

/// How many columns stand side by side when each is as wide as its longest word.
fn fitting(least: &[usize], width: usize) -> usize {
    let mut used = 0;
    let fits = least.iter().take_while(|word| {
        used += **word + GAP;
        used - GAP <= width
    });
    fits.count().max(1)
}

/// The columns' widths: the widest give way first, none below its longest word.
fn squeezed(natural: &[usize], least: &[usize], width: Option<usize>) -> Vec<usize> {
    let mut widths = natural.to_vec();
    let Some(width) = width else { return widths };
    while widths.iter().sum::<usize>() + GAP * (widths.len() - 1) > width {
        let slack = (0..widths.len()).filter(|i| widths[*i] > least[*i]).max_by_key(|i| widths[*i]);
        match slack {
            Some(i) => widths[i] -= 1,
            None => break,
        }
    }
    widths
}

/// A row in as many lines as its longest cell needs.
fn lines(cells: &[(&str, Option<&Cell>)], widths: &[usize], colour: bool) -> String {
    let parts: Vec<Vec<String>> = cells.iter().zip(widths).map(|((text, _), width)| wrapped(text, *width)).collect();
    let height = parts.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for i in 0..height {
        let mut line = String::new();
        let mut blanks = 0;
        for ((parts, (_, cell)), width) in parts.iter().zip(cells).zip(widths) {
            let part = parts.get(i).map_or("", String::as_str);
            if !part.is_empty() {
                line.push_str(&" ".repeat(std::mem::take(&mut blanks)));
                line.push_str(&painted(part, cell.filter(|_| colour)));
            }
            blanks += width.saturating_sub(part.width()) + GAP;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A cell that has no room beside the others: under its row, with its column's name.
fn beneath(name: &str, laid: &Laid, screen: Screen) -> String {
    hanging(&format!("{:INDENT$}{name}: ", ""), laid, screen)
}

/// A value behind its label; what does not fit in the line goes on below itself.
fn hanging(label: &str, laid: &Laid, screen: Screen) -> String {
    let margin = label.width();
    let room = screen.width.map_or(usize::MAX, |width| width.saturating_sub(margin));
    let mut text = String::new();
    for (i, part) in wrapped(&laid.text, room).iter().enumerate() {
        let before = if i == 0 { label.to_owned() } else { " ".repeat(margin) };
        text.push_str(&format!("{before}{}\n", painted(part, Some(laid.cell).filter(|_| screen.colour))));
    }
    text
}

/// Lines of whole words; a word that is longer than a line has one of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The words of a state in their colours.
fn painted(text: &str, cell: Option<&Cell>) -> String {
    let Some(cell) = cell else { return text.to_owned() };
    let words = text.split(' ').map(|word| match cell.tone(word.trim_matches(['(', ')', ','])) {
        Tone::Plain => word.to_owned(),
        tone => tone.paint(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(width: usize) -> Screen {
        Screen { width: Some(width), colour: false }
    }

    fn alerts() -> (Vec<String>, Vec<Vec<Cell>>) {
        let id = |n: u8| Cell::id(crate::id::show(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, n]));
        let row = |n: u8, origin: &str, summary: &str| {
            vec![id(n), Cell::text(origin), Cell::state("CRITICAL"), Cell::text(summary)]
        };
        let columns = ["alert", "origin", "state", "summary"].map(str::to_owned).to_vec();
        (columns, vec![row(1, "de-kehl", "Küchenarbeit mit Unterkunft"), row(2, "lu-esch-sur-alzette", "кухня")])
    }

    #[test]
    fn cells_go_on_between_their_words() {
        let (columns, rows) = alerts();
        assert_eq!(table(&columns, &rows, at(200)), table(&columns, &rows, Screen::default()));
        let narrow = table(&columns, &rows, at(86));
        let lines: Vec<&str> = narrow.lines().collect();
        let below = format!("{:69}Unterkunft", "");
        assert_eq!(
            lines,
            [
                "ALERT                                 ORIGIN               STATE     SUMMARY",
                "01020304-0506-0708-090a-0b0c0d0e0f01  de-kehl              CRITICAL  Küchenarbeit mit",
                below.as_str(),
                "01020304-0506-0708-090a-0b0c0d0e0f02  lu-esch-sur-alzette  CRITICAL  кухня",
            ]
        );
    }

    #[test]
    fn what_has_no_room_beside_stands_beneath() {
        let (columns, rows) = alerts();
        let narrow = table(&columns, &rows, at(60));
        assert_eq!(
            narrow,
            "ALERT                                 ORIGIN\n\
             01020304-0506-0708-090a-0b0c0d0e0f01  de-kehl\n\
             \x20   state: CRITICAL\n\
             \x20   summary: Küchenarbeit mit Unterkunft\n\
             01020304-0506-0708-090a-0b0c0d0e0f02  lu-esch-sur-alzette\n\
             \x20   state: CRITICAL\n\
             \x20   summary: кухня\n"
        );
    }

    #[test]
    fn an_id_is_as_short_as_it_is_the_only_one() {
        let cells = |ids: &[[u8; 16]]| ids.iter().map(|id| Cell::id(crate::id::show(id))).collect::<Vec<_>>();
        let one = cells(&[[0xab; 16], [0xab; 16]]);
        assert_eq!(unique(one.iter()), ID, "the same id twice is one");
        let (mut a, mut b) = ([7; 16], [7; 16]);
        (a[3], b[3]) = (8, 9);
        assert_eq!(unique(cells(&[a, b]).iter()), ID);
        let (mut a, mut b) = ([7; 16], [7; 16]);
        (a[4], b[4]) = (0x80, 0x90);
        assert_eq!(unique(cells(&[a, b]).iter()), 10, "and it does not end with a hyphen");
    }

    #[test]
    fn a_state_has_its_colour_and_the_columns_stay() {
        let (columns, rows) = alerts();
        let painted = table(&columns, &rows, Screen { width: Some(200), colour: true });
        assert_eq!(painted.matches("\u{1b}[1;31mCRITICAL\u{1b}[0m  ").count(), 2);
        let bare = painted.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
        assert_eq!(bare, table(&columns, &rows, Screen::default()));
    }

    #[test]
    fn our_own_lines_go_on_behind_their_label() {
        let line = "partners    2 connected · 1 unreachable for 12 min (de-goerlitz)\nshort\n";
        assert_eq!(
            prose(line, at(40)),
            "partners    2 connected · 1 unreachable\n            for 12 min (de-goerlitz)\nshort\n"
        );
        assert_eq!(prose(line, Screen::default()), line);
    }
}
