//! What was called back while somebody was away (9.10): told to a partner that asks, and taken from one that was asked.
//!
//! A partner answers with its own notices, each signed anew, and with those of the asker that it holds, as they were signed. Both
//! can close and erase, and nothing else: by the origin's own signature, whoever brings it. The receipts of who asks are taken with
//! the question, for it may be suspended, and no stream carries them (9.2). Invariant: what opens is stored with the last of what
//! was withdrawn, in one transaction, and one word that does not verify opens nothing.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::Envelope;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::person::CaseIndex;
use crate::domain::policy::{self, ControlQuestion};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::records::withdrawal::WithdrawalNotice;
use crate::domain::records::{CONTROL_LIFE, Control, RecordBody};
use crate::domain::stream::{StreamId, WithdrawalsAnswer, WithdrawalsQuestion};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Pair, active, key_of, new_random_record_id, speaks_for};
use crate::pass::PassKind;
use crate::storage::ops::{Expect, Put, Write};
use crate::storage::owed::{Owed, OwedKey, Subject};
use crate::storage::rows::{AnsweredRow, DisclosureState};
use crate::wire::sealed;

use super::Persons;
use super::withdrawing::{Withdrawn, notice_of};

/// Agreements to share of before a restore that are looked at; more stay closed until they are confirmed.
const UNCONFIRMED: usize = 1_000;

/// No counter lies behind it.
const LAST: u64 = u64::MAX >> 1;

/// How far a partner has answered.
pub(in crate::exchange) struct Asked {
    question: WithdrawalsQuestion,
    /// It holds a withdrawal of ours of which nothing is known here any more.
    unknown: bool,
    /// Receipts to bring along once more; then it is asked no further.
    receipts: Vec<Bytes>,
}

impl Persons {
    /// Tells a partner what was withdrawn of what it got, and what it withdrew itself as far as it said so here.
    ///
    /// # Errors
    /// When the connection may not speak for who asks, who asks is no member, or the asked is not of this node or suspended itself.
    pub async fn withdrawals_for(
        &self,
        caller: &AuthorityId,
        question: WithdrawalsQuestion,
    ) -> Result<WithdrawalsAnswer, Error> {
        let WithdrawalsQuestion { asker, asked, known, after, held_after, receipts } = question;
        let [known, after, held_after] = [known, after, held_after].map(|counter| counter.min(LAST));
        let (view, now) = (self.context.view(), self.context.now());
        speaks_for(&view, caller, &asker)?;
        if view.status(&asker, now) != MemberStatus::Suspended {
            active(&view, &asker, now).map_err(|reason| Error::about(&asker, reason))?;
        }
        if !self.context.keys().serves(&asked) {
            return Err(Reason::WrongRecipient.into());
        }
        active(&view, &asked, now).map_err(|reason| Error::about(&asked, reason))?;
        self.take_receipts((&view, now), (&asker, &asked), receipts).await?;
        let together = limits::WITHDRAWALS_TOGETHER;
        let rows = self.store().called_back((asked.clone(), asker.clone()), known, after, together).await?;
        let held = self.store().notices_held((asker.clone(), asked.clone()), held_after, together).await?;
        let more = rows.len() == together || held.len() == together;
        let as_what = || (new_random_record_id(), CONTROL_LIFE);
        let told = |row| self.context.control((&view, now), (&asked, &asker), as_what(), &notice_of(row));
        let notices: Result<_, Error> = rows.iter().map(|row| Ok(told(row)?.envelope)).collect();
        Ok(WithdrawalsAnswer { notices: notices?, held: held.into_iter().map(|row| row.notice).collect(), more })
    }

    /// Takes those that verify and answer what was asked; whoever sends another one is not told.
    async fn take_receipts(
        &self,
        (view, now): (&DirectoryView, UnixMs),
        (from, to): (&AuthorityId, &AuthorityId),
        receipts: Vec<Bytes>,
    ) -> Result<(), Error> {
        let may = policy::may_control(&ControlQuestion { from, to, kind: RecordKind::ErasureReceipt, view, now });
        let (mut write, stream) = (Write::default(), stream(from, to));
        for signed in receipts.into_iter().filter(|_| may.is_ok()) {
            let key = |id: &_| key_of(view, now)(from, id);
            let Ok(opened) = sealed::open(signed.clone(), &stream, &view.federation, key) else { continue };
            let RecordBody::Control(Control::ErasureReceipt(receipt)) = &opened.body else { continue };
            if opened.envelope.timely(now).is_err() {
                continue;
            }
            if let Ok(change) = self.answered_by(&opened.envelope, receipt, &signed).await? {
                write.puts.extend(change.puts);
                write.audit.extend(change.audit);
            }
        }
        if !write.puts.is_empty() {
            self.store().write(write.into()).await?;
        }
        Ok(())
    }

