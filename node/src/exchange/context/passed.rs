//! What a pass came to, whichever part does its work.

use crate::domain::reason::Reason;

/// What a pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub done: u64,
    /// Items that could not be done, and are looked at again later.
    pub postponed: u64,
    /// Why, of the last of them.
    pub reason: Option<Reason>,
    /// There is more to do at once.
    pub more: bool,
}

impl Passed {
    /// So many done, nothing else.
    pub(in crate::exchange) fn done(done: usize) -> Self {
        Self { done: done as u64, ..Self::default() }
    }

    pub(in crate::exchange) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.postponed += other.postponed;
        self.reason = other.reason.or(self.reason);
        self.more |= other.more;
    }

    pub(in crate::exchange) fn postpone(&mut self, reason: Reason) {
        self.postponed += 1;
        self.reason = Some(reason);
    }
}
