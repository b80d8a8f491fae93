//! The rare writes: what is expected is compared, then each put, delete and owed row is a statement.

use super::batch::{Batch, Step};
use super::db::{Args, Columns};
use super::facts::key_of;
use super::{holds, statements};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::named::Named;
use crate::ops::{Delete, Expect, NewPartnerOffer, Put, Write, Written};
use crate::owed::{Owed, OwedKey, Postponed};
use crate::rows::{AgreementRow, DisclosureRow};

/// An expectation that does not hold.
enum Unmet {
    Taken,
    Refused(Reason),
}

impl<'a> Batch<'a> {
    pub(super) async fn write(&mut self, op: &'a Write) -> Step {
        if let Some(answer) = self.seen(op.request.as_ref()) {
            return Ok(answer);
        }
        for expect in &op.expects {
            match self.unmet(expect).await? {
                None => {}
                Some(Unmet::Taken) => return Ok(Ok(Written::Taken)),
                Some(Unmet::Refused(reason)) => return Ok(Err(reason)),
            }
        }
        let mut keys = std::collections::HashSet::new();
        if !op.publications.iter().all(|p| !self.facts.published.contains_key(&key_of(p)) && keys.insert(key_of(p))) {
            return Ok(Ok(Written::Taken));
        }
        self.remember(op.request.as_ref());
        op.puts.iter().for_each(|put| self.put(put));
        for delete in &op.deletes {
            self.delete(delete).await?;
        }
        op.publications.iter().for_each(|p| self.put_publication(p, true));
        op.deliveries.iter().for_each(|item| self.put_delivery(item));
        self.owe(&op.owes).await?;
        self.settle_owed(&op.settles).await?;
        op.postpones.iter().for_each(|postponed| self.postpone(postponed));
        Ok(Ok(Written::Done))
    }

    async fn unmet(&mut self, expect: &Expect) -> Result<Option<Unmet>, sqlx::Error> {
        let fits = match expect {
            Expect::Named(name, expected) => {
                let rows = self.fetch(&statements::META_GET, Args::new().with(name.name())).await?;
                rows.first().map(|row| row.bytes(0)).transpose()? == *expected
            }
            Expect::Invitation(id, expected) => {
                let rows = self.fetch(&statements::INVITATION_GET, Args::new().with(id.0.as_slice())).await?;
                rows.first().map(|row| row.bytes(0)).transpose()? == *expected
            }
            Expect::OfferVersion(id, expected) => {
                let rows = self.fetch(&statements::OWN_OFFER_GET, Args::new().with(id.0.as_slice())).await?;
                if rows.first().map_or(Ok(0), |row| row.number(2))? != *expected {
                    return Ok(Some(Unmet::Refused(Reason::EtagMismatch)));
                }
                true
            }
            Expect::SlotsVersion(id, expected) => {
                let rows = self.fetch(&statements::OFFER_SLOTS_GET, Args::new().with(id.0.as_slice())).await?;
                rows.first().map_or(Ok(0), |row| row.number(1))? == *expected
            }
            Expect::ShareVersion(id, expected) => {
                let id = Args::new().with(id.0.as_slice());
                let rows = self.fetch(&statements::AGREEMENT_TO_SHARE_VERSION, id).await?;
                if rows.first().map_or(Ok(0), |row| row.number(0))? != *expected {
                    return Ok(Some(Unmet::Refused(Reason::EtagMismatch)));
                }
                true
            }
            Expect::Owed(key) => {
                let mut args = Args::new();
                bind_owed(key, &mut args);
                !self.fetch(&statements::OWED_GET, args).await?.is_empty()
            }
        };
        Ok((!fits).then_some(Unmet::Taken))
    }

