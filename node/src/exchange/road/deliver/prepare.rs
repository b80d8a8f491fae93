//! What goes into the next batch: the one question, again, for each item, from the columns of its delivery. The envelope is
//! bytes to send, and is not read.

use std::collections::HashMap;

use crate::domain::delivery::skip_before_sending;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{Digest, RecordId};
use crate::domain::limits;
use crate::domain::person::share::ShareUse;
use crate::domain::policy::Side;
use crate::domain::reason::{Reason, RoadEffect};
use crate::domain::stream::{BatchItem, ItemBody, StreamId, Understands};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::Table;
use crate::storage::rows::{OutItem, OutPayload};
use crate::wire::sealed::{self, Sealed};

use super::super::Road;
use super::super::question::{self, Asked};
use super::Sender;

/// A replaced key must verify for this much longer for what it signed to be sent as it is.
const ON_THE_WAY: Millis = Millis::hours(1);

/// An item of the next batch.
pub(super) struct Going {
    pub item: OutItem,
    /// Given up on the way out: its number travels as a SKIP with this reason.
    pub given_up: Option<Reason>,
    /// It makes room for a reason of its own: its number travels as SKIP(DEFERRED), and it is queued again.
    pub deferred: Option<Reason>,
    /// The authority's key was replaced while it waited: the same payload, signed with the new one.
    pub again: Option<Sealed>,
}

/// The front of a stream, looked at again.
#[derive(Default)]
pub(super) struct Prepared {
    /// In order, without a gap.
    pub items: Vec<Going>,
    /// Why the item after `items` has to wait.
    pub waits: Option<Reason>,
    /// Nothing was queued behind them when they were read; what has been since wakes the stream.
    pub last: bool,
}

/// By what the front of a stream is looked at: one view and one instant for all of it.
pub(super) struct Looks<'a> {
    pub view: &'a DirectoryView,
    /// What the recipient takes.
    pub understands: &'a Understands,
    pub now: UnixMs,
    /// What opens those about persons that something still opens.
    pub shares: &'a HashMap<RecordId, ShareUse>,
}

impl Road {
    /// Asks again: what was allowed when it was queued may have ended, expired or be suspended by now. A skip is not
    /// stored before it is sent: whatever the receipt says of the number is what happened.
    pub(super) fn prepare(
        &self,
        id: &StreamId,
        sender: &Sender,
        &Looks { view, understands, now, shares }: &Looks<'_>,
        queued: Vec<OutItem>,
    ) -> Prepared {
        let agreements = self.context.agreements().load();
        let now_closing = self.context.closing_time();
        let confirmed = Some(self.context.best_time()).filter(|best| *best < now);
        let right = self.context.confirmed_time().map(|confirmed| confirmed.max(now));
        let bytes = |item: &OutItem| if let OutPayload::Envelope(bytes) = &item.payload { bytes.len() } else { 0 };
        let short = queued.iter().map(bytes).sum::<usize>() + limits::ENVELOPE_BYTES <= limits::BATCH_BYTES;
        let persons_wait = self.persons_wait(&id.recipient, view);
        let mut prepared = Prepared { last: queued.len() < limits::BATCH_ITEMS && short, ..Prepared::default() };
        for item in queued {
            let shared = shares.get(&item.record_id);
            let asked = Asked { side: Side::Sender, agreements: &agreements, view, now: now_closing, shared };
            let is_sent = matches!(item.payload, OutPayload::Envelope(_));
            let (refused, again) = match self.looked_at(id, &item, &asked) {
                // Nothing that concerns no person stands behind it for that.
                Ok(_) | Err(Reason::RegisterNotFresh) if persons_wait && is_sent && item.kind.is_about_persons() => {
                    (Some(Reason::PersonContentWaits), None)
                }
                Ok(_) if is_sent && !understands.kinds.contains(&item.kind) => (Some(Reason::KindNotNamed), None),
                Ok(again) => (None, again),
                // What a clock that is ahead refuses is not given up for that: it waits until the clock is right.
                Err(reason)
                    if reason.road() != RoadEffect::Deferred
                        && confirmed.is_some_and(|now| self.goes_at(id, &item, &Asked { now, ..asked })) =>
                {
                    (Some(Reason::RegisterNotFresh), None)
                }
                Err(reason) => (Some(reason), None),
            };
            if refused.is_some_and(waits) {
                (prepared.waits, prepared.last) = (refused, false);
                break;
            }
            let defers = refused.filter(|reason| reason.road() == RoadEffect::Deferred);
            let deferred = defers.or_else(|| self.makes_room(sender, &item, right));
            let given_up = refused.filter(|_| defers.is_none());
            prepared.items.push(Going { item, given_up, deferred, again });
        }
        prepared
    }

