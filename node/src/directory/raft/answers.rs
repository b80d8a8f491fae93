//! What other stewards answer, checked before openraft believes it.
//!
//! A leader takes for granted that followers answer what they were asked, and that a log once stored does not go back;
//! every node takes a higher term in an answer for its own. A steward that lies here could wedge consensus at term
//! u64::MAX, or make a leader count what was never sent. A lie of "stored" about what was sent remains one steward's
//! vote, as in every Raft.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};

use super::types::{LogId, TypeConfig, Vote};
use crate::directory::chain::Chain;
use crate::domain::limits;

/// How far a term may reach: near what a majority of stewards has said in beats (9.4).
#[derive(Clone)]
pub struct Terms {
    chain: Arc<Chain>,
    /// The term of our own vote when this process started: what we believed before anyone could tell us more.
    own: u64,
}

impl Terms {
    pub fn new(chain: Arc<Chain>, own_vote: Option<Vote>) -> Self {
        Self { chain, own: own_vote.map_or(0, |vote| vote.leader_id().term) }
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
    fn note(&self, target: u64, term: u64, index: u64) {
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

    /// An answer comes in.
    ///
    /// # Errors
    /// What no honest steward answers.
    pub fn judge(&self, answer: &StreamAppendResult<TypeConfig>) -> Result<(), &'static str> {
        let asked = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Asked { term, previous, last } = asked.ok_or("an answer to nothing")?;
        match answer {
            Ok(stored) => {
                if *stored > last {
                    return Err("it stored more than was sent");
                }
                if let Some(id) = stored {
                    self.stored.note(self.target, term, id.index());
                }
                Ok(())
            }
            Err(StreamAppendError::Conflict(at)) if Some(*at) != previous => Err("a conflict at another place"),
            Err(StreamAppendError::Conflict(at)) if self.stored.has(self.target, term, at.index()) => {
                Err("its log went back")
            }
            Err(StreamAppendError::Conflict(_)) => Ok(()),
            Err(StreamAppendError::HigherVote(vote)) => {
                self.terms.check(vote.leader_id().term).map_err(|_| "its term lies far beyond the others'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::directory::disk::{Disk, Meta, Write};
    use crate::directory::tests::World;

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
        let chain = Arc::new(Chain::open(disk, SystemClock::shared()).unwrap());
        Asking::new(2, Stored::default(), Terms::new(chain, Some(Vote::new(7, 1))))
    }

    #[tokio::test]
    async fn honest_answers_pass_and_lies_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let asking = asking(&dir).await;
        let judge = |request: AppendEntriesRequest<TypeConfig>, answer| {
            asking.asked(&request);
            asking.judge(&answer)
        };
        assert!(asking.judge(&Ok(None)).is_err(), "an answer to nothing");
        assert!(judge(request(Some(id(4)), 5..8), Err(StreamAppendError::Conflict(id(4)))).is_ok());
        assert!(judge(request(Some(id(4)), 5..8), Err(StreamAppendError::Conflict(id(2)))).is_err());
        assert!(judge(request(None, 0..3), Ok(Some(id(2)))).is_ok());
        assert!(judge(request(Some(id(2)), 3..5), Ok(Some(id(9)))).is_err());
        assert!(judge(request(Some(id(2)), 3..5), Ok(Some(id(3)))).is_ok(), "a part is no lie");
        assert!(judge(request(Some(id(3)), 4..4), Err(StreamAppendError::Conflict(id(3)))).is_err(), "it went back");
        assert!(judge(request(Some(id(3)), 4..5), Err(StreamAppendError::HigherVote(Vote::new(1_007, 3)))).is_ok());
        let wedge = Err(StreamAppendError::HigherVote(Vote::new(u64::MAX, 3)));
        assert!(judge(request(Some(id(3)), 4..5), wedge).is_err());
    }
}
