//! The partner's answer to a batch: check the receipt, settle what it consumed, and see what blocks the rest.

use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::delivery::{self, Blocked, Head, Heard, Next};
use crate::domain::ids::Incarnation;
use crate::domain::limits;
use crate::domain::numbering::Under;
use crate::domain::reason::Reason;
use crate::domain::receipt::{ItemResult, Receipt, SentItem, Verdict};
use crate::domain::record::StreamClass;
use crate::domain::stream::{BatchAnswer, StreamId};
use crate::domain::time::Millis;
use crate::exchange::context::{Error, key_of};
use crate::storage::ops::{Attempt, Settle, WriteOp};
use crate::storage::rows::{OutItem, OutPayload};
use crate::wire::peer;

use super::super::Road;
use super::prepare::{Going, Prepared};
use super::{Pass, Sender, attempt, jitter};

type Incarnations = (Incarnation, Incarnation);

impl Road {
    pub(super) async fn settle(
        &self,
        id: &StreamId,
        incarnations: Incarnations,
        sender: &mut Sender,
        Prepared { items, last, .. }: Prepared,
        answer: BatchAnswer,
    ) -> Result<Pass, Error> {
        let now = self.now();
        let first = items[0].item.number;
        let receipt = self.check_receipt(id, incarnations, &answer)?;
        let said = |receipt: &Receipt| receipt.of(first, items.iter().map(sent));
        let verdicts = receipt.as_ref().map(said).transpose()?.unwrap_or_default();
        // An answer that was lost is given again, and may be shorter than what is sent now.
        let batch = delivery::Sent { first, count: verdicts.len() as u64, failures: sender.failures };
        let heard = match verdicts.as_slice() {
            [] => Heard::StandsAt { next: answer.next },
            verdicts => Heard::Receipt { first, verdicts },
        };
        let lacking = sender.lacking;
        let head_of = |i: usize| {
            let item = &items[i].item;
            let waited = item.agreement.is_some() && item.agreement == lacking;
            let waiting_since =
                if waited { Some(item.queued.min(now - limits::RETRY_LATER)) } else { item.waiting_since };
            Head { waiting_since, expires: item.expires }
        };
        let step = delivery::step(batch, heard, head_of, now, jitter());
        if step.settle > 0 {
            let receipt = answer.receipt.unwrap_or_default();
            let results = items.iter().zip(&verdicts).take(step.settle);
            let op = Settle {
                origin: id.origin.clone(),
                recipient: id.recipient.clone(),
                class: id.class,
                origin_incarnation: incarnations.0,
                recipient_incarnation: incarnations.1,
                first,
                audit: results.clone().filter_map(|(going, verdict)| refused(id, going, *verdict)).collect(),
                results: results.map(|(going, verdict)| sent(going).result(*verdict)).collect(),
                receipt,
                now,
            };
            let told: Vec<_> = op.results.clone();
            self.store().write(WriteOp::Settle(op)).await?;
            self.tell_answered(id, items.iter().map(|going| &going.item).zip(told), now);
            self.control_passed(id);
            if step.blocked.is_none() {
                (sender.lacking, sender.sent_along) = (None, None);
            }
            sender.defers = None;
        }
        if let Some(blocked) = step.blocked {
            self.blocked(id, incarnations, sender, &items[step.settle].item, blocked, step.next).await?;
        }
        let pause = self.pause(id, sender, step.next, now);
        sender.failures = step.failures;
        Ok(match pause {
            Millis(..=0) if last && step.settle == items.len() => Pass::Sent,
            Millis(..=0) => Pass::Now,
            pause => Pass::After(pause.to_duration()),
        })
    }

    /// The receipt, if the answer carries one of this very stream, signed by the recipient.
    fn check_receipt(
        &self,
        id: &StreamId,
        incarnations: Incarnations,
        answer: &BatchAnswer,
    ) -> Result<Option<Receipt>, Error> {
        let Some(bytes) = &answer.receipt else { return Ok(None) };
        let (view, now) = (self.view(), self.now());
        let receipt = peer::open_receipt(bytes.clone(), &view.federation, &key_of(&view, now))?;
        let same = receipt.origin == id.origin
            && receipt.recipient == id.recipient
            && receipt.class == id.class
            && (receipt.origin_incarnation, receipt.recipient_incarnation) == incarnations;
        if same { Ok(Some(receipt)) } else { Err(Error::about(&id.recipient, Reason::EnvelopeMalformed)) }
    }

    /// What the partner lacked may have come with control: what waits behind it need not wait for its timer.
    fn control_passed(&self, id: &StreamId) {
        if id.class == StreamClass::Control {
            self.context.wakeups().retry_stream(&StreamId { class: StreamClass::Content, ..id.clone() });
        }
    }

    async fn blocked(
        &self,
        id: &StreamId,
        (origin, recipient): Incarnations,
        sender: &mut Sender,
        item: &OutItem,
        blocked: Blocked,
        next: Next,
    ) -> Result<(), Error> {
        let now = self.now();
        let next_attempt = if let Next::At(at) = next { at } else { now };
        let given_up = blocked.skip.filter(|skip| *skip != Reason::Deferred);
        let attempt = Attempt {
            reason: given_up.unwrap_or(blocked.reason),
            next_attempt,
            asked_to_wait: true,
            skip_first: given_up.is_some(),
            ..attempt(id, Under { origin, recipient }, blocked.number, now)
        };
        self.store().write(WriteOp::Attempt(attempt)).await?;
        // Its word is older than what it takes: it is asked for the new one.
        sender.greet |= blocked.reason == Reason::KindNotNamed && blocked.skip.is_none();
        if blocked.skip == Some(Reason::Deferred) {
            sender.defers = Some((blocked.number, blocked.reason));
        }
        if let (Reason::AgreementUnconfirmed, Some(agreement)) = (blocked.reason, item.agreement) {
            // What is queued under it makes room unasked, for as long as it takes until it is queued again.
            let until = self.context.monotonic() + super::super::deferred::PAUSE.to_duration();
            sender.unconfirmed_there.insert(agreement, until);
        }
        if (blocked.reason, blocked.skip) == (Reason::AgreementUnknown, Some(Reason::SkippedAfterWait)) {
            sender.lacking = item.agreement;
        }
        if let (Reason::AgreementUnknown, None, Some(agreement)) = (blocked.reason, blocked.skip, item.agreement)
            && sender.sent_along != Some(agreement)
        {
            self.agreements.send_agreement_along(id, &agreement).await?;
            sender.sent_along = Some(agreement);
        }
        Ok(())
    }
}

fn sent(Going { item, given_up, deferred, again }: &Going) -> SentItem {
    let stored = if let OutPayload::Skip(reason) = item.payload { Some(reason) } else { None };
    let again = again.as_ref().map(|again| again.digest);
    SentItem {
        digest: item.digest,
        again,
        skip: stored.or(*given_up),
        given_up: given_up.is_some(),
        given: item.given.is_some(),
        deferred: *deferred,
    }
}

/// What was refused belongs into the ledger: the disclosure was written when the item was queued.
fn refused(id: &StreamId, going: &Going, verdict: Verdict) -> Option<AuditDraft> {
    let (ItemResult::Refused(reason) | ItemResult::Quarantined(reason)) = sent(going).result(verdict) else {
        return None;
    };
    Some(AuditDraft {
        counterparty: Some(id.recipient.clone()),
        record: Some((going.item.kind, going.item.record_id)),
        agreement: going.item.agreement,
        reason: Some(reason),
        ..AuditDraft::by_node(AuditAct::Refused)
    })
}
