//! What persons let be shared: asked, given, confirmed, approved, withdrawn, shown to who looks after the case (11.6-11.13).
//!
//! What lives here: the use cases around an agreement to share (`domain/person/share` decides), its sealing and opening, its
//! export (`export`), what it opens (`disclosing`), calling that back (`withdrawing`), what was called back while somebody was away
//! (`recalled`), erasing it here (`erasing`), and what became of one record (`verifying`). What does not: how a record that is shared under one travels (`road`).
//! Invariants: each is kept at its origin alone, sealed under a key of its own that dies when it is withdrawn, and found by a
//! keyed hash of the case's reference, which is not stored; one word at a time is said about them; whom a person excluded is in
//! no answer; one that cannot be read opens nothing and counts as a no.

mod disclosing;
mod erasing;
mod export;
mod recalled;
mod shown;
mod verifying;
mod withdrawing;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::fault::Fault;
use crate::domain::ids::{AuthorityId, ShareId};
use crate::domain::limits;
use crate::domain::person::share::{
    AgreementToShare, Circumstances, Decider, ShareEventKind, ShareStanding, Subject, Terms,
};
use crate::domain::person::{CaseIndex, CaseReference};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::exchange::context::{Call, Context, Error, Table, Unreadable, stream_of};
use crate::pass::PassKind;
use crate::storage::Store;
use crate::storage::ops::{Expect, NewShare, Put, Write, Written};
use crate::storage::rows::ShareRow;
use crate::wire::{self, share as codec};

pub(in crate::exchange) use disclosing::Disclosing;
pub use verifying::{Holder, HolderState};
pub(in crate::exchange) use withdrawing::WithdrawalChange;
use withdrawing::Withdrawn;

/// Agreements to share of one case; each is a conversation with one person.
const MOST: usize = 64;

/// What somebody was asked.
pub struct AskedToShare {
    /// `None`: the node's own.
    pub authority: Option<AuthorityId>,
    pub case: CaseReference,
    pub terms: Terms,
    pub subject: Subject,
}

/// One as it is held here.
#[derive(Debug)]
pub struct HeldShare {
    pub id: ShareId,
    pub authority: AuthorityId,
    version: u64,
    /// Nobody has changed it since a restore.
    unconfirmed: bool,
    /// If the stored row can be read.
    pub share: Result<AgreementToShare, Unreadable>,
    /// How it stands, by the latest clock that is known; `None` for one that cannot be read.
    pub standing: Option<ShareStanding>,
}

/// What persons let be shared.
pub struct Persons {
    context: Arc<Context>,
    /// One word at a time: an emergency is never decided beside a no that is being written down.
    saying: tokio::sync::Mutex<()>,
}

