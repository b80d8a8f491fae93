//! How long what is owed rests when it could not be done (the rows themselves are the store's).

use super::reason::{Reason, RoadEffect};
use super::time::Millis;

/// Until a row that could not be done is looked at again: doubled each time, up to the longest.
pub const FIRST_PAUSE: Millis = Millis::seconds(30);
pub const LONGEST_PAUSE: Millis = Millis::minutes(15);

/// What passes with the register is looked at again soon, each time; what does not, ever later.
pub fn pause(attempts: u32, reason: Reason) -> Millis {
    match reason.road() {
        RoadEffect::Held | RoadEffect::Waits | RoadEffect::Deferred => FIRST_PAUSE,
        _ => Millis(FIRST_PAUSE.0 << attempts.min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_the_longest_and_no_further() {
        assert_eq!(pause(0, Reason::StorageDamaged), FIRST_PAUSE);
        assert_eq!(pause(1, Reason::StorageDamaged), Millis::minutes(1));
        assert_eq!(pause(4_000_000, Reason::StorageDamaged), LONGEST_PAUSE);
        assert_eq!(pause(9, Reason::MemberSuspended), FIRST_PAUSE);
    }
}
