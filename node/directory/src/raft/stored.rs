//! What Raft has stored here, read and changed while no instance runs.

use std::io;

use bytes::Bytes;
use havenlink_proto::store::v1::StoredPosition;
use prost::Message;

use super::convert;
use super::log_store::LogStore;
use super::types::{Entry, LogId, Membership, Payload, SnapshotMeta, StoredMembership};
use crate::disk::{Disk, Meta, Slot, Write};

/// Forgets this node's Raft: for a new enrolment under a new Raft id.
pub fn forgotten() -> Vec<Write> {
    vec![
        Write::TruncateFrom(0),
        Write::DropSnapshot(Slot::Raft),
        Write::Unset(Meta::Applied),
        Write::Unset(Meta::Vote),
        Write::Unset(Meta::Purged),
        Write::Unset(Meta::RaftId),
        Write::Unset(Meta::Left),
    ]
}

/// Forgets what of Raft belongs to an order that has ended, and takes the Raft id of the next one.
pub fn ended(raft_id: u64) -> Vec<Write> {
    let mut writes = forgotten();
    writes.push(Write::Set(Meta::RaftId, raft_id.to_be_bytes().to_vec()));
    writes
}

/// Statements that stand in the log and were not applied: whether they were agreed on nobody here can tell.
///
/// # Errors
/// When the file cannot be read.
pub fn unapplied(disk: &Disk) -> io::Result<Vec<Bytes>> {
    let log = LogStore::open(disk.clone())?;
    let applied = position(disk)?.last_log_id.as_ref().map(LogId::index);
    let entries = log.unapplied(applied, log.last().as_ref().map(LogId::index));
    let statement = |entry: Entry| match entry.payload {
        Payload::Normal(command) => Some(command.signed),
        _ => None,
    };
    Ok(entries.into_iter().filter_map(statement).collect())
}

/// Raft has gone on without this id, although nothing that is stored here says so: it is one that may be forgotten.
pub fn left() -> Vec<Write> {
    vec![Write::Set(Meta::Left, Vec::new())]
}

/// Whether Raft counts this id's vote, by the newest membership that is stored here. What the register has decided is
/// another thing: until Raft has moved on, others may have no quorum without this one.
///
/// # Errors
/// When the file cannot be read. A log that does not verify never votes again: then the answer is no.
pub fn counts(disk: &Disk, raft_id: u64) -> io::Result<bool> {
    if disk.meta(Meta::Left)?.is_some() {
        return Ok(false);
    }
    let membership = LogStore::open(disk.clone()).and_then(|log| {
        let newest = log.membership_at(log.last().as_ref().map(LogId::index)).map(|(_, membership)| membership);
        Ok(newest.or(applied(&position(disk)?.last_membership)))
    });
    match membership {
        Ok(membership) => Ok(membership.is_some_and(|membership| membership.voter_ids().any(|id| id == raft_id))),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where the log was applied to, and the membership there.
///
/// # Errors
/// When the row does not decode.
pub fn position(disk: &Disk) -> io::Result<SnapshotMeta> {
    let Some(row) = disk.meta(Meta::Applied)? else { return Ok(SnapshotMeta::default()) };
    let stored = StoredPosition::decode(row.as_slice()).map_err(|error| damaged(&error))?;
    convert::meta_from(stored.meta).map_err(|error| damaged(&error))
}

/// A membership as applied; `None` before the first one.
pub fn applied(membership: &StoredMembership) -> Option<Membership> {
    membership.log_id().is_some().then(|| membership.membership().clone())
}

pub(super) fn damaged(error: &impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
