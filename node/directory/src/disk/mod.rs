//! The register's own file: one redb database, one writer thread, one ordered queue.
//!
//! Everything that the directory keeps goes through this queue in order, so a vote, an append, a truncation and the
//! state that came of them can never overtake each other. What waits together is committed together: one fsync for all.
//! A write that asks for `sync` is on disk before its answer; one that does not is on disk with the next that does (what
//! it holds is replayed from the log if it is lost). After a commit that failed nothing is written any more: what is on
//! disk is then unknown, and the node must start again from it.

mod write;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use write::{Op, create_tables, ended, failed, open_row, write_loop};

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const CHANGES: TableDefinition<u64, &[u8]> = TableDefinition::new("changes");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Key: slot × 2^32 + place; place 0 is the header, items follow.
const SNAPSHOTS: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshots");
const OVERLAY: TableDefinition<&[u8], &[u8]> = TableDefinition::new("overlay");
/// Key: what it is (`Kept`), then its own key.
const KEPT: TableDefinition<&[u8], &[u8]> = TableDefinition::new("kept");

/// Pages that redb may keep in memory. The log's tail is kept by us; this is for its trees.
const CACHE_BYTES: usize = 4 << 20;

/// A single value of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// The genesis statement.
    Genesis,
    /// This node's Raft vote.
    Vote,
    /// The last log id that was purged.
    Purged,
    /// How far the log is applied.
    Applied,
    /// The Raft id of this enrolment.
    RaftId,
    /// Raft has gone on without that id.
    Left,
    /// The highest founding that was signed here: Raft was left before.
    Pledge,
    /// The Raft id under which this node would take part in a founding.
    Offered,
    /// When a majority of stewards was last heard, and believed.
    Heard,
}

impl Meta {
    const fn key(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Vote => "vote",
            Self::Purged => "purged",
            Self::Applied => "applied",
            Self::RaftId => "raft-id",
            Self::Left => "left",
            Self::Pledge => "pledge",
            Self::Offered => "offered",
            Self::Heard => "heard",
        }
    }
}

/// What is kept for the day on which the order has to begin anew (9.15), beside the register itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kept {
    /// A founding, by its id.
    Founding = 1,
    /// One that a person decided for.
    Chosen = 2,
    /// A statement from above a base, in its order: it is to be proposed again.
    Above = 3,
    /// Whom such a statement denies, and until when.
    Denied = 4,
    /// A steward's newest beat.
    Beat = 5,
    /// A set of stewards that was in force.
    Stewards = 6,
    /// A key that was withdrawn, with the statement that did so; above a base: with nothing.
    Withdrawn = 7,
}

impl Kept {
    fn key(self, key: &[u8]) -> Vec<u8> {
        [&[self as u8], key].concat()
    }
}

/// Which of the snapshots is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Taken or installed at a place of the Raft log.
    Raft = 0,
    /// Taken while following.
    Mirror = 1,
    /// What the newest founding made of its base: where the log of its stewards begins.
    Founding = 2,
}

impl Slot {
    const fn first(self) -> u64 {
        (self as u64) << 32
    }

    fn range(self) -> std::ops::Range<u64> {
        self.first()..self.first() + (1 << 32)
    }
}

/// One change to the file.
#[derive(Debug)]
pub enum Write {
    Append(Vec<(u64, Vec<u8>)>),
    /// Everything at and after the index goes.
    TruncateFrom(u64),
    /// Everything up to and including the index goes.
    PurgeTo(u64),
    Set(Meta, Vec<u8>),
    Unset(Meta),
    Change(u64, Vec<u8>),
    /// Changes below the number go.
    DropChangesBelow(u64),
    /// Changes at and above the number go.
    DropChangesFrom(u64),
    /// Replaces the slot's snapshot: header, then chunks of items.
    Snapshot(Slot, Vec<u8>, Vec<Vec<u8>>),
    DropSnapshot(Slot),
    Overlay([u8; 32], Vec<u8>),
    DropOverlay([u8; 32]),
    Keep(Kept, Vec<u8>, Vec<u8>),
    DropKept(Kept, Vec<u8>),
    DropAllKept(Kept),
}

/// A snapshot as it is stored: header, then pieces of items.
pub type StoredRows = (Vec<u8>, Vec<Vec<u8>>);

