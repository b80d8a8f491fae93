//! What it takes to be fresh again after a long silence (9.4).
//!
//! Beats of a majority say how new a view is. Whoever heard none for more than a day may have missed that keys of stewards were
//! withdrawn, and whoever has these keys can beat with them for one that is asked alone. So members are asked which head they have: two
//! of them have to have the one that is confirmed here; where there is but one other member, it.

use std::collections::BTreeMap;

use crate::domain::directory::Position;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::limits;
use crate::domain::time::{Millis, UnixMs};

/// Members that have to agree.
pub const AGREEING: usize = 2;

/// How old what is on disk may be.
const STORED: Millis = Millis::minutes(5);

/// The newest change that a member has, and its head.
pub type Tip = (Position, Digest);

/// When a majority was heard last, and after a long silence what members have.
#[derive(Debug, Default)]
pub struct Sources {
    heard: Option<UnixMs>,
    /// What is on disk of that.
    stored: Option<UnixMs>,
    /// `None`: there was no silence that is not over.
    asked: Option<BTreeMap<AuthorityId, Tip>>,
}

impl Sources {
    /// After a start: when a majority was heard before it.
    pub fn since(heard: Option<UnixMs>) -> Self {
        Self { heard, stored: heard, asked: None }
    }

    /// When a majority was heard, if it is time to write that down: what is on disk may make a silence longer, never shorter.
    pub fn unstored(&mut self) -> Option<UnixMs> {
        let heard = self.heard?;
        let due = self.stored.is_none_or(|stored| heard.since(stored).0.abs() >= STORED.0);
        self.stored = if due { Some(heard) } else { self.stored };
        due.then_some(heard)
    }

    /// Whether members are asked.
    pub fn are_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// A member says what it has; whether that is of use.
    pub fn tell(&mut self, member: &AuthorityId, tip: Tip) -> bool {
        let Some(asked) = &mut self.asked else { return false };
        asked.insert(member.clone(), tip);
        true
    }

    /// A majority is heard, with beats that are this old at most. `others`: the members that there are beside this one. How many have
    /// still to agree before it counts.
    pub fn missing(&mut self, beat: UnixMs, others: &[&AuthorityId], agrees: impl Fn(&Tip) -> bool) -> usize {
        if self.heard.is_some_and(|heard| beat.since(heard) > limits::LONG_SILENCE) {
            self.asked.get_or_insert_default();
        }
        if let Some(asked) = &self.asked {
            let agree = others.iter().filter_map(|other| asked.get(*other)).filter(|tip| agrees(tip)).count();
            let missing = AGREEING.min(others.len()).saturating_sub(agree);
            if missing > 0 {
                return missing;
            }
            self.asked = None;
        }
        self.heard = Some(beat);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{ESCH, GENT, KEHL, id};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn at(number: u64, head: u8) -> Tip {
        (Position { founding: 0, number }, Digest([head; 32]))
    }

    #[test]
    fn after_more_than_a_day_two_members_have_to_have_the_same_head() {
        let (kehl, esch, gent) = (id(KEHL), id(ESCH), id(GENT));
        let others = [&kehl, &esch];
        let same = |tip: &Tip| *tip == at(7, 7);
        let mut sources = Sources::default();
        assert_eq!(sources.missing(NOW, &others, same), 0, "who never heard a majority has been silent to nobody");
        assert!(!sources.tell(&kehl, at(7, 7)), "nobody is asked");
        let day = NOW + Millis::hours(24);
        assert_eq!(sources.missing(day, &others, same), 0, "a day, and no more");
        let later = day + Millis::hours(24) + Millis(1);
        assert_eq!(sources.missing(later, &others, same), 2);
        assert!(sources.tell(&kehl, at(7, 7)) && sources.tell(&kehl, at(7, 7)));
        assert_eq!(sources.missing(later, &others, same), 1, "one member, twice");
        assert!(sources.tell(&esch, at(7, 8)) && sources.tell(&gent, at(7, 7)));
        assert_eq!(sources.missing(later + Millis(1), &others, same), 1, "another head, and who is no member");
        assert!(sources.tell(&esch, at(7, 7)));
        assert_eq!(sources.missing(later + Millis(2), &others, same), 0);
        assert!(!sources.are_asked());
        assert_eq!(sources.missing(later + Millis::hours(24), &others, same), 0);
    }

    #[test]
    fn where_there_are_fewer_others_all_of_them_have_to() {
        let (kehl, later) = (id(KEHL), NOW + Millis::days(3));
        let mut sources = Sources::since(Some(NOW));
        assert_eq!(sources.missing(later, &[&kehl], |_| true), 1);
        sources.tell(&kehl, at(1, 1));
        assert_eq!(sources.missing(later, &[&kehl], |_| true), 0);
        assert_eq!(Sources::since(Some(NOW)).missing(later, &[], |_| true), 0, "nobody else is there");
    }

    #[test]
    fn what_is_on_disk_is_a_majority_that_was_believed() {
        let kehl = id(KEHL);
        let mut sources = Sources::default();
        assert_eq!(sources.unstored(), None);
        sources.missing(NOW, &[&kehl], |_| true);
        assert_eq!((sources.unstored(), sources.unstored()), (Some(NOW), None));
        sources.missing(NOW + Millis::minutes(4), &[&kehl], |_| true);
        assert_eq!(sources.unstored(), None, "not each beat");
        assert_eq!(sources.missing(NOW + Millis::days(2), &[&kehl], |_| true), 1);
        assert_eq!(sources.unstored(), None, "a restart would end the silence");
    }
}
