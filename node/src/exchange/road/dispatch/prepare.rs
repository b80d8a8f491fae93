//! Preparing: one publication becomes sealed envelopes, at the disclosure level of each recipient. Values in, values
//! out, so that it can run on any thread.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::agreement::Usage;
use crate::domain::agreement::set::AgreementSet;
use crate::domain::audit::{ActorRole, AuditAct, AuditDraft};
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::Envelope;
use crate::domain::ids::{AuthorityId, PublicationId, RecordId};
use crate::domain::person::share::ShareUse;
use crate::domain::policy::{self, Permit, ReadPurpose, ShareQuestion, Shared, Side};
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::RecordKind;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::UnixMs;
use crate::exchange::context::new_publication_id;
use crate::storage::ops::{NewDelivery, Queue};
use crate::storage::rows::{PublicationRow, Question};
use crate::wire::keys::SigningKey;
use crate::wire::{self, records, sealed, stored};

/// From so many publications on, sealing moves off the threads that serve sockets.
const PARALLEL_FROM: usize = 16;

/// By what is judged, and when: one view and one set for a whole pass.
#[derive(Clone)]
pub(super) struct Preparer {
    pub view: Arc<DirectoryView>,
    pub agreements: Arc<AgreementSet>,
    pub now: UnixMs,
}

/// Which publication it is, stored or about to be.
pub(super) struct About {
    pub record_id: RecordId,
    pub kind: RecordKind,
    pub expires: UnixMs,
    /// What opens it, if it concerns a person, looked at just now.
    pub shared: Option<ShareUse>,
}

impl About {
    pub fn row(row: &PublicationRow, shared: Option<ShareUse>) -> Self {
        Self { record_id: row.record_id, kind: row.record.kind(), expires: row.record.expires(), shared }
    }
}

/// What came of one publication.
pub(super) struct Prepared {
    pub queue: Queue,
    /// Recipients that are suspended now, or whose agreement waits for confirmation, and which of the two: theirs is made then.
    pub suspended: Vec<(AuthorityId, Reason)>,
    /// The stored row does not have its form, and why: nothing can be made of it.
    pub unreadable: Option<(RecordKind, wire::Error)>,
}

impl Prepared {
    /// Of this publication, nothing made yet.
    pub fn of(publication: RecordKey) -> Self {
        let queue = Queue { publication: Some(publication), ..Queue::default() };
        Self { queue, suspended: Vec::new(), unreadable: None }
    }
}

/// A publication to be made for its recipients.
pub(super) struct Work {
    pub key: Option<Arc<SigningKey>>,
    pub row: PublicationRow,
    /// What opens it, if it concerns a person.
    pub shared: Option<ShareUse>,
    /// Partners that agreements have come to cover since may be added, where its kind and audience say so.
    pub grows: bool,
}

/// Prepares every publication; in parallel when there are many.
pub(super) async fn prepare_all(preparer: Preparer, mut work: Vec<Work>) -> Vec<Prepared> {
    if work.len() < PARALLEL_FROM {
        return work.iter().map(|work| preparer.all(work)).collect();
    }
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = work.len().div_ceil(lanes);
    let mut tasks = Vec::with_capacity(lanes);
    while !work.is_empty() {
        let rest = work.split_off(share.min(work.len()));
        let lane = std::mem::replace(&mut work, rest);
        let preparer = preparer.clone();
        tasks.push(tokio::task::spawn_blocking(move || lane.iter().map(|work| preparer.all(work)).collect::<Vec<_>>()));
    }
    let mut prepared = Vec::new();
    for task in tasks {
        // A lane that died is taken again by the next pass.
        prepared.extend(task.await.unwrap_or_default());
    }
    prepared
}

