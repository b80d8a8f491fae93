//! Dispatch: one publication becomes one signed envelope per recipient, at that recipient's disclosure level.
//!
//! A pass takes what was published, oldest first, asks the one question again for each recipient, seals the envelopes
//! (in parallel when there are many) and queues them with the ledger's rows. Whoever may no longer get the record gets
//! nothing, and the ledger says so; what a suspended recipient would have got is made when it is restored, and what is lasting
//! and for all reaches a partner whose agreement comes later. A publication for few recipients does not wait for a pass:
//! publishing presses it, and one commit takes it together with its envelopes.

mod backfill;
mod press;
mod suspended_recipients;

use std::collections::BTreeSet;

use crate::domain::authority::MemberStatus;
use crate::domain::ids::RecordId;
use crate::domain::limits;
use crate::domain::publication::Publication;
use crate::domain::record::RecordKey;
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::pass::PassKind;
use crate::storage::ops::{NewDelivery, Queue, WriteOp};

use super::Exchange;
use super::error::Error;
use super::unreadable::Table;
pub(super) use backfill::owed_backfills;
use press::{About, Press, Pressed, Work};

/// Recipients for whom publishing presses at once; the signatures for more would hold up the caller.
const AT_ONCE: usize = 8;

impl Exchange {
    /// The deliveries of what is being published, if they can be made right now; otherwise they are the pass's work.
    pub(super) fn press_at_once(
        &self,
        publication: &Publication,
        record_id: RecordId,
        expires: UnixMs,
    ) -> Option<Queue> {
        let press = self.press();
        let recipients = press.recipients(publication);
        let key = self.0.keys.of(&publication.authority)?;
        if recipients.len() > AT_ONCE {
            return None;
        }
        let mut pressed = Pressed::of(RecordKey { origin: publication.authority.clone(), record_id });
        let about = About { record_id, kind: publication.content.kind(), expires };
        press.press(Some(&key), &about, publication, &recipients, &mut pressed);
        pressed.suspended.is_empty().then_some(pressed.queue)
    }

    /// Turns what was published into deliveries. Returns how many publications; full passes should be repeated at once.
    ///
    /// # Errors
    /// When the store fails; what was not queued is taken again by the next pass.
    pub async fn dispatch_pass(&self) -> Result<usize, Error> {
        let _one_at_a_time = self.0.dispatching.lock().await;
        // What was taken back meanwhile goes to those that it was for, and to nobody who came later.
        let _later = self.0.saying_later.lock().await;
        let rows = self.store().pending_publications(limits::BATCH_ITEMS).await?;
        let press = self.press();
        let mut work = Vec::with_capacity(rows.len());
        for row in rows {
            // While this authority is suspended, or the register not read yet, publications wait here; nothing is lost.
            if matches!(press.view.status(&row.authority, press.now), MemberStatus::Active | MemberStatus::Removed) {
                let lasting = row.kind.facts().is_some_and(|facts| facts.lasting);
                let key = RecordKey { origin: row.authority.clone(), record_id: row.record_id };
                let grows = lasting && !self.own_taken_back(&key).await?;
                work.push(Work { key: self.0.keys.of(&row.authority), row, grows });
            }
        }
        if work.is_empty() {
            return Ok(0);
        }
        let now = press.now;
        let pressed = press::press_all(press, work).await;
        for row in &pressed {
            self.note_unreadable(row);
        }
        let queues: Vec<Queue> =
            pressed.into_iter().map(|pressed| suspended_recipients::queue_and_owe(pressed, now)).collect();
        let count = queues.len();
        let owes = queues.iter().any(|queue| !queue.owes.is_empty());
        self.queue(queues).await?;
        if owes {
            // It may have been restored since this pass looked.
            self.0.wakeups.wake(PassKind::SuspendedRecipients);
        }
        Ok(count)
    }

    /// What could not be made of a stored row is said in the ledger, counted, and stops nothing behind it.
    fn note_unreadable(&self, pressed: &Pressed) {
        if let (Some((kind, error)), Some(key)) = (&pressed.unreadable, &pressed.queue.publication) {
            self.unreadable(Table::Publication, Some(*kind), key.record_id, error.clone());
        }
    }

    fn press(&self) -> Press {
        Press { view: self.view(), agreements: self.0.agreements.load_full(), now: self.now() }
    }

    /// Queues, together, and wakes the streams; also those of what was stored before something failed.
    async fn queue(&self, queues: Vec<Queue>) -> Result<(), Error> {
        let streams: BTreeSet<StreamId> = queues.iter().flat_map(|q| &q.items).map(stream_of).collect();
        let writes = queues.into_iter().map(|queue| self.store().write(WriteOp::Queue(queue)));
        let written = futures_util::future::join_all(writes).await;
        streams.iter().for_each(|stream| self.0.wakeups.wake_stream(stream));
        written.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }
}

pub(super) fn stream_of(item: &NewDelivery) -> StreamId {
    StreamId {
        origin: item.permit.from().clone(),
        recipient: item.permit.to().clone(),
        class: item.permit.kind().class(),
    }
}
