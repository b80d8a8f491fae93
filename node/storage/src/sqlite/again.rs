//! Queueing again: what has lost its number gets a new one, in pieces (9.3, 9.10).
//!
//! Invariants: a stream that begins anew costs one row, however much waits in it; what is numbered goes to the end, so nothing
//! that is in flight moves; a piece that was committed is not done again, unless the stream begins anew once more.

use super::batch::{Batch, Step};
use super::db::{Args, Columns, run};
use super::state::StreamName;
use super::statements;
use crate::domain::numbering::Under;
use crate::domain::record::StreamClass;
use crate::domain::time::UnixMs;
use crate::ops::{NumberAgain, QUEUE_AGAIN, QueueAgain, Requeue, Written};

impl Batch<'_> {
    pub(super) async fn requeue(&mut self, op: &Requeue) -> Step {
        self.flush().await?;
        for class in [StreamClass::Control, StreamClass::Content] {
            let name = (op.origin.clone(), op.recipient.clone(), class);
            let Some(mut stream) = self.state.out.get(&name).cloned() else { continue };
            if op.renumber.is_some_and(|again| again.class != class) {
                continue;
            }
            let under = Under { origin: op.origin_incarnation, recipient: op.recipient_incarnation };
            let expected = op.renumber.map(|again| again.first);
            if expected.is_none() && stream.numbers.begin(under) {
                self.put_stream(name, stream);
                continue;
            }
            let Some(first) = stream.numbers.again_from(under, expected) else { continue };
            stream.begin_again(under, first, self.state.delivery);
            self.put_stream(name.clone(), stream);
            if op.at_once {
                self.number_piece(name, op.now).await?;
            }
        }
        Ok(Ok(Written::Done))
    }

    pub(super) async fn number_again(&mut self, op: &NumberAgain) -> Step {
        let items = self.number_piece((op.origin.clone(), op.recipient.clone(), op.class), op.now).await?;
        Ok(Ok(Written::Numbered(items)))
    }

    /// The next piece of what waits for its number: what is over ends, the rest goes to the end of the stream.
    async fn number_piece(&mut self, name: StreamName, now: UnixMs) -> Result<u64, sqlx::Error> {
        let Some(mut stream) = self.state.out.get(&name).cloned() else { return Ok(0) };
        let Some(again) = stream.again else { return Ok(0) };
        self.flush().await?;
        let args = Args::new().with(stream.id).with(again.after).with(again.upto).with(QUEUE_AGAIN as u64);
        let rows = self.fetch(&statements::DELIVERY_REQUEUE_PIECE, args).await?;
        let piece = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (rows, last) = (piece.number(0)?, piece.number(1)?);
        let part = || Args::new().with(stream.id).with(again.after).with(last);
        let mut items = 0;
        if rows > 0 {
            self.script.push(&statements::DELIVERY_REQUEUE_FINISH, part().with(now));
            self.script.push(&statements::DELIVERY_REQUEUE_CLEAR, part());
            self.script.run(self.conn).await?;
            let args = part().with(now).with(stream.place(stream.numbers.next) - 1);
            items = run(&mut *self.conn, &statements::DELIVERY_REQUEUE_NUMBER, args).await?;
            stream.numbers.next += items;
        }
        stream.again =
            (rows == QUEUE_AGAIN as u64 && last < again.upto).then_some(super::state::Again { after: last, ..again });
        self.put_stream(name, stream);
        Ok(items)
    }

    pub(super) async fn queue_again(&mut self, op: &QueueAgain) -> Step {
        let name = (op.origin.clone(), op.recipient.clone(), op.class);
        let Some(mut stream) = self.state.out.get(&name).cloned() else { return Ok(Ok(Written::Numbered(0))) };
        if stream.again.is_some() {
            // What waits goes first: most of them are among it.
            return Ok(Ok(Written::Numbered(0)));
        }
        self.flush().await?;
        self.script.run(self.conn).await?;
        let agreement = op.agreement.as_ref().map_or(&[][..], |id| id.0.as_slice());
        let args = Args::new().with(stream.id).with(agreement).with(op.deferred_by).with(op.now);
        let args = args.with(stream.place(stream.numbers.next) - 1).with(QUEUE_AGAIN as u64).with(op.kind.code());
        let items = run(&mut *self.conn, &statements::DELIVERY_QUEUE_AGAIN, args).await?;
        stream.numbers.next += items;
        self.put_stream(name, stream);
        Ok(Ok(Written::Numbered(items)))
    }
}
