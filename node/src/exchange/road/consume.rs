//! Consume: a city's own system reads its inbox from a cursor, in order, and then as records come.
//!
//! Each position is given once to a reader that keeps its cursor. Before each record the gate is asked whether this reader may
//! have it now. What it may not have is passed over, and its position with it: the cursor moves on, nothing waits for it, and
//! nothing tells that it was there.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use crate::domain::audit::ActorRole;
use crate::domain::envelope::Envelope;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::RecordKind;
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Table, Unreadable};
use crate::storage::ops::WriteOp;
use crate::storage::rows::InboxRow;
use crate::wire::{self, sealed};

use super::Road;

/// What a reader asks for.
#[derive(Clone, Debug)]
pub struct ConsumeRequest {
    /// Who reads.
    pub role: ActorRole,
    /// `Consume` for a system that keeps what it gets, `Show` for who looks on.
    pub purpose: ReadPurpose,
    /// 1 to 40 of `[a-z0-9-]`.
    pub consumer: String,
    /// 0: after the stored cursor.
    pub after: u64,
    /// The kinds that this reader may see, one at least; nothing else is given to it.
    pub kinds: Vec<RecordKind>,
    /// End when nothing more is there.
    pub until_empty: bool,
}

/// A record as a reader gets it.
#[derive(Clone, Debug)]
pub struct Consumed {
    pub position: u64,
    pub received: UnixMs,
    pub key: RecordKey,
    pub kind: RecordKind,
    /// If the stored bytes have its form.
    pub envelope: Result<Envelope, Unreadable>,
    /// Encoded `Signed` as it came.
    pub signed: Bytes,
    pub traceparent: String,
}

/// Records fetched at a time.
const FETCH: usize = 256;

struct Reader {
    road: Arc<Road>,
    request: ConsumeRequest,
    inbox: watch::Receiver<u64>,
    fetched: VecDeque<InboxRow>,
    /// Those of `fetched` that were taken back since they came: nobody is given them any more.
    cancelled: HashSet<RecordKey>,
}

impl Road {
    /// The records after the cursor, then as they come; bounded in memory, ends when the store closes.
    ///
    /// # Errors
    /// `FIELD_INVALID` for a consumer's name of another form; `CURSOR_AHEAD` for a position that was never given: a reader
    /// that waits behind it would miss everything up to there.
    pub async fn consume(
        self: &Arc<Self>,
        mut request: ConsumeRequest,
    ) -> Result<impl Stream<Item = Result<Consumed, Error>> + Send + use<>, Error> {
        check_name(&request.consumer)?;
        if request.kinds.is_empty() {
            return Err(wire::Error::missing("kinds").into());
        }
        if request.after == 0 {
            request.after = self.store().cursor(request.consumer.clone()).await?;
        } else if request.after > self.store().inbox_position().await? {
            return Err(Reason::CursorAhead.into());
        }
        let inbox = self.context.wakeups().inbox();
        let reader =
            Reader { road: Arc::clone(self), request, inbox, fetched: VecDeque::new(), cancelled: HashSet::new() };
        Ok(stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(record)) => Some((Ok(record), Some(reader))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    /// The reader has safely stored everything up to the position. Going back is not possible, and not needed.
    ///
    /// # Errors
    /// `CURSOR_AHEAD` for a position that was never given.
    pub async fn commit_cursor(&self, consumer: String, position: u64) -> Result<(), Error> {
        check_name(&consumer)?;
        self.store().write(WriteOp::CommitCursor { consumer, position }).await?;
        Ok(())
    }
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Consumed>, Error> {
        loop {
            while let Some(row) = self.fetched.pop_front() {
                self.request.after = row.position;
                if let Some(consumed) = self.consumed(row) {
                    return Ok(Some(consumed));
                }
            }
            // Seen before fetching: what is stored after this line wakes the wait below.
            self.inbox.borrow_and_update();
            let (after, kinds) = (self.request.after, self.request.kinds.clone());
            let rows = self.road.store().inbox_after(after, kinds, FETCH).await?;
            // What is the newest has nothing said of it yet: a later word comes behind what it is about. Rows may be read
            // before their commit is announced, and a full page says nothing of what is behind it.
            let last = if rows.len() < FETCH { rows.last().map_or(0, |row| row.position) } else { u64::MAX };
            let newest = last.max(*self.inbox.borrow());
            let keys = rows.iter().filter(|row| row.position < newest).map(|row| row.key.clone());
            self.cancelled = self.road.received_taken_back(keys.collect()).await?;
            self.fetched = rows.into();
            if self.fetched.is_empty() && (self.request.until_empty || self.inbox.changed().await.is_err()) {
                return Ok(None);
            }
        }
    }

    /// The record, if this reader may have it now.
    fn consumed(&self, row: InboxRow) -> Option<Consumed> {
        let ConsumeRequest { role, purpose, kinds, .. } = &self.request;
        let given = kinds.contains(&row.record.kind())
            && !self.cancelled.contains(&row.key)
            && self.road.context.keys().serves(&row.recipient);
        if !given {
            return None;
        }
        let reading = self.road.context.may_read_received(&row, *role, *purpose).ok()?;
        let noted = |error| self.road.unreadable(Table::Inbox, Some(reading.kind()), row.key.record_id, error);
        Some(Consumed {
            position: row.position,
            received: row.received,
            kind: reading.kind(),
            envelope: sealed::reload(reading).map_err(noted),
            signed: reading.bytes().clone(),
            key: row.key,
            traceparent: row.traceparent,
        })
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(wire::Error::missing("consumer").into());
    }
    let fits = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits { Ok(()) } else { Err(wire::Error::invalid("consumer", "1 to 40 of [a-z0-9-]").into()) }
}
