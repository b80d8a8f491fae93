//! What the writer knows without asking the file: counters, streams, the ledger's head. Equal to the last commit.
//!
//! Cheap to clone (the maps share structure): a batch works on a copy, which replaces this one when it has committed.

use sqlx::sqlite::SqliteConnection;

use super::db::{Args, Columns, all, one};
use super::statements;
use crate::audit::{Frontier, Ledger};
use crate::domain::ids::{AuthorityId, Digest, Incarnation};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, StreamClass};
use crate::domain::time::UnixMs;
use crate::rows::InStreamKey;

/// Origin, recipient, class: names a stream in either direction.
pub(crate) type StreamName = (AuthorityId, AuthorityId, StreamClass);

/// An outgoing stream.
#[derive(Clone)]
pub(crate) struct OutState {
    pub id: i64,
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    pub first_unsettled: u64,
    pub next: u64,
    pub held: bool,
    pub attempts: u32,
    pub reason: Option<Reason>,
    pub next_attempt: Option<UnixMs>,
}

/// An incoming stream, without its receipt.
#[derive(Clone)]
pub(crate) struct InState {
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    pub next: u64,
}

impl InState {
    pub fn is(&self, key: &InStreamKey) -> bool {
        self.origin_incarnation == key.origin_incarnation && self.recipient_incarnation == key.recipient_incarnation
    }
}

/// The writer's knowledge.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub publication: u64,
    pub delivery: u64,
    pub position: u64,
    pub slot: u64,
    pub streams: i64,
    pub ledger: Ledger,
    pub out: imbl::HashMap<StreamName, OutState>,
    pub ins: imbl::HashMap<StreamName, InState>,
    /// Targets that hidden records may be waiting for; never too few.
    pub awaited: imbl::HashSet<RecordKey>,
}

impl State {
    /// Reads it from the file.
    pub async fn load(conn: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut state = Self::load_counters(conn).await?;
        state.load_streams(conn).await?;
        Ok(state)
    }

    /// Counters and ledger alone, which stand in a file of any version.
    pub async fn load_counters(conn: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let head = one(&mut *conn, &statements::HEAD_GET, Args::new()).await?.ok_or(sqlx::Error::RowNotFound)?;
        let frontier = Frontier::from_bytes(head.number(4)?, &head.blob(6)?);
        let frontier = head.value(6, frontier)?;
        let root = head.value(5, Digest::from_slice(&head.blob(5)?))?;
        head.value(5, (frontier.root() == root).then_some(()))?;
        Ok(Self {
            publication: head.number(0)?,
            delivery: head.number(1)?,
            position: head.number(2)?,
            slot: head.number(3)?,
            ledger: Ledger { frontier, time: head.time(7)? },
            ..Self::default()
        })
    }

    async fn load_streams(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for row in all(&mut *conn, &statements::OUT_STREAM_ALL, Args::new()).await? {
            let id = row.int(0)?;
            let stream = OutState {
                id,
                origin_incarnation: Incarnation(row.number(4)?),
                recipient_incarnation: Incarnation(row.number(5)?),
                first_unsettled: row.number(6)?,
                next: row.number(7)?,
                held: row.int(8)? != 0,
                attempts: row.value(9, u32::try_from(row.int(9)?).ok())?,
                reason: row.reason(10)?,
                next_attempt: row.time_or_none(11)?,
            };
            self.streams = self.streams.max(id);
            self.out.insert(stream_name(&row, 1)?, stream);
        }
        for row in all(&mut *conn, &statements::IN_STREAM_ALL, Args::new()).await? {
            let stream = InState {
                origin_incarnation: Incarnation(row.number(3)?),
                recipient_incarnation: Incarnation(row.number(4)?),
                next: row.number(5)?,
            };
            self.ins.insert(stream_name(&row, 0)?, stream);
        }
        for row in all(&mut *conn, &statements::HIDDEN_INBOX_TARGETS, Args::new()).await? {
            self.awaited.extend(row.key_or_none(0)?);
        }
        Ok(())
    }

    /// Values of the statement that writes counters and the ledger's head.
    pub fn head(&self) -> Args {
        let frontier = &self.ledger.frontier;
        Args::new()
            .with(self.publication)
            .with(self.delivery)
            .with(self.position)
            .with(self.slot)
            .with(frontier.size())
            .with(frontier.root().0.as_slice())
            .with(frontier.to_bytes().as_slice())
            .with(self.ledger.time)
    }
}

/// Three columns: origin, recipient, class.
pub(crate) fn stream_name(row: &impl Columns, column: usize) -> Result<StreamName, sqlx::Error> {
    let class = row.value(column + 2, StreamClass::from_code(row.code(column + 2)?))?;
    Ok((row.authority(column)?, row.authority(column + 1)?, class))
}