/// How long another opening of this process may take to end.
const LETTING_GO: std::time::Duration = std::time::Duration::from_secs(1);

/// Told when a write is committed, or why it is not.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The open file; clones share it. The writer ends when the last clone is gone, or when one closes it.
#[derive(Clone)]
pub struct Disk {
    queue: mpsc::Sender<Op>,
    /// `None`: closed.
    db: Arc<RwLock<Option<Arc<Database>>>>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    /// Opens or creates the file and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened, is not ours, or is open in another process.
    pub fn open(path: &Path) -> io::Result<Self> {
        let db = Arc::new(Self::create(path)?);
        create_tables(&db)?;
        let (queue, ops) = mpsc::channel();
        let writer = Arc::clone(&db);
        std::thread::Builder::new().name("register-disk".into()).spawn(move || write_loop(writer, &ops))?;
        Ok(Self { queue, db: Arc::new(RwLock::new(Some(db))) })
    }

    /// A writer whose last clone is gone lets go of the file a moment later: that moment is waited for.
    fn create(path: &Path) -> io::Result<Database> {
        let started = std::time::Instant::now();
        loop {
            match Database::builder().set_cache_size(CACHE_BYTES).create(path) {
                Err(redb::DatabaseError::DatabaseAlreadyOpen) if started.elapsed() < LETTING_GO => {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                created => return created.map_err(failed),
            }
        }
    }

    /// Writes what is queued, and lets go of the file, whoever still holds a clone. Reads and writes fail from now on.
    ///
    /// # Errors
    /// When the last commit failed.
    pub async fn close(&self) -> io::Result<()> {
        self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let done: Done = Box::new(move |result| drop(sender.send(result)));
        self.queue.send(Op::Close(done)).map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())?
    }

    /// As `close`, for a thread that may wait.
    ///
    /// # Errors
    /// As `close`.
    pub fn close_blocking(&self) -> io::Result<()> {
        self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        let (sender, receiver) = mpsc::channel();
        self.queue.send(Op::Close(Box::new(move |result| drop(sender.send(result))))).map_err(|_| ended())?;
        receiver.recv().map_err(|_| ended())?
    }

