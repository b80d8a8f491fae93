//! Where in the log something may stand: what openraft takes for granted of indexes and terms, and would panic, go wrong
//! silently or never start again at.

use openraft::raft::AppendEntriesRequest;

use super::message_guard::MessageGuard;
use super::types::{LogId, SnapshotMeta, TypeConfig, Vote};
use super::voters::signed_in_time;
use crate::domain::reason::Reason;
use crate::error::Error;
use crate::snapshot;
use crate::state::RegisterState;

/// How far beyond the last entry here a log index may lie, and how far at all. openraft adds to an index without looking:
/// one near the end of the numbers would begin again at 0, and a log that did is never opened again.
const INDEX_AHEAD: u64 = 1 << 32;
const INDEX_MOST: u64 = 1 << 62;

impl MessageGuard {
    /// A log id that may exist: not so far ahead that no log could have grown there.
    fn reaches(&self, id: &LogId) -> Result<(), String> {
        let last = self.log.last().max(self.machine.applied()).as_ref().map_or(0, LogId::index);
        if id.index() <= INDEX_MOST.min(last.saturating_add(INDEX_AHEAD)) {
            return Ok(());
        }
        Err(format!("{id}, and the last one here is {last}"))
    }

    /// The end of a candidate's log is one that may exist.
    pub fn end(&self, last: Option<&LogId>) -> Result<(), Error> {
        last.map_or(Ok(()), |last| self.reaches(last)).map_err(|why| Error::new(Reason::RaftLogContradicted, why))
    }

    /// What a leader calls committed can stand in one log with what is here: every later leader has a committed entry, so
    /// none of a later term stands at or before it. openraft takes the smaller of this and its own last entry for what to
    /// apply, and would take a smaller term with a greater index for entries that nobody has.
    fn commits(&self, committed: &LogId) -> Result<(), String> {
        self.reaches(committed)?;
        let Some(last) = self.log.last() else { return Ok(()) };
        let own = self.log.log_id(committed.index().min(last.index()));
        match own.filter(|own| own.committed_leader_id().term > committed.committed_leader_id().term) {
            None => Ok(()),
            Some(own) => Err(format!("{committed} as committed, and here is {own}")),
        }
    }

    /// Nothing in an append contradicts what is committed here: a leader has every committed entry, and openraft takes
    /// that for granted (it believes an entry at a committed index to be the one it has).
    pub fn place(&self, request: &AppendEntriesRequest<TypeConfig>) -> Result<(), Error> {
        let contradicted = |why| Error::new(Reason::RaftLogContradicted, why);
        let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
        last.map_or(Ok(()), |last| self.reaches(&last)).map_err(contradicted)?;
        request.leader_commit.map_or(Ok(()), |committed| self.commits(&committed)).map_err(contradicted)?;
        let Some(committed) = self.log.committed().max(self.machine.applied()) else { return Ok(()) };
        let named = request.prev_log_id.into_iter().chain(request.entries.iter().map(|entry| entry.log_id));
        for id in named.take_while(|id| id.index() <= committed.index()) {
            let fits = self.log.log_id(id.index()).map_or(id <= committed, |own| own == id);
            if !fits {
                let detail =
                    format!("{id} under a vote of term {}, committed {committed}", request.vote.leader_id().term);
                return Err(Error::new(Reason::RaftLogContradicted, detail));
            }
        }
        Ok(())
    }

    /// A snapshot's place in the log: openraft panics at one that does not fit.
    pub fn snapshot(&self, vote: &Vote, meta: &SnapshotMeta, state: &RegisterState) -> Result<(), Error> {
        let invalid = |why: &str| Error::new(Reason::SnapshotInvalid, why);
        let last = meta.last_log_id.ok_or_else(|| invalid("no last log id"))?;
        self.reaches(&last).map_err(|why| invalid(&why))?;
        if last.committed_leader_id().term > vote.leader_id().term {
            return Err(invalid("its last entry lies beyond the leader's term"));
        }
        let committed = self.log.committed().max(self.machine.applied());
        if let Some(applied) = self.chain.raft_state()
            && Some(last) > committed
        {
            // What Raft has applied here is agreed on: a snapshot from before it, true as it may be, would take that back.
            snapshot::continues(&applied, state).map_err(|error| invalid(&error.to_string()))?;
        }
        for committed in [self.log.committed(), self.machine.applied()] {
            self.above(last, committed)?;
        }
        let place = meta.last_membership.log_id().as_ref();
        if place.is_none_or(|place| *place > last || place.index() > last.index()) {
            return Err(invalid("its membership lies beyond its last entry"));
        }
        signed_in_time(state, self.machine.membership().as_ref(), meta.last_membership.membership())
            .map_err(|why| Error::new(Reason::RaftMembershipUnsigned, why))
    }

    /// At or below what is committed a snapshot is not installed; above by term and not by index it would be a panic.
    pub fn above(&self, last: LogId, committed: Option<LogId>) -> Result<(), Error> {
        match committed.filter(|committed| last > *committed && last.index() <= committed.index()) {
            None => Ok(()),
            Some(_) => Err(Error::new(Reason::SnapshotInvalid, "it contradicts what is committed here")),
        }
    }
}