    /// Stores a row in the place of one with the same key.
    pub(super) fn put(&mut self, put: &Put) {
        match put {
            Put::Named(name, value) => {
                self.script.push(&statements::META_PUT, Args::new().with(name.name()).with(value));
            }
            Put::Agreement(row) => self.put_agreement(row),
            Put::OwnOffer(offer) => {
                let args = Args::new().with(offer.id.0.as_slice()).with(&offer.body);
                let args = args.with(offer.version).with(offer.unconfirmed);
                self.script.push(&statements::OWN_OFFER_PUT, args);
            }
            Put::PartnerOffer(row) => self.put_partner_offer(row),
            Put::Share(row) => {
                let args = Args::new().with(row.id.0.as_slice()).with(&row.authority);
                let args = args.with(row.case.as_bytes().as_slice()).with(row.version).with(row.keep_until);
                self.script.push(&statements::AGREEMENT_TO_SHARE_PUT, args.with(&row.sealed));
            }
            Put::Disclosure(row) => self.put_disclosure(row),
            Put::Withdrawal(row) => {
                let mut args = Args::new();
                args.key(Some(&row.key)).push(&row.recipient).push(row.counter).push(row.received).push(row.due_by);
                let args = args.with(row.done_at.unwrap_or(UnixMs(0))).with(&row.notice);
                self.script.push(&statements::WITHDRAWAL_PUT, args);
            }
            Put::Slots(row) => self.script.push(&statements::OFFER_SLOTS_PUT, holds::put_slots(row)),
            Put::AskedHold(row) => self.script.push(&statements::ASKED_HOLD_PUT, holds::put_asked(row)),
            Put::Answered(row) => {
                let args = Args::new().with(&row.ours).with(&row.partner).with(row.contact).with(row.unknown);
                self.script.push(&statements::WITHDRAWALS_ANSWERED_PUT, args);
            }
            Put::Invitation(id, held) => {
                self.script.push(&statements::INVITATION_PUT, Args::new().with(id.0.as_slice()).with(held));
            }
            Put::InvitationRequest(request, row) => {
                let args = Args::new().with(request.0.as_slice()).with(row.body.0.as_slice());
                let args = args.with(row.invitation.0.as_slice()).with(row.expires);
                self.script.push(&statements::INVITATION_REQUEST_PUT, args);
            }
            Put::PartnerIncarnation { ours, theirs, told } => {
                let args = Args::new().with(ours).with(theirs).with(told.incarnation.0).with(&told.hello);
                self.script.push(&statements::PARTNER_INCARNATION_PUT, args);
            }
            Put::OwnIncarnation(incarnation) => {
                if self.state.begin(*incarnation) {
                    let bytes = incarnation.0.to_be_bytes();
                    let args = Args::new().with(Named::Incarnation.name()).with(bytes.as_slice());
                    self.script.push(&statements::META_PUT, args);
                }
            }
            Put::Checkpoint { size, signed } => {
                self.script.push(&statements::AUDIT_CHECKPOINT_PUT, Args::new().with(*size).with(signed));
            }
        }
    }

    fn put_agreement(&mut self, row: &AgreementRow) {
        let id = || Args::new().with(row.id.0.as_slice());
        self.script.push(&statements::AGREEMENT_PUT, id().with(&row.signed).with(row.complete).with(row.unconfirmed));
        for end in &row.ends {
            let args = id().with(&end.by).with(end.at).with(end.reason).with(&end.notice);
            self.script.push(&statements::AGREEMENT_END_PUT, args);
        }
    }

    fn put_partner_offer(&mut self, row: &NewPartnerOffer) {
        let args = Args::new().with(&row.origin).with(row.id.0.as_slice()).with(row.version);
        let args = args.with(row.age_at_sending_ms.unwrap_or(-1)).with(row.received).with(row.keep_until);
        self.script.push(&statements::PARTNER_OFFER_PUT, args.with(&row.view));
    }

