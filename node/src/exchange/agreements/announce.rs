//! Sends control records about agreements: the complete agreement to all by its proposer, and along to a partner that
//! lacks it.

use std::collections::HashSet;

use bytes::Bytes;

use crate::domain::audit::AuditDraft;
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::Envelope;
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::ids::{AgreementId, AuthorityId, Hasher, RecordId};
use crate::domain::policy::{self, ControlQuestion};
use crate::domain::reason::Reason;
use crate::domain::sharing::default_life;
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::storage::ops::{NewDelivery, PutAgreement, Queue, WriteOp};
use crate::storage::rows::AgreementRow;
use crate::wire::body::Body;
use crate::wire::sealed;

use super::super::error::Error;
use super::super::{Exchange, dispatch, new_publication_id};
use super::{others, rows};

const PREFIX: &str = "agreement-announced/";

/// The mark that a party was sent the complete agreement.
fn announced(id: &AgreementId, to: &AuthorityId) -> String {
    format!("{PREFIX}{id}/{to}")
}

impl Exchange {
    /// Sends each complete agreement that this node proposed to all its parties, once to each. Returns how many agreements.
    ///
    /// # Errors
    /// When the store fails; the rest is sent by the next pass.
    pub async fn announce_pass(&self) -> Result<usize, Error> {
        let marks = self.store().metas(PREFIX.to_owned()).await?;
        let marks: HashSet<String> = marks.into_iter().map(|(name, _)| name).collect();
        let mut sent = 0;
        for row in self.store().agreements().await?.into_iter().filter(|row| row.complete) {
            let held = rows::held(&row)?;
            let proposer = &held.agreement.proposer;
            if !self.0.keys.serves(proposer) || held.ended_at().is_some() {
                continue;
            }
            let (view, now) = (self.view(), self.now());
            let body = Body::AgreementComplete(row.signed.clone());
            let mut deliveries = Vec::new();
            for to in others(&held.agreement, proposer).filter(|to| !marks.contains(&announced(&row.id, to))) {
                match self.control(&view, now, proposer, to, &row.id, &body) {
                    Ok(delivery) => deliveries.push(delivery),
                    // Who may get no control now waits for a later pass, and keeps it from nobody else.
                    Err(error) => {
                        let reason = error.reason().code();
                        tracing::warn!(agreement = %row.id, %to, reason, "a complete agreement waits to be sent");
                    }
                }
            }
            if !deliveries.is_empty() {
                self.announce(row, deliveries).await?;
                sent += 1;
            }
        }
        Ok(sent)
    }

    async fn announce(&self, row: AgreementRow, deliveries: Vec<NewDelivery>) -> Result<(), Error> {
        let told = deliveries.iter().map(|item| announced(&row.id, item.permit.to())).collect::<Vec<_>>();
        let put = PutAgreement { request: None, agreement: row, deliveries, audit: Vec::<AuditDraft>::new() };
        self.put_agreement(put, self.one_change().await).await?;
        for name in told {
            self.put_meta(name, Bytes::from_static(&[1])).await?;
        }
        Ok(())
    }

    /// A partner answered that it does not have the agreement: it goes along, on the control stream.
    pub(in super::super) async fn send_agreement_along(
        &self,
        id: &StreamId,
        agreement: &AgreementId,
    ) -> Result<(), Error> {
        let Some(row) = self.store().agreement(*agreement).await?.filter(|row| row.complete) else { return Ok(()) };
        let body = Body::AgreementComplete(row.signed);
        let (view, now) = (self.view(), self.now());
        let delivery = self.control(&view, now, &id.origin, &id.recipient, agreement, &body)?;
        let stream = dispatch::stream_of(&delivery);
        let queue = Queue { publication: None, items: vec![delivery], audit: Vec::new() };
        self.store().write(WriteOp::Queue(queue)).await?;
        self.0.wakeups.wake_stream(&stream);
        Ok(())
    }

    /// One control record about an agreement, sealed for one recipient. Its record id follows from what it says, so
    /// that saying it again is hidden by dedup.
    pub(super) fn control(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        from: &AuthorityId,
        to: &AuthorityId,
        agreement: &AgreementId,
        body: &Body,
    ) -> Result<NewDelivery, Error> {
        let kind = body.kind();
        let permit = policy::may_control(&ControlQuestion { from, to, kind, view, now })
            .map_err(|reason| Error::about(to, reason))?;
        let key = self.0.keys.of(from).ok_or(Reason::WrongOrigin)?;
        let expires = now + default_life(kind, None);
        let envelope = Envelope {
            federation: view.federation,
            origin: from.clone(),
            recipient: to.clone(),
            publication_id: new_publication_id(),
            record_id: record_id(agreement, body),
            kind,
            purpose: Purpose::Governance,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::None,
            grant: None,
            agreement_to_share_ref: Bytes::new(),
            handling: Handling { tlp: Tlp::Amber, pap: Pap::Clear },
            status: RecordStatus::Actual,
            created: now,
            expires,
            review_by: expires,
            references: Vec::new(),
            body: body.encode(),
        };
        let sealed = sealed::seal(&envelope, &key);
        if sealed.bytes.len() > crate::domain::limits::CONTROL_BYTES {
            return Err(Reason::MessageTooLarge.into());
        }
        Ok(NewDelivery {
            permit,
            record_id: envelope.record_id,
            envelope: sealed.bytes,
            digest: sealed.digest,
            as_of: None,
            traceparent: String::new(),
            queued: now,
            expires,
        })
    }
}

fn record_id(agreement: &AgreementId, body: &Body) -> RecordId {
    let mut hash = Hasher::new();
    hash.update(b"havenlink/agreement-control/v1");
    hash.update(&body.kind().code().to_be_bytes());
    hash.update(agreement.as_bytes());
    let mut id = [0_u8; 16];
    id.copy_from_slice(&hash.finish().as_bytes()[..16]);
    RecordId(id)
}
