//! Whether this node's clock may give entries their time. Pure; instants come in.
//!
//! Followers refuse an entry that lies more than a minute ahead of them, and every later one must lie behind it: a leader
//! whose clock has jumped would order an entry that nobody takes, and lead on over a queue behind it. So a leader looks at
//! its own clock first. What it has to compare with are the other stewards' beats: a beat's time and the time that has
//! passed since it came, by a clock that nobody sets, is what that steward's clock shows now, or less, as beats are under
//! way for a while. Until it has heard enough of them it asks them, and a lone steward asks its members (`members_clocks`).
//! It orders nothing before a majority, itself among it, is known to show nearly the same time: of two stewards the one
//! whose clock had jumped would otherwise keep an entry that the other one never takes, and neither could lead.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::time::UnixMs;

/// Beats that came longer ago say nothing any more.
const RECENT: Duration = Duration::from_secs(120);
/// Beats remembered of each steward. One may have been under way for long; of two the later one tells.
const BEATS: usize = 2;

/// What others' clocks say of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockComparison {
    /// With the others that show nearly the same it is a majority; or there is nobody to say otherwise.
    Fits,
    /// So many of the others show something else that no majority takes what it orders.
    Differs,
    /// Too few have said anything.
    Unknown,
}

/// What the other stewards' clocks showed lately.
#[derive(Debug, Default)]
pub struct ClockGuard {
    /// The newest beat of each, and when it came: `None` for one that was here before anybody looked.
    heard: BTreeMap<AuthorityId, (UnixMs, VecDeque<(UnixMs, Instant)>)>,
}

impl ClockGuard {
    /// Beats that were here before: they may be of any age.
    pub fn begin<'a>(beats: impl Iterator<Item = (&'a AuthorityId, UnixMs)>) -> Self {
        Self { heard: beats.map(|(steward, time)| (steward.clone(), (time, VecDeque::new()))).collect() }
    }

    /// A steward's newest beat, as often as it is seen.
    pub fn hear(&mut self, steward: &AuthorityId, time: UnixMs, at: Instant) {
        let (newest, beats) = self.heard.entry(steward.clone()).or_insert((UnixMs(i64::MIN), VecDeque::new()));
        if time == *newest {
            return;
        }
        // Its clock was put right, and so says nothing by what it showed before.
        if time < *newest {
            beats.clear();
        }
        *newest = time;
        beats.push_back((time, at));
        if beats.len() > BEATS {
            beats.pop_front();
        }
    }

    /// What the others say of a clock that shows `now`. `asked`: how long ago one of them answered, and what its clock shows now
    /// by that.
    pub fn compare<'a>(
        &self,
        others: impl Iterator<Item = &'a AuthorityId>,
        now: UnixMs,
        at: Instant,
        asked: impl Fn(&AuthorityId) -> Option<(Duration, UnixMs)>,
    ) -> ClockComparison {
        let (mut all, mut fits, mut differs) = (1, 1, 0);
        for steward in others {
            all += 1;
            match self.off(steward, now, at, asked(steward)) {
                Some(true) => differs += 1,
                Some(false) => fits += 1,
                None => {}
            }
        }
        match () {
            () if fits * 2 > all => ClockComparison::Fits,
            () if (all - differs) * 2 <= all => ClockComparison::Differs,
            () => ClockComparison::Unknown,
        }
    }

    /// Whether a steward's clock shows something else, by whichever came last: its answer or its beats.
    fn off(&self, steward: &AuthorityId, now: UnixMs, at: Instant, asked: Option<(Duration, UnixMs)>) -> Option<bool> {
        let passed = |came: Instant| at.saturating_duration_since(came);
        let newest = self.heard.get(steward).and_then(|(_, beats)| beats.back()).map(|(_, came)| passed(*came));
        match asked {
            Some((ago, theirs)) if newest.is_none_or(|newest| ago <= newest) => {
                Some(theirs.since(now).0.abs() > limits::ENTRY_TIME_AHEAD.0)
            }
            _ => self.off_by_beats(steward, now, passed),
        }
    }

    /// A single beat that seems to lag may have been under way for long.
    fn off_by_beats(&self, steward: &AuthorityId, now: UnixMs, passed: impl Fn(Instant) -> Duration) -> Option<bool> {
        let (_, beats) = self.heard.get(steward)?;
        let recent = beats.iter().filter(|(_, came)| passed(*came) <= RECENT);
        let shows = |(time, came): &(UnixMs, Instant)| {
            time.0.saturating_add(i64::try_from(passed(*came).as_millis()).unwrap_or(i64::MAX))
        };
        let theirs = UnixMs(recent.clone().map(shows).max()?);
        if theirs.since(now) > limits::ENTRY_TIME_AHEAD {
            return Some(true);
        }
        if now.since(theirs) > limits::ENTRY_TIME_AHEAD {
            return (recent.count() >= BEATS).then_some(true);
        }
        Some(false)
    }
}

