//! Units of partners' offers that are asked for here (9.11): noted before they are asked for, so that an answer that was lost is
//! found again by the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::handling::Purpose;
use crate::domain::holds::{HeldLease, HoldCall, HoldState, HoldWord, Lease};
use crate::domain::ids::{AuthorityId, HoldId, OfferId};
use crate::domain::limits;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::time::Millis;
use crate::exchange::context::{Call, Error};
use crate::storage::ops::{Delete, Put, Write, Written};
use crate::storage::rows::AskedHoldRow;
use crate::wire::records::offer as codec;

use super::{Capacity, FoundAt, may_see};

const TAKE: &str = "TakeHold";

/// What a coordinator does to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldChange {
    Extend,
    Release,
    Arrive,
}

impl HoldChange {
    const fn method(self) -> &'static str {
        match self {
            Self::Extend => "ExtendHold",
            Self::Release => "ReleaseHold",
            Self::Arrive => "ArriveHold",
        }
    }

    const fn word(self, token: u64) -> HoldWord {
        match self {
            Self::Extend => HoldWord::Extend(token),
            Self::Release => HoldWord::Release(token),
            Self::Arrive => HoldWord::Arrive(token),
        }
    }

    const fn act(self) -> AuditAct {
        match self {
            Self::Extend => AuditAct::HoldExtended,
            Self::Release => AuditAct::HoldReleased,
            Self::Arrive => AuditAct::HoldArrived,
        }
    }
}

