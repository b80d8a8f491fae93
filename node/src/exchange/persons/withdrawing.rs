//! Calling back what was shared about a case, and what partners say of it: notices, and signed answers.
//!
//! At its origin a withdrawal closes, tells and erases in this order: with the answer nothing of the case opens any more and each
//! recipient's notice is on its way; what is stored here follows at once (`erasing`). At a recipient the record is gone from every
//! list with the transaction that takes the notice, and the answer follows once nothing is left of it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::envelope::Envelope;
use crate::domain::ids::AuthorityId;
use crate::domain::person::{CaseIndex, CaseReference};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::withdrawal::{ErasureOutcome, ErasureReceipt, WithdrawalNotice, WithdrawalReason};
use crate::domain::records::{CONTROL_LIFE, Control};
use crate::domain::time::Millis;
use crate::exchange::context::{Error, new_random_record_id};
use crate::storage::ops::{Delete, NewShare, Put, Write};
use crate::storage::owed::{Owed, OwedKey, Subject};
use crate::storage::rows::{DisclosureRow, DisclosureState, WithdrawalRow};

use super::{Persons, sealed_as};

/// A partner has so long to answer a notice; after that it is named, and gets nothing about persons until it does.
const ANSWERED_WITHIN: Millis = Millis::hours(72);

/// Disclosures of one look.
const LISTED: usize = 1_000;

/// What a partner's control record changes, before its batch is stored.
pub(in crate::exchange) struct WithdrawalChange {
    pub puts: Vec<Put>,
    pub deletes: Vec<Delete>,
    pub owes: Vec<Owed>,
    pub audit: Vec<AuditDraft>,
}

/// What was agreed about a case, as it is from a withdrawal on.
#[derive(Default)]
pub(super) struct Withdrawn {
    /// With the version before each.
    pub rows: Vec<(u64, NewShare)>,
    /// Die with it.
    pub keys: Vec<RecordKey>,
    /// Of the last notice from an origin to a recipient.
    counters: BTreeMap<(AuthorityId, AuthorityId), u64>,
}

/// The notice of what was called back.
pub(super) fn notice_of(row: &DisclosureRow) -> Control {
    let (record_id, reason) = (row.key.record_id, WithdrawalReason::Withdrawn);
    Control::WithdrawalNotice(WithdrawalNotice { record_id, reason, counter: row.counter, due_by: row.due_by })
}

impl Persons {
    /// All that was agreed about a case ends, and all that was shared under it is called back.
    pub(super) async fn withdraw_case(
        &self,
        write: &mut Write,
        withdrawn: &mut Withdrawn,
        case: CaseIndex,
        actor: Actor,
    ) -> Result<(), Error> {
        for held in self.of_case(case).await? {
            // One that cannot be read opens nothing.
            let Ok(mut share) = held.share else { continue };
            withdrawn.keys.push(sealed_as(&held.authority, held.id, false));
            if share.withdraw(actor, self.context.best_time()) {
                withdrawn.rows.push(self.row(held.id, held.authority, (case, held.version), &share).await?);
            }
        }
        self.call_back(write, &mut withdrawn.counters, case).await
    }

    /// Adds to a withdrawal the notice to each recipient of what was shared about the case, and the erasure here.
    async fn call_back(
        &self,
        write: &mut Write,
        counters: &mut BTreeMap<(AuthorityId, AuthorityId), u64>,
        case: CaseIndex,
    ) -> Result<(), Error> {
        let (view, now) = (self.context.view(), self.context.best_time());
        for row in self.store().disclosures_of(case).await? {
            if row.state != DisclosureState::Shared {
                continue;
            }
            let (from, to) = (row.key.origin.clone(), row.recipient.clone());
            let counter = match counters.get(&(from.clone(), to.clone())) {
                Some(counter) => counter + 1,
                None => self.store().last_notice(from.clone(), to.clone()).await? + 1,
            };
            counters.insert((from.clone(), to.clone()), counter);
            let due_by = now + ANSWERED_WITHIN;
            let row = DisclosureRow { state: DisclosureState::Noticed, counter, noticed_at: now, due_by, ..row };
            let as_what = (new_random_record_id(), CONTROL_LIFE);
            let sealed = self.context.control((&view, now), (&from, &to), as_what, &notice_of(&row));
            // Whom nothing can reach now asks when it is back, and is named when the answer is overdue.
            write.deliveries.extend(sealed.ok());
            write.owes.push(Owed::now(OwedKey::of(Subject::Erasure(row.key.clone())), now));
            write.puts.push(Put::Disclosure(row));
        }
        Ok(())
    }

