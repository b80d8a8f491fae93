//! The holder's side: how much longer it may rely on what it was given.

use std::time::Duration;

use crate::time::Millis;

/// A lease as its holder counts it: on a clock that no setting moves, from when it asked and not from when it was answered, so that
/// the way costs the holder and never the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Monotonic, when the request was sent.
    sent: Duration,
    given: Millis,
}

impl HeldLease {
    /// What was given to a request that was sent then.
    pub const fn new(sent: Duration, given: Millis) -> Self {
        Self { sent, given }
    }

    /// What is left of it; `None`: it counts as gone.
    pub fn left(self, now: Duration) -> Option<Millis> {
        let passed = i64::try_from(now.saturating_sub(self.sent).as_millis()).unwrap_or(i64::MAX);
        let left = self.given - Millis(passed);
        (now >= self.sent && left > Millis(0)).then_some(left)
    }
}
