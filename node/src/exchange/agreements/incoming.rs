//! What partners' control records change: proposals, signatures, complete agreements, ends.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::domain::agreement::AgreementEnd;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::Envelope;
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::Control;
use crate::domain::records::agreement::{Complete, PartySignature, Proposal};
use crate::exchange::context::Error;
use crate::storage::owed::Owed;
use crate::storage::rows::AgreementRow;
use crate::wire::agreed::{self, SignedAgreement};

use super::{Agreements, party_key, rows};

/// Agreements as a batch leaves them, before it is stored.
#[derive(Default)]
pub(in crate::exchange) struct Changes {
    pub rows: BTreeMap<AgreementId, AgreementRow>,
    /// What follows from those that are complete now.
    pub owes: Vec<Owed>,
}

/// What a change is written down as; a refusal is for the sender.
type Changed = Result<Vec<AuditDraft>, Reason>;

impl Agreements {
    /// Applies one control record to the batch's changes. `signed`: the record's envelope as it came.
    pub(in crate::exchange) async fn change(
        &self,
        changes: &mut Changes,
        envelope: &Envelope,
        control: &Control,
        signed: &Bytes,
        view: &DirectoryView,
    ) -> Result<Changed, Error> {
        match control {
            Control::AgreementProposal(Proposal(bytes)) => {
                let opened = match self.opened_for_us(bytes, envelope, view) {
                    Ok(opened) if opened.signed_by.contains(&envelope.origin) => opened,
                    Ok(_) => return Ok(Err(Reason::SignatureInvalid)),
                    Err(reason) => return Ok(Err(reason)),
                };
                if opened.agreement.proposer != envelope.origin {
                    return Ok(Err(Reason::AgreementInvalid));
                }
                self.merge(changes, opened, envelope, AuditAct::AgreementProposed).await
            }
            Control::AgreementComplete(Complete(bytes)) => match self.opened_for_us(bytes, envelope, view) {
                Ok(opened) if !opened.complete() => Ok(Err(Reason::AgreementInvalid)),
                Ok(opened) => self.merge(changes, opened, envelope, AuditAct::AgreementInForce).await,
                Err(reason) => Ok(Err(reason)),
            },
            Control::AgreementSignature(signature) => self.sign_here(changes, envelope, signature, view).await,
            Control::AgreementEnd(end) => self.end_here(changes, envelope, end, signed).await,
            // The road gives these to `persons`.
            Control::WithdrawalNotice(_) | Control::ErasureReceipt(_) => Ok(Err(Reason::ControlNotAllowed)),
        }
    }

    /// An agreement whose signatures verify, and of which both the sender and the recipient are parties.
    fn opened_for_us(
        &self,
        bytes: &Bytes,
        envelope: &Envelope,
        view: &DirectoryView,
    ) -> Result<SignedAgreement, Reason> {
        let opened = agreed::open(bytes.clone(), &view.federation, &party_key(view)).map_err(|error| error.reason)?;
        let both = opened.agreement.is_party(&envelope.origin) && opened.agreement.is_party(&envelope.recipient);
        if !both {
            return Err(Reason::AgreementNotParty);
        }
        if opened.agreement.created > self.now() + limits::CREATED_AHEAD {
            return Err(Reason::AgreementInvalid);
        }
        Ok(opened)
    }

    /// Takes what is new: a first copy, or one with more signatures.
    async fn merge(
        &self,
        changes: &mut Changes,
        opened: SignedAgreement,
        envelope: &Envelope,
        act: AuditAct,
    ) -> Result<Changed, Error> {
        let (complete, from) = (opened.complete(), &envelope.origin);
        let row = match self.row_in(changes, &opened.id).await? {
            Some(row) if row.complete || !complete => return Ok(Ok(Vec::new())),
            Some(row) => {
                let unconfirmed = row.unconfirmed || !self.signed_here(&row, &envelope.recipient);
                AgreementRow { signed: opened.bytes, complete, unconfirmed, ..row }
            }
            None if !complete && opened.agreement.created + limits::PROPOSAL_LIFE <= self.now() => {
                return Ok(Err(Reason::AgreementInvalid));
            }
            // A proposal needs nobody's consent to be stored here: it costs its proposer a place.
            None if !complete && self.open_proposals(changes, from) >= limits::OPEN_PROPOSALS => {
                return Ok(Err(Reason::TooManyProposals));
            }
            // With our signature on it, and not here: it was lost here, and perhaps ended since. A partner's word never opens.
            None => {
                AgreementRow { id: opened.id, signed: opened.bytes, complete, ends: Vec::new(), unconfirmed: complete }
            }
        };
        let audit = vec![written(act, from, &row.id)];
        if complete {
            changes.owes.extend(self.owed_by(&row.id, &opened.agreement, self.now()));
        }
        changes.rows.insert(row.id, row);
        Ok(Ok(audit))
    }