    /// The partners that are to be asked for what each of this node holds from them; and those that an agreement to share of before a
    /// restore names, and that have not answered since.
    pub(in crate::exchange) async fn to_be_asked(&self) -> Result<(Vec<Pair>, Vec<Pair>), Error> {
        let serves = |authority: &AuthorityId| self.context.keys().serves(authority);
        let asked = |(ours, partner): &Pair| serves(ours) && !serves(partner);
        let mut holding = self.store().senders_about_persons().await?;
        holding.retain(asked);
        let mut named = BTreeSet::new();
        for row in self.store().shares_unconfirmed(UNCONFIRMED).await? {
            let held = self.held(row).await?;
            let Ok(share) = &held.share else { continue };
            let recipients = share.terms.scopes.iter().flat_map(|scope| &scope.recipients);
            named.extend(recipients.map(|partner| (held.authority.clone(), partner.clone())).filter(asked));
        }
        named.retain(|pair| !self.context.answered().has_answered(pair));
        Ok((holding, named.into_iter().collect()))
    }

    /// The first question to a partner. Since a restore, nothing is known of what it withdrew.
    pub(in crate::exchange) async fn ask(&self, (ours, partner): Pair) -> Result<Asked, Error> {
        let pair = (ours.clone(), partner.clone());
        let known = match self.context.answered().has_answered(&pair) {
            true => self.store().last_notice_from(partner.clone(), ours.clone()).await?,
            false => 0,
        };
        let question =
            WithdrawalsQuestion { asker: ours, asked: partner, known, after: 0, held_after: 0, receipts: Vec::new() };
        Ok(Asked { question, unknown: false, receipts: Vec::new() })
    }

    /// Takes one answer, and with the last one opens what is left. `Some`: what to ask next.
    ///
    /// # Errors
    /// Whatever in it does not verify; when it cannot be stored. What it withdrew stays closed then, with all else.
    pub(in crate::exchange) async fn heard_withdrawals(
        &self,
        mut asked: Asked,
        view: &DirectoryView,
        answer: WithdrawalsAnswer,
    ) -> Result<Option<Asked>, Error> {
        let _one_word_at_a_time = self.saying.lock().await;
        let (ours, partner) = (asked.question.asker.clone(), asked.question.asked.clone());
        let (now, mut write, mut withdrawn) = (self.context.now(), Write::default(), Withdrawn::default());
        for signed in &answer.notices {
            let (envelope, notice) =
                opened(signed, &stream(&partner, &ours), view, |id| view.verifying_key(&partner, id, now).copied())?;
            asked.question.after = asked.question.after.max(notice.counter);
            self.take_notice(&mut write, &mut asked, (&envelope, &notice), signed).await?;
        }
        let mut cases = BTreeSet::new();
        for signed in &answer.held {
            // What this authority signed long ago is its own word still.
            let key = |id: &_| view.unwithdrawn_key(&ours, id).copied();
            let (envelope, notice) = opened(signed, &stream(&ours, &partner), view, key)?;
            asked.question.held_after = asked.question.held_after.max(notice.counter);
            asked.unknown |= !self.knows(&mut write, &mut cases, &envelope, &notice).await?;
        }
        for case in cases {
            self.withdraw_case(&mut write, &mut withdrawn, case, Actor::NODE).await?;
        }
        let more = answer.more && !(answer.notices.is_empty() && answer.held.is_empty());
        let row = AnsweredRow { ours, partner, contact: now, unknown: asked.unknown };
        if !more {
            write.puts.push(Put::Answered(row.clone()));
        }
        self.store_heard(write, withdrawn).await?;
        if more {
            return Ok(Some(asked));
        }
        self.context.answered().heard(view, row, now);
        Ok((!asked.receipts.is_empty()).then(|| asked.only_brings()))
    }

