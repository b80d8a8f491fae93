//! Check digits of national numbers of persons, each as its country publishes it.

/// Whether figures are a number of a person, by their check digits and the birth date in them.
pub(super) fn is_personal_number(digits: &str) -> bool {
    let d: Vec<u32> = digits.bytes().map(|b| u32::from(b - b'0')).collect();
    if d.iter().all(|n| *n == d[0]) {
        return false;
    }
    match d.len() {
        10 => ten(&d, digits),
        11 => eleven(&d, digits),
        13 => thirteen(&d, digits),
        15 => nir(digits),
        _ => false,
    }
}

fn weighted(d: &[u32], weights: &[u32]) -> u32 {
    d.iter().zip(weights).map(|(a, b)| a * b).sum()
}

fn pair(d: &[u32], at: usize) -> u32 {
    d[at] * 10 + d[at + 1]
}

fn day(n: u32) -> bool {
    (1..=31).contains(&n)
}

fn month(n: u32) -> bool {
    (1..=12).contains(&n)
}

/// BG (EGN), CZ and SK (rodné číslo), AT (Versicherungsnummer), IS (kennitala), SE (personnummer), DK (CPR, without check digits).
fn ten(d: &[u32], digits: &str) -> bool {
    let egn =
        month(pair(d, 2) % 20) && day(pair(d, 4)) && weighted(&d[..9], &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == d[9];
    let born =
        month(pair(d, 2) % 50 % 20) && day(pair(d, 4)) && digits.parse::<u64>().is_ok_and(|n| n.is_multiple_of(11));
    let austrian = day(pair(d, 4)) && month(pair(d, 6)) && d[0] != 0 && {
        let sum = weighted(d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
        sum == d[3]
    };
    let icelandic = day(pair(d, 0)) && month(pair(d, 2)) && matches!(d[9], 0 | 8 | 9) && {
        let rest = weighted(&d[..8], &[3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        (11 - rest) % 11 == d[8]
    };
    let swedish =
        month(pair(d, 2)) && (day(pair(d, 4)) || day(pair(d, 4).wrapping_sub(60))) && super::cards::luhn(digits);
    egn || born || austrian || icelandic || swedish
}

/// PL (PESEL), EE and LT, NO, BE, DE (Steuer-ID) and HR (OIB), GR (AMKA), LV, TR.
fn eleven(d: &[u32], digits: &str) -> bool {
    let pesel =
        month(pair(d, 2) % 20) && day(pair(d, 4)) && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10);
    let baltic = (1..=8).contains(&d[0]) && month(pair(d, 3)) && day(pair(d, 5)) && {
        let first = weighted(&d[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
        let second = weighted(&d[..10], &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
        d[10] == if first < 10 { first } else { second % 10 }
    };
    let norwegian = (day(pair(d, 0)) || day(pair(d, 0).wrapping_sub(40))) && month(pair(d, 2) % 40) && {
        weighted(d, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1, 0]).is_multiple_of(11)
            && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
    };
    let belgian = (month(pair(d, 2) % 20) || pair(d, 2).is_multiple_of(20)) && pair(d, 4) <= 31 && {
        let (number, check) = (digits[..9].parse::<u64>().unwrap_or(0), u64::from(pair(d, 9)));
        97 - number % 97 == check || 97 - (2_000_000_000 + number) % 97 == check
    };
    let greek = day(pair(d, 0)) && month(pair(d, 2)) && super::cards::luhn(digits);
    let turkish = d[0] != 0 && {
        let odd: u32 = d[..9].iter().step_by(2).sum();
        let even: u32 = d[1..8].iter().step_by(2).sum();
        (odd * 7 + 90 - even) % 10 == d[9] && d[..10].iter().sum::<u32>() % 10 == d[10]
    };
    let latvian = day(pair(d, 0)) && month(pair(d, 2)) && d[6] <= 2 && {
        (1101 - weighted(&d[..10], &[1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11 == d[10]
    };
    pesel || baltic || norwegian || belgian || greek || turkish || latvian || iso_7064(d)
}

/// ISO 7064, mod 11,10: the tax number of Germany, the OIB of Croatia.
fn iso_7064(d: &[u32]) -> bool {
    let product = d[..10].iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == d[10]
}

/// RO (CNP), the JMBG of former Yugoslavia, CH (AHV number), MD (IDNP).
fn thirteen(d: &[u32], digits: &str) -> bool {
    let cnp = (1..=9).contains(&d[0]) && month(pair(d, 3)) && day(pair(d, 5)) && {
        let rest = weighted(&d[..12], &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
        d[12] == if rest == 10 { 1 } else { rest }
    };
    let jmbg = day(pair(d, 0)) && month(pair(d, 2)) && (d[4] == 9 || d[4] == 0) && {
        let check = 11 - weighted(&d[..12], &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        d[12] == if check > 9 { 0 } else { check }
    };
    let ean = weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10);
    let moldovan = matches!(d[0], 0 | 2) && {
        weighted(&d[..12], &[7, 3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1]) % 10 == d[12] && digits.starts_with("20")
    };
    cnp || jmbg || (digits.starts_with("756") && ean) || moldovan
}

/// FR: the number of the register of persons, with its key. Corsica's 2A and 2B come as 19 and 18 here.
fn nir(digits: &str) -> bool {
    let (number, key) = (digits[..13].parse::<u64>().unwrap_or(0), digits[13..].parse::<u64>().unwrap_or(0));
    matches!(digits.as_bytes()[0], b'1'..=b'4' | b'7' | b'8') && 97 - number % 97 == key
}

/// The check digit of ICAO 9303 over a field of a machine-readable zone.
pub(super) fn icao(field: &str) -> u32 {
    let value = |b: u8| char::from(b).to_digit(36).unwrap_or(0);
    field.bytes().zip([7, 3, 1].into_iter().cycle()).map(|(b, weight)| value(b) * weight).sum::<u32>() % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Specimens that the countries have published, and textbook examples.
    #[test]
    fn published_specimens_have_their_check_digits() {
        #[rustfmt::skip]
        let specimens = [
            "44051401359", "1800101221144", "7501020018", "255081416802538", "85073003328", "0101006500006", "7569217076985",
            "38001085718", "86095742719", "69435151530", "10000000146",
        ];
        for number in specimens {
            assert!(is_personal_number(number), "{number}");
        }
        assert!(!is_personal_number("00000000000") && !is_personal_number("44051401358"));
        assert_eq!(icao("L898902C3"), 6);
        assert_eq!(icao("740812"), 2);
        assert_eq!(icao("120415"), 9);
    }
}