    /// Whether the copy that is here has the signature of this authority: then it was given from here. One that comes with the
    /// complete agreement alone was given before a loss.
    fn signed_here(&self, row: &AgreementRow, ours: &AuthorityId) -> bool {
        self.opened(row, &self.view()).is_ok_and(|held| held.signed_by.contains(ours))
    }

    /// How many proposals of this authority wait here: those held, and those of its batch that are new.
    fn open_proposals(&self, changes: &Changes, of: &AuthorityId) -> usize {
        let set = self.context.agreements().load();
        let held = set.all().filter(|held| !held.complete && held.agreement.proposer == *of).count();
        held + changes.rows.values().filter(|row| !row.complete && set.get(&row.id).is_none()).count()
    }

    async fn sign_here(
        &self,
        changes: &mut Changes,
        envelope: &Envelope,
        signature: &PartySignature,
        view: &DirectoryView,
    ) -> Result<Changed, Error> {
        let Some(row) = self.row_in(changes, &signature.agreement).await? else {
            return Ok(Err(Reason::AgreementNotFound));
        };
        let held = rows::held(&row)?;
        if !held.agreement.is_party(&envelope.origin) {
            return Ok(Err(Reason::AgreementNotFound));
        }
        let key_of = party_key(view);
        let signed = match agreed::add(&row.signed, &view.federation, &envelope.origin, signature, &key_of) {
            Ok(signed) => signed,
            Err(error) => return Ok(Err(error.reason)),
        };
        let complete = row.complete || agreed::reopen(signed.clone(), &view.federation, &key_of)?.complete();
        let mut audit = vec![written(AuditAct::AgreementSigned, &envelope.origin, &row.id)];
        if complete && !row.complete {
            audit.push(written(AuditAct::AgreementInForce, &envelope.origin, &row.id));
            changes.owes.extend(self.owed_by(&row.id, &held.agreement, self.now()));
        }
        changes.rows.insert(row.id, AgreementRow { signed, complete, ..row });
        Ok(Ok(audit))
    }

    async fn end_here(
        &self,
        changes: &mut Changes,
        envelope: &Envelope,
        end: &AgreementEnd,
        notice: &Bytes,
    ) -> Result<Changed, Error> {
        let Some(row) = self.row_in(changes, &end.agreement).await? else {
            return Ok(Err(Reason::AgreementNotFound));
        };
        let held = rows::held(&row)?;
        if !held.agreement.is_party(&envelope.origin) {
            return Ok(Err(Reason::AgreementNotFound));
        }
        if held.left_at(&end.by).is_some() {
            return Ok(Ok(Vec::new()));
        }
        let audit = vec![written(AuditAct::AgreementEnded, &envelope.origin, &row.id)];
        changes.rows.insert(row.id, rows::with_notice(rows::with_end(row, end), &end.by, notice.clone()));
        Ok(Ok(audit))
    }

    async fn row_in(&self, changes: &Changes, id: &AgreementId) -> Result<Option<AgreementRow>, Error> {
        match changes.rows.get(id) {
            Some(row) => Ok(Some(row.clone())),
            None => Ok(self.store().agreement(*id).await?),
        }
    }
}

pub(super) fn written(act: AuditAct, by: &AuthorityId, id: &AgreementId) -> AuditDraft {
    AuditDraft { counterparty: Some(by.clone()), agreement: Some(*id), ..AuditDraft::by_node(act) }
}
