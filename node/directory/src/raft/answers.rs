//! What other stewards answer, checked before openraft believes it.
//!
//! A leader takes for granted that followers answer what they were asked, and that a log once stored does not go back;
//! every node takes a higher term in an answer for its own. A steward that lies here could wedge consensus at term
//! u64::MAX, or make a leader count what was never sent. It could also name the leader itself in a term that this one has
//! not begun: openraft would take the leader for a candidate that needs no election, or for one elected already. And a
//! vote that somebody else won is believed when its owner says so, not when it is told by others. A lie of "stored"
//! about what was sent remains one steward's vote, as in every Raft.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};

use super::leader_lease::LeaderLease;
use super::log_store::LogStore;
use super::types::{LogId, TypeConfig, Vote};
use crate::chain::Chain;
use crate::domain::limits;

/// How far a term may reach: near what a majority of stewards has said in beats (9.4), and a node's own not beyond what it
/// has begun.
#[derive(Clone)]
pub struct Terms {
    chain: Arc<Chain>,
    raft_id: u64,
    log: LogStore,
    /// The term of our own vote when this process started: what we believed before anyone could tell us more.
    own: u64,
    lease: Arc<LeaderLease>,
}

impl Terms {
    pub fn new(chain: Arc<Chain>, raft_id: u64, log: LogStore, lease: Arc<LeaderLease>) -> Self {
        let own = log.vote().map_or(0, |vote| vote.leader_id().term);
        Self { chain, raft_id, log, own, lease }
    }

    /// A vote that somebody else tells of, as it may be believed: not one that was won, nor one for which a leader that stands
    /// would step down at once.
    ///
    /// # Errors
    /// What no honest steward tells.
    pub fn told(&self, teller: u64, vote: &Vote) -> Result<Vote, &'static str> {
        let leader = vote.leader_id();
        self.check(leader.term).map_err(|_| "its term lies far beyond the others'")?;
        let begun = self.log.vote().map_or(0, |vote| vote.leader_id().term);
        if leader.voted_for == self.raft_id && leader.term > begun {
            return Err("it names this node in a term that this node has not begun");
        }
        if !self.lease.gives_way(teller, *vote) {
            return Err("a leader that stands does not step down for one steward's word");
        }
        Ok(Vote::new(leader.term, leader.voted_for))
    }

    /// # Errors
    /// The term that others have reached, when this one lies far beyond it.
    pub fn check(&self, term: u64) -> Result<(), u64> {
        let reached = self.chain.gate().majority_term.max(self.own);
        if term <= reached.saturating_add(limits::TERM_AHEAD) { Ok(()) } else { Err(reached) }
    }
}

/// What each target has stored, by its own answers in one term: it can only grow.
#[derive(Clone, Default)]
pub struct Stored(Arc<Mutex<HashMap<u64, (u64, u64)>>>);

impl Stored {
    /// The target says that it has everything up to here.
    pub fn note(&self, target: u64, term: u64, index: u64) {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = stored.entry(target).or_insert((term, index));
        *held = (*held).max((term, index));
    }

    fn has(&self, target: u64, term: u64, index: u64) -> bool {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.get(&target).is_some_and(|(of, upto)| *of == term && index <= *upto)
    }
}

/// One request that was sent and is not answered yet.
struct Asked {
    term: u64,
    previous: Option<LogId>,
    last: Option<LogId>,
}

/// The requests of one stream, in order, for which answers come in the same order.
pub struct Asking {
    target: u64,
    stored: Stored,
    terms: Terms,
    open: Mutex<VecDeque<Asked>>,
}

impl Asking {
    pub fn new(target: u64, stored: Stored, terms: Terms) -> Self {
        Self { target, stored, terms, open: Mutex::default() }
    }

    /// A request goes out.
    pub fn asked(&self, request: &AppendEntriesRequest<TypeConfig>) {
        let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
        let asked = Asked { term: request.vote.leader_id().term, previous: request.prev_log_id, last };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push_back(asked);
    }

    /// An answer comes in; it goes out as it may be believed.
    ///
    /// # Errors
    /// What no honest steward answers.
    pub fn judge(
        &self,
        answer: StreamAppendResult<TypeConfig>,
    ) -> Result<StreamAppendResult<TypeConfig>, &'static str> {
        let asked = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Asked { term, previous, last } = asked.ok_or("an answer to nothing")?;
        match answer {
            Ok(stored) => {
                if !in_order(previous, stored) || !in_order(stored, last) {
                    return Err("it stored what was not sent");
                }
                if let Some(id) = stored {
                    self.stored.note(self.target, term, id.index());
                }
                Ok(answer)
            }
            Err(StreamAppendError::Conflict(at)) if Some(at) != previous => Err("a conflict at another place"),
            Err(StreamAppendError::Conflict(at)) if self.stored.has(self.target, term, at.index()) => {
                Err("its log went back")
            }
            Err(StreamAppendError::Conflict(_)) => Ok(answer),
            Err(StreamAppendError::HigherVote(vote)) => {
                Ok(Err(StreamAppendError::HigherVote(self.terms.told(self.target, &vote)?)))
            }
        }
    }
}

