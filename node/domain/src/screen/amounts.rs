//! Amounts, counts, and numbers of laws and files: long, and of nobody.

use super::runs::{Part, Run};
use super::said::is_said;
use super::tokens::{Token, one_of};

/// What money is called: ISO 4217 codes of the region and of where people come from, and words, without accents.
#[rustfmt::skip]
const MONEY: &[&str] = &[
    "eur", "euro", "euros", "ευρω", "chf", "franken", "fr", "frs", "franc", "francs", "sfr", "gbp", "pound*", "quid", "usd", "dollar*", "cad", "aud",
    "ron", "lei", "leu", "pln", "zl", "zlot*", "zloty*", "huf", "ft", "forint*", "czk", "kc", "korun*", "sek", "nok", "dkk", "isk",
    "kr", "kron*", "bgn", "lv", "leva", "лв*", "rsd", "dinar*", "bam", "mkd", "denar*", "lek", "leke", "leks", "mdl", "uah",
    "hryvn*", "грн", "rub", "rur", "rubl*", "руб*", "tl", "lira*", "gel", "lari", "amd", "azn", "byn", "kzt", "fcfa",
    "cfa", "xof", "xaf", "mad", "dirham*", "dh", "dzd", "tnd", "egp", "ngn", "naira", "ghs", "cedi*", "kes", "etb", "birr",
    "inr", "rs", "rupee*", "roupie*", "rupien", "pkr", "bdt", "taka", "lkr", "npr", "php", "peso*", "vnd", "dong", "thb", "baht",
    "cny", "rmb", "yuan", "jpy", "yen", "brl", "reais", "cop", "ves", "ars", "mxn", "cent", "cents", "centimes", "mio", "mrd", "million*",
    "milliard*", "billion*", "mln", "mld", "thousand", "tausend", "mille", "tys", "mii", "percent", "prozent",
];
/// What an amount, a count or a list of figures is said with.
#[rustfmt::skip]
const AMOUNTS: &[&str] = &[
    "budget*", "haushalt*", "wage*", "salar*", "salair*", "lohn*", "gehalt*", "brutto", "netto", "gross", "net", "rent", "miete",
    "loyer*", "cost*", "kosten", "cout*", "price*", "preis*", "prix", "subvention*", "grant*", "fund*", "debt*", "schuld*", "dette*",
    "fee*", "gebuhr*", "fine*", "amende*", "bussgeld*", "sum", "total", "summe", "somme", "montant", "betrag", "volume", "umsatz",
    "about", "around", "rund", "circa", "ca", "environ", "etwa", "increase*", "rose", "fell", "population*", "einwohner*", "habitants",
];
/// The words that count on after a number are things; these are not.
#[rustfmt::skip]
const NO_THINGS: &[&str] = &[
    "and", "or", "after", "before", "from", "to", "for", "between", "at", "in", "on", "if", "when", "please", "now", "today",
    "tonight", "any", "is", "was", "until", "till", "i", "he", "she", "we", "they", "it", "who", "ask", "und", "oder", "ab", "bis",
    "vor", "nach", "wenn", "bitte", "jetzt", "heute", "ist", "war", "am", "um", "ich", "er", "sie", "wir", "et", "ou", "apres",
    "avant", "si", "est", "le", "la", "les", "je", "il", "elle", "ce", "aujourd", "maintenant", "sau", "si", "i", "lub", "po", "y", "o",
];
/// A number behind one of these is that of a law, a file, a page or a place.
#[rustfmt::skip]
const REFERENCES: &[&str] = &[
    "art", "article*", "artikel*", "abs", "absatz", "nr", "no", "nos", "num", "numero*", "nummer", "az", "aktenzeichen*", "file*",
    "drucksache*", "bundestagsdrucksache*", "dossier*", "case", "cases", "ref", "reference*", "referenz*", "poz", "dz", "circulaire*",
    "isbn", "issn", "iso", "din", "ecli", "celex", "oj", "jo", "abl", "bgbl", "law", "loi", "gesetz*", "decret*", "arrete*",
    "directive*", "richtlinie*", "regulation*", "verordnung*", "reglement*", "resolution*", "deliberation*", "vorgang*", "sprawa",
    "uchwala*", "hotararea", "hg", "oug", "siren", "siret", "insee", "lau", "nuts", "nace", "naf", "isco", "page*", "p", "pp", "para",
    "paras", "row*", "seite*", "s", "chapter*", "kapitel*", "version*", "v", "zip", "plz", "postal", "code*", "line*", "ligne*", "zeile*",
    "section*", "sgb", "ecthr", "application*", "requete*", "beschwerde*", "tender*", "lot", "los", "contract*", "vertrag*", "marche*",
    "invoice*", "rechnung*", "facture*", "licence*", "license*", "permit*", "genehmigung*", "autorisation*", "register*", "registre*",
    "hrb", "hra", "vat", "kvk", "krs", "regon", "nip", "cui", "ico", "item*", "id",
];

