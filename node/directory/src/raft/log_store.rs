//! The Raft log: on disk through the one ordered writer, its unpurged tail in memory for reads.
//!
//! Votes and appends are on disk before their callback (9.4); entries are readable as soon as `append` returns. The tail
//! is never long: the log is purged below every snapshot that a majority has signed.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use prost::Message;
use tokio::sync::watch;

use havenlink_proto::raft::v1 as proto;

use super::convert;
use super::types::{Entry, LogId, Membership, Payload, TypeConfig, Vote};
use crate::disk::{Disk, Done, Meta, Write};
use crate::domain::time::UnixMs;

#[derive(Debug, Default)]
struct Tail {
    entries: VecDeque<Entry>,
    purged: Option<LogId>,
    committed: Option<LogId>,
    vote: Option<Vote>,
}

impl Tail {
    fn first(&self) -> u64 {
        self.entries.front().map_or_else(|| self.purged.map_or(0, |id| id.index() + 1), RaftEntry::index)
    }

    fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    fn place(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first())?).ok().filter(|place| *place < self.entries.len())
    }

    /// How many entries stand at or below an index.
    fn count_to(&self, index: u64) -> usize {
        let count = index.saturating_add(1).saturating_sub(self.first());
        usize::try_from(count).unwrap_or(usize::MAX).min(self.entries.len())
    }

    fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(self.place(index)?)
    }

    fn truncate_from(&mut self, index: u64) {
        let keep = index.saturating_sub(self.first());
        self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    fn purge_to(&mut self, id: LogId) {
        while self.entries.front().is_some_and(|entry| entry.index() <= id.index()) {
            self.entries.pop_front();
        }
        self.purged = Some(id);
    }
}

/// The log store; clones share it, and serve as its readers.
#[derive(Clone, Debug)]
pub struct LogStore {
    disk: Disk,
    tail: Arc<RwLock<Tail>>,
    /// Told when the tail grew.
    grown: watch::Sender<u64>,
}

impl LogStore {
    /// Reads what is on disk.
    ///
    /// # Errors
    /// When a row does not verify or does not decode, or rows are missing within the log: then this Raft id must not
    /// vote again (a lost log is undefined behaviour), and the node enrols under a new one.
    pub fn open(disk: Disk) -> io::Result<Self> {
        let mut tail = Tail {
            purged: read::<proto::LogId>(&disk, Meta::Purged)?.map(convert::log_id_from),
            committed: None,
            vote: read::<proto::Vote>(&disk, Meta::Vote)?
                .map(|vote| convert::vote_from(Some(vote)).map_err(damaged))
                .transpose()?,
            entries: VecDeque::new(),
        };
        for (index, row) in disk.log()? {
            let entry = proto::Entry::decode(row.as_slice()).map_err(damaged)?;
            let entry = convert::entry_from(entry).map_err(damaged)?;
            let expected = tail.last().map_or(0, |id| id.index() + 1);
            if entry.index() != index || index != expected {
                return Err(damaged(format!("log entry {expected} is missing")));
            }
            tail.entries.push_back(entry);
        }
        let last = tail.last().map_or(0, |id| id.index());
        Ok(Self { disk, tail: Arc::new(RwLock::new(tail)), grown: watch::Sender::new(last) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log id at an index that is still in the log (or was purged last).
    pub fn log_id(&self, index: u64) -> Option<LogId> {
        let tail = self.read();
        tail.get(index).map(|entry| entry.log_id).or_else(|| tail.purged.filter(|id| id.index() == index))
    }

    /// The last log id.
    pub fn last(&self) -> Option<LogId> {
        self.read().last()
    }

    /// The last log id known to be committed here.
    pub fn committed(&self) -> Option<LogId> {
        self.read().committed
    }

    /// The vote on disk.
    pub fn vote(&self) -> Option<Vote> {
        self.read().vote
    }

    /// Entries after `applied` up to and including `upto`, oldest first.
    pub fn unapplied(&self, applied: Option<u64>, upto: Option<u64>) -> Vec<Entry> {
        let tail = self.read();
        let after = |index: Option<u64>| index.map_or(0, |index| index.saturating_add(1));
        let (from, upto) = (after(applied), after(upto).min(after(tail.last().as_ref().map(LogId::index))));
        (from..upto).filter_map(|index| tail.get(index).cloned()).collect()
    }

    /// The newest membership at or below the index that is still in the log.
    pub fn membership_at(&self, upto: Option<u64>) -> Option<(LogId, Membership)> {
        let tail = self.read();
        tail.entries.range(..tail.count_to(upto?)).rev().find_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.log_id, membership.clone())),
            _ => None,
        })
    }

    /// The time of the newest statement up to and including this very entry. `None` when the log does not have the entry,
    /// or has another in its place, or keeps nothing from before it: then nothing here says what may follow it.
    pub fn time_at(&self, id: LogId) -> Option<UnixMs> {
        let tail = self.read();
        tail.get(id.index()).filter(|own| own.log_id == id)?;
        tail.entries.range(..tail.count_to(id.index())).rev().find_map(|entry| match &entry.payload {
            Payload::Normal(command) => Some(command.entry_time),
            _ => None,
        })
    }

    /// Tells of growth; the value is the last index.
    pub fn growth(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    async fn synced(&self, write: Write) -> io::Result<()> {
        self.disk.write(vec![write]).await
    }
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn read<M: Message + Default>(disk: &Disk, key: Meta) -> io::Result<Option<M>> {
    disk.meta(key)?.map(|row| M::decode(row.as_slice()).map_err(damaged)).transpose()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        let tail = self.read();
        let first = tail.first();
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => first,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let skip = usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX).min(tail.entries.len());
        let stop = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX).clamp(skip, tail.entries.len());
        Ok(tail.entries.range(skip..stop).cloned().collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let tail = self.read();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.synced(Write::Set(Meta::Vote, convert::vote_to(vote).encode_to_vec())).await?;
        self.write().vote = Some(*vote);
        Ok(())
    }

    /// Kept in memory only: the position that the state machine writes with its changes says the same after a restart.
    ///
    /// openraft asks before it applies up to there, and takes the entries that it gets for those it asked for: an id that
    /// is not in the log, however it came about, would end as entries that the register lacks for good. So it ends here.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut tail = self.write();
        if let Some(id) = committed
            && tail.get(id.index()).is_none_or(|own| own.log_id != id)
        {
            return Err(damaged(format!("{id} is called committed, and is not in the log")));
        }
        tail.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.committed())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut rows = Vec::new();
        let last = {
            let mut tail = self.write();
            for entry in entries {
                rows.push((entry.index(), convert::entry_to(&entry).encode_to_vec()));
                tail.entries.push_back(entry);
            }
            tail.last().map_or(0, |id| id.index())
        };
        self.grown.send_replace(last);
        let done: Done = Box::new(move |result| callback.io_completed(result));
        self.disk.submit(vec![Write::Append(rows)], true, Some(done))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index() + 1);
        self.write().truncate_from(from);
        self.synced(Write::TruncateFrom(from)).await
    }

    /// The purge commits after, and with an fsync of, whatever state was queued before it: never above a synced applied
    /// index.
    async fn purge(&mut self, id: LogId) -> io::Result<()> {
        let row = convert::log_id_to(&id).encode_to_vec();
        self.disk.write(vec![Write::PurgeTo(id.index()), Write::Set(Meta::Purged, row)]).await?;
        self.write().purge_to(id);
        Ok(())
    }
}