/// Whether an entry may be ordered now: nothing stands in the log, beyond what is agreed on, that lies further ahead than
/// entries may (nobody would take it), and a majority's clocks fit this one. What is agreed on may lie
/// ahead, from when a clock was wrong: what follows has its time until the clock has reached it.
pub fn may_order(newest: UnixMs, agreed: UnixMs, now: UnixMs, comparison: ClockComparison) -> bool {
    let taken = newest <= agreed || newest.since(now) <= limits::ENTRY_TIME_AHEAD;
    taken && comparison == ClockComparison::Fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Millis;
    use crate::tests::{ESCH, KEHL, id};

    const NOW: UnixMs = UnixMs(1_000_000_000);
    const HOUR: Millis = Millis::hours(1);

    fn heard_of(beats: &[(&str, UnixMs)], at: Instant) -> ClockGuard {
        let mut clock_guard = ClockGuard::default();
        for (steward, time) in beats {
            clock_guard.hear(&id(steward), *time, at);
        }
        clock_guard
    }

    fn judged(clock_guard: &ClockGuard, now: UnixMs, at: Instant) -> ClockComparison {
        clock_guard.compare([id(KEHL), id(ESCH)].iter(), now, at, |_| None)
    }

    #[test]
    fn a_clock_that_jumped_is_found_out_by_beats_that_came_before() {
        let at = Instant::now();
        let clock_guard =
            heard_of(&[(KEHL, NOW), (ESCH, NOW), (KEHL, NOW + Millis(500)), (ESCH, NOW + Millis(500))], at);
        assert_eq!(judged(&clock_guard, NOW, at), ClockComparison::Fits);
        assert_eq!(judged(&clock_guard, NOW + HOUR, at), ClockComparison::Differs);
        assert_eq!(judged(&clock_guard, NOW - HOUR, at), ClockComparison::Differs);
        let later = at + Duration::from_secs(100);
        assert_eq!(judged(&clock_guard, NOW + Millis::seconds(100), later), ClockComparison::Fits);
        assert_eq!(judged(&clock_guard, NOW, later), ClockComparison::Differs, "it was set back, or stands still");
        let much_later = at + Duration::from_secs(200);
        assert_eq!(judged(&clock_guard, NOW + HOUR, much_later), ClockComparison::Unknown, "too long ago");
    }

    #[test]
    fn a_clock_that_was_put_right_counts_from_then_on() {
        let at = Instant::now();
        let ahead = NOW + Millis::days(3);
        let clock_guard = heard_of(&[(KEHL, ahead), (ESCH, ahead), (KEHL, NOW), (ESCH, NOW)], at);
        assert_eq!(judged(&clock_guard, NOW, at), ClockComparison::Fits);
    }

    #[test]
    fn a_beat_that_was_long_under_way_says_nothing_and_one_other_steward_is_enough_of_three() {
        let at = Instant::now();
        let late = heard_of(&[(KEHL, NOW - HOUR), (ESCH, NOW - HOUR)], at);
        assert_eq!(judged(&late, NOW, at), ClockComparison::Unknown);
        let then = heard_of(&[(KEHL, NOW - HOUR), (ESCH, NOW - HOUR), (KEHL, NOW), (ESCH, NOW)], at);
        assert_eq!(judged(&then, NOW, at), ClockComparison::Fits);
        let one = heard_of(&[(KEHL, NOW + HOUR), (ESCH, NOW)], at);
        assert_eq!(judged(&one, NOW, at), ClockComparison::Fits, "a majority takes what is ordered");
        assert_eq!(
            judged(&one, NOW + Millis::days(1), at),
            ClockComparison::Unknown,
            "two single beats that seem to lag"
        );
        let mut old = ClockGuard::begin([(&id(KEHL), NOW), (&id(ESCH), NOW)].into_iter());
        old.hear(&id(KEHL), NOW, at);
        assert_eq!(judged(&old, NOW + HOUR, at), ClockComparison::Unknown, "who knows since when they were here");
    }

    #[test]
    fn who_is_asked_says_at_once_what_beats_say_later() {
        let at = Instant::now();
        let second = Duration::from_secs(1);
        let judged = |guard: &ClockGuard, now, asked: Option<(Duration, UnixMs)>| {
            guard.compare([id(KEHL)].iter(), now, at + second, |_| asked)
        };
        let silent = ClockGuard::default();
        assert_eq!(judged(&silent, NOW, None), ClockComparison::Unknown, "of two, neither orders alone");
        assert_eq!(judged(&silent, NOW, Some((second, NOW))), ClockComparison::Fits);
        assert_eq!(judged(&silent, NOW + HOUR, Some((second, NOW))), ClockComparison::Differs);
        assert_eq!(judged(&silent, NOW - HOUR, Some((second, NOW))), ClockComparison::Differs);
        // Its clock was put right since it was asked.
        let right = heard_of(&[(KEHL, NOW)], at);
        assert_eq!(judged(&right, NOW, Some((second * 2, NOW + HOUR))), ClockComparison::Fits);
    }

    #[test]
    fn nothing_is_ordered_behind_an_entry_from_the_future() {
        let agreed = UnixMs(0);
        assert!(may_order(NOW + Millis::seconds(60), agreed, NOW, ClockComparison::Fits));
        assert!(!may_order(NOW + Millis::seconds(61), agreed, NOW, ClockComparison::Fits));
        assert!(!may_order(NOW, agreed, NOW, ClockComparison::Differs));
        assert!(!may_order(NOW, agreed, NOW, ClockComparison::Unknown), "nobody may take it");
    }

    #[test]
    fn what_is_agreed_on_and_lies_ahead_is_gone_on_from() {
        let ahead = NOW + Millis::days(3);
        assert!(may_order(ahead, ahead, NOW, ClockComparison::Fits));
        assert!(!may_order(ahead + Millis(1), ahead, NOW, ClockComparison::Fits), "nobody took that one");
    }
}