pub(super) fn is_money(token: &Token) -> bool {
    token.is_mark("€$£¥₺₴₽₹₦₫฿₱₩¢%‰") || (token.is_word() && one_of(&token.text, MONEY))
}

/// An amount of money, a count of things, a range of either, or a number with decimals.
pub(super) fn is_amount(part: &Part) -> bool {
    let range = part.tokens();
    let (before, after) = (part.tokens[..range.start].iter().next_back(), part.tokens.get(range.end));
    if part.first().starts_with('0') || before.is_some_and(|t| t.is_mark("+")) {
        return false;
    }
    let pieces = pieces(part);
    if !pieces.iter().all(|piece| is_figure(piece)) {
        return false;
    }
    let money = after.is_some_and(is_money) || before.is_some_and(is_money) || {
        // "EUR: 1 500", "1 500.- CHF", "1,500 per month"
        let skipped = |t: Option<&Token>, next: Option<&Token>| {
            t.is_some_and(|t| t.is_mark(".:-,")) && next.is_some_and(is_money)
        };
        skipped(before, range.start.checked_sub(2).and_then(|i| part.tokens.get(i)))
            || skipped(after, part.tokens.get(range.end + 1))
    };
    let per = after
        .is_some_and(|t| one_of(&t.text, &["per", "a", "pro", "par", "im", "monthly", "monatlich", "na", "pe"]))
        && part.tokens.get(range.end + 1).is_some_and(|t| {
            one_of(
                &t.text,
                &[
                    "month*", "hour*", "day*", "week*", "year*", "monat*", "stunde*", "tag*", "woche*", "jahr*",
                    "mois", "heure*", "jour*", "semaine*", "an*", "luna", "miesiac*",
                ],
            )
        });
    money || per || counts(part, &pieces, before, after)
}

/// Groups of three that count things, that are round, or that an amount is spoken of with.
fn counts(part: &Part, pieces: &[Part], before: Option<&Token>, after: Option<&Token>) -> bool {
    if !pieces.iter().all(Part::is_thousands) {
        // "1500-2000": both round, and one after the other.
        let values: Vec<u64> = pieces.iter().map(|p| p.digits().parse().unwrap_or(u64::MAX)).collect();
        return pieces.len() == 2
            && part.groups.len() == 2
            && values[0] < values[1]
            && values.iter().all(|v| v.is_multiple_of(10) && *v < 1_000_000);
    }
    let round = pieces.iter().all(|p| p.digits().ends_with("000"));
    let things = after.is_some_and(|t| t.is_word() && !t.line && !one_of(&t.text, NO_THINGS));
    let spoken = before.is_some_and(|t| one_of(&t.text, AMOUNTS));
    // Numbers for the phone are seldom parted by full stops, commas or apostrophes in threes.
    let parted = matches!(part.gaps[0].mark, '.' | ',' | '\'') && part.shape()[0] < 3 && !is_said(part);
    round || things || spoken || parted
}