    fn put_disclosure(&mut self, row: &DisclosureRow) {
        let mut args = Args::new();
        args.key(Some(&row.key)).push(&row.recipient).push(row.kind.code()).push(row.scope.code());
        args.push(row.purpose.code()).push(row.case.as_bytes().as_slice()).push(row.share.0.as_slice());
        args.push(row.shared_at).push(row.erase_by).push(row.state as i32).push(row.counter).push(row.noticed_at);
        args.push(row.due_by).push(row.answered_at).push(&row.receipt);
        self.script.push(&statements::DISCLOSURE_PUT, args);
    }

    /// What was collected stands before it: a record that came or was made in this very transaction goes too.
    pub(super) async fn delete(&mut self, delete: &Delete) -> Result<(), sqlx::Error> {
        self.flush().await?;
        match delete {
            Delete::Erased { key, at } => {
                let args = || {
                    let mut args = Args::new();
                    args.key(Some(key));
                    args
                };
                // As long as what was answered to it is still there to be found.
                self.script.push(&statements::SALT_ERASE, args());
                self.script.push(&statements::OUTBOX_ERASE, args());
                self.script.push(&statements::DELIVERY_ERASE, args().with(*at));
                for statement in [
                    &statements::UNDISPATCHED_ERASE,
                    &statements::PUBLICATION_ERASE,
                    &statements::INBOX_ERASE,
                    &statements::HIDDEN_INBOX_ERASE,
                ] {
                    self.script.push(statement, args());
                }
            }
            Delete::AskedHold(id) => {
                self.script.push(&statements::ASKED_HOLD_DELETE, Args::new().with(id.0.as_slice()));
            }
            Delete::Proposal(id) => {
                self.script.push(&statements::AGREEMENT_END_FORGET, Args::new().with(id.0.as_slice()));
                self.script.push(&statements::AGREEMENT_FORGET, Args::new().with(id.0.as_slice()));
            }
        }
        Ok(())
    }

    /// Adds what is owed from now on.
    pub(super) async fn owe(&mut self, owes: &[Owed]) -> Result<(), sqlx::Error> {
        self.script.push_many(self.conn, &statements::OWED_PUT, owes, bind_new_owed).await
    }

    async fn settle_owed(&mut self, settles: &[OwedKey]) -> Result<(), sqlx::Error> {
        self.script.push_many(self.conn, &statements::OWED_SETTLE, settles, bind_owed).await
    }

    fn postpone(&mut self, postponed: &Postponed) {
        let mut args = Args::new();
        bind_owed(&postponed.key, &mut args);
        self.script.push(&statements::OWED_POSTPONE, args.with(postponed.due).with(postponed.reason.code()));
    }
}

/// Sort, recipient, subject.
fn bind_owed(key: &OwedKey, args: &mut Args) {
    args.push(key.subject.what() as i32).push(recipient(key)).push(key.subject.text().as_str());
}

/// The row as it begins.
pub(crate) fn bind_new_owed(owed: &Owed, args: &mut Args) {
    bind_owed(&owed.key, args);
    args.push(owed.since).push(owed.due);
}

fn recipient(key: &OwedKey) -> &str {
    key.recipient.as_ref().map_or("", |recipient| recipient.as_str())
}

/// The column of a recipient, or of none.
pub(super) fn recipient_or_none(
    row: &impl Columns,
    column: usize,
) -> Result<Option<crate::domain::ids::AuthorityId>, sqlx::Error> {
    if row.text(column)?.is_empty() { Ok(None) } else { row.authority(column).map(Some) }
}

/// A stored row; a subject that this program did not write is damage.
pub(super) fn owed_row(row: &impl Columns) -> Result<crate::owed::OwedRow, sqlx::Error> {
    let what = row.value(0, crate::owed::What::from_code(row.code(0)?))?;
    let subject = row.value(2, crate::owed::Subject::parse(what, &row.text(2)?))?;
    let due: UnixMs = row.time(4)?;
    Ok(crate::owed::OwedRow {
        key: OwedKey { subject, recipient: recipient_or_none(row, 1)? },
        since: row.time(3)?,
        due,
        attempts: row.value(5, u32::try_from(row.int(5)?).ok())?,
        reason: row.reason(6)?,
    })
}
