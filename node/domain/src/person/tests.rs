//! Known answers, and what two partners who lay their pseudonyms side by side can tell.

use super::*;
use crate::ids::{AuthorityId, Digest};
use crate::reason::Reason;
use crate::time::{Millis, UnixMs};

fn partner(id: &str) -> AuthorityId {
    AuthorityId::parse(id).unwrap()
}

fn epoch(number: u64) -> Epoch {
    Epoch { number, began: UnixMs(0) }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Made with Python's `hmac`, from the rule and not from this code.
#[test]
fn known_answers() {
    let counting = CaseKey::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
    let other = CaseKey::new([0xa5; 32]);
    for (key, name, number, expected) in [
        (&counting, "de-kehl", 1, "ce14a80cbb0293fcf40a957dc56f902f"),
        (&counting, "de-kehl", 2, "0a525c1c0fc2639e12c9a844c7eb52cf"),
        (&counting, "fr-strasbourg", 1, "a4b5a70f758839d6e4a37897b29144eb"),
        (&counting, "lu-esch-sur-alzette", 2, "4fbd36ad5051f8773da30a6f67b17459"),
        (&other, "de-kehl", 1, "27d7e0abda6f7618220d88eca2b0a12a"),
        (&other, "lu-esch-sur-alzette", 1, "c8a6e4d13cf545028c6ac01a020474b9"),
    ] {
        assert_eq!(hex(key.subject(&partner(name), epoch(number)).as_bytes()), expected, "{name} {number}");
    }
    let index = IndexKey::new([7; 32]).index(&CaseReference::parse("case", "SB-2026/0417").unwrap());
    assert_eq!(hex(index.as_bytes()), "16634b6217ac08bb68825b38fe596690fe04705af54708d0f5ffdb308fb4f7ca");
}

#[test]
fn a_reference_has_one_form_and_passes_the_screen() {
    for good in ["SB-2026/0417", "CASE-7", "K00001", "A/1-B/2"] {
        assert!(CaseReference::parse("case", good).is_ok(), "{good}");
    }
    let long = "A1".repeat(17);
    for bad in ["", "A1-2/", "case-17", "CASE 17", "MARIA-ROSA", "FALL_17", "ÄKTE-17", "CASE-17\n", long.as_str()] {
        let fault = CaseReference::parse("case", bad).err().unwrap();
        assert_eq!((fault.reason, fault.field.as_str()), (Reason::FieldInvalid, "case"), "{bad:?}");
        assert!(bad.is_empty() || !fault.detail.contains(bad), "a refusal repeats what it refuses");
    }
    for phone in ["0033155501234", "03-88-00-00-00"] {
        let fault = CaseReference::parse("case", phone).err().unwrap();
        assert_eq!(fault.reason, Reason::PersonalDataInText, "{phone}");
        assert!(!fault.detail.contains(phone));
    }
}

#[test]
fn an_epoch_lasts_a_year_from_its_first_use() {
    let (start, year) = (UnixMs(1_700_000_000_000), Millis::days(365));
    let first = Epoch::at(None, start);
    assert_eq!(first, Epoch { number: 1, began: start });
    assert_eq!(Epoch::at(Some(first), start + year - Millis(1)), first);
    // A clock that was set back gives nobody a second pseudonym.
    assert_eq!(Epoch::at(Some(first), start - year), first);
    assert_eq!(Epoch::at(Some(first), start + year), Epoch { number: 2, began: start + year });
}

#[test]
fn nothing_of_it_is_printed() {
    let subject = CaseKey::new([1; 32]).subject(&partner("de-kehl"), epoch(1));
    assert_eq!(format!("{subject:?}"), "SubjectRef(withheld)");
    let index = IndexKey::new([1; 32]).index(&CaseReference::parse("case", "CASE-17").unwrap());
    assert_eq!(format!("{index:?}"), "CaseIndex(withheld)");
}

const CASES: u32 = 100_000;

/// What each of two partners holds of the same cases, case by case.
fn held(subject: impl Fn(u32, &AuthorityId) -> SubjectRef) -> Vec<([u8; 16], [u8; 16])> {
    let (kehl, esch) = (partner("de-kehl"), partner("lu-esch-sur-alzette"));
    (0..CASES).map(|case| (*subject(case, &kehl).as_bytes(), *subject(case, &esch).as_bytes())).collect()
}

fn case_key(case: u32) -> CaseKey {
    CaseKey::new(Digest::of(&case.to_be_bytes()).0)
}

/// How much better than guessing the two do when they say of a pair whether it is one case: of each statistic of two
/// pseudonyms the better direction and threshold is learned on the first half of the cases, and scored on the second.
fn advantage(held: &[([u8; 16], [u8; 16])]) -> f64 {
    let pairs: Vec<_> = (0..held.len())
        .map(|i| {
            let same = Digest::of(&i.to_le_bytes()).0[0] & 1 == 0;
            let other = if same { i } else { (i + 1) % held.len() };
            (same, held[i].0, held[other].1)
        })
        .collect();
    let (learned, scored) = pairs.split_at(pairs.len() / 2);
    let right = |pairs: &[(bool, [u8; 16], [u8; 16])], rule: &dyn Fn(&[u8; 16], &[u8; 16]) -> bool| {
        pairs.iter().filter(|(same, a, b)| rule(a, b) == *same).count() as f64 / pairs.len() as f64
    };
    let mut best: (f64, Rule) = (0.0, Box::new(|_, _| true));
    for rule in rules() {
        let share = right(learned, &rule);
        if share > best.0 {
            best = (share, rule);
        } else if 1.0 - share > best.0 {
            best = (1.0 - share, Box::new(move |a, b| !rule(a, b)));
        }
    }
    2.0 * (right(scored, &best.1) - 0.5).abs()
}

type Rule = Box<dyn Fn(&[u8; 16], &[u8; 16]) -> bool>;

/// Bits that agree, bytes that agree, sums, order, and how many bits differ.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![Box::new(|a, b| a == b), Box::new(|a, b| a < b)];
    for bit in 0..128 {
        rules.push(Box::new(move |a, b| (a[bit / 8] ^ b[bit / 8]) >> (bit % 8) & 1 == 0));
    }
    for byte in 0..16 {
        rules.push(Box::new(move |a, b| a[byte] == b[byte]));
        rules.push(Box::new(move |a, b| a[byte].wrapping_add(b[byte]) < 128));
    }
    for most in 54..74 {
        rules.push(Box::new(move |a, b| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() <= most));
    }
    rules
}

