//! Agreements (9.7): proposed, signed, in force, ended; all of it travels as control.
//!
//! What lives here: the use cases of this side, the set that the one question reads, what tells the others
//! (`announcements`, `end_notices`), what a restore leaves to confirm (`confirming`), and (in `incoming`) what partners' control records change. Every change is one transaction with its ledger rows and the control records that tell the
//! others; the set in memory is rebuilt after the commit. The proposer collects signatures and sends the complete
//! agreement to all; it is in force for a node once that node stores every party's signature.

mod announcements;
mod confirming;
mod end_notices;
mod incoming;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::domain::agreement::set::AgreementSet;
use crate::domain::agreement::{
    Agreement, AgreementEnd, AgreementEndReason, AgreementState, Difference, HeldAgreement, Party, Reminder,
};
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::agreement::Proposal;
use crate::domain::time::UnixMs;
use crate::exchange::context::{Call, Context, Error, Table, Unreadable, stream_of};
use crate::storage::Store;
use crate::storage::ops::{Delete, NewDelivery, Put, Write, Written};
use crate::storage::owed::{Owed, OwedKey, Subject};
use crate::storage::rows::AgreementRow;
use crate::wire::agreed::{self, SignedAgreement};

pub use confirming::{Knows, PartyAnswer};
pub(in crate::exchange) use incoming::Changes;

pub(super) type Change = tokio::sync::OwnedMutexGuard<()>;

/// Agreements of this node, with each partner.
pub struct Agreements {
    context: Arc<Context>,
    /// What the one question reads; everybody else has the reading side of it only.
    set: Arc<ArcSwap<AgreementSet>>,
    /// The set may be behind the store: a change is being stored, or the set could not be read again after one.
    behind: AtomicBool,
    /// What the parties of unconfirmed agreements said about them.
    heard: confirming::PartyAnswers,
    /// One change of agreements at a time.
    changes: Arc<tokio::sync::Mutex<()>>,
}

/// An agreement as this node holds it, for people.
#[derive(Clone, Debug)]
pub struct AgreementSummary {
    pub held: Arc<HeldAgreement>,
    pub state: AgreementState,
    pub signed_by: Vec<AuthorityId>,
    /// What a proposal would newly allow, or what an agreement allows, in plain sentences.
    pub in_words: Vec<String>,
    /// What it changes beside the others that are in force.
    pub difference: Difference,
    /// The signed notice of each of `held.ends`: encoded `Signed`; empty where none is kept.
    pub notices: Vec<Bytes>,
    /// Of one that waits for confirmation: what each other party said; `None`: it was not asked yet.
    pub answers: Vec<(AuthorityId, Option<PartyAnswer>)>,
}

/// An agreement in a list.
#[derive(Clone, Debug)]
pub struct ListedAgreement {
    pub id: AgreementId,
    /// If the stored row can be read.
    pub summary: Result<AgreementSummary, Unreadable>,
}

impl Agreements {
    /// Reads what is held into `set`.
    pub(super) async fn open(context: Arc<Context>, set: Arc<ArcSwap<AgreementSet>>) -> Result<Self, Error> {
        let (behind, heard, changes) = (AtomicBool::default(), confirming::PartyAnswers::default(), Arc::default());
        let agreements = Self { context, set, behind, heard, changes };
        agreements.reload().await?;
        Ok(agreements)
    }

    /// The authority that this node serves first: it proposes.
    pub fn authority(&self) -> &AuthorityId {
        self.context.authority()
    }

    fn store(&self) -> &dyn Store {
        self.context.store()
    }

    fn view(&self) -> Arc<DirectoryView> {
        self.context.view()
    }

    fn now(&self) -> UnixMs {
        self.context.now()
    }

