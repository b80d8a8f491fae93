//! The writer: takes what waits in the queue, commits it as one, answers in order.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use redb::{Database, Durability, Key, Table, TableDefinition, Value, WriteTransaction};

use super::{CHANGES, Done, KEPT, LOG, META, OVERLAY, SNAPSHOTS, Write};
use crate::domain::ids::Digest;

/// Writes taken into one commit.
const BATCH: usize = 1_024;
/// After this long without another write, what asked for no fsync gets one.
const IDLE: Duration = Duration::from_millis(50);
/// Bytes of the checksum in front of each row.
pub(super) const SUM: usize = 8;

pub(super) enum Op {
    Write { writes: Vec<Write>, sync: bool, done: Option<Done> },
    Close(Done),
}

pub(super) fn ended() -> io::Error {
    io::Error::other("the register's writer has ended")
}

pub(super) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

/// A row with the first bytes of its SHA-256 in front: a row that rotted is found when it is read, not believed.
pub(super) fn seal_row(value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(SUM + value.len());
    row.extend_from_slice(&Digest::of(value).0[..SUM]);
    row.extend_from_slice(value);
    row
}

pub(super) fn open_row(row: &[u8]) -> io::Result<&[u8]> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a row of the register's file does not verify");
    let (sum, value) = row.split_at_checked(SUM).ok_or_else(damaged)?;
    if Digest::of(value).0[..SUM] == *sum { Ok(value) } else { Err(damaged()) }
}

/// Writes that were taken from the queue and are not committed yet.
#[derive(Default)]
struct Group {
    ops: Vec<(Vec<Write>, Option<Done>)>,
    sync: bool,
    closed: Option<Done>,
}

impl Group {
    fn take(&mut self, op: Op) {
        match op {
            Op::Close(done) => self.closed = Some(done),
            Op::Write { writes, sync, done } => {
                self.sync |= sync;
                self.ops.push((writes, done));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.ops.len() >= BATCH || self.closed.is_some()
    }

    fn commit(&mut self, db: &Database, broken: &mut Option<String>) {
        let writes = self.ops.iter().flat_map(|(writes, _)| writes);
        if broken.is_none()
            && let Err(error) = commit(db, writes, self.sync)
        {
            tracing::error!(%error, "the register's file cannot be written");
            *broken = Some(error.to_string());
        }
        for done in self.ops.drain(..).filter_map(|(_, done)| done) {
            done(answer(broken.as_deref()));
        }
        self.sync = false;
    }
}

/// What asks for no fsync waits for the next write that does, and shares its commit; when nothing more comes it gets
/// one of its own.
pub(super) fn write_loop(db: Arc<Database>, ops: &mpsc::Receiver<Op>) {
    let mut broken: Option<String> = None;
    let mut held = Group::default();
    while held.closed.is_none() {
        let next = if held.ops.is_empty() {
            ops.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        } else {
            ops.recv_timeout(IDLE)
        };
        match next {
            Ok(op) => held.take(op),
            Err(mpsc::RecvTimeoutError::Timeout) => held.sync = true,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        while !held.is_full()
            && let Ok(op) = ops.try_recv()
        {
            held.take(op);
        }
        if held.sync || held.is_full() {
            held.commit(&db, &mut broken);
        }
    }
    // The last commit brings everything to disk that was committed without an fsync before.
    held.sync = true;
    held.commit(&db, &mut broken);
    drop(db);
    if let Some(done) = held.closed {
        done(answer(broken.as_deref()));
    }
}

fn answer(broken: Option<&str>) -> io::Result<()> {
    broken.map_or(Ok(()), |why| Err(io::Error::other(why.to_owned())))
}

pub(super) fn commit<'a>(db: &Database, writes: impl Iterator<Item = &'a Write>, sync: bool) -> io::Result<()> {
    let mut transaction = db.begin_write().map_err(failed)?;
    transaction.set_durability(if sync { Durability::Immediate } else { Durability::None }).map_err(failed)?;
    write_all(&transaction, writes)?;
    transaction.commit().map_err(failed)
}

/// Makes every table, so that reading finds them.
pub(super) fn create_tables(db: &Database) -> io::Result<()> {
    let transaction = db.begin_write().map_err(failed)?;
    {
        let mut tables = Tables::of(&transaction);
        tables.log()?;
        tables.changes()?;
        tables.meta()?;
        tables.snapshots()?;
        tables.overlay()?;
        tables.kept()?;
    }
    transaction.commit().map_err(failed)
}

/// The tables of one commit, each opened when it is first written to: an open table costs, and most commits need two.
struct Tables<'t> {
    transaction: &'t WriteTransaction,
    log: Option<Table<'t, u64, &'static [u8]>>,
    changes: Option<Table<'t, u64, &'static [u8]>>,
    meta: Option<Table<'t, &'static str, &'static [u8]>>,
    snapshots: Option<Table<'t, u64, &'static [u8]>>,
    overlay: Option<Table<'t, &'static [u8], &'static [u8]>>,
    kept: Option<Table<'t, &'static [u8], &'static [u8]>>,
}

fn opened<'s, 't, K: Key + 'static, V: Value + 'static>(
    slot: &'s mut Option<Table<'t, K, V>>,
    transaction: &'t WriteTransaction,
    table: TableDefinition<'static, K, V>,
) -> io::Result<&'s mut Table<'t, K, V>> {
    match slot {
        Some(table) => Ok(table),
        empty => Ok(empty.insert(transaction.open_table(table).map_err(failed)?)),
    }
}

impl<'t> Tables<'t> {
    fn of(transaction: &'t WriteTransaction) -> Self {
        Self { transaction, log: None, changes: None, meta: None, snapshots: None, overlay: None, kept: None }
    }