#[test]
fn two_partners_that_collude_guess_no_better_over_a_hundred_thousand_cases() {
    let pairs = held(|case, partner| case_key(case).subject(partner, epoch(1)));
    let advantage = advantage(&pairs);
    assert!(advantage <= 0.01, "{advantage}");
    // No value of the one is a value of the other, nor comes twice.
    let mut all: Vec<[u8; 16]> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2 * CASES as usize);
}

#[test]
fn with_one_name_for_all_partners_they_link_every_case() {
    let everybody = partner("de-kehl");
    let advantage = advantage(&held(|case, _| case_key(case).subject(&everybody, epoch(1))));
    assert!(advantage >= 0.99, "the test cannot see what it looks for: {advantage}");
}

#[test]
fn scopes_have_nothing_in_common() {
    // Each scope has a key of its own; the pseudonyms of one partner are as far apart as those of two.
    let kehl = partner("de-kehl");
    let support = |case: u32| *case_key(case).subject(&kehl, epoch(1)).as_bytes();
    let liaison = |case: u32| *case_key(case + CASES).subject(&kehl, epoch(1)).as_bytes();
    let pairs: Vec<_> = (0..CASES).map(|case| (support(case), liaison(case))).collect();
    assert!(advantage(&pairs) <= 0.01);
}