    /// Proposes an agreement to its parties. Federation, proposer, nonce and creation time are filled in here.
    ///
    /// # Errors
    /// `AGREEMENT_INVALID` when it does not hold together; `MESSAGE_TOO_LARGE` when it could not be sent with all
    /// signatures; `MEMBER_…` about a party that is not a member in good standing.
    pub async fn propose_agreement(
        self: &Arc<Self>,
        call: &Call,
        mut agreement: Agreement,
    ) -> Result<AgreementId, Error> {
        let (view, now) = (self.view(), self.now());
        let proposer = self.context.own_authority(None)?;
        agreement.federation = view.federation;
        agreement.proposer = proposer.clone();
        agreement.created = now;
        agreement.nonce = *uuid::Uuid::new_v4().as_bytes();
        agreement.check().map_err(|fault| crate::wire::Error::from(fault).within("agreement"))?;
        let key = self.context.keys().of(&proposer).ok_or(Reason::WrongOrigin)?;
        let signed = agreed::sign(&agreement, &key);
        let (id, agreement) = agreed::own(&signed)?;
        let row = AgreementRow { id, signed: signed.clone(), complete: false, ends: Vec::new(), unconfirmed: false };
        let others = others(&agreement, &proposer);
        let deliveries: Vec<_> = others
            .map(|to| self.control(&view, now, &proposer, to, &id, &Proposal(signed.clone()).into()))
            .collect::<Result<_, _>>()?;
        complete_fits(&agreement, &deliveries)?;
        let put = Write {
            request: Some(call.mark("ProposeAgreement", Bytes::copy_from_slice(id.as_bytes()), now)?),
            puts: vec![Put::Agreement(row)],
            deliveries,
            audit: vec![draft(call, AuditAct::AgreementProposed, &id)],
            ..Write::default()
        };
        match self.put_agreement(put, self.one_change().await).await? {
            Written::Again(first) => Ok(AgreementId::from_slice(&first).ok_or(Reason::StorageDamaged)?),
            _ => Ok(id),
        }
    }

    /// Signs a proposal that was received.
    ///
    /// # Errors
    /// `AGREEMENT_NOT_FOUND`, `AGREEMENT_NOT_PARTY`, `AGREEMENT_ENDED`.
    pub async fn sign_agreement(self: &Arc<Self>, call: &Call, id: AgreementId) -> Result<AgreementState, Error> {
        let change = self.one_change().await;
        let (view, now) = (self.view(), self.now());
        let row = self.agreement_row(&id).await?;
        let held = rows::held(&row)?;
        let ours = self.our_parties(&held.agreement)?;
        let before = self.opened(&row, &view)?;
        let Some(signer) = ours.into_iter().find(|party| !before.signed_by.contains(party)) else {
            return Ok(held.state(now));
        };
        if held.left_at(&signer).is_some() || held.ended_at().is_some() {
            return Err(Reason::AgreementEnded.into());
        }
        let key = self.context.keys().of(&signer).ok_or(Reason::WrongOrigin)?;
        let signature = agreed::countersign(&row.signed, &view.federation, &key)?;
        let key_of = party_key(&view);
        let signed = agreed::add(&row.signed, &view.federation, &signer, &signature, &key_of)?;
        let complete = agreed::reopen(signed.clone(), &view.federation, &key_of)?.complete();
        let body = signature.into();
        let proposer = &held.agreement.proposer;
        let mut audit = vec![draft(call, AuditAct::AgreementSigned, &id)];
        audit.extend(complete.then(|| draft(call, AuditAct::AgreementInForce, &id)));
        let put = Write {
            request: Some(call.mark("SignAgreement", Bytes::new(), now)?),
            puts: vec![Put::Agreement(AgreementRow { signed, complete, unconfirmed: false, ..row })],
            deliveries: vec![self.control(&view, now, &signer, proposer, &id, &body)?],
            owes: if complete { self.owed_by(&id, &held.agreement, now) } else { Vec::new() },
            audit,
            ..Write::default()
        };
        self.put_agreement(put, change).await?;
        let held = self.context.agreements().load().get(&id).cloned();
        Ok(held.map_or(AgreementState::Proposed, |held| held.state(now)))
    }

