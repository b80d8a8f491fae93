//! Own offers: stated, confirmed, listed. Each statement replaces the one before, and is published for all partners.

use bytes::Bytes;

use crate::domain::audit::{ActorRole, AuditDraft};
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::ids::{AuthorityId, OfferId, RecordId};
use crate::domain::light::{self, Light};
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::records::offer::{
    Capacity as Figures, DisclosureLevel, Offer, OfferStatus, OwnOffer, capacity_view,
};
use crate::domain::sharing::{Audience, Sharing};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Call, Error, Refusal, Table, Unreadable, new_record_id};
use crate::exchange::road::{Draft, Published, new_publication, published_draft};
use crate::storage::ops::{Expect, NewOwnOffer, NewPublication, Put, RequestMark, Write, Written};
use crate::storage::owed::{OwedKey, Subject};
use crate::storage::rows::OwnOfferRow;
use crate::wire::records::offer as codec;
use crate::wire::{self, stored};

use super::Capacity;
use super::showing::{KnownSlots, occupied};

/// An own offer as it stands here.
#[derive(Clone, Debug)]
pub struct HeldOffer {
    pub id: OfferId,
    /// If the stored row can be read.
    pub offer: Result<OwnOffer, Unreadable>,
    /// Rises with every change; names the version read.
    pub version: u64,
    /// Paused since a restore, until somebody confirms it.
    pub unconfirmed: bool,
    /// As partners show it now.
    pub light: Light,
    /// Since when they show it as not reported.
    pub stale_since: Option<UnixMs>,
    /// Units of it that are held, or were used since it was stated; `None`: nobody knows, or asked.
    pub occupied: Option<u32>,
}

/// How own offers stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffersStand {
    pub all: u32,
    /// Shown as not reported by partners.
    pub stale: u32,
    /// Since when the first of them.
    pub since: Option<UnixMs>,
}

/// How often a change is made anew that does not say what it changes, when another one came first.
pub(super) const TRIES: usize = 3;

/// Which own offers: it is said, an empty list never means all.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    All,
    These(&'a [OfferId]),
}

const SET: &str = "SetOffer";

/// How an own offer stands besides what it states.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferStanding {
    /// Nobody has confirmed it since a restore: partners are told that it is paused.
    pub(super) unconfirmed: bool,
    /// Units that are held, or were used since it was stated. More of them than are free: paused as well.
    pub(super) occupied: u32,
}

/// One offer's new statement, ready to be stored.
pub(super) struct CapacityUpdate {
    pub(super) row: NewOwnOffer,
    replaces: (OfferId, u64),
    publication: NewPublication,
    draft: AuditDraft,
    recipients: Vec<AuthorityId>,
}

impl Capacity {
    /// A new id for an offer.
    pub fn new_offer_id() -> OfferId {
        OfferId(uuid::Uuid::new_v4().into_bytes())
    }

    /// Creates or changes an own offer. `if_version`: only if it is still at this version.
    ///
    /// # Errors
    /// `ETAG_MISMATCH` when it was changed since, with how it stands now; the field that does not fit.
    pub async fn set_offer(
        &self,
        call: &Call,
        offer: OwnOffer,
        if_version: Option<u64>,
    ) -> Result<(HeldOffer, Vec<AuthorityId>), Error> {
        let (id, changed) = (offer.id, |error: &Error| error.reason() == Reason::EtagMismatch);
        let mut tried = self.try_set_offer(call, offer.clone(), if_version).await;
        for _ in 1..TRIES {
            if if_version.is_none() && tried.as_ref().is_err_and(changed) {
                tried = self.try_set_offer(call, offer.clone(), None).await;
            }
        }
        // Also a version that only the first try of this very call has made stale.
        let published = self.road.once(call, SET, tried).await;
        let Published { record_id, recipients, .. } = match published {
            Err(error) if changed(&error) => return Err(self.changed_since(call.actor.role, id, error).await),
            published => published?,
        };
        let row = self.store().own_offer(OfferId(record_id.0)).await?;
        let mut held = row.and_then(|row| self.held_offer(call.actor.role, row)).ok_or(Reason::NotFound)?;
        Self::count_held(&mut held, &self.slots_of_all().await?);
        Ok((held, recipients))
    }

    /// Two desks that saw the same figure: the second one is told what the first one made of it.
    async fn changed_since(&self, role: ActorRole, id: OfferId, error: Error) -> Error {
        let row = self.store().own_offer(id).await.ok().flatten();
        let held = row.and_then(|row| self.held_offer(role, row));
        let Some(Figures { free, baseline, status, as_of, .. }) =
            held.and_then(|held| held.offer.ok()).map(|o| o.capacity)
        else {
            return error;
        };
        Error::Refused(Refusal {
            reason: Reason::EtagMismatch,
            field: "offer.etag".to_owned(),
            // For the desk that may read the offer, and asked.
            detail: format!("now {free} of {baseline} free, {}, as of {as_of}", status.name()),
            authority: None,
        })
    }

