//! Offers: own ones with their raw figures, and what partners show of theirs (9.11).
//!
//! A statement is one transaction: the new row and the publication from which each partner gets its view. Raw figures
//! never leave this node: the dispatcher prepares `OwnOffer::view` at the level of each partner's agreement.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::audit::AuditDraft;
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::ids::{AuthorityId, OfferId, RecordId};
use crate::domain::light::{self, Clocks, Light, StatementKey};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::offer::{Offer, OfferStatus, OfferView, OwnOffer};
use crate::domain::records::{Content, RecordBody, RecordKind};
use crate::domain::sharing::{Audience, Sharing};
use crate::domain::time::Millis;
use crate::storage::ops::{Expect, NewPublication, Put, RequestMark, Write, Written};
use crate::storage::owed::{OwedKey, Subject};
use crate::storage::rows::{OwnOfferRow, PartnerOfferRow};
use crate::wire::records::offer as codec;
use crate::wire::{self, records, stored};

use super::super::call::Call;
use super::super::error::Error;
use super::super::publish::{Draft, Published, new_publication, published_draft};
use super::super::unreadable::{Table, Unreadable};
use super::super::{Exchange, clocks, new_record_id, register};
use super::{Arrival, Arrived};

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
}

/// Which own offers: it is said, an empty list never means all.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    All,
    These(&'a [OfferId]),
}

/// A partner's offer as a coordinator sees it.
#[derive(Clone, Debug)]
pub struct PartnerOffer {
    pub authority: AuthorityId,
    pub id: OfferId,
    /// If the stored row can be read.
    pub view: Result<OfferView, Unreadable>,
    /// Of one that cannot be read: not reported.
    pub light: Light,
    /// Age of the statement now; `None`: not known.
    pub age: Option<Millis>,
}

/// The origin's offers that are kept here, with those of the batch; `None`: the batch has brought none yet.
pub(super) type Known = Option<HashSet<OfferId>>;

/// The newest word on an offer replaces the one before. Of one partner not too many are kept; one more is refused for
/// good, although a budget passes by itself: its offers must not hold up a partner's alerts.
pub(super) async fn arrived(offer: &Offer, arrival: Arrival<'_>) -> Arrived {
    // The owner's own form has no codec on the road: what was opened is a view.
    let Offer::View(view) = offer else { return Ok(Err(Reason::EnvelopeMalformed)) };
    let Arrival { exchange, envelope, batch, as_of_age, received, keep_until, puts } = arrival;
    let kept = match &mut batch.offers {
        Some(kept) => kept,
        none => {
            let kept = exchange.store().partner_offer_ids(envelope.origin.clone()).await?;
            none.insert(kept.into_iter().collect())
        }
    };
    if kept.len() >= limits::PARTNER_OFFERS && !kept.contains(&view.id) {
        return Ok(Err(Reason::BudgetExhausted));
    }
    kept.insert(view.id);
    puts.push(Put::PartnerOffer(PartnerOfferRow {
        origin: envelope.origin.clone(),
        id: view.id,
        view: envelope.body.clone(),
        version: view.version,
        age_at_sending_ms: as_of_age.map(|age| age.0),
        received,
        keep_until,
    }));
    Ok(Ok(()))
}

const SET: &str = "SetOffer";

/// One offer's new statement, ready to be stored.
struct CapacityUpdate {
    row: OwnOfferRow,
    replaces: (OfferId, u64),
    publication: NewPublication,
    draft: AuditDraft,
    recipients: Vec<AuthorityId>,
}

impl Exchange {
    /// A new id for an offer.
    pub fn new_offer_id() -> OfferId {
        OfferId(uuid::Uuid::new_v4().into_bytes())
    }

    /// Creates or changes an own offer. `if_version`: only if it is still at this version.
    ///
    /// # Errors
    /// `ETAG_MISMATCH` when it was changed since; the field that does not fit.
    pub async fn set_offer(
        &self,
        call: &Call,
        offer: OwnOffer,
        if_version: Option<u64>,
    ) -> Result<(HeldOffer, Vec<AuthorityId>), Error> {
        let tried = self.try_set_offer(call, offer, if_version).await;
        // Also a version that only the first try of this very call has made stale.
        let Published { record_id, recipients } = self.once(call, SET, tried).await?;
        Ok((self.own_offer(OfferId(record_id.0)).await?, recipients))
    }