    /// Leaves an agreement, from this commit on, in both directions; the notice travels to the others.
    ///
    /// # Errors
    /// `AGREEMENT_NOT_FOUND`, `AGREEMENT_NOT_PARTY`.
    pub async fn end_agreement(
        self: &Arc<Self>,
        call: &Call,
        id: AgreementId,
        reason: AgreementEndReason,
    ) -> Result<UnixMs, Error> {
        let change = self.one_change().await;
        let (view, now) = (self.view(), self.now());
        let row = self.agreement_row(&id).await?;
        let held = rows::held(&row)?;
        let ours = self.our_parties(&held.agreement)?;
        let left = ours.iter().filter_map(|party| held.left_at(party)).max();
        let Some(by) = ours.into_iter().find(|party| held.left_at(party).is_none()) else {
            return Ok(left.unwrap_or(now));
        };
        let end = AgreementEnd { agreement: id, by: by.clone(), at: now, reason };
        let row = rows::with_end(row, &end);
        let notices = self.end_notices(&view, now, &row, &held.agreement, &end);
        let put = Write {
            request: Some(call.mark("EndAgreement", Bytes::copy_from_slice(&now.0.to_be_bytes()), now)?),
            puts: vec![Put::Agreement(rows::with_notice(row, &by, notices.proof))],
            deliveries: notices.deliveries,
            owes: notices.owes,
            audit: vec![draft(call, AuditAct::AgreementEnded, &id)],
            ..Write::default()
        };
        match self.put_agreement(put, change).await? {
            Written::Again(first) => Ok(first.as_ref().try_into().map_or(now, |ms| UnixMs(i64::from_be_bytes(ms)))),
            _ => Ok(now),
        }
    }