/// A hold that a call asks for just now.
struct InFlight<'a> {
    asking: &'a Mutex<BTreeSet<HoldId>>,
    id: HoldId,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Capacity {
    /// Has a unit of an offer set aside. One that was asked for and not answered is asked for again by its name.
    ///
    /// # Errors
    /// `NOT_FOUND` for an offer that nobody shows here, why the owner gives none, or that it does not answer: then it may have
    /// given one, and the same call again says so.
    pub async fn take_hold(&self, call: &Call, offer: OfferId, lease: Millis) -> Result<AskedHoldRow, Error> {
        let ours = self.context.own_authority(None)?;
        let owner = self.owner_of(call, &offer, &ours).await?;
        let (now, known) = (self.now(), self.store().asked_holds().await?);
        let unanswered = |row: &AskedHoldRow| {
            row.state.is_none() && (&row.ours, row.offer) == (&ours, offer) && now.since(row.asked) < limits::HOLD_LEASE
        };
        // One that another call asks for just now is that call's.
        let mut lost = known.into_iter().filter(unanswered).filter_map(|row| Some((self.in_flight(row.id)?, row)));
        let found = lost.next();
        drop(lost);
        let found = match found {
            // It may have been answered since it was read.
            Some((asking, row)) => self.store().asked_hold(row.id).await?.map(|row| (asking, row)),
            None => None,
        };
        let (_asking, row) = match found.filter(|(_, row)| row.state.is_none()) {
            Some((asking, row)) => (Some(asking), row),
            None => {
                let (id, keep_until) = (HoldId(uuid::Uuid::new_v4().into_bytes()), now + limits::HOLD_KEPT);
                let (state, token, extended) = (None, 0, false);
                let row = AskedHoldRow { id, ours, owner, offer, asked: now, state, token, extended, keep_until };
                (self.in_flight(id), row)
            }
        };
        let request = call.mark(TAKE, Bytes::copy_from_slice(row.id.as_bytes()), now)?;
        let noted = Write { request: Some(request), ..Write::put(Put::AskedHold(row.clone())) };
        let row = match self.store().write(noted.into()).await? {
            Written::Again(first) => {
                let id = HoldId::from_slice(&first).ok_or(Reason::StorageDamaged)?;
                match self.store().asked_hold(id).await? {
                    Some(known) => known,
                    // It was refused then, which left nothing: the same is asked once more, under its name.
                    None => {
                        let anew = AskedHoldRow { id, ..row };
                        self.store().write(Write::put(Put::AskedHold(anew.clone())).into()).await?;
                        anew
                    }
                }
            }
            _ => row,
        };
        self.ask_for(call.actor, row, lease).await
    }

    /// While this call asks for it, no other one takes it for lost. `None`: another one asks.
    fn in_flight(&self, id: HoldId) -> Option<InFlight<'_>> {
        let taken = self.asking.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        taken.then(|| InFlight { asking: &self.asking, id })
    }

    /// Asks the owner, and notes what it says.
    async fn ask_for(&self, actor: Actor, row: AskedHoldRow, lease: Millis) -> Result<AskedHoldRow, Error> {
        let word = HoldWord::Take { id: row.id, lease };
        let sent = self.context.monotonic();
        match self.say(actor, &row, word).await {
            Ok(lease) => {
                let act = row.state.is_none().then_some(AuditAct::HoldTaken);
                self.heard(actor, row, lease, act, sent).await
            }
            Err(error) if refuses(&error) => {
                let refused = match row.state {
                    None => Write { deletes: vec![Delete::AskedHold(row.id)], ..Write::default() },
                    Some(_) => Write::put(Put::AskedHold(AskedHoldRow { state: Some(HoldState::Expired), ..row })),
                };
                self.store().write(refused.into()).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Extends a hold, gives it back, or says that somebody has arrived.
    ///
    /// # Errors
    /// `NOT_FOUND`; `HOLD_EXTENDED` for a second time; `HOLD_FENCED` when it has ended; that the owner does not answer.
    pub async fn change_hold(&self, call: &Call, id: HoldId, change: HoldChange) -> Result<AskedHoldRow, Error> {
        call.check()?;
        let row = self.store().asked_hold(id).await?.ok_or(Reason::NotFound)?;
        self.context.own_authority(Some(row.ours.clone()))?;
        let scope = call.scope_of(change.method());
        if let Some((body, _)) = self.store().request(scope, call.request_id.clone()).await? {
            return if body == call.body { Ok(row) } else { Err(Reason::RequestIdReused.into()) };
        }
        if change == HoldChange::Extend && row.extended {
            return Err(Reason::HoldExtended.into());
        }
        // What the owner gave it has to say first.
        let row = if row.token == 0 { self.ask_for(call.actor, row, limits::HOLD_LEASE).await? } else { row };
        if change != HoldChange::Extend {
            // Whether or not its owner hears of it: nobody counts on it any more.
            self.leases().remove(&row.id);
        }
        let sent = self.context.monotonic();
        match self.say(call.actor, &row, change.word(row.token)).await {
            Ok(lease) => {
                let row = self.heard(call.actor, row, lease, Some(change.act()), sent).await?;
                let mark = call.mark(change.method(), Bytes::new(), self.now())?;
                self.store().write(Write { request: Some(mark), ..Write::default() }.into()).await?;
                Ok(row)
            }
            Err(error) if error.reason() == Reason::HoldFenced => {
                let over = AskedHoldRow { state: Some(HoldState::Expired), ..row };
                self.leases().remove(&over.id);
                self.store().write(Write::put(Put::AskedHold(over)).into()).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// To the owner, or, of an own offer, to this node itself.
    async fn say(&self, actor: Actor, row: &AskedHoldRow, word: HoldWord) -> Result<Lease, Error> {
        let call = HoldCall { asker: row.ours.clone(), asked: row.owner.clone(), offer: row.offer, word };
        if self.context.keys().serves(&row.owner) {
            return self.decide(actor, &call).await;
        }
        self.road.say_of_hold(call).await
    }

    async fn heard(
        &self,
        actor: Actor,
        row: AskedHoldRow,
        lease: Lease,
        act: Option<AuditAct>,
        sent: std::time::Duration,
    ) -> Result<AskedHoldRow, Error> {
        // Of two that speak of one hold at once the one that ends it has the last word.
        let known = self.store().asked_hold(row.id).await?.filter(|known| known.state.is_some_and(HoldState::is_over));
        if let Some(over) = known.filter(|_| lease.state == HoldState::Held) {
            return Ok(over);
        }
        let state = Some(lease.state);
        let heard = AskedHoldRow { state, token: lease.token, extended: lease.extended, ..row };
        // Of an own offer the owner has written its line.
        let draft = |act| AuditDraft {
            actor,
            counterparty: Some(heard.owner.clone()),
            purpose: Some(Purpose::Assistance),
            ..AuditDraft::by_node(act)
        };
        let audit = act.filter(|_| !self.context.keys().serves(&heard.owner)).map(draft).into_iter().collect();
        let write = Write { audit, ..Write::put(Put::AskedHold(heard.clone())) };
        self.store().write(write.into()).await?;
        self.counts_on(&heard, lease, sent);
        Ok(heard)
    }

    /// From now on it is relied upon, as long as it lasts, or not any more.
    pub(super) fn counts_on(&self, row: &AskedHoldRow, lease: Lease, sent: std::time::Duration) {
        let mut leases = self.leases();
        match lease.state {
            HoldState::Held => leases.insert(row.id, HeldLease::new(sent, lease.left)),
            _ => leases.remove(&row.id),
        };
    }

    /// Asks again for what this process has not asked for itself: how much is left of it.
    pub(super) async fn ask_again(&self, row: &AskedHoldRow) -> Result<Lease, Error> {
        let sent = self.context.monotonic();
        let word = HoldWord::Take { id: row.id, lease: limits::HOLD_LEASE };
        let lease = self.say(Actor::NODE, row, word).await?;
        self.counts_on(row, lease, sent);
        Ok(lease)
    }

    /// Whose offer it is, if it may be held from here; asked here as it is asked there.
    async fn owner_of(&self, call: &Call, offer: &OfferId, ours: &AuthorityId) -> Result<AuthorityId, Error> {
        if let Some(units) = self.held_units(offer).await? {
            return Ok(units.offer.authority);
        }
        let (owner, at) = self.known_at(call, offer).await?;
        if at.protected {
            return Err(Reason::HoldNotOffered.into());
        }
        may_see(&self.context, (&owner, ours), at.facet, None).map_err(|reason| Error::about(&owner, reason))?;
        Ok(owner)
    }

    /// A partner's offer, as it told of it or as a search found it. One that two partners claim is nobody's.
    async fn known_at(&self, call: &Call, offer: &OfferId) -> Result<(AuthorityId, FoundAt), Error> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of_this = found.into_iter().filter(|((id, _), _)| id == offer).map(|((_, owner), at)| (owner, at));
        let mut known: BTreeMap<AuthorityId, FoundAt> = of_this.collect();
        for row in self.store().partner_offers().await?.into_iter().filter(|row| row.id == *offer) {
            let reading = self.context.may_read(&row.record, call.actor.role, ReadPurpose::Show)?;
            known.insert(row.origin, FoundAt::of(&codec::reload_view(reading)?));
        }
        match (known.pop_first(), known.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(Reason::NotFound.into()),
        }
    }
}

/// Whether the owner said no: then there is no hold. Anything else may have been done before the answer was lost.
fn refuses(error: &Error) -> bool {
    let reason = error.reason();
    let no = [Reason::HoldNoneFree, Reason::HoldQuota, Reason::HoldAfterRestore, Reason::HoldFenced];
    no.contains(&reason) || !reason.retryable()
}