    async fn try_set_offer(
        &self,
        call: &Call,
        offer: OwnOffer,
        if_version: Option<u64>,
    ) -> Result<(Published, Written), Error> {
        let id = offer.id;
        let update = self.changed_offer(call, offer, if_version).await?;
        let published = Published { record_id: RecordId(id.0), recipients: update.recipients.clone() };
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
        let authority = self.own_authority(Some(offer.authority.clone()))?;
        let id = offer.id;
        let held = self.store().own_offer(id).await?;
        if let Some(held) = &held
            // One that cannot be read is mended by being stated anew.
            && codec::reload_own(&held.body).is_ok_and(|(offer, _)| offer.authority != authority)
        {
            return Err(Reason::NotFound.into());
        }
        let version = held.map_or(0, |held| held.version);
        if if_version.is_some_and(|expected| expected != version) {
            return Err(Reason::EtagMismatch.into());
        }
        self.statement(call, offer, version, false)
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
            let mut offer = match codec::reload_own(&row.body) {
                Ok((offer, _)) => offer,
                Err(error) if matches!(which, Which::All) => {
                    self.unreadable(Table::OwnOffer, None, row.id, error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.own_authority(Some(offer.authority.clone()))?;
            offer.capacity.as_of = now;
            statements.push(self.statement(call, offer, row.version, false)?);
        }
        let count = u32::try_from(statements.len()).unwrap_or(u32::MAX);
        let request = call.mark("ConfirmOffer", Bytes::copy_from_slice(&count.to_be_bytes()), now)?;
        match self.put_offers(Some(request), statements).await? {
            Written::Again(first) => Ok(first.as_ref().try_into().map_or(count, u32::from_be_bytes)),
            _ => Ok(count),
        }
    }

    /// After a restore partners are told that an offer is paused until somebody confirms it.
    pub(in super::super) async fn pause_notice(&self, id: &OfferId) -> Result<Write, Error> {
        let Some(row) = self.store().own_offer(*id).await?.filter(|row| row.unconfirmed) else {
            return Ok(Write::default());
        };
        let (offer, _) = codec::reload_own(&row.body).inspect_err(|error| {
            self.unreadable(Table::OwnOffer, None, row.id, error.clone());
        })?;
        let mut statement = self.statement(&node_call(), offer, row.version, true)?;
        statement.row.unconfirmed = true;
        Ok(statement.into_write())
    }

    /// Own offers; one that nobody confirmed since a restore shows as paused.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn own_offers(&self) -> Result<Vec<HeldOffer>, Error> {
        Ok(self.store().own_offers().await?.into_iter().map(|row| self.held_offer(row)).collect())
    }

    /// Partners' offers with the light that a coordinator sees now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn partner_offers(&self) -> Result<Vec<PartnerOffer>, Error> {
        let rows = self.store().partner_offers().await?;
        let now = clocks(&self.0.clock);
        // A sweep takes away what is past; until it comes, nobody is shown it.
        let kept = rows.into_iter().filter(|row| row.keep_until > now.wall);
        Ok(kept.map(|row| self.partner_offer(row, now)).collect())
    }

    async fn own_offer(&self, id: OfferId) -> Result<HeldOffer, Error> {
        Ok(self.held_offer(self.store().own_offer(id).await?.ok_or(Reason::NotFound)?))
    }

    fn held_offer(&self, row: OwnOfferRow) -> HeldOffer {
        let OwnOfferRow { id, body, version, unconfirmed } = row;
        let offer = codec::reload_own(&body).map_err(|error| self.unreadable(Table::OwnOffer, None, id, error));
        let offer = offer.map(|(mut offer, _)| {
            if unconfirmed {
                offer.capacity.status = OfferStatus::Paused;
            }
            offer
        });
        HeldOffer { id, offer, version, unconfirmed }
    }

    /// Notes when statements came that are about to be stored.
    pub(in super::super) fn note_heard(&self, at: Duration, puts: &[Put]) {
        let offers = puts.iter().filter_map(|put| match put {
            Put::PartnerOffer(row) => Some(told(row)),
            _ => None,
        });
        let mut offers = offers.peekable();
        if offers.peek().is_some() {
            self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).note(at, offers);
        }
    }

    fn partner_offer(&self, row: PartnerOfferRow, now: Clocks) -> PartnerOffer {
        let since = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).since(&told(&row), now);
        let age = since.and_then(|since| light::age(row.age_at_sending_ms.map(Millis), since));
        let view = view(&row.view).map_err(|error| self.unreadable(Table::PartnerOffer, None, row.id, error));
        let answers = self.link_state(&row.origin).is_none_or(|state| state.failed.is_none());
        let reachable = answers && register::active(&self.view(), &row.origin, now.wall).is_ok();
        let light = view.as_ref().map_or(Light::NotReported, |v| light::light(&v.capacity, age, reachable, now.wall));
        PartnerOffer { authority: row.origin, id: row.id, view, light, age }
    }

    fn statement(&self, call: &Call, offer: OwnOffer, replaced: u64, paused: bool) -> Result<CapacityUpdate, Error> {
        let now = self.now();
        // By the clock, so that a node restored from an old backup is not ignored by partners who saw later versions.
        let version = u64::try_from(now.0).unwrap_or(0).max(replaced + 1);
        let row = OwnOfferRow { id: offer.id, body: codec::encode_own(&offer, version), version, unconfirmed: false };
        let (authority, replaces) = (offer.authority.clone(), (offer.id, replaced));
        let mut told = offer;
        if paused {
            told.capacity.status = OfferStatus::Paused;
        }
        let draft = Draft {
            authority: Some(authority),
            sharing: sharing(),
            content: Offer::Own { offer: told, version }.into(),
            to: None,
            references: Vec::new(),
            under: None,
        };
        let checked = self.check(call, draft)?;
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
        self.0.wakeups.wake_dispatch();
        Ok(written)
    }
}

impl CapacityUpdate {
    /// The offer in the place of the one that it replaces, and the record from which partners get their views.
    fn into_write(self) -> Write {
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

/// How capacity is shared: with the organisation that looks for a place, and those it places people with.
fn sharing() -> Sharing {
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

fn told(row: &PartnerOfferRow) -> StatementKey {
    StatementKey { origin: row.origin.clone(), offer: row.id, version: row.version, received: row.received }
}

fn view(bytes: &Bytes) -> Result<OfferView, wire::Error> {
    match records::reload(RecordKind::OfferView, bytes)? {
        RecordBody::Content(Content::OfferView(Offer::View(view))) => Ok(view),
        _ => Err(wire::Error::new(Reason::StorageDamaged, "view", "")),
    }
}

/// The node acting by itself: nothing to repeat, nobody to name.
fn node_call() -> Call {
    Call {
        actor: crate::domain::audit::Actor::NODE,
        scope: "node".to_owned(),
        request_id: String::new(),
        body: crate::domain::ids::Digest([0; 32]),
        traceparent: String::new(),
    }
}