    /// Everything held here, by id; of one that cannot be read, why.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_agreements(&self) -> Result<Vec<ListedAgreement>, Error> {
        let rows = self.store().agreements().await?;
        self.taken().await;
        let listed = |row: &AgreementRow| {
            let summary =
                self.summary(row).map_err(|error| self.context.unreadable(Table::Agreement, None, row.id, error));
            ListedAgreement { id: row.id, summary }
        };
        Ok(rows.iter().map(listed).collect())
    }

    /// One agreement.
    ///
    /// # Errors
    /// `AGREEMENT_NOT_FOUND`.
    pub async fn show_agreement(&self, id: AgreementId) -> Result<AgreementSummary, Error> {
        let row = self.agreement_row(&id).await?;
        self.taken().await;
        Ok(self.summary(&row)?)
    }

    /// Until what was just read from the store is in memory as well: nobody is shown as in force what a call does not go under yet.
    async fn taken(&self) {
        drop(self.one_change().await);
    }

    /// The set that the one question reads.
    pub fn set(&self) -> Arc<AgreementSet> {
        self.context.agreements().load_full()
    }

    /// Proposals that not everybody signed in time. Returns how many.
    pub(in crate::exchange) async fn forget_proposals(&self, now: UnixMs) -> Result<u64, Error> {
        let _change = self.one_change().await;
        let set = self.context.agreements().load_full();
        let past = set.all().filter(|held| !held.complete && held.agreement.created + limits::PROPOSAL_LIFE <= now);
        let past: Vec<AgreementId> = past.map(|held| held.id).collect();
        let count = past.len() as u64;
        if count > 0 {
            self.set_may_be_behind();
            let deletes = past.into_iter().map(Delete::Proposal).collect();
            self.store().write(Write { deletes, ..Write::default() }.into()).await?;
            self.reload().await?;
        }
        Ok(count)
    }

    /// Before a change is stored: from now on the set may be behind, whatever is heard of the change.
    pub(super) fn set_may_be_behind(&self) {
        self.behind.store(true, Ordering::Release);
    }

    /// Reads the set again where a change was stored and could not be read.
    pub(super) async fn catch_up(&self) -> Result<(), Error> {
        if self.behind.load(Ordering::Acquire) {
            // Whoever changes agreements now reads them itself.
            let _change = self.one_change().await;
            if self.behind.load(Ordering::Acquire) {
                self.reload().await?;
                self.context.wakeups().wake_upkeep();
            }
        }
        Ok(())
    }

    /// Reads the set; nobody else changes agreements meanwhile.
    pub(super) async fn reload(&self) -> Result<(), Error> {
        let rows = self.store().agreements().await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            // One that cannot be read covers nothing; the others are in force as before.
            match rows::held(row) {
                Ok(one) => held.push(one),
                Err(error) => drop(self.context.unreadable(Table::Agreement, None, row.id, error)),
            }
        }
        self.set.store(Arc::new(AgreementSet::new(held)));
        self.behind.store(false, Ordering::Release);
        Ok(())
    }

    /// The right to change agreements; nobody else does until it is dropped.
    pub(super) async fn one_change(&self) -> Change {
        Arc::clone(&self.changes).lock_owned().await
    }

    /// What a complete agreement leads to at this node: its proposer sends it to each party, and each partner gets what is
    /// current for it under a grant of ours.
    fn owed_by(&self, id: &AgreementId, agreement: &Agreement, now: UnixMs) -> Vec<Owed> {
        let proposer = &agreement.proposer;
        let announced = others(agreement, proposer).filter(|_| self.context.keys().serves(proposer));
        let announced = announced.map(|to| Owed::now(OwedKey::to(to, Subject::Announcement(*id)), now));
        let backfills = owed_backfills(*id, agreement, |from| self.context.keys().serves(from), now);
        announced.chain(backfills).collect()
    }

    async fn put_agreement(self: &Arc<Self>, put: Write, change: Change) -> Result<Written, Error> {
        let streams: Vec<_> = put.deliveries.iter().map(stream_of).collect();
        let agreements = Arc::clone(self);
        // A task of its own: a caller that hangs up must not leave the set in memory behind the store, nor let the next
        // change begin before this one is stored.
        let stored = tokio::spawn(async move {
            let _change = change;
            agreements.set_may_be_behind();
            let written = agreements.store().write(put.into()).await?;
            agreements.reload().await?;
            agreements.context.wakeups().wake_upkeep();
            streams.iter().for_each(|stream| agreements.context.wakeups().wake_stream(stream));
            Ok(written)
        });
        stored.await.map_err(|_| Reason::Internal)?
    }

    async fn agreement_row(&self, id: &AgreementId) -> Result<AgreementRow, Error> {
        self.store().agreement(*id).await?.ok_or_else(|| Reason::AgreementNotFound.into())
    }

    /// The authorities of this node that are parties; one at least.
    fn our_parties(&self, agreement: &Agreement) -> Result<Vec<AuthorityId>, Error> {
        let mut ours = self.context.keys().authorities();
        ours.retain(|authority| agreement.is_party(authority));
        if ours.is_empty() { Err(Reason::AgreementNotParty.into()) } else { Ok(ours) }
    }

    fn opened(&self, row: &AgreementRow, view: &DirectoryView) -> Result<SignedAgreement, Error> {
        Ok(agreed::reopen(row.signed.clone(), &view.federation, &party_key(view))?)
    }

    fn summary(&self, row: &AgreementRow) -> Result<AgreementSummary, crate::wire::Error> {
        let (held, view) = (rows::held(row)?, self.view());
        // A key that was withdrawn since shows nobody's signature any more; the agreement is still listed.
        let signed_by = self.opened(row, &view).map(|opened| opened.signed_by).unwrap_or_default();
        let difference = self.difference(&held);
        let in_words = match held.state(self.now()) {
            AgreementState::Proposed => [&difference.new[..], &difference.other_end[..]].concat(),
            _ => held.agreement.in_words(),
        };
        Ok(AgreementSummary {
            state: shown(&held, &view, self.now()),
            signed_by,
            in_words,
            difference,
            notices: row.ends.iter().map(|end| end.notice.clone()).collect(),
            answers: self.answers_about(&held),
            held: Arc::new(held),
        })
    }
}

