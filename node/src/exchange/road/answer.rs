//! Answers: a recipient's word about a record that it received, sent back along the grant under which it came (9.2).

use crate::domain::ids::RecordId;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, Reference, ReferenceKind};
use crate::domain::records::{Content, Verb};
use crate::domain::sharing::{Audience, Sharing};
use crate::exchange::context::{Call, Error};
use crate::storage::ops::Written;
use crate::wire::{self, sealed};

use super::Road;
use super::publish::{Draft, Published};

const METHOD: &str = "Answer";

impl Road {
    /// Answers a received record with one of a kind that answers its kind. A later answer stands beside the earlier one.
    ///
    /// # Errors
    /// `TARGET_UNKNOWN` when no such record is here, or its time is over; `METHOD_NOT_OPEN` for a role that may not; `KIND_NOT_SUPPORTED` when this does not answer it; otherwise why the
    /// answer may not go back.
    pub async fn answer(&self, call: &Call, target: RecordKey, answer: Content) -> Result<RecordId, Error> {
        let tried = self.try_answer(call, target, answer).await;
        Ok(self.once(call, METHOD, tried).await?.record_id)
    }

    async fn try_answer(&self, call: &Call, target: RecordKey, answer: Content) -> Result<(Published, Written), Error> {
        let kinds = answer.facts().answers;
        if !answer.facet().is_answer() {
            return Err(wire::Error::new(Reason::KindNotSupported, "answer", "a kind that answers").into());
        }
        answer.check().map_err(|fault| wire::Error::from(fault).within("answer"))?;
        let row = self.store().inbox_record(target.clone()).await?.filter(|row| kinds.contains(&row.record.kind()));
        let row = row.ok_or(Reason::TargetUnknown)?;
        let reading = self.context.may_read_received(&row, call.actor.role, ReadPurpose::Answer);
        let readable = row.record.kind().open_to(Verb::Read, call.actor.role).is_ok();
        let reading = reading.map_err(|reason| match reason {
            Reason::MethodNotOpen if readable => reason,
            // Its time is over, or it is not the role's to read: it is here as little as one that never came.
            _ => Reason::TargetUnknown,
        })?;
        let envelope = sealed::reload(reading)?;
        let sharing = Sharing {
            audience: Audience::one(envelope.origin),
            purpose: envelope.purpose,
            lawful_basis: envelope.lawful_basis,
            special_basis: envelope.special_basis,
            handling: envelope.handling,
            status: envelope.status,
            expires: None,
            review_by: None,
        };
        let draft = Draft {
            authority: Some(row.recipient),
            sharing,
            content: answer,
            to: None,
            references: vec![Reference { kind: ReferenceKind::Answers, target }],
            under: Some(envelope.grant.ok_or(Reason::TargetUnknown)?),
            shared: None,
        };
        self.record(call, METHOD, self.check(call, draft)?).await
    }
}