/// One figure: in thousands, or together; with decimals or without.
fn is_figure(part: &Part) -> bool {
    let shape = part.shape();
    let decimals = |mark: char| matches!(mark, '.' | ',');
    let whole = |part: &Part| part.groups.len() == 1 && part.first().len() <= 9 || part.is_thousands();
    if whole(part) {
        return true;
    }
    let last = part.gaps.last().is_some_and(|g| decimals(g.mark) && !g.blanks) && shape.last().is_some_and(|n| *n <= 2);
    let n = part.groups.len();
    last && n > 1 && whole(&Part { groups: &part.groups[..n - 1], gaps: &part.gaps[..n - 2], ..*part })
}

/// What stands between dashes and strokes.
fn pieces<'a>(part: &Part<'a>) -> Vec<Part<'a>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for i in 0..=part.gaps.len() {
        if i == part.gaps.len() || matches!(part.gaps[i].mark, '-' | '/') {
            pieces.push(Part { groups: &part.groups[start..=i], gaps: &part.gaps[start..i], ..*part });
            start = i + 1;
        }
    }
    pieces
}

/// A number of a law, a file or a book: a year with a number, or a number with its kind before it.
pub(super) fn is_reference(part: &Part) -> bool {
    let year = |g: usize| part.tokens[part.groups[g]].is_year() && part.tokens[part.groups[g]].value() >= 1900;
    let n = part.groups.len();
    let called = part.tokens[..part.tokens().start].last().is_some_and(|t| t.is_mark("+"));
    if called || part.first().starts_with('0') && n > 2 {
        return false;
    }
    let joined = |gap: usize| matches!(part.gaps[gap].mark, '/' | '-' | '.' | ':' | ' ' | '(');
    let with_year = n == 2 && (year(0) || year(1)) && joined(0)
        || n > 2
            && (year(0) || year(n - 1))
            && part.gaps.iter().any(|g| matches!(g.mark, '/' | '.' | '-'))
            && part.shape() != [3, 3, 4];
    with_year || is_book(part)
}

/// Whether the word before a number says that it is that of a law, a file, a page.
pub(super) fn is_named(part: &Part) -> bool {
    let at = part.tokens().start;
    let mut back = part.tokens[..at].iter().rev().take(4).filter(|t| !t.is_mark(".:°#([\"'"));
    back.next().is_some_and(|t| t.is_mark("§#№") || one_of(&t.text, REFERENCES))
        || at > 0 && part.tokens[at - 1].is_mark("#§")
        || at > 1 && part.tokens[at - 1].is_mark("°")
}

/// ISBN-13 with its check digit.
fn is_book(part: &Part) -> bool {
    let digits = part.digits();
    let sum: u32 =
        digits.bytes().enumerate().map(|(i, b)| u32::from(b - b'0') * if i.is_multiple_of(2) { 1 } else { 3 }).sum();
    digits.len() == 13 && (digits.starts_with("978") || digits.starts_with("979")) && sum.is_multiple_of(10)
}

/// Parts of a run that are amounts, so that what is left can be looked at.
pub(super) fn explain(tokens: &[Token], runs: &[Run], explained: &mut [bool]) {
    for run in runs {
        // The whole first, then what stands between commas and wide gaps.
        let whole = run.part(tokens, 0..run.groups.len());
        let mut start = 0;
        let mut parts = vec![whole];
        for (i, gap) in run.gaps.iter().enumerate() {
            if !gap.usual && (gap.blanks || !matches!(gap.mark, ',' | '\'')) {
                parts.push(run.part(tokens, start..i + 1));
                start = i + 1;
            }
        }
        if start > 0 {
            parts.push(run.part(tokens, start..run.groups.len()));
        }
        for part in parts.iter().filter(|part| is_amount(part) || is_reference(part)) {
            part.groups.iter().for_each(|g| explained[*g] = true);
        }
    }
}
