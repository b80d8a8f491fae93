//! Addresses in a street: what streets are called in the languages of Europe, with a number of a house beside it.

use std::ops::Range;

use super::tokens::{Sort, Token, one_of};

/// Stands behind the name, after a number before it: `90 Whitchurch Road`.
#[rustfmt::skip]
const BEHIND: &[&str] = &[
    "street", "st", "road", "rd", "avenue", "ave", "lane", "ln", "drive", "boulevard", "blvd", "crescent", "terrace", "close", "gardens",
    "highway", "parkway", "pkwy", "turnpike", "route", "court", "place", "square", "squares", "way", "hill", "row", "walk", "grove", "alley", "mews",
];
/// The same, where what stands before it may be something else: then only with a capital and a name before it.
const WEAK_BEHIND: &[&str] = &[
    "court", "place", "square", "squares", "way", "hill", "row", "walk", "drive", "close", "route", "grove", "alley",
    "gardens",
];
/// Courts and the like that have no address.
#[rustfmt::skip]
const NO_STREETS: &[&str] = &[
    "supreme", "high", "district", "criminal", "labour", "labor", "regional", "federal", "county", "constitutional", "appeal", "appeals",
    "administrative", "european", "first", "second", "third", "silk", "main", "new", "old", "safe", "working", "a", "the", "of", "in", "on", "at", "and",
    "or", "this", "that", "their", "its", "his", "her", "under", "each", "every", "same", "no",
];
/// Stands before the name, with a number behind it or before the whole: `rue Mina 50`, `20 rue Hsine`.
#[rustfmt::skip]
const AHEAD: &[&str] = &[
    "rue", "avenue", "av", "ave", "avda", "avd", "avenida", "boulevard", "bd", "bld", "blvd", "bulevardul", "bulevar", "allee", "chemin", "impasse", "quai",
    "sentier", "via", "viale", "vicolo", "piazza", "piazzale", "piazzetta", "corso", "largo", "rua",
    "travessa", "praca", "alameda", "calle", "c", "paseo", "plaza", "carrer", "carretera", "camino", "str", "strada", "soseaua", "calea", "aleea",
    "ul", "ulica", "ulice", "ulicy", "aleja", "aleje", "osiedle", "plac", "trg", "namesti", "ul", "улица", "ул", "проспект", "οδος", "οδου", "λεωφορος", "λεωφ",
    "πλατεια", "rruga", "ulitsa", "sokak", "cadde", "cadd",
];
/// Words that end like this are streets, with a number behind them: `Ziegelgasse 19`, `Magasinsgatan 7`.
#[rustfmt::skip]
const ENDS: &[&str] = &[
    "strasse", "gasse", "weg", "platz", "allee", "damm", "gatan", "gata", "gade", "vej", "vejen", "vegen", "veien",
    "vagen", "katu", "kuja", "ntie", "straat", "laan", "plein", "dijk", "steenweg", "gracht", "singel",
    "straede", "utca", "vegur", "bakken", "terrasse", "promenade", "chaussee", "steig", "stieg", "str",
];
/// Words that end so and are no streets.
#[rustfmt::skip]
const NO_ENDS: &[&str] = &[
    "arbeitsplatz*", "schlafplatz*", "stellplatz*", "parkplatz*", "sitzplatz*", "spielplatz*", "betreuungsplatz*", "heimplatz*", "platz", "weg", "allee",
    "damm", "brigade*", "rechtsweg", "postweg", "dienstweg", "umweg", "ausweg", "beweg", "unterweg*", "aufenthaltsplatz", "pflegeplatz*",
    "marktplatz*", "schulplatz*", "ausbildungsplatz*", "therapieplatz*", "wohnplatz*", "notplatz*", "schutzplatz*", "frauenhausplatz*", "wohnheimplatz*",
    "str", "steig", "promenade", "terrasse", "laan", "plein", "garantie", "dijk", "chaussee",
    "hinweg", "heimweg", "fluchtweg", "rettungsweg", "transportweg", "verkehrsweg", "vertriebsweg", "lieferweg", "strasse", "gasse", "straat",
];
/// Of Hungary, between the name and the number: `Király u. 15`.
const MIDDLE: &[&str] = &[
    "u",
    "utca",
    "ut",
    "utja",
    "ter",
    "tere",
    "korut",
    "tee",
    "pst",
    "puiestee",
    "maantee",
    "iela",
    "gatve",
    "prospektas",
];
/// Boxes, rooms and flats.
const ROOMS: &[&str] = &[
    "suite",
    "apt",
    "apartment",
    "flat",
    "appartement",
    "unit",
    "psc",
    "postbox",
    "postfach",
    "bp",
    "boite",
    "wohnung",
    "top",
    "scara",
    "apartado",
];

