//! An agreement beside those in force between its parties: what changes with it, in plain sentences.

use super::Agreement;
use super::words::{Said, day};

/// What one agreement changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What no other one says.
    pub new: Vec<String>,
    /// What another one says too, and until when that one does.
    pub other_end: Vec<String>,
    /// What others say and this one does not: it goes on until they end.
    pub not_in_it: Vec<String>,
}

impl Agreement {
    /// What changes when this one stands beside `others`. Of them only what concerns two of its parties counts.
    pub fn difference(&self, others: &[&Self]) -> Difference {
        let between = |other: &&&Self| other.parties.iter().filter(|p| self.is_party(&p.authority)).count() > 1;
        let others: Vec<&Self> = others.iter().filter(between).copied().collect();
        let ours = self.said();
        let theirs: Vec<Said> = others.iter().flat_map(|other| other.said()).filter(|s| self.concerns(s)).collect();
        let mut difference = Difference::default();
        for said in &ours {
            match theirs.iter().filter(|other| other.what == said.what).map(|other| other.until).max() {
                None => difference.new.push(said.to_string()),
                Some(until) if until == said.until => {}
                Some(until) => {
                    let (what, here, there) = (&said.what, day(said.until), day(until));
                    difference.other_end.push(format!("{what}; until {here} instead of {there}"));
                }
            }
        }
        let gone = |other: &&Said| ours.iter().all(|said| said.what != other.what);
        difference.not_in_it = theirs.iter().filter(gone).map(Said::to_string).collect();
        difference.not_in_it.dedup();
        difference
    }

    fn concerns(&self, said: &Said) -> bool {
        said.between.iter().all(|authority| self.is_party(authority))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::records::offer::DisclosureLevel;
    use crate::samples::*;
    use crate::time::Millis;

    #[test]
    fn what_is_new_what_lasts_longer_and_what_is_left_out() {
        let before = Arc::unwrap_or_clone(twinning().agreement);
        assert_eq!(before.difference(&[&before]), Difference::default());
        assert_eq!(before.difference(&[]).new, before.in_words());
        let mut after = before.clone();
        after.grants[0].disclosure_level = Some(DisclosureLevel::Light);
        after.grants[1].valid_until = after.grants[1].valid_until + Millis::days(365);
        let difference = after.difference(&[&before]);
        assert_eq!(difference.new.len(), 1);
        assert!(difference.new[0].starts_with("de-kehl sees the capacity of fr-strasbourg as a light"));
        assert_eq!(difference.other_end.len(), before.grants[1].in_words().len());
        assert!(difference.other_end.iter().all(|said| said.contains(" instead of ")), "{difference:?}");
        assert_eq!(difference.not_in_it.len(), 1);
        assert!(difference.not_in_it[0].contains("as bands"), "{difference:?}");
    }

    #[test]
    fn what_others_agreed_among_themselves_is_no_difference() {
        let ours = twinning().agreement;
        let grants = vec![grant(strasbourg(), esch()), grant(esch(), kehl())];
        let theirs = agreement_of(&[strasbourg(), esch(), kehl()], grants);
        assert_eq!(ours.difference(&[&theirs]).not_in_it, [""; 0]);
        let pair = agreement_of(&[kehl(), esch()], vec![grant(kehl(), esch())]);
        assert_eq!(ours.difference(&[&pair]).not_in_it, [""; 0]);
    }
}