    async fn try_set_offer(
        &self,
        call: &Call,
        offer: OwnOffer,
        if_version: Option<u64>,
    ) -> Result<(Published, Written), Error> {
        let id = offer.id;
        let update = self.changed_offer(call, offer, if_version).await?;
        let published =
            Published { record_id: RecordId(id.0), recipients: update.recipients.clone(), standing: Vec::new() };
        let answer = stored::encode_published(published.record_id, &published.recipients);
        let request = call.mark(SET, answer, self.now())?;
        Ok((published, self.put_offers(Some(request), vec![update]).await?))
    }

    async fn changed_offer(
        &self,
        call: &Call,
        offer: OwnOffer,
        if_version: Option<u64>,
    ) -> Result<CapacityUpdate, Error> {
        offer.check().map_err(|fault| wire::Error::from(fault).within("offer"))?;
        let authority = self.context.own_authority(Some(offer.authority.clone()))?;
        let id = offer.id;
        let held = self.store().own_offer(id).await?;
        if let Some(held) = &held {
            let reading = self.context.may_read(&held.record, call.actor.role, ReadPurpose::Show)?;
            // One that has lost its form is mended by being stated anew.
            if codec::reload_own(reading).is_ok_and(|(offer, _)| offer.authority != authority) {
                return Err(Reason::NotFound.into());
            }
        }
        let version = held.map_or(0, |held| held.version);
        if if_version.is_some_and(|expected| expected != version) {
            return Err(Reason::EtagMismatch.into());
        }
        let standing = OfferStanding { unconfirmed: false, occupied: self.occupied(&id, offer.capacity.as_of).await? };
        self.statement(call, offer, version, standing)
    }

