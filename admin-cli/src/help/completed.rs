//! The arguments as a shell completes them: the table of what each takes, against the whole command line.

use clap::{Arg, Command};

use crate::completion::{self, Sort, TAKES, sort};

#[test]
fn the_line_holds_together_with_what_is_completed_in_it() {
    completion::completing(super::command()).debug_assert();
}

fn all(command: &Command, path: &str, found: &mut Vec<(String, Arg)>) {
    found.extend(command.get_arguments().map(|arg| (path.to_owned(), arg.clone())));
    for below in command.get_subcommands() {
        all(below, format!("{path} {}", below.get_name()).trim_start(), found);
    }
}

#[test]
fn each_line_has_its_arguments_and_each_argument_what_it_takes() {
    let mut found = Vec::new();
    all(&super::command(), "", &mut found);
    let sort_of = |of: &str, name: &str| {
        let (_, arg) = found.iter().find(|(path, arg)| path == of && arg.get_id() == name).unwrap();
        sort(of, arg)
    };
    for (path, id, expected) in [
        ("member suspend", "authority", Some(Sort::Member)),
        ("member approve", "authority", Some(Sort::Applicant)),
        ("member approve", "proposal", Some(Sort::Decision)),
        ("alert publish", "to", Some(Sort::Member)),
        ("delivery list", "to", Some(Sort::Member)),
        ("mandate revoke", "holder", Some(Sort::Member)),
        ("agreement sign", "agreement", Some(Sort::Proposed)),
        ("agreement confirm", "agreements", Some(Sort::Agreement)),
        ("offer set", "id", Some(Sort::Offer)),
        ("offer confirm", "offers", Some(Sort::Offer)),
        ("place hold", "offer", Some(Sort::PartnerOffer)),
        ("place extend", "hold", Some(Sort::Hold)),
        ("invite revoke", "invitation", Some(Sort::Invitation)),
        ("invite create", "intended_for", None),
        ("alert show", "record", None),
        ("status", "request_id", None),
    ] {
        assert_eq!(sort_of(path, id), expected, "{path} {id}");
    }
    for (of, name, expected) in TAKES {
        let fits = |path: &str, arg: &Arg| (of.is_empty() || of == &path) && sort(path, arg) == *expected;
        assert!(found.iter().any(|(path, arg)| fits(path, arg)), "{of} {name}: no such argument");
    }
}