/// Whether one log may have the first at or before the second: neither its index nor its term falls. A smaller term with
/// a greater index would be less by openraft's order, and counted by its index.
fn in_order(first: Option<LogId>, second: Option<LogId>) -> bool {
    match (first, second) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(first), Some(second)) => {
            let term = |id: &LogId| id.committed_leader_id().term;
            first == second || (first.index() < second.index() && term(&first) <= term(&second))
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::storage::RaftLogStorage;

    use super::*;
    use crate::clock::SystemClock;
    use crate::disk::{Disk, Meta, Write};
    use crate::tests::World;

    fn id(index: u64) -> LogId {
        LogId::new_term_index(3, index)
    }

    fn request(previous: Option<LogId>, entries: std::ops::Range<u64>) -> AppendEntriesRequest<TypeConfig> {
        let payload = super::super::types::Payload::Blank;
        AppendEntriesRequest {
            vote: Vote::new_committed(3, 1),
            prev_log_id: previous,
            entries: entries
                .map(|index| super::super::types::Entry { log_id: id(index), payload: payload.clone() })
                .collect(),
            leader_commit: None,
        }
    }

    async fn asking(dir: &tempfile::TempDir) -> Asking {
        let disk = Disk::open(&dir.path().join("directory.redb")).unwrap();
        let genesis = World::founded().state.genesis_signed().to_vec();
        disk.write(vec![Write::Set(Meta::Genesis, genesis)]).await.unwrap();
        let mut log = LogStore::open(disk.clone()).unwrap();
        log.save_vote(&Vote::new(7, 1)).await.unwrap();
        let chain = Arc::new(Chain::open(disk, SystemClock::shared()).unwrap());
        Asking::new(2, Stored::default(), Terms::new(chain, 1, log, Arc::new(LeaderLease::new())))
    }

    #[tokio::test]
    async fn honest_answers_pass_and_lies_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let asking = asking(&dir).await;
        let judge = |request: AppendEntriesRequest<TypeConfig>, answer| {
            asking.asked(&request);
            asking.judge(answer)
        };
        assert!(asking.judge(Ok(None)).is_err(), "an answer to nothing");
        assert!(judge(request(Some(id(4)), 5..8), Err(StreamAppendError::Conflict(id(4)))).is_ok());
        let earlier_term = LogId::new_term_index(2, 1_000_000_000_000);
        assert!(judge(request(None, 0..3), Ok(Some(earlier_term))).is_err(), "less by its term, and never sent");
        assert!(judge(request(Some(id(4)), 5..8), Ok(None)).is_err(), "less than what it had");
        assert!(judge(request(Some(id(4)), 5..8), Err(StreamAppendError::Conflict(id(2)))).is_err());
        assert!(judge(request(None, 0..3), Ok(Some(id(2)))).is_ok());
        assert!(judge(request(Some(id(2)), 3..5), Ok(Some(id(9)))).is_err());
        assert!(judge(request(Some(id(2)), 3..5), Ok(Some(id(3)))).is_ok(), "a part is no lie");
        assert!(judge(request(Some(id(3)), 4..4), Err(StreamAppendError::Conflict(id(3)))).is_err(), "it went back");
        assert!(judge(request(Some(id(3)), 4..5), Err(StreamAppendError::HigherVote(Vote::new(1_007, 3)))).is_ok());
        let wedge = Err(StreamAppendError::HigherVote(Vote::new(u64::MAX, 3)));
        assert!(judge(request(Some(id(3)), 4..5), wedge).is_err());
    }

    #[tokio::test]
    async fn nobody_is_told_that_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let asking = asking(&dir).await;
        let told = |vote| {
            asking.asked(&request(Some(id(3)), 4..5));
            asking.judge(Err(StreamAppendError::HigherVote(vote)))
        };
        // This is number 1, in term 7.
        assert!(told(Vote::new(12, 1)).is_err(), "a term that it has not begun");
        assert!(told(Vote::new_committed(12, 1)).is_err(), "and was not elected in");
        assert!(told(Vote::new(7, 1)).is_ok(), "one that it has begun, after the request went out");
        let won = told(Vote::new_committed(12, 3)).unwrap();
        assert_eq!(won, Err(StreamAppendError::HigherVote(Vote::new(12, 3))), "who won says so itself");
    }
}
