//! Plates of vehicles: forms that are a plate's alone, and looser ones beside a word for a vehicle.

use std::ops::Range;

use super::amounts::is_money;
use super::fold::Folded;
use super::tokens::{Token, one_of};

/// Forms of plates that stand for nothing else: A a letter, 9 a figure, and the mark between the groups as it is.
const ALONE: &[&str] = &[
    "AA-999-AA",
    "AA 999 AA",
    "9-AAA-999",
    "AA99 AAA",
    "AA-99-AA",
    "99-AA-99",
    "AA-AA-99",
    "A-999-AA",
    "AA-999-A",
    "99-AAA-9",
    "9-AAA-99",
];
/// What a vehicle or its plate is called, without accents.
#[rustfmt::skip]
const VEHICLES: &[&str] = &[
    "plate*", "registration", "car", "cars", "van", "vehicle*", "truck", "lorry", "taxi", "bus", "minibus", "kennzeichen", "nummernschild*", "auto", "pkw", "lkw",
    "wagen", "fahrzeug*", "transporter", "lieferwagen", "kleinbus", "kfz", "plaque*", "immatricul*", "voiture*", "vehicule*", "camion*",
    "fourgon*", "camionnette*", "targa", "targhe", "macchina", "furgone", "veicolo", "matricula*", "coche", "furgoneta", "vehiculo",
    "numar", "inmatricul*", "masina", "duba", "autoutilitara", "rejestracyjn*", "rejestracj*", "samochod*", "busem", "kenteken", "bestelbus", "rendszam*", "spz", "ecv", "registrac*",
    "nummerplade", "reg", "rekisteri*", "πινακιδα*", "αυτοκινητο", "номер*", "автомобил*", "bmw", "audi", "mercedes", "vw", "volkswagen", "opel", "ford", "renault",
    "peugeot", "citroen", "fiat", "skoda", "dacia", "toyota", "sprinter",
];

/// Plates, as tokens.
pub(super) fn plates(text: &[Folded], tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        // It begins with a figure or a capital.
        let begins = tokens[i].is_number() || tokens[i].capitals;
        let end = (i + 1..=tokens.len().min(i + 7)).rev().find(|end| begins && is_plate(text, tokens, i..*end));
        found.extend(end.map(|end| i..end));
        i = end.unwrap_or(i + 1);
    }
    found
}

fn is_plate(text: &[Folded], tokens: &[Token], range: Range<usize>) -> bool {
    let parts = &tokens[range.clone()];
    let (first, last) = (&parts[0], &parts[parts.len() - 1]);
    let edge = |t: &Token| t.is_mark("-.·:/");
    let free = |t: Option<&Token>| t.is_none_or(|t| !t.glued || t.is_mark(".,;:!?)]\"'"));
    let starts = !first.glued || range.start.checked_sub(1).is_some_and(|i| tokens[i].is_mark("(:\"'[,"));
    if edge(first) || edge(last) || !starts || !free(tokens.get(range.end)) {
        return false;
    }
    let at = first.at.start..last.at.end;
    if !(5..=12).contains(&at.len()) {
        return false;
    }
    let word = &text[at.clone()];
    // Capitals, figures, and single blanks or marks between them.
    if !word.iter().all(|f| f.c.is_ascii_digit() || f.c.is_ascii_uppercase() || matches!(f.c, ' ' | '-' | '·' | '.')) {
        return false;
    }
    let form: String = word
        .iter()
        .map(|f| {
            if f.c.is_ascii_digit() {
                '9'
            } else if f.c.is_ascii_uppercase() {
                'A'
            } else {
                f.c
            }
        })
        .collect();
    if parts.iter().any(is_money) {
        return false;
    }
    let letters = form.bytes().filter(|b| *b == b'A').count();
    let figures = form.bytes().filter(|b| *b == b'9').count();
    let german = !one_of(&first.text, &["eu", "un", "iso", "din", "en"])
        && form.split_once('-').is_some_and(|(district, rest)| {
            let (series, number) = rest.split_once(' ').unwrap_or(("", ""));
            (1..=3).contains(&district.len())
                && ["A", "AA"].contains(&series)
                && (2..=4).contains(&number.len())
                && number.bytes().all(|b| b == b'9')
                && district.bytes().all(|b| b == b'A')
        });
    let loose = (1..=5).contains(&letters) && (2..=6).contains(&figures) && (2..=4).contains(&changes(&form));
    ALONE.contains(&form.as_str()) || german || (loose && near_vehicle(tokens, range.start))
}

/// How often letters and figures take turns, and one more.
fn changes(form: &str) -> usize {
    let sorts: Vec<char> = form.chars().filter(|c| matches!(c, 'A' | '9')).collect();
    1 + sorts.windows(2).filter(|w| w[0] != w[1]).count()
}

fn near_vehicle(tokens: &[Token], at: usize) -> bool {
    let near = tokens[..at].iter().rev().take(8).take_while(|t| !t.is_mark(";!?"));
    near.filter(|t| t.is_word()).take(4).any(|t| one_of(&t.text, VEHICLES))
}
