//! Numbers of documents and birth dates, made by their published forms with a chance of our own, in the words of a form that is
//! filled in. The check digits are worked out here once more, and not by the screen's own hand.

/// What one form looks like, filled in some dozens of times.
pub struct Form {
    pub name: &'static str,
    /// A sentence, and the part of it that must be found.
    pub sentences: Vec<(String, String)>,
}

/// How often each is filled in.
const TIMES: u64 = 60;

/// Steele's and Vigna's splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap())).collect()
    }

    fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'A' + u8::try_from(self.below(26)).unwrap())).collect()
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    /// Year, month, day.
    fn born(&mut self) -> (u64, u64, u64) {
        (1950 + self.below(55), 1 + self.below(12), 1 + self.below(28))
    }
}

fn filled(name: &'static str, fill: impl Fn(&mut Chance) -> (String, String)) -> Form {
    let mut chance = Chance(name.bytes().fold(58, |seed: u64, b| seed.wrapping_mul(31) + u64::from(b)));
    Form { name, sentences: (0..TIMES).map(|_| fill(&mut chance)).collect() }
}

/// A number behind its name, or alone in a sentence.
fn said(before: &str, number: String) -> (String, String) {
    (format!("{before} {number}."), number)
}

pub fn all() -> Vec<Form> {
    let mut forms = vec![zone(), card_zone(), passport(), birth_numeric(), birth_named()];
    forms.extend([pesel(), cnp(), nir(), belgian(), spanish(), nie(), finnish(), tax_number(), ahv(), egn(), jmbg()]);
    forms
}

fn icao(field: &str) -> char {
    let value = |c: char| if c == '<' { 0 } else { c.to_digit(36).unwrap() };
    let sum: u32 = field.chars().enumerate().map(|(i, c)| value(c) * [7, 3, 1][i % 3]).sum();
    char::from_digit(sum % 10, 10).unwrap()
}

fn yymmdd((year, month, day): (u64, u64, u64)) -> String {
    format!("{:02}{month:02}{day:02}", year % 100)
}

/// ICAO 9303-4: the second line of a passport.
fn zone() -> Form {
    filled("passport, second line", |c| {
        let number = c.letters(1) + &c.digits(8);
        let (born, until) = (yymmdd(c.born()), yymmdd(c.born()));
        let own = c.digits(9) + "<<<<<";
        let upper = format!("{number}{}{born}{}{until}{}{own}{}", icao(&number), icao(&born), icao(&until), icao(&own));
        let line = format!(
            "{number}{}UTO{born}{}F{until}{}{own}{}{}",
            icao(&number),
            icao(&born),
            icao(&until),
            icao(&own),
            icao(&upper)
        );
        said("The copy shows", line)
    })
}

/// ICAO 9303-5: the first line of an identity card.
fn card_zone() -> Form {
    filled("identity card, first line", |c| {
        let number = c.letters(2) + &c.digits(7);
        said("Darauf steht", format!("I<UTO{number}{}<<<<<<<<<<<<<<<", icao(&number)))
    })
}

fn passport() -> Form {
    filled("passport number, said", |c| {
        let before = c.of(&[
            "Passport no.",
            "passport number:",
            "Reisepass Nr.",
            "Passnummer",
            "numéro de passeport",
            "Passeport n°",
            "Pasaporte",
            "passaporto n.",
            "Nr paszportu:",
            "Seria pașaport",
            "Personalausweisnummer",
            "residence permit no.",
            "titre de séjour n°",
            "Führerschein Nr.",
            "permis de conduire n°",
        ]);
        let number = match c.below(4) {
            0 => c.letters(1) + &c.digits(8),
            1 => c.letters(2) + &c.digits(7),
            2 => c.digits(9),
            _ => c.digits(2) + &c.letters(2) + &c.digits(5),
        };
        said(before, number)
    })
}

fn birth_numeric() -> Form {
    filled("birth date, in figures", |c| {
        let before = c.of(&[
            "born",
            "born on",
            "date of birth:",
            "DOB",
            "geboren am",
            "geb.",
            "Geburtsdatum:",
            "né le",
            "née le",
            "date de naissance :",
            "nacida el",
            "nato il",
            "urodzona",
            "data urodzenia:",
            "născută la",
            "data nașterii:",
            "geboortedatum",
            "narozen",
            "*",
        ]);
        let (y, m, d) = c.born();
        let date = match c.below(6) {
            0 => format!("{y}-{m:02}-{d:02}"),
            1 => format!("{d:02}.{m:02}.{y}"),
            2 => format!("{d}.{m}.{y}"),
            3 => format!("{d:02}/{m:02}/{y}"),
            4 => format!("{m}/{d}/{y}"),
            _ => format!("{d:02}-{m:02}-{y}"),
        };
        said(before, date)
    })
}

