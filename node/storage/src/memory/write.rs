//! One operation, whole or not at all: every check comes before the first change.

use super::state::{State, StreamName};
use crate::audit::begins;
use crate::domain::audit::AuditDraft;
use crate::domain::ids::Incarnation;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::ops::*;
use crate::rows::*;

pub(super) type Answer = Result<Written, Reason>;

impl State {
    pub(super) fn write(&mut self, op: WriteOp, incarnation: Incarnation, now: UnixMs) -> Answer {
        let (answer, audit) = match op {
            WriteOp::Publish(op) => (self.publish(&op, incarnation), op.audit),
            WriteOp::Queue(op) => (self.queue(&op, incarnation), op.audit),
            WriteOp::Settle(op) => (self.settle(&op), op.audit),
            WriteOp::Attempt(op) => (self.attempt(&op), Vec::new()),
            WriteOp::Requeue(op) => (self.requeue(&op), Vec::new()),
            WriteOp::SetHeld(op) => (self.set_held(&op), Vec::new()),
            WriteOp::Receive(op) => (self.receive(&op), op.audit),
            WriteOp::PutMeta(op) => (self.put_meta(&op), op.audit),
            WriteOp::CommitCursor { consumer, position } => (self.commit_cursor(consumer, position), Vec::new()),
            WriteOp::PutAgreement(op) => (self.put_agreement_op(&op, incarnation), op.audit),
            WriteOp::ForgetProposals(ids) => {
                self.agreements.retain(|id, row| row.complete || !ids.contains(id));
                (Ok(Written::Done), Vec::new())
            }
            WriteOp::PutOffers(op) => (self.put_offers(&op), op.audit),
            WriteOp::Audit(drafts) => (Ok(Written::Done), drafts),
            WriteOp::PutCheckpoint { size, signed } => {
                self.checkpoints.insert(size, signed);
                (Ok(Written::Done), Vec::new())
            }
        };
        if matches!(answer, Ok(Written::Done | Written::Received { .. })) {
            self.append_audit(now, &audit);
        }
        answer
    }

    fn append_audit(&mut self, now: UnixMs, drafts: &[AuditDraft]) {
        for draft in drafts {
            if let Some(id) = begins(draft) {
                self.salts.entry(id).or_insert_with(|| {
                    let mut salt = [0; 32];
                    aws_lc_rs::rand::fill(&mut salt).expect("the system gives randomness");
                    salt
                });
            }
            let salt = draft.record.and_then(|(_, id)| self.salts.get(&id).copied());
            let leaf = self.ledger.append(now, draft, salt.as_ref());
            self.leaves.push(leaf);
        }
    }

    /// `Some`: the request is answered already.
    fn seen(&self, request: Option<&RequestMark>) -> Option<Answer> {
        let mark = request?;
        let first = self.requests.get(&(mark.scope.clone(), mark.request_id.clone()))?;
        Some(if first.body == mark.body {
            Ok(Written::Again(first.answer.clone()))
        } else {
            Err(Reason::RequestIdReused)
        })
    }

    fn remember(&mut self, request: Option<&RequestMark>) {
        if let Some(mark) = request {
            self.requests.insert((mark.scope.clone(), mark.request_id.clone()), mark.clone());
        }
    }

    fn publish(&mut self, op: &Publish, incarnation: Incarnation) -> Answer {
        if let Some(answer) = self.seen(op.request.as_ref()) {
            return answer;
        }
        if !self.publications_free([&op.publication]) {
            return Ok(Written::Taken);
        }
        self.remember(op.request.as_ref());
        self.put_publication(&op.publication, op.made.is_some());
        op.made.iter().flatten().for_each(|item| self.put_delivery(item, incarnation));
        Ok(Written::Done)
    }

    fn publications_free<'a>(&self, new: impl IntoIterator<Item = &'a NewPublication>) -> bool {
        let mut keys = std::collections::BTreeSet::new();
        new.into_iter().all(|p| !self.published.contains_key(&key_of(p)) && keys.insert(key_of(p)))
    }

    fn put_publication(&mut self, new: &NewPublication, dispatched: bool) {
        self.publication += 1;
        let row = PublicationRow {
            sequence: self.publication,
            authority: new.authority.clone(),
            record_id: new.record_id,
            kind: new.kind,
            target: new.target.clone(),
            body: new.body.clone(),
            created: new.created,
            expires: new.expires,
            dispatched,
        };
        self.published.insert(key_of(new), row.sequence);
        self.publications.insert(row.sequence, row);
    }

    fn put_meta(&mut self, op: &PutMeta) -> Answer {
        if op.only_if.as_ref().is_some_and(|expected| self.metas.get(&op.name) != expected.as_ref()) {
            return Ok(Written::Taken);
        }
        match &op.value {
            Some(value) => self.metas.insert(op.name.clone(), value.clone()),
            None => self.metas.remove(&op.name),
        };
        Ok(Written::Done)
    }

    fn commit_cursor(&mut self, consumer: String, position: u64) -> Answer {
        if position > self.position {
            return Err(Reason::CursorAhead);
        }
        let cursor = self.cursors.entry(consumer).or_default();
        *cursor = position.max(*cursor);
        Ok(Written::Done)
    }

    fn put_agreement_op(&mut self, op: &PutAgreement, incarnation: Incarnation) -> Answer {
        if let Some(answer) = self.seen(op.request.as_ref()) {
            return answer;
        }
        self.remember(op.request.as_ref());
        self.put_agreement(op.agreement.clone());
        op.deliveries.iter().for_each(|item| self.put_delivery(item, incarnation));
        Ok(Written::Done)
    }

    /// What is complete does not become incomplete again, and who has left stays away.
    pub(super) fn put_agreement(&mut self, mut row: AgreementRow) {
        if let Some(held) = self.agreements.get(&row.id) {
            if held.complete && !row.complete {
                (row.complete, row.signed) = (true, held.signed.clone());
            }
            let new = std::mem::replace(&mut row.ends, held.ends.clone());
            row.add_ends(new);
        }
        self.agreements.insert(row.id, row);
    }

    fn put_offers(&mut self, op: &PutOffers) -> Answer {
        if let Some(answer) = self.seen(op.request.as_ref()) {
            return answer;
        }
        let version = |id| self.own_offers.get(id).map_or(0, |row| row.version);
        if op.replaces.iter().any(|(id, expected)| version(id) != *expected) {
            return Err(Reason::EtagMismatch);
        }
        if !self.publications_free(&op.publications) {
            return Ok(Written::Taken);
        }
        self.remember(op.request.as_ref());
        for offer in &op.offers {
            self.own_offers.insert(offer.id, offer.clone());
        }
        op.publications.iter().for_each(|p| self.put_publication(p, false));
        Ok(Written::Done)
    }

    /// The stream of a delivery.
    pub(super) fn stream_of(item: &NewDelivery) -> StreamName {
        (item.permit.from().clone(), item.permit.to().clone(), item.permit.kind().class())
    }
}

fn key_of(p: &NewPublication) -> RecordKey {
    RecordKey { origin: p.authority.clone(), record_id: p.record_id }
}
