//! Dispatch: one publication becomes one signed envelope per recipient, at that recipient's disclosure level.
//!
//! A pass takes what was published, oldest first, asks the one question again for each recipient, seals the envelopes
//! (in parallel when there are many) and queues them with the ledger's rows. Whoever may no longer get the record gets
//! nothing, and the ledger says so; what a suspended recipient would have got is made when it is restored, and what is lasting
//! and for all reaches a partner whose agreement comes later. A publication for few recipients does not wait for a pass:
//! publishing prepares it, and one commit takes it together with its envelopes.

mod backfill;
mod prepare;
mod suspended_recipients;

use std::collections::BTreeSet;

use crate::domain::audit::ActorRole;
use crate::domain::authority::MemberStatus;
use crate::domain::ids::{AuthorityId, RecordId};
use crate::domain::limits;
use crate::domain::person::share::ShareUse;
use crate::domain::policy::ReadPurpose;
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Passed, Table, stream_of};
use crate::pass::PassKind;
use crate::storage::ops::{Queue, WriteOp};
use crate::storage::rows::PublicationRow;

use super::Road;
use super::explain::Allowed;
use prepare::{About, Prepared, Preparer, Work};

/// Recipients for whom publishing prepares at once; the signatures for more would hold up the caller.
const AT_ONCE: usize = 8;

impl Road {
    /// The deliveries of what is being published, if they can be made right now; otherwise they are the pass's work.
    pub(super) fn prepare_at_once(
        &self,
        publication: &Publication,
        record_id: RecordId,
        expires: UnixMs,
    ) -> Option<Queue> {
        let preparer = self.preparer();
        let recipients = preparer.recipients(publication);
        let key = self.context.keys().of(&publication.authority)?;
        if recipients.len() > AT_ONCE {
            return None;
        }
        let mut prepared = Prepared::of(RecordKey { origin: publication.authority.clone(), record_id });
        let about = About { record_id, kind: publication.content.kind(), expires, shared: None };
        preparer.prepare(Some(&key), &about, publication, &recipients, &mut prepared);
        prepared.suspended.is_empty().then_some(prepared.queue)
    }

    /// Turns what was published into deliveries. One that the store refuses keeps no other one back.
    ///
    /// # Errors
    /// When the store fails; what was not queued is taken again by the next pass.
    pub(in crate::exchange) async fn dispatch_pass(&self) -> Result<Passed, Error> {
        let _one_at_a_time = self.dispatching.lock().await;
        // What was taken back meanwhile goes to those that it was for, and to nobody who came later.
        let _later = self.saying_later.lock().await;
        let rows = self.store().pending_publications(limits::BATCH_ITEMS).await?;
        let preparer = self.preparer();
        let mut work = Vec::with_capacity(rows.len());
        for row in rows {
            // While this authority is suspended, or the register not read yet, publications wait here; nothing is lost.
            if matches!(
                preparer.view.status(&row.authority, preparer.now),
                MemberStatus::Active | MemberStatus::Removed
            ) {
                let lasting = row.record.kind().facts().is_some_and(|facts| facts.lasting);
                let grows = lasting && !self.own_taken_back(&row.key()).await?;
                let shared = self.opens_again(&row).await?;
                work.push(Work { key: self.context.keys().of(&row.authority), row, shared, grows });
            }
        }
        if work.is_empty() {
            return Ok(Passed::default());
        }
        let now = preparer.now;
        let prepared = prepare::prepare_all(preparer, work).await;
        for row in &prepared {
            self.note_unreadable(row);
        }
        let queues: Vec<Queue> =
            prepared.into_iter().map(|prepared| suspended_recipients::queue_and_owe(prepared, now)).collect();
        let owes = queues.iter().any(|queue| !queue.owes.is_empty());
        let passed = self.queue(queues).await?;
        if owes {
            // It may have been restored since this pass looked.
            self.context.wakeups().wake(PassKind::SuspendedRecipients);
        }
        Ok(passed)
    }

    /// What could not be made of a stored row is said in the ledger, counted, and stops nothing behind it.
    fn note_unreadable(&self, prepared: &Prepared) {
        if let (Some((kind, error)), Some(key)) = (&prepared.unreadable, &prepared.queue.publication) {
            self.unreadable(Table::Publication, Some(*kind), key.record_id, error.clone());
        }
    }

    /// What dispatch would answer about one recipient now: the gate, the last word on it, the question, whom it is for.
    pub(super) async fn would_dispatch(
        &self,
        row: &PublicationRow,
        to: &AuthorityId,
    ) -> Result<Result<Allowed, Reason>, Error> {
        let preparer = self.preparer();
        let reading = match self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare) {
            Ok(reading) => reading,
            Err(reason) => return Ok(Err(reason)),
        };
        let publication = self.context.opened_own(row, reading)?;
        if self.own_taken_back(&row.key()).await? {
            return Ok(Err(Reason::RecordCancelled));
        }
        let shared = self.opens_again(row).await?;
        Ok(preparer.decide(&About::row(row, shared), &publication, to).and_then(|permit| {
            let level = preparer.level(&permit);
            let by_level = publication.content.prepare(level).is_some();
            let allowed = Allowed { clause: permit.clause(), grant: permit.grant(), level: by_level.then_some(level) };
            let is_for_it = preparer.recipients(&publication).contains(to);
            is_for_it.then_some(allowed).ok_or(Reason::NotForThisAuthority)
        }))
    }

    /// What opens an own record about a person, looked at now; `None` also for one that concerns nobody.
    async fn opens_again(&self, row: &PublicationRow) -> Result<Option<ShareUse>, Error> {
        if !row.record.kind().is_about_persons() {
            return Ok(None);
        }
        self.persons.still_opens(&row.key()).await
    }

    fn preparer(&self) -> Preparer {
        Preparer { view: self.view(), agreements: self.context.agreements().load_full(), now: self.context.best_time() }
    }

    /// Queues, together, and wakes the streams; also those of what was stored before something failed.
    async fn queue(&self, queues: Vec<Queue>) -> Result<Passed, Error> {
        let streams: BTreeSet<StreamId> = queues.iter().flat_map(|q| &q.items).map(stream_of).collect();
        let writes = queues.into_iter().map(|queue| self.store().write(WriteOp::Queue(queue)));
        let written = futures_util::future::join_all(writes).await;
        streams.iter().for_each(|stream| self.context.wakeups().wake_stream(stream));
        let mut passed = Passed::default();
        for written in written {
            match written.map_err(Error::from) {
                Ok(_) => passed.done += 1,
                Err(error) if error.concerns_one_row() => passed.postpone(error.reason()),
                Err(error) => return Err(error),
            }
        }
        passed.more = passed.done > 0;
        Ok(passed)
    }
}
