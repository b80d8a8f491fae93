//! Of the screen as a whole: what is found, what passes, and that no text makes it slow.

use super::*;
use proptest::prelude::*;

fn kinds(text: &str) -> Vec<Finding> {
    screen(text).into_iter().map(|s| s.kind).collect()
}

#[test]
fn what_leads_to_somebody_is_found() {
    for (text, kind) in [
        ("Rufen Sie an: +49 7851 88-1234", Finding::Phone),
        ("appelez le 03 88 00 00 00 le soir", Finding::Phone),
        ("06.12.34.56.78", Finding::Phone),
        ("call (0044) 20 7946 0958", Finding::Phone),
        ("٠٦١٢٣٤٥٦٧٨", Finding::Phone),
        ("０６１２３４５６７８", Finding::Phone),
        ("0\u{200b}6\u{200b}12345678", Finding::Phone),
        ("Tel0612345678", Finding::Phone),
        ("write to anna@city.example now", Finding::Email),
        ("anna [at] city [dot] example", Finding::Email),
        ("anna @ city.example", Finding::Email),
        ("see https://ads.example/1234", Finding::Url),
        ("see hxxps[:]//ads[.]example/1", Finding::Url),
        ("see www.ads.example", Finding::Url),
        ("see ads-here.com.", Finding::Url),
        ("t.me/joinus", Finding::Url),
        ("server 192.0.2.44 answers", Finding::Url),
        ("insta: @some_name", Finding::Handle),
        ("pay to DE89 3704 0044 0532 0130 00 today", Finding::Iban),
        ("fr1420041010050500013m02606", Finding::Iban),
    ] {
        assert_eq!(kinds(text), vec![kind], "{text}");
    }
}

#[test]
fn what_belongs_in_a_summary_passes() {
    for text in [
        "Three adverts that look alike, from 2026-03-01 to 2026-03-15.",
        "Seit dem 12.03.2026 wurden 14 Anzeigen gesehen, 2024/2025 waren es 9.",
        "Le loyer demandé est de 1 200 000 EUR pour 2024, soit 3,5 % de plus.",
        "Resolution 196:12.q and 510:3.e; ilo11:4; NACE I56; EU27 countries in 2026",
        "67000 Strasbourg, NUTS FRF11, LAU FR_67482",
        "He or she may call the desk. It answers day and night, e.g. in Romanian.",
        "15 places/night, and/or 3 rooms (see annex 4)",
        "In 2024 100 adverts were counted.",
    ] {
        assert_eq!(screen(text), vec![], "{text}");
    }
}

#[test]
fn a_date_ends_no_number_that_is_called_from_abroad() {
    for text in ["+10 1800.1.10", "+49 170 12.03.2024", "+1.1.1800.10.55"] {
        assert_eq!(kinds(text), vec![Finding::Phone], "{text}");
    }
    for text in ["+3 until 12.03.2024", "+10 °C, 12.03.2024", "C + 12.03.2024"] {
        assert_eq!(screen(text), vec![], "{text}");
    }
}

#[test]
fn an_account_number_needs_its_check_digits() {
    assert_eq!(kinds("LU28 0019 4006 4475 0000"), vec![Finding::Iban]);
    assert_ne!(kinds("LU29 0019 4006 4475 0000"), vec![Finding::Iban]);
}

/// Were anything quadratic in it, this would not end in the time of a test run.
#[test]
fn long_texts_of_any_shape_are_screened_in_linear_time() {
    for unit in ["a@", "1 ", "a.", "DE89 ", "://", "@", "(at)", "0", "x.y/", "[", "@ "] {
        screen(&unit.repeat((1 << 14) / unit.len()));
    }
}

proptest! {
    #[test]
    fn spans_lie_in_the_text_in_order_without_overlap(text in "\\PC{0,200}") {
        let length = text.chars().count();
        let mut last = 0;
        for span in screen(&text) {
            prop_assert!(span.start >= last && span.start < span.end && span.end <= length);
            last = span.end;
        }
    }

    #[test]
    fn a_phone_number_is_found_however_it_is_written(
        digits in "[1-9][0-9]{8,12}", gaps in proptest::collection::vec("[ ./-]?", 14), before in "[a-z ]{0,20}", after in "[a-z ]{0,20}",
    ) {
        let spaced: String = digits.chars().zip(&gaps).flat_map(|(d, g)| [d.to_string(), g.clone()]).collect();
        let text = format!("{before} +{spaced} {after}");
        prop_assert!(!screen(&text).is_empty(), "{}", text);
    }

    #[test]
    fn words_alone_pass(text in "[a-zäöüß]{1,12}( [a-zäöüß]{1,12}){0,20}") {
        prop_assert_eq!(screen(&text), vec![]);
    }
}

#[test]
fn every_class_is_found_in_its_form() {
    for (text, kind) in [
        ("Karte 4111 1111 1111 1111 gesperrt", Finding::Card),
        ("Karte 4111,1111,1111,1111 gesperrt", Finding::Card),
        ("seen at 48.5734, 7.7521", Finding::Coordinates),
        ("48°34'24\"N", Finding::Coordinates),
        ("a van, plate KA-AB 1234", Finding::Plate),
        ("immatriculée AB-123-CD", Finding::Plate),
        ("in der Ziegelgasse 19", Finding::Street),
        ("20 rue Hsine Eloued", Finding::Street),
        ("P.O. Box 149", Finding::Street),
        ("née le 12 mars 1987", Finding::BirthDate),
        ("DOB 03/12/1987", Finding::BirthDate),
        ("Reisepass Nr. C01X00T47", Finding::Document),
        ("12345678Z", Finding::Document),
        ("zéro six douze trente-quatre cinquante-six soixante-dix-huit", Finding::Phone),
        ("null eins sieben sechs drei vier fünf sechs sieben acht", Finding::Phone),
        ("❶❷❸ call ⓿❻❶❷❸❹❺❻❼❽", Finding::Phone),
        ("call O6 l2 34 56 78", Finding::Phone),
        ("anna at ads dot com", Finding::Email),
        ("https : // ads . example", Finding::Url),
    ] {
        assert_eq!(kinds(text), vec![kind], "{text}");
    }
}

#[test]
fn what_figures_are_otherwise_passes() {
    for text in [
        "The desk was closed.It opens again at 8.30 am.",
        "Lohn 1500-2000 EUR, eur 1 500,50 or 2'000 Franken a month",
        "Decree no. 2005-1011, file 32-4-0815/2026, page 1234567",
        "The figure rose to 12.345.678 people, of them 1 234 567 women",
        "nie mniej niż 14 dni, NATO 12.03.2026, Sunday 01.02.2026",
        "Arbeitsplatz 12, Schulweg 2 km, Kehl u. 15 weitere",
        "Wages of 2500 GBP, 120000 CHF and CHF 120 000",
        "ECLI:EU:C:2021:1034, open 13.30-17.00, version 10.4.11.2",
        "Köln 1 084 831, Bonn 336 465; USt-IdNr. DE123456789",
    ] {
        assert_eq!(screen(text), vec![], "{text}");
    }
}

#[test]
fn words_that_blame_are_pointed_at_and_pass() {
    let text = "Zwei Prostituierte und ein Bettler, illegal migrants, des clandestins";
    assert_eq!(screen(text), vec![]);
    let words: Vec<String> =
        blames(text).iter().map(|b| text.chars().skip(b.start).take(b.end - b.start).collect()).collect();
    assert_eq!(words, ["Prostituierte", "Bettler", "illegal migrants", "clandestins"]);
    assert_eq!(blames("People without papers, and who begs"), vec![]);
}
