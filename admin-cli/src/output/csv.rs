//! Comma-separated values (RFC 4180) that a spreadsheet shows as they are: nothing is a formula, a date or a figure that
//! was none, whatever the program's country and separator.

use super::cell::Cell;
use super::plain::clean;

/// What makes a spreadsheet read UTF-8.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The header and the rows.
pub(super) fn text(columns: &[String], rows: &[Vec<Cell>]) -> String {
    let line = |cells: Vec<String>| format!("{}\n", cells.join(","));
    let mut text = line(columns.iter().map(|name| quoted(&name.to_lowercase().replace(' ', "_"))).collect());
    for row in rows {
        text.push_str(&line(row.iter().map(field).collect()));
    }
    text
}

fn field(cell: &Cell) -> String {
    let exact = clean(&cell.exact);
    if cell.is_text() && (is_formula(&exact) || becomes_another(&exact)) {
        return quoted(&format!("'{exact}"));
    }
    quoted(&exact)
}

/// What a spreadsheet computes: ASCII or full-width, also behind blanks.
fn is_formula(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// Bands, codes and phone numbers that would become dates and figures: digits, and nothing but what stands between them.
fn becomes_another(text: &str) -> bool {
    let between = |c: char| c.is_ascii_digit() || " .,:/-'()eE%".contains(c);
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.chars().all(between)
}

/// In quotes wherever some country's separator, a quote or a blank at an end stands in it.
fn quoted(field: &str) -> String {
    let ends = field.starts_with(' ') || field.ends_with(' ');
    if ends || field.contains([',', ';', '"', '\'', '|']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_what_it_is_not() {
        let told = |text: &str| field(&Cell::text(text));
        for formula in ["=1+1", "+33199001234", "-1", "@SUM(A1)", "＝1+1", "＋1", "－1", "＠x", " =1", "\t=1"] {
            assert!(told(formula).starts_with("\"'"), "{formula}: {}", told(formula));
        }
        for other in ["3-5", "1-2", "01001", "0049 7851 4711", "1e5", "12:30", "1/2", "11.12"] {
            assert_eq!(told(other), format!("\"'{other}\""));
        }
        for itself in ["6+", "NUTS:FRF11", "de-kehl", "2 of 3 free", ""] {
            assert_eq!(told(itself), itself);
        }
        assert_eq!(told("x;=1+1"), "\"x;=1+1\"", "one field in every country");
        assert_eq!(told("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(told("می\u{200c}کند"), "می\u{200c}کند");
    }

    #[test]
    fn figures_times_and_ids_stay_bare() {
        assert_eq!(field(&Cell::figure("12 min", -1)), "-1");
        assert_eq!(field(&Cell::time(1_700_000_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(field(&Cell::id("12121212-1212-1212-1212-121212121212")), "12121212-1212-1212-1212-121212121212");
    }
}