/// Addresses, as tokens.
pub(super) fn streets(tokens: &[Token], explained: &[bool]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let address = number_first(tokens, i, explained)
            .or_else(|| name_first(tokens, i))
            .or_else(|| boxed(tokens, i))
            .or_else(|| corner(tokens, i));
        found.extend(address.map(|end| i..end));
        i = address.unwrap_or(i + 1);
    }
    found
}

fn house(t: &Token) -> bool {
    t.is_number() && t.text.len() <= 4 && t.value() > 0
}

fn name(t: &Token) -> bool {
    t.is_word() && t.capital
}

/// `90 Whitchurch Road`, `20 Rue Hsine Eloued`.
fn number_first(tokens: &[Token], i: usize, explained: &[bool]) -> Option<usize> {
    let number = tokens.get(i).filter(|t| house(t) && !explained[i])?;
    let next = tokens.get(i + 1).filter(|t| t.is_word() && !t.glued || t.is_mark(","))?;
    let next = if next.is_mark(",") { tokens.get(i + 2)? } else { next };
    let first = i + 1 + usize::from(tokens[i + 1].is_mark(","));
    if one_of(&next.text, AHEAD) && next.text.len() > 1 {
        let named = tokens
            .get(first + 1..tokens.len().min(first + 6))?
            .iter()
            .take_while(|t| t.is_word() || t.is_mark(".'"))
            .any(|t| name(t) && t.text.len() > 1);
        return named.then(|| words(tokens, first + 1, 4));
    }
    // Up to three names, and then what it is.
    let kind = (first + 1..tokens.len().min(first + 4)).find(|j| one_of(&tokens[*j].text, BEHIND))?;
    let names = &tokens[first..kind];
    let fits = names.iter().all(|t| (name(t) || t.is_mark(".'-")) && !one_of(&t.text, NO_STREETS)) && name(&names[0]);
    let weak = one_of(&tokens[kind].text, WEAK_BEHIND) && (!tokens[kind].capital || number.is_year());
    (fits && !weak).then_some(kind + 1)
}

/// Past the words of a name.
fn words(tokens: &[Token], from: usize, most: usize) -> usize {
    (from..tokens.len())
        .take(most)
        .take_while(|j| tokens[*j].is_word() || tokens[*j].is_mark(".'-"))
        .last()
        .map_or(from, |j| j + 1)
}