    /// Why this one makes room unasked: the partner's last answers, or its own time. `right`: a time that no clock says too early.
    fn makes_room(&self, sender: &Sender, item: &OutItem, right: Option<UnixMs>) -> Option<Reason> {
        let now = self.context.monotonic();
        let unconfirmed = item.agreement.and_then(|agreement| sender.unconfirmed_there.get(&agreement));
        if unconfirmed.is_some_and(|until| now < *until) {
            return Some(Reason::AgreementUnconfirmed);
        }
        // Dated by a clock that was ahead and is right now: no partner takes it before that time, so it need not be asked.
        let created = item.question.as_ref().map(|question| question.created);
        if right.zip(created).is_some_and(|(right, created)| created > right + limits::CREATED_AHEAD) {
            return Some(Reason::EnvelopeFromFuture);
        }
        sender.defers.filter(|(number, _)| *number == item.number).map(|(_, reason)| reason)
    }

    /// Whether it would go at that time, or wait.
    fn goes_at(&self, id: &StreamId, item: &OutItem, asked: &Asked<'_>) -> bool {
        self.looked_at(id, item, asked).map_or_else(|reason| waits(reason) || reason.asks_again(), |_| true)
    }

    /// The item with a new signature, if it needs one; or why it does not go.
    fn looked_at(&self, id: &StreamId, item: &OutItem, asked: &Asked<'_>) -> Result<Option<Sealed>, Reason> {
        let OutPayload::Envelope(bytes) = &item.payload else { return Ok(None) };
        if let Some(reason) = skip_before_sending(item.expires, asked.now) {
            return Err(reason);
        }
        if Digest::of(bytes) != item.digest {
            let error = crate::wire::Error::new(Reason::StorageDamaged, "envelope", "");
            self.unreadable(Table::Outbox, Some(item.kind), item.record_id, error);
            return Err(Reason::StorageDamaged);
        }
        let question = item.question.as_ref().ok_or(Reason::StorageDamaged)?;
        // What it answers may have been withdrawn while this node was away.
        let answers = item.kind.is_about_persons() && question.facet.is_some_and(|facet| facet.is_answer());
        if answers && !self.context.has_said_what_was_withdrawn(&id.origin, &id.recipient) {
            return Err(Reason::WithdrawalsNotAnswered);
        }
        question::ask_again(id, item.kind, question, asked)?;
        // What was signed with a key that was withdrawn, or replaced long ago, no partner takes any more.
        if asked.view.verifying_key(&id.origin, &question.key, asked.now + ON_THE_WAY).is_some() {
            return Ok(None);
        }
        let current = self.context.keys().of(&id.origin);
        let again = current.map(|key| sealed::sign_again(bytes, &asked.view.federation, &key));
        again.transpose().map_err(|error| error.reason)
    }
}

/// Reasons that pass by themselves: the item keeps its number and its place.
fn waits(reason: Reason) -> bool {
    matches!(reason.road(), RoadEffect::Waits | RoadEffect::Held)
}

/// An item as it is sent now; a capacity statement's age counts the time in our queue.
pub(super) fn on_wire(Going { item, given_up, deferred, again }: &Going, now: UnixMs) -> BatchItem {
    let body = match (&item.payload, given_up) {
        (OutPayload::Skip(reason), _) | (OutPayload::Envelope(_), Some(reason)) => ItemBody::Skip(*reason),
        (OutPayload::Envelope(_), None) if deferred.is_some() => ItemBody::Skip(Reason::Deferred),
        (OutPayload::Envelope(bytes), None) => {
            ItemBody::Envelope(again.as_ref().map_or(bytes, |again| &again.bytes).clone())
        }
    };
    BatchItem { body, as_of_age_ms: item.as_of.map(|as_of| now.since(as_of).0), traceparent: item.traceparent.clone() }
}
