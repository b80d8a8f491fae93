//! Which incarnation may follow which, and how a node that lost its memory goes on (9.10).
//!
//! Incarnations only rise, and no clock says what the last one was: a restored disk, a dead clock, or one that was once years
//! ahead may begin below it. Invariant: a clock may bring a node forward, and never decides whether another one is believed;
//! steps are bounded, so that nobody is pushed to the end of the numbers by whoever had its key for a while.

use super::ids::Incarnation;
use super::time::UnixMs;

/// How far above the known incarnation the next one may lie, in milliseconds of a clock: 557 years.
pub const STEP: u64 = 1 << 44;
/// Incarnations lie below it: a number that every client's language keeps whole.
pub const END: u64 = 1 << 53;

/// What becomes of an incarnation that an authority tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Taken,
    /// It lies below the known one: the caller is shown its own signed word.
    Below,
    /// It lies further above the known one than a step, or at the end of the numbers.
    TooFar,
}

/// `known`: the newest that it told before, as far as its word of then still counts; `None`: the first is free.
pub fn told(known: Option<Incarnation>, next: Incarnation) -> Told {
    let bound = known.unwrap_or(next);
    if is_too_far(bound, next) {
        Told::TooFar
    } else if next < bound {
        Told::Below
    } else {
        Told::Taken
    }
}

/// The incarnation that begins with a restore. `newest`: of whatever is left of the node. `drawn`: by chance, since two lives that
/// begin at one backup, with a clock that stands or is behind, would have the same one: partners would take the second for the
/// first, and would not send again what was lost with it.
pub fn begun(now: UnixMs, newest: Incarnation, drawn: u32) -> Incarnation {
    Incarnation(wall(now).max(newest.0 + 1) + u64::from(drawn))
}

/// The incarnation with which a node goes on once a partner has shown it its own signed word, drawn as one that begins; `None`: it
/// tells nothing that lies above the known one, or too far above it.
pub fn after_shown(now: UnixMs, known: Incarnation, shown: Incarnation, drawn: u32) -> Option<Incarnation> {
    (shown > known && !is_too_far(known, shown)).then(|| begun(now, shown, drawn))
}

fn is_too_far(known: Incarnation, next: Incarnation) -> bool {
    next.0 >= END || next.0.saturating_sub(known.0) > STEP
}

fn wall(now: UnixMs) -> u64 {
    u64::try_from(now.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Incarnation = Incarnation(1_800_000_000_000);

    #[test]
    fn one_follows_another_by_a_bounded_step_upwards() {
        let at = |above: i64| told(Some(KNOWN), Incarnation(KNOWN.0.checked_add_signed(above).unwrap()));
        assert_eq!((at(0), at(1), at(-1)), (Told::Taken, Told::Taken, Told::Below));
        let step = i64::try_from(STEP).unwrap();
        assert_eq!((at(step), at(step + 1)), (Told::Taken, Told::TooFar));
        assert_eq!(told(None, Incarnation(END - 1)), Told::Taken, "the first is free");
        assert_eq!(told(None, Incarnation(END)), Told::TooFar);
        assert_eq!(told(Some(Incarnation(END - 1)), Incarnation(END)), Told::TooFar);
    }

    #[test]
    fn a_node_goes_on_above_all_that_is_left_of_it_whatever_its_clock_says() {
        assert_eq!(begun(UnixMs(-5), KNOWN, 0), Incarnation(KNOWN.0 + 1));
        assert_ne!(begun(UnixMs(-5), KNOWN, 1), begun(UnixMs(-5), KNOWN, 2), "two lives of one backup");
        let later = UnixMs(2_000_000_000_000);
        assert_eq!(begun(later, KNOWN, 7), Incarnation(2_000_000_000_007));
        let shown = Incarnation(KNOWN.0 + 9);
        assert_eq!(after_shown(UnixMs(0), KNOWN, shown, 7), Some(Incarnation(shown.0 + 8)));
        assert_eq!(after_shown(later, KNOWN, shown, 0), Some(Incarnation(2_000_000_000_000)));
        assert_eq!(after_shown(later, KNOWN, KNOWN, 0), None, "nothing new");
        assert_eq!(after_shown(later, KNOWN, Incarnation(KNOWN.0 + STEP + 1), 0), None, "no node is pushed that far");
    }
}