fn birth_named() -> Form {
    const ENGLISH: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const FRENCH: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    const GERMAN: [&str; 12] = [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ];
    filled("birth date, month in words", |c| {
        let (y, m, d) = c.born();
        let month = usize::try_from(m - 1).unwrap();
        match c.below(4) {
            0 => said("She was born on", format!("{d} {} {y}", ENGLISH[month])),
            1 => said("Date of birth:", format!("{} {d}, {y}", ENGLISH[month])),
            2 => said("née le", format!("{d} {} {y}", FRENCH[month])),
            _ => said("geboren am", format!("{d}. {} {y}", GERMAN[month])),
        }
    })
}

fn weighted(digits: &str, weights: &[u64]) -> u64 {
    digits.bytes().zip(weights).map(|(b, weight)| u64::from(b - b'0') * weight).sum()
}

fn pesel() -> Form {
    filled("PL PESEL", |c| {
        let (y, m, d) = c.born();
        let number = format!("{:02}{:02}{d:02}{}", y % 100, if y < 2000 { m } else { m + 20 }, c.digits(4));
        let check = (10 - weighted(&number, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
        said("Zapisano", format!("{number}{check}"))
    })
}

fn cnp() -> Form {
    filled("RO CNP", |c| {
        let born = c.born();
        let number = format!("{}{}{:02}{}", 1 + c.below(2), yymmdd(born), 1 + c.below(46), c.digits(3));
        let rest = weighted(&number, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
        said("Pe listă apare", format!("{number}{}", if rest == 10 { 1 } else { rest }))
    })
}

fn nir() -> Form {
    filled("FR NIR", |c| {
        let (y, m, _) = c.born();
        let parts = [
            format!("{}", 1 + c.below(2)),
            format!("{:02}", y % 100),
            format!("{m:02}"),
            format!("{:02}", 1 + c.below(19)),
            c.digits(3),
            c.digits(3),
        ];
        let key = 97 - parts.concat().parse::<u64>().unwrap() % 97;
        said("La fiche porte", format!("{} {key:02}", parts.join(" ")))
    })
}

fn belgian() -> Form {
    filled("BE Rijksregister", |c| {
        let (y, m, d) = c.born();
        let serial = c.digits(3);
        let whole: u64 = format!("{:02}{m:02}{d:02}{serial}", y % 100).parse().unwrap();
        let check = 97 - (if y < 2000 { whole } else { whole + 2_000_000_000 }) % 97;
        said("Genoteerd is", format!("{:02}.{m:02}.{d:02}-{serial}.{check:02}", y % 100))
    })
}

fn control(number: u64) -> char {
    char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[usize::try_from(number % 23).unwrap()])
}

fn spanish() -> Form {
    filled("ES DNI", |c| {
        let number = c.digits(8);
        let letter = control(number.parse().unwrap());
        let mark = c.of(&["", "-"]);
        said("Figura", format!("{number}{mark}{letter}"))
    })
}

fn nie() -> Form {
    filled("ES NIE", |c| {
        let (first, number) = (c.below(3), c.digits(7));
        let letter = control(format!("{first}{number}").parse().unwrap());
        said("Figura", format!("{}{number}{letter}", ['X', 'Y', 'Z'][usize::try_from(first).unwrap()]))
    })
}

fn finnish() -> Form {
    filled("FI HETU", |c| {
        let (y, m, d) = c.born();
        let (day, serial) = (format!("{d:02}{m:02}{:02}", y % 100), format!("{:03}", 2 + c.below(898)));
        let check = b"0123456789ABCDEFHJKLMNPRSTUVWXY"[format!("{day}{serial}").parse::<usize>().unwrap() % 31];
        said("Listalla on", format!("{day}{}{serial}{}", if y < 2000 { '-' } else { 'A' }, char::from(check)))
    })
}

fn tax_number() -> Form {
    filled("DE Steuer-ID", |c| {
        let number = format!("{}{}", 1 + c.below(9), c.digits(9));
        let product = number.bytes().fold(10, |product, b| {
            let sum = (product + u64::from(b - b'0')) % 10;
            (if sum == 0 { 10 } else { sum }) * 2 % 11
        });
        said("Vermerkt ist", format!("{number}{}", (11 - product) % 10))
    })
}

fn ahv() -> Form {
    filled("CH AHV", |c| {
        let number = format!("756{}", c.digits(9));
        let check = (10 - weighted(&number, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10) % 10;
        let whole = format!("{number}{check}");
        said("Vermerkt ist", format!("{}.{}.{}.{}", &whole[..3], &whole[3..7], &whole[7..11], &whole[11..]))
    })
}

fn egn() -> Form {
    filled("BG EGN", |c| {
        let (y, m, d) = c.born();
        let number = format!("{:02}{:02}{d:02}{}", y % 100, if y < 2000 { m } else { m + 40 }, c.digits(3));
        let check = weighted(&number, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
        said("В списъка е", format!("{number}{check}"))
    })
}

fn jmbg() -> Form {
    filled("JMBG", |c| {
        let (y, m, d) = c.born();
        let number = format!("{d:02}{m:02}{:03}{}{}", y % 1000, 10 + c.below(80), c.digits(3));
        let rest = 11 - weighted(&number, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        said("Na listi je", format!("{number}{}", if rest > 9 { 0 } else { rest }))
    })
}
