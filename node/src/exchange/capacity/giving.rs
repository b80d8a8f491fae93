//! Units of own offers that are set aside for partners (9.11): each act is decided here, by the owner's clock, and is one
//! transaction: slots, the line of the ledger, and the statement by which partners see what is free now.

use crate::domain::audit::{Actor, ActorRole, AuditAct, AuditDraft};
use crate::domain::handling::Purpose;
use crate::domain::holds::{HoldCall, HoldState, HoldWord, Lease, Room, Slots};
use crate::domain::ids::{AuthorityId, OfferId};
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::records::offer::{OfferFacet, OwnOffer};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Passed, Table, active, speaks_for};
use crate::storage;
use crate::storage::named::Named;
use crate::storage::ops::{Expect, Put, Write, Written};
use crate::storage::rows::{OwnOfferRow, SlotsRow};
use crate::wire::holds as codec;
use crate::wire::records::offer as offers;

use super::own::{OfferStanding, TRIES};
use super::pause::node_call;
use super::{Capacity, may_see};

/// An own offer with its slots, as both are stored.
pub(super) struct HeldUnits {
    pub(super) offer: OwnOffer,
    pub(super) row: OwnOfferRow,
    pub(super) slots: Slots,
    /// 0: nothing of it was ever held.
    pub(super) version: u64,
}

impl Capacity {
    /// What a partner asks of an own offer, or says of what it holds of it.
    ///
    /// # Errors
    /// When the connection may not speak for who asks; `NOT_FOUND` for what is not offered to it; why there is no unit.
    pub async fn hold_for(&self, caller: &AuthorityId, call: HoldCall) -> Result<Lease, Error> {
        let (view, now) = (self.view(), self.now());
        speaks_for(&view, caller, &call.asker)?;
        active(&view, &call.asker, now).map_err(|reason| Error::about(&call.asker, reason))?;
        if !self.context.keys().serves(&call.asked) {
            return Err(Reason::WrongRecipient.into());
        }
        self.decide(Actor::NODE, &call).await
    }

    /// Decides upon an own offer, one act at a time.
    pub(super) async fn decide(&self, actor: Actor, call: &HoldCall) -> Result<Lease, Error> {
        let _giving = self.giving.lock().await;
        for _ in 0..TRIES {
            if let Some(decided) = self.try_decide(actor, call).await? {
                return decided.map_err(Error::from);
            }
        }
        Err(Reason::EtagMismatch.into())
    }

    /// `None`: somebody stated the offer anew meanwhile.
    async fn try_decide(&self, actor: Actor, call: &HoldCall) -> Result<Option<Result<Lease, Reason>>, Error> {
        let units = self.held_units(&call.offer).await?.filter(|units| units.offer.authority == call.asked);
        let Some(units) = units else { return Err(Reason::NotFound.into()) };
        let own = call.asker == call.asked;
        // What was given is given back and used whatever became of the agreement since.
        let asks = matches!(call.word, HoldWord::Take { .. } | HoldWord::Extend(_));
        let permit = match asks && !own {
            true => {
                let offer = OfferFacet { service: units.offer.service_kind, level: None };
                let asked = may_see(&self.context, (&call.asked, &call.asker), offer, None);
                Some(asked.map_err(|reason| if reason.is_held() { reason } else { Reason::NotFound })?)
            }
            false => None,
        };
        let room = self.room(&units).await?;
        let mut slots = units.slots.clone();
        let answer = slots.hear(&call.asker, own, call.word, &room, self.now());
        let act = act_of(&units.slots, &slots, call, &answer);
        let agreement = permit.as_ref().and_then(|permit| permit.grant()).map(|grant| grant.agreement);
        let draft = |act| AuditDraft {
            actor,
            counterparty: Some(call.asker.clone()),
            agreement,
            purpose: Some(Purpose::Assistance),
            ..AuditDraft::by_node(act)
        };
        let done = self.store_units(units, slots, act.map(draft)).await?;
        Ok(done.then_some(answer))
    }