    /// One that was taken and is done is answered again, with the next question; any other one as if it came on its stream.
    async fn take_notice(
        &self,
        write: &mut Write,
        asked: &mut Asked,
        (envelope, notice): (&Envelope, &WithdrawalNotice),
        signed: &Bytes,
    ) -> Result<(), Error> {
        let key = RecordKey { origin: envelope.origin.clone(), record_id: notice.record_id };
        let known = self.store().withdrawal(key.clone()).await?.filter(|known| known.counter >= notice.counter);
        match known {
            Some(row) if row.done_at.is_some() => {
                asked.receipts.push(self.receipt_of(&row)?.envelope);
                Ok(())
            }
            _ => {
                let change = self.noticed(envelope, notice, signed).await?;
                write.puts.extend(change.puts);
                write.deletes.extend(change.deletes);
                write.owes.extend(change.owes);
                write.audit.push(AuditDraft {
                    counterparty: Some(envelope.origin.clone()),
                    record: Some((envelope.kind, envelope.record_id)),
                    purpose: Some(envelope.purpose),
                    ..AuditDraft::by_node(AuditAct::Received)
                });
                Ok(())
            }
        }
    }

    /// Whether an own notice is known here; one of which only the record is known is written down again, with all of its case.
    async fn knows(
        &self,
        write: &mut Write,
        cases: &mut BTreeSet<CaseIndex>,
        envelope: &Envelope,
        notice: &WithdrawalNotice,
    ) -> Result<bool, Error> {
        let key = RecordKey { origin: envelope.origin.clone(), record_id: notice.record_id };
        let row = self.store().disclosure(key.clone()).await?;
        match row.filter(|row| row.recipient == envelope.recipient) {
            Some(row) => {
                cases.extend((row.state == DisclosureState::Shared).then_some(row.case));
                Ok(true)
            }
            None if self.store().is_erased(key.clone()).await? => Ok(true),
            None => {
                write.owes.push(Owed::now(OwedKey::of(Subject::Erasure(key)), self.context.now()));
                Ok(false)
            }
        }
    }

    async fn store_heard(&self, mut write: Write, withdrawn: Withdrawn) -> Result<(), Error> {
        let Withdrawn { rows, keys, .. } = withdrawn;
        if !rows.is_empty() {
            write.audit.push(AuditDraft::by_node(AuditAct::SharingWithdrawn));
        }
        for (before, row) in rows {
            write.expects.push(Expect::ShareVersion(row.id, before));
            write.puts.push(Put::Share(row));
        }
        let erases = !write.owes.is_empty();
        let streams: BTreeSet<_> = write.deliveries.iter().map(crate::exchange::context::stream_of).collect();
        self.store().write(write.into()).await?;
        streams.iter().for_each(|stream| self.context.wakeups().wake_stream(stream));
        if erases {
            self.context.wakeups().wake(PassKind::Erasures);
        }
        if !keys.is_empty() {
            self.store().erase(keys, self.context.now()).await?;
        }
        Ok(())
    }
}

impl Asked {
    /// What to ask now, and bring along.
    pub(in crate::exchange) fn question(&mut self) -> WithdrawalsQuestion {
        let mut receipts = std::mem::take(&mut self.receipts);
        self.receipts = receipts.split_off(receipts.len().min(limits::WITHDRAWALS_TOGETHER));
        WithdrawalsQuestion { receipts, ..self.question.clone() }
    }

    /// It was asked all there is, and only brings along what is left to bring.
    fn only_brings(mut self) -> Self {
        // Behind every counter: nothing is told twice.
        (self.question.after, self.question.held_after) = (LAST, LAST);
        self
    }
}

/// The control stream from one to the other, by whose rules a notice is opened.
fn stream(origin: &AuthorityId, recipient: &AuthorityId) -> StreamId {
    StreamId { origin: origin.clone(), recipient: recipient.clone(), class: StreamClass::Control }
}

fn opened(
    signed: &Bytes,
    stream: &StreamId,
    view: &DirectoryView,
    key_of: impl Fn(&crate::domain::ids::KeyId) -> Option<crate::domain::authority::PublicKey>,
) -> Result<(Envelope, WithdrawalNotice), Error> {
    let opened = sealed::open(signed.clone(), stream, &view.federation, key_of)?;
    match opened.body {
        RecordBody::Control(Control::WithdrawalNotice(notice)) => Ok((opened.envelope, notice)),
        _ => Err(crate::wire::Error::new(Reason::EnvelopeMalformed, "kind", "a notice of withdrawal").into()),
    }
}