impl Preparer {
    /// All deliveries of one publication, with the ledger's rows.
    fn all(&self, work: &Work) -> Prepared {
        let row = &work.row;
        let mut prepared = Prepared::of(row.key());
        let reading = match policy::may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare, self.now) {
            Ok(reading) => reading,
            // Past its time nobody gets it, and whom it was for is not looked up.
            Err(reason) => {
                prepared.queue.audit.push(refused(&About::row(row, None), None, reason));
                return prepared;
            }
        };
        match stored::reload(reading) {
            Ok(publication) => {
                let recipients =
                    if work.grows { self.recipients(&publication) } else { publication.recipients.clone() };
                let about = About::row(row, work.shared.clone());
                self.prepare(work.key.as_deref(), &about, &publication, &recipients, &mut prepared);
            }
            // A row that cannot be read must not block the ones behind it.
            Err(error) => {
                prepared.queue.audit.push(refused(&About::row(row, None), None, Reason::StorageDamaged));
                prepared.unreadable = Some((row.record.kind(), error));
            }
        }
        prepared
    }

    /// Those found when it was published; of what is lasting and for all, also whom an agreement has come to cover since.
    pub(super) fn recipients(&self, publication: &Publication) -> Vec<AuthorityId> {
        let mut recipients = publication.recipients.clone();
        if publication.grows() {
            let known = recipients.len();
            let covered = self.agreements.recipients_of(&publication.authority);
            let since = covered.filter(|to| !publication.recipients.contains(to));
            recipients.extend(since.filter(|to| self.ask(publication, to, None).is_ok()).cloned());
            recipients[known..].sort_unstable();
        }
        recipients
    }

    /// The deliveries of one publication to some of its recipients.
    pub(super) fn prepare(
        &self,
        key: Option<&SigningKey>,
        about: &About,
        publication: &Publication,
        recipients: &[AuthorityId],
        prepared: &mut Prepared,
    ) {
        let publication_id = new_publication_id();
        let mut forms = Forms::of(publication);
        for to in recipients {
            match (self.decide(about, publication, to), key) {
                (_, None) => prepared.queue.audit.push(refused(about, Some(to), Reason::WrongOrigin)),
                (Ok(permit), Some(key)) => {
                    let envelope = self.envelope(&mut forms, &permit, publication_id, about);
                    prepared.queue.audit.push(disclosed(&permit, about.record_id));
                    prepared.queue.items.push(self.delivery(publication, envelope, permit, key));
                }
                (Err(reason), _) if reason.is_held() => prepared.suspended.push((to.clone(), reason)),
                (Err(reason), _) => prepared.queue.audit.push(refused(about, Some(to), reason)),
            }
        }
    }

    /// Whether this recipient gets it now: what queues it, and what explains (decisions/042).
    pub(super) fn decide(&self, about: &About, publication: &Publication, to: &AuthorityId) -> Result<Permit, Reason> {
        if about.expires <= self.now {
            return Err(Reason::EnvelopeExpired);
        }
        self.ask(publication, to, about.shared.as_ref())
    }

    pub(super) fn ask(
        &self,
        publication: &Publication,
        to: &AuthorityId,
        shared: Option<&ShareUse>,
    ) -> Result<Permit, Reason> {
        policy::may_share(&ShareQuestion {
            from: &publication.authority,
            to,
            facet: publication.content.facet(),
            target: publication.under,
            purpose: publication.sharing.purpose,
            usage: Usage::View,
            handling: publication.sharing.handling,
            shared: shared.map_or(Shared::Nothing, Shared::Opened),
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
        forms: &mut Forms<'_>,
        permit: &Permit,
        publication_id: PublicationId,
        about: &About,
    ) -> Envelope {
        let publication = forms.publication;
        let sharing = &publication.sharing;
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
            shared_under: about
                .shared
                .as_ref()
                .map(|opened| opened.under(uuid::Uuid::new_v4().into_bytes(), about.expires, self.now)),
            handling: sharing.handling,
            status: sharing.status,
            created: publication.created,
            expires: about.expires,
            review_by: sharing.review_by.unwrap_or(about.expires),
            references: publication.references.clone(),
            body: forms.at(self.level(permit)),
        }
    }

    /// How much its recipient sees.
    pub(super) fn level(&self, permit: &Permit) -> DisclosureLevel {
        let level = permit.grant().and_then(|g| self.agreements.grant(&g)?.grant.disclosure_level);
        level.unwrap_or(DisclosureLevel::Light)
    }

    fn delivery(&self, publication: &Publication, envelope: Envelope, permit: Permit, key: &SigningKey) -> NewDelivery {
        let sealed = sealed::seal(&envelope, key);
        // What the recipient sees is asked about again, not what its owner knows.
        let prepared = publication.content.prepare(self.level(&permit));
        let facet = prepared.as_ref().unwrap_or(&publication.content).facet();
        NewDelivery {
            permit,
            record_id: envelope.record_id,
            question: Question::of(&envelope, Some(facet), key.public().id()),
            envelope: sealed.bytes,
            digest: sealed.digest,
            as_of: publication.content.as_of(),
            traceparent: publication.traceparent.clone(),
            queued: self.now,
            expires: envelope.expires,
        }
    }
}

