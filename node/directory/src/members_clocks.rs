//! What others' clocks show when they are asked (9.4): the other stewards', for a leader that has not heard beats of enough of
//! them yet, and members', for a steward that is alone: no other steward's beats tell it that its clock is wrong.
//!
//! A lone one asks a few members each minute. It orders nothing while at least three, all that answered, agree within a minute on
//! another time than its own; and its own beat is its clock's word twice over, so that nothing is destroyed by date on it
//! before one member's clock shows nearly the same (9.3). Members that agree with each other may all be wrong: the operator
//! who knows says so (`--clock-is-right`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::time::{Millis, UnixMs};

/// Members that have to agree before a lone steward takes their word for its clock's.
const AGREEING: usize = 3;
/// A round says nothing any more after this long.
const RECENT: Duration = Duration::from_secs(300);
/// How long a statement waits for a round.
const WORD: Duration = Duration::from_secs(3);

/// What members' clocks showed in the last round, and when that was.
#[derive(Clone, Debug, Default)]
struct Round {
    at: Duration,
    shown: Vec<UnixMs>,
}

impl Round {
    /// What they show now.
    fn now(&self, monotonic: Duration) -> Option<Vec<UnixMs>> {
        let passed = monotonic.checked_sub(self.at).filter(|passed| *passed <= RECENT)?;
        let passed = Millis(i64::try_from(passed.as_millis()).ok()?);
        Some(self.shown.iter().map(|time| *time + passed).collect())
    }
}

/// What a steward knows of others' clocks.
#[derive(Debug, Default)]
pub struct MembersClocks {
    last: Mutex<Round>,
    /// When each of the other stewards answered last, and what its clock showed then.
    stewards: Mutex<BTreeMap<AuthorityId, (Duration, UnixMs)>>,
    /// Rounds that are over.
    rounds: watch::Sender<u64>,
    wanted: Notify,
    overridden: AtomicBool,
}

impl MembersClocks {
    /// The operator knows this clock to be right, whatever members' clocks show.
    pub fn override_them(&self) {
        self.overridden.store(true, Ordering::Relaxed);
    }

    /// Whether they contradict a clock that shows `now`; `None`: too few have said anything, or they do not agree.
    pub fn contradict(&self, now: UnixMs, monotonic: Duration) -> Option<bool> {
        let (ahead, _) = self.ahead(now, monotonic).filter(|_| !self.overridden.load(Ordering::Relaxed))?;
        Some(ahead.0.abs() > limits::ENTRY_TIME_AHEAD.0)
    }

    /// How far their clocks are ahead of one that shows `now` (negative: behind), and how many agree on it: three at least, and
    /// all that answered.
    pub fn ahead(&self, now: UnixMs, monotonic: Duration) -> Option<(Millis, usize)> {
        let mut shown = self.lock().now(monotonic).filter(|shown| shown.len() >= AGREEING)?;
        shown.sort_unstable();
        let (first, last) = (shown.first()?, shown.last()?);
        let agree = last.since(*first) <= limits::ENTRY_TIME_AHEAD;
        agree.then(|| (shown[shown.len() / 2].since(now), shown.len()))
    }

    /// Whether one of them shows nearly this time.
    pub fn vouch(&self, now: UnixMs, monotonic: Duration) -> bool {
        let near = |time: &UnixMs| time.since(now).0.abs() <= limits::BEAT_AHEAD.0;
        self.overridden.load(Ordering::Relaxed)
            || self.lock().now(monotonic).is_some_and(|shown| shown.iter().any(near))
    }

    /// Until the first round is over, for a moment at most.
    pub async fn first_word(&self) {
        let mut rounds = self.rounds.subscribe();
        drop(timeout(WORD, rounds.wait_for(|rounds| *rounds > 0)).await);
    }

    /// Has the others asked now, and waits until they were, for a moment at most.
    pub async fn next_word(&self) {
        let mut rounds = self.rounds.subscribe();
        self.wanted.notify_one();
        drop(timeout(WORD, rounds.changed()).await);
    }

    /// Until somebody waits for a word.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// What a round brought.
    pub fn note(&self, at: Duration, shown: Vec<UnixMs>) {
        *self.lock() = Round { at, shown };
        self.rounds.send_modify(|rounds| *rounds += 1);
    }

    /// What the other stewards that answered showed.
    pub fn note_stewards(&self, at: Duration, shown: impl IntoIterator<Item = (AuthorityId, UnixMs)>) {
        let mut stewards = self.stewards.lock().unwrap_or_else(PoisonError::into_inner);
        stewards.extend(shown.into_iter().map(|(steward, time)| (steward, (at, time))));
        stewards.retain(|_, (answered, _)| at.saturating_sub(*answered) <= RECENT);
        self.rounds.send_modify(|rounds| *rounds += 1);
    }

    /// How long ago another steward answered, and what its clock shows now by that; `None`: too long ago.
    pub fn of_steward(&self, steward: &AuthorityId, monotonic: Duration) -> Option<(Duration, UnixMs)> {
        let stewards = self.stewards.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, shown) = stewards.get(steward)?;
        let ago = monotonic.checked_sub(*at).filter(|ago| *ago <= RECENT)?;
        Some((ago, *shown + Millis(i64::try_from(ago.as_millis()).ok()?)))
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000_000_000);

    fn shown(times: &[UnixMs]) -> MembersClocks {
        let clocks = MembersClocks::default();
        clocks.note(Duration::ZERO, times.to_vec());
        clocks
    }

    #[test]
    fn three_that_agree_are_believed_and_fewer_or_others_are_not() {
        let hour = NOW - Millis::hours(1);
        let judged = |times: &[UnixMs]| shown(times).contradict(NOW, Duration::ZERO);
        assert_eq!(judged(&[hour, hour, hour + Millis::seconds(60)]), Some(true));
        assert_eq!(judged(&[hour, hour]), None, "two");
        assert_eq!(judged(&[hour, hour, hour, NOW]), None, "one that answered says otherwise");
        assert_eq!(judged(&[NOW, NOW, NOW]), Some(false));
        let clocks = shown(&[NOW, NOW, NOW]);
        let later = Duration::from_secs(100);
        assert_eq!(clocks.contradict(NOW + Millis::seconds(100), later), Some(false));
        assert_eq!(clocks.contradict(NOW + Millis::days(3), later), Some(true), "it jumped since");
        assert_eq!(clocks.contradict(NOW + Millis::days(3), Duration::from_secs(301)), None);
        clocks.override_them();
        assert_eq!(clocks.contradict(NOW + Millis::days(3), later), None, "the operator knows better");
    }

    #[test]
    fn one_member_vouches_for_a_clock_and_nobody_does_for_one_that_jumped() {
        let clocks = shown(&[NOW + Millis::minutes(1)]);
        assert!(clocks.vouch(NOW, Duration::ZERO));
        assert!(!clocks.vouch(NOW + Millis::days(3_650), Duration::ZERO));
        assert!(!shown(&[]).vouch(NOW, Duration::ZERO));
    }
}
