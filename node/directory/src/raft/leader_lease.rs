//! A leader that stands is not given up for a word.
//!
//! Raft takes any later vote that is called won, and any higher term in an answer, for the truth: one steward whose keys others
//! have could depose each leader as soon as it is elected. openraft's leader lease holds up votes that are asked for, no more.
//! Here it holds for each way to depose: while the leader followed here was heard within the lease, or this node leads and a
//! quorum answered it within the lease, another one's later vote counts only
//!
//! - where the leader itself hands over to that one, or
//! - when that one's word has stood unchanged for `STANDS`, and then once in `AGAIN` from each steward: a leader that reaches
//!   this node alone, while a quorum elsewhere has gone on without it, is found out so.
//!
//! While nobody stands, each steward may raise the term by asking for votes `ASKED` times, then once in `ASKED_AGAIN`: longer
//! than an election takes. What is refused is lost as on a bad link; Raft stays safe whatever is decided here. What remains: who
//! is elected, or says so while nobody leads, may lead and order nothing for as long as it goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver as _;

use super::types::{LEASE, Raft, Vote};
use crate::domain::reason::Reason;
use crate::error::Error;

/// How long another one's word has to stand while a leader stands.
const STANDS: Duration = Duration::from_secs(10);
/// A word that was not repeated for so long begins anew.
const REPEATED: Duration = Duration::from_secs(5);
/// How often one steward's word may depose a leader that stands.
const AGAIN: Duration = Duration::from_secs(300);
/// How long a leader that hands over has done so.
const HANDED: Duration = Duration::from_secs(5);
/// Terms that one steward may raise in a row by asking for votes, and after that in which time one.
const ASKED: u32 = 4;
const ASKED_AGAIN: Duration = Duration::from_secs(3);

/// Who leads, as this node heard it.
pub struct LeaderLease {
    started: Instant,
    raft: OnceLock<Raft>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The newest vote by which a leader was heeded, and when last.
    followed: Option<(Vote, Instant)>,
    handed: Option<(u64, Instant)>,
    words: BTreeMap<u64, Word>,
    /// By steward: until when what it asked for is paid.
    asked: BTreeMap<u64, Instant>,
}

/// A later vote that one steward tells of.
#[derive(Default)]
struct Word {
    vote: Option<Vote>,
    since: Option<Instant>,
    last: Option<Instant>,
    believed: Option<Instant>,
}

impl Word {
    /// It is told again; whether it has stood long enough.
    fn told(&mut self, vote: Vote, now: Instant) -> bool {
        let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
        if self.vote != Some(vote) || !within(self.last, REPEATED) {
            (self.vote, self.since) = (Some(vote), Some(now));
        }
        self.last = Some(now);
        let stood = !within(self.since, STANDS) && !within(self.believed, AGAIN);
        if stood {
            self.believed = Some(now);
        }
        stood
    }
}

impl LeaderLease {
    pub fn new() -> Self {
        Self { started: Instant::now(), raft: OnceLock::new(), known: Mutex::default() }
    }

    /// The instance that may lead, once it runs.
    pub fn of(&self, raft: &Raft) {
        self.raft.get_or_init(|| raft.clone());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long no leader has spoken here; since the start, if none has.
    pub fn silence(&self) -> Duration {
        self.known().followed.map_or(self.started, |(_, at)| at).elapsed()
    }

    /// A leader speaks: whether it is heeded. Another one than the leader that stands waits until the lease is over, which ends
    /// only where the leader is silent.
    ///
    /// # Errors
    /// `RAFT_LEADER_STANDS`.
    pub async fn heed(&self, vote: &Vote) -> Result<(), Error> {
        let mut waited = false;
        while let Some(left) = self.stands_against(vote) {
            if waited || left.is_zero() {
                if self.known().replaces(vote.leader_id().voted_for, *vote, Instant::now()) {
                    break;
                }
                return Err(stands(vote));
            }
            tokio::time::sleep(left).await;
            waited = true;
        }
        self.follow(*vote);
        Ok(())
    }

    /// The vote of a leader that is heeded. One of an earlier term than the leader's is openraft's to refuse.
    fn follow(&self, vote: Vote) {
        let mut known = self.known();
        if known.followed.is_none_or(|(followed, _)| followed.leader_id().term <= vote.leader_id().term) {
            known.followed = Some((vote, Instant::now()));
        }
    }

    /// What remains of the lease of a leader that this vote would depose; none if nobody stands against it.
    fn stands_against(&self, vote: &Vote) -> Option<Duration> {
        let by = vote.leader_id().voted_for;
        if self.known().was_handed(by) {
            return None;
        }
        if let Some((led, left)) = self.leads() {
            return is_later(vote, &led).then_some(left);
        }
        let (followed, at) = self.known().followed?;
        let left = LEASE.checked_sub(at.elapsed())?;
        is_later(vote, &followed).then_some(left)
    }

    /// The vote by which this node leads, and what remains of the lease that a quorum gave it.
    fn leads(&self) -> Option<(Vote, Duration)> {
        let metrics = self.raft.get()?.metrics();
        let metrics = metrics.borrow_watched();
        if !metrics.state.is_leader() {
            return None;
        }
        let left = LEASE.checked_sub(metrics.last_quorum_acked?.elapsed())?;
        Some((metrics.vote, left))
    }

    /// Whether this node, which leads, is to believe a steward that answers by a later vote.
    pub fn gives_way(&self, teller: u64, vote: Vote) -> bool {
        match self.leads() {
            Some((led, _)) if is_later(&vote, &led) => self.known().replaces(teller, vote, Instant::now()),
            _ => true,
        }
    }

    /// This leader lets another one lead.
    pub fn hands_over(&self, to: u64) {
        self.known().handed = Some((to, Instant::now()));
    }

    /// A steward says that it lets another one lead: believed of the leader that is followed here.
    pub fn is_handed(&self, from: &Vote, to: u64) {
        let mut known = self.known();
        if known.followed.is_some_and(|(followed, _)| followed == *from) {
            known.handed = Some((to, Instant::now()));
        }
    }

    /// Whether a vote is asked for as the leader wanted it, which its lease does not hold up.
    pub fn was_handed(&self, to: u64) -> bool {
        self.known().was_handed(to)
    }

    /// A vote is asked for in a term that may be new here.
    ///
    /// # Errors
    /// `BUDGET_EXHAUSTED` when its steward raised too many.
    pub fn asked(&self, vote: &Vote) -> Result<(), Error> {
        let now = Instant::now();
        let mut known = self.known();
        let paid = known.asked.entry(vote.leader_id().voted_for).or_insert(now);
        let next = (*paid).max(now) + ASKED_AGAIN;
        if next > now + ASKED_AGAIN * ASKED {
            return Err(Error::new(Reason::BudgetExhausted, "votes asked for in too many terms"));
        }
        *paid = next;
        Ok(())
    }
}

impl Known {
    fn was_handed(&self, to: u64) -> bool {
        self.handed.is_some_and(|(heir, at)| heir == to && at.elapsed() < HANDED)
    }