/// `Via Roma 131`, `ul. Miła 53`, `Ziegelgasse 19`, `Strickstr. 61`, `Kálmán Imre u. 12.`
fn name_first(tokens: &[Token], i: usize) -> Option<usize> {
    let t = tokens.get(i).filter(|t| t.is_word())?;
    let stop = |j: usize| tokens.get(j).is_some_and(|t| t.is_mark("."));
    let number = |j: usize| {
        let j = j + usize::from(tokens.get(j).is_some_and(|t| t.is_mark(",")));
        let j = j + usize::from(tokens.get(j).is_some_and(|t| one_of(&t.text, &["nr", "no", "n", "br"])));
        let j = j + usize::from(stop(j));
        tokens.get(j).filter(|t| house(t) && !t.is_year() && !measured(tokens, j)).map(|_| j + 1)
    };
    if one_of(&t.text, AHEAD) && (t.text.len() > 1 || tokens.get(i + 1).is_some_and(|t| t.glued && t.is_mark("/"))) {
        let from = i + 1 + usize::from(tokens.get(i + 1).is_some_and(|t| t.is_mark("./")));
        let named =
            (from..tokens.len().min(from + 6)).take_while(|j| tokens[*j].is_word() || tokens[*j].is_mark(".'-"));
        let ends: Vec<usize> = named.map(|j| j + 1).collect();
        let capital = ends.iter().position(|j| name(&tokens[j - 1])).unwrap_or(usize::MAX);
        return ends.iter().enumerate().skip(capital.min(ends.len())).find_map(|(_, j)| number(*j));
    }
    let ending =
        ENDS.iter().any(|end| t.text.ends_with(end) && t.text.len() > end.len() + 2) && !one_of(&t.text, NO_ENDS);
    let short = t.text.ends_with("str") && stop(i + 1);
    if name(t) && (ending || short) {
        return number(i + 1 + usize::from(stop(i + 1)));
    }
    let middle = tokens.get(i + 1).filter(|_| name(t))?;
    let end = number(i + 2 + usize::from(stop(i + 2)))?;
    // "Kehl u. 15 weitere": and, and no street.
    let ends = tokens.get(end).is_none_or(|t| !t.is_word() || t.capital || t.line);
    (one_of(&middle.text, &["strasse", "gasse", "street"]) || one_of(&middle.text, MIDDLE) && !middle.capital && ends)
        .then_some(end)
}

/// `Schulweg 2 km`
fn measured(tokens: &[Token], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|t| {
        t.is_mark("%€$°")
            || t.glued && t.is_mark("./:") && tokens.get(at + 2).is_some_and(|t| t.glued && t.is_number())
            || one_of(
                &t.text,
                &[
                    "km", "m", "minuten", "min", "stunden", "eur", "euro", "prozent", "mal", "jahre", "tage", "plätze",
                    "platze", "personen", "von", "bis",
                ],
            )
    })
}

/// `P.O. Box 149`, `Postfach 12`, `Apt. 656`, `APO AA 42323`.
fn boxed(tokens: &[Token], i: usize) -> Option<usize> {
    let t = tokens.get(i).filter(|t| t.is_word())?;
    let figure = |j: usize| {
        let j = j + usize::from(tokens.get(j).is_some_and(|t| t.is_mark(".")));
        let j = j + usize::from(tokens.get(j).is_some_and(|t| t.is_mark("#") || one_of(&t.text, &["no", "nr"])));
        tokens.get(j).filter(|t| t.is_number()).map(|_| j + 1)
    };
    let po_box = t.text == "box"
        && i > 1
        && tokens[..i].iter().rev().take(4).any(|t| one_of(&t.text, &["p", "po", "post", "unit", "psc"]));
    let military = one_of(&t.text, &["apo", "fpo", "dpo"])
        && tokens.get(i + 1).is_some_and(|t| one_of(&t.text, &["aa", "ae", "ap"]));
    if military {
        return figure(i + 2);
    }
    let room = one_of(&t.text, ROOMS)
        && (t.capital || tokens.get(i + 1).is_some_and(|t| t.is_mark(".")))
        && (t.text != "top" && t.text != "unit" && t.text != "bp"
            || tokens.get(i + 2).is_some_and(|t| t.text == "box")
            || t.text == "bp" && tokens.get(i + 1).is_some_and(|t| t.sort == Sort::Number && t.text.len() > 1));
    if po_box || room { figure(i + 1) } else { None }
}

/// `the corner of Retreat Avenue and Route 7`
fn corner(tokens: &[Token], i: usize) -> Option<usize> {
    tokens.get(i).filter(|t| one_of(&t.text, &["corner", "ecke", "angle", "coin", "esquina", "angolo"]))?;
    tokens.get(i + 1).filter(|t| one_of(&t.text, &["of", "der", "von", "de", "des", "di"]))?;
    let near = i + 2..tokens.len().min(i + 9);
    let and =
        near.clone().find(|j| one_of(&tokens[*j].text, &["and", "und", "et", "y", "e"]) || tokens[*j].is_mark("/&"))?;
    let (one, other) = (&tokens[i + 2..and], tokens.get(and + 1)?);
    (one.iter().any(name) && name(other)).then(|| words(tokens, and + 1, 3))
}