/// The encoded forms of one publication: each is encoded once, and shared by all who get it.
struct Forms<'a> {
    publication: &'a Publication,
    by_level: [Option<Bytes>; DisclosureLevel::ALL.len()],
}

impl<'a> Forms<'a> {
    fn of(publication: &'a Publication) -> Self {
        Self { publication, by_level: [const { None }; DisclosureLevel::ALL.len()] }
    }

    /// What a partner with this level gets; what no level shapes are the very bytes that are stored.
    fn at(&mut self, level: DisclosureLevel) -> Bytes {
        let publication = self.publication;
        let form = self.by_level[level as usize - 1].get_or_insert_with(|| {
            let shaped = publication.content.prepare(level);
            shaped.map_or_else(|| publication.encoded.clone(), |shaped| records::encode(&shaped))
        });
        form.clone()
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

pub(super) fn refused(about: &About, to: Option<&AuthorityId>, reason: Reason) -> AuditDraft {
    AuditDraft {
        counterparty: to.cloned(),
        record: Some((about.kind, about.record_id)),
        reason: Some(reason),
        ..AuditDraft::by_node(AuditAct::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::handling::*;
    use crate::domain::records::Content;
    use crate::domain::records::offer::Offer;
    use crate::domain::samples::{NOW, alert, kehl, own_offer, strasbourg};
    use crate::domain::sharing::{Audience, Sharing};

    fn publication(content: Content) -> Publication {
        Publication {
            authority: strasbourg(),
            sharing: Sharing {
                audience: Audience::one(kehl()),
                purpose: Purpose::Prevention,
                lawful_basis: LawfulBasis::PublicTask,
                special_basis: SpecialBasis::None,
                handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
                status: RecordStatus::Actual,
                expires: None,
                review_by: None,
            },
            recipients: vec![kehl()],
            encoded: records::encode(&content),
            content,
            references: Vec::new(),
            under: None,
            created: NOW,
            traceparent: String::new(),
        }
    }

    #[test]
    fn content_is_encoded_once_for_all_who_get_the_same_form() {
        let one = publication(alert().into());
        let mut forms = Forms::of(&one);
        for level in DisclosureLevel::ALL {
            assert_eq!(forms.at(*level).as_ptr(), one.encoded.as_ptr(), "the bytes that are stored");
        }
        let one = publication(Offer::Own { offer: own_offer(false), version: 1 }.into());
        let mut forms = Forms::of(&one);
        let band = forms.at(DisclosureLevel::Band);
        assert_eq!(forms.at(DisclosureLevel::Band).as_ptr(), band.as_ptr());
        assert_ne!(forms.at(DisclosureLevel::Count), band);
        assert!(!band.windows(7).any(|w| w == b"house 3"), "the owner's label stays with the owner");
    }
}
