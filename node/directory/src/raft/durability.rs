//! A door for the power-cut harness: votes and appends through the real log store and its one ordered writer, without a
//! running Raft. Nothing in the node uses it.

use std::io;
use std::path::Path;

use bytes::Bytes;
use openraft::RaftLogReader;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use tokio::sync::Mutex;

use super::log_store::LogStore;
use super::types::{Command, Entry, LogId, Payload, TypeConfig, Vote};
use crate::disk::Disk;
use crate::domain::time::UnixMs;

/// The node that votes.
const VOTER: u64 = 1;

/// The register's log, opened as a steward opens it.
pub struct RegisterLog {
    /// openraft appends in order, one call after the other, and does not wait for the disk in between.
    log: Mutex<LogStore>,
}

impl RegisterLog {
    /// Opens or creates the register's file.
    ///
    /// # Errors
    /// As the log store: a row that does not verify, a hole in the log.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { log: Mutex::new(LogStore::open(Disk::open(path)?)?) })
    }

    /// Votes in a term, as openraft does before it answers a candidate.
    ///
    /// # Errors
    /// When it may not be on disk.
    pub async fn vote(&self, term: u64) -> io::Result<()> {
        let mut log = self.log.lock().await.clone();
        log.save_vote(&Vote::new(term, VOTER)).await
    }

    /// Appends the next entry and waits, beside other appends, until it is on disk. Answers its index.
    ///
    /// # Errors
    /// When it may not be on disk.
    pub async fn append(&self, signed: impl FnOnce(u64) -> Bytes) -> io::Result<u64> {
        let (flushed, told) = TypeConfig::oneshot();
        let index = {
            let mut log = self.log.lock().await;
            let index = log.last().map_or(0, |id| id.index() + 1);
            let term = log.vote().map_or(1, |vote| vote.leader_id().term);
            let command = Command { entry_time: UnixMs(0), signed: signed(index) };
            let entry = Entry { log_id: LogId::new_term_index(term, index), payload: Payload::Normal(command) };
            log.append([entry], IOFlushed::signal(flushed)).await?;
            index
        };
        told.await.map_err(io::Error::other)??;
        Ok(index)
    }

    /// The stored vote's term; 0 if there is none.
    pub async fn term(&self) -> u64 {
        self.log.lock().await.vote().map_or(0, |vote| vote.leader_id().term)
    }

    /// Every stored entry: index and what was appended.
    ///
    /// # Errors
    /// When an entry is of another sort.
    pub async fn entries(&self) -> io::Result<Vec<(u64, Bytes)>> {
        let entries = self.log.lock().await.try_get_log_entries(0..).await?;
        let command = |entry: Entry| match entry.payload {
            Payload::Normal(ref command) => Ok((entry.index(), command.signed.clone())),
            _ => Err(io::Error::other("not an entry of the harness")),
        };
        entries.into_iter().map(command).collect()
    }
}