impl Agreements {
    fn difference(&self, held: &HeldAgreement) -> Difference {
        let (set, now) = (self.context.agreements().load(), self.now());
        let others = set.all().filter(|other| other.id != held.id && other.state(now) == AgreementState::InForce);
        let others: Vec<&Agreement> = others.map(|other| other.agreement.as_ref()).collect();
        held.agreement.difference(&others)
    }

    /// What comes due of the agreements of this node's authorities.
    pub fn reminders(&self) -> Vec<Reminder> {
        self.context.agreements().load().reminders(&self.context.keys().authorities(), self.now())
    }
}

/// What the partners of an agreement's grants are owed once it is complete.
fn owed_backfills<'a>(
    id: AgreementId,
    agreement: &'a Agreement,
    serves: impl Fn(&AuthorityId) -> bool + 'a,
    now: UnixMs,
) -> impl Iterator<Item = Owed> + 'a {
    let grants = agreement.grants.iter().zip(0_u32..).filter(move |(grant, _)| serves(&grant.from));
    grants.map(move |(grant, number)| Owed {
        key: OwedKey::to(&grant.to, Subject::Backfill(GrantRef { agreement: id, number })),
        since: now,
        due: grant.valid_from.max(now),
    })
}

/// How an agreement stands with the register as it is: between fewer than two parties that are members it is over, as by
/// the leaving of all but one.
fn shown(held: &HeldAgreement, view: &DirectoryView, now: UnixMs) -> AgreementState {
    let state = held.state(now);
    let is_here = |party: &&Party| {
        held.left_at(&party.authority).is_none_or(|left| now < left)
            && view.status(&party.authority, now) != MemberStatus::Removed
    };
    let over = held.agreement.parties.iter().filter(is_here).count() < 2;
    match state {
        AgreementState::InForce | AgreementState::Unconfirmed | AgreementState::Proposed if over => {
            AgreementState::Ended
        }
        _ => state,
    }
}

fn others<'a>(agreement: &'a Agreement, we: &'a AuthorityId) -> impl Iterator<Item = &'a AuthorityId> {
    agreement.parties.iter().map(|p| &p.authority).filter(move |party| *party != we)
}

/// Bytes of one more signature on a `Signed`: key id, signature, and what frames them on each level.
const SIGNATURE_BYTES: usize = 90;

/// Complete, it travels as one control item too (9.7), from any party to any other one: what could be proposed, and never
/// be sent with all signatures, is refused here.
fn complete_fits(agreement: &Agreement, proposals: &[NewDelivery]) -> Result<(), Error> {
    let largest = proposals.iter().map(|item| item.envelope.len()).max().unwrap_or(0);
    let name = |party: &AuthorityId| party.as_str().len();
    let longest = agreement.parties.iter().map(|party| name(&party.authority)).max().unwrap_or(0);
    let longer_sender = longest.saturating_sub(name(&agreement.proposer));
    let complete = largest + (agreement.parties.len() - 1) * SIGNATURE_BYTES + longer_sender;
    if complete > limits::CONTROL_BYTES { Err(Reason::MessageTooLarge.into()) } else { Ok(()) }
}

fn draft(call: &Call, act: AuditAct, id: &AgreementId) -> AuditDraft {
    AuditDraft { actor: call.actor, agreement: Some(*id), ..AuditDraft::by_node(act) }
}

/// A party's signature stands for ever, also after its key was rotated; a withdrawn key verifies nothing.
fn party_key(
    view: &DirectoryView,
) -> impl Fn(&AuthorityId, &crate::domain::ids::KeyId) -> Option<crate::domain::authority::PublicKey> + use<'_> {
    move |authority, id| {
        let member = view.member(authority)?;
        member.keys.iter().find(|k| !k.compromised && k.key.id() == *id).map(|k| k.key)
    }
}