    /// What a partner's word about a withdrawal changes; a refusal is for the sender, and final.
    pub(in crate::exchange) async fn heard(
        &self,
        envelope: &Envelope,
        control: &Control,
        signed: &Bytes,
    ) -> Result<Result<WithdrawalChange, Reason>, Error> {
        match control {
            Control::WithdrawalNotice(notice) => self.noticed(envelope, notice, signed).await.map(Ok),
            Control::ErasureReceipt(receipt) => self.answered_by(envelope, receipt, signed).await,
            Control::AgreementProposal(_)
            | Control::AgreementSignature(_)
            | Control::AgreementComplete(_)
            | Control::AgreementEnd(_) => Ok(Err(Reason::ControlNotAllowed)),
        }
    }

    /// Gone with the transaction that takes the notice; its keys, and the answer, follow. One that is not here is not taken when
    /// it comes.
    pub(super) async fn noticed(
        &self,
        envelope: &Envelope,
        notice: &WithdrawalNotice,
        signed: &Bytes,
    ) -> Result<WithdrawalChange, Error> {
        let key = RecordKey { origin: envelope.origin.clone(), record_id: notice.record_id };
        let known = self.store().withdrawal(key.clone()).await?;
        let row = WithdrawalRow {
            key: key.clone(),
            recipient: envelope.recipient.clone(),
            counter: known.map_or(notice.counter, |known| known.counter.max(notice.counter)),
            received: self.context.now(),
            due_by: notice.due_by,
            done_at: None,
            notice: signed.clone(),
        };
        // Their rows go with this transaction, and nobody would find their keys by them any more.
        let sealed = self.with_answers(&key).await?.into_iter();
        let owes = sealed.map(|key| Owed::now(OwedKey::of(Subject::Erasure(key)), self.context.now())).collect();
        let deletes = vec![Delete::Erased { key, at: self.context.now() }];
        let puts = vec![Put::Withdrawal(row)];
        Ok(WithdrawalChange { puts, deletes, owes, audit: Vec::new() })
    }

    pub(super) async fn answered_by(
        &self,
        envelope: &Envelope,
        receipt: &ErasureReceipt,
        signed: &Bytes,
    ) -> Result<Result<WithdrawalChange, Reason>, Error> {
        let key = RecordKey { origin: envelope.recipient.clone(), record_id: receipt.record_id };
        let asked = |row: &DisclosureRow| row.recipient == envelope.origin && row.counter == receipt.counter;
        let Some(row) = self.store().disclosure(key).await?.filter(asked) else {
            return Ok(Err(Reason::TargetUnknown));
        };
        let state = match receipt.outcome {
            ErasureOutcome::Done => DisclosureState::Done,
            ErasureOutcome::Partial => DisclosureState::Partial,
            ErasureOutcome::Refused => DisclosureState::Refused,
        };
        let audit = AuditDraft {
            counterparty: Some(envelope.origin.clone()),
            record: Some((row.kind, row.key.record_id)),
            ..AuditDraft::by_node(AuditAct::ErasureAnswered)
        };
        let answered_at = self.context.now();
        let row = DisclosureRow { state, answered_at, receipt: signed.clone(), ..row };
        let puts = vec![Put::Disclosure(row)];
        Ok(Ok(WithdrawalChange { puts, deletes: Vec::new(), owes: Vec::new(), audit: vec![audit] }))
    }

    /// Whether a partner's record is not to be taken: it was withdrawn, or its time was over, before it came.
    pub(in crate::exchange) async fn was_erased(&self, key: &RecordKey) -> Result<bool, Error> {
        Ok(self.store().withdrawal(key.clone()).await?.is_some() || self.store().is_erased(key.clone()).await?)
    }

    /// What was called back, by how it stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn erasures(&self) -> Result<Vec<DisclosureRow>, Error> {
        let mut all = Vec::new();
        for state in DisclosureState::ALL.into_iter().filter(|state| *state != DisclosureState::Shared) {
            all.extend(self.store().disclosures_in(state, LISTED).await?);
        }
        Ok(all)
    }

    /// All that was shared about a case, for the person's own question (11.17). The ledger says that it was read for her.
    ///
    /// # Errors
    /// When the ledger could not be written: then it is not given.
    pub async fn disclosures(&self, actor: Actor, case: CaseReference) -> Result<Vec<DisclosureRow>, Error> {
        let case = self.store().case_index(case).await?;
        let rows = self.store().disclosures_of(case).await?;
        let read = AuditDraft { actor, ..AuditDraft::by_node(AuditAct::ReadForPerson) };
        self.store().write(Write::audit(vec![read]).into()).await?;
        Ok(rows)
    }
}
