//! Numbers for the phone: as a plan of numbering has them, grouped as it is written, or said to be one.

use std::ops::Range;

use super::amounts::is_named;
use super::plans::Plans;
use super::runs::{Part, Run};
use super::said::is_said;
use super::tokens::{Token, one_of};

/// Fewest digits of a number that is said to be one.
const FEWEST: usize = 7;
/// Most digits (E.164, with what is dialled before it).
const MOST: usize = 17;
/// The numbers for the phone in these runs.
pub(super) fn phones(tokens: &[Token], runs: &[Run]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs {
        look(run, tokens, 0..run.groups.len(), &mut found);
    }
    found.into_iter().map(|range| widened(tokens, range)).collect()
}

/// Whether a number that is called from abroad goes on here, whatever the figures look like: behind a `+` stand fewer than it has, and
/// with these it has enough.
pub(super) fn goes_on(tokens: &[Token], at: usize) -> bool {
    let near = at.saturating_sub(MOST);
    let Some(first) = tokens[near..at].iter().rposition(|t| t.is_mark("+")).map(|plus| near + plus + 1) else {
        return false;
    };
    let of_it = |t: &&Token| t.is_number() || t.is_mark("-./()_");
    let end = first + tokens[first..].iter().take(2 * MOST).take_while(of_it).count();
    let figures = |part: &[Token]| part.iter().filter(|t| t.is_number()).map(|t| t.text.len()).sum::<usize>();
    at <= end && figures(&tokens[first..at]) < 9 && figures(&tokens[first..end]) > 8
}

/// With the `+` or bracket before it, and an extension behind.
fn widened(tokens: &[Token], range: Range<usize>) -> Range<usize> {
    let before = tokens[..range.start].iter().rev().take(2).take_while(|t| t.is_mark("+(")).count();
    let more = |at: usize| {
        tokens.get(at).is_some_and(|t| one_of(&t.text, &["x", "ext", "extension", "dw", "durchwahl", "poste"]))
    };
    let number = |at: usize| tokens.get(at).is_some_and(Token::is_number);
    let behind = range.end + 1 + usize::from(tokens.get(range.end + 1).is_some_and(|t| t.is_mark(".")));
    let end = if more(range.end) && number(behind) { behind + 1 } else { range.end };
    range.start - before..end
}

/// The whole; otherwise what stands between wide gaps; otherwise from where a number clearly begins.
fn look(run: &Run, tokens: &[Token], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let part = run.part(tokens, range.clone());
    if is_phone(&part) {
        found.push(part.tokens());
        return;
    }
    let wide = |i: &usize| !run.gaps[*i].usual;
    let gaps = range.start..range.end - 1;
    if gaps.clone().any(|i| wide(&i)) {
        let mut start = range.start;
        for i in gaps.filter(wide).chain([range.end - 1]) {
            look(run, tokens, start..i + 1, found);
            start = i + 1;
        }
        return;
    }
    begins(run, tokens, range, found);
}

/// Numbers that begin within a part: behind a `+`, with a 0, or in brackets.
fn begins(run: &Run, tokens: &[Token], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut start = range.start;
    while start < range.end {
        let opens =
            Lead::of(tokens, run.groups[start]) != Lead::Nothing || tokens[run.groups[start]].text.starts_with('0');
        let longest = range.end.min(start + 8);
        let end = (start + 1..=longest).rev().find(|end| opens && is_phone(&run.part(tokens, start..*end)));
        if let Some(end) = end {
            found.push(run.part(tokens, start..end).tokens());
        }
        start = end.unwrap_or(start + 1);
    }
}

/// What stands before a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    Nothing,
    Plus,
    Bracket,
}

impl Lead {
    fn of(tokens: &[Token], at: usize) -> Self {
        let mark = |back: usize| at.checked_sub(back).map(|i| &tokens[i]);
        let bracket = mark(1).is_some_and(|t| t.is_mark("(")) && tokens.get(at + 1).is_some_and(|t| t.is_mark(")"));
        match mark(1) {
            Some(t) if t.is_mark("+") => Self::Plus,
            Some(t) if t.is_mark("(") && mark(2).is_some_and(|t| t.is_mark("+")) => Self::Plus,
            _ if bracket => Self::Bracket,
            _ => Self::Nothing,
        }
    }
}

fn is_phone(part: &Part) -> bool {
    let (digits, shape, plans) = (part.digits(), part.shape(), Plans::get());
    if !(FEWEST..=MOST).contains(&digits.len()) || is_decimal(part) {
        return false;
    }
    let lead = Lead::of(part.tokens, part.groups[0]);
    if lead == Lead::Plus && (digits.len() > 8 || plans.is_international(&digits)) {
        return true;
    }
    let abroad =
        ["00", "011"].iter().any(|out| digits.strip_prefix(out).is_some_and(|rest| plans.is_international(rest)));
    let said = is_said(part);
    if said || abroad && digits.len() > 9 {
        return true;
    }
    let named = is_named(part);
    let stroke = part.gaps.iter().any(|g| g.mark == '/');
    if plans.is_dialled(&digits) {
        let apart = shape.len() > 1 && shape.iter().skip(1).all(|n| *n > 1) && digits.len() > 7;
        let together = shape.len() == 1 && digits.len() > 8;
        if (apart || together) && (!named || shape.len() > 2) {
            return true;
        }
    }
    // The same mark all through is a way of writing; blanks behind commas make a list.
    let even = part.gaps.iter().all(|g| g.usual)
        || part.gaps.iter().all(|g| *g == part.gaps[0] && !(g.blanks && g.mark != ' '));
    if named || stroke || !even {
        return false;
    }
    let bracket = lead == Lead::Bracket && shape.len() > 2;
    // "1 084 831" is a count more often than a number of Lebanon, and "DE123456789" is the number of a company.
    let known = shape.len() > 1 && plans.is_grouped(&shape, &digits) && !(shape[0] == 1 && part.is_thousands());
    let first = part.groups[0];
    let glued = part.tokens[first].glued && first > 0 && part.tokens[first - 1].is_word();
    bracket
        || known
        || (shape.len() == 1 && !glued && digits.len() > 8 && plans.is_plain(&digits) && !is_stamp(&digits))
}

/// `0.1234567`
fn is_decimal(part: &Part) -> bool {
    part.groups.len() == 2 && part.first() == "0" && matches!(part.gaps[0].mark, '.' | ',')
}

/// A year, and a month or a running number: 202603150042.
fn is_stamp(digits: &str) -> bool {
    digits.get(..4).and_then(|y| y.parse::<u32>().ok()).is_some_and(|year| (1990..2040).contains(&year))
}