    fn db(&self) -> io::Result<Arc<Database>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(ended)
    }

    /// Queues writes that are committed as one; `done` is told in the order of the queue.
    ///
    /// # Errors
    /// When the writer has ended.
    pub fn submit(&self, writes: Vec<Write>, sync: bool, done: Option<Done>) -> io::Result<()> {
        self.queue.send(Op::Write { writes, sync, done }).map_err(|_| ended())
    }

    /// Writes and waits until it is on disk.
    ///
    /// # Errors
    /// When the commit failed.
    pub async fn write(&self, writes: Vec<Write>) -> io::Result<()> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let done: Done = Box::new(move |result| drop(sender.send(result)));
        self.submit(writes, true, Some(done))?;
        receiver.await.map_err(|_| ended())?
    }

    /// A single value.
    ///
    /// # Errors
    /// When the file cannot be read, or the row does not verify.
    pub fn meta(&self, key: Meta) -> io::Result<Option<Vec<u8>>> {
        let read = self.db()?.begin_read().map_err(failed)?;
        let table = read.open_table(META).map_err(failed)?;
        table.get(key.key()).map_err(failed)?.map(|row| open_row(row.value()).map(<[u8]>::to_vec)).transpose()
    }

    /// The whole log, in order.
    ///
    /// # Errors
    /// As for `meta`.
    pub fn log(&self) -> io::Result<Vec<(u64, Vec<u8>)>> {
        self.rows(LOG, 0..u64::MAX, usize::MAX)
    }

    /// Changes from a number on, as many as fit into `bytes`, at least one if there is one.
    ///
    /// # Errors
    /// As for `meta`.
    pub fn changes(&self, from: u64, bytes: usize) -> io::Result<Vec<(u64, Vec<u8>)>> {
        self.rows(CHANGES, from..u64::MAX, bytes)
    }

    /// A snapshot's header and its chunks of items.
    ///
    /// # Errors
    /// As for `meta`.
    pub fn snapshot(&self, slot: Slot) -> io::Result<Option<StoredRows>> {
        let mut rows = self.rows(SNAPSHOTS, slot.range(), usize::MAX)?.into_iter().map(|(_, row)| row);
        Ok(rows.next().map(|header| (header, rows.collect())))
    }

    /// Every overlay statement.
    ///
    /// # Errors
    /// As for `meta`.
    pub fn overlay(&self) -> io::Result<Vec<Vec<u8>>> {
        let read = self.db()?.begin_read().map_err(failed)?;
        let table = read.open_table(OVERLAY).map_err(failed)?;
        let rows = table.iter().map_err(failed)?;
        rows.map(|row| open_row(row.map_err(failed)?.1.value()).map(<[u8]>::to_vec)).collect()
    }

    /// Everything of a kind that is kept, by its own key.
    ///
    /// # Errors
    /// As for `meta`.
    pub fn kept(&self, kind: Kept) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let read = self.db()?.begin_read().map_err(failed)?;
        let table = read.open_table(KEPT).map_err(failed)?;
        let (first, end) = ([kind as u8], [kind as u8 + 1]);
        let mut out = Vec::new();
        for row in table.range(&first[..]..&end[..]).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            out.push((key.value()[1..].to_vec(), open_row(value.value())?.to_vec()));
        }
        Ok(out)
    }

    fn rows(
        &self,
        table: TableDefinition<u64, &[u8]>,
        range: std::ops::Range<u64>,
        bytes: usize,
    ) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let read = self.db()?.begin_read().map_err(failed)?;
        let table = read.open_table(table).map_err(failed)?;
        let mut out = Vec::new();
        let mut size = 0_usize;
        for row in table.range(range).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            let value = open_row(value.value())?;
            size = size.saturating_add(value.len());
            if size > bytes && !out.is_empty() {
                break;
            }
            out.push((key.value(), value.to_vec()));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::write::{SUM, seal_row};
    use super::*;

    #[tokio::test]
    async fn what_was_answered_is_there_after_a_drop_without_close() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.redb");
        let disk = Disk::open(&path).unwrap();
        disk.submit(vec![Write::Change(1, b"unsynced".to_vec())], false, None).unwrap();
        disk.write(vec![Write::Set(Meta::Vote, b"vote".to_vec()), Write::Append(vec![(3, b"entry".to_vec())])])
            .await
            .unwrap();
        let killed = dir.path().join("killed.redb");
        std::fs::copy(&path, &killed).unwrap();
        let disk = Disk::open(&killed).unwrap();
        assert_eq!(disk.meta(Meta::Vote).unwrap().unwrap(), b"vote");
        assert_eq!(disk.log().unwrap(), vec![(3, b"entry".to_vec())]);
        assert_eq!(disk.changes(0, 1).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_snapshot_replaces_the_slot_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("directory.redb")).unwrap();
        let chunks = vec![b"a".to_vec(), b"b".to_vec()];
        disk.write(vec![Write::Snapshot(Slot::Raft, b"h".to_vec(), chunks)]).await.unwrap();
        disk.write(vec![Write::Snapshot(Slot::Mirror, b"m".to_vec(), vec![])]).await.unwrap();
        disk.write(vec![Write::Snapshot(Slot::Raft, b"h2".to_vec(), vec![b"c".to_vec()])]).await.unwrap();
        assert_eq!(disk.snapshot(Slot::Raft).unwrap().unwrap(), (b"h2".to_vec(), vec![b"c".to_vec()]));
        assert_eq!(disk.snapshot(Slot::Mirror).unwrap().unwrap(), (b"m".to_vec(), vec![]));
    }

    #[test]
    fn a_damaged_row_is_found() {
        let mut row = seal_row(b"value");
        assert_eq!(open_row(&row).unwrap(), b"value");
        row[SUM] ^= 1;
        assert!(open_row(&row).is_err());
        assert!(open_row(b"short").is_err());
    }

    #[tokio::test]
    async fn a_closed_file_can_be_opened_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.redb");
        let disk = Disk::open(&path).unwrap();
        disk.submit(vec![Write::Change(1, b"unsynced".to_vec())], false, None).unwrap();
        disk.close().await.unwrap();
        assert!(disk.write(vec![Write::TruncateFrom(0)]).await.is_err());
        assert!(disk.log().is_err());
        assert_eq!(Disk::open(&path).unwrap().changes(0, 1).unwrap().len(), 1);
    }
}
