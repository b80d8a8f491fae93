//! How long a message lay before it was looked at: no part of its age may be lost (9.11).
//!
//! Two bounds, and the longer one counts. A process that was stopped, or starved, finds afterwards that its pulse failed: what
//! it reads then may have lain in the socket for as long. And what a partner's clock shows in a message, beside what it showed
//! in the quickest one lately, tells how much longer this one was on its way, wherever it lay: whatever the two clocks' difference is,
//! it is in both (`Links::heard_clock`, in `context`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::time::Millis;

/// A pulse that comes later than this shows that the process did not run.
const LATE: Duration = Duration::from_millis(750);
/// What was read so long after the process went on may have come while it stood.
const CATCHING_UP: Duration = Duration::from_secs(1);

/// When this process last ran, by the monotonic clock.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Clone, Copy, Default)]
struct Beat {
    last: Option<Duration>,
    /// The last time that it stood: for how long, and when it went on.
    stood: Option<(Duration, Duration)>,
}

impl Pulse {
    /// It runs.
    pub(super) fn note(&self, now: Duration) {
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = beat.last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        if pause > LATE {
            beat.stood = Some((pause, now));
        }
        beat.last = Some(now);
    }

    /// How long something that is read now may have lain unread; nothing as long as no pulse was noted.
    pub(super) fn stood(&self, now: Duration) -> Millis {
        let beat = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = beat.last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        let stood = beat.stood.filter(|(_, ended)| now.saturating_sub(*ended) <= CATCHING_UP);
        let stood = stood.map_or(Duration::ZERO, |(pause, ended)| pause + now.saturating_sub(ended));
        let longest = standing.max(stood);
        let late = longest > LATE;
        Millis(if late { i64::try_from(longest.as_millis()).unwrap_or(i64::MAX) } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_read_after_the_process_stood_may_have_lain_as_long() {
        let pulse = Pulse::default();
        assert_eq!(pulse.stood(at(9_000)), Millis(0), "no pulse, nothing known");
        for ms in [0, 250, 500] {
            pulse.note(at(ms));
        }
        assert_eq!(pulse.stood(at(700)), Millis(0), "it runs");
        // Stopped for 8 s; the batch is looked at before the pulse, or just after it.
        assert_eq!(pulse.stood(at(8_500)), Millis(8_000));
        pulse.note(at(8_510));
        assert_eq!(pulse.stood(at(8_700)), Millis(8_200));
        pulse.note(at(8_760));
        assert_eq!(pulse.stood(at(9_400)), Millis(8_900));
        for ms in [9_010, 9_260, 9_510] {
            pulse.note(at(ms));
        }
        assert_eq!(pulse.stood(at(9_600)), Millis(0), "what comes from now on came now");
    }
}
