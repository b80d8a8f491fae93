//! The numbers of a stream, at its origin and at its recipient (9.3, 9.10).
//!
//! A number is given once to one item under one pair of incarnations, it is settled in order, and new incarnations begin at 1.
//! Pure: the store keeps the rows and commits them together with what follows from them.

use super::ids::Incarnation;

/// The incarnations of the origin and of the recipient under which a stream is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Under {
    pub origin: Incarnation,
    /// 0: the recipient was not greeted yet.
    pub recipient: Incarnation,
}

/// Where an outgoing stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutNumbers {
    pub under: Under,
    /// The lowest number that nobody has answered.
    pub first_unsettled: u64,
    /// The number of the next item.
    pub next: u64,
}

/// What a settlement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    Done,
    /// It speaks of other incarnations, or of another place: nothing changed.
    Elsewhere,
    /// It speaks of more than was numbered: nothing changed.
    TooMany,
}

impl OutNumbers {
    /// A stream that has nothing yet, of an origin.
    pub const fn new(origin: Incarnation) -> Self {
        Self { under: Under { origin, recipient: Incarnation(0) }, first_unsettled: 1, next: 1 }
    }

    /// Gives the next item its number.
    pub const fn give(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Settles so many numbers from `first` on.
    pub fn settle(&mut self, under: Under, first: u64, count: u64) -> Settlement {
        if self.under != under || self.first_unsettled != first {
            return Settlement::Elsewhere;
        }
        if count > self.next - self.first_unsettled {
            return Settlement::TooMany;
        }
        self.first_unsettled += count;
        Settlement::Done
    }

    /// The number from which what is not settled is numbered again under these incarnations; `None`: it stays as it is. `expected`:
    /// what the recipient asks for, of a stream of which one side has lost its place.
    pub fn again_from(&self, under: Under, expected: Option<u64>) -> Option<u64> {
        match expected {
            Some(expected) => Some(expected.max(1)),
            // The other class may have greeted already: numbers of these very incarnations stay as they are.
            None => (self.under != under).then_some(1),
        }
    }

    /// Whether nobody has seen the numbers of this origin: the recipient was not greeted yet.
    pub fn is_unseen(&self, origin: Incarnation) -> bool {
        self.under == Under { origin, recipient: Incarnation(0) }
    }

    /// The first greeting: numbers that nobody has seen hold. Whether that is so.
    pub fn begin(&mut self, under: Under) -> bool {
        let begins = self.is_unseen(under.origin);
        if begins {
            self.under = under;
        }
        begins
    }

    /// So many items were numbered again, from `first` on.
    pub const fn begin_again(&mut self, under: Under, first: u64, count: u64) {
        *self = Self { under, first_unsettled: first, next: first + count };
    }

    /// Nothing of it is sent any more.
    pub const fn close(&mut self) {
        self.first_unsettled = self.next;
    }
}

/// No partner's word brings the numbers of a stream near their end.
const LAST: u64 = 1 << 62;

/// Whether a stream is to be numbered again from what its recipient expects, after a greeting: one side has lost its place.
/// `asked`: the recipient said before the greeting that something does not fit, otherwise its last receipt tells what it took.
/// `before`, `after`: the stream before and after the greeting, which may have numbered it again already.
pub fn has_lost_its_place(before: &OutNumbers, after: &OutNumbers, asked: bool, expected: u64) -> bool {
    let lost_here = before.under.origin == Incarnation(0);
    let lost = lost_here || (asked && after.under == before.under && expected != after.first_unsettled);
    lost && expected <= LAST
}

/// Where an incoming stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InNumbers {
    pub under: Under,
    /// The number that is expected next.
    pub next: u64,
}

/// The number that a recipient expects next of a stream that is numbered under these incarnations. `known`: where it stood.
pub fn expected(known: Option<&InNumbers>, under: Under) -> u64 {
    known.filter(|known| known.under == under).map_or(1, |known| known.next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNDER: Under = Under { origin: Incarnation(7), recipient: Incarnation(9) };

    fn out(first_unsettled: u64, next: u64) -> OutNumbers {
        OutNumbers { under: UNDER, first_unsettled, next }
    }

    #[test]
    fn numbers_are_given_once_and_settled_in_order() {
        let mut numbers = OutNumbers::new(Incarnation(7));
        assert_eq!((numbers.give(), numbers.give(), numbers.give()), (1, 2, 3));
        numbers.under = UNDER;
        assert_eq!(numbers.settle(UNDER, 2, 1), Settlement::Elsewhere);
        assert_eq!(numbers.settle(Under { origin: Incarnation(6), ..UNDER }, 1, 1), Settlement::Elsewhere);
        assert_eq!(numbers.settle(UNDER, 1, 4), Settlement::TooMany);
        assert_eq!(numbers, out(1, 4), "nothing changed");
        assert_eq!(numbers.settle(UNDER, 1, 2), Settlement::Done);
        assert_eq!(numbers, out(3, 4));
        numbers.close();
        assert_eq!(numbers, out(4, 4));
    }

    #[test]
    fn a_place_is_lost_where_numbers_of_unchanged_incarnations_do_not_fit() {
        let before = out(3, 9);
        let lost = |after, asked, expected| has_lost_its_place(&before, after, asked, expected);
        assert!(lost(&before, true, 1) && !lost(&before, true, 3));
        assert!(!lost(&before, false, 5), "its receipt will tell that it took two");
        let again = OutNumbers { under: Under { recipient: Incarnation(10), ..UNDER }, ..out(1, 7) };
        assert!(!lost(&again, true, 4), "the greeting has numbered it again");
        assert!(!lost(&before, true, u64::MAX), "no partner's word goes that far");
        assert!(has_lost_its_place(&OutNumbers::new(Incarnation(0)), &before, false, 5), "this side's row is gone");
    }

    #[test]
    fn new_incarnations_begin_at_one_and_a_lost_place_where_the_recipient_says() {
        let later = Under { recipient: Incarnation(10), ..UNDER };
        let mut numbers = out(3, 9);
        assert_eq!((numbers.again_from(UNDER, None), numbers.again_from(later, None)), (None, Some(1)));
        assert_eq!((numbers.again_from(UNDER, Some(5)), numbers.again_from(UNDER, Some(0))), (Some(5), Some(1)));
        let mut new = OutNumbers { under: Under { recipient: Incarnation(0), ..UNDER }, ..out(1, 4) };
        assert!(!OutNumbers { ..new }.begin(Under { origin: Incarnation(8), ..UNDER }), "another start of the origin");
        assert!(new.begin(UNDER) && !new.begin(later));
        assert_eq!(new, out(1, 4));
        numbers.begin_again(later, 1, 6);
        assert_eq!(numbers, OutNumbers { under: later, ..out(1, 7) });
        let known = InNumbers { under: UNDER, next: 4 };
        assert_eq!((expected(Some(&known), UNDER), expected(Some(&known), later), expected(None, UNDER)), (4, 1, 1));
    }
}