    fn replaces(&mut self, teller: u64, vote: Vote, now: Instant) -> bool {
        self.words.entry(teller).or_default().told(vote, now)
    }
}

/// Whether a vote is another node's, in the term of this leader or a later one.
fn is_later(vote: &Vote, leads: &Vote) -> bool {
    let (other, leader) = (vote.leader_id(), leads.leader_id());
    other.voted_for != leader.voted_for && other.term >= leader.term
}

fn stands(vote: &Vote) -> Error {
    let leader = vote.leader_id();
    let detail = format!("Raft id {} says that it leads in term {}", leader.voted_for, leader.term);
    Error::new(Reason::RaftLeaderStands, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_word_counts_when_it_has_stood_and_not_again_soon() {
        let (start, mut word) = (Instant::now(), Word::default());
        let later = Vote::new_committed(7, 3);
        for second in 0..10 {
            assert!(!word.told(later, start + SECOND * second), "after {second} s");
        }
        assert!(word.told(later, start + STANDS));
        let next = Vote::new_committed(9, 3);
        for second in 11..310 {
            assert!(!word.told(next, start + SECOND * second), "after {second} s");
        }
        assert!(word.told(next, start + STANDS + AGAIN));
    }

    #[test]
    fn a_word_that_changes_or_pauses_begins_anew() {
        let (start, mut word) = (Instant::now(), Word::default());
        for second in 0..60 {
            let rising = Vote::new_committed(u64::from(second), 3);
            assert!(!word.told(rising, start + SECOND * second), "it says something else each time");
        }
        let start = start + SECOND * 60;
        for pause in 0..10 {
            assert!(!word.told(Vote::new_committed(99, 3), start + REPEATED * pause), "now and then");
        }
    }

    #[tokio::test]
    async fn another_leader_waits_until_the_first_is_silent() {
        let lease = LeaderLease::new();
        let (first, other) = (Vote::new_committed(4, 1), Vote::new_committed(5, 2));
        lease.heed(&first).await.unwrap();
        lease.heed(&Vote::new_committed(6, 1)).await.unwrap();
        let (began, later) = (Instant::now(), Vote::new_committed(7, 2));
        let (refused, ()) = tokio::join!(lease.heed(&later), async {
            tokio::time::sleep(LEASE / 2).await;
            lease.heed(&Vote::new_committed(6, 1)).await.unwrap();
        });
        assert_eq!(refused.unwrap_err().reason(), Reason::RaftLeaderStands, "the first was heard meanwhile");
        lease.heed(&Vote::new_committed(8, 2)).await.unwrap();
        assert!(began.elapsed() >= LEASE * 3 / 2, "after a whole lease of silence");
        lease.heed(&other).await.unwrap();
        assert!(lease.silence() < LEASE, "the leader's own earlier words are openraft's to refuse");
    }

    #[tokio::test]
    async fn whoever_the_leader_hands_over_to_waits_for_nothing() {
        let lease = LeaderLease::new();
        let leads = Vote::new_committed(4, 1);
        lease.heed(&leads).await.unwrap();
        lease.is_handed(&Vote::new_committed(4, 3), 3);
        assert!(!lease.was_handed(3), "only the leader hands over");
        lease.is_handed(&leads, 2);
        assert!(lease.was_handed(2) && !lease.was_handed(3));
        let began = Instant::now();
        lease.heed(&Vote::new_committed(5, 2)).await.unwrap();
        assert!(began.elapsed() < LEASE / 2);
    }

    #[test]
    fn terms_that_one_steward_raises_are_few() {
        let lease = LeaderLease::new();
        let asks = |term, by| lease.asked(&Vote::new(term, by));
        let taken = (0..100).filter(|term| asks(*term, 2).is_ok()).count();
        assert_eq!(taken, ASKED as usize);
        assert!(asks(1, 3).is_ok(), "another one's are its own");
    }
}
