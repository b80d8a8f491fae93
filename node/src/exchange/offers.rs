//! Offers: own ones with their raw figures, and what partners show of theirs (9.11).
//!
//! A statement is one transaction: the new row and the publication from which each partner gets its view. Raw figures
//! never leave this node: the dispatcher prepares `OwnOffer::view` at the level of each partner's agreement.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::audit::AuditDraft;
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::ids::{AuthorityId, OfferId, RecordId};
use crate::domain::light::{self, Clocks, Light, Told};
use crate::domain::offer::{OfferStatus, OfferView, OwnOffer};
use crate::domain::publication::{Publication, Record};
use crate::domain::reason::Reason;
use crate::domain::sharing::Sharing;
use crate::domain::time::Millis;
use crate::storage::ops::{Expect, NewPublication, Put, RequestMark, Write, Written};
use crate::storage::owed::{OwedKey, Subject};
use crate::storage::rows::{OwnOfferRow, PartnerOfferRow};
use crate::wire::{self, stored};

use super::call::Call;
use super::error::Error;
use super::publish::{new_publication, published_draft};
use super::{Exchange, new_record_id};

/// An own offer as it stands here.
#[derive(Clone, Debug)]
pub struct HeldOffer {
    pub offer: OwnOffer,
    /// Rises with every change; names the version read.
    pub version: u64,
    /// Paused since a restore, until somebody confirms it.
    pub unconfirmed: bool,
}

/// A partner's offer as a coordinator sees it.
#[derive(Clone, Debug)]
pub struct PartnerOffer {
    pub authority: AuthorityId,
    pub view: OfferView,
    pub light: Light,
    /// Age of the statement now; `None`: not known.
    pub age: Option<Millis>,
}

