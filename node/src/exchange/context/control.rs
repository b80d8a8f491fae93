//! One control record, sealed for one recipient.

use crate::domain::directory::DirectoryView;
use crate::domain::envelope::Envelope;
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::ids::{AuthorityId, RecordId};
use crate::domain::limits;
use crate::domain::policy::{self, ControlQuestion};
use crate::domain::reason::Reason;
use crate::domain::records::Control;
use crate::domain::time::{Millis, UnixMs};
use crate::storage::ops::NewDelivery;
use crate::storage::rows::Question;
use crate::wire::{records, sealed};

use super::{Context, Error, new_publication_id};

impl Context {
    /// By one view, at one instant; `as_what`: its id, and how long it lives.
    ///
    /// # Errors
    /// Why it may not go there now, naming the authority; `MESSAGE_TOO_LARGE`.
    pub(in crate::exchange) fn control(
        &self,
        (view, now): (&DirectoryView, UnixMs),
        (from, to): (&AuthorityId, &AuthorityId),
        (record_id, life): (RecordId, Millis),
        body: &Control,
    ) -> Result<NewDelivery, Error> {
        let kind = body.kind();
        let permit = policy::may_control(&ControlQuestion { from, to, kind, view, now })
            .map_err(|reason| Error::about(to, reason))?;
        let key = self.keys().of(from).ok_or(Reason::WrongOrigin)?;
        let expires = now + life;
        let envelope = Envelope {
            federation: view.federation,
            origin: from.clone(),
            recipient: to.clone(),
            publication_id: new_publication_id(),
            record_id,
            kind,
            purpose: Purpose::Governance,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::None,
            grant: None,
            shared_under: None,
            handling: Handling { tlp: Tlp::Amber, pap: Pap::Clear },
            status: RecordStatus::Actual,
            created: now,
            expires,
            review_by: expires,
            references: Vec::new(),
            body: records::encode_control(body),
        };
        let sealed = sealed::seal(&envelope, &key);
        if sealed.bytes.len() > limits::CONTROL_BYTES {
            return Err(Reason::MessageTooLarge.into());
        }
        Ok(NewDelivery {
            permit,
            record_id: envelope.record_id,
            question: Question::of(&envelope, None, key.public().id()),
            envelope: sealed.bytes,
            digest: sealed.digest,
            as_of: None,
            traceparent: String::new(),
            queued: now,
            expires,
        })
    }
}