    /// "Still true": the capacity is as stated, now. Returns how many.
    ///
    /// # Errors
    /// `NOT_FOUND` for an id that is no own offer.
    pub async fn confirm_offers(&self, call: &Call, which: Which<'_>) -> Result<u32, Error> {
        let (now, rows) = (self.now(), self.store().own_offers().await?);
        let named = |id: OfferId| match which {
            Which::All => true,
            Which::These(ids) => ids.contains(&id),
        };
        if let Which::These(ids) = which
            && ids.iter().any(|id| !rows.iter().any(|row| row.id == *id))
        {
            return Err(Reason::NotFound.into());
        }
        let mut statements = Vec::new();
        for row in rows.into_iter().filter(|row| named(row.id)) {
            let reading = self.context.may_read(&row.record, call.actor.role, ReadPurpose::Show)?;
            let mut offer = match codec::reload_own(reading) {
                Ok((offer, _)) => offer,
                Err(error) if matches!(which, Which::All) => {
                    self.context.unreadable(Table::OwnOffer, None, row.id, error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.context.own_authority(Some(offer.authority.clone()))?;
            offer.capacity.as_of = now;
            let occupied = match self.occupied(&row.id, now).await {
                Ok(occupied) => occupied,
                Err(error) if matches!(which, Which::All) && error.concerns_one_row() => continue,
                Err(error) => return Err(error),
            };
            let standing = OfferStanding { unconfirmed: false, occupied };
            statements.push(self.statement(call, offer, row.version, standing)?);
        }
        let count = u32::try_from(statements.len()).unwrap_or(u32::MAX);
        let request = call.mark("ConfirmOffer", Bytes::copy_from_slice(&count.to_be_bytes()), now)?;
        match self.put_offers(Some(request), statements).await? {
            Written::Again(first) => Ok(first.as_ref().try_into().map_or(count, u32::from_be_bytes)),
            _ => Ok(count),
        }
    }

    /// Own offers; one that nobody confirmed since a restore shows as paused.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn own_offers(&self, role: ActorRole) -> Result<Vec<HeldOffer>, Error> {
        let (rows, slots) = self.own_with_slots().await?;
        let mut held: Vec<_> = rows.into_iter().filter_map(|row| self.held_offer(role, row)).collect();
        held.iter_mut().for_each(|held| Self::count_held(held, &slots));
        Ok(held)
    }

    fn count_held(held: &mut HeldOffer, slots: &KnownSlots) {
        held.occupied = held.offer.as_ref().ok().and_then(|offer| occupied(slots, held.id, offer.capacity.as_of));
    }

    /// `None`: this role may not read it.
    fn held_offer(&self, role: ActorRole, row: OwnOfferRow) -> Option<HeldOffer> {
        let OwnOfferRow { id, record, version, unconfirmed } = row;
        let reading = self.context.may_read(&record, role, ReadPurpose::Show).ok()?;
        let offer =
            codec::reload_own(reading).map_err(|error| self.context.unreadable(Table::OwnOffer, None, id, error));
        let offer = offer.map(|(mut offer, _)| {
            if unconfirmed {
                offer.capacity.status = OfferStatus::Paused;
            }
            offer
        });
        let now = self.now();
        let (light, stale_since) =
            offer.as_ref().map_or((Light::NotReported, None), |offer| seen(&offer.capacity, now));
        Some(HeldOffer { id, offer, version, unconfirmed, light, stale_since, occupied: None })
    }

    /// How own offers stand, for whoever may not read them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standing(&self) -> Result<OffersStand, Error> {
        let mut standing = OffersStand::default();
        for row in self.store().own_offers().await? {
            standing.all += 1;
            if let Some(since) = self.held_offer(ActorRole::Node, row).and_then(|held| held.stale_since) {
                standing.stale += 1;
                standing.since = Some(standing.since.map_or(since, |first| first.min(since)));
            }
        }
        Ok(standing)
    }

    pub(super) fn statement(
        &self,
        call: &Call,
        offer: OwnOffer,
        replaced: u64,
        standing: OfferStanding,
    ) -> Result<CapacityUpdate, Error> {
        let now = self.now();
        // By the clock, so that a node restored from an old backup is not ignored by partners who saw later versions.
        let version = u64::try_from(now.0).unwrap_or(0).max(replaced + 1);
        let row = NewOwnOffer { id: offer.id, body: codec::encode_own(&offer, version), version, unconfirmed: false };
        let (authority, replaces) = (offer.authority.clone(), (offer.id, replaced));
        let told = told(offer, standing);
        let draft = Draft {
            authority: Some(authority),
            sharing: sharing(),
            content: Offer::Own { offer: told, version }.into(),
            to: None,
            references: Vec::new(),
            under: None,
            shared: None,
        };
        let checked = self.road.check(call, draft)?;
        let (record_id, publication) = (new_record_id(), checked.publication);
        Ok(CapacityUpdate {
            row,
            replaces,
            draft: published_draft(call.actor, &publication, record_id),
            publication: new_publication(&publication, record_id, checked.dates.expires),
            recipients: publication.recipients,
        })
    }

    async fn put_offers(
        &self,
        request: Option<RequestMark>,
        statements: Vec<CapacityUpdate>,
    ) -> Result<Written, Error> {
        let mut put = Write { request, ..Write::default() };
        for statement in statements {
            // Confirmed or changed by somebody: whatever partners were to be told of it, they are told this.
            let told = OwedKey::of(Subject::PauseNotice(statement.row.id));
            put.append(Write { settles: vec![told], ..statement.into_write() });
        }
        let written = self.store().write(put.into()).await?;
        self.context.wakeups().wake_dispatch();
        Ok(written)
    }
}

impl CapacityUpdate {
    /// The offer in the place of the one that it replaces, and the record from which partners get their views.
    pub(super) fn into_write(self) -> Write {
        let (id, replaced) = self.replaces;
        Write {
            expects: vec![Expect::OfferVersion(id, replaced)],
            puts: vec![Put::OwnOffer(self.row)],
            publications: vec![self.publication],
            audit: vec![self.draft],
            ..Write::default()
        }
    }
}

/// How partners that answer show a capacity now, and since when as not reported.
fn seen(capacity: &Figures, now: UnixMs) -> (Light, Option<UnixMs>) {
    let view = capacity_view(DisclosureLevel::Count, false, capacity, 0);
    let light = light::light(&view, Some(now.since(capacity.as_of)), true, now);
    let stale_from = capacity.stale_from();
    (light, (stale_from < now).then_some(stale_from))
}

/// What partners are told: what is held is not free, and what was promised twice is paused (9.11).
pub(super) fn told(mut offer: OwnOffer, standing: OfferStanding) -> OwnOffer {
    let too_many = standing.occupied > offer.capacity.free;
    if too_many {
        // Its desk has promised more than it has.
        havenlink_runtime::repeated!(warn; "more of an own offer is held than is free: it is shown as paused");
    }
    if standing.unconfirmed || too_many {
        offer.capacity.status = OfferStatus::Paused;
    }
    offer.capacity.free = offer.capacity.free.saturating_sub(standing.occupied);
    offer
}

/// How capacity is shared: with the organisation that looks for a place, and those it places people with.
pub(super) fn sharing() -> Sharing {
    Sharing {
        audience: Audience::AllPartners,
        purpose: Purpose::Assistance,
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: SpecialBasis::None,
        handling: Handling { tlp: Tlp::Amber, pap: Pap::Amber },
        status: RecordStatus::Actual,
        expires: None,
        review_by: None,
    }
}
