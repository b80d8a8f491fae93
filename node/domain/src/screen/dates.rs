//! Dates and hours: what is a figure of the calendar leads to nobody, unless somebody was born on it.

use std::ops::Range;

use super::tokens::{Token, before, one_of};

/// How the names of months begin, in the languages of the Union and around it, without accents.
#[rustfmt::skip]
const MONTHS: &[&str] = &[
    "jan*", "janv*", "gen", "genn*", "ene", "ener*", "ian", "ianuar*", "stycz*", "led*", "sij*", "siec*", "ocak", "tamm*",
    "feb*", "fev*", "lut*", "unor*", "velj*", "hel*", "subat", "mar", "mars", "march*", "marz*", "marec", "maart", "mart*", "marc*",
    "brez*", "ozu*", "maal*", "apr*", "avr*", "abr*", "kwie*", "dub*", "trav*", "huht*", "nisan", "may*", "mai*", "maj*", "mei",
    "mag", "magg*", "mayo", "svib*", "touk*", "kvet*", "jun*", "juin", "giu*", "giugno", "iun*", "czerw*", "cerv*", "lip*", "kesa*",
    "haz*", "jul*", "juil*", "lug*", "iul*", "srp*", "heina*", "temmuz", "aug*", "aou*", "ago*", "sierp*", "kolov*", "elo*",
    "agust*", "sep*", "set", "sett*", "setem*", "wrzes*", "zari", "ruj*", "syys*", "eyl*", "oct*", "okt*", "ott*", "out", "outu*",
    "pazdz*", "rij*", "list*", "loka*", "ekim", "nov*", "noi*", "stud*", "marras*", "kasim", "dec*", "dez*", "dic*", "grud*",
    "pros*", "joulu*", "aral*", "января", "феврал*", "март*", "апрел*", "мая", "июн*", "июл*", "август*", "сентяб*", "октяб*",
    "нояб*", "декаб*", "ιαν*", "φεβ*", "μαρ*", "απρ*", "μαι*", "ιουν*", "ιουλ*", "αυγ*", "σεπ*", "οκτ*", "νοε*", "δεκ*",
];

/// Somebody was born. Without accents; `*` stands for any end.
#[rustfmt::skip]
const BORN: &[&str] = &[
    "born", "birth*", "dob", "naissance", "naissances", "nee", "nes", "geboren*", "geb", "gebdat", "geburtsdat*", "geburtstag*",
    "geboorte*", "nacid*", "nacimiento", "nascid*", "nasciment*", "nascita", "urodz*", "ur", "nascut*",
    "nasteri*", "narozen*", "rojen*", "roden*", "rodj*", "szulet*", "fodd", "fodt", "fodelse*", "fodsel*",
    "syntyn*", "syntyma*", "sundi*", "dzim*", "gimes", "gimusi", "gimimo", "dogum*", "dogdu", "родил*", "рожден*", "роден*", "народж*", "γεννη*",
];

/// A date or an hour: the tokens of it.
pub(super) struct Calendar {
    pub dates: Vec<Range<usize>>,
    pub hours: Vec<Range<usize>>,
}

impl Calendar {
    pub fn of(tokens: &[Token]) -> Self {
        let (mut dates, mut hours, mut i) = (Vec::new(), Vec::new(), 0);
        while i < tokens.len() {
            let date = date(tokens, i);
            let hour = if date.is_none() { hour(tokens, i) } else { None };
            match (date, hour) {
                (Some(end), _) => dates.push(i..end),
                (None, Some(end)) => hours.push(i..end),
                (None, None) => {}
            }
            i = date.or(hour).unwrap_or(i + 1);
        }
        Self { dates, hours }
    }

    /// The dates on which somebody was born.
    pub fn births(&self, tokens: &[Token]) -> Vec<Range<usize>> {
        let born = |date: &Range<usize>| {
            let star = date.start > 0 && tokens[date.start - 1].is_mark("*") && full(tokens, date);
            star || said_before(tokens, date.start) || said_after(tokens, date.end)
        };
        self.dates
            .iter()
            .filter(|date| full(tokens, date) && born(date))
            .cloned()
            .chain(written_together(tokens))
            .collect()
    }
}