    /// What has ended by its time is expired, and partners are told what is free again.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::exchange) async fn holds_pass(&self) -> Result<Passed, Error> {
        let mut passed = Passed::default();
        for row in self.store().all_offer_slots().await? {
            let Ok(slots) = self.reload(&row) else { continue };
            if slots.due().is_none_or(|due| self.now() < due) {
                continue;
            }
            let _giving = self.giving.lock().await;
            let units = match self.held_units(&row.offer).await {
                Ok(Some(units)) => units,
                Ok(None) => continue,
                Err(error) if error.concerns_one_row() => continue,
                Err(error) => return Err(error),
            };
            let mut slots = units.slots.clone();
            slots.pass_time(self.now());
            passed.done += u64::from(self.store_units(units, slots, None).await?);
        }
        Ok(passed)
    }

    /// Stores what the slots became, with what partners see of it, unless nothing became of them. False: somebody was faster.
    async fn store_units(&self, units: HeldUnits, slots: Slots, act: Option<AuditDraft>) -> Result<bool, Error> {
        if slots.holds == units.slots.holds {
            return Ok(true);
        }
        let HeldUnits { offer, row, slots: before, version } = units;
        let mut write = Write {
            expects: vec![Expect::SlotsVersion(row.id, version), Expect::OfferVersion(row.id, row.version)],
            puts: vec![Put::Slots(SlotsRow { offer: row.id, version: version + 1, body: codec::encode_slots(&slots) })],
            audit: expired(&before, &slots),
            ..Write::default()
        };
        write.audit.extend(act);
        let standing = OfferStanding { unconfirmed: row.unconfirmed, occupied: slots.occupied(offer.capacity.as_of) };
        // A partner that is told later sees an older figure, and asks for what it does not get: nothing is given twice for it.
        match self.statement(&node_call(), offer, row.version, standing) {
            Ok(mut statement) => {
                statement.row.unconfirmed = row.unconfirmed;
                write.append(statement.into_write());
            }
            Err(error) => {
                havenlink_runtime::repeated!(warn; reason = %error.reason(), "partners are not told what is free after a hold");
            }
        }
        match self.store().write(write.into()).await {
            Ok(Written::Done) => {}
            Ok(_) | Err(storage::Error::Refused(Reason::EtagMismatch)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.context.wakeups().wake_dispatch();
        Ok(true)
    }

    /// An own offer with its slots. The slots are read first: whatever changes them after that is seen when they are stored.
    pub(super) async fn held_units(&self, offer: &OfferId) -> Result<Option<HeldUnits>, Error> {
        let stored = self.store().offer_slots(*offer).await?;
        let (version, slots) = match &stored {
            Some(row) => (row.version, self.reload(row)?),
            None => (0, Slots::default()),
        };
        let Some(row) = self.store().own_offer(*offer).await? else { return Ok(None) };
        let reading = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare)?;
        let read = offers::reload_own(reading);
        let (offer, _) =
            read.inspect_err(|error| _ = self.context.unreadable(Table::OwnOffer, None, row.id, error.clone()))?;
        Ok(Some(HeldUnits { offer, row, slots, version }))
    }

    pub(super) fn reload(&self, row: &SlotsRow) -> Result<Slots, Error> {
        let slots = codec::reload_slots(&row.body);
        Ok(slots.map_err(|error| self.context.unreadable(Table::OfferSlots, None, row.offer, error))?)
    }

    async fn room(&self, units: &HeldUnits) -> Result<Room, Error> {
        let opens = self.store().meta(Named::HoldsOpen).await?;
        let opens = match opens.as_deref().map(<[u8; 8]>::try_from) {
            None => UnixMs(i64::MIN),
            Some(Ok(bytes)) => UnixMs(i64::from_be_bytes(bytes)),
            Some(Err(_)) => return Err(Reason::StorageDamaged.into()),
        };
        let now = units.slots.now(self.now());
        Ok(Room::of(&units.offer, units.row.unconfirmed, now, opens, self.store().incarnation()))
    }

    /// Units of an own offer that are not to be given, by what is stored.
    pub(super) async fn occupied(&self, offer: &OfferId, stated: UnixMs) -> Result<u32, Error> {
        let stored = self.store().offer_slots(*offer).await?;
        stored.map_or(Ok(0), |row| Ok(self.reload(&row)?.occupied(stated)))
    }
}

/// The act of the ledger, if something was done.
fn act_of(before: &Slots, after: &Slots, call: &HoldCall, answer: &Result<Lease, Reason>) -> Option<AuditAct> {
    let token = answer.as_ref().ok()?.token;
    let of = |slots: &Slots| slots.holds.iter().find(|hold| hold.token == token).cloned();
    (of(before) != of(after)).then_some(match call.word {
        HoldWord::Take { .. } => AuditAct::HoldTaken,
        HoldWord::Extend(_) => AuditAct::HoldExtended,
        HoldWord::Release(_) => AuditAct::HoldReleased,
        HoldWord::Arrive(_) => AuditAct::HoldArrived,
    })
}

fn expired(before: &Slots, after: &Slots) -> Vec<AuditDraft> {
    let held = |slots: &Slots, token| slots.holds.iter().any(|h| h.token == token && h.state == HoldState::Held);
    let ended = |token| after.holds.iter().all(|h| h.token != token || h.state == HoldState::Expired);
    let gone = before.holds.iter().filter(|hold| held(before, hold.token) && ended(hold.token));
    let draft = |holder: &AuthorityId| AuditDraft {
        counterparty: Some(holder.clone()),
        purpose: Some(Purpose::Assistance),
        ..AuditDraft::by_node(AuditAct::HoldExpired)
    };
    gone.map(|hold| draft(&hold.holder)).collect()
}
