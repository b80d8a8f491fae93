//! What the writer knows without asking the file: counters, streams, the ledger's head. Equal to the last commit.
//!
//! Cheap to clone (the maps share structure): a batch works on a copy, which replaces this one when it has committed.

use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::db::{Args, Columns, all, failed, note, one, readable};
use super::statements;
use crate::audit::{Frontier, Ledger};
use crate::domain::ids::{AuthorityId, Digest, Incarnation};
use crate::domain::numbering::{InNumbers, OutNumbers, Under};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, StreamClass};
use crate::domain::time::UnixMs;
use crate::named::Named;
use crate::unreadable::UnreadableRows;

/// Origin, recipient, class: names a stream in either direction.
pub(crate) type StreamName = (AuthorityId, AuthorityId, StreamClass);

/// Deliveries of a stream that wait for new numbers, by their sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    /// The last that has its number.
    pub after: u64,
    /// The last that was there when the numbers began anew.
    pub upto: u64,
}

/// An outgoing stream.
#[derive(Clone)]
pub(crate) struct OutState {
    pub id: i64,
    pub numbers: OutNumbers,
    /// What a number lies behind in the table. Numbers that begin anew lie behind all that were given before, so that what
    /// waits for a new number keeps its old one and nobody takes it for another's.
    pub base: u64,
    pub again: Option<Again>,
    pub held: bool,
    pub attempts: u32,
    pub reason: Option<Reason>,
    pub next_attempt: Option<UnixMs>,
}

impl OutState {
    /// A stream that has nothing yet.
    pub fn new(id: i64, origin: Incarnation) -> Self {
        let numbers = OutNumbers::new(origin);
        Self { id, numbers, base: 0, again: None, held: false, attempts: 0, reason: None, next_attempt: None }
    }

    /// Where a number stands in the table.
    pub const fn place(&self, number: u64) -> u64 {
        self.base.saturating_add(number)
    }

    /// Numbers begin anew under these incarnations, from `first` on; all up to the delivery `upto` waits for one.
    pub fn begin_again(&mut self, under: Under, first: u64, upto: u64) {
        self.base = self.place(self.numbers.next).max(first) - first;
        self.numbers.begin_again(under, first, 0);
        self.again = Some(Again { after: 0, upto });
        (self.attempts, self.reason, self.next_attempt) = (0, None, None);
    }
}

/// The writer's knowledge.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub incarnation: Incarnation,
    pub publication: u64,
    pub delivery: u64,
    pub position: u64,
    pub slot: u64,
    pub streams: i64,
    pub ledger: Ledger,
    pub out: imbl::HashMap<StreamName, OutState>,
    /// Incoming streams, without their receipts.
    pub ins: imbl::HashMap<StreamName, InNumbers>,
    /// Targets that hidden records may be waiting for; never too few.
    pub awaited: imbl::HashSet<RecordKey>,
}

impl State {
    /// Reads it from the file. Rows of streams that do not read are noted, and stop nothing else.
    ///
    /// # Errors
    /// `Damaged` when counters or ledger do not hold together: nothing could be written after them.
    pub async fn load(conn: &mut SqliteConnection, unreadable: &UnreadableRows) -> crate::Result<Self> {
        let mut state = Self::load_counters(conn).await?;
        state.incarnation = stored_incarnation(conn).await?.ok_or(crate::Error::Damaged("the incarnation"))?;
        state.load_streams(conn, unreadable).await.map_err(failed)?;
        Ok(state)
    }

    /// A later incarnation begins; whether it is one. What comes under it is read after all that was given out before.
    pub fn begin(&mut self, incarnation: Incarnation) -> bool {
        let later = incarnation > self.incarnation;
        if later {
            self.incarnation = incarnation;
            self.position = self.position.max(first_position(incarnation));
        }
        later
    }