    fn log(&mut self) -> io::Result<&mut Table<'t, u64, &'static [u8]>> {
        opened(&mut self.log, self.transaction, LOG)
    }

    fn changes(&mut self) -> io::Result<&mut Table<'t, u64, &'static [u8]>> {
        opened(&mut self.changes, self.transaction, CHANGES)
    }

    fn meta(&mut self) -> io::Result<&mut Table<'t, &'static str, &'static [u8]>> {
        opened(&mut self.meta, self.transaction, META)
    }

    fn snapshots(&mut self) -> io::Result<&mut Table<'t, u64, &'static [u8]>> {
        opened(&mut self.snapshots, self.transaction, SNAPSHOTS)
    }

    fn overlay(&mut self) -> io::Result<&mut Table<'t, &'static [u8], &'static [u8]>> {
        opened(&mut self.overlay, self.transaction, OVERLAY)
    }

    fn kept(&mut self) -> io::Result<&mut Table<'t, &'static [u8], &'static [u8]>> {
        opened(&mut self.kept, self.transaction, KEPT)
    }
}

fn write_all<'a>(transaction: &WriteTransaction, writes: impl Iterator<Item = &'a Write>) -> io::Result<()> {
    let mut tables = Tables::of(transaction);
    for write in writes {
        match write {
            Write::Append(rows) => {
                for (index, value) in rows {
                    tables.log()?.insert(index, seal_row(value).as_slice()).map_err(failed)?;
                }
            }
            Write::TruncateFrom(index) => tables.log()?.retain_in(*index.., |_, _| false).map_err(failed)?,
            Write::PurgeTo(index) => tables.log()?.retain_in(..=*index, |_, _| false).map_err(failed)?,
            Write::Set(key, value) => {
                tables.meta()?.insert(key.key(), seal_row(value).as_slice()).map_err(failed)?;
            }
            Write::Unset(key) => {
                tables.meta()?.remove(key.key()).map_err(failed)?;
            }
            Write::Change(number, value) => {
                tables.changes()?.insert(number, seal_row(value).as_slice()).map_err(failed)?;
            }
            Write::DropChangesBelow(number) => {
                tables.changes()?.retain_in(..*number, |_, _| false).map_err(failed)?;
            }
            Write::DropChangesFrom(number) => {
                tables.changes()?.retain_in(*number.., |_, _| false).map_err(failed)?;
            }
            Write::Snapshot(slot, header, chunks) => {
                let snapshots = tables.snapshots()?;
                snapshots.retain_in(slot.range(), |_, _| false).map_err(failed)?;
                for (place, row) in (slot.first()..).zip(std::iter::once(header).chain(chunks)) {
                    snapshots.insert(place, seal_row(row).as_slice()).map_err(failed)?;
                }
            }
            Write::DropSnapshot(slot) => {
                tables.snapshots()?.retain_in(slot.range(), |_, _| false).map_err(failed)?;
            }
            Write::Overlay(id, value) => {
                tables.overlay()?.insert(id.as_slice(), seal_row(value).as_slice()).map_err(failed)?;
            }
            Write::DropOverlay(id) => {
                tables.overlay()?.remove(id.as_slice()).map_err(failed)?;
            }
            Write::Keep(kind, key, value) => {
                tables.kept()?.insert(kind.key(key).as_slice(), seal_row(value).as_slice()).map_err(failed)?;
            }
            Write::DropKept(kind, key) => {
                tables.kept()?.remove(kind.key(key).as_slice()).map_err(failed)?;
            }
            Write::DropAllKept(kind) => {
                let (first, end) = ([*kind as u8], [*kind as u8 + 1]);
                tables.kept()?.retain_in(&first[..]..&end[..], |_, _| false).map_err(failed)?;
            }
        }
    }
    Ok(())
}
