//! The press: one publication becomes sealed envelopes, at the disclosure level of each recipient. Values in, values
//! out, so that it can run on any thread.

use std::sync::Arc;

use crate::domain::agreement::set::AgreementSet;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::Envelope;
use crate::domain::ids::{AuthorityId, PublicationId, RecordId};
use crate::domain::offer::DisclosureLevel;
use crate::domain::policy::{self, Permit, ShareQuestion, Side};
use crate::domain::publication::{Publication, Record};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind};
use crate::domain::time::UnixMs;
use crate::storage::ops::{NewDelivery, Queue};
use crate::storage::rows::PublicationRow;
use crate::wire::keys::SigningKey;
use crate::wire::{sealed, stored};

use super::super::{content, new_publication_id};

/// What goes on being said until it expires. An alert is news to those whom its publisher was told of (decisions/017).
pub(super) const STANDING: [RecordKind; 2] = [RecordKind::Practice, RecordKind::OfferView];

/// From so many publications on, sealing moves off the threads that serve sockets.
const PARALLEL_FROM: usize = 16;

/// By what is judged, and when: one view and one set for a whole pass.
#[derive(Clone)]
pub(super) struct Press {
    pub view: Arc<DirectoryView>,
    pub agreements: Arc<AgreementSet>,
    pub now: UnixMs,
}

/// Which publication it is, stored or about to be.
pub(super) struct About {
    pub record_id: RecordId,
    pub kind: RecordKind,
    pub expires: UnixMs,
}

impl About {
    pub fn row(row: &PublicationRow) -> Self {
        Self { record_id: row.record_id, kind: row.kind, expires: row.expires }
    }
}

/// What came of one publication.
pub(super) struct Pressed {
    pub queue: Queue,
    /// Recipients that are suspended now: theirs is made when they are back.
    pub suspended: Vec<AuthorityId>,
}

impl Pressed {
    /// Of this publication, nothing made yet.
    pub fn of(publication: RecordKey) -> Self {
        let queue = Queue { publication: Some(publication), ..Queue::default() };
        Self { queue, suspended: Vec::new() }
    }
}

pub(super) type Work = (Option<Arc<SigningKey>>, PublicationRow);

/// Presses every publication; in parallel when there are many.
pub(super) async fn press_all(press: Press, mut work: Vec<Work>) -> Vec<Pressed> {
    if work.len() < PARALLEL_FROM {
        return work.into_iter().map(|(key, row)| press.all(key.as_deref(), &row)).collect();
    }
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = work.len().div_ceil(lanes);
    let mut tasks = Vec::with_capacity(lanes);
    while !work.is_empty() {
        let rest = work.split_off(share.min(work.len()));
        let lane = std::mem::replace(&mut work, rest);
        let press = press.clone();
        tasks.push(tokio::task::spawn_blocking(move || {
            lane.into_iter().map(|(key, row)| press.all(key.as_deref(), &row)).collect::<Vec<_>>()
        }));
    }
    let mut pressed = Vec::new();
    for task in tasks {
        // A lane that died is taken again by the next pass.
        pressed.extend(task.await.unwrap_or_default());
    }
    pressed
}

impl Press {
    /// All deliveries of one publication, with the ledger's rows.
    fn all(&self, key: Option<&SigningKey>, row: &PublicationRow) -> Pressed {
        let mut pressed = Pressed::of(RecordKey { origin: row.authority.clone(), record_id: row.record_id });
        match stored::decode(row.body.clone()) {
            Ok(publication) => {
                let recipients = self.recipients(&publication);
                self.press(key, &About::row(row), &publication, &recipients, &mut pressed);
            }
            // A row that cannot be read must not block the ones behind it.
            Err(_) => pressed.queue.audit.push(refused(&About::row(row), None, Reason::StorageDamaged)),
        }
        pressed
    }

    /// Those found when it was published; of what stands for all, also whom an agreement has come to cover since.
    pub(super) fn recipients(&self, publication: &Publication) -> Vec<AuthorityId> {
        let mut recipients = publication.sharing.recipients.clone();
        if publication.for_all_covered && STANDING.contains(&publication.record.kind()) {
            let known = recipients.len();
            let covered = self.agreements.recipients_of(&publication.authority);
            let since = covered.filter(|to| !publication.sharing.recipients.contains(to));
            recipients.extend(since.filter(|to| self.ask(publication, to).is_ok()).cloned());
            recipients[known..].sort_unstable();
        }
        recipients
    }

