use super::*;

/// Asked where a referral is made (`exchange/persons/disclosing.rs`), by what the store knows; no pure function is asked for it.
const NOT_PLAYED: [Clause; 1] = [Clause::Silent];

/// As many worlds compared; what they show.
fn all_the_same(first: u64, worlds: u64) -> Compared {
    let compared = compare(first, worlds);
    assert!(compared.fault.is_none(), "{}", compared.fault.unwrap_or_default());
    println!("{} worlds, {} decisions, {} yes", compared.worlds, compared.decisions, compared.yes);
    // Between refusals alone no rule shows.
    assert!(
        compared.left > worlds / 4 && compared.taken > worlds / 8,
        "{} left, {} taken",
        compared.left,
        compared.taken
    );
    compared
}

#[test]
fn the_product_decides_about_persons_as_the_page_does_and_each_clause_of_it_shows() {
    let compared = all_the_same(0, 20_000);
    assert_eq!(compared.unseen, NOT_PLAYED, "clauses that no world reaches");
}

#[test]
#[ignore = "long: a million worlds"]
fn the_product_decides_about_persons_as_the_page_does_in_a_million_worlds() {
    all_the_same(1 << 32, 1_000_000);
}