    /// Counters and ledger alone, which stand in a file of any version.
    ///
    /// # Errors
    /// As `load`.
    pub async fn load_counters(conn: &mut SqliteConnection) -> crate::Result<Self> {
        Self::counters(conn).await.map_err(|error| match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound => {
                crate::Error::Damaged("the table head: counters and the ledger's head")
            }
            other => failed(other),
        })
    }

    async fn counters(conn: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
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

    async fn load_streams(
        &mut self,
        conn: &mut SqliteConnection,
        unreadable: &UnreadableRows,
    ) -> Result<(), sqlx::Error> {
        let rows = all(&mut *conn, &statements::OUT_STREAM_ALL, Args::new()).await?;
        for row in &rows {
            // Also of one that does not read: no other stream may get its number.
            self.streams = self.streams.max(row.int(0)?);
        }
        self.out.extend(readable(unreadable, &statements::OUT_STREAM_ALL, &rows, |row| {
            let name = stream_name(row, 1)?;
            // One whose numbers are lost is of no incarnation: the next greeting queues again what is not expired.
            let stream = match out_state(row) {
                Err(error) if note(unreadable, &statements::OUT_STREAM_ALL, row, &error) => {
                    OutState::new(row.int(0)?, Incarnation(0))
                }
                read => read?,
            };
            Ok((name, stream))
        })?);
        for (_, stream) in self.out.iter_mut().filter(|(_, stream)| stream.numbers.under.origin == Incarnation(0)) {
            let last = one(&mut *conn, &statements::DELIVERY_LAST_NUMBER, Args::new().with(stream.id)).await?;
            stream.base = last.map_or(Ok(0), |row| row.number(0))?;
        }
        let rows = all(&mut *conn, &statements::IN_STREAM_ALL, Args::new()).await?;
        self.ins.extend(readable(unreadable, &statements::IN_STREAM_ALL, &rows, |row| {
            Ok((stream_name(row, 0)?, InNumbers { under: under(row, 3)?, next: row.number(5)? }))
        })?);
        let rows = all(&mut *conn, &statements::HIDDEN_INBOX_TARGETS, Args::new()).await?;
        let targets = readable(unreadable, &statements::HIDDEN_INBOX_TARGETS, &rows, |row| row.key_or_none(0))?;
        self.awaited.extend(targets.into_iter().flatten());
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

fn out_state(row: &SqliteRow) -> Result<OutState, sqlx::Error> {
    Ok(OutState {
        id: row.int(0)?,
        numbers: OutNumbers { under: under(row, 4)?, first_unsettled: row.number(6)?, next: row.number(7)? },
        held: row.int(8)? != 0,
        attempts: row.value(9, u32::try_from(row.int(9)?).ok())?,
        reason: row.reason(10)?,
        next_attempt: row.time_or_none(11)?,
        base: row.number(12)?,
        again: Some(Again { after: row.number(13)?, upto: row.number(14)? }).filter(|again| again.upto > 0),
    })
}

/// Inbox positions of an incarnation that began with a restore lie above this one, and so above all that were given out
/// before: what came after the backup comes again, and a reader that kept a cursor from then must not pass over it.
fn first_position(incarnation: Incarnation) -> u64 {
    // No node stores a thousand records each millisecond; the product stays below 2^53 for 280 years.
    incarnation.0.saturating_mul(1_000)
}

/// The incarnation of a file; `None`: it has none yet.
///
/// # Errors
/// `Damaged` when it does not read.
pub(crate) async fn stored_incarnation(conn: &mut SqliteConnection) -> crate::Result<Option<Incarnation>> {
    let name = Args::new().with(Named::Incarnation.name());
    let Some(row) = one(conn, &statements::META_GET, name).await.map_err(failed)? else { return Ok(None) };
    let bytes: Option<[u8; 8]> = row.blob(0).map_err(failed)?.try_into().ok();
    bytes.map(|b| Some(Incarnation(u64::from_be_bytes(b)))).ok_or(crate::Error::Damaged("the incarnation"))
}

/// Two columns: the incarnations of origin and recipient.
fn under(row: &SqliteRow, column: usize) -> Result<Under, sqlx::Error> {
    Ok(Under { origin: Incarnation(row.number(column)?), recipient: Incarnation(row.number(column + 1)?) })
}

/// Three columns: origin, recipient, class.
pub(crate) fn stream_name(row: &impl Columns, column: usize) -> Result<StreamName, sqlx::Error> {
    let class = row.value(column + 2, StreamClass::from_code(row.code(column + 2)?))?;
    Ok((row.authority(column)?, row.authority(column + 1)?, class))
}