/// Day, month and year are there.
fn full(tokens: &[Token], date: &Range<usize>) -> bool {
    let numbers = tokens[date.clone()].iter().filter(|t| t.is_number()).count();
    numbers == 3 || (numbers == 2 && tokens[date.clone()].iter().any(Token::is_word))
}

fn said_before(tokens: &[Token], at: usize) -> bool {
    let near = &tokens[at.saturating_sub(9)..at];
    // A new sentence in between speaks of something else.
    let fresh = near.iter().rposition(|t| t.is_mark("!?;")).map_or(0, |i| i + 1);
    before(&near[fresh..], near.len() - fresh, 5, BORN) || ne_le(&near[fresh..])
}

/// "né le", "nato il": without an accent `ne` says no more often than it says born, and `nato` is an alliance as well.
fn ne_le(near: &[Token]) -> bool {
    let italian = |t: &Token| one_of(&t.text, &["nato", "nata", "nati", "nate"]);
    near.windows(2).any(|w| w[0].text == "ne" && one_of(&w[1].text, &["le", "en", "au"]))
        || near.windows(2).any(|w| italian(&w[0]) && one_of(&w[1].text, &["il", "a", "in", "nel"]))
        || near.windows(4).any(|w| w[0].text == "ne" && w[1].is_mark("(") && w[2].text == "e" && w[3].is_mark(")"))
}

fn said_after(tokens: &[Token], at: usize) -> bool {
    let near = &tokens[at.min(tokens.len())..tokens.len().min(at + 3)];
    near.iter()
        .take_while(|t| !t.is_mark(".;!?"))
        .any(|t| one_of(&t.text, &["born", "dob", "geboren", "geb", "geburtsdatum"]))
}

/// `19870312` or `12031987` after a word for birth.
fn written_together(tokens: &[Token]) -> impl Iterator<Item = Range<usize>> {
    let fits = |t: &Token| {
        let part = |range: Range<usize>| t.text.get(range).and_then(|p| p.parse::<u64>().ok()).unwrap_or(0);
        let (year, late) = ((1900..2100).contains(&part(0..4)), (1900..2100).contains(&part(4..8)));
        t.is_number()
            && t.text.len() == 8
            && ((year && day_and_month(part(4..6), part(6..8))) || (late && day_and_month(part(0..2), part(2..4))))
    };
    (0..tokens.len()).filter(move |i| fits(&tokens[*i]) && said_before(tokens, *i)).map(|i| i..i + 1)
}

fn day_and_month(one: u64, other: u64) -> bool {
    let fits = |month: u64, day: u64| (1..=12).contains(&month) && (1..=31).contains(&day);
    fits(one, other) || fits(other, one)
}

/// Where the date that begins here ends.
fn date(tokens: &[Token], i: usize) -> Option<usize> {
    named(tokens, i).or_else(|| numeric(tokens, i))
}

/// Whether the figures go on past here, so that what was read is a part of something longer.
fn goes_on(tokens: &[Token], end: usize) -> bool {
    let glued_mark = tokens.get(end).is_some_and(|t| t.glued && t.is_mark("./-:"));
    tokens.get(end).is_some_and(|t| t.is_number() && t.glued)
        || (glued_mark && tokens.get(end + 1).is_some_and(|t| t.is_number() && t.glued))
}

fn comes_from(tokens: &[Token], i: usize) -> bool {
    let mark = i > 0 && tokens[i].glued && tokens[i - 1].is_mark("./-:+");
    mark && (tokens[i - 1].text == "+" || (i > 1 && tokens[i - 1].glued && tokens[i - 2].is_number()))
}

