//! Whether each signed checkpoint has its leaf, and each such leaf its checkpoint.
//!
//! A checkpoint stands beside the log, and one that is taken away leaves no gap there. So the log says of each that it was
//! signed, what it covers and what the one before it covers, in the commit that stores it: the leaf of a checkpoint stands behind
//! all that it covers, and before the next checkpoint.

/// Counts checkpoints against their leaves, both in the order in which they cover the log.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// What the last checkpoint covers, and the one before it.
    last: u64,
    before: u64,
    /// Checkpoints since the last leaf of one.
    open: u64,
    /// Whether there was a leaf of one: those that were signed before are not counted.
    begun: bool,
    first_bad: Option<u64>,
}

impl Tally {
    /// The next checkpoint; the leaves that it covers were there before.
    pub fn checkpoint(&mut self, size: u64) {
        (self.before, self.last) = (self.last, size);
        self.open += 1;
    }

    /// The next leaf of a checkpoint: what the one before it covers, and what it covers.
    pub fn leaf(&mut self, (before, covers): (u64, u64)) {
        let one = if self.begun || before == 0 { self.open == 1 } else { self.open > 1 };
        if !(one && self.last == covers && self.before == before) {
            self.bad(covers);
        }
        (self.open, self.begun) = (0, true);
    }

    /// What the first checkpoint covers that is missing, or that has no leaf; `None`: none.
    pub fn finish(mut self) -> Option<u64> {
        if self.begun && self.open > 0 {
            self.bad(self.last);
        }
        self.first_bad
    }

    fn bad(&mut self, size: u64) {
        self.first_bad = self.first_bad.or(Some(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        Signed(u64),
        Leaf(u64, u64),
    }
    use Step::{Leaf, Signed};

    fn judged(steps: &[Step]) -> Option<u64> {
        let mut tally = Tally::default();
        for step in steps {
            match step {
                Signed(size) => tally.checkpoint(*size),
                Leaf(before, covers) => tally.leaf((*before, *covers)),
            }
        }
        tally.finish()
    }

    #[test]
    fn a_checkpoint_that_is_gone_or_was_added_is_missed() {
        let whole = [Signed(3), Leaf(0, 3), Signed(7), Leaf(3, 7), Signed(9), Leaf(7, 9)];
        assert_eq!(judged(&whole), None);
        assert_eq!(judged(&[Leaf(0, 3), Signed(7), Leaf(3, 7)]), Some(3), "the first");
        assert_eq!(judged(&[Signed(3), Leaf(0, 3), Leaf(3, 7), Signed(9), Leaf(7, 9)]), Some(7), "one between");
        assert_eq!(judged(&[Signed(3), Leaf(0, 3), Signed(7), Leaf(3, 7), Leaf(7, 9)]), Some(9), "the last");
        assert_eq!(judged(&[Leaf(0, 3), Leaf(3, 7)]), Some(3), "all of them");
        assert_eq!(judged(&[Signed(3), Leaf(0, 3), Signed(5), Signed(7), Leaf(3, 7)]), Some(7), "one too many");
        assert_eq!(judged(&[Signed(3), Leaf(0, 3), Signed(7)]), Some(7), "one without its leaf");
    }

    #[test]
    fn what_was_signed_before_any_of_them_had_a_leaf_is_not_counted() {
        assert_eq!(judged(&[Signed(3), Signed(5)]), None);
        assert_eq!(judged(&[Signed(3), Signed(5), Signed(8), Leaf(5, 8), Signed(9), Leaf(8, 9)]), None);
        assert_eq!(judged(&[Signed(3), Signed(8), Leaf(5, 8)]), Some(8), "the first leaf names one");
    }
}