impl Persons {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, saying: tokio::sync::Mutex::default() }
    }

    fn store(&self) -> &dyn Store {
        self.context.store()
    }

    /// She agreed, or who may decide for her did. `how`: not asked of who decides for vital interests.
    ///
    /// # Errors
    /// `SHARING_NOT_FREE`, `DECIDER_NOT_ALLOWED`: then it is not given, and nothing is kept. The field that does not fit.
    pub async fn give(
        &self,
        call: &Call,
        asked: AskedToShare,
        decider: Decider,
        how: Option<Circumstances>,
    ) -> Result<ShareId, Error> {
        let answer =
            |share: &mut AgreementToShare, prior, now| share.give(decider, how.as_ref(), prior, call.actor, now);
        self.answered(call, "GiveAgreementToShare", asked, answer).await
    }

    /// She was asked, and said no.
    ///
    /// # Errors
    /// The field that does not fit.
    pub async fn refuse(&self, call: &Call, asked: AskedToShare) -> Result<ShareId, Error> {
        let answer = |share: &mut AgreementToShare, _, now| share.refuse(call.actor, now);
        self.answered(call, "RefuseAgreementToShare", asked, answer).await
    }

    async fn answered(
        &self,
        call: &Call,
        method: &str,
        asked: AskedToShare,
        answer: impl FnOnce(&mut AgreementToShare, bool, UnixMs) -> Result<(), Reason> + Send,
    ) -> Result<ShareId, Error> {
        let _one_word_at_a_time = self.saying.lock().await;
        if let Some(first) = self.said_before(call, method).await? {
            return share_id(&first);
        }
        let AskedToShare { authority, case, terms, subject } = asked;
        let now = self.context.best_time();
        let authority = self.context.own_authority(authority)?;
        let kind = self.context.view().member(&authority).map(|member| member.entry.kind);
        let fits = terms.check(kind.ok_or(Reason::MemberUnknown)?, now).map_err(|fault| fault.within("terms"));
        fits.and_then(|()| subject.check(&terms)).map_err(wire::Error::from)?;
        let case = self.store().case_index(case).await?;
        let held = self.of_case(case).await?;
        if held.len() >= MOST {
            return Err(wire::Error::from(Fault::too_long("case_reference", MOST, "agreements to share")).into());
        }
        let said_no = |held: &HeldShare| held.share.as_ref().map_or(true, AgreementToShare::was_refused_or_withdrawn);
        let mut share = AgreementToShare::requested(terms, subject, call.actor, now);
        answer(&mut share, held.iter().any(said_no), now)?;
        let id = ShareId(uuid::Uuid::new_v4().into_bytes());
        let row = self.row(id, authority, (case, 0), &share).await?;
        let done = Bytes::copy_from_slice(id.as_bytes());
        share_id(&self.write(call, method, vec![row], (done, AuditAct::SharingAnswered)).await?)
    }

    /// Confirmed again, elsewhere and freely.
    ///
    /// # Errors
    /// `NOT_FOUND`; `SHARING_CLOSED`, `SHARING_NOT_FREE`, `DECIDER_NOT_ALLOWED`, `FIELD_INVALID`: then it stays as it is.
    pub async fn confirm(
        &self,
        call: &Call,
        (case, id): (CaseReference, ShareId),
        (decider, how): (Decider, Circumstances),
        reconfirm_by: UnixMs,
    ) -> Result<(), Error> {
        let change = |share: &mut AgreementToShare, now| share.renew(decider, &how, reconfirm_by, call.actor, now);
        self.change(call, "ConfirmAgreementToShare", (case, id), change).await
    }

    /// A second person approves what was decided for vital interests.
    ///
    /// # Errors
    /// `NOT_FOUND`; `SHARING_CLOSED` when there is nothing to approve; `DECIDER_NOT_ALLOWED` for who decided.
    pub async fn approve(&self, call: &Call, case: CaseReference, id: ShareId) -> Result<(), Error> {
        let change = |share: &mut AgreementToShare, now| share.approve(call.actor, now);
        self.change(call, "ApproveAgreementToShare", (case, id), change).await
    }

    async fn change(
        &self,
        call: &Call,
        method: &str,
        (case, id): (CaseReference, ShareId),
        change: impl FnOnce(&mut AgreementToShare, UnixMs) -> Result<(), Reason> + Send,
    ) -> Result<(), Error> {
        let _one_word_at_a_time = self.saying.lock().await;
        if self.said_before(call, method).await?.is_some() {
            return Ok(());
        }
        let case = self.store().case_index(case).await?;
        let held = self.of_case(case).await?.into_iter().find(|held| held.id == id).ok_or(Reason::NotFound)?;
        let mut share = held.share?;
        change(&mut share, self.context.closing_time())?;
        let row = self.row(id, held.authority, (case, held.version), &share).await?;
        self.write(call, method, vec![row], (Bytes::new(), AuditAct::SharingAnswered)).await?;
        Ok(())
    }

    /// Withdraws all that was agreed about a case: from the answer on nothing of it opens any more. Which ones; none when nothing
    /// was agreed.
    ///
    /// # Errors
    /// When it could not be written down: then nothing is withdrawn.
    pub async fn withdraw(&self, call: &Call, case: CaseReference) -> Result<Vec<ShareId>, Error> {
        const METHOD: &str = "WithdrawAgreementsToShare";
        let _one_word_at_a_time = self.saying.lock().await;
        let said_before = self.said_before(call, METHOD).await?;
        let case = self.store().case_index(case).await?;
        let (mut write, mut withdrawn) = (Write::default(), Withdrawn::default());
        self.withdraw_case(&mut write, &mut withdrawn, case, call.actor).await?;
        let Withdrawn { rows, keys, .. } = withdrawn;
        let answer = match said_before {
            Some(first) => first,
            None => {
                let ids: Vec<u8> = rows.iter().flat_map(|(_, row)| row.id.as_bytes().to_vec()).collect();
                self.write_beside(write, call, METHOD, rows, (ids.into(), AuditAct::SharingWithdrawn)).await?
            }
        };
        // What was sealed before is opened by nobody from now on, whatever backup it lies in. A call that was cut off before this is
        // repeated, and comes here again.
        if !keys.is_empty() {
            self.store().erase(keys, self.context.now()).await?;
        }
        share_ids(&answer)
    }

    /// What was answered to this very call before.
    async fn said_before(&self, call: &Call, method: &str) -> Result<Option<Bytes>, Error> {
        call.check()?;
        match self.store().request(call.scope_of(method), call.request_id.clone()).await? {
            Some((body, _)) if body != call.body => Err(Reason::RequestIdReused.into()),
            Some((_, first)) => Ok(Some(first)),
            None => Ok(None),
        }
    }

    /// What it is from now on, sealed; `version`: the one before.
    async fn row(
        &self,
        id: ShareId,
        authority: AuthorityId,
        (case, version): (CaseIndex, u64),
        share: &AgreementToShare,
    ) -> Result<(u64, NewShare), Error> {
        let plain = Zeroizing::new(codec::encode(share));
        let withdrawn = share.standing(self.context.closing_time()) == ShareStanding::Ended(ShareEventKind::Withdrawn);
        let key = sealed_as(&authority, id, withdrawn);
        let sealed = self.store().seal(key, plain).await?.ok_or(Reason::SharingClosed)?;
        let erased = share.terms.scopes.iter().map(|scope| scope.erase_by).max().unwrap_or(UnixMs(0));
        let keep_until = erased + limits::ACCOUNTABLE;
        Ok((version, NewShare { id, authority, case, version: version + 1, keep_until, sealed }))
    }

    async fn write(
        &self,
        call: &Call,
        method: &str,
        rows: Vec<(u64, NewShare)>,
        (answer, act): (Bytes, AuditAct),
    ) -> Result<Bytes, Error> {
        self.write_beside(Write::default(), call, method, rows, (answer, act)).await
    }

    async fn write_beside(
        &self,
        mut write: Write,
        call: &Call,
        method: &str,
        rows: Vec<(u64, NewShare)>,
        (answer, act): (Bytes, AuditAct),
    ) -> Result<Bytes, Error> {
        let audit = vec![AuditDraft { actor: call.actor, ..AuditDraft::by_node(act) }];
        write.request = Some(call.mark(method, answer.clone(), self.context.now())?);
        if !rows.is_empty() {
            write.audit = audit;
        }
        let streams: BTreeSet<_> = write.deliveries.iter().map(stream_of).collect();
        let erases = !write.owes.is_empty();
        for (before, row) in rows {
            write.expects.push(Expect::ShareVersion(row.id, before));
            write.puts.push(Put::Share(row));
        }
        match self.store().write(write.into()).await? {
            Written::Again(first) => Ok(first),
            _ => {
                streams.iter().for_each(|stream| self.context.wakeups().wake_stream(stream));
                if erases {
                    self.context.wakeups().wake(PassKind::Erasures);
                }
                Ok(answer)
            }
        }
    }

    /// What was agreed about a case, oldest first.
    async fn of_case(&self, case: CaseIndex) -> Result<Vec<HeldShare>, Error> {
        let mut all = Vec::new();
        for row in self.store().shares_of(case).await? {
            all.push(self.held(row).await?);
        }
        Ok(all)
    }

    /// Under the key of one that stands or, where that is no more, of one that was withdrawn.
    async fn opened(
        &self,
        authority: &AuthorityId,
        id: ShareId,
        sealed: Bytes,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, crate::storage::Error> {
        for withdrawn in [true, false] {
            let opened = self.store().open_sealed(sealed_as(authority, id, withdrawn), sealed.clone()).await;
            match opened {
                // It was sealed before it was withdrawn, and the other key is made already.
                Err(crate::storage::Error::Damaged(_)) if withdrawn => {}
                Ok(None) => {}
                opened => return opened,
            }
        }
        Ok(None)
    }

    async fn held(&self, row: ShareRow) -> Result<HeldShare, Error> {
        let ShareRow { id, authority, version, sealed, unconfirmed } = row;
        let noted = |error| self.context.unreadable(Table::AgreementToShare, None, id, error);
        let share = match self.opened(&authority, id, sealed).await {
            Ok(Some(plain)) => codec::reload(&plain).map_err(noted),
            // Its key is no more: a backup from before a withdrawal, or `keys.db` was lost.
            Ok(None) => Err(wire::Error::new(Reason::SharingClosed, "sealed", "").into()),
            Err(crate::storage::Error::Damaged(_)) => {
                Err(noted(wire::Error::new(Reason::StorageDamaged, "sealed", "")))
            }
            Err(error) => return Err(error.into()),
        };
        let standing = share.as_ref().ok().map(|share| share.standing(self.context.closing_time()));
        Ok(HeldShare { id, authority, version, unconfirmed, share, standing })
    }
}

/// Under which key of `keys.db` it is sealed.
fn sealed_as(authority: &AuthorityId, id: ShareId, withdrawn: bool) -> RecordKey {
    RecordKey { origin: authority.clone(), record_id: id.sealed_as(withdrawn) }
}

fn share_id(answer: &[u8]) -> Result<ShareId, Error> {
    ShareId::from_slice(answer).ok_or_else(|| wire::Error::new(Reason::StorageDamaged, "first answer", "").into())
}

fn share_ids(answer: &[u8]) -> Result<Vec<ShareId>, Error> {
    answer.chunks(16).map(share_id).collect()
}