/// One offer's new statement, ready to be stored.
struct Statement {
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
        let id = offer.id;
        let statement = match self.changed_offer(call, offer, if_version).await {
            Ok(statement) => statement,
            // Also a version that only the first try of this very call has made stale.
            Err(refused) => {
                let first = self.published_before(call, "SetOffer", refused).await?;
                return Ok((self.own_offer(OfferId(first.record_id.0)).await?, first.recipients));
            }
        };
        let recipients = statement.recipients.clone();
        let answer = stored::encode_published(RecordId(id.0), &recipients);
        let request = call.mark("SetOffer", answer, self.now())?;
        match self.put_offers(Some(request), vec![statement]).await? {
            Written::Again(first) => {
                let (id, recipients) = stored::decode_published(first)?;
                Ok((self.own_offer(OfferId(id.0)).await?, recipients))
            }
            _ => Ok((self.own_offer(id).await?, recipients)),
        }
    }

    async fn changed_offer(&self, call: &Call, offer: OwnOffer, if_version: Option<u64>) -> Result<Statement, Error> {
        offer.check().map_err(|fault| wire::Error::from(fault).within("offer"))?;
        let authority = self.own_authority(Some(offer.authority.clone()))?;
        let id = offer.id;
        let held = self.store().own_offer(id).await?;
        if let Some(held) = &held
            && stored::decode_offer(held.body.clone())?.authority != authority
        {
            return Err(Reason::NotFound.into());
        }
        let version = held.map_or(0, |held| held.version);
        if if_version.is_some_and(|expected| expected != version) {
            return Err(Reason::EtagMismatch.into());
        }
        self.statement(call, offer, version, false)
    }

    /// "Still true": the capacity is as stated, now. No ids: all own offers. Returns how many.
    ///
    /// # Errors
    /// `NOT_FOUND` for an id that is no own offer.
    pub async fn confirm_offers(&self, call: &Call, ids: &[OfferId]) -> Result<u32, Error> {
        let (now, rows) = (self.now(), self.store().own_offers().await?);
        if ids.iter().any(|id| !rows.iter().any(|row| row.id == *id)) {
            return Err(Reason::NotFound.into());
        }
        let mut statements = Vec::new();
        for row in rows.into_iter().filter(|row| ids.is_empty() || ids.contains(&row.id)) {
            let mut offer = stored::decode_offer(row.body)?;
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
    pub(super) async fn pause_notice(&self, id: &OfferId) -> Result<Write, Error> {
        let Some(row) = self.store().own_offer(*id).await?.filter(|row| row.unconfirmed) else {
            return Ok(Write::default());
        };
        let mut statement = self.statement(&node_call(), stored::decode_offer(row.body)?, row.version, true)?;
        statement.row.unconfirmed = true;
        Ok(statement.into_write())
    }

    /// Own offers; one that nobody confirmed since a restore shows as paused.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn own_offers(&self) -> Result<Vec<HeldOffer>, Error> {
        self.store().own_offers().await?.into_iter().map(held).collect()
    }

    /// Partners' offers with the light that a coordinator sees now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn partner_offers(&self) -> Result<Vec<PartnerOffer>, Error> {
        let rows = self.store().partner_offers().await?;
        let now = super::clocks(&self.0.clock);
        // A sweep takes away what is past; until it comes, nobody is shown it.
        rows.into_iter().filter(|row| row.keep_until > now.wall).map(|row| self.partner_offer(row, now)).collect()
    }

    async fn own_offer(&self, id: OfferId) -> Result<HeldOffer, Error> {
        held(self.store().own_offer(id).await?.ok_or(Reason::NotFound)?)
    }

    /// Notes when statements came that are about to be stored.
    pub(super) fn note_heard(&self, at: Duration, puts: &[Put]) {
        let offers = puts.iter().filter_map(|put| match put {
            Put::PartnerOffer(row) => Some(told(row)),
            _ => None,
        });
        let mut offers = offers.peekable();
        if offers.peek().is_some() {
            self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).note(at, offers);
        }
    }

    fn partner_offer(&self, row: PartnerOfferRow, now: Clocks) -> Result<PartnerOffer, Error> {
        let since = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).since(&told(&row), now);
        let age = since.and_then(|since| light::age(row.age_at_sending_ms.map(Millis), since));
        let (view, now) = (stored::decode_view(row.view)?, now.wall);
        let answers = self.link_state(&row.origin).is_none_or(|state| state.failed.is_none());
        let reachable = answers && super::register::active(&self.view(), &row.origin, now).is_ok();
        Ok(PartnerOffer { light: light::light(&view.capacity, age, reachable, now), authority: row.origin, view, age })
    }

    fn statement(&self, call: &Call, offer: OwnOffer, replaced: u64, paused: bool) -> Result<Statement, Error> {
        let now = self.now();
        // By the clock, so that a node restored from an old backup is not ignored by partners who saw later versions.
        let version = u64::try_from(now.0).unwrap_or(0).max(replaced + 1);
        let row = OwnOfferRow { id: offer.id, body: stored::encode_offer(&offer), version, unconfirmed: false };
        let (authority, replaces) = (offer.authority.clone(), (offer.id, replaced));
        let mut told = offer;
        if paused {
            told.capacity.status = OfferStatus::Paused;
        }
        let record = Record::Offer { offer: told, version };
        let mut sharing = sharing();
        let dates = sharing.dates(record.kind(), None, now).map_err(wire::Error::from)?;
        (sharing.expires, sharing.review_by) = (Some(dates.expires), Some(dates.review_by));
        sharing.recipients = self.recipients(&authority, &sharing, &record, now)?;
        let recipients = sharing.recipients.clone();
        let traceparent = call.traceparent.clone();
        let publication = Publication { authority, sharing, for_all_covered: true, record, created: now, traceparent };
        let record_id = new_record_id();
        Ok(Statement {
            row,
            replaces,
            draft: published_draft(call.actor, &publication, record_id),
            publication: new_publication(&publication, record_id, None, dates.expires),
            recipients,
        })
    }

    async fn put_offers(&self, request: Option<RequestMark>, statements: Vec<Statement>) -> Result<Written, Error> {
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

impl Statement {
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
        recipients: Vec::new(),
        purpose: Purpose::Assistance,
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: SpecialBasis::None,
        handling: Handling { tlp: Tlp::Amber, pap: Pap::Amber },
        status: RecordStatus::Actual,
        expires: None,
        review_by: None,
    }
}

fn told(row: &PartnerOfferRow) -> Told {
    Told { origin: row.origin.clone(), offer: row.id, version: row.version, received: row.received }
}

fn held(row: OwnOfferRow) -> Result<HeldOffer, Error> {
    let mut offer = stored::decode_offer(row.body)?;
    if row.unconfirmed {
        offer.capacity.status = OfferStatus::Paused;
    }
    Ok(HeldOffer { offer, version: row.version, unconfirmed: row.unconfirmed })
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