/// `2026-03-01`, `12.03.2026`, `12. 3. 2026`, `3/12/26`, `05.03.`, `19.04`, and `03/2026`.
fn numeric(tokens: &[Token], i: usize) -> Option<usize> {
    let number = |j: usize| tokens.get(j).filter(|t| t.is_number());
    let first = number(i).filter(|_| !comes_from(tokens, i))?;
    let fresh = i.checked_sub(1).and_then(number).is_none();
    let mark = tokens.get(i + 1).filter(|t| t.glued && t.is_mark("./-"))?;
    let second = number(i + 2).filter(|t| t.text.len() <= 2 && (t.glued || mark.text == "."))?;
    let again = tokens.get(i + 3).filter(|t| t.glued && t.text == mark.text);
    let third = again.and_then(|_| number(i + 4)).filter(|t| t.glued || mark.text == ".");
    if let Some(third) = third {
        if first.is_year() && day_and_month(second.value(), third.value()) && third.text.len() <= 2 {
            return Some(i + 5);
        }
        // Figures before or behind, and it is a part of something longer.
        let alone = number(i + 5).is_none() && fresh;
        let short = first.text.len() <= 2 && third.text.len() == 2 && alone && !goes_on(tokens, i + 5);
        if day_and_month(first.value(), second.value()) && (third.is_year() || short) && first.text.len() <= 2 {
            return Some(i + 5);
        }
    }
    let day = first.text.len() <= 2 && second.glued && day_and_month(first.value(), second.value());
    // "05.03., 12.03.": the full stop is part of it.
    (day && fresh && mark.text == "." && again.is_some() && third.is_none()).then_some(i + 4)
}

/// `5 janvier 2026`, `August 9th, 1978`, `2 de marzo de 2026`, `7 January`.
fn named(tokens: &[Token], i: usize) -> Option<usize> {
    let is_month = |t: &Token| t.is_word() && one_of(&t.text, MONTHS);
    let is_day = |t: &Token| t.is_number() && t.text.len() <= 2 && (1..=31).contains(&t.value());
    let filler =
        |t: &Token| t.is_mark(".,'°") || one_of(&t.text, &["de", "of", "st", "nd", "rd", "th", "er", "the", "η", "ος"]);
    let skip = |mut j: usize, most: usize| {
        for _ in 0..most {
            j += usize::from(tokens.get(j).is_some_and(filler));
        }
        j
    };
    let t = tokens.get(i)?;
    let mut end = if is_day(t) {
        let month = skip(i + 1, 2);
        tokens.get(month).filter(|t| is_month(t)).map(|_| month + 1)?
    } else if is_month(t) {
        let day = skip(i + 1, 2);
        tokens.get(day).filter(|t| is_day(t)).map(|_| day + 1)?
    } else {
        return None;
    };
    let year = skip(end, 2);
    if tokens
        .get(year)
        .is_some_and(|t| t.is_year() || (t.is_number() && t.text.len() == 2 && !goes_on(tokens, year + 1)))
    {
        end = year + 1;
    }
    Some(end)
}

/// `08:00`, `17.30 Uhr`, `9h00`, `23:08:55`.
fn hour(tokens: &[Token], i: usize) -> Option<usize> {
    let part = |j: usize, most: u64| {
        tokens.get(j).filter(|t| t.is_number() && t.text.len() <= 2 && t.value() <= most).is_some()
    };
    let glued = |j: usize| tokens.get(j).is_some_and(|t| t.glued);
    let two = |j: usize| tokens.get(j).is_some_and(|t| t.text.len() == 2);
    if !part(i, 24) || (i > 1 && glued(i) && tokens[i - 1].is_mark(":.") && tokens[i - 2].is_number()) {
        return None;
    }
    // "13.30-17.00"
    let dotted =
        |j: usize| part(j, 24) && tokens.get(j + 1).is_some_and(|t| t.is_mark(".")) && part(j + 2, 59) && two(j + 2);
    if dotted(i) && tokens.get(i + 3).is_some_and(|t| t.is_mark("-")) && dotted(i + 4) && !goes_on(tokens, i + 7) {
        return Some(i + 7);
    }
    let mark = tokens.get(i + 1).filter(|t| t.glued && (t.is_mark(":.") || t.text == "h"))?;
    if !(part(i + 2, 59) && glued(i + 2) && two(i + 2)) {
        return None;
    }
    let mut end = i + 3;
    if mark.text == ":"
        && tokens.get(end).is_some_and(|t| t.glued && t.is_mark(":"))
        && part(end + 1, 59)
        && two(end + 1)
    {
        end += 2;
    }
    let clock = mark.text != "." || tokens.get(end).is_some_and(|t| one_of(&t.text, &["uhr", "h", "am", "pm", "hrs"]));
    // Another group behind makes it something else: 06:12:34:56.
    let more = tokens.get(end).is_some_and(|t| t.glued && t.is_mark(":."))
        && tokens.get(end + 1).is_some_and(|t| t.glued && t.is_number());
    (clock && !more).then_some(end)
}
