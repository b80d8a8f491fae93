//! What a node of ours would never send, put into its queue behind its back: signed well, and odd inside.

use bytes::Bytes;

use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::Usage;
use crate::domain::envelope::Envelope;
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind};
use crate::domain::records::practice::Practice;
use crate::domain::time::Millis;

impl World {
    /// Queues an envelope whose signature is good and whose body is no record.
    pub async fn queue_odd(&self, from: &str, to: &str) {
        self.queue_practice(from, to, |envelope| envelope.body = Bytes::from_static(b"\xff\xff no message")).await;
    }

    /// Queues a later version of a practice that was sent.
    pub async fn queue_version(&self, from: &str, to: &str, practice: &Practice, target: &RecordKey) {
        let replaces = Reference { kind: ReferenceKind::Replaces, target: target.clone() };
        let body = crate::wire::records::encode(&practice.clone().into());
        self.queue_practice(from, to, |envelope| (envelope.body, envelope.references) = (body, vec![replaces])).await;
    }

    /// Queues a practice's envelope whose fields were changed, behind its own node's back.
    pub async fn queue_practice(&self, from: &str, to: &str, change: impl FnOnce(&mut Envelope)) {
        let (exchange, now) = (self.exchange(from), self.clock.now());
        let agreements = exchange.agreements.set();
        let held = agreements.grants(&id(from), &id(to)).next().unwrap();
        let view = self.view.load_full();
        let mut envelope = self.envelope(from, to);
        envelope.grant = Some(held.reference);
        change(&mut envelope);
        let permit = crate::domain::policy::may_share(&crate::domain::policy::ShareQuestion {
            from: &id(from),
            to: &id(to),
            facet: crate::domain::records::Facet::Practice(()),
            target: None,
            purpose: Purpose::Prevention,
            usage: Usage::View,
            handling: envelope.handling,
            shared: crate::domain::policy::Shared::Nothing,
            created: now,
            side: crate::domain::policy::Side::Sender,
            grant: envelope.grant.filter(|named| agreements.grant(named).is_some()),
            agreements: &agreements,
            view: &view,
            now,
        });
        let sealed = crate::wire::sealed::seal(&envelope, &self.node(from).key);
        let item = crate::storage::ops::NewDelivery {
            permit: permit.unwrap(),
            record_id: envelope.record_id,
            question: crate::storage::rows::Question::of(
                &envelope,
                Some(crate::domain::records::Facet::Practice(())),
                self.node(from).key.public().id(),
            ),
            envelope: sealed.bytes,
            digest: sealed.digest,
            as_of: None,
            traceparent: String::new(),
            queued: now,
            expires: envelope.expires,
        };
        let write = crate::storage::ops::Write { deliveries: vec![item], ..Default::default() };
        self.node(from).store.write(write.into()).await.unwrap();
    }

    /// A practice's envelope without body or grant.
    pub fn envelope(&self, from: &str, to: &str) -> Envelope {
        let now = self.clock.now();
        Envelope {
            federation: self.view.load().federation,
            origin: id(from),
            recipient: id(to),
            publication_id: crate::domain::ids::PublicationId([1; 16]),
            record_id: crate::domain::ids::RecordId(*uuid::Uuid::new_v4().as_bytes()),
            kind: RecordKind::Practice,
            purpose: Purpose::Prevention,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::None,
            grant: None,
            shared_under: None,
            handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
            status: RecordStatus::Actual,
            created: now,
            expires: now + Millis::days(1),
            review_by: now + Millis::days(1),
            references: vec![],
            body: Bytes::new(),
        }
    }
}
