//! Numbers in words: `zero six twelve`, `zéro six douze trente-quatre`, `null eins sieben sechs`.

use std::ops::Range;

use super::Finding;
use super::cards::luhn;
use super::tokens::{Token, one_of};

/// Fewest digits that somebody would say one after the other for nothing but a number.
const FEWEST: usize = 7;
/// How many of them are in words.
const IN_WORDS: usize = 4;

/// The words for 0 to 9 in some languages, without accents.
#[rustfmt::skip]
const DIGITS: [&[&str]; 10] = [
    &["zero", "oh", "nought", "null", "nul", "cero", "noll", "нуль", "ноль", "μηδεν"],
    &["one", "un", "une", "ein", "eins", "uno", "una", "unu", "jeden", "een", "um", "один", "ενα"],
    &["two", "deux", "zwei", "zwo", "dos", "due", "doi", "doua", "dwa", "twee", "dois", "два", "δυο"],
    &["three", "trois", "drei", "tres", "tre", "trei", "trzy", "drie", "три", "τρια"],
    &["four", "quatre", "vier", "cuatro", "quattro", "patru", "cztery", "quatro", "четыре", "τεσσερα"],
    &["five", "cinq", "funf", "fuenf", "cinco", "cinque", "cinci", "piec", "vijf", "пять", "πεντε"],
    &["six", "sechs", "seis", "sei", "sase", "szesc", "zes", "шесть", "εξι"],
    &["seven", "sept", "sieben", "siete", "sette", "sapte", "siedem", "zeven", "sete", "семь", "επτα", "εφτα"],
    &["eight", "huit", "acht", "ocho", "otto", "opt", "osiem", "oito", "восемь", "οκτω", "οχτω"],
    &["nine", "neuf", "neun", "nueve", "nove", "noua", "dziewiec", "negen", "девять", "εννεα", "εννια"],
];
#[rustfmt::skip]
const TEENS: [&[&str]; 10] = [
    &["ten", "dix", "zehn"], &["eleven", "onze", "elf"], &["twelve", "douze", "zwolf"], &["thirteen", "treize", "dreizehn"],
    &["fourteen", "quatorze", "vierzehn"], &["fifteen", "quinze", "funfzehn"], &["sixteen", "seize", "sechzehn"], &["seventeen", "siebzehn"],
    &["eighteen", "achtzehn"], &["nineteen", "neunzehn"],
];
#[rustfmt::skip]
const TENS: [&[&str]; 8] = [
    &["twenty", "vingt", "vingts", "zwanzig"], &["thirty", "trente", "dreissig"], &["forty", "quarante", "vierzig"], &["fifty", "cinquante", "funfzig"],
    &["sixty", "soixante", "sechzig"], &["seventy", "septante", "siebzig"], &["eighty", "huitante", "octante", "achtzig"], &["ninety", "nonante", "neunzig"],
];

/// What a word says within a number.
enum Said {
    Number(u32),
    /// `double five`
    Times(usize),
    /// `vingt et un`
    And,
}

fn place(word: &str, lists: &[&[&str]]) -> Option<u32> {
    lists.iter().position(|words| words.contains(&word)).and_then(|i| u32::try_from(i).ok())
}

fn said(token: &Token) -> Option<Said> {
    let word = token.text.as_str();
    if !token.is_word() {
        return None;
    }
    let known = |word: &str| {
        place(word, &DIGITS).or_else(|| Some(place(word, &TEENS)? + 10)).or_else(|| Some(place(word, &TENS)? * 10 + 20))
    };
    // "vierunddreissig"
    let german = || {
        let (unit, ten) = word.split_once("und")?;
        Some(place(unit, &DIGITS)? + place(ten, &TENS)? * 10 + 20)
    };
    match word {
        "double" | "doppel" => Some(Said::Times(2)),
        "triple" | "treble" => Some(Said::Times(3)),
        "et" | "and" => Some(Said::And),
        _ => known(word).or_else(german).map(Said::Number),
    }
}

/// Digits as they are heard.
#[derive(Default)]
struct Dictated {
    digits: String,
    open: Option<u32>,
    times: usize,
    words: usize,
}

impl Dictated {
    fn close(&mut self) {
        if let Some(number) = self.open.take() {
            let times = std::mem::take(&mut self.times).max(1);
            (0..times).for_each(|_| self.digits.push_str(&number.to_string()));
        }
    }

    fn hear(&mut self, number: u32) {
        self.words += 1;
        let joined = match (self.open, number) {
            // quatre-vingt, soixante-dix, quatre-vingt-douze
            (Some(4), 20) => Some(80),
            (Some(60 | 80), 10..=19) => self.open.map(|open| open + number),
            (Some(70 | 90), 7..=9) => self.open.map(|open| open + number),
            (Some(open), 1..=9) if open >= 20 && open.is_multiple_of(10) => Some(open + number),
            _ => None,
        };
        if joined.is_none() {
            self.close();
        }
        self.open = Some(joined.unwrap_or(number));
    }
}

/// Numbers in words, and of words and figures.
pub(super) fn numbers(tokens: &[Token]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let mut heard = Dictated::default();
        let (mut end, mut last) = (i, i);
        while let Some(token) = tokens.get(end) {
            match said(token) {
                Some(Said::Number(number)) => heard.hear(number),
                Some(Said::Times(times)) => {
                    heard.close();
                    heard.times = times;
                }
                Some(Said::And) if heard.open.is_some_and(|open| open >= 20) => {}
                None if token.is_number() => {
                    heard.close();
                    heard.digits.push_str(&token.text);
                }
                None if end > i && token.is_mark("-.,/") => {}
                _ => break,
            }
            if said(token).is_none_or(|said| matches!(said, Said::Number(_))) && !token.is_mark("-.,/") {
                last = end + 1;
            }
            end += 1;
        }
        heard.close();
        if heard.words >= IN_WORDS && heard.digits.len() >= FEWEST && !counts(&tokens[i..last]) {
            let card = heard.digits.len() > 11 && luhn(&heard.digits);
            found.push((if card { Finding::Card } else { Finding::Phone }, i..last));
        }
        i = end.max(i + 1);
    }
    found
}

/// One, two, three: with commas between all of them it is a list.
fn counts(tokens: &[Token]) -> bool {
    let commas = tokens.iter().filter(|t| t.is_mark(",")).count();
    let words = tokens.iter().filter(|t| t.is_word() && !one_of(&t.text, &["and", "et", "und"])).count();
    let zero = tokens.iter().any(|t| place(&t.text, &DIGITS) == Some(0));
    commas + 2 >= words && !zero
}