    /// The deliveries of one publication to some of its recipients.
    pub(super) fn press(
        &self,
        key: Option<&SigningKey>,
        about: &About,
        publication: &Publication,
        recipients: &[AuthorityId],
        pressed: &mut Pressed,
    ) {
        let publication_id = new_publication_id();
        for to in recipients {
            match (self.ask(publication, to), key) {
                (_, None) => pressed.queue.audit.push(refused(about, Some(to), Reason::WrongOrigin)),
                _ if about.expires <= self.now => {
                    pressed.queue.audit.push(refused(about, Some(to), Reason::EnvelopeExpired));
                }
                (Ok(permit), Some(key)) => {
                    let envelope = self.envelope(publication, &permit, publication_id, about);
                    pressed.queue.audit.push(disclosed(&permit, about.record_id));
                    pressed.queue.items.push(self.delivery(publication, envelope, permit, key));
                }
                (Err(Reason::MemberSuspended), _) => pressed.suspended.push(to.clone()),
                (Err(reason), _) => pressed.queue.audit.push(refused(about, Some(to), reason)),
            }
        }
    }

    pub(super) fn ask(&self, publication: &Publication, to: &AuthorityId) -> Result<Permit, Reason> {
        policy::may_share(&ShareQuestion {
            from: &publication.authority,
            to,
            kind: publication.record.kind(),
            details: publication.record.details(),
            purpose: publication.sharing.purpose,
            handling: publication.sharing.handling,
            created: publication.created,
            side: Side::Sender,
            grant: None,
            agreements: &self.agreements,
            view: &self.view,
            now: self.now,
        })
    }

    fn envelope(
        &self,
        publication: &Publication,
        permit: &Permit,
        publication_id: PublicationId,
        about: &About,
    ) -> Envelope {
        let sharing = &publication.sharing;
        let level = permit.grant().and_then(|g| self.agreements.grant(&g)?.grant.disclosure_level);
        let prepared = content::prepared(&publication.record, level.unwrap_or(DisclosureLevel::Light));
        Envelope {
            federation: self.view.federation,
            origin: publication.authority.clone(),
            recipient: permit.to().clone(),
            publication_id,
            record_id: about.record_id,
            kind: permit.kind(),
            purpose: sharing.purpose,
            lawful_basis: sharing.lawful_basis,
            special_basis: sharing.special_basis,
            grant: permit.grant(),
            agreement_to_share_ref: bytes::Bytes::new(),
            handling: sharing.handling,
            status: sharing.status,
            created: publication.created,
            expires: about.expires,
            review_by: sharing.review_by.unwrap_or(about.expires),
            references: references(&publication.record),
            body: prepared.encode(),
        }
    }

    fn delivery(&self, publication: &Publication, envelope: Envelope, permit: Permit, key: &SigningKey) -> NewDelivery {
        let sealed = sealed::seal(&envelope, key);
        let as_of =
            if let Record::Offer { offer, .. } = &publication.record { Some(offer.capacity.as_of) } else { None };
        NewDelivery {
            permit,
            record_id: envelope.record_id,
            envelope: sealed.bytes,
            digest: sealed.digest,
            as_of,
            traceparent: publication.traceparent.clone(),
            queued: self.now,
            expires: envelope.expires,
        }
    }
}

fn references(record: &Record) -> Vec<Reference> {
    match record {
        Record::Answer { target, .. } => vec![Reference { kind: ReferenceKind::Answers, target: target.clone() }],
        Record::Alert(_) | Record::Practice(_) | Record::Offer { .. } => Vec::new(),
    }
}

fn disclosed(permit: &Permit, record_id: RecordId) -> AuditDraft {
    AuditDraft {
        counterparty: Some(permit.to().clone()),
        record: Some((permit.kind(), record_id)),
        agreement: permit.grant().map(|g| g.agreement),
        purpose: Some(permit.purpose()),
        ..AuditDraft::by_node(AuditAct::Disclosed)
    }
}

fn refused(about: &About, to: Option<&AuthorityId>, reason: Reason) -> AuditDraft {
    AuditDraft {
        counterparty: to.cloned(),
        record: Some((about.kind, about.record_id)),
        reason: Some(reason),
        ..AuditDraft::by_node(AuditAct::Refused)
    }
}
